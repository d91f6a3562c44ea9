"""Vectors of another model, made beside those that are searched: killed, refused, gone on with."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from mnemolite.embedders.hashing import HashingEmbedder
from mnemolite.errors import NotFound, SpaceMismatch
from mnemolite.memory import Memory, Tree
from mnemolite.settings import Settings
from mnemolite.spaces import BATCH, Models, Spaces
from mnemolite.stores.sqlite import SqliteStore
from mnemolite.types import Domain, Query

OLD = HashingEmbedder(64, model="old")
NEW = (HashingEmbedder(32, Domain.TEXT, "new prose"), HashingEmbedder(48, Domain.CODE, "new code"))
SLOWLY = f"""
import sys, time
from pathlib import Path
from mnemolite.embedders.hashing import HashingEmbedder
from mnemolite.spaces import Models, Spaces
from mnemolite.stores.sqlite import SqliteStore
from mnemolite.types import Domain

class Slow(HashingEmbedder):
    def embed(self, texts, role):
        time.sleep(0.1)
        return super().embed(texts, role)

models = Models((Slow(32, Domain.TEXT, {NEW[0].space.model!r}), Slow(48, Domain.CODE, {NEW[1].space.model!r})))
Spaces(SqliteStore(Path(sys.argv[1])), models).build()
"""


@pytest.fixture
def indexed(tmp_path: Path) -> Iterator[Tree]:
    """Made by the old model: 700 functions, each with a docstring."""
    root = tmp_path / "tree"
    root.mkdir()
    for n in range(700):
        (root / f"m{n}.py").write_text(f'def area_{n}(w, h):\n    """Of shape {n}."""\n    return w * h * {n}\n')
    tree = Tree(root, SqliteStore(tmp_path / "memory.db"))
    with memory(tree) as old:
        old.index()
        yield tree


def memory(tree: Tree, *embedders: HashingEmbedder) -> Memory:
    """With *embedders* configured, and the old one at hand."""
    return Memory(
        [tree],
        tree.store,
        Models(embedders or (OLD,), lambda space: OLD if space == OLD.space else None),
        Settings(workers=1, fresh_seconds=0),
    )


def missing(tree: Tree) -> dict[str, int]:
    return {state.space.model: state.missing for state in tree.store.space_states()}


def test_a_build_that_is_killed_goes_on_while_searches_do(indexed: Tree, tmp_path: Path) -> None:
    command = [sys.executable, "-c", SLOWLY, str(tmp_path / "memory.db")]
    new = memory(indexed, *NEW)
    for _ in range(2):
        before = sum(missing(indexed).values())
        with subprocess.Popen(command) as process:
            while len(missing(indexed)) < 2 or sum(missing(indexed).values()) == before:
                time.sleep(0.01)
                assert process.poll() is None
            process.send_signal(signal.SIGKILL)
        results = new.search(Query(text="area_34", limit=1))
        assert results.hits[0].ranks.keys() >= {"lexical", "vector"}
        assert "served by old " in results.degraded[0]
    left = missing(indexed)
    assert left["old"] == 0
    assert 0 < left["new prose"] <= 700 - 2 * BATCH
    assert indexed.store.check() == []

    (indexed.root / "late.py").write_text("def late():\n    return 1\n")
    told = []
    built = new.spaces.build(lambda build: told.append((build.done, build.left)))
    assert built == left["new prose"] + 700  # what was embedded before is not again
    assert told[-1] == (built, 0)
    new.index()
    assert new.spaces.build() == 2
    new.spaces.switch()
    results = new.search(Query(text="late", limit=1))
    assert (results.hits[0].chunk.path, results.degraded) == ("late.py", ())
    assert "code" in results.hits[0].ranks
    assert new.spaces.drop("old") == OLD.space
    assert missing(indexed) == {"new prose": 0, "new code": 0}
    assert indexed.store.check() == []


def test_what_a_model_made_that_is_gone_is_not_added_to(indexed: Tree) -> None:
    other = Memory([indexed], indexed.store, Models(NEW), Settings(workers=1))
    with pytest.raises(
        SpaceMismatch, match=r"vectors of old .* not at hand; the model is now new prose .*spaces build"
    ):
        other.index()


def test_nothing_can_be_built_of_nothing() -> None:
    with pytest.raises(NotFound, match="nothing is indexed"):
        Spaces(SqliteStore(None), Models((OLD,))).build()
