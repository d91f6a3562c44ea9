"""`mnemolite models` as a program: from weights to a model that is in use."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from mnemolite.lab.onnx_export import export
from mnemolite.lab.random_model import write_bert, write_jina, write_nomic

PROGRAM = Path(sys.executable).parent / "mnemolite"


def run(*arguments: object, **environ: str) -> subprocess.CompletedProcess[str]:
    command = [str(PROGRAM), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, env=os.environ | environ, timeout=120, check=False)


@pytest.mark.parametrize("write", [write_bert, write_nomic, write_jina])
def test_weights_are_exported_added_and_used(write, tree: Path, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    weights, out = tmp_path / "weights", tmp_path / "out"
    weights.mkdir()
    write(weights, positions=600)
    done = run("models", "export", weights, out)
    assert done.returncode == 0, done.stderr
    assert re.fullmatch(r".*model\.onnx: 0\.\d MB, lowest cosine with .*: 1\.000000\n", done.stdout)
    small = run("models", "export", weights, tmp_path / "small", "--int8").stdout
    assert 0.98 < float(small.rsplit(": ", 1)[1]) < 1

    assert run("models", "add", "mine", out).stdout == "added mine: 8 dimensions, 0.0 MB, of unknown licence\n"
    listed = run("models", "list", MNEMOLITE_EMBEDDING_MODEL="mine").stdout.splitlines()
    [row] = [line for line in listed if line.startswith("*")]
    assert row.split() == ["*", "mine", "8", "added", "0", "MB"]
    checked = run("models", "check", "mine", "--against", out).stdout.splitlines()
    assert re.fullmatch(r"mine, 8 dimensions, fingerprint [0-9a-f]{16}: as it should be", checked[0])
    assert checked[-1] == f"lowest cosine with {out}: 1.000000"

    done = run("index", tree, MNEMOLITE_EMBEDDING_MODEL="mine")
    assert "loading embedding model mine" in done.stderr
    found = json.loads(run("search", "--json", "where is mail checked", tree, MNEMOLITE_EMBEDDING_MODEL="mine").stdout)
    assert found["degraded"] == []

    kept = run("models", "rm", "mine", MNEMOLITE_EMBEDDING_MODEL="mine")
    assert (kept.returncode, kept.stdout) == (2, "")
    assert "mine is the configured model; configure another first" in kept.stderr
    assert run("models", "rm", "mine").stdout == "removed mine\n"
    assert " mine " not in run("models", "list").stdout
    found = json.loads(run("search", "--json", "where is mail checked", tree).stdout)
    assert found["hits"] and "vectors of mine" in found["degraded"][0]


def test_an_index_goes_from_one_model_to_two_without_a_break(tree: Path, tmp_path: Path) -> None:
    write_bert(tmp_path, ["[UNK]", "mail", "money"], positions=600)
    export(tmp_path, tmp_path / "prose")
    run("index", tree)
    two = {"TEXT_EMBEDDING_MODEL": str(tmp_path / "prose")}
    assert "served by mnemolite-static-1 " in run("index", tree, **two).stderr
    found = json.loads(run("search", "--json", "money", tree, **two).stdout)
    assert found["hits"][0]["ranks"].keys() >= {"vector"}
    assert "mnemolite spaces build" in found["degraded"][0]
    refused = run("spaces", "switch", tree, **two)
    assert (refused.returncode, refused.stdout) == (2, "")
    assert "there are no vectors of prose (8 dimensions" in refused.stderr
    built = run("spaces", "build", tree, **two)
    assert re.fullmatch(r"\d+ chunks embedded; every chunk is by now\n", built.stdout)
    assert run("spaces", "build", "--switch", tree, **two).stdout.startswith("0 chunks embedded")
    listed = {each["domain"]: each for each in json.loads(run("spaces", "list", "--json", tree, **two).stdout)}
    assert {domain: each["state"] for domain, each in listed.items()} == {
        "hybrid": "complete",
        "text": "active",
        "code": "active",
    }
    assert 0 < listed["code"]["vectors"] < listed["hybrid"]["vectors"]
    found = json.loads(run("search", "--json", "money", tree, **two).stdout)
    assert found["hits"][0]["ranks"].keys() >= {"text"}
    assert found["degraded"] == []
    assert "searches go by the vectors of prose" in run("spaces", "drop", "prose", tree, **two).stderr
    assert run("spaces", "drop", listed["hybrid"]["id"], tree, **two).stdout.startswith("dropped the vectors of mnemo")


def test_what_goes_wrong_is_said_on_stderr(tmp_path: Path) -> None:
    for arguments, said in (
        (("rm", "mnemolite-static-1"), "no model 'mnemolite-static-1' was added; 'mnemolite models list'"),
        (("rm", "../models"), "no model '../models' was added"),
        (("add", "unknown"), "'unknown' is no known model; give one of all-MiniLM-L6-v2"),
        (("check", tmp_path / "none"), "there is no embedding model at .*none; 'mnemolite models list'"),
        (("export", tmp_path, tmp_path / "out"), "no sentence-transformers model at .*config.json"),
        (("add", "all-MiniLM-L6-v2", "--hub", "http://127.0.0.1:1"), "cannot reach http://127.0.0.1:1/"),
    ):
        done = run("models", *arguments)
        assert (done.returncode, done.stdout) == (2, "")
        assert re.match(f"mnemolite: {said}", done.stderr), done.stderr
    assert "known" in run("models", "list").stdout
