"""Models that are loaded within a budget of memory."""

from __future__ import annotations

import logging
import shutil
from pathlib import Path

import numpy as np
import pytest

from mnemolite.embedders.budget import RamBudget
from mnemolite.embedders.lazy import LazyEmbedder
from mnemolite.embedders.static import SHIPPED, StaticEmbedder, read_manifest
from mnemolite.errors import EmbedderUnavailable, InvalidInput
from mnemolite.ram import MB
from mnemolite.settings import Settings
from mnemolite.types import Role
from mnemolite.wiring import open_models

MANIFEST = read_manifest(SHIPPED)


def model(budget: RamBudget, folder: Path = SHIPPED, mb: int = 400) -> LazyEmbedder:
    return budget.embedder(lambda: MANIFEST.space, lambda: StaticEmbedder(folder), lambda: mb * MB)


def test_a_second_model_above_the_budget_is_refused_and_the_first_goes_on() -> None:
    budget = RamBudget(900 * MB, resident=lambda: 600 * MB)
    text, code = model(budget), model(budget)
    text.embed(["a word"], Role.QUERY)
    with pytest.raises(EmbedderUnavailable, match="would have 1000 MB, its RAM budget is 900 MB"):
        code.embed(["a word"], Role.QUERY)
    assert text.embed(["a word"], Role.QUERY).any()
    assert text.state.loaded
    assert not text.state.failure
    assert not code.state.loaded
    assert "RAM budget" in code.state.failure


def test_room_that_an_unloaded_model_gave_back_is_used() -> None:
    budget = RamBudget(900 * MB, resident=lambda: 600 * MB)
    text, code = model(budget), model(budget)
    text.embed([], Role.QUERY)
    text.unload()
    assert code.embed(["a word"], Role.QUERY).any()


def test_the_first_model_is_loaded_whatever_the_budget_and_a_warning_says_so_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    first = model(RamBudget(900 * MB, resident=lambda: 950 * MB))
    with caplog.at_level(logging.WARNING):
        first.embed(["a word"], Role.QUERY)
        first.unload()
        first.embed(["a word"], Role.QUERY)
    assert [record.message for record in caplog.records] == ["950 MB resident, above the RAM budget of 900 MB"]


def test_a_model_that_failed_to_load_says_why_until_it_can_be(tmp_path: Path) -> None:
    moved = model(RamBudget(900 * MB), tmp_path / "moved")
    with pytest.raises(EmbedderUnavailable):
        moved.embed([], Role.QUERY)
    assert "no embedding model at" in moved.state.failure
    (tmp_path / "moved").symlink_to(SHIPPED)
    moved.embed([], Role.QUERY)
    assert moved.state.loaded
    assert not moved.state.failure


def test_a_text_given_as_tokens_is_embedded_as_the_text() -> None:
    embedder = StaticEmbedder()
    text = "def validateEmail(address): return pattern.match(address)"
    ids = tuple(embedder.tokens(text))
    assert np.array_equal(embedder.embed([text], Role.PASSAGE), embedder.embed([ids], Role.PASSAGE))
    for wrong in (-1, 10**6):
        with pytest.raises(InvalidInput, match=f"{wrong} is no token of "):
            embedder.embed([(ids[0], wrong)], Role.PASSAGE)


def test_the_estimate_of_a_model_is_the_size_of_its_files() -> None:
    files = [file for file in SHIPPED.iterdir() if file.name in MANIFEST.files]
    assert MANIFEST.size == StaticEmbedder().state.bytes == sum(file.stat().st_size for file in files)


def test_the_setting_is_for_all_memories_of_a_process(tmp_path: Path) -> None:
    other = shutil.copytree(SHIPPED, tmp_path / "other")
    with (
        open_models(Settings(ram_budget_mb=1)) as first,
        open_models(Settings(ram_budget_mb=1, embedding_model=str(other))) as second,
    ):
        first.preload()
        with pytest.raises(EmbedderUnavailable, match="its RAM budget is 1 MB; raise ram_budget_mb"):
            second.preload()
        assert first.embed("a word").any()
