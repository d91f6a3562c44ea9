"""
A search as a fresh process: python bench/cold.py TREE [--query TEXT] [--beside COMMAND] [--runs N]

The index is made first. COMMAND is a whole command line that is timed in the same run; its CPU ratio is ours over its.
"""

from __future__ import annotations

import argparse
import shlex
import subprocess
import sys
from pathlib import Path

from paired import table


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("tree", type=Path)
    parser.add_argument("--query", default="where do we validate an email?")
    parser.add_argument("--beside", metavar="COMMAND")
    parser.add_argument("--runs", type=int, default=10)
    args = parser.parse_args()
    program, tree = str(Path(sys.executable).parent / "mnemolite"), str(args.tree.resolve())
    subprocess.run([program, "index", tree], check=True, capture_output=True)
    print(subprocess.run([program, "status", tree], check=True, capture_output=True, text=True).stdout)
    search = shlex.join([program, "search", args.query, tree])
    commands = {"search": search, "search --no-refresh": f"{search} --no-refresh"}
    commands["search --lexical-only"] = f"{search} --lexical-only"
    commands["python -c pass"] = f"{shlex.quote(sys.executable)} -c pass"
    if args.beside:
        commands["beside"] = args.beside
    table(commands, args.runs)


if __name__ == "__main__":
    main()
