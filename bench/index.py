"""
Indexing a tree from nothing, and again when nothing changed: python bench/index.py TREE [--beside COMMAND] [--runs N]

COMMAND is a whole shell-quoted command line, such as another tool's, that is timed in the same run; its CPU ratio is
ours over its.
"""

from __future__ import annotations

import argparse
import shlex
import sys
from pathlib import Path

from mnemolite.wiring import remove_index
from paired import table


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("tree", type=Path)
    parser.add_argument("--beside", metavar="COMMAND")
    parser.add_argument("--runs", type=int, default=3)
    args = parser.parse_args()
    program, tree = shlex.quote(str(Path(sys.executable).parent / "mnemolite")), shlex.quote(str(args.tree.resolve()))
    commands = {"index from nothing": f"{program} index --rebuild {tree}"}
    if args.beside:
        commands["beside"] = args.beside
    commands["index, nothing changed"] = f"{program} index {tree}"
    table(commands, args.runs)
    remove_index(args.tree.resolve())


if __name__ == "__main__":
    main()
