"""
What a model in ONNX is, and how it is to be asked.

Its folder is what such models are published as: ``model.onnx`` or ``onnx/model.onnx``, ``tokenizer.json``, and files
that say how token vectors become one (``modules.json`` names them). Without those, their mean. Where a model was added,
a manifest stands beside them, ``mnemolite.json``: it says all that, and the size and SHA-256 of each file.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, TypeVar

import msgspec

from mnemolite.embedders.manifest import Relevance, StoredFile, describe
from mnemolite.errors import EmbedderUnavailable
from mnemolite.transformer import MAX_TOKENS
from mnemolite.types import Domain, ModelState, Role, Space

FILES = ("model.onnx", "onnx/model.onnx")
WEIGHTS = "model.safetensors"  # for torch, where there is no model in ONNX
RELEVANCE = "relevance.json"
MANIFEST = "mnemolite.json"
ADVICE = "add it again with 'mnemolite models add'"
MINILM = Relevance(high=0.47, moderate=0.36)  # as bench/relevance.py finds for all-MiniLM-L6-v2
POOLED = "sentence_embedding"  # what an export with everything in its graph calls its output
Pooling = Literal["cls", "mean", "max", "last"]
_POOLINGS: dict[str, Pooling] = {  # at unit length the root of the length makes no difference
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
    n_embd: int | None = None  # the same, of some
    max_position_embeddings: int | None = None
    n_positions: int | None = None  # the same, of some

    def max_tokens(self, told: int | None) -> int | None:
        """What is *told*, or fewer where the model has no place for as many."""
        places = self.max_position_embeddings or self.n_positions
        return places if places and places < (told or MAX_TOKENS) else told


@dataclass(frozen=True, kw_only=True)
class Configuration:
    """Files are named as seen from the model's folder."""

    name: str
    model: str
    tokenizer: str
    dimension: int
    width: int  # of what the model gives: more than the dimension where that is cut
    pooling: Pooling
    max_tokens: int | None  # None: as the tokenizer says
    lower_case: bool
    prompts: dict[Role, str]
    relevance: Relevance
    centred: bool = False  # before it is cut
    source: str = ""
    licence: str = ""
    files: dict[str, StoredFile] = field(default_factory=dict)  # empty: nobody has recorded them


def space_of(folder: Path, configuration: Configuration) -> Space:
    """
    Its fingerprint covers the hashes of the model and the tokenizer, and all that shapes a vector besides.

    Reads the whole model where its files are not recorded: 0.2 s for 90 MB.

    Raises:
        EmbedderUnavailable: a file cannot be read.
    """
    c = configuration
    shape = [str(c.dimension), c.pooling, str(c.max_tokens), str(c.lower_case)]
    shape += [f"{role} {prompt}" for role, prompt in sorted(c.prompts.items())]
    if c.dimension != c.width:
        shape.append(f"cut, centred {c.centred}")
    try:
        files = c.files or {name: describe(folder / name) for name in shaping_files(folder, c)}
    except OSError as error:
        raise EmbedderUnavailable(f"the embedding model {c.name} cannot be read: {error}") from error
    shape += [f"{Path(name).name} {file.sha256}" for name, file in files.items()]
    fingerprint = hashlib.sha256("\n".join(shape).encode()).hexdigest()[:16]
    return Space(
        domain=Domain.HYBRID,
        model=c.name,
        dimension=c.dimension,
        fingerprint=fingerprint,
        moderate=c.relevance.moderate,
        high=c.relevance.high,
    )


def size_of(folder: Path, configuration: Configuration) -> int:
    """About what the loaded model takes, in bytes: its files."""
    return sum((folder / name).stat().st_size for name in shaping_files(folder, configuration))


class Described:
    """What of a model in *folder* is known without running it."""

    def __init__(self, folder: Path, configuration: Configuration) -> None:
        self._folder = folder
        self._configuration = configuration

    @property
    def space(self) -> Space:
        return space_of(self._folder, self._configuration)

    @property
    def state(self) -> ModelState:
        return ModelState(space=self.space, loaded=True, bytes=size_of(self._folder, self._configuration))


