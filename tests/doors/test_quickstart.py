"""The commands of docs/quickstart.md run as they stand, but for installing and the port."""

from __future__ import annotations

import os
import re
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/quickstart.md").read_text("utf-8")
SECTIONS = [section for section in re.split(r"^## ", PAGE, flags=re.MULTILINE)[1:] if "```sh" in section]


@pytest.mark.parametrize("section", SECTIONS, ids=[section.partition("\n")[0] for section in SECTIONS])
def test_the_commands_of_a_quickstart_run(section: str, tmp_path: Path) -> None:
    tree = tmp_path / "shop"
    shutil.copytree(ROOT / "tests/golden/tree", tree)
    blocks = re.findall(r"```sh\n(.*?)```", section, re.DOTALL)
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = str(free.getsockname()[1])
    script = "\n".join(block for block in blocks if not block.startswith("pip install"))
    script = script.replace("mnemolite serve", f"mnemolite serve --port {port}").replace(":8001", f":{port}")
    programs = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    env = os.environ | {"HOME": str(tmp_path / "home"), "PATH": programs, "MNEMOLITE_DATA_DIR": str(tmp_path / "data")}
    Path(env["HOME"], ".claude").mkdir(parents=True)
    done = subprocess.run(
        ["bash", "-ec", script], cwd=tree, env=env, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    assert script.count("\n") >= 3
