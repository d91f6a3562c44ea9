"""embed, similarity: the model by itself."""

from __future__ import annotations

import json
import sys
import time

import click

from mnemolite.types import Domain
from mnemolite.wiring import open_models


@click.command("embed")
@click.argument("text")
@click.option("--domain", type=click.Choice([*Domain], case_sensitive=False), default=Domain.TEXT, show_default=True)
@click.option("--compress", is_flag=True, help="int8 and base64 instead of floats.")
def embed_command(text: str, domain: str, compress: bool) -> None:
    """Print the embedding of TEXT ('-' reads stdin) as JSON."""
    from mnemolite.codec import COMPRESSION, pack

    memory = open_models()
    text = _text(text)
    start = time.perf_counter()
    domains = (Domain.TEXT, Domain.CODE) if domain == Domain.HYBRID else (Domain(domain),)
    answer: dict[str, object] = {"query": text}
    for each in domains:
        vector = memory.embed(text, each)
        key = f"embedding_{each}"
        if compress:
            answer[f"{key}_compressed"] = pack(vector)
        else:
            answer[key] = [round(float(x), 7) for x in vector]
    answer["dimension"] = memory.space(domains[0]).dimension
    answer["model"] = memory.space(domains[0]).model
    answer["generation_time_ms"] = round(1000 * (time.perf_counter() - start), 3)
    if compress:
        answer["compression"] = COMPRESSION
    click.echo(json.dumps(answer))


@click.command("similarity")
@click.argument("query")
@click.argument("code")
def similarity_command(query: str, code: str) -> None:
    """Print the cosine of QUERY and CODE (either may be '-', read from stdin), and what it means for this model."""
    memory = open_models()
    cosine = memory.similarity(_text(query), _text(code))
    space = memory.space(Domain.CODE)
    if cosine > space.high:
        word = click.style("highly relevant", fg="green")
    elif cosine > space.moderate:
        word = click.style("moderately relevant", fg="yellow")
    else:
        word = click.style("not relevant", fg="red")
    click.echo(f"{cosine:.4f}  {word}")


def _text(given: str) -> str:
    return sys.stdin.read() if given == "-" else given
