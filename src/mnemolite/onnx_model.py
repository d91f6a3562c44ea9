"""A transformer in ONNX and its tokenizer: what embedding models and cross-encoders have in common."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from mnemolite.errors import MnemoError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from onnxruntime import InferenceSession, SessionOptions
    from tokenizers import Encoding, Tokenizer

MAX_TOKENS = 512  # what most such models are trained with
BATCH_TOKENS = 2048  # with padding: what attention needs of memory grows with its square
MAX_THREADS = 8
_PADDING = ("[PAD]", "<pad>")
_GRAPH_BYTES = 8 * 2**20  # the nodes of a graph stand before its weights


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
        self._tokenizer.enable_truncation(max_tokens or min(MAX_TOKENS, cut["max_length"] if cut else MAX_TOKENS))
        self._padding = next((id for t in _PADDING if (id := self._tokenizer.token_to_id(t)) is not None), 0)

    def encode(self, text: str, other: str | None = None) -> Encoding:
        """*text*, or a pair of texts, as tokens."""
        return self._tokenizer.encode(text, other)

    def run(self, encodings: Sequence[Encoding]) -> Iterator[Batch]:
        """Every text is in one of the batches; what the model says of it does not depend on the others."""
        for places in self._batches([len(encoding) for encoding in encodings]):
            chosen = [encodings[place] for place in places]
            inputs = {
                "input_ids": _table([encoding.ids for encoding in chosen], self._padding),
                "attention_mask": _table([encoding.attention_mask for encoding in chosen], 0),
                "token_type_ids": _table([encoding.type_ids for encoding in chosen], 0),
            }
            try:
                [output] = self._session.run([self._output], {name: inputs[name] for name in self._inputs})
            except Exception as error:
                raise self._failure(f"the model at {self._file} failed: {error}") from error
            yield Batch(places, inputs["attention_mask"], output)

    def _batches(self, lengths: Sequence[int]) -> Iterator[list[int]]:
        batch: list[int] = []
        for place in sorted(range(len(lengths)), key=lengths.__getitem__):
            if batch and (self._mixes_rows or (len(batch) + 1) * lengths[place] > BATCH_TOKENS):
                yield batch
                batch = []
            batch.append(place)
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


def _table(rows: Sequence[Sequence[int]], padding: int) -> NDArray[np.int64]:
    """(rows, longest)"""
    import numpy as np

    table = np.full((len(rows), max(map(len, rows), default=0)), padding, np.int64)
    for filled, row in zip(table, rows, strict=True):
        filled[: len(row)] = row
    return table
