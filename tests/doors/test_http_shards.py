"""A server on a coordinator and three shards, each a PostgreSQL server of its own, beside one on a single server."""

from __future__ import annotations

import os
import shutil
import signal
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from msgspec import structs

from mnemolite.cli import run
from mnemolite.errors import Conflict, StoreUnavailable
from mnemolite.lab.evaluate import read_cases
from mnemolite.lab.local_postgres import LocalPostgres, local_postgres
from mnemolite.memory import Memory
from mnemolite.settings import Settings
from mnemolite.stores.postgres import CODE, PostgresStore
from mnemolite.stores.postgres_connection import Database
from mnemolite.stores.sharded import ShardedStore
from mnemolite.transfer import copy_tree
from mnemolite.types import TREE, Indexed, Query, Results, Scope
from mnemolite.wiring import open_server, open_tree
from mnemolite.wiring_postgres import open_schemas

from .conftest import GOLDEN, Served, served

HYBRID = "/v1/code/search/hybrid"
CASES = [case.query for case in read_cases(GOLDEN.parent / "queries.json")]
REPOSITORIES = sorted(each.name for each in GOLDEN.iterdir() if each.is_dir())


@dataclass
class Cluster:
    servers: dict[str, LocalPostgres]  # by shard
    settings: Settings
    served: Served

    @property
    def memory(self) -> Memory:
        return self.served.memory

    @property
    def store(self) -> ShardedStore:
        store = self.memory.repositories.store
        assert isinstance(store, ShardedStore)
        return store

    def on(self, shard: str) -> list[str]:
        """The repositories there."""
        return sorted(self.store.shards.places().repositories[shard])

    def search(self, text: str, **more: object) -> Results:
        return self.memory.search(Query(text=text, **more), freshness="skip", notes=0)  # type: ignore[arg-type]

    @contextmanager
    def without(self, shard: str) -> Iterator[None]:
        """Kills its server, starts it again and waits until it is asked again."""
        self.servers[shard].stop("immediate")
        try:
            yield
        finally:
            self.servers[shard].start()
        self.back()

    def back(self) -> None:
        while any(self.store.shards.troubles().values()):
            time.sleep(0.1)


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[Indexed]]:
    """The tree of the evaluation set, each folder of it a repository."""
    root = Path(shutil.copytree(GOLDEN, tmp_path_factory.mktemp("golden") / "tree"))
    with open_tree(root, create=True) as memory:
        memory.index()
        [tree] = memory.trees
        whole = tree.store.documents(TREE, list(tree.store.files(TREE)))

    def of(source: str, item: Indexed) -> Indexed:
        chunks = tuple(replace(chunk, source=source, id=0) for chunk in item.chunks)
        return replace(item, document=replace(item.document, source=source), chunks=chunks)

    found: dict[str, list[Indexed]] = {name: [] for name in REPOSITORIES}
    for item in whole:
        name, _, within = item.document.path.partition("/")
        if within:
            found[name].append(of(name, item))
    return found


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory, corpus: dict[str, list[Indexed]]) -> Iterator[Cluster]:
    with ExitStack() as started, ThreadPoolExecutor() as threads:
        contexts = [local_postgres() for _ in range(4)]
        servers = list(threads.map(started.enter_context, contexts))
        coordinator, *others = (server.url() for server in servers)
        settings = structs.replace(
            Settings(ram_budget_mb=100_000),
            database_url=coordinator,
            database_shards=" ".join(f"s{number}={url}" for number, url in enumerate(others)),
            database_wait_seconds=1.0,
        )
        for schema in open_schemas(settings):
            schema.upgrade()
        shared = {name: getattr(settings, name) for name in settings.__struct_fields__ if name.startswith("database")}
        server = started.enter_context(served(tmp_path_factory.mktemp("sharded"), **shared))
        for name in REPOSITORIES:
            with server.memory.repositories.store.writer(name):
                server.memory.repositories.store.put(corpus[name])
        yield Cluster(dict(zip(("coordinator", "s0", "s1", "s2"), servers, strict=True)), settings, server)


@pytest.fixture
def db(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., tuple[int, str]]:
    """`mnemolite db`: the exit code, and what it said."""
    monkeypatch.setenv("DATABASE_URL", cluster.settings.database_url)
    monkeypatch.setenv("MNEMOLITE_DATABASE_SHARDS", cluster.settings.database_shards)

    def called(*arguments: str) -> tuple[int, str]:
        monkeypatch.setattr(sys, "argv", ["mnemolite", "db", *arguments])
        code = run()
        out, err = capsys.readouterr()
        return code, err if code == 2 else out

    return called


