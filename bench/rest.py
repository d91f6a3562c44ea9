"""
What a long-lived process takes at rest: python bench/rest.py TREE [--model FOLDER ...]

For the shipped model and each FOLDER, of a process of the Python API and of `mnemolite mcp`: resident MB as the system
counts them, once it is up, after three searches with the model loaded, after it was idle, and all that a second time.
The index is made first, by another process, in a folder that is thrown away.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

IDLE_SECONDS = 2.0
QUERIES = ("where do we validate an email?", "retry a request that failed", "parse the configuration")
API = """
import json, sys
from mnemolite import open_memory
with open_memory(sys.argv[1]) as memory:
    print("up", flush=True)
    for line in sys.stdin:
        found = memory.search(json.loads(line))
        assert found.hits and not found.degraded, found.degraded
        print(len(found.hits), flush=True)
"""


class Process:
    """A child that answers a line with a line, and what its memory is."""

    def __init__(self, command: list[str], environ: dict[str, str]) -> None:
        self._child = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env=environ
        )

    def say(self, line: str) -> None:
        assert self._child.stdin is not None
        self._child.stdin.write(line + "\n")
        self._child.stdin.flush()

    def hear(self) -> str:
        assert self._child.stdout is not None
        line = self._child.stdout.readline()
        if not line:
            raise SystemExit(f"the process ended with {self._child.wait()}")
        return line

    def megabytes(self) -> float:
        """Resident: its own, and its share of files such as libraries."""
        pages = Path(f"/proc/{self._child.pid}/statm").read_text().split()[1]
        return int(pages) * os.sysconf("SC_PAGE_SIZE") / 1e6

    def end(self) -> None:
        assert self._child.stdin is not None
        self._child.stdin.close()
        self._child.wait(30)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("tree", type=Path)
    parser.add_argument("--model", type=Path, action="append", default=[])
    args = parser.parse_args()
    columns = ("up", "loaded", "idle", "loaded", "idle")
    print(f"{'':40}" + "".join(f"{column:>9}" for column in columns))
    for model in ("", *(str(folder.resolve()) for folder in args.model)):
        with tempfile.TemporaryDirectory() as folder:
            environ = os.environ | {
                "MNEMOLITE_INDEX_DIR": f"{folder}/index",
                "MNEMOLITE_DATA_DIR": f"{folder}/data",
                "MNEMOLITE_EMBEDDING_MODEL": model,
                "MNEMOLITE_PERF_MODEL_IDLE_TIMEOUT_MINUTES": str(IDLE_SECONDS / 60),
                "OPENBLAS_NUM_THREADS": "1",
            }
            program, tree = str(Path(sys.executable).parent / "mnemolite"), str(args.tree.resolve())
            subprocess.run([program, "index", tree], check=True, capture_output=True, env=environ)
            api = Process([sys.executable, "-c", API, tree], environ)
            api.hear()
            row(f"{Path(model).name or 'shipped'}, Python API", api, ask_api)
            mcp = Process([program, "mcp", tree], environ)
            greet(mcp)
            row(f"{Path(model).name or 'shipped'}, mnemolite mcp", mcp, ask_mcp)


def row(title: str, process: Process, ask: Callable[[Process, str], None]) -> None:
    figures = [process.megabytes()]
    for _ in range(2):
        for query in QUERIES:
            ask(process, f"{query} {len(figures)}")  # not one that the cache knows
        figures.append(process.megabytes())
        time.sleep(2 * IDLE_SECONDS + 1)
        figures.append(process.megabytes())
    process.end()
    print(f"{title:40}" + "".join(f"{figure:9.0f}" for figure in figures), flush=True)


def ask_api(process: Process, text: str) -> None:
    process.say(json.dumps(text))
    process.hear()


def greet(process: Process) -> None:
    client = {"name": "bench", "version": "1"}
    request(process, "initialize", {"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": client})
    process.say(json.dumps({"jsonrpc": "2.0", "method": "notifications/initialized"}))


def ask_mcp(process: Process, text: str) -> None:
    result = request(process, "tools/call", {"name": "search", "arguments": {"query": text}})
    assert not result.get("isError"), result
    assert result["structuredContent"]["hits"], result


def request(process: Process, method: str, params: dict[str, object]) -> Any:
    process.say(json.dumps({"jsonrpc": "2.0", "id": 1, "method": method, "params": params}))
    while True:
        answer = json.loads(process.hear())
        if answer.get("id") == 1:
            return answer["result"]


if __name__ == "__main__":
    main()
