"""The README's Python runs as it stands."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_the_python_of_the_readme_runs(tmp_path: Path) -> None:
    shutil.copytree(ROOT / "tests/golden/tree", tmp_path / "tests/golden/tree")
    [block] = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text("utf-8"), re.DOTALL)
    done = subprocess.run([sys.executable, "-c", block], capture_output=True, text=True, cwd=tmp_path, check=False)
    assert done.returncode == 0, done.stderr
    assert len(done.stdout.splitlines()) == 10


def test_every_command_of_the_readme_exists() -> None:
    text = (ROOT / "README.md").read_text("utf-8")
    for command in set(re.findall(r"`mnemolite ([a-z]+)", text)):
        done = subprocess.run(
            [Path(sys.executable).parent / "mnemolite", command, "--help"], capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, command
