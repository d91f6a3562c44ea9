"""
What a cosine of a model means: python bench/relevance.py TREE [--model FOLDER] [--pairs N]

Pairs of Python: the first line of a docstring, and its function without the docstring; N of them, drawn, else all.
Prints the percentiles of the cosine of true pairs and of random ones; in model.json and relevance.json, "moderate" is
the 99th percentile of random pairs, "high" the median of true ones. Without FOLDER the shipped model is measured.
"""

from __future__ import annotations

import argparse
import ast
import random
from pathlib import Path

import numpy as np

from mnemolite.settings import Settings
from mnemolite.types import Role
from mnemolite.wiring import open_models

PERCENTILES = (1, 5, 10, 25, 50, 75, 90, 95, 99)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("tree", type=Path)
    parser.add_argument("--model", default="")
    parser.add_argument("--pairs", type=int)
    args = parser.parse_args()
    pairs = [pair for file in sorted(args.tree.rglob("*.py")) for pair in read(file)]
    if args.pairs:
        pairs = random.Random(0).sample(pairs, args.pairs)
    [embedder] = open_models(Settings(embedding_model=args.model)).embedders
    queries = embedder.embed([query for query, _ in pairs], Role.QUERY)
    passages = embedder.embed([code for _, code in pairs], Role.PASSAGE)
    order = np.random.default_rng(0).permutation(len(pairs))
    print(f"{len(pairs):,} pairs; percentile: " + "  ".join(f"{p:>5}" for p in PERCENTILES))
    for title, cosines in (("true", (queries * passages).sum(1)), ("random", (queries * passages[order]).sum(1))):
        print(f"{title:>22}: " + "  ".join(f"{value:5.2f}" for value in np.percentile(cosines, PERCENTILES)))


def read(file: Path) -> list[tuple[str, str]]:
    try:
        module = ast.parse(file.read_text("utf-8"))
    except (SyntaxError, ValueError):
        return []
    found = []
    for node in ast.walk(module):
        if not isinstance(node, ast.FunctionDef) or len(node.body) < 2:
            continue
        line = (ast.get_docstring(node) or "").strip().partition("\n")[0]
        if len(line.split()) >= 3:
            node.body = node.body[1:]
            found.append((line, ast.unparse(node)))
    return found


if __name__ == "__main__":
    main()
