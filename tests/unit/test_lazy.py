"""Loading on demand and unloading when idle, with the shipped model."""

from __future__ import annotations

import gc
import logging
import shutil
import threading
import time
import weakref
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from msgspec import structs

from mnemolite.embedders.lazy import LazyEmbedder
from mnemolite.embedders.static import SHIPPED, StaticEmbedder, read_manifest
from mnemolite.errors import EmbedderUnavailable
from mnemolite.settings import Settings
from mnemolite.types import Role
from mnemolite.wiring import open_memory, open_models

SPACE = read_manifest(SHIPPED).space
IDLE = 0.01


class Counted:
    """The shipped model, and weak references to each time it was loaded."""

    def __init__(self) -> None:
        self.loads: list[weakref.ref[StaticEmbedder]] = []

    def __call__(self) -> StaticEmbedder:
        embedder = StaticEmbedder()
        self.loads.append(weakref.ref(embedder))
        return embedder


def until(true: Callable[[], bool]) -> bool:
    for _ in range(3000):
        if true():
            return True
        time.sleep(0.01)
    return False


@pytest.fixture
def watchers() -> Callable[[], int]:
    """How many threads wait for a model to be idle, beyond those there were."""
    before = set(threading.enumerate())

    def count() -> int:
        return sum(thread.name == "mnemolite-idle" for thread in threading.enumerate() if thread not in before)

    return count


def test_the_space_is_told_without_loading() -> None:
    def load() -> StaticEmbedder:
        raise EmbedderUnavailable("must not be loaded")

    lazy = LazyEmbedder(lambda: SPACE, load)
    assert lazy.space == SPACE
    assert not lazy.loaded
    with pytest.raises(EmbedderUnavailable):
        lazy.embed(["x"], Role.QUERY)


def test_many_threads_load_once() -> None:
    load = Counted()
    lazy = LazyEmbedder(lambda: SPACE, load)
    with ThreadPoolExecutor(8) as threads:
        list(threads.map(lambda n: lazy.embed([str(n)], Role.QUERY), range(32)))
    assert len(load.loads) == 1


def test_to_embed_no_texts_loads() -> None:
    lazy = LazyEmbedder(lambda: SPACE, StaticEmbedder)
    assert lazy.embed([], Role.PASSAGE).shape == (0, SPACE.dimension)
    assert lazy.loaded


def test_an_idle_model_is_unloaded_and_comes_back(watchers: Callable[[], int]) -> None:
    load = Counted()
    lazy = LazyEmbedder(lambda: SPACE, load, idle_seconds=IDLE)
    first = lazy.embed(["validate an email"], Role.QUERY)
    assert until(lambda: not lazy.loaded)
    assert until(lambda: load.loads[0]() is None)
    assert until(lambda: watchers() == 0)
    assert np.array_equal(lazy.embed(["validate an email"], Role.QUERY), first)
    assert len(load.loads) == 2
    assert until(lambda: not lazy.loaded)


def test_no_memory_map_of_an_unloaded_model_stays_open() -> None:
    maps = Path("/proc/self/maps")
    if not maps.exists():
        pytest.skip("only Linux lists a process's memory maps")
    gc.collect()
    before = maps.read_text().count("vectors.npy")
    lazy = LazyEmbedder(lambda: SPACE, StaticEmbedder)
    lazy.embed([], Role.QUERY)
    assert maps.read_text().count("vectors.npy") == before + 1
    lazy.unload()
    assert maps.read_text().count("vectors.npy") == before


def test_a_model_in_use_is_not_unloaded() -> None:
    begun, go_on = threading.Event(), threading.Event()

    class Slow(StaticEmbedder):
        def embed(self, texts, role):  # type: ignore[no-untyped-def]
            begun.set()
            assert go_on.wait(30)
            return super().embed(texts, role)

    lazy = LazyEmbedder(lambda: SPACE, Slow)
    with ThreadPoolExecutor(1) as thread:
        row = thread.submit(lazy.embed, ["x"], Role.QUERY)
        assert begun.wait(30)
        lazy.unload()
        assert lazy.loaded
        go_on.set()
        assert row.result().shape == (1, SPACE.dimension)
    lazy.unload()
    assert not lazy.loaded


def test_texts_embedded_while_models_come_and_go_are_right(watchers: Callable[[], int]) -> None:
    lazy = LazyEmbedder(lambda: SPACE, StaticEmbedder, idle_seconds=0.001)
    wanted = StaticEmbedder().embed([f"text {n}" for n in range(8)], Role.QUERY)

    def ask(n: int) -> None:
        for _ in range(50):
            assert np.array_equal(lazy.embed([f"text {n}"], Role.QUERY)[0], wanted[n])
            lazy.unload()

    with ThreadPoolExecutor(8) as threads:
        list(threads.map(ask, range(8)))
    assert until(lambda: watchers() == 0)


def test_an_embedder_nobody_holds_takes_its_model_and_its_thread_along(watchers: Callable[[], int]) -> None:
    load = Counted()
    lazy = LazyEmbedder(lambda: SPACE, load, idle_seconds=3600)
    lazy.embed(["x"], Role.QUERY)
    assert watchers() == 1
    del lazy
    gc.collect()
    assert load.loads[0]() is None
    assert until(lambda: watchers() == 0)


def test_a_model_exchanged_while_it_was_unloaded_is_refused(tmp_path: Path) -> None:
    folder = Path(shutil.copytree(SHIPPED, tmp_path / "model"))
    lazy = LazyEmbedder(lambda: read_manifest(folder).space, lambda: StaticEmbedder(folder))
    lazy.embed(["x"], Role.QUERY)
    lazy.unload()
    manifest = folder / "model.json"
    manifest.write_text(manifest.read_text().replace('"max_tokens": 1024', '"max_tokens": 512'))
    with pytest.raises(EmbedderUnavailable, match="have changed; start this process anew"):
        lazy.embed(["x"], Role.QUERY)


@pytest.mark.parametrize("slow", [True, False])
def test_only_a_slow_model_is_announced(slow: bool, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    lazy = LazyEmbedder(lambda: SPACE, StaticEmbedder, slow=slow)
    lazy.embed([], Role.QUERY)
    lazy.embed([], Role.QUERY)
    lazy.unload()
    words = [record.getMessage().split()[0] for record in caplog.records]
    assert words == (["loading", "loaded", "unloaded"] if slow else [])


def test_memories_of_a_process_share_a_model(tree: Path) -> None:
    uncached = structs.replace(Settings.load(tree), perf_cache_max_size=0)
    with open_memory(tree) as one, open_memory(tree) as other, open_models(uncached) as bare:
        [first], [second], [third] = one.embedders, other.embedders, bare.embedders
        assert first.embedder is second.embedder is third  # type: ignore[attr-defined]


def test_the_setting_says_when(tree: Path) -> None:
    settings = Settings(perf_model_idle_timeout_minutes=IDLE / 60)
    with open_memory(tree, settings=settings) as memory:
        memory.index()
        [cached] = memory.embedders
        memory.preload()
        assert until(lambda: not cached.embedder.loaded)  # type: ignore[attr-defined]
        assert memory.search("where is mail checked").degraded == ()
