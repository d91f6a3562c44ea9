"""CPU seconds to tokenize a tree's text, ours beside the `tokenizers` library: python bench/tokenizer.py TREE"""

from __future__ import annotations

import sys
import time
from pathlib import Path

from tokenizers import Regex, Tokenizer, models, normalizers, pre_tokenizers

from mnemolite.embedders.static import SHIPPED
from mnemolite.embedders.wordpiece import WordPiece
from mnemolite.errors import MnemoError
from mnemolite.ingest import walk

PIECE = 1200  # characters, about a chunk


def main() -> None:
    root = Path(sys.argv[1])
    texts = []
    for found in walk.Walk(root, max_bytes=1_000_000):
        try:
            text = walk.read_text(root / found.path, 1_000_000).text
        except (walk.Skip, MnemoError):
            continue
        texts += [text[i : i + PIECE] for i in range(0, len(text), PIECE)]
    vocabulary = (SHIPPED / "vocab.txt").read_text("utf-8").split("\n")
    ours, theirs = WordPiece(vocabulary), _library(vocabulary)
    print(f"{sum(map(len, texts)) / 1e6:.1f} MB in {len(texts)} texts")
    for title in ("first", "again"):
        start = time.process_time()
        theirs.encode_batch_fast(texts, add_special_tokens=False)
        middle = time.process_time()
        for text in texts:
            ours(text)
        end = time.process_time()
        print(f"{title}: library {middle - start:.2f} s, ours {end - middle:.2f} s")


def _library(vocabulary: list[str]) -> Tokenizer:
    ids = {word: id for id, word in enumerate(vocabulary)}
    tokenizer = Tokenizer(models.WordPiece(ids, unk_token="[UNK]", max_input_chars_per_word=40))
    camel = Regex(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")
    tokenizer.normalizer = normalizers.Sequence(
        [normalizers.Replace(camel, " "), normalizers.NFKD(), normalizers.StripAccents(), normalizers.Lowercase()]
    )
    tokenizer.pre_tokenizer = pre_tokenizers.Split(Regex(r"\p{L}+|\p{N}+"), behavior="removed", invert=True)
    return tokenizer


if __name__ == "__main__":
    main()
