"""The blocks and the two vector backends, against a scan in plain NumPy."""

from __future__ import annotations

import sys
import tracemalloc
from pathlib import Path

import apsw
import numpy as np
import pytest
from numpy.typing import NDArray

from mnemolite import ram
from mnemolite.errors import InvalidInput, StoreUnavailable
from mnemolite.stores import sqlite_vectors
from mnemolite.stores.sqlite import SqliteStore, VectorBackend
from mnemolite.types import Chunk, Document, Domain, Indexed, Kind, Scope, Space

DIMENSION = 96
SPACE = Space(domain=Domain.HYBRID, model="synthetic", dimension=DIMENSION, fingerprint="1")
PER_DOCUMENT = 1000

Matrix = NDArray[np.float32]


def clustered(count: int, seed: int, dimension: int = DIMENSION) -> Matrix:
    rng = np.random.default_rng(seed)
    centres = np.random.default_rng(0).standard_normal((200, dimension))
    rows = centres[rng.integers(0, 200, count)] + 0.8 * rng.standard_normal((count, dimension))
    unit: Matrix = (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)
    return unit


def document(number: int, matrix: Matrix, space: Space = SPACE) -> Indexed:
    """Chunk i of document n has the text "n/i"."""
    path = f"{number}.py"
    return Indexed(
        document=Document(source="s", path=path, digest="", language="python", size=0, mtime_ns=0),
        chunks=tuple(
            Chunk(
                source="s",
                path=path,
                language="python",
                kind=Kind.LINES,
                text=f"{number}/{i}",
                first_line=1,
                last_line=1,
            )
            for i in range(len(matrix))
        ),
        digests=(b"",) * len(matrix),
        vectors={space: matrix},
    )


def filled(matrix: Matrix, path: Path | None = None, backend: VectorBackend = "numpy") -> SqliteStore:
    """Chunk ids are row numbers plus 1."""
    store = SqliteStore(path, vector_backend=backend)
    store.put(
        document(number, matrix[start : start + PER_DOCUMENT])
        for number, start in enumerate(range(0, len(matrix), PER_DOCUMENT))
    )
    return store


def exact(matrix: Matrix, query: Matrix, limit: int = 10) -> set[int]:
    return set((np.argsort(-(matrix @ query))[:limit] + 1).tolist())


def found(store: SqliteStore, query: Matrix, scope: Scope = Scope(), limit: int = 10) -> set[int]:
    return {id for id, _ in store.nearest(SPACE, query, scope, limit)}


def recall(store: SqliteStore, matrix: Matrix, queries: Matrix) -> float:
    return float(np.mean([len(found(store, query) & exact(matrix, query)) / 10 for query in queries]))


def test_at_rest_nothing_is_kept_that_can_be_read_again(tmp_path: Path) -> None:
    matrix = clustered(3000, seed=1)
    store = filled(matrix, tmp_path / "memory.db")
    ram.give_back()
    tracemalloc.start()
    try:
        answers = [store.nearest(SPACE, matrix[7], Scope(), limit=10) for _ in range(5)]
        python, sqlite = tracemalloc.get_traced_memory()[0], apsw.memory_used()
        ram.give_back()
        assert python - tracemalloc.get_traced_memory()[0] > matrix.nbytes
        assert sqlite - apsw.memory_used() > matrix.nbytes / 2  # as it is stored
    finally:
        tracemalloc.stop()
    assert store.nearest(SPACE, matrix[7], Scope(), limit=10) == answers[0]


def test_signs_and_rescoring_find_97_of_100_of_the_exact_ten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sqlite_vectors, "MATRIX_BYTES", 0)
    matrix = clustered(9000, seed=1)
    store = filled(matrix)
    assert recall(store, matrix, clustered(40, seed=2)) >= 0.97
    store.close()


def test_a_process_that_keeps_asking_gets_exact_answers() -> None:
    matrix = clustered(5000, seed=1)
    store = filled(matrix)
    queries = clustered(20, seed=2)
    recall(store, matrix, queries[:5])
    assert recall(store, matrix, queries[5:]) == 1.0
    store.put([document(99, queries[:1])])
    assert 5001 in found(store, queries[0])
    store.drop("s", ["99.py"])
    assert 5001 not in found(store, queries[0])
    store.close()


