"""Feedback over HTTP and on the command line, from the choice to the example it becomes."""

from __future__ import annotations

import io
import json
import shutil
from pathlib import Path
from typing import Any

import click
import pytest

from mnemolite.cli import cli
from mnemolite.wiring import open_memory

from .conftest import Serve, Served

FEEDBACK = "/v1/feedback"


def mnemolite(*arguments: object) -> None:
    cli.main([str(each) for each in arguments], standalone_mode=False)


def hits_of(server: Served, query: str) -> list[Any]:
    found: list[Any] = server.post("/v1/code/search/hybrid", {"query": query})["results"]
    return found


def test_a_server_that_is_not_told_to_keep_feedback_says_so(serve: Serve) -> None:
    with serve() as server:
        server.memory.repositories.add("shop", {"a.py": "def alpha(): ...\n"})
        [hit] = hits_of(server, "alpha")
        body = {"query": "alpha", "shown": [hit["chunk_id"]], "chosen": hit["chunk_id"]}
        assert "feedback is off and nothing was kept" in server.post(FEEDBACK, body, 409)["detail"]
        assert server.client.get(FEEDBACK).content == b""


def test_a_choice_becomes_an_example_to_learn_from(
    serve: Serve,
    tree: Path,
    tmp_path: Path,
    capsysbinary: pytest.CaptureFixture[bytes],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "home"))
    data = tmp_path / "home" / "mnemolite"
    with serve(feedback=True, data_dir=str(data)) as server:
        server.memory.repositories.index("shop", tree)
        hits = hits_of(server, "address of a mailbox")
        shown = [hit["chunk_id"] for hit in hits]
        chosen = next(place for place, hit in enumerate(hits) if hit["name"] and hit["language"] == "python")
        server.post(FEEDBACK, {"query": "who gets the mail", "shown": shown, "chosen": shown[chosen]}, 201)
        for wrong in ({"shown": [], "chosen": "1"}, {"shown": ["x"], "chosen": "x"}, {"shown": ["1"]}):
            server.post(FEEDBACK, {"query": "x", **wrong}, 422)
        exported = server.client.get(FEEDBACK)
        assert exported.headers["content-type"] == "application/x-ndjson"
        place = json.loads(exported.content)["shown"][chosen]
    mnemolite("feedback", "export")
    assert capsysbinary.readouterr().out == exported.content
    accepted = tmp_path / "accepted.jsonl"
    mnemolite("feedback", "export", accepted)
    (tree / place["path"]).write_text("# moved down\n\n" + (tree / place["path"]).read_text())
    mnemolite("train", "mine", tree, "--accepted", accepted, "--out", tmp_path / "examples.jsonl")
    assert b"accepted: 1, of which the code is gone: 0" in capsysbinary.readouterr().out
    lines = [json.loads(line) for line in (tmp_path / "examples.jsonl").read_text().splitlines()]
    [line] = [line for line in lines if line["relation"] == "accepted"]
    with open_memory(tree) as memory:
        ids = [int(id) for id in (line["positive_chunk_id"], *line["negative_chunk_ids"])]
        answer, *wrong_ones = memory.trees[0].store.chunks(ids)
    assert line["query"] == "who gets the mail"
    assert (answer.path, answer.name) == (place["path"], place["name"])
    assert answer.id not in [chunk.id for chunk in wrong_ones]
    shutil.rmtree(tree / Path(place["path"]).parts[0])
    mnemolite("train", "mine", tree, "--accepted", accepted, "--out", tmp_path / "examples.jsonl")
    assert b"of which the code is gone: 1" in capsysbinary.readouterr().out
    monkeypatch.setattr("sys.stdin", io.StringIO())
    with pytest.raises(click.Abort):  # nobody is there to say yes
        mnemolite("feedback", "clear")
    mnemolite("feedback", "clear", "--yes")
    mnemolite("feedback", "export")
    assert capsysbinary.readouterr().out == b"deleted 1\n"
