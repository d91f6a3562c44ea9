"""Alerts and dashboards ask for what servers tell; `make dashboards` has a real Prometheus evaluate them."""

from __future__ import annotations

import json
import re
import socket
from pathlib import Path

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from mnemolite.errors import InvalidInput
from mnemolite.lab.local_embedder import LocalEmbedder
from mnemolite.serve.metrics import tell

from .conftest import Served

DEPLOY = Path(__file__).parents[2] / "deploy"
RULES = (DEPLOY / "prometheus" / "rules.yml").read_text("utf-8")
DASHBOARD = json.loads((DEPLOY / "grafana" / "dashboards" / "mnemolite.json").read_text("utf-8"))
OF_PROMETHEUS = {"up": {"job", "instance"}}
WORDS = {"and", "or"}


def queries() -> list[str]:
    rules = re.findall(r"expr: (?:>-\n)?((?:.|\n)+?)\n +(?:for|labels):", RULES)
    return [*rules, *(target["expr"] for panel in DASHBOARD["panels"] for target in panel["targets"])]


def asked(query: str) -> dict[str, set[str]]:
    """Names of metrics in *query*, with the labels each is selected by."""
    text = re.sub(r"\[[^]]+\]| by \([^)]+\) | ignoring\([^)]+\)", "", query)
    selected = {name: set(re.findall(r"(\w+)[!=]~?=?\"", labels)) for name, labels in re.findall(r"(\w+){(.*?)}", text)}
    bare = re.sub(r"{.*?}|\"[^\"]*\"", "", text)
    names = set(re.findall(r"\b[a-z]\w+\b(?!\()", bare)) - WORDS
    return {name: selected.get(name, set()) for name in names}


def test_each_metric_and_label_of_alerts_and_dashboards_is_told_by_a_server(shop: Served) -> None:
    shop.post("/v1/code/search/hybrid", {"query": "where is a payment retried?"})
    told: dict[str, set[str] | None] = dict(OF_PROMETHEUS)
    with LocalEmbedder() as embedder:
        told_by_embedder = httpx.get(f"http://127.0.0.1:{embedder.port}/metrics", trust_env=False).text
    for family in text_string_to_metric_families(shop.client.get("/metrics").text + told_by_embedder):
        name = f"{family.name}_total" if family.type == "counter" else family.name
        told[name] = None  # nothing of it was seen yet, and so no labels
        for sample in family.samples:
            told[sample.name] = sample.labels.keys() | {"job", "instance"}
    wanted = [(query, asked(query)) for query in queries()]
    assert len(wanted) == 12 + 24
    for query, names in wanted:
        assert names, query
        for name, labels in names.items():
            assert name in told, query
            assert labels <= (told[name] or labels), (query, told[name])


def test_alerts_say_what_to_do_and_the_specified_ones_are_there() -> None:
    alerts = re.findall(r"alert: (\w+)", RULES)
    assert {"HighSearchLatency", "LowCacheHitRate", "HighErrorRate"} <= set(alerts)
    assert RULES.count("summary:") == RULES.count("description:") == len(alerts)
    assert "evaluation_interval: 30s" in (DEPLOY / "prometheus" / "prometheus.yml").read_text("utf-8")
    assert DASHBOARD["title"] == "MnemoLite Embedding Search"


def test_a_process_that_serves_nothing_else_tells_of_itself() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    tell("127.0.0.1", port)
    answer = httpx.get(f"http://127.0.0.1:{port}/metrics", trust_env=False)
    assert "process_resident_memory_bytes" in answer.text
    with pytest.raises(InvalidInput, match="choose another --port"):
        tell("127.0.0.1", port)
