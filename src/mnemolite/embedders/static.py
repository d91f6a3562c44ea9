"""
The shipped model: a table of token vectors, summed by the square root of how often each token stands in the text.

    v = normalise(sum over tokens t of sqrt(tf_t) * E_t)

No transformer pass, so a query takes microseconds. A model is a folder: ``model.json`` (what it is, and the size and
SHA-256 of the other files), ``vocab.txt`` (a WordPiece vocabulary), ``vectors.npy`` (4 bits a component, the first half
of the dimensions in the low nibbles, the second in the high) and ``scales.npy`` (float16, one for each token).
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from mnemolite.embedders.manifest import Relevance, StoredFile, check_digests, check_sizes
from mnemolite.embedders.wordpiece import WordPiece
from mnemolite.errors import EmbedderUnavailable, InvalidInput
from mnemolite.types import Domain, ModelState, Role, Space, Text

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from mnemolite.types import Matrix, Vector

SHIPPED = Path(__file__).parent.parent / "model"
_ADVICE = "reinstall mnemolite"
_ZERO = 8  # the nibble that stands for 0


class Manifest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """``model.json``."""

    name: str
    dimension: int
    domain: Domain
    max_tokens: int
    licence: str
    relevance: Relevance
    files: dict[str, StoredFile]

    @property
    def space(self) -> Space:
        """Its fingerprint covers all that shapes a vector: the files' hashes, the dimension and the cut."""
        shape = [str(self.dimension), str(self.max_tokens), *(f"{n} {f.sha256}" for n, f in sorted(self.files.items()))]
        fingerprint = hashlib.sha256("\n".join(shape).encode()).hexdigest()[:16]
        return Space(
            domain=self.domain,
            model=self.name,
            dimension=self.dimension,
            fingerprint=fingerprint,
            moderate=self.relevance.moderate,
            high=self.relevance.high,
        )

    @property
    def size(self) -> int:
        """About what the loaded model takes, in bytes: its files, which are mapped or held as they are."""
        return sum(file.bytes for file in self.files.values())


class StaticEmbedder:
    """An :class:`~mnemolite.ports.Embedder`; making one opens its files."""

    def __init__(self, folder: Path = SHIPPED) -> None:
        import numpy as np

        self._manifest = read_manifest(folder)
        check_sizes(folder, self._manifest.files, _ADVICE)
        try:
            self._tokenize = WordPiece((folder / "vocab.txt").read_text("utf-8").split("\n"))
            # (tokens, dimension / 2); as a plain array, for a row of a memmap is a memmap and takes a microsecond more
            self._packed: NDArray[np.uint8] = np.asarray(np.load(folder / "vectors.npy", mmap_mode="r"))
            self._scales: Vector = np.load(folder / "scales.npy").astype(np.float32)  # (tokens,)
        except (OSError, ValueError) as error:
            raise EmbedderUnavailable(f"the embedding model at {folder} cannot be read: {error}") from error

    @property
    def space(self) -> Space:
        return self._manifest.space

    @property
    def state(self) -> ModelState:
        return ModelState(space=self.space, loaded=True, bytes=self._manifest.size)

    @property
    def max_tokens(self) -> int:
        return self._manifest.max_tokens

    def tokens(self, text: str) -> Sequence[int]:
        return self._tokenize(text)

    def embed(self, texts: Sequence[Text], role: Role) -> Matrix:
        import numpy as np

        rows = np.zeros((len(texts), self._manifest.dimension), np.float32)
        for row, text in zip(rows, texts, strict=True):
            ids = self._tokenize(text) if isinstance(text, str) else self._known(text)
            if ids:
                row[:] = self._pool(ids[: self._manifest.max_tokens])
        return rows

    def _known(self, ids: Sequence[int]) -> Sequence[int]:
        count = len(self._scales)
        if ids and not 0 <= min(ids) <= max(ids) < count:
            wrong = next(id for id in ids if not 0 <= id < count)
            raise InvalidInput(f"{wrong} is no token of {self.space.model}: its tokens are 0..{count - 1}")
        return ids

    def _pool(self, ids: Sequence[int]) -> Vector:
        import numpy as np

        counts = Counter(ids)
        rows = np.fromiter(counts, np.intp, len(counts))
        weights = np.sqrt(np.fromiter(counts.values(), np.float32, len(counts))) * self._scales[rows]
        packed = self._packed[rows]
        low, high = (packed & 15).astype(np.float32), (packed >> 4).astype(np.float32)
        vector: Vector = np.concatenate((weights @ low, weights @ high)) - _ZERO * weights.sum()
        length = float(np.sqrt(vector @ vector))
        return vector / length if length else vector


def read_manifest(folder: Path) -> Manifest:
    """
    What the model in *folder* is, without loading it.

    Raises:
        EmbedderUnavailable: there is none, or its manifest cannot be read.
    """
    try:
        return msgspec.json.decode((folder / "model.json").read_bytes(), type=Manifest)
    except (OSError, msgspec.MsgspecError) as error:
        raise EmbedderUnavailable(f"no embedding model at {folder}: {error}") from error


def verify(folder: Path) -> None:
    """
    Reads every file of the model and compares it with the manifest.

    Raises:
        EmbedderUnavailable: a file is missing or is not the one the manifest names.
    """
    check_digests(folder, read_manifest(folder).files, _ADVICE)
