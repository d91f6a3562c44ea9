"""That searches use indexes where there is much: by what PostgreSQL says of each statement (`make plans`: 100,000)."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pytest

from mnemolite.stores import postgres_index
from mnemolite.stores.postgres import CODE, PostgresStore
from mnemolite.stores.postgres_connection import Connection, Database
from mnemolite.stores.postgres_spaces import use_space
from mnemolite.types import Domain, Kind, Scope, Space

MANY = 100_000
CHUNKS = int(os.environ.get("PLAN_CHUNKS", "12000"))
SPACE = Space(domain=Domain.HYBRID, model="m", dimension=8, fingerprint="1")
# ten chunks a document; of two sources the second has a twentieth
FILL = """
INSERT INTO sources (collection, name, changes, chunks) VALUES ('code', 'big', 1, {n} * 19 / 20),
    ('code', 'small', 1, {n} / 20);
CREATE TEMP TABLE both_sources AS SELECT max(id) AS small, min(id) AS big FROM sources WHERE collection = 'code';
INSERT INTO documents SELECT d, CASE WHEN d % 20 = 0 THEN small ELSE big END,
    format('package%s/module%s.py', d % 50, d), '', CASE WHEN d % 30 = 0 THEN 'go' ELSE 'python' END, 1, d, '', NULL,
    format('package%s/module%s.py', d % 50, d), array_to_tsvector(ARRAY['!' || CASE WHEN d % 20 = 0 THEN small ELSE big
        END, 'ule', 'e' || lpad((d % 100)::text, 2, '0')])
    FROM generate_series(1, {n} / 10) AS d, both_sources;
INSERT INTO chunks SELECT d * 10 + c, d, CASE WHEN c = 0 THEN 'class' ELSE 'function' END, c + 1, c + 1,
    format('name_%s', d * 10 + c), '', '', '', '', '', 'text', format('name_%s', d * 10 + c),
    array_to_tsvector(ARRAY['!' || source, 'nam', 'ame', 'n' || lpad((d % 100)::text, 2, '0')])
    FROM documents, generate_series(0, 9) AS c, LATERAL (SELECT documents.id AS d) AS of;
INSERT INTO words SELECT c.id, c.document, source, array_to_tsvector(ARRAY['!' || source, '!k:' || kind,
        '!l:' || language, 'word' || c.id % 500, 'often' || c.id % 7]), '{{1:1}}/1000000000'
    FROM chunks c JOIN documents d ON d.id = c.document;
INSERT INTO terms SELECT lexeme, source, count(*) FROM words, unnest(words) WHERE lexeme !~ '^!' GROUP BY 1, 2;
INSERT INTO {vectors} SELECT chunk, source,
    format('[%s]', array_to_string(ARRAY(SELECT random() + 0 * chunk FROM generate_series(1, 8)), ','))::halfvec
    FROM words;
ANALYZE documents, chunks, words, terms, {vectors};
"""


class Explained(Database):
    """Asks how each statement will be answered before it is."""

    def __init__(self, url: str) -> None:
        super().__init__(url)
        self.nodes: list[dict[str, Any]] = []

    @contextmanager
    def reading(self) -> Iterator[Any]:
        with super().reading() as connection:
            yield _Asked(connection, self.nodes)

    searching = reading


class _Asked:
    def __init__(self, connection: Connection, nodes: list[dict[str, Any]]) -> None:
        self._connection = connection
        self._nodes = nodes
        self.info = connection.info

    def execute(self, sql: str, parameters: Any = None, **more: Any) -> Any:
        [[[plan]]] = self._connection.execute(f"EXPLAIN (FORMAT JSON) {sql}", parameters)
        self._nodes += _flat(plan["Plan"])
        return self._connection.execute(sql, parameters, **more)


def _flat(node: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield node
    for below in node.get("Plans", ()):
        yield from _flat(below)


def _is_whole(node: dict[str, Any]) -> bool:
    """Whether it reads a table from one end to the other, be it in the order of an index."""
    return "Relation Name" in node and not {"Index Cond", "Order By", "Recheck Cond"} & node.keys()


@pytest.fixture
def store(empty_database: Callable[[], str]) -> Iterator[PostgresStore]:
    database = Explained(empty_database())
    with database.alone() as connection:
        connection.execute("INSERT INTO sources (collection, name, changes, chunks) VALUES ('code', 'big', 0, 0)")
        [(source,)] = connection.execute("DELETE FROM sources RETURNING id")
        table = use_space(connection, CODE, source, SPACE).table
        connection.execute(FILL.format(n=CHUNKS, vectors=table))
        connection.execute("UPDATE source_spaces SET source = (SELECT min(id) FROM sources)")
    postgres_index.settle(database, CODE)
    yield PostgresStore(database)
    database.close()


SCOPES = {
    "everywhere": Scope(),
    "a source": Scope(sources=("small",)),
    "a language": Scope(languages=("go",)),
    "a kind": Scope(kinds=(Kind.CLASS,)),
    "a folder": Scope(paths=("package7/",)),
    "a source and a time": Scope(sources=("big",), since=datetime(2020, 1, 1, tzinfo=UTC)),
}


def test_no_search_reads_all_there_is(store: PostgresStore) -> None:
    database = store.database
    assert isinstance(database, Explained)
    asked: dict[str, Callable[[Scope], object]] = {
        "words_words": lambda scope: store.lexical(["word7", "often3"], scope, 10),
        "chunks_trigrams": lambda scope: store.named("name_77", scope, 10),
        "vectors": lambda scope: store.nearest(SPACE, np.ones(8, np.float32), scope, 10),
        "chunks_pkey": lambda scope: store.cards(range(100, 200)),
    }
    store.version()
    for name, scope in SCOPES.items():
        for index, ask in asked.items():
            database.nodes.clear()
            ask(scope)
            used = {node["Index Name"] for node in database.nodes if "Index Name" in node}
            read = [node["Relation Name"] for node in database.nodes if _is_whole(node)]
            told = f"{index}, {name}: {sorted(used)}, all of {read}"
            assert not {"chunks", "words"} & set(read), told
            if name == "everywhere":
                assert any(each.startswith(index) for each in used), told
                assert "documents" not in read or CHUNKS < MANY, told  # a few pages are as fast read as looked up in
