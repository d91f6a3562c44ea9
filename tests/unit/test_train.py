import ast
import math
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mnemolite.embedders.static import StaticEmbedder, verify
from mnemolite.embedders.wordpiece import UNKNOWN, WordPiece
from mnemolite.errors import InvalidInput
from mnemolite.lab import contrastive, corpus, quantise, train, vocabulary
from mnemolite.lab.bert import gelu
from mnemolite.lab.pairs import Pair, Relation
from mnemolite.lab.random_model import write_bert
from mnemolite.lab.teacher import Teacher
from mnemolite.types import Role

SOURCE = Path(__file__).parents[2] / "src" / "mnemolite"
OPTIONS = contrastive.Options(batch=64, epochs=3, rate=1e-2, checkpoint_steps=5)


def pairs_of(file: Path) -> list[Pair]:
    """The words of each function's name, and its body."""
    text = file.read_text("utf-8")
    lines = text.split("\n")
    return [
        Pair(
            Relation.NAME,
            " ".join(re.findall("[a-z]+", node.name)),
            "\n".join(lines[node.body[0].lineno - 1 : node.end_lineno]),
            "python",
            file.relative_to(SOURCE).as_posix(),
        )
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.FunctionDef)
    ]


FILES = sorted(SOURCE.rglob("*.py"))
TRAINED = [pairs_of(f) for n, f in enumerate(FILES) if n % 4]
HELD_OUT = [pairs_of(f) for n, f in enumerate(FILES) if not n % 4]
TEXTS = [text for pairs in TRAINED for p in pairs for text in (p.query, p.passage)]
TOKENS = vocabulary.train(vocabulary.count_words(TEXTS), 3000)
PIECES = WordPiece(TOKENS)
DATA = corpus.corpus([[p for pairs in TRAINED for p in pairs]], PIECES)
HELD = corpus.corpus(HELD_OUT, PIECES, paths=1.0)


def fresh() -> contrastive.State:
    return contrastive.begin(train.start(TOKENS, None, None, seed=0))


def trained(options: contrastive.Options = OPTIONS) -> contrastive.State:
    state = fresh()
    contrastive.train(DATA, state, options)
    return state


def test_a_share_of_the_queries_is_put_as_a_question() -> None:
    asked = corpus.corpus([[p for pairs in TRAINED for p in pairs]], PIECES, questions=0.5)
    longer = np.diff(asked.queries.starts) > np.diff(DATA.queries.starts)
    assert 0.3 < longer.mean() < 0.7
    assert np.array_equal(asked.query_keys, DATA.query_keys)


def test_training_raises_the_rank_of_the_right_body_in_files_it_has_not_seen() -> None:
    before, after = corpus.evaluate(fresh().table.rows(), HELD), corpus.evaluate(trained().table.rows(), HELD)
    assert after > before + 0.01, (before, after)


def test_the_same_seed_gives_the_same_table_and_another_seed_another() -> None:
    first, second, other = trained(), trained(), trained(replace(OPTIONS, seed=1))
    assert np.array_equal(first.table.rows(), second.table.rows())
    assert not np.array_equal(first.table.rows(), other.table.rows())


def test_a_run_gone_on_with_ends_where_an_uninterrupted_one_does(tmp_path: Path) -> None:
    class Stopped(Exception):
        pass

    def stop(state: contrastive.State) -> None:
        contrastive.write_state(tmp_path / "half.npz", state, OPTIONS)
        raise Stopped

    with pytest.raises(Stopped):
        contrastive.train(DATA, fresh(), OPTIONS, save=stop)
    state = contrastive.read_state(tmp_path / "half.npz", OPTIONS)
    assert state.steps == OPTIONS.checkpoint_steps
    contrastive.train(DATA, state, OPTIONS)
    assert np.array_equal(state.table.rows(), trained().table.rows())
    with pytest.raises(InvalidInput, match="without --resume"):
        contrastive.read_state(tmp_path / "half.npz", replace(OPTIONS, seed=9))


def test_gradients_are_those_of_finite_differences() -> None:
    drawn = np.random.default_rng(0)
    vectors: Any = drawn.standard_normal((len(TOKENS), 12))  # in float64, for the differences' sake
    weights: Any = drawn.standard_normal(len(TOKENS)) / 10
    table = contrastive.Table(vectors, weights)
    options = contrastive.Options(heads=((4, 0.3), (12, 0.7)), temperature=0.5)
    texts = DATA.queries.pick(np.arange(6))
    distillation = contrastive.Distillation(texts, drawn.standard_normal((6, 5), np.float32))
    step = contrastive.batch(DATA, np.arange(8), len(TOKENS), np.array([20, 21, 22]), (distillation, np.arange(6)))
    found = contrastive.gradient(table, step, options)

    def loss(token: int, dimension: int | None, by: float) -> float:
        moved = contrastive.Table(table.vectors.copy(), table.weights.copy())
        if dimension is None:
            moved.weights[token] += by
        else:
            moved.vectors[token, dimension] += by
        return contrastive.gradient(moved, step, options).loss

    for place in drawn.integers(len(step.bag.touched), size=12):
        token = int(step.bag.touched[place])
        for dimension in (None, 1, 9):
            slope = (loss(token, dimension, 1e-5) - loss(token, dimension, -1e-5)) / 2e-5
            expected = found.weights[place] if dimension is None else found.vectors[place, dimension]
            assert expected == pytest.approx(slope, rel=1e-4, abs=1e-7)


