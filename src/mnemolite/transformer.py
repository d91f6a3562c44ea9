"""A transformer's tokenizer, and texts to batches: what its runtimes have in common."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from mnemolite.errors import InvalidInput, MnemoError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from tokenizers import Tokenizer

MAX_TOKENS = 512  # what most such models are trained with
BATCH_TOKENS = 2048  # with padding: what attention needs of memory grows with its square
# Padding costs as much as text: with it unbounded 32 short texts took 1.5 times the CPU, each by itself 1.2 times.
LEAST_PADDING = 16
PADDING_SHARE = 1 / 16
_PADDING = ("[PAD]", "<pad>")


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


class Transformer:
    """Whatever goes wrong is raised as *failure*. Thread-safe."""

    def __init__(
        self,
        file: Path,
        tokenizer: Path,
        failure: type[MnemoError],
        *,
        max_tokens: int | None = None,
        batch_tokens: int = BATCH_TOKENS,
        padding_share: float = PADDING_SHARE,
        step: int = 1,
    ) -> None:
        """
        Without *max_tokens* a text, or a pair, is cut to what the tokenizer says, at most MAX_TOKENS. *batch_tokens* is
        1 for a model that would mix the texts of a batch; *padding_share* bounds the padding in one, but for what makes
        lengths multiples of *step*.
        """
        from tokenizers import Tokenizer

        self._file = file
        self._failure = failure
        self._batch_tokens = batch_tokens
        self._padding_share = padding_share
        self._step = step
        try:
            self._tokenizer: Tokenizer = Tokenizer.from_str(tokenizer.read_text("utf-8"))
        except Exception as error:
            raise failure(f"no model can be opened at {file.parent}: {error}") from error
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
        for places, inputs in self.padded(given):
            try:
                output = self._forward(inputs)
            except Exception as error:
                raise self._failure(f"the model at {self._file} failed: {error}") from error
            yield Batch(places, inputs["attention_mask"], output)

    def padded(self, given: Sequence[Tokens]) -> Iterator[tuple[list[int], dict[str, NDArray[np.int64]]]]:
        """What makes up each batch: the places of its texts, and what the model takes of them."""
        for places in self._batches([len(tokens.ids) for tokens in given]):
            chosen = [given[place] for place in places]
            longest = -(-max(len(tokens.ids) for tokens in chosen) // self._step) * self._step
            yield (
                places,
                {
                    "input_ids": _table([tokens.ids for tokens in chosen], self._padding, longest),
                    "attention_mask": _table([[1] * len(tokens.ids) for tokens in chosen], 0, longest),
                    "token_type_ids": _table([tokens.types for tokens in chosen], 0, longest),
                },
            )

    @abstractmethod
    def _forward(self, inputs: Mapping[str, NDArray[np.int64]]) -> NDArray[np.float32]:
        """Of each text a vector for each of its tokens, or one for all."""

    def _batches(self, lengths: Sequence[int]) -> Iterator[list[int]]:
        """Texts of like length."""
        batch: list[int] = []
        tokens = 0
        for place in sorted(range(len(lengths)), key=lengths.__getitem__):
            padded = (len(batch) + 1) * lengths[place]
            padding = padded - tokens - lengths[place]
            allowed = max(LEAST_PADDING, tokens * self._padding_share)
            if batch and (padded > self._batch_tokens or padding > allowed):
                yield batch
                batch, tokens = [], 0
            batch.append(place)
            tokens += lengths[place]
        if batch:
            yield batch


def _valid(text: str) -> str:
    """Half of a surrogate pair is no Unicode, and the tokenizer refuses it."""
    return text.encode("utf-8", "replace").decode()


def _table(rows: Sequence[Sequence[int]], padding: int, longest: int) -> NDArray[np.int64]:
    """(rows, longest)"""
    import numpy as np

    table = np.full((len(rows), longest), padding, np.int64)
    for filled, row in zip(table, rows, strict=True):
        filled[: len(row)] = row
    return table
