"""
What bench/embedder.py runs with the Python that has fastembed: python bench/fastembed_peer.py MODEL_FOLDER

A line of JSON in, ``{"texts", "clients", "seconds"}``, a line out: seconds of each call of one text, by threads that
share the model, and of one call with all texts at once, with the CPU of each; without clients, the vectors.
"""

import json
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from typing import Any

from fastembed import TextEmbedding


def main() -> None:
    model = TextEmbedding("sentence-transformers/all-MiniLM-L6-v2", specific_model_path=sys.argv[1])
    list(model.embed(["warm"] * 64))
    for line in sys.stdin:
        print(json.dumps(measured(model, **json.loads(line))), flush=True)


def measured(model: TextEmbedding, texts: list[str], clients: int, seconds: float) -> dict[str, Any]:
    if not clients:
        return {"vectors": [row.tolist() for row in model.embed(texts)]}
    taken = count()
    start, cpu = time.perf_counter(), time.process_time()

    def ask(_: int) -> list[float]:
        latencies = []
        while (begun := time.perf_counter()) < start + seconds:
            list(model.embed([texts[next(taken) % len(texts)]]))
            latencies.append(time.perf_counter() - begun)
        return latencies

    with ThreadPoolExecutor(clients) as pool:
        latencies = [each for found in pool.map(ask, range(clients)) for each in found]
    wall, cpu = time.perf_counter() - start, time.process_time() - cpu
    start, whole_cpu = time.perf_counter(), time.process_time()
    list(model.embed(texts))
    whole, whole_cpu = time.perf_counter() - start, time.process_time() - whole_cpu
    return {"latencies": latencies, "wall": wall, "cpu": cpu, "whole": whole, "whole_cpu": whole_cpu}


if __name__ == "__main__":
    main()
