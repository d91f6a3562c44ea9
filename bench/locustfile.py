"""What a hundred users ask of a server: hybrid search 10, search by words 3, an embedding 1. Run by bench/load.py."""

from __future__ import annotations

import json
import os
import random

from locust import FastHttpUser, between, task
from locust.env import Environment

VERBS = "parse open close read write validate retry merge encode cache lock render schedule compress resolve".split()
THINGS = "request file socket header token index error buffer stream option table certificate cookie chunk".split()
REPOSITORY = os.environ.get("LOAD_REPOSITORY")


def question() -> str:
    """Of some 3,000 with words and 200 names, so that a cache of queries is hit as often as with people."""
    verb, thing = random.choice(VERBS), random.choice(THINGS)
    if random.random() < 0.2:
        return f"{verb}_{thing}"
    return f"where do we {verb} the {random.choice(THINGS)} of a {thing}?"


class Developer(FastHttpUser):
    wait_time = between(0.1, 0.5)

    def __init__(self, environment: Environment) -> None:
        self.host = random.choice(str(environment.host).split(","))
        super().__init__(environment)

    @task(10)
    def search_hybrid(self) -> None:
        body = {"query": question(), "limit": 10, "repository": REPOSITORY}
        with self.client.post(
            "/v1/code/search/hybrid", json=body, name="search_hybrid", catch_response=True
        ) as response:
            if response.status_code == 200 and (degraded := json.loads(response.text)["degraded"]):
                response.failure(f"degraded: {degraded}")

    @task(3)
    def search_lexical(self) -> None:
        body = {"query": question(), "limit": 10, "repository": REPOSITORY}
        self.client.post("/v1/code/search/lexical", json=body, name="search_lexical")

    @task(1)
    def embedding(self) -> None:
        body = {"query": question(), "domain": "TEXT"}
        self.client.post("/v1/embeddings/generate", json=body, name="embedding")
