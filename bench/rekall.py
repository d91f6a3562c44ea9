"""
Beside the original Rekall: python bench/rekall.py PYTHON [--notes 1000] [--runs 10]

PYTHON is that of an environment of its own with Rekall (github.com/guthubrx/rekall) and its extra `embeddings`. Both
get the same notes (of bench/notes.py) and are asked and told the same, each time in a fresh process, in turn. Rekall
searches by words alone unless it is configured otherwise: it is timed so, and configured to search by meaning too. Its
model is then one of the shape of all-MiniLM-L6-v2 with random weights, and the vectors of its entries are random: they
take the time of true ones, and no download.
"""

from __future__ import annotations

import argparse
import json
import os
import shlex
import subprocess
import sys
import tempfile
from pathlib import Path

from mnemolite.notes.forms import to_json_lines
from notes import folder_of, make, notes_in_new_folder
from paired import table

QUERY = "uploads blocked under load"
TITLE = "The proxy drops uploads when the disk is full"
BODY = "It answers 507 and forgets the partial file. Alert on free space, and let the client resume."
SITUATION = "uploads end early"

FILL = """
import json, sys
from pathlib import Path
import numpy
from rekall.db import Database
from rekall.models import Embedding, Entry, generate_ulid
dice = numpy.random.default_rng(0)
database = Database(Path("knowledge.db"))
database.init()
for line in sys.stdin:
    note = json.loads(line)
    kind = "reference" if note["kind"] == "snippet" else note["kind"]
    entry = Entry(id=generate_ulid(), title=note["title"], type=kind, content=note["body"], tags=note["tags"])
    database.add(entry)
    vector = dice.standard_normal(384).astype(numpy.float32)
    vector /= numpy.linalg.norm(vector)
    database.add_embedding(Embedding.from_numpy(entry.id, "summary", vector, "sentence-transformers/all-MiniLM-L6-v2"))
"""
MODEL = """
import sys
from pathlib import Path
from sentence_transformers import SentenceTransformer, models
from transformers import BertConfig, BertModel, BertTokenizerFast
words = Path(sys.argv[1]).read_text().split("\\n")
Path("vocab.txt").write_text("\\n".join(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *words[2:30519]]))
BertTokenizerFast("vocab.txt").save_pretrained("bert")
shape = dict(vocab_size=30522, hidden_size=384, num_hidden_layers=6, num_attention_heads=12, intermediate_size=1536)
BertModel(BertConfig(**shape)).save_pretrained("bert")
bert = models.Transformer("bert", max_seq_length=256)
parts = [bert, models.Pooling(384), models.Normalize()]
SentenceTransformer(modules=parts).save("sentence-transformers/all-MiniLM-L6-v2")
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("python", type=Path)
    parser.add_argument("--notes", type=int, default=1000)
    parser.add_argument("--runs", type=int, default=10)
    args = parser.parse_args()
    python = Path.cwd() / args.python  # not resolved: a link is what makes it that of an environment
    os.environ |= {"HF_HUB_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false"}
    with notes_in_new_folder() as memory, tempfile.TemporaryDirectory() as words, tempfile.TemporaryDirectory() as both:
        notes = list(make(args.notes))
        for _ in memory.notes.put(notes):
            pass
        os.environ["MNEMOLITE_DATA_DIR"] = str(folder_of(memory))
        for home in (Path(words), Path(both)):
            run([str(python), "-c", FILL], home, "".join(to_json_lines(notes)))
        (Path(words) / "config.toml").write_text('[smart_embeddings]\ncontext_mode = "optional"\n')
        (Path(both) / "config.toml").write_text('[smart_embeddings]\nenabled = true\ncontext_mode = "optional"\n')
        vocabulary = Path(__file__).parents[1] / "src" / "mnemolite" / "model" / "vocab.txt"
        run([str(python), "-c", MODEL, str(vocabulary)], Path(both))
        rekall = str(python.with_name("rekall"))

        ours = str(Path(sys.executable).with_name("rekall"))
        print(f"searching {args.notes:,} notes")
        table(
            {
                "ours": shlex.join([ours, "search", QUERY]),
                "Rekall, by both": at(both, rekall, "search", QUERY),
                "Rekall, by words": at(words, rekall, "search", QUERY),
                "python -c pass": shlex.join([sys.executable, "-c", "pass"]),
            },
            args.runs,
        )
        print()
        table(
            {
                "ours, by words": shlex.join([ours, "note", "search", "--lexical-only", QUERY]),
                "Rekall, by words": at(words, rekall, "search", QUERY),
            },
            args.runs,
        )
        print("\nadding one")
        add = ("add", "bug", TITLE)
        context = (
            "--context-json",
            json.dumps({"situation": SITUATION, "solution": BODY, "trigger_keywords": ["507"]}),
        )
        table(
            {
                "ours": shlex.join([ours, *add, "-b", BODY, "--situation", SITUATION]),
                "Rekall, with vectors": at(both, rekall, *add, "--content", BODY, *context),
                "Rekall, without": at(words, rekall, *add, "--content", BODY, *context),
            },
            args.runs,
        )


def at(home: str, *command: str) -> str:
    """A command line of Rekall, with its data and its model in *home*."""
    return shlex.join(["env", "-C", home, f"REKALL_HOME={home}", *command])


def run(command: list[str], home: Path, given: str = "") -> None:
    """
    Raises:
        SystemExit: the command failed.
    """
    environment = {**os.environ, "REKALL_HOME": str(home)}
    done = subprocess.run(command, cwd=home, env=environment, input=given, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{command[0]} ended with {done.returncode}: {done.stderr[-500:]}")


if __name__ == "__main__":
    main()
