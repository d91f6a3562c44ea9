"""
Vectors in SQLite, searched with NumPy.

The truth is a table per space, ``vectors_<id>(chunk, block, vector)``: a component times 32,767 as int16. For vectors
of unit length that is finer than float16 in the same two bytes (error 1.5e-5 against 6.1e-5) and converts 15 times
faster.

For the search each vector's signs stand in a block of 4,096: an XOR and a popcount per 64 dimensions give candidates,
which are then scored exactly. Free places of a block have chunk 0. A zero vector is kept, so that its passage need not
be embedded again, but it is empty, stands in no block and is never found.
"""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import apsw
import numpy as np
from numpy.typing import NDArray

from mnemolite import ram
from mnemolite.stores.sqlite_connection import fetch
from mnemolite.stores.sqlite_spaces import StoredSpace
from mnemolite.stores.vectors import unit_rows
from mnemolite.types import Ranking, Space

if TYPE_CHECKING:
    from mnemolite.types import Matrix, Vector

Ids = NDArray[np.int64]
Rows = NDArray[np.int16]  # (n, dimension)
Bits = NDArray[np.uint64]  # (words, n): a column per vector, so that whole rows are added at once

BLOCK = 4096
SCALE = np.float32(32767)
CANDIDATES = 500  # rescored exactly: recall@10 is .992 to .996 on 50,000 to 500,000 vectors of real code
CANDIDATES_LOW_DIMENSION = 1000  # up to 256 dimensions, where 500 give .976 and 1,000 give .994
CANDIDATES_PER_HIT = 4
EXACT_ROWS = 2000  # scoring so few exactly costs no more than choosing candidates
MATRIX_BYTES = 32 * 2**20  # float32 copy kept by a process that asks again
MATRIX_AFTER_QUERIES = 3
FAR = np.uint16(65535)


@dataclass(frozen=True)
class Block:
    id: int
    changed: int
    chunks: Ids  # (BLOCK,)
    bits: Bits  # (words, BLOCK)


@dataclass
class Snapshot:
    """What a process holds of a space in memory, at one state of its vectors."""

    changed: int
    blocks: list[Block]
    chunks: Ids  # of all blocks, one after the other
    rows: int  # places that are not free
    queries: int = 0
    matrix_chunks: Ids = field(default_factory=lambda: np.empty(0, np.int64))  # ascending
    matrix: Matrix | None = None


class NumpyVectors:
    """Ranks the vectors of a store; keeps what it read for the next query. Thread-safe."""

    name = "numpy"

    def __init__(self) -> None:
        self._held: dict[int, Snapshot] = {}
        self._lock = threading.Lock()
        ram.watch(self)

    def let_go(self) -> None:
        self._held = {}

    def nearest(
        self, connection: apsw.Connection, stored: StoredSpace, query: Vector, allowed: Ids | None, limit: int
    ) -> Ranking:
        """Chunks of *allowed* (None: all) by cosine with *query*, a unit vector."""
        held = self._held.get(stored.id)
        in_memory = held is not None and held.changed == stored.changed and held.matrix is not None
        if allowed is not None and len(allowed) <= EXACT_ROWS and not in_memory:
            return _score_stored(connection, stored, allowed, query, limit)
        snapshot = self._snapshot(connection, stored)
        live = snapshot.chunks != 0
        if allowed is not None:
            live &= _among(snapshot.chunks, allowed)
        candidates = snapshot.chunks[live]
        if len(candidates) > EXACT_ROWS:
            candidates = _candidates(snapshot, query, live, _wanted(len(query), limit))
        if snapshot.matrix is not None:
            return _score_matrix(snapshot, candidates, query, limit)
        return _score_stored(connection, stored, candidates, query, limit)

    def _snapshot(self, connection: apsw.Connection, stored: StoredSpace) -> Snapshot:
        with self._lock:
            held = self._held.get(stored.id)
            if held is None or held.changed != stored.changed:
                held = _read_snapshot(connection, stored, held)
                self._held = {stored.id: held} | {i: s for i, s in self._held.items() if i != stored.id}
            held.queries += 1
            if held.matrix is None and held.queries > MATRIX_AFTER_QUERIES:
                _keep_matrix(connection, stored, held)
            return held


def quantise(matrix: Matrix, space: Space, count: int) -> Rows:
    """The rows at unit length, as stored."""
    rows: Rows = np.rint(unit_rows(matrix, space, count, float(SCALE))).astype(np.int16)
    return rows


def restore(blob: bytes | memoryview, dimension: int) -> Vector:
    if not blob:
        return np.zeros(dimension, np.float32)
    return np.frombuffer(blob, np.int16).astype(np.float32) / SCALE


def add(connection: apsw.Connection, space: int, chunks: Ids, rows: Rows, change: int) -> None:
    """Stores *rows* of *chunks*, none of which has a vector in this space yet."""
    blocks = np.zeros(len(chunks), np.int64)
    live = np.flatnonzero(rows.any(axis=1))
    stored = [b""] * len(chunks)  # a zero vector takes no room
    for place in live:
        stored[place] = rows[place].tobytes()
    blocks[live] = _place(connection, space, chunks[live], signs(rows[live]), change)
    connection.executemany(
        f"INSERT INTO vectors_{space} VALUES (?, nullif(?, 0), ?)",
        zip(chunks.tolist(), blocks.tolist(), stored, strict=True),
    )


