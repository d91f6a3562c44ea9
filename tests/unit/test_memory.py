"""Indexing and searching through Memory, with SQLite on disk and an embedder that counts."""

from __future__ import annotations

import os
import shutil
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from mnemolite.embedders.hashing import HashingEmbedder
from mnemolite.errors import EmbedderUnavailable, InvalidInput, NotFound, SpaceMismatch
from mnemolite.ingest import pipeline
from mnemolite.lab.onnx_export import export
from mnemolite.lab.random_model import write_bert
from mnemolite.memory import Memory, Tree
from mnemolite.settings import Settings
from mnemolite.spaces import Models
from mnemolite.stores.sqlite import SqliteStore
from mnemolite.types import Domain, Kind, Query, Role, Scope, Text
from mnemolite.wiring import open_memory, remove_index

if TYPE_CHECKING:
    from mnemolite.types import Matrix


class Counting(HashingEmbedder):
    """How many passages were embedded."""

    passages = 0
    broken = False

    def embed(self, texts: Sequence[Text], role: Role) -> Matrix:
        if self.broken:
            raise EmbedderUnavailable("the model is out to lunch")
        self.passages += len(texts) if role is Role.PASSAGE else 0
        return super().embed(texts, role)


@pytest.fixture
def embedder() -> Counting:
    return Counting()


@pytest.fixture
def memory(tree: Path, embedder: Counting) -> Iterator[Memory]:
    for file in tree.rglob("*"):
        os.utime(file, (1, 1))  # long ago, so that no file may still be being written
    store = SqliteStore(None)
    with Memory([Tree(tree, store)], store, Models((embedder,)), Settings(workers=1, fresh_seconds=0)) as memory:
        yield memory


def test_the_first_search_indexes(memory: Memory) -> None:
    assert memory.search("validate_email").hits[0].chunk.path == "auth/email.py"


def test_an_unchanged_tree_reads_and_embeds_nothing(memory: Memory, embedder: Counting) -> None:
    [first] = memory.index()
    [second] = memory.index()
    assert first.embedded == embedder.passages > 0
    assert (second.indexed, second.chunks, second.embedded) == (0, 0, 0)


def test_what_has_no_text_is_known_and_not_read_again(memory: Memory) -> None:
    [first] = memory.index()
    assert first.skipped["binary"] == 1
    assert not memory.changes()[0]
    assert memory.stats()[0].skipped == {"binary": 1}


def test_a_touched_file_is_not_stored_again(memory: Memory, tree: Path, embedder: Counting) -> None:
    memory.index()
    before = embedder.passages
    os.utime(tree / "auth/email.py", (2, 2))
    [report] = memory.index()
    assert (report.indexed, report.chunks, embedder.passages) == (1, 0, before)
    assert not memory.changes()[0]


def test_only_the_chunks_that_changed_are_embedded(memory: Memory, tree: Path, embedder: Counting) -> None:
    file = tree / "long.py"
    functions = [f"def step_{i}(state):\n" + f"    state.advance({i})\n" * 20 for i in range(8)]
    file.write_text("\n\n".join(functions))
    memory.index()
    before = embedder.passages
    file.write_text("\n\n".join([*functions[:-1], functions[-1].replace("advance", "retreat")]))
    [report] = memory.index()
    assert report.chunks == 8
    assert report.embedded == embedder.passages - before == 1


def test_the_same_file_of_another_worktree_is_not_embedded_again(
    memory: Memory, tree: Path, embedder: Counting, tmp_path: Path
) -> None:
    memory.index()
    before = embedder.passages
    worktree = Path(shutil.copytree(tree, tmp_path / "worktree"))
    store = memory.trees[0].store
    report = pipeline.run(worktree, "worktree", store, [embedder], max_bytes=1_000_000, workers=1)
    assert report.chunks > 0
    assert report.embedded == embedder.passages - before == 0


def test_a_folder_that_cannot_be_read_just_now_loses_nothing() -> None:
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        root.chmod(0o755)
        (root / "closed").mkdir()
        for name in ("closed/kept.py", "gone.py"):
            (root / name).write_text("x = 1\n")
        store = SqliteStore(None)
        with Memory([Tree(root, store)], store, Models((HashingEmbedder(),)), Settings(workers=1)) as memory:
            memory.index()
            (root / "gone.py").unlink()
            (root / "closed").chmod(0)
            with as_ordinary_user():
                [change] = memory.changes()
            (root / "closed").chmod(0o755)
        assert change.removed == ("gone.py",)