def test_a_change_by_another_process_is_seen(tmp_path: Path) -> None:
    matrix = clustered(3000, seed=1)
    reader, writer = filled(matrix, tmp_path / "m.db"), SqliteStore(tmp_path / "m.db")
    for _ in range(6):
        assert found(reader, matrix[0], limit=1) == {1}
    writer.drop("s", ["0.py"])
    assert found(reader, matrix[0], limit=1) != {1}
    writer.close()
    reader.close()


def test_sqlite_vec_and_numpy_agree(tmp_path: Path) -> None:
    matrix = clustered(3000, seed=1)
    numpy = filled(matrix, tmp_path / "m.db")
    extension = SqliteStore(tmp_path / "m.db", vector_backend="sqlite-vec")
    assert extension.stats().vector_backend == "sqlite-vec"
    for query in clustered(10, seed=2):
        for scope in (Scope(), Scope(paths=("1.py",)), Scope(paths=("none",))):
            ours, theirs = (dict(s.nearest(SPACE, query, scope, 10)) for s in (numpy, extension))
            assert len(ours.keys() & theirs.keys()) >= 0.9 * len(ours)
            assert sorted(ours.values()) == pytest.approx(sorted(theirs.values()), abs=1e-3)
    numpy.drop("s", ["1.py"])
    assert found(extension, matrix[1500]) == found(numpy, matrix[1500])
    numpy.clear()
    assert found(extension, matrix[0]) == set()
    numpy.close()
    extension.close()


def test_more_hits_than_sqlite_vec_can_give_are_no_error(tmp_path: Path) -> None:
    store = filled(clustered(5000, seed=1), tmp_path / "m.db", "sqlite-vec")
    assert len(found(store, clustered(1, seed=2)[0], limit=5000)) == 4096
    store.close()


def test_a_missing_extension_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sqlite_vec", None)
    with pytest.raises(InvalidInput, match=r"mnemolite\[sqlite-vec\]"):
        SqliteStore(None, vector_backend="sqlite-vec")


@pytest.mark.parametrize("dimension", [1, 7, 64, 65, 300])
def test_any_dimension_has_bits(dimension: int) -> None:
    space = Space(domain=Domain.HYBRID, model="odd", dimension=dimension, fingerprint="1")
    matrix = clustered(2500, seed=1, dimension=dimension)
    store = SqliteStore(None)
    store.put([document(0, matrix, space)])
    assert store.check() == []
    [(best, score)] = store.nearest(space, matrix[17], Scope(), 1)
    assert score == pytest.approx(1, abs=1e-3)
    assert dimension == 1 or best == 18
    store.close()


def test_what_is_stored_is_as_near_as_int16_allows() -> None:
    matrix = clustered(100, seed=1)
    store = filled(matrix)
    for id in range(1, 101):
        vector = store.vector(SPACE, id)
        assert vector is not None
        assert np.abs(vector - matrix[id - 1]).max() <= 0.5 / 32767 + 1e-7
    store.close()


def test_endless_updates_reuse_the_places_of_a_block(tmp_path: Path) -> None:
    store = filled(clustered(1000, seed=1), tmp_path / "m.db")
    store.put([document(0, clustered(1000, seed=2))])
    before = store.stats().bytes_on_disk
    for seed in range(20):
        store.put([document(0, clustered(1000, seed=seed))])
    store.close()
    store = SqliteStore(tmp_path / "m.db")
    assert store.check() == []
    assert store.stats().bytes_on_disk <= before * 1.5
    store.close()


def test_blocks_that_are_mostly_free_are_merged(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sqlite_vectors, "BLOCK", 64)
    matrix = clustered(3000, seed=1)
    store = SqliteStore(None)
    store.put(document(number, matrix[number::100]) for number in range(100))
    store.drop("s", [f"{number}.py" for number in range(100) if number % 10])
    assert store.check() == []
    assert len(found(store, matrix[0], limit=1000)) == 300
    store.close()


def test_a_damaged_block_is_reported(tmp_path: Path) -> None:
    import apsw

    store = filled(clustered(2500, seed=1), tmp_path / "m.db")
    store.close()
    connection = apsw.Connection(str(tmp_path / "m.db"))
    connection.execute("UPDATE blocks SET bits = x'00'")
    connection.close()
    store = SqliteStore(tmp_path / "m.db")
    with pytest.raises(StoreUnavailable, match=r"damaged.*mnemolite index rebuild"):
        store.nearest(SPACE, clustered(1, seed=2)[0], Scope(), 10)
    store.close()
