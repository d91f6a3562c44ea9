"""An embedding service that is full, slow, ending, killed, away or another: no wrong vector, and no long wait."""

from __future__ import annotations

import ctypes
import shutil
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

import grpc
import httpx
import numpy as np
import pytest
from msgspec import structs
from prometheus_client import CollectorRegistry

from mnemolite.embedders.remote import RemoteEmbedder
from mnemolite.embedders.static import SHIPPED, StaticEmbedder
from mnemolite.errors import EmbedderUnavailable, Overloaded, SpaceMismatch
from mnemolite.lab.local_embedder import LocalEmbedder
from mnemolite.memory import list_weights
from mnemolite.ports import Embedder
from mnemolite.proto import embedding_pb2 as wire
from mnemolite.proto.embedding_pb2_grpc import EmbeddingServiceStub
from mnemolite.search.search import search
from mnemolite.serve.batching import BatchingEmbedder
from mnemolite.serve.embedder import EmbeddingProcess
from mnemolite.serve.embedding import Server
from mnemolite.serve.http.embedder import embedder_app
from mnemolite.serve.http.server import runner
from mnemolite.serve.metrics import BatchMetrics, Metrics
from mnemolite.serve.security import Keys
from mnemolite.settings import Settings
from mnemolite.stores.sqlite import SqliteStore
from mnemolite.types import ModelState, Query, Results, Role, Space, Text
from mnemolite.wiring import open_models, open_tree

if TYPE_CHECKING:
    from mnemolite.types import Matrix

LONG = " ".join(["retry"] * 100)
NO_PROXY = [("grpc.enable_http_proxy", 0)]


class Held:
    """A model that embeds once it is let, and remembers what it was given."""

    def __init__(self, embedder: Embedder) -> None:
        self._embedder = embedder
        self.let = threading.Event()
        self.batches: list[list[str]] = []
        self.begun = threading.Semaphore(0)

    @property
    def space(self) -> Space:
        return self._embedder.space

    @property
    def state(self) -> ModelState:
        return self._embedder.state

    @property
    def max_tokens(self) -> int:
        return self._embedder.max_tokens

    def tokens(self, text: str) -> Sequence[int]:
        return self._embedder.tokens(text)

    def embed(self, texts: Sequence[Text], role: Role) -> Matrix:
        self.batches.append([f"{role} {len(text)}" for text in texts])
        self.begun.release()
        assert self.let.wait(60)
        return self._embedder.embed(texts, role)


class Service:
    """Both doors of a service whose model is held, within this process."""

    def __init__(self, folder: Path, *, batch_tokens: int = 1000, queue_tokens: int = 250, requests: int = 20) -> None:
        self.settings = structs.replace(
            Settings(ram_budget_mb=100_000), data_dir=str(folder), embedder_requests=requests, perf_cache_max_size=0
        )
        registry = CollectorRegistry()

        def wrap(embedder: Embedder) -> Embedder:
            self.held = Held(embedder)
            self.batching = BatchingEmbedder(
                self.held, BatchMetrics(registry), batch_tokens=batch_tokens, queue_tokens=queue_tokens
            )
            return self.batching

        memory = open_models(self.settings, wrap=wrap)
        metrics = Metrics(memory, registry)
        keys = Keys(folder / "keys.json")
        self.server = Server(memory, metrics, keys, requests=requests, max_bytes=2**20)
        self.port = self.server.listen("127.0.0.1:0")
        self.channel = grpc.insecure_channel(f"127.0.0.1:{self.port}", options=NO_PROXY)
        self.stub = EmbeddingServiceStub(self.channel)  # type: ignore[no-untyped-call]
        listener = socket.create_server(("127.0.0.1", 0))
        self._http = runner(embedder_app(memory, metrics, keys, lambda: True))
        self._thread = threading.Thread(target=self._http.run, args=([listener],))
        self._thread.start()
        self.client = httpx.Client(base_url=f"http://127.0.0.1:{listener.getsockname()[1]}", trust_env=False)
        self.pool = ThreadPoolExecutor(40)

    def ask(self, text: str = "retry", role: Role = Role.QUERY) -> Future[Matrix]:
        return self.pool.submit(self.batching.embed, [text], role)

    def busy(self) -> Future[Matrix]:
        """Something that the model is at."""
        asked = self.ask()
        assert self.held.begun.acquire(timeout=60)
        return asked

    def waits_for(self, tokens: int) -> None:
        while self.batching._tokens != tokens:
            time.sleep(0.001)

    def dropped(self, reason: str) -> float:
        name = f'embedding_dropped_total{{model="{self.held.space.model}",reason="{reason}"}} '
        lines = self.client.get("/metrics").text.splitlines()
        return float(next(line.removeprefix(name) for line in lines if line.startswith(name)))

    def close(self) -> None:
        self.held.let.set()
        self.client.close()
        self._http.should_exit = True
        self._thread.join()
        self.server.drain(10).wait()
        self.channel.close()
        self.batching.close()
        self.pool.shutdown()


