"""A PostgreSQL server with a standby: searches go to the standby, and on when either of them is away."""

from __future__ import annotations

import time
from collections.abc import Iterator

import numpy as np
import pytest

from mnemolite.degraded import degradations
from mnemolite.errors import StoreUnavailable
from mnemolite.lab.local_postgres import LocalPostgres, local_postgres
from mnemolite.stores import postgres_connection
from mnemolite.stores.postgres import RECORDS, PostgresStore
from mnemolite.stores.postgres_connection import Database, follows
from mnemolite.stores.postgres_migrate import Schema
from mnemolite.types import Chunk, Document, Domain, Indexed, Kind, Scope, Space

SPACE = Space(domain=Domain.HYBRID, model="m", dimension=4, fingerprint="1")
SECONDS = 60  # until a standby has what its primary has


def document(path: str, text: str) -> Indexed:
    made = Chunk(source="s", path=path, language="python", kind=Kind.LINES, text=text, first_line=1, last_line=1)
    return Indexed(
        document=Document(source="s", path=path, digest="", language="python", size=0, mtime_ns=0),
        chunks=(made,),
        digests=(text.encode(),),
        vectors={SPACE: np.ones((1, 4), np.float32)},
    )


@pytest.fixture
def pair() -> Iterator[tuple[LocalPostgres, LocalPostgres]]:
    """A primary and its standby."""
    with local_postgres({"fsync": "off"}) as primary:
        Schema(primary.url()).upgrade()
        with local_postgres({"fsync": "off"}, of=primary) as standby:
            yield primary, standby


def found(store: PostgresStore, word: str) -> list[str]:
    return [chunk.path for chunk in store.chunks([id for id, _ in store.lexical([word], Scope(), 5)])]


def eventually(store: PostgresStore, word: str, paths: list[str]) -> None:
    end = time.monotonic() + SECONDS
    while found(store, word) != paths:
        assert time.monotonic() < end
        time.sleep(0.05)


def test_searches_go_to_a_standby_and_on_when_one_of_the_two_is_away(
    pair: tuple[LocalPostgres, LocalPostgres], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postgres_connection, "FOLLOWER_SECONDS", 0.2)
    primary, standby = pair
    hosts = [server.url().partition("host=")[2] for server in pair]
    url = f"postgresql://postgres@/postgres?host={','.join(hosts)}"
    store = PostgresStore(Database(url, wait_seconds=2))
    assert Schema(url).differences() == []
    store.put([document("a.py", "alpha")])
    eventually(store, "alpha", ["a.py"])
    with store.database.searching() as searching, store.database.reading() as reading:
        assert (follows(searching), follows(reading)) == (True, False)
    with PostgresStore(store.database, RECORDS)._searching() as connection:  # a note is found once it is written
        assert not follows(connection)

    standby.stop("immediate")
    with degradations() as noticed:
        assert found(store, "alpha") == ["a.py"]
    assert ["no standby of" in reason for reason in noticed] == [True]
    standby.start()
    end = time.monotonic() + SECONDS
    while noticed:
        assert time.monotonic() < end
        time.sleep(0.1)
        with degradations() as noticed:
            assert found(store, "alpha") == ["a.py"]

    primary.stop("immediate")
    with degradations() as noticed:
        assert found(store, "alpha") == ["a.py"]
    assert not noticed
    with pytest.raises(StoreUnavailable, match="cannot be reached"):
        store.put([document("b.py", "beta")])
    standby.promote()
    store.put([document("b.py", "beta")])  # the same URL finds who is the primary now
    assert found(store, "beta") == ["b.py"]
    assert store.check() == []
    store.close()
