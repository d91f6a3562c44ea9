"""
The embedding service beside fastembed, with the same model in ONNX, in turns within one run:

    make embedder-bench MODEL=FOLDER [TREE=.]

that is: python bench/embedder.py MODEL TREE --peer PYTHON [--clients 32] [--seconds 10] [--rounds 3]

MODEL is a folder of all-MiniLM-L6-v2 in ONNX, such as 'mnemolite models export' writes; PYTHON has fastembed. Texts are
first lines of docstrings in TREE (short), and whole passages (long). Each client is a thread that sends one text after
the other: to the service over gRPC or HTTP, all of one process; fastembed is called by as many threads within its own
process, without any wire. "at once" is fastembed with all texts in one call, without clients: what the model can do at
best. CPU is of the process that embeds.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from statistics import median
from typing import Any

import httpx
import numpy as np

from mnemolite.embedders.configuration import read_configuration
from mnemolite.embedders.onnx import OnnxEmbedder
from mnemolite.embedders.remote import RemoteEmbedder
from mnemolite.ingest.passage import passage
from mnemolite.lab.local_embedder import LocalEmbedder
from mnemolite.types import Chunk, Role
from query import read_chunks


@dataclass(frozen=True)
class Measured:
    texts: int
    wall: float  # seconds
    cpu: float
    latencies: Sequence[float]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path)
    parser.add_argument("tree", type=Path)
    parser.add_argument("--peer", required=True)
    parser.add_argument("--clients", type=int, default=32)
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--texts", type=int, default=256, help="of each length")
    args = parser.parse_args()
    chunks = read_chunks(args.tree)
    service = LocalEmbedder(MNEMOLITE_EMBEDDING_MODEL=str(args.model.absolute()), MNEMOLITE_RATE_PER_MINUTE="0")
    with service, peer(args.peer, args.model) as ask_peer:
        invariance(OnnxEmbedder(args.model), RemoteEmbedder([service.url]), long(chunks)[: args.texts])
        for name, texts in (("short", short(chunks)[: args.texts]), ("long", long(chunks)[: args.texts])):
            compare(name, texts, args, service, ask_peer)


def compare(
    name: str, texts: list[str], args: argparse.Namespace, service: LocalEmbedder, ask_peer: Callable[..., Any]
) -> None:
    remote = RemoteEmbedder([service.url])
    tokens = [len(remote.tokens(text)) for text in texts]
    rows, peers = remote.embed(texts, Role.PASSAGE), np.array(ask_peer(texts=texts, clients=0, seconds=0)["vectors"])
    cosines = (rows * peers).sum(1) / np.linalg.norm(peers, axis=1)
    print(f"{name}: {len(texts)} texts, median {median(tokens):g} tokens; lowest cosine of both {cosines.min():.6f}")
    http = httpx.Client(base_url=f"http://127.0.0.1:{service.port}", trust_env=False, timeout=60)
    found: dict[str, list[Measured]] = defaultdict(list)
    for _ in range(args.rounds):
        for way, ask in (
            ("mnemolite, gRPC", lambda text: remote.embed([text], Role.PASSAGE)),
            ("mnemolite, HTTP", lambda text: http.post("/embed", json={"inputs": text}).raise_for_status()),
        ):
            found[way].append(clients(ask, texts, args.clients, args.seconds, service))
        answer = ask_peer(texts=texts, clients=args.clients, seconds=args.seconds)
        latencies = answer["latencies"]
        found["fastembed, threads"].append(Measured(len(latencies), answer["wall"], answer["cpu"], latencies))
        found["fastembed, at once"].append(Measured(len(texts), answer["whole"], answer["whole_cpu"], ()))
    print(f"{'':22}{'texts/s':>9}{'p50 ms':>9}{'p95 ms':>9}{'CPU ms/text':>13}")
    for way, runs in found.items():
        spread = [each for run in runs for each in run.latencies]
        p50, p95 = (f"{1000 * float(np.percentile(spread, at)):.0f}" if spread else "" for at in (50, 95))
        rate = median(run.texts / run.wall for run in runs)
        print(f"{way:22}{rate:9.0f}{p50:>9}{p95:>9}{1000 * median(run.cpu / run.texts for run in runs):13.2f}")


def clients(
    ask: Callable[[str], object], texts: list[str], clients: int, seconds: float, service: LocalEmbedder
) -> Measured:
    taken = count()
    start, cpu = time.perf_counter(), service.cpu_seconds()

    def client(_: int) -> list[float]:
        latencies = []
        while (begun := time.perf_counter()) < start + seconds:
            ask(texts[next(taken) % len(texts)])
            latencies.append(time.perf_counter() - begun)
        return latencies

    with ThreadPoolExecutor(clients) as pool:
        latencies = [each for found in pool.map(client, range(clients)) for each in found]
    return Measured(len(latencies), time.perf_counter() - start, service.cpu_seconds() - cpu, latencies)


def invariance(here: OnnxEmbedder, remote: RemoteEmbedder, texts: list[str]) -> None:
    """How far a text's vector moves with the texts beside it, on the wire and off it."""
    alone = np.concatenate([here.embed([text], Role.PASSAGE) for text in texts])
    together = remote.embed(texts, Role.PASSAGE)
    with ThreadPoolExecutor(32) as pool:
        crowded = np.concatenate(list(pool.map(lambda text: remote.embed([text], Role.PASSAGE), texts)))
    print(
        f"furthest from alone: {np.abs(together - alone).max():.1e} in batches, {np.abs(crowded - alone).max():.1e}"
        " among 32 clients"
    )


def short(chunks: list[Chunk]) -> list[str]:
    lines = (chunk.docstring.strip().partition("\n")[0] for chunk in chunks)
    return list(dict.fromkeys(line for line in lines if line))


def long(chunks: list[Chunk]) -> list[str]:
    return list(dict.fromkeys(map(passage, chunks)))


@contextmanager
def peer(python: str, model: Path) -> Iterator[Callable[..., Any]]:
    """With the files beside the model that fastembed wants."""
    cut = read_configuration(model).max_tokens or 512
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for file in ("model.onnx", "tokenizer.json", "config.json"):
            (folder / file).symlink_to((model / file).absolute())
        (folder / "tokenizer_config.json").write_text(json.dumps({"model_max_length": cut, "pad_token": "[PAD]"}))
        (folder / "special_tokens_map.json").write_text("{}")
        command = [python, str(Path(__file__).with_name("fastembed_peer.py")), name]
        env = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=env) as process:
            assert process.stdin is not None and process.stdout is not None
            given, answers = process.stdin, process.stdout

            def ask(**what: Any) -> Any:
                given.write(json.dumps(what) + "\n")
                given.flush()
                return json.loads(answers.readline())

            yield ask
            process.kill()


if __name__ == "__main__":
    main()