Serve = Callable[..., Service]


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Serve]:
    made: list[Service] = []

    def start(**options: int) -> Service:
        made.append(Service(tmp_path, **options))
        return made[-1]

    yield start
    for each in made:
        each.close()


def request(text: str = "retry", role: Role = Role.QUERY) -> wire.BatchEmbeddingRequest:
    return wire.BatchEmbeddingRequest(texts=[text], role=role.upper(), form=wire.BYTES)


def test_what_many_ask_at_once_is_embedded_together(serve: Serve) -> None:
    service = serve()
    first = service.busy()
    queries = [service.ask(f"retry {'card ' * n}") for n in range(20)]
    passages = [service.ask("retry", Role.PASSAGE) for _ in range(5)]
    service.waits_for(20 + sum(range(20)) + 5)
    service.held.let.set()
    expected = StaticEmbedder().embed([f"retry {'card ' * n}" for n in range(20)], Role.QUERY)
    assert np.array_equal(np.concatenate([query.result(60) for query in queries]), expected)
    assert all(np.array_equal(each.result(60), first.result(60)) for each in passages)
    assert [len(batch) for batch in service.held.batches] == [1, 20, 5]
    assert {role.split()[0] for role in service.held.batches[1]} == {"query"}


def test_one_text_does_not_wait_for_the_hundreds_of_another(serve: Serve) -> None:
    service = serve(batch_tokens=400, queue_tokens=10**6)
    service.busy()
    many = service.pool.submit(service.batching.embed, [LONG] * 100, Role.QUERY)
    service.waits_for(10_000)
    one = service.ask()
    service.waits_for(10_001)
    service.held.let.set()
    assert one.result(60).any() and many.result(60).any(1).all()
    assert "query 1" in service.held.batches[1]
    assert {len(batch) for batch in service.held.batches[2:]} == {4, 1}  # by tokens


def test_a_full_queue_refuses_at_once_and_is_said_at_every_door(serve: Serve) -> None:
    service = serve()
    service.busy()
    waiting = [service.ask(LONG), service.ask(LONG)]
    service.waits_for(200)
    with pytest.raises(Overloaded, match="200 tokens wait to be embedded"):
        service.batching.embed([LONG], Role.QUERY)
    with pytest.raises(grpc.RpcError) as refused:
        service.stub.GenerateEmbedding(wire.EmbeddingRequest(text=LONG), timeout=60)
    assert refused.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    for path, body in (
        ("/v1/embeddings", {"input": LONG, "model": "mnemolite-static-1"}),
        ("/embed", {"inputs": LONG}),
        ("/v1/embeddings/generate", {"query": LONG}),
    ):
        answer = service.client.post(path, json=body)
        assert (answer.status_code, answer.headers["retry-after"]) == (429, "1"), answer.text
        assert "200 tokens wait" in answer.text
    remote = RemoteEmbedder([f"grpc://127.0.0.1:{service.port}"])
    found = asked(remote, SqliteStore(None), LONG)
    assert "has too much to do: 200 tokens wait" in found.degraded[0]
    assert service.dropped("overload") >= 5
    service.held.let.set()
    assert all(each.result(60).any() for each in waiting)
    assert asked(remote, SqliteStore(None), LONG).degraded == ()  # and was not left alone for that


def test_more_calls_than_can_be_held_are_refused_at_once(serve: Serve) -> None:
    service = serve(requests=2)
    service.busy()
    bodies = ({"inputs": "card"}, {"inputs": "card"})
    posted = [service.pool.submit(service.client.post, "/embed", json=body, timeout=60) for body in bodies]
    called = [service.stub.GenerateEmbedding.future(wire.EmbeddingRequest(text="card"), timeout=60) for _ in range(2)]
    service.waits_for(4)
    answer = service.client.post("/embed", json={"inputs": "card"})
    assert (answer.status_code, answer.headers["retry-after"]) == (429, "1")
    assert service.client.get("/health").status_code == 200
    with pytest.raises(grpc.RpcError) as refused:
        service.stub.GenerateEmbedding(wire.EmbeddingRequest(text="card"), timeout=60)
    assert refused.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    service.held.let.set()
    assert all(each.result(60).status_code == 200 for each in posted)
    assert all(each.result(60).embedding_text for each in called)


