"""
A search as a fresh process: python bench/cold.py TREE [--query TEXT] [--beside COMMAND] [--runs N]

The index is made first. COMMAND is a whole command line that is timed in the same run; its CPU ratio is ours over its.
"""

from __future__ import annotations

import argparse
import shlex
import sys
from pathlib import Path

from mnemolite.wiring import open_memory
from paired import table


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("tree", type=Path)
    parser.add_argument("--query", default="where do we validate an email?")
    parser.add_argument("--beside", metavar="COMMAND")
    parser.add_argument("--runs", type=int, default=10)
    args = parser.parse_args()
    with open_memory(args.tree) as memory:
        memory.index()
        print(f"{memory.stats()[0].chunks:,} chunks in {memory.stats()[0].documents:,} files")
    program = Path(sys.executable).parent / "mnemolite"
    search = shlex.join([str(program), "search", args.query, str(args.tree.resolve())])
    commands = {"search": search, "search --no-refresh": f"{search} --no-refresh"}
    commands["search --lexical-only"] = f"{search} --lexical-only"
    commands["python -c pass"] = f"{shlex.quote(sys.executable)} -c pass"
    if args.beside:
        commands["beside"] = args.beside
    table(commands, args.runs)


if __name__ == "__main__":
    main()