@contextmanager
def as_ordinary_user() -> Iterator[None]:
    """Root may read everything, so a folder is only closed to somebody else."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)


def test_a_file_written_just_now_is_looked_at_again(memory: Memory, tree: Path) -> None:
    file = tree / "fast.py"
    file.write_text("alpha = 1\n")
    os.utime(file, ns=(time.time_ns(), time.time_ns()))
    memory.index()
    state = file.stat()
    file.write_text("omega = 1\n")
    os.utime(file, ns=(state.st_atime_ns, state.st_mtime_ns))  # same size, same time: as within one tick of a clock
    assert memory.search("omega", freshness="refresh").hits[0].chunk.path == "fast.py"


def test_a_stale_index_answers_and_says_so_when_the_model_is_gone(
    memory: Memory, tree: Path, embedder: Counting
) -> None:
    memory.index()
    (tree / "new.py").write_text("x = 1\n")
    embedder.broken = True
    results = memory.search("validate_email")
    assert results.hits[0].chunk.path == "auth/email.py"
    assert "stale" in results.degraded[0] and "out to lunch" in results.degraded[0]
    assert results.degraded[1] == "vector search: the model is out to lunch"


def test_a_stale_index_says_so_each_time(memory: Memory, tree: Path) -> None:
    memory.index()
    (tree / "new.py").write_text("x = 1\n")
    patient = Memory(
        memory.trees, memory.trees[0].store, Models(memory.embedders), Settings(workers=1, fresh_seconds=1000)
    )
    for _ in range(2):
        assert "stale" in patient.search("x", freshness="check").degraded[0]
    assert not patient.search("x").degraded
    (tree / "newer.py").write_text("y = 1\n")
    assert not patient.search("y", freshness="check").degraded  # trusted for a while, once it was fresh


def test_a_changed_tree_and_another_model_still_answer_by_words(memory: Memory, tree: Path) -> None:
    memory.index()
    (tree / "new.py").write_text("x = 1\n")
    [own] = memory.trees
    other = Memory(
        [own], own.store, Models((HashingEmbedder(32, model="other"),)), Settings(workers=1, fresh_seconds=0)
    )
    results = other.search("validate_email")
    assert results.hits[0].chunk.path == "auth/email.py"
    assert all("mnemolite index rebuild" in note for note in results.degraded)
    assert len(results.degraded) == 2


def test_vectors_alone_without_a_model_are_an_error(memory: Memory, embedder: Counting) -> None:
    memory.index()
    embedder.broken = True
    with pytest.raises(EmbedderUnavailable):
        memory.search(Query(text="mail", lexical=False))


def test_a_caller_may_send_one_vector_for_text(memory: Memory, embedder: Counting) -> None:
    memory.index()
    vector = tuple(map(float, embedder.embed(["validate email address"], Role.QUERY)[0] * 3))
    sent = memory.search(Query(text="", embeddings={Domain.TEXT: vector}, lexical=False))
    embedded = memory.search(Query(text="validate email address", lexical=False))
    assert [hit.chunk.id for hit in sent.hits] == [hit.chunk.id for hit in embedded.hits]


@pytest.mark.parametrize("vector", [(1.0, 2.0), (float("nan"),) * 64])
def test_a_vector_that_cannot_be_compared_is_refused(vector: tuple[float, ...], memory: Memory) -> None:
    memory.index()
    with pytest.raises(InvalidInput):
        memory.search(Query(text="x", embeddings={Domain.TEXT: vector}))


def test_another_model_of_the_same_domain_is_refused(memory: Memory) -> None:
    memory.index()
    [tree] = memory.trees
    other = Memory([tree], tree.store, Models((HashingEmbedder(32, model="other"),)), Settings(fresh_seconds=0))
    with pytest.raises(SpaceMismatch, match=r"hashing.*other|other.*hashing"):
        other.search(Query(text="mail", lexical=False), freshness="skip")
    degraded = other.search("mail", freshness="skip").degraded
    assert "mnemolite index rebuild" in degraded[0]


def test_two_models_make_two_spaces_and_both_rank(tree: Path) -> None:
    store = SqliteStore(None)
    embedders = (
        HashingEmbedder(48, Domain.TEXT, "words"),
        HashingEmbedder(96, Domain.CODE, "code"),
    )
    with Memory([Tree(tree, store)], store, Models(embedders), Settings(workers=1)) as memory:
        hit = memory.search("validate email").hits[0]
        assert {"text", "code"} <= set(hit.ranks)
        assert {space.dimension for space in store.spaces()} == {48, 96}
        assert memory.embed("x y", Domain.CODE).shape == (96,)


@pytest.fixture
def two_models(tree: Path) -> Iterator[Memory]:
    (tree / "auth" / "bare.py").write_text("def strip_address(address):\n    return address.strip()\n")
    embedders = (Counting(48, Domain.TEXT, "words"), Counting(96, Domain.CODE, "code"))
    store = SqliteStore(None)
    with Memory([Tree(tree, store)], store, Models(embedders), Settings(workers=1, fresh_seconds=0)) as memory:
        memory.index()
        yield memory


def test_a_chunk_is_embedded_in_the_spaces_that_its_text_calls_for(two_models: Memory) -> None:
    [tree] = two_models.trees
    places = {"prose": ("docs/refunds.md", 3), "described": ("auth/email.py", 8), "bare": ("auth/bare.py", 1)}
    found = {}
    for what, (path, line) in places.items():
        chunk = tree.store.chunk_at(path, line)
        assert chunk is not None
        vectors = {e.space.domain: tree.store.vector(e.space, chunk.id) for e in two_models.embedders}
        found[what] = {str(domain) for domain, vector in vectors.items() if vector is not None and vector.any()}
    assert found == {"prose": {"text"}, "described": {"text", "code"}, "bare": {"code"}}
    embedded = sum(embedder.passages for embedder in two_models.embedders if isinstance(embedder, Counting))
    assert embedded == sum(tree.store.stats().vectors.values())
    assert {"text", "code"} <= set(two_models.search("validate email").hits[0].ranks)


def test_a_query_is_embedded_only_where_its_scope_can_have_chunks(two_models: Memory) -> None:
    code = two_models.embedder(Domain.CODE)
    assert isinstance(code, Counting)
    code.broken = True
    results = two_models.search(Query(text="disputed payment", scope=Scope(languages=("markdown",))))
    assert (results.degraded, set(results.hits[0].ranks)) == ((), {"lexical", "text"})
    results = two_models.search("disputed payment")  # of the model that is there, and of the words
    assert "out to lunch" in results.degraded[0]
    assert results.hits[0].chunk.path == "docs/refunds.md"
    assert "text" in results.hits[0].ranks


def test_notes_are_prose(tree: Path, tmp_path: Path) -> None:
    write_bert(tmp_path, ["[UNK]", "mail"], positions=600)
    export(tmp_path, tmp_path / "text")
    settings = Settings(text_embedding_model=str(tmp_path / "text"), data_dir=str(tmp_path), workers=1)
    with open_memory(tree, settings=settings) as memory:
        assert [embedder.space.domain for embedder in memory.embedders] == [Domain.TEXT, Domain.CODE]
        memory.notes.add("mail is lost", "mail mail", kind=Kind.PITFALL)
        assert [space.domain for space in memory.notes.index.spaces()] == [Domain.TEXT]
        assert memory.search("mail").notes
        assert set(memory.search("validate email mail").hits[0].ranks) >= {"text", "code"}


def test_an_index_that_was_emptied_since_the_last_look_is_not_taken_for_an_answer(tree: Path) -> None:
    with open_memory(tree, settings=Settings(fresh_seconds=1000)) as memory:
        assert memory.search("chargeOnce").hits
        assert remove_index(tree)
        with open_memory(tree):  # as another process that makes it anew, and has only begun
            [first, *_] = memory.search("chargeOnce").hits
    assert first.chunk.path == "pay/charge.ts"


def test_similar_leaves_the_chunk_itself_out(memory: Memory) -> None:
    memory.index()
    hits = memory.similar("auth/email.py", 8).hits
    assert hits
    assert all(not (h.chunk.path == "auth/email.py" and h.chunk.first_line <= 8 <= h.chunk.last_line) for h in hits)
    with pytest.raises(NotFound, match=r"nowhere.py:1 is not indexed"):
        memory.similar("nowhere.py", 1)
    with pytest.raises(NotFound, match=r"docs/refunds.md has no line 900: it ends at 7"):
        memory.similar("docs/refunds.md", 900)


def test_a_scope_holds_for_both_legs(memory: Memory) -> None:
    memory.index()
    found = memory.search(Query(text="payment mail", scope=Scope(below="docs")))
    assert {hit.chunk.path for hit in found.hits} == {"docs/refunds.md"}


def test_vectors_alone_cannot_be_reranked() -> None:
    with pytest.raises(InvalidInput, match=r"cannot be reranked; give its words too"):
        Query(text=" ", embeddings={Domain.TEXT: (1.0,)}, rerank=True)


def test_seconds_tell_where_time_went(memory: Memory) -> None:
    seconds = memory.search("mail").seconds
    assert {"fresh", "lexical", "embed vector", "nearest vector", "total"} <= set(seconds)
    assert all(value >= 0 for value in seconds.values())


def test_the_shipped_model_is_the_default(tree: Path) -> None:
    with open_memory(tree) as memory:
        memory.index()
        [space] = memory.trees[0].store.spaces()
        assert space == memory.space(Domain.TEXT) == memory.space(Domain.CODE)
        assert np.linalg.norm(memory.embed("validate an email")) == pytest.approx(1)


def test_an_index_folder_that_cannot_be_written_still_answers(tree: Path) -> None:
    with open_memory(tree) as memory:
        memory.index()
    [tree_only] = memory.trees
    readonly = SqliteStore(tree / ".mnemolite" / "memory.db", readonly=True)
    with Memory(
        [Tree(tree_only.root, readonly)], readonly, Models(memory.embedders), Settings(fresh_seconds=0)
    ) as again:
        (tree / "new.py").write_text("x = 1\n")
        results = again.search("validate_email")
        assert results.hits[0].chunk.path == "auth/email.py"
        assert "stale" in results.degraded[0]


def test_a_signal_can_be_left_out(memory: Memory) -> None:
    memory.index()
    plain = Memory(
        memory.trees, memory.trees[0].store, Models(memory.embedders), Settings(signals_off="definition,namesake")
    )
    assert "definition" in memory.search("validate_email").hits[0].signals
    assert not {"definition", "namesake"} & {s for hit in plain.search("validate_email").hits for s in hit.signals}
    with pytest.raises(InvalidInput, match="no ranking signal"):
        Memory(memory.trees, memory.trees[0].store, Models(memory.embedders), Settings(signals_off="magic")).search("x")