def test_what_nobody_waits_for_any_more_is_not_embedded(serve: Serve) -> None:
    service = serve(queue_tokens=10**6)
    first = service.busy()
    late = service.stub.GenerateEmbeddingsBatch.future(request("card " * 7), timeout=0.2)
    cancelled = service.stub.GenerateEmbeddingsBatch.future(request("card " * 8), timeout=60)
    with socket.create_connection((service.client.base_url.host, service.client.base_url.port or 0)) as left:
        body = b'{"inputs": "card card card card card card card card card"}'
        head = b"POST /embed HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"
        left.sendall(head % len(body) + body)
        service.waits_for(7 + 8 + 9)
    cancelled.cancel()
    with pytest.raises(grpc.RpcError) as refused:
        late.result()
    assert refused.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED
    while not all(each.is_gone() for each in list(service.batching._waiting)):
        time.sleep(0.001)
    service.held.let.set()
    assert first.result(60).any()
    assert service.ask("card").result(60).any()
    assert service.held.batches == [["query 1"], ["query 1"]]
    assert service.dropped("gone") == 3


def test_a_service_that_ends_answers_what_it_was_asked_before(serve: Serve) -> None:
    service, other = serve(), serve()
    other.held.let.set()
    remote = RemoteEmbedder([f"grpc://127.0.0.1:{each.port}" for each in (service, other)])
    assert remote.max_tokens == service.held.max_tokens
    called = service.stub.GenerateEmbedding.future(wire.EmbeddingRequest(text="card"), timeout=60)
    assert service.held.begun.acquire(timeout=60)
    ended = service.server.drain(60)
    with pytest.raises(grpc.RpcError) as refused:
        service.stub.GenerateEmbedding(wire.EmbeddingRequest(text="card"), timeout=60)
    assert refused.value.code() in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED)
    for _ in range(4):
        assert remote.embed(["card"], Role.QUERY).any()  # by the other one
    assert len(service.held.batches) == 1
    assert not ended.is_set()
    service.held.let.set()
    assert len(called.result(60).embedding_text) == 384
    assert ended.wait(60)


# A process of its own


def asked(embedder: Embedder, store: SqliteStore, text: str = "take queue") -> Results:
    return search(Query(text=text), store, [embedder], list_weights(Settings()))


def recovered(embedder: Embedder, store: SqliteStore) -> Results:
    """Once there is an answer of it again."""
    until = time.monotonic() + 60
    while "does not answer" in str((found := asked(embedder, store)).degraded) and time.monotonic() < until:
        time.sleep(0.05)
    return found


def write(root: Path, files: int) -> None:
    root.mkdir(exist_ok=True)
    for number in range(files):
        bodies = (f"def task_{number}_{i}(queue):\n    return queue.take({i})\n" for i in range(8))
        (root / f"module_{number}.py").write_text("\n\n".join(bodies))


def indexed(root: Path, **settings: object) -> list[str]:
    """What the search by meaning finds in it, after it was brought up to date."""
    with open_tree(root, settings=structs.replace(Settings(workers=1), **settings), create=True) as memory:
        memory.index()
        found = memory.search(Query(text="take from the queue", lexical=False, limit=20), notes=0)
    assert found.degraded == ()
    return [f"{hit.chunk.path}:{hit.chunk.first_line} {hit.ranks['vector'].score:.4f}" for hit in found.hits]


@pytest.fixture
def other_model(tmp_path: Path) -> Path:
    """The shipped one, but that it cuts texts sooner."""
    folder = Path(shutil.copytree(SHIPPED, tmp_path / "other"))
    text = (folder / "model.json").read_text()
    text = text.replace('"max_tokens": 1024', '"max_tokens": 512').replace("mnemolite-static-1", "other-model")
    (folder / "model.json").write_text(text)
    return folder


def test_one_that_is_gone_leaves_search_by_words_and_one_that_is_back_is_used(
    tmp_path: Path, other_model: Path
) -> None:
    write(tmp_path / "tree", 3)
    service = LocalEmbedder()
    remote = RemoteEmbedder([service.url])
    indexed(tmp_path / "tree")
    store = SqliteStore(tmp_path / "tree/.mnemolite/memory.db")
    by_words = asked(remote, store)
    assert by_words.hits
    away = f"vector search: the embedding service at {service.url[7:]} does not answer: Connection refused"
    assert by_words.degraded == (away,)
    with service:
        full = recovered(remote, store)
        assert full.degraded == () and "vector" in full.hits[0].ranks
        service.kill()
        by_words = asked(remote, store)
        assert by_words.hits and "does not answer" in by_words.degraded[0]
        assert asked(remote, store).degraded == by_words.degraded
        assert remote.state.failure and not remote.state.loaded
        service.start(MNEMOLITE_EMBEDDING_MODEL=str(other_model))
        mismatch = recovered(remote, store)
        assert mismatch.hits
        [named] = mismatch.degraded
        assert "other-model (384 dimensions, fingerprint " in named
        assert f"vectors of fingerprint {StaticEmbedder().space.fingerprint} were asked for" in named
        with pytest.raises(SpaceMismatch, match="start this process anew"):
            remote.embed(["x"], Role.PASSAGE)
        [anew] = asked(RemoteEmbedder([service.url]), store).degraded
        assert "vectors of mnemolite-static-1" in anew and "the model is now other-model" in anew
    store.close()


