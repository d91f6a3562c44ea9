"""A transformer in ONNX: what embedding models and cross-encoders have in common."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from mnemolite.errors import MnemoError
from mnemolite.transformer import BATCH_TOKENS, Transformer

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from onnxruntime import InferenceSession, SessionOptions

MAX_THREADS = 8
_GRAPH_BYTES = 8 * 2**20  # the nodes of a graph stand before its weights


class OnnxModel(Transformer):
    """The model in *file*, which takes ``input_ids`` and, if it likes, ``attention_mask`` and ``token_type_ids``."""

    def __init__(
        self,
        file: Path,
        tokenizer: Path,
        failure: type[MnemoError],
        *,
        max_tokens: int | None = None,
        output: str = "",
    ) -> None:
        """*output* is the one that is read where there is one of that name, else the first."""
        try:
            import tokenizers  # noqa: F401
            from onnxruntime import InferenceSession
        except ImportError as error:
            raise failure("a model in ONNX needs: pip install 'mnemolite[onnx]'") from error
        try:
            self._session: InferenceSession = InferenceSession(file, _options(), providers=["CPUExecutionProvider"])
            mixes_rows = _mixes_rows(file)
        except Exception as error:
            raise failure(f"no model in ONNX can be opened at {file.parent}: {error}") from error
        batch_tokens = 1 if mixes_rows else BATCH_TOKENS
        super().__init__(file, tokenizer, failure, max_tokens=max_tokens, batch_tokens=batch_tokens)
        self._inputs = [given.name for given in self._session.get_inputs()]
        outputs = [given.name for given in self._session.get_outputs()]
        self._output = output if output in outputs else outputs[0]
        if unknown := set(self._inputs) - {"input_ids", "attention_mask", "token_type_ids"}:
            raise failure(f"{file} wants {', '.join(sorted(unknown))}, which nothing here gives")

    def _forward(self, inputs: Mapping[str, NDArray[np.int64]]) -> NDArray[np.float32]:
        [output] = self._session.run([self._output], {name: inputs[name] for name in self._inputs})
        states: NDArray[np.float32] = output
        return states


def _options() -> SessionOptions:
    from onnxruntime import SessionOptions

    options = SessionOptions()
    options.log_severity_level = 3  # errors only; warnings about the graph would go to stderr
    options.intra_op_num_threads = min(MAX_THREADS, os.cpu_count() or 1)
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    return options


def _mixes_rows(file: Path) -> bool:
    """
    Whether a text's numbers depend on those beside it: a model that is quantised as it runs has one scale for a batch.
    """
    with file.open("rb") as opened:
        return b"DynamicQuantizeLinear" in opened.read(_GRAPH_BYTES)