def places(results: Results) -> list[tuple[str, str, int]]:
    return [(hit.chunk.source, hit.chunk.path, hit.chunk.first_line) for hit in results.hits]


def test_every_repository_is_on_one_shard_and_all_have_some(cluster: Cluster) -> None:
    held = {name: cluster.on(name) for name in ("s0", "s1", "s2")}
    assert sorted(each for own in held.values() for each in own) == REPOSITORIES
    assert all(held.values())
    listed = cluster.served.get("/v1/code/index/repositories")["repositories"]
    assert [each["repository"] for each in listed] == REPOSITORIES
    assert cluster.store.check() == []
    for name, server in cluster.servers.items():
        alone = PostgresStore(Database(server.url()), holds=lambda: REPOSITORIES)
        assert [each.name for each in alone.sources()] == held.get(name, [])
        alone.close()


def test_rankings_are_those_of_a_single_server(
    cluster: Cluster, corpus: dict[str, list[Indexed]], empty_database: Callable[[], str]
) -> None:
    overlaps, first = [], 0
    with open_server(structs.replace(Settings(ram_budget_mb=100_000), database_url=empty_database())) as single:
        single.repositories.store.put([item for items in corpus.values() for item in items])
        for text in CASES:
            one = single.search(Query(text=text), freshness="skip", notes=0)
            many = cluster.search(text)
            assert many.degraded == ()
            assert many.best == pytest.approx(one.best, abs=1e-3)
            overlaps.append(len(set(places(one)) & set(places(many))) / max(1, len(one.hits), len(many.hits)))
            first += places(one)[:1] == places(many)[:1]
    assert len(overlaps) > 100
    assert sum(overlaps) / len(overlaps) >= 0.99
    assert first >= 0.99 * len(overlaps)


def test_a_shard_that_dies_is_left_out_named_and_asked_again_when_it_is_back(cluster: Cluster) -> None:
    gone, left = cluster.on("s1"), cluster.on("s0")
    whole = [cluster.search(text) for text in CASES[:20]]
    with cluster.without("s1"):
        for before in (cluster.search(text) for text in CASES[:5]):
            assert {hit.chunk.source for hit in before.hits}.isdisjoint(gone)
            assert [reason.split(":")[0] for reason in before.degraded] == ["shard s1"]
        answer = cluster.served.post(HYBRID, {"query": "charge a card"})
        assert "(shard s1) cannot be reached" in answer["degraded"][0]
        assert answer["results"]
        assert cluster.search("charge a card", scope=Scope(sources=(left[0],))).degraded == ()

        sent = {"files": [{"path": "new.py", "content": "def added(): ...\n"}]}
        refused = cluster.served.post("/v1/code/index", {"repository": gone[0], **sent}, 503)
        assert "(shard s1) cannot be reached" in refused["detail"]
        assert "mend database_shards" in refused["detail"]
        assert "shard s1" in cluster.served.post(HYBRID, {"query": "x", "repository": gone[0]}, 503)["detail"]
        assert "shard s1" in cluster.served.get("/v1/code/index/repositories", 503)["detail"]
        cluster.served.post("/v1/code/index", {"repository": left[0], **sent}, 201)
        cluster.memory.repositories.store.drop(left[0], ["new.py"])
        cluster.served.post("/v1/events", {"content": {"text": "still kept"}}, 201)

        ready = cluster.served.get("/ready")
        assert (ready["status"], ready["store"], ready["shards"]["s0"]) == ("degraded", "ok", "ok")
        assert "cannot be reached" in ready["shards"]["s1"]
        assert cluster.served.metric('shard_up{shard="s1"}') == 0
        assert cluster.served.metric('degraded_total{part="shard s1"}') > 0

    assert cluster.served.get("/ready")["status"] == "ready"
    assert cluster.served.metric('shard_up{shard="s1"}') == 1
    again = [cluster.search(text) for text in CASES[:20]]
    assert [places(each) for each in again] == [places(each) for each in whole]
    assert {reason for each in again for reason in each.degraded} == set()


