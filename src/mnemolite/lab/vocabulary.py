"""A WordPiece vocabulary for code, from counted words; the runtime's :class:`WordPiece` looks its tokens up."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from pathlib import Path
from string import ascii_lowercase, digits

# the runtime's own rules, so that no word is counted here that it would never look up
from mnemolite.embedders.wordpiece import LONGEST_WORD, RUN, UNKNOWN, words
from mnemolite.errors import InvalidInput

SIZE = 64_000  # tokens: 12.3 MB at 384 dimensions and 4 bits
_DIGITS = 3  # a longer number is cut, or the vocabulary fills with years and hashes
_NUMBERS = 1024  # number pieces at most, beside the single digits
_ALPHABET = 1000  # characters; a word with a rarer one is unknown as a whole
_FED = 20_000_000  # words given to the library, which counts them again: seconds, not minutes


def count_words(texts: Iterable[str]) -> Counter[str]:
    """How often each split, lower-case, accent-free word stands in *texts*."""
    runs = Counter(run for text in texts for run in RUN.findall(text))
    counts: Counter[str] = Counter()
    for run, count in runs.items():
        for word in words(run):
            counts[word] += count
    return counts


def train(counts: Mapping[str, int], size: int = SIZE) -> list[str]:
    """
    At most *size* tokens, ``[UNK]`` first. No word of ASCII letters or digits is unknown to it.

    Raises:
        InvalidInput: *size* does not leave room for them.
    """
    base = [UNKNOWN, *_both(digits), *_both(ascii_lowercase)]
    if size < len(base):
        raise InvalidInput(f"a vocabulary needs {len(base)} tokens or more, not {size}")
    candidates = [*_numbers(counts), *_letters(counts, size)]
    return list(islice(dict.fromkeys([*base, *candidates]), size))


def read(file: Path) -> list[str]:
    """
    The tokens of a ``vocab.txt``, one a line, as the model's.

    Raises:
        InvalidInput: the file cannot be read, or its first token is not ``[UNK]``.
    """
    try:
        tokens = file.read_text("utf-8").removesuffix("\n").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidInput(f"no vocabulary in {file}: {error}") from error
    if UNKNOWN not in tokens:
        raise InvalidInput(f"{file} is no vocabulary: it lacks {UNKNOWN}")
    return tokens


def _both(characters: Iterable[str]) -> list[str]:
    return [form for c in characters for form in (c, f"##{c}")]


def _numbers(counts: Mapping[str, int]) -> list[str]:
    """Most frequent first: the pieces of numbers as longest-prefix lookup would cut them."""
    pieces: Counter[str] = Counter()
    for word, count in counts.items():
        if word.isascii() and word.isdigit():
            for start in range(0, len(word), _DIGITS):
                pieces[("##" if start else "") + word[start : start + _DIGITS]] += count
    return [piece for piece, count in pieces.most_common(_NUMBERS) if count > 1]


def _letters(counts: Mapping[str, int], size: int) -> list[str]:
    """In the order the library learnt them: characters, then merges, most useful first."""
    from tokenizers import Tokenizer, models, pre_tokenizers, trainers

    tokenizer = Tokenizer(models.WordPiece(unk_token=UNKNOWN))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    trainer = trainers.WordPieceTrainer(
        vocab_size=size, min_frequency=2, limit_alphabet=_ALPHABET, special_tokens=[UNKNOWN], show_progress=False
    )
    tokenizer.train_from_iterator(_repeated(counts), trainer)
    tokens: dict[str, int] = tokenizer.get_vocab()
    return sorted(tokens, key=tokens.__getitem__)


def _repeated(counts: Mapping[str, int]) -> Iterator[str]:
    """Each word as often as it counts, scaled down to ``_FED`` in all; sorted, so that the result does not vary."""
    words = {w: n for w, n in counts.items() if w.isalpha() and len(w) <= LONGEST_WORD}
    scale = min(1.0, _FED / max(1, sum(words.values())))
    for word, count in sorted(words.items()):
        yield f"{word} " * round(count * scale)