def remove(connection: apsw.Connection, space: int, chunks: Ids, change: int) -> None:
    """Forgets the vectors of *chunks*; a chunk without one is ignored."""
    if not len(chunks):
        return
    wanted = apsw.carray(chunks)
    by_block: dict[int, list[int]] = defaultdict(list)
    standing = f"SELECT block, chunk FROM vectors_{space} WHERE block IS NOT NULL AND chunk IN carray(?)"
    for number, chunk in fetch(connection, standing, (wanted,)):
        by_block[number].append(chunk)
    for number, gone in by_block.items():
        block = _read_block(connection, number)
        block.chunks[np.isin(block.chunks, gone)] = 0
        _write_block(connection, block, change)
    connection.execute(f"DELETE FROM vectors_{space} WHERE chunk IN carray(?)", (wanted,))
    _compact(connection, space, change)


def read_all(connection: apsw.Connection, stored: StoredSpace) -> tuple[list[Block], Ids, Rows]:
    """Blocks by id, and the vectors that should stand in them."""
    blocks = _read_snapshot(connection, stored, None).blocks
    return blocks, *_read_rows(connection, stored, "block IS NOT NULL", ())


def signs(rows: Rows | Matrix) -> Bits:
    """A bit per component that is greater than 0, padded to whole words."""
    packed = np.packbits(rows > 0, axis=1)
    padded = np.zeros((len(rows), -(-packed.shape[1] // 8) * 8), np.uint8)
    padded[:, : packed.shape[1]] = packed
    return np.ascontiguousarray(padded.view(np.uint64).T)


def _place(connection: apsw.Connection, space: int, chunks: Ids, bits: Bits, change: int) -> Ids:
    """Puts columns of *bits* into free places, opening new blocks as needed; gives the block of each."""
    blocks = np.empty(len(chunks), np.int64)
    partly_free = fetch(connection, "SELECT id FROM blocks WHERE space = ? AND used < ?", (space, BLOCK))
    done = 0
    while done < len(chunks):
        block = _read_block(connection, partly_free.pop()[0]) if partly_free else _new_block(connection, space, bits)
        free = np.flatnonzero(block.chunks == 0)[: len(chunks) - done]
        part = slice(done, done + len(free))
        block.chunks[free] = chunks[part]
        block.bits[:, free] = bits[:, part]
        _write_block(connection, block, change)
        blocks[part] = block.id
        done = part.stop
    return blocks


def _new_block(connection: apsw.Connection, space: int, bits: Bits) -> Block:
    connection.execute("INSERT INTO blocks (space, used, changed, chunks, bits) VALUES (?, 0, 0, x'', x'')", (space,))
    chunks = np.zeros(BLOCK, np.int64)
    return Block(connection.last_insert_rowid(), 0, chunks, np.zeros((len(bits), BLOCK), np.uint64))


def _read_block(connection: apsw.Connection, id: int) -> Block:
    [row] = fetch(connection, "SELECT id, changed, chunks, bits FROM blocks WHERE id = ?", (id,))
    return _block(*row)


def _block(id: int, changed: int, chunks: bytes, bits: bytes) -> Block:
    if len(chunks) != BLOCK * 8 or len(bits) % (BLOCK * 8):
        raise apsw.CorruptError(f"block {id} has {len(chunks)} + {len(bits)} bytes")
    # bytearray: a block that was read is also changed in place
    return Block(
        id,
        changed,
        np.frombuffer(bytearray(chunks), np.int64),
        np.frombuffer(bytearray(bits), np.uint64).reshape(-1, BLOCK),
    )


def _write_block(connection: apsw.Connection, block: Block, change: int) -> None:
    used = int(np.count_nonzero(block.chunks))
    if used == 0:
        connection.execute("DELETE FROM blocks WHERE id = ?", (block.id,))
    else:
        connection.execute(
            "UPDATE blocks SET used = ?, changed = ?, chunks = ?, bits = ? WHERE id = ?",
            (used, change, block.chunks.tobytes(), block.bits.tobytes(), block.id),
        )


def _compact(connection: apsw.Connection, space: int, change: int) -> None:
    """Moves everything to new blocks when more than half of at least four are free."""
    [(count, used)] = fetch(connection, "SELECT count(*), total(used) FROM blocks WHERE space = ?", (space,))
    if count < 4 or used * 2 >= count * BLOCK:
        return
    numbers = fetch(connection, "SELECT id FROM blocks WHERE space = ?", (space,))
    old = [_read_block(connection, number) for (number,) in numbers]
    connection.execute("DELETE FROM blocks WHERE space = ?", (space,))
    chunks = np.concatenate([block.chunks for block in old])
    live = chunks != 0
    bits = np.concatenate([block.bits for block in old], axis=1)[:, live]
    blocks = _place(connection, space, chunks[live], bits, change)
    connection.executemany(
        f"UPDATE vectors_{space} SET block = ? WHERE chunk = ?",
        zip(blocks.tolist(), chunks[live].tolist(), strict=True),
    )


def _read_snapshot(connection: apsw.Connection, stored: StoredSpace, held: Snapshot | None) -> Snapshot:
    """Reads the blocks that have changed since *held*."""
    known = {(block.id, block.changed): block for block in held.blocks} if held else {}
    present = fetch(connection, "SELECT id, changed FROM blocks WHERE space = ? ORDER BY id", (stored.id,))
    blocks = [known.get((number, changed)) or _read_block(connection, number) for number, changed in present]
    chunks = np.concatenate([block.chunks for block in blocks]) if blocks else np.empty(0, np.int64)
    return Snapshot(stored.changed, blocks, chunks, int(np.count_nonzero(chunks)))


def _keep_matrix(connection: apsw.Connection, stored: StoredSpace, snapshot: Snapshot) -> None:
    dimension = stored.space.dimension
    if snapshot.rows * dimension * 4 > MATRIX_BYTES:
        return
    chunks, rows = _read_rows(connection, stored, "block IS NOT NULL", ())
    order = np.argsort(chunks)
    snapshot.matrix_chunks = chunks[order]
    snapshot.matrix = rows[order].astype(np.float32) / SCALE


def _candidates(snapshot: Snapshot, query: Vector, live: NDArray[np.bool_], wanted: int) -> Ids:
    """Chunks whose signs agree best with those of *query*."""
    signs_of_query = signs(query[None, :])
    distances = np.empty(len(snapshot.chunks), np.uint16)
    for i, block in enumerate(snapshot.blocks):
        part = distances[i * BLOCK : (i + 1) * BLOCK]
        np.add.reduce(np.bitwise_count(block.bits ^ signs_of_query), axis=0, dtype=np.uint16, out=part)
    distances[~live] = FAR
    # a histogram is five times faster than a partial sort: there are few different distances
    reached = np.cumsum(np.bincount(distances, minlength=1))
    furthest = np.searchsorted(reached, min(wanted, int(np.count_nonzero(live))))
    return snapshot.chunks[distances <= furthest]


def _wanted(dimension: int, limit: int) -> int:
    least = CANDIDATES_LOW_DIMENSION if dimension <= 256 else CANDIDATES
    return max(least, limit * CANDIDATES_PER_HIT)


def _among(chunks: Ids, allowed: Ids) -> NDArray[np.bool_]:
    table = np.zeros(int(max(chunks.max(initial=0), allowed.max(initial=0))) + 1, np.bool_)
    table[allowed] = True
    return table[chunks]


def _score_stored(connection: apsw.Connection, stored: StoredSpace, chunks: Ids, query: Vector, limit: int) -> Ranking:
    if not len(chunks):
        return []
    found, rows = _read_rows(
        connection, stored, "block IS NOT NULL AND chunk IN carray(?)", (apsw.carray(np.ascontiguousarray(chunks)),)
    )
    return _best(found, _products(rows.astype(np.float32), query) / SCALE, limit)


def _score_matrix(snapshot: Snapshot, chunks: Ids, query: Vector, limit: int) -> Ranking:
    # the few rows alone, though the whole matrix would be exact: reading 15 MB costs a millisecond, and all that the
    # caches of the processor held for the rest of the search
    assert snapshot.matrix is not None
    rows = snapshot.matrix[np.searchsorted(snapshot.matrix_chunks, chunks)]
    return _best(chunks, _products(rows, query), limit)


def _products(matrix: Matrix, query: Vector) -> Vector:
    # einsum, not @: as fast on one core (3.3 ms for 21,000 x 384), and BLAS would start a thread per core for it
    products: Vector = np.einsum("ij,j->i", matrix, query)
    return products


def _best(chunks: Ids, scores: Vector, limit: int) -> Ranking:
    if len(scores) > limit:
        kept = np.argpartition(scores, len(scores) - limit)[-limit:]
        chunks, scores = chunks[kept], scores[kept]
    order = np.lexsort((chunks, -scores))
    return list(zip(chunks[order].tolist(), scores[order].tolist(), strict=True))


def _read_rows(
    connection: apsw.Connection, stored: StoredSpace, condition: str, parameters: Sequence[apsw.CArrayBinding]
) -> tuple[Ids, Rows]:
    found = fetch(connection, f"SELECT chunk, vector FROM vectors_{stored.id} WHERE {condition}", parameters)
    dimension = stored.space.dimension
    if any(len(vector) != dimension * 2 for _, vector in found):
        raise apsw.CorruptError(f"a vector of {stored.space.model} has not {dimension} components")
    chunks = np.fromiter((chunk for chunk, _ in found), np.int64, len(found))
    rows = np.frombuffer(b"".join(vector for _, vector in found), np.int16).reshape(-1, dimension)
    return chunks, rows


def to_ids(chunks: Iterable[int]) -> Ids:
    return np.fromiter(chunks, np.int64)
