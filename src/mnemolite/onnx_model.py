"""A transformer in ONNX and its tokenizer: what embedding models and cross-encoders have in common."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from mnemolite.errors import InvalidInput, MnemoError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from onnxruntime import InferenceSession, SessionOptions
    from tokenizers import Tokenizer

MAX_TOKENS = 512  # what most such models are trained with
BATCH_TOKENS = 2048  # with padding: what attention needs of memory grows with its square
# Padding costs as much as text: with it unbounded 32 short texts took 1.5 times the CPU, each by itself 1.2 times.
LEAST_PADDING = 16
PADDING_SHARE = 1 / 16
MAX_THREADS = 8
_PADDING = ("[PAD]", "<pad>")
_GRAPH_BYTES = 8 * 2**20  # the nodes of a graph stand before its weights


class Tokens(NamedTuple):
    """Of a text or a pair, with those that the model wants around it."""

    ids: Sequence[int]
    types: Sequence[int]  # 1 for those of a pair's second text


@dataclass(frozen=True)
class Batch:
    """Texts of like length, and what the model says of them."""

    places: list[int]  # of the texts among those given
    mask: NDArray[np.int64]  # (texts, longest), 0 for padding
    output: NDArray[np.float32]  # (texts, ...)


class OnnxModel:
    """
    The model in *file*, which takes ``input_ids`` and, if it likes, ``attention_mask`` and ``token_type_ids``.

    Whatever goes wrong is raised as *failure*. Thread-safe.
    """

    def __init__(
        self,
        file: Path,
        tokenizer: Path,
        failure: type[MnemoError],
        *,
        max_tokens: int | None = None,
        output: str = "",
    ) -> None:
        """
        Without *max_tokens* a text, or a pair, is cut to what the tokenizer says, at most MAX_TOKENS.

        *output* is the one that is read where there is one of that name, else the first.
        """
        try:
            from onnxruntime import InferenceSession
            from tokenizers import Tokenizer
        except ImportError as error:
            raise failure("a model in ONNX needs: pip install 'mnemolite[onnx]'") from error
        self._file = file
        self._failure = failure
        try:
            self._tokenizer: Tokenizer = Tokenizer.from_str(tokenizer.read_text("utf-8"))
            self._session: InferenceSession = InferenceSession(file, _options(), providers=["CPUExecutionProvider"])
            self._mixes_rows = _mixes_rows(file)
        except Exception as error:
            raise failure(f"no model in ONNX can be opened at {file.parent}: {error}") from error
        self._inputs = [given.name for given in self._session.get_inputs()]
        outputs = [given.name for given in self._session.get_outputs()]
        self._output = output if output in outputs else outputs[0]
        if unknown := set(self._inputs) - {"input_ids", "attention_mask", "token_type_ids"}:
            raise failure(f"{file} wants {', '.join(sorted(unknown))}, which nothing here gives")
        self._tokenizer.no_padding()  # that of MiniLM pads to 128
        cut = self._tokenizer.truncation
        self._cut = max_tokens or min(MAX_TOKENS, cut["max_length"] if cut else MAX_TOKENS)
        self._tokenizer.enable_truncation(self._cut)
        framed, bare = self.encode("a").ids, self.tokens("a")
        before = next((place for place in range(len(framed)) if framed[place : place + len(bare)] == bare), 0)
        self._frame = framed[:before], framed[before + len(bare) :]
        self._padding = next((id for t in _PADDING if (id := self._tokenizer.token_to_id(t)) is not None), 0)

    @property
    def max_tokens(self) -> int:
        """Of a text alone, without those around it."""
        return self._cut - sum(map(len, self._frame))

    def tokens(self, text: str) -> list[int]:
        """The ids of all tokens of *text* itself, also of those that a run would cut."""
        found = self._tokenizer.encode(_valid(text), add_special_tokens=False)
        return [id for part in (found, *found.overflowing) for id in part.ids]

    def encode(self, text: str, other: str | None = None) -> Tokens:
        """*text*, or a pair of texts, cut to what the model can take."""
        found = self._tokenizer.encode(_valid(text), None if other is None else _valid(other))
        return Tokens(found.ids, found.type_ids)

    def framed(self, ids: Sequence[int]) -> Tokens:
        """What *ids*, of :meth:`tokens`, are to the model, as :meth:`encode` gives it of their text."""
        count = self._tokenizer.get_vocab_size()
        if wrong := [id for id in ids if not 0 <= id < count]:
            raise InvalidInput(f"{wrong[0]} is no token of the model: its tokens are 0..{count - 1}")
        before, after = self._frame
        whole = [*before, *ids[: self.max_tokens], *after]
        return Tokens(whole, [0] * len(whole))

    def run(self, given: Sequence[Tokens]) -> Iterator[Batch]:
        """Every text is in one of the batches; what the model says of it does not depend on the others."""
        for places in self._batches([len(tokens.ids) for tokens in given]):
            chosen = [given[place] for place in places]
            mask = _table([[1] * len(tokens.ids) for tokens in chosen], 0)
            inputs = {
                "input_ids": _table([tokens.ids for tokens in chosen], self._padding),
                "attention_mask": mask,
                "token_type_ids": _table([tokens.types for tokens in chosen], 0),
            }
            try:
                [output] = self._session.run([self._output], {name: inputs[name] for name in self._inputs})
            except Exception as error:
                raise self._failure(f"the model at {self._file} failed: {error}") from error
            yield Batch(places, mask, output)

    def _batches(self, lengths: Sequence[int]) -> Iterator[list[int]]:
        batch: list[int] = []
        tokens = 0
        for place in sorted(range(len(lengths)), key=lengths.__getitem__):
            padded = (len(batch) + 1) * lengths[place]
            padding = padded - tokens - lengths[place]
            too_large = padded > BATCH_TOKENS or padding > max(LEAST_PADDING, tokens * PADDING_SHARE)
            if batch and (self._mixes_rows or too_large):
                yield batch
                batch, tokens = [], 0
            batch.append(place)
            tokens += lengths[place]
        if batch:
            yield batch


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


def _valid(text: str) -> str:
    """Half of a surrogate pair is no Unicode, and the tokenizer refuses it."""
    return text.encode("utf-8", "replace").decode()


def _table(rows: Sequence[Sequence[int]], padding: int) -> NDArray[np.int64]:
    """(rows, longest)"""
    import numpy as np

    table = np.full((len(rows), max(map(len, rows), default=0)), padding, np.int64)
    for filled, row in zip(table, rows, strict=True):
        filled[: len(row)] = row
    return table