def test_every_pair_is_in_one_batch_of_an_epoch() -> None:
    cuts = contrastive.batches(DATA.repositories, OPTIONS.batch, 0, 0)
    assert sorted(np.concatenate(cuts).tolist()) == list(range(len(DATA)))


def test_a_repeated_passage_is_no_negative() -> None:
    pairs = [Pair(Relation.NAME, query, "return total", "python") for query in ("sum", "total", "sum")]
    step = contrastive.batch(corpus.corpus([pairs], PIECES), np.arange(3), len(TOKENS))
    assert step.masked.tolist() == [[False, True, True], [True, False, True], [True, True, False]]


def test_a_mined_negative_is_another_passage() -> None:
    found = contrastive.mine(DATA, fresh().table.rows(), seed=0)
    assert found.min() >= 0 and found.max() < len(DATA)
    assert np.mean(DATA.passage_keys[found] == DATA.passage_keys) < 0.02


def test_the_written_model_loads_and_its_vectors_are_those_of_the_table(tmp_path: Path) -> None:
    rows = trained().table.rows()
    quantise.write(tmp_path, rows, TOKENS, name="test", relevance=quantise.relevance(rows, HELD))
    verify(tmp_path)
    texts = [corpus.passage(p, with_path=True) for pairs in HELD_OUT for p in pairs]
    found = StaticEmbedder(tmp_path).embed(texts, Role.PASSAGE)
    exact = corpus.embed(corpus.tokenise(texts, PIECES, quantise.MAX_TOKENS), rows)
    assert np.einsum("ij,ij->i", found, exact).min() >= 0.97


def test_every_whole_token_of_a_vocabulary_is_found_as_itself() -> None:
    assert TOKENS[0] == UNKNOWN
    assert len(set(TOKENS)) == len(TOKENS) <= 3000
    for id, token in enumerate(TOKENS[1:], start=1):
        if not token.startswith("##"):
            assert PIECES(token) == [id], token


def test_no_ascii_word_is_unknown_and_numbers_are_cut_after_three_digits() -> None:
    assert 0 not in PIECES("zxqj9 parse_HTTPResponse2 20240131")
    assert all(len(t.removeprefix("##")) <= 3 for t in TOKENS if t.removeprefix("##").isdigit())


def test_gelu_is_that_of_the_error_function() -> None:
    points = np.linspace(-6, 6, 101, dtype=np.float32)
    exact = [x * (1 + math.erf(x / math.sqrt(2))) / 2 for x in points.tolist()]
    assert gelu(points) == pytest.approx(exact, abs=1e-6)


def test_the_teacher_computes_what_bert_is_defined_as(tmp_path: Path) -> None:
    """Position by position and head by head, as in Devlin et al., arXiv:1810.04805, and Vaswani et al., 1706.03762."""
    w = write_bert(tmp_path)
    layer = "encoder.layer.0"

    def linear(x: Any, name: str) -> Any:
        return w[f"{name}.weight"] @ x + w[f"{name}.bias"]

    def norm(x: Any, name: str) -> Any:
        return (x - x.mean()) / np.sqrt(x.var() + 1e-12) * w[f"{name}.weight"] + w[f"{name}.bias"]

    def expected(ids: list[int]) -> Any:
        words, places = w["embeddings.word_embeddings.weight"], w["embeddings.position_embeddings.weight"]
        kind = w["embeddings.token_type_embeddings.weight"][0]
        xs = [norm(words[id] + places[n] + kind, "embeddings.LayerNorm") for n, id in enumerate(ids)]
        q, k, v = ([linear(x, f"{layer}.attention.self.{part}") for x in xs] for part in ("query", "key", "value"))
        out = []
        for i, x in enumerate(xs):
            mixed = []
            for head in (slice(0, 4), slice(4, 8)):
                share = np.exp([q[i][head] @ key[head] / 2 for key in k])
                mixed.append(sum(s * value[head] for s, value in zip(share / share.sum(), v, strict=True)))
            attended = linear(np.concatenate(mixed), f"{layer}.attention.output.dense")
            y = norm(x + attended, f"{layer}.attention.output.LayerNorm")
            wide = linear(y, f"{layer}.intermediate.dense")
            wide = np.array([z * (1 + math.erf(z / math.sqrt(2))) / 2 for z in wide])
            out.append(norm(y + linear(wide, f"{layer}.output.dense"), f"{layer}.output.LayerNorm"))
        mean = np.mean(out, axis=0)
        return mean / np.linalg.norm(mean)

    found = Teacher(tmp_path).embed(["read a file", "file", "a a file"])
    for row, ids in zip(found, ([1, 2, 3], [3], [2, 2, 3]), strict=True):
        assert row == pytest.approx(expected(ids), abs=1e-4)