def shaping_files(folder: Path, configuration: Configuration) -> list[str]:
    """The model, with the weights that may lie beside it, and the tokenizer."""
    model = Path(configuration.model)
    parts = sorted((folder / model).parent.glob(f"{model.name}*"))
    parts += [folder / "config.json"] if model.name == WEIGHTS else []
    return [*(part.relative_to(folder).as_posix() for part in parts), configuration.tokenizer]


def model_file(folder: Path) -> Path | None:
    return next((folder / file for file in (*FILES, WEIGHTS) if (folder / file).is_file()), None)


def read_configuration(folder: Path) -> Configuration:
    """
    What the model in *folder* is, without loading it: as its manifest says, else as its other files do.

    Raises:
        EmbedderUnavailable: there is no model, or it needs what is not done here.
    """
    if (folder / MANIFEST).is_file():
        return _read(folder / MANIFEST, Configuration)
    file = model_file(folder)
    if file is None:
        raise EmbedderUnavailable(f"no embedding model at {folder}: it has neither {' nor '.join((*FILES, WEIGHTS))}")
    listed = _read(folder / "modules.json", list[_Module], [])
    modules = {module.type.rpartition(".")[2]: module.path for module in listed}
    if unknown := modules.keys() - {"Transformer", "Pooling", "Normalize"}:
        raise EmbedderUnavailable(
            f"the model at {folder} has a step {', '.join(sorted(unknown))}, which is not done here;"
            f" export it with its steps in the graph, as {POOLED}"
        )
    home = folder / modules.get("Transformer", "")
    pooling = _read(folder / modules["Pooling"] / "config.json", dict[str, Any], {}) if "Pooling" in modules else {}
    sentences = _read(home / "sentence_bert_config.json", _Sentences, _Sentences())
    transformer = _read(home / "config.json", _Transformer, _Transformer())
    width = transformer.hidden_size or transformer.n_embd
    dimension = pooling.get("word_embedding_dimension") or pooling.get("embedding_dimension") or width
    if not isinstance(dimension, int) or dimension < 1:
        raise EmbedderUnavailable(f"the model at {folder} does not say its dimension: config.json lacks hidden_size")
    return Configuration(
        name=folder.resolve().name,
        model=file.relative_to(folder).as_posix(),
        tokenizer=(home / "tokenizer.json").relative_to(folder).as_posix(),
        dimension=dimension,
        width=dimension,
        pooling=_pooling(folder, pooling),
        max_tokens=transformer.max_tokens(sentences.max_seq_length),
        lower_case=sentences.do_lower_case,
        prompts=_prompts(_read(folder / "config_sentence_transformers.json", _Prompts, _Prompts())),
        relevance=_read(folder / RELEVANCE, Relevance, MINILM),
    )


def write_descriptions(folder: Path, configuration: Configuration) -> None:
    """What :func:`read_configuration` reads where there is no manifest; of a cut of the vectors they say nothing."""
    prompts = {names[0]: configuration.prompts[role] for role, names in _PROMPT_NAMES.items()}
    steps = {"Transformer": "", "Pooling": "1_Pooling", "Normalize": "2_Normalize"}
    described: dict[str, Any] = {
        "modules.json": [
            {"idx": place, "name": str(place), "path": path, "type": f"sentence_transformers.models.{name}"}
            for place, (name, path) in enumerate(steps.items())
        ],
        "1_Pooling/config.json": {
            "word_embedding_dimension": configuration.width,
            **{name: pooling == configuration.pooling for name, pooling in _POOLINGS.items() if "sqrt" not in name},
        },
        "sentence_bert_config.json": _Sentences(configuration.max_tokens, configuration.lower_case),
        "config_sentence_transformers.json": _Prompts({name: prompt for name, prompt in prompts.items() if prompt}),
        RELEVANCE: configuration.relevance,
    }
    for name, value in described.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_bytes(msgspec.json.format(msgspec.json.encode(value)) + b"\n")


def _pooling(folder: Path, given: dict[str, Any]) -> Pooling:
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


def _read(file: Path, type: type[T], absent: T | None = None) -> T:
    try:
        return msgspec.json.decode(file.read_bytes(), type=type)
    except FileNotFoundError as error:
        if absent is None:
            raise EmbedderUnavailable(f"{file} is missing") from error
        return absent
    except (OSError, msgspec.MsgspecError) as error:
        raise EmbedderUnavailable(f"{file} cannot be read: {error}") from error
