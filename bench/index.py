"""
Indexing a tree from nothing, and again when nothing changed:

    python bench/index.py TREE [--beside COMMAND] [--runs N]
    python bench/index.py --synthetic 50000

COMMAND is a whole shell-quoted command line, such as another tool's, that is timed in the same run; its CPU ratio is
ours over its. A synthetic tree has that many small files. Peak MB is that of the largest process.
"""

from __future__ import annotations

import argparse
import shlex
import subprocess
import sys
import tempfile
from pathlib import Path

from paired import table

PROGRAM = shlex.quote(str(Path(sys.executable).parent / "mnemolite"))
FUNCTION = """def handle_{name}_{i}(request, store):
    \"\"\"Answers a request for {name} number {i}.\"\"\"
    if request.user is None:
        raise PermissionError("{name} needs a user")
    return store.find("{name}", request.args["id"], limit={i})
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("tree", type=Path, nargs="?")
    parser.add_argument("--synthetic", type=int, metavar="FILES")
    parser.add_argument("--beside", metavar="COMMAND")
    parser.add_argument("--runs", type=int, default=3)
    args = parser.parse_args()
    if args.synthetic:
        with tempfile.TemporaryDirectory() as folder:
            write_tree(Path(folder), args.synthetic)
            measure(Path(folder), args.beside, args.runs)
    elif args.tree:
        measure(args.tree.resolve(), args.beside, args.runs)
    else:
        parser.error("give a TREE or --synthetic")


def measure(tree: Path, beside: str | None, runs: int) -> None:
    where = shlex.quote(str(tree))
    commands = {"index from nothing": f"{PROGRAM} index --rebuild {where}"}
    if beside:
        commands["beside"] = beside
    commands["index, nothing changed"] = f"{PROGRAM} index {where}"
    table(commands, runs)
    subprocess.run([*shlex.split(PROGRAM), "clear", "--yes", str(tree)], check=True, capture_output=True)


def write_tree(root: Path, files: int) -> None:
    for number in range(files):
        folder = root / f"package{number % 97}" / f"part{number % 13}"
        folder.mkdir(parents=True, exist_ok=True)
        name = f"thing{number}"
        text = "\n\n".join(FUNCTION.format(name=name, i=i) for i in range(3 + number % 5))
        (folder / f"{name}.py").write_text(text)


if __name__ == "__main__":
    main()
