"""embedder: models in a process of their own, for servers and command lines that have none."""

from __future__ import annotations

import click

from mnemolite import ram
from mnemolite.errors import InvalidInput
from mnemolite.settings import Settings


@click.command("embedder")
@click.option("--host", default="127.0.0.1", show_default=True, help="Other than this machine's own needs a key.")
@click.option("--port", default=8002, show_default=True, type=click.IntRange(0, 65535), help="HTTP; 0: any free one.")
@click.option("--grpc-port", default=8003, show_default=True, type=click.IntRange(0, 65535), help="0: any free one.")
@click.option("--insecure", is_flag=True, help="Let anybody who reaches the host ask without a key.")
def embedder_command(host: str, port: int, grpc_port: int, insecure: bool) -> None:
    """
    Serve the configured embedding models over gRPC and HTTP.

    Others use them with EMBEDDING_SERVICE_URL=grpc://HOST:8003; /docs says what can be asked over HTTP.
    """
    settings = Settings.load()
    try:
        from mnemolite.serve.embedder import serve_embedder
    except ModuleNotFoundError as error:
        raise InvalidInput(f"{error}; install the service with: pip install 'mnemolite[grpc,server]'") from error
    ram.share_heap()
    serve_embedder(settings, host, port, grpc_port, insecure=insecure)
