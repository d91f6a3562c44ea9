"""What all tools of the MCP server have in common: arguments, annotations, results."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from typing import Annotated, Any, ClassVar, Protocol

from anyio import from_thread
from mcp.server.mcpserver.tools import Tool
from mcp_types import CallToolResult, TextContent, ToolAnnotations
from pydantic import Field

from mnemolite.ingest.pipeline import Progress

WAIT_SECONDS = 5.0  # for a refresh of the index, before a call is answered from what there is

Tokens = Annotated[int, Field(ge=200, le=50_000, description="Largest size of the answer, in tokens.")]
Limit = Annotated[int, Field(ge=1, le=100, description="Hits at most.")]
LeastScore = Annotated[float | None, Field(ge=0, le=1, description="Leave out hits that are less relevant.")]
Folder = Annotated[str, Field(description="Folder of another indexed source tree; empty: the one of this server.")]
Question = Annotated[str, Field(description="A question in words, or a name or part of one.")]

READS = ToolAnnotations(read_only_hint=True, destructive_hint=False, idempotent_hint=True, open_world_hint=False)
REPEATABLE = READS.model_copy(update={"read_only_hint": False})
ADDS = REPEATABLE.model_copy(update={"idempotent_hint": False})
REMOVES = REPEATABLE.model_copy(update={"destructive_hint": True})


class Answer(Protocol):
    """A dataclass that is a tool's structured result, and can be read."""

    __dataclass_fields__: ClassVar[dict[str, Any]]

    def as_text(self) -> str: ...


def result(answer: Answer) -> CallToolResult:
    text = TextContent(type="text", text=answer.as_text())
    return CallToolResult(content=[text], structured_content=asdict(answer))


def tool(method: Callable[..., CallToolResult], title: str, annotations: ToolAnnotations) -> Tool:
    """
    Unlike the SDK's own, it refuses an argument it does not know: a misspelt one would change the answer unseen.

    Its schemas have no titles: they repeat the names, and an agent pays for them in every session.
    """
    made = Tool.from_function(method, title=title, annotations=annotations)
    metadata = made.fn_metadata
    metadata.arg_model.model_config["extra"] = "forbid"
    metadata.arg_model.model_rebuild(force=True)
    made.parameters = _untitled(metadata.arg_model.model_json_schema(by_alias=True))
    metadata.output_schema = _untitled(metadata.output_schema or {})
    return made


def end_if_cancelled(_: Progress | None = None) -> None:
    """For loops that wait in a tool's thread."""
    from_thread.check_cancelled()


def _untitled(schema: dict[str, Any]) -> dict[str, Any]:
    """*schema* without the titles pydantic gives; a property of that name has a schema, not a text."""
    short = {key: value for key, value in schema.items() if not (key == "title" and isinstance(value, str))}
    return {key: _untitled(value) if isinstance(value, dict) else value for key, value in short.items()}
