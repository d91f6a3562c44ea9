"""
A sentence-transformers model in ONNX, from a local folder.

The folder is what such models are published as: ``model.onnx`` or ``onnx/model.onnx``, ``tokenizer.json``, and files
that say how token vectors become one (``modules.json`` names them). Without those, their mean.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec

from mnemolite.embedders.static import Relevance
from mnemolite.errors import EmbedderUnavailable
from mnemolite.onnx_model import Batch, OnnxModel, Tokens
from mnemolite.types import Domain, ModelState, Role, Space, Text

if TYPE_CHECKING:
    from mnemolite.types import Matrix

FILES = ("model.onnx", "onnx/model.onnx")
RELEVANCE = "relevance.json"
MINILM = Relevance(high=0.47, moderate=0.36)  # as bench/relevance.py finds for all-MiniLM-L6-v2
_POOLED = "sentence_embedding"  # what an export with everything in its graph calls its output
_POOLINGS = {  # by the names of 1_Pooling/config.json; at unit length the root of the length makes no difference
    "pooling_mode_cls_token": "cls",
    "pooling_mode_mean_tokens": "mean",
    "pooling_mode_mean_sqrt_len_tokens": "mean",
    "pooling_mode_max_tokens": "max",
    "pooling_mode_lasttoken": "last",
}
_PROMPT_NAMES = {Role.QUERY: ("query",), Role.PASSAGE: ("document", "passage", "corpus")}

T = TypeVar("T")


class _Module(msgspec.Struct):
    """Of ``modules.json``."""

    type: str
    path: str


class _Sentences(msgspec.Struct):
    """``sentence_bert_config.json``."""

    max_seq_length: int | None = None
    do_lower_case: bool = False


class _Prompts(msgspec.Struct):
    """``config_sentence_transformers.json``."""

    prompts: dict[str, str | None] = {}
    default_prompt_name: str | None = None


class _Transformer(msgspec.Struct):
    """``config.json``."""

    hidden_size: int | None = None


@dataclass(frozen=True)
class Configuration:
    """What the model in a folder is, read without loading it."""

    name: str
    file: Path
    tokenizer: Path
    dimension: int
    pooling: str  # cls, mean, max or last
    max_tokens: int | None  # None: as the tokenizer says
    lower_case: bool
    prompts: dict[Role, str]
    relevance: Relevance

    @property
    def space(self) -> Space:
        """
        Its fingerprint covers the hashes of the model and the tokenizer, and all that shapes a vector besides.

        Reads the whole model: 0.2 s for 90 MB.

        Raises:
            EmbedderUnavailable: a file cannot be read.
        """
        shape = [str(self.dimension), self.pooling, str(self.max_tokens), str(self.lower_case)]
        shape += [f"{role} {prompt}" for role, prompt in sorted(self.prompts.items())]
        try:
            for file in (*sorted(self.file.parent.glob(f"{self.file.name}*")), self.tokenizer):
                with file.open("rb") as opened:
                    shape.append(f"{file.name} {hashlib.file_digest(opened, 'sha256').hexdigest()}")
        except OSError as error:
            raise EmbedderUnavailable(f"the embedding model {self.name} cannot be read: {error}") from error
        fingerprint = hashlib.sha256("\n".join(shape).encode()).hexdigest()[:16]
        return Space(
            domain=Domain.HYBRID,
            model=self.name,
            dimension=self.dimension,
            fingerprint=fingerprint,
            moderate=self.relevance.moderate,
            high=self.relevance.high,
        )

    @property
    def size(self) -> int:
        """About what the loaded model takes, in bytes: its files."""
        return sum(file.stat().st_size for file in self.file.parent.glob(f"{self.file.name}*"))


class OnnxEmbedder:
    """An :class:`~mnemolite.ports.Embedder`; making one loads the model."""

    def __init__(self, folder: Path) -> None:
        self._configuration = configuration = read_configuration(folder)
        self._prompts = configuration.prompts
        self._model = OnnxModel(
            configuration.file,
            configuration.tokenizer,
            EmbedderUnavailable,
            max_tokens=configuration.max_tokens,
            output=_POOLED,
        )

    @property
    def space(self) -> Space:
        return self._configuration.space

    @property
    def state(self) -> ModelState:
        return ModelState(space=self.space, loaded=True, bytes=self._configuration.size)

    @property
    def max_tokens(self) -> int:
        return self._model.max_tokens - max(len(self._model.tokens(prompt)) for prompt in self._prompts.values())

    def tokens(self, text: str) -> Sequence[int]:
        return self._model.tokens(self._cased(text))

    def embed(self, texts: Sequence[Text], role: Role) -> Matrix:
        import numpy as np

        rows = np.zeros((len(texts), self._configuration.dimension), np.float32)
        told = [place for place, text in enumerate(texts) if (text.strip() if isinstance(text, str) else text)]
        for batch in self._model.run([self._encoded(texts[place], role) for place in told]):
            rows[[told[place] for place in batch.places]] = self._pooled(batch)
        if not np.isfinite(rows).all():
            raise EmbedderUnavailable(f"the model at {self._configuration.file} gives figures that are not finite")
        rows /= np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-9)
        return rows

    def _encoded(self, text: Text, role: Role) -> Tokens:
        if isinstance(text, str):
            return self._model.encode(self._cased(self._prompts[role] + text))
        return self._model.framed([*self._model.tokens(self._cased(self._prompts[role])), *text])

    def _cased(self, text: str) -> str:
        return text.lower() if self._configuration.lower_case else text

    def _pooled(self, batch: Batch) -> Matrix:
        import numpy as np

        states, mask = batch.output, batch.mask
        if states.shape[-1] != self._configuration.dimension or states.ndim not in (2, 3):
            raise EmbedderUnavailable(
                f"{self._configuration.file} gives an output of shape {states.shape},"
                f" its configuration says {self._configuration.dimension} dimensions"
            )
        pooled: Matrix
        if states.ndim == 2:
            pooled = states
        elif self._configuration.pooling == "cls":
            pooled = states[:, 0]
        elif self._configuration.pooling == "last":
            pooled = states[np.arange(len(states)), mask.sum(1) - 1]
        elif self._configuration.pooling == "max":
            pooled = np.where(mask[:, :, None] == 1, states, -np.inf).max(1)
        else:
            pooled = np.einsum("ntd,nt->nd", states, mask.astype(np.float32)) / mask.sum(1, keepdims=True)
        return pooled


def model_file(folder: Path) -> Path | None:
    return next((folder / file for file in FILES if (folder / file).is_file()), None)


def read_configuration(folder: Path) -> Configuration:
    """
    Raises:
        EmbedderUnavailable: there is no model, or it needs what is not done here.
    """
    file = model_file(folder)
    if file is None:
        raise EmbedderUnavailable(f"no embedding model at {folder}: it has neither {' nor '.join(FILES)}")
    listed = _read(folder / "modules.json", list[_Module], [])
    modules = {module.type.rpartition(".")[2]: module.path for module in listed}
    if unknown := modules.keys() - {"Transformer", "Pooling", "Normalize"}:
        raise EmbedderUnavailable(
            f"the model at {folder} has a step {', '.join(sorted(unknown))}, which is not done here;"
            f" export it with its steps in the graph, as {_POOLED}"
        )
    home = folder / modules.get("Transformer", "")
    pooling = _read(folder / modules["Pooling"] / "config.json", dict[str, Any], {}) if "Pooling" in modules else {}
    sentences = _read(home / "sentence_bert_config.json", _Sentences, _Sentences())
    width = _read(home / "config.json", _Transformer, _Transformer()).hidden_size
    dimension = pooling.get("word_embedding_dimension") or pooling.get("embedding_dimension") or width
    if not isinstance(dimension, int) or dimension < 1:
        raise EmbedderUnavailable(f"the model at {folder} does not say its dimension: config.json lacks hidden_size")
    return Configuration(
        name=folder.resolve().name,
        file=file,
        tokenizer=home / "tokenizer.json",
        dimension=dimension,
        pooling=_pooling(folder, pooling),
        max_tokens=sentences.max_seq_length,
        lower_case=sentences.do_lower_case,
        prompts=_prompts(_read(folder / "config_sentence_transformers.json", _Prompts, _Prompts())),
        relevance=_read(folder / RELEVANCE, Relevance, MINILM),
    )


def _pooling(folder: Path, given: dict[str, Any]) -> str:
    chosen = {name for name, value in given.items() if name.startswith("pooling_mode_") and value is True}
    poolings = {_POOLINGS.get(name) for name in chosen} or {"mean"}
    [pooling, *more] = poolings
    if pooling is None or more:
        raise EmbedderUnavailable(f"the model at {folder} pools by {' and '.join(sorted(chosen))}, not done here")
    return pooling


def _prompts(given: _Prompts) -> dict[Role, str]:
    """Before each text; a model may want other words before a query than before a passage."""
    default = given.prompts.get(given.default_prompt_name or "") or ""
    return {
        role: next((prompt for name in names if (prompt := given.prompts.get(name)) is not None), default)
        for role, names in _PROMPT_NAMES.items()
    }


def _read(file: Path, type: type[T], absent: T) -> T:
    try:
        return msgspec.json.decode(file.read_bytes(), type=type)
    except FileNotFoundError:
        return absent
    except (OSError, msgspec.MsgspecError) as error:
        raise EmbedderUnavailable(f"{file} cannot be read: {error}") from error