@pytest.mark.parametrize("shard", ["s2", "coordinator"])
def test_a_shard_that_hangs_is_not_waited_for(cluster: Cluster, shard: str) -> None:
    def tell(number: signal.Signals) -> None:
        postmaster = cluster.servers[shard].pid()
        for folder in Path("/proc").glob("[0-9]*"):
            try:
                parent = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
            except OSError:
                continue
            if postmaster in (parent, int(folder.name)):
                os.kill(int(folder.name), number)

    cluster.search("charge a card")  # so that there are connections
    tell(signal.SIGSTOP)
    try:
        time.sleep(1.1)  # what is known of places is old then
        found = cluster.search("charge a card")
        assert found.hits
        assert ["has not answered for 1 s" in reason for reason in found.degraded] == [True]
        assert found.degraded[0].startswith(f"shard {shard}: ")
    finally:
        tell(signal.SIGCONT)
    cluster.back()
    assert cluster.search("charge a card").degraded == ()


def test_without_the_coordinator_what_is_known_is_searched(cluster: Cluster) -> None:
    before = places(cluster.search("charge a card"))
    with cluster.without("coordinator"):
        time.sleep(1.1)  # what is known of places is old then
        found = cluster.search("charge a card")
        assert places(found) == before
        assert [reason.split(":")[0] for reason in found.degraded] == ["shard coordinator"]
        sent = {"repository": REPOSITORIES[0], "files": [{"path": "new.py", "content": "x = 1\n"}]}
        assert "mend DATABASE_URL" in cluster.served.post("/v1/code/index", sent, 503)["detail"]
        assert cluster.served.get("/ready")["status"] == "degraded"
    assert cluster.search("charge a card").degraded == ()


def test_a_repository_moves_and_an_unfinished_move_is_seen_and_mended(
    cluster: Cluster, db: Callable[..., tuple[int, str]]
) -> None:
    name = cluster.on("s0")[0]
    texts = CASES[:20]
    before = [places(cluster.search(text)) for text in texts]
    code, said = db("move", name, "--to", "s2")
    assert code == 0 and said.startswith(f"{name}: to s2, ")
    cluster.store.shards._outdate()
    assert name in cluster.on("s2")
    assert [places(cluster.search(text)) for text in texts] == before
    held = [line.split()[1] for line in db("shards")[1].splitlines()]
    assert held == [str(len(cluster.store.shards.places().repositories.get(each, ()))) for each in cluster.servers]

    # as after a crash before what was copied was removed
    away = PostgresStore(Database(cluster.servers["s1"].url()), CODE, source=name, holds=lambda: (name,))
    copy_tree(ShardedStore(cluster.store.shards, source=name), away, lambda done, total: None)
    assert [places(cluster.search(text)) for text in texts] == before
    [problem] = cluster.store.check()
    assert problem.startswith("shard s1: ") and problem.endswith(f"run 'mnemolite db move {name} --to s2'")
    code, said = db("shards")
    assert (code, said.splitlines()[-1]) == (1, problem)
    assert db("move", name, "--to", "s2") == (0, f"{name}: on s2 already\n")
    assert (cluster.store.check(), away.files(".")) == ([], {})
    away.close()
    for wrong in ((name, "--to", "nowhere"), ("never",)):
        code, said = db("move", *wrong)
        assert code == 2 and wrong[-1] in said
    assert f"{name}: to s0, " in db("move")[1]  # where its name belongs
    cluster.store.shards._outdate()
    assert name in cluster.on("s0")


def test_a_repository_is_moved_or_written_to_but_not_both(cluster: Cluster, corpus: dict[str, list[Indexed]]) -> None:
    name, other = cluster.on("s0")[0], ShardedStore(cluster.store.shards)  # as of another process
    before = cluster.store.sources()
    with other.writer(name), pytest.raises(Conflict, match="is being written by"):
        cluster.store.move(name, "s1", lambda done, total: None)
    refused = []

    def write(done: int, total: int) -> None:
        with pytest.raises(Conflict, match="is being written by"):
            other.put(corpus[name][:1])
        refused.append(done)

    for shard in ("s1", "s0"):
        cluster.store.move(name, shard, write)
        other.put(corpus[name][:1])
        assert cluster.store.sources() == before
    assert len(refused) == 2
    assert cluster.store.check() == []


def test_the_schema_is_that_of_every_shard(cluster: Cluster, db: Callable[..., tuple[int, str]]) -> None:
    for command in ("upgrade", "current"):
        code, said = db(command)
        assert code == 0
        assert [f"(shard s{number}): " in line for number, line in enumerate(said.splitlines()[1:])] == [True] * 3
    assert db("check") == (0, "the tables are as this program expects them\n")


def test_a_program_that_knows_nothing_of_the_shards_is_refused(cluster: Cluster) -> None:
    unaware = structs.replace(cluster.settings, database_shards="")
    with open_server(unaware) as memory, pytest.raises(StoreUnavailable, match="name all shards in database_shards"):
        memory.repositories.store.spaces()
