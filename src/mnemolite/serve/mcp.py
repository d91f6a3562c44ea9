"""The Model Context Protocol: what an agent may ask, over stdio or over HTTP on this machine."""

from __future__ import annotations

import logging
import socket
from pathlib import Path
from typing import Any

import anyio
import anyio.to_thread
from mcp.server import MCPServer
from mcp.server.mcpserver import Context
from mcp.server.mcpserver.exceptions import ResourceError, ResourceNotFoundError, ToolError, UnexpectedToolError
from mcp.server.transport_security import TransportSecuritySettings
from mcp_types import CallToolResult, InputRequiredResult, Resource
from pydantic import ValidationError

from mnemolite import __version__
from mnemolite.errors import InvalidInput, MnemoError, NotFound
from mnemolite.ingest.secrets import mask
from mnemolite.records import NoteFilter
from mnemolite.serve.answers import lines_of_note
from mnemolite.serve.code_tools import CodeTools
from mnemolite.serve.note_tools import NoteTools
from mnemolite.serve.trees import Trees

INSTRUCTIONS = """\
MnemoLite finds places in the user's source tree by meaning and by name, follows its files as they change, and keeps
notes across sessions. Ask `search` in words ("where is a payment retried?") when you do not know what a thing is
called, or with the name of a symbol, instead of reading file after file. Each hit has a place, path:first-last or
note:id: `fetch` reads it, `find_related` finds what is like it. Before you work on an area, `recall` what is known of
it; when you have learnt something that a later session will need, `remember` it. What stands under `degraded`, or after
"remark:", an answer does not rest on."""
NOTES_LISTED = 100

log = logging.getLogger(__name__)


class Server(MCPServer[None]):
    """An MCP server whose errors are written for the agent that made them."""

    def __init__(self, trees: Trees) -> None:
        super().__init__(
            "mnemolite",
            title="MnemoLite",
            version=__version__,
            instructions=INSTRUCTIONS,
            tools=[*CodeTools(trees).tools, *NoteTools(trees).tools],
            log_level="WARNING",
        )
        self._trees = trees
        self.resource("note://{id}", name="note", description="A note, whole.", mime_type="text/markdown")(self._note)

    async def list_resources(self) -> list[Resource]:
        return await anyio.to_thread.run_sync(self._notes)

    async def call_tool(
        self, name: str, arguments: dict[str, Any], context: Context[None, Any] | None = None
    ) -> CallToolResult | InputRequiredResult:
        try:
            return await super().call_tool(name, arguments, context)
        except ToolError as error:
            cause = error.__cause__
            if isinstance(cause, MnemoError):
                raise ToolError(str(cause)) from cause
            if isinstance(cause, ValidationError) and not isinstance(error, UnexpectedToolError):
                raise ToolError(_wrong_arguments(name, cause)) from cause
            raise

    def _notes(self) -> list[Resource]:
        """The notes of the own project and of all, the last changed first."""
        memory = self._trees.memory()
        found = memory.notes.select(NoteFilter(limit=NOTES_LISTED)) if memory.has_notes else []
        return [
            Resource(
                uri=f"note://{note.id}", name=mask(note.title)[0], description=str(note.kind), mime_type="text/markdown"
            )
            for note in found
        ]

    def _note(self, id: str) -> str:
        try:
            note = self._trees.memory().notes.get(id, count=True)
            return "".join(line for _, line in lines_of_note(note, self._trees.standings()))
        except NotFound as error:
            raise ResourceNotFoundError(str(error)) from error
        except MnemoError as error:
            raise ResourceError(str(error)) from error


def serve_stdio(folder: Path | None) -> None:
    """Answers on standard output until standard input ends."""
    trees = Trees(folder)
    server = Server(trees)
    trees.start()
    try:
        server.run("stdio")
    finally:
        trees.close()


def serve_http(folder: Path | None, host: str, port: int) -> None:
    """
    Answers at /mcp of *host*, a name of this machine, until it is interrupted.

    Raises:
        InvalidInput: *port* is taken.
    """
    import uvicorn  # 0.1 s, which stdio need not wait for

    try:
        listener = socket.create_server((host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET)
    except OSError as error:
        raise InvalidInput(f"cannot listen on {host}:{port}: {error.strerror}; choose another --port") from error
    port = listener.getsockname()[1]
    names = [f"{name}:{port}" for name in ("127.0.0.1", "localhost", "[::1]")]
    # a page of another site that a browser here has open may reach this port: its requests name that site
    security = TransportSecuritySettings(allowed_hosts=names, allowed_origins=[f"http://{name}" for name in names])
    trees = Trees(folder)
    app = Server(trees).streamable_http_app(host=host, transport_security=security)
    trees.start()
    log.warning("serving %s at http://%s:%d/mcp", folder or "indexed trees", f"[{host}]" if ":" in host else host, port)
    try:
        config = uvicorn.Config(app, log_config=None, timeout_graceful_shutdown=1)  # a client may listen for ever
        anyio.run(uvicorn.Server(config).serve, [listener])
    finally:
        trees.close()


def _wrong_arguments(tool: str, error: ValidationError) -> str:
    wrong = [f"{'.'.join(map(str, e['loc']))}: {e['msg']}, is {str(e['input'])[:100]!r}" for e in error.errors()]
    return f"{tool} was called with wrong arguments: {'; '.join(wrong)}"
