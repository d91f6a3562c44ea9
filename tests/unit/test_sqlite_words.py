"""The index of words."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

from mnemolite.stores.sqlite import MANY_SEGMENTS, SqliteStore
from mnemolite.types import Chunk, Document, Indexed, Kind, Scope


def document(number: int) -> Indexed:
    path = f"{number}.py"
    chunk = Chunk(
        source="s",
        path=path,
        language="python",
        kind=Kind.BLOCK,
        text=f"shared word{number}",
        first_line=1,
        last_line=1,
    )
    whole = Document(source="s", path=path, digest=path, language="python", size=1, mtime_ns=1)
    return Indexed(document=whole, chunks=(chunk,), digests=(b"",), vectors={})


def test_a_long_run_leaves_its_words_in_one_segment(tmp_path: Path) -> None:
    with closing(SqliteStore(tmp_path / "memory.db")) as store:

        def segments() -> int:
            with store.database.reading() as connection:
                return len(connection.execute("SELECT DISTINCT segid FROM words_idx").fetchall())

        with store.writer():
            for number in range(23):
                store.put([document(number)])
            assert segments() > MANY_SEGMENTS
        assert segments() == 1
        assert len(store.lexical(["shared"], Scope(), 50)) == 23
