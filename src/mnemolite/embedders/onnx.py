"""A sentence-transformers model in ONNX, from a local folder."""

from __future__ import annotations

from pathlib import Path

from mnemolite.embedders.configuration import POOLED
from mnemolite.embedders.sentences import SentenceEmbedder, checked_configuration
from mnemolite.errors import EmbedderUnavailable
from mnemolite.onnx_model import OnnxModel


class OnnxEmbedder(SentenceEmbedder):
    """Making one loads the model."""

    def __init__(self, folder: Path) -> None:
        configuration = checked_configuration(folder)
        model = OnnxModel(
            folder / configuration.model,
            folder / configuration.tokenizer,
            EmbedderUnavailable,
            max_tokens=configuration.max_tokens,
            output=POOLED,
        )
        super().__init__(folder, configuration, model)
