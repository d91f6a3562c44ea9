"""Requests made from the API's own description, right and wrong ones: each is answered as the description says."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

from mnemolite.serve.security import Access

from .conftest import Serve

PROGRAM = str(Path(sys.executable).parent / "schemathesis")
EXAMPLES = os.environ.get("FUZZ_EXAMPLES", "")  # of each route; a few unless told, from a seed that is always the same
QUICK = ["--phases", "fuzzing", "-n", "2", "--seed", "1", "--no-shrink"]
# A description cannot say all that makes a request wrong: which of two keys is to be given, what has no words.
LEFT_OUT = "positive_data_acceptance"


def test_every_answer_is_as_described(serve: Serve, tmp_path: Path) -> None:
    with serve() as server:
        server.memory.repositories.add("shop", {"a.py": "def alpha(): ...\n"})
        _, token = server.keys.create("fuzzer", Access.ADMIN)
        command = [PROGRAM, "run", f"{server.url}/openapi.json", "--no-color", "--exclude-checks", LEFT_OUT]
        command += ["-H", f"Authorization: Bearer {token}", *(["-n", EXAMPLES] if EXAMPLES else QUICK)]
        with (tmp_path / "report").open("w+") as report:
            done = subprocess.run(
                command, stdout=report, timeout=3600, check=False, cwd=tmp_path, env={**os.environ, "NO_PROXY": "*"}
            )
            report.seek(0)
            text = report.read()
        sys.stdout.write(text)  # shown when the test fails, and by pytest -s
        assert done.returncode == 0
        routes = [method for path in server.get("/openapi.json")["paths"].values() for method in path]
        assert f"Tested: {len(routes)}" in text
        cases = re.search(r"(\d+) generated", text)
        assert cases is not None
        assert int(cases[1]) >= 2 * len(routes)
