"""mnemolite worker and jobs."""

from __future__ import annotations

import json
import subprocess
import time
from pathlib import Path

import pytest

from mnemolite.cli import run
from mnemolite.settings import Settings
from mnemolite.wiring import open_indexer, open_server

from .conftest import PROGRAM


def call(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    monkeypatch.setattr("sys.argv", ["mnemolite", *arguments])
    return run()


def test_jobs_are_shown_cancelled_retried_and_worked_on_by_a_worker(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with open_server(Settings.load()) as memory:
        job = memory.indexing.submit("shop", files={"a.py": "def alpha(): ...\n", "b.py": " "})
        assert call(monkeypatch, "jobs", "list") == 0
        assert f"{job.id}  PENDING    shop  0/2 files, 0 chunks" in capsys.readouterr().out
        assert call(monkeypatch, "jobs", "cancel", job.id) == 0
        assert call(monkeypatch, "jobs", "cancel", job.id) == 2
        assert "has ended as CANCELLED" in capsys.readouterr().err
        assert call(monkeypatch, "jobs", "retry", job.id) == 0
        with subprocess.Popen([PROGRAM, "worker"], stderr=subprocess.PIPE, text=True) as worker:
            while not memory.indexing.get(job.id).state.is_final:
                time.sleep(0.05)
            worker.terminate()
            _, said = worker.communicate()
            assert worker.returncode == 0
            assert json.loads(said.splitlines()[0])["message"] == "working on jobs, 1 at once"
        capsys.readouterr()
        assert call(monkeypatch, "jobs", "show", job.id) == 0
        shown = capsys.readouterr().out
        assert "SUCCESS    shop  2/2 files, 1 chunks, 1 failed" in shown
        assert "  b.py: empty\n" in shown
        assert call(monkeypatch, "jobs", "list", "--json", "--state", "success", "-r", "shop") == 0
        [listed] = json.loads(capsys.readouterr().out)
        assert (listed["id"], listed["state"], listed["errors"], listed["attempts"]) == (
            job.id,
            "SUCCESS",
            {"b.py": "empty"},
            2,
        )
        assert call(monkeypatch, "jobs", "list", "--state", "failure") == 0
        assert capsys.readouterr().out == ""
        lost = memory.indexing.submit("gone", path="/nowhere")
        with open_indexer(memory.indexing) as indexer:
            while not memory.indexing.get(lost.id).state.is_final:
                indexer.work()
        assert call(monkeypatch, "jobs", "list", "--state", "failure") == 0
        line = capsys.readouterr().out
        assert line.startswith(f"{lost.id}  FAILURE    gone  nothing done") and "/nowhere" in line
        assert call(monkeypatch, "jobs", "show", "nothing") == 2
        assert "no job 'nothing'; 'mnemolite jobs list'" in capsys.readouterr().err
    assert Path(Settings.load().data_dir, "jobs.db").is_file()