def test_one_that_is_killed_within_a_batch_and_comes_back_costs_an_index_nothing(tmp_path: Path) -> None:
    for name in ("here", "there"):
        write(tmp_path / name, 200)
    expected = indexed(tmp_path / "here")
    with LocalEmbedder() as service, ThreadPoolExecutor(1) as pool:
        settings = structs.replace(Settings(ram_budget_mb=100_000), embedding_service_url=service.url)
        assert open_models(settings).embedders[0].space == StaticEmbedder().space
        with service.paused():
            done = pool.submit(indexed, tmp_path / "there", embedding_service_url=service.url)
            with pytest.raises(TimeoutError):
                done.result(1)
            service.kill()
        with pytest.raises(TimeoutError):
            done.result(0.5)
        service.start()
        assert done.result(60) == expected


def test_an_index_whose_service_never_comes_back_says_so_and_goes_on_later(tmp_path: Path) -> None:
    write(tmp_path / "tree", 20)
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    url = f"grpc://127.0.0.1:{port}"
    with pytest.raises(EmbedderUnavailable, match="does not answer: Connection refused"):
        indexed(tmp_path / "tree", embedding_service_url=url)
    service = EmbeddingProcess(
        structs.replace(Settings(ram_budget_mb=100_000), data_dir=str(tmp_path)), "127.0.0.1", 0, port
    )
    try:
        assert len(indexed(tmp_path / "tree", embedding_service_url=url, embedding_service_seconds=9.0)) == 20
    finally:
        service.end()


def test_of_several_addresses_those_that_answer_are_asked(tmp_path: Path) -> None:
    here = StaticEmbedder().embed(["retry"], Role.QUERY)
    near = EmbeddingProcess(structs.replace(Settings(ram_budget_mb=100_000), data_dir=str(tmp_path)), "127.0.0.1", 0, 0)
    try:
        with LocalEmbedder() as far:
            urls = [f"grpc://127.0.0.1:{near.grpc_port}", far.url, LocalEmbedder().url]
            remote = RemoteEmbedder(urls, query_seconds=2.0)
            for _ in range(6):
                assert np.array_equal(remote.embed(["retry"], Role.QUERY), here)
            late = 0
            with far.paused():
                for _ in range(6):
                    try:
                        assert np.array_equal(remote.embed(["retry"], Role.QUERY), here)
                    except EmbedderUnavailable as error:
                        assert "Deadline Exceeded" in str(error)
                        late += 1
                assert late <= 2  # the one that hangs is left alone
                far.kill()
            for _ in range(6):
                assert np.array_equal(remote.embed(["retry"], Role.QUERY), here)
    finally:
        near.end()


def test_a_process_that_is_told_to_end_finishes_its_streams() -> None:
    with LocalEmbedder() as service, grpc.insecure_channel(service.url[7:], options=NO_PROXY) as channel:
        going_on = threading.Event()

        def batches() -> Iterator[wire.BatchEmbeddingRequest]:
            yield request()
            assert going_on.wait(60)
            yield request("card")

        stub = EmbeddingServiceStub(channel)  # type: ignore[no-untyped-call]
        answers = stub.StreamEmbeddings(batches(), timeout=60)
        assert next(answers).vectors_text.dim == 384
        with ThreadPoolExecutor(1) as pool:
            status = pool.submit(service.end)
            until = time.monotonic() + 60
            while time.monotonic() < until:
                try:
                    stub.Info(wire.InfoRequest(), timeout=60)
                except grpc.RpcError:
                    break
            going_on.set()
            assert next(answers).vectors_text.dim == 384
            assert list(answers) == []
            assert status.result(60) == 0


@pytest.mark.skipif(not hasattr(ctypes.CDLL(None), "tgkill"), reason="only Linux sends a signal to one thread")
def test_a_process_ends_whichever_of_its_threads_is_told_to() -> None:
    with LocalEmbedder() as service:
        threads = [int(task.name) for task in Path(f"/proc/{service.pid}/task").iterdir()]
        [other, *_] = [thread for thread in threads if thread != service.pid]
        assert ctypes.CDLL(None).tgkill(service.pid, other, signal.SIGTERM) == 0
        assert service.ended() == 0
