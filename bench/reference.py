"""
Models in ONNX beside sentence-transformers with the same weights: python bench/reference.py WEIGHTS MODEL ...

For each MODEL the lowest and the mean cosine of its vectors with those of sentence-transformers, over passages of code
and prose. To be run where sentence-transformers is installed beside mnemolite.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from sentence_transformers import SentenceTransformer

from mnemolite.lab.compare import samples
from mnemolite.models import load_model
from mnemolite.settings import Settings
from mnemolite.types import Role


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("weights")
    parser.add_argument("models", nargs="+")
    args = parser.parse_args()
    texts = [*samples(), *lines()]
    expected = SentenceTransformer(args.weights, device="cpu").encode(texts, normalize_embeddings=True)
    for model in args.models:
        found = load_model(Settings(embedding_model=model)).embed(texts, Role.PASSAGE)
        cosines = (found * expected).sum(1)
        print(f"{model}: lowest cosine {cosines.min():.6f}, mean {cosines.mean():.6f}, over {len(texts)} texts")


def lines() -> list[str]:
    """Of our own documentation."""
    files = sorted((Path(__file__).parents[1] / "docs").glob("*.md"))
    return [line for file in files for line in file.read_text("utf-8").splitlines() if len(line) > 60]


if __name__ == "__main__":
    main()
