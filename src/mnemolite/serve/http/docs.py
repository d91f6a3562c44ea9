"""/docs: what can be asked, as one page without scripts, made of the OpenAPI description."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from functools import cache
from html import escape
from typing import Any

from fastapi import FastAPI
from starlette.responses import HTMLResponse

STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem }
code { font: 0.9em ui-monospace, monospace } h2 { margin-top: 2.5rem } summary { cursor: pointer; padding: 0.3rem 0 }
b.method { display: inline-block; width: 4.5rem } details > div { margin: 0 0 1rem 4.5rem }
table { border-collapse: collapse } td, th { text-align: left; vertical-align: top; padding: 0.1rem 1rem 0.1rem 0 }
@media (prefers-color-scheme: dark) { body { background: #16181c; color: #dde } a { color: #9cf } }
"""

Json = Mapping[str, Any]


def add_docs(app: FastAPI) -> None:
    @cache
    def page() -> str:
        return "".join(_page(app.openapi()))

    app.add_api_route("/docs", lambda: HTMLResponse(page()), include_in_schema=False)


def _page(api: Json) -> Iterator[str]:
    title, version = escape(api["info"]["title"]), escape(api["info"]["version"])
    yield f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{title}</title><style>{STYLE}</style>'
    yield f"<h1>{title} {version}</h1><p>{escape(api['info']['description'])}</p>"
    yield '<p>For programs: <a href="openapi.json">openapi.json</a></p>'
    tag = ""
    for path, methods in api["paths"].items():
        for method, route in methods.items():
            if route["tags"][0] != tag:
                tag = route["tags"][0]
                yield f"<h2>{escape(tag)}</h2>"
            yield from _route(method, path, route, api["components"]["schemas"])


def _route(method: str, path: str, route: Json, schemas: Json) -> Iterator[str]:
    yield f'<details><summary><b class="method">{method.upper()}</b> <code>{escape(path)}</code> '
    yield f"{escape(route['summary'])}</summary><div><p>{escape(route.get('description', ''))}</p>"
    rows = [
        (each["name"], each["schema"], each["required"], each.get("description"))
        for each in route.get("parameters", ())
    ]
    body = route.get("requestBody", {}).get("content", {}).get("application/json", {}).get("schema", {})
    body = schemas[_name(body)] if "$ref" in body else body
    rows += [
        (name, schema, name in body.get("required", ()), schema.get("description"))
        for name, schema in body.get("properties", {}).items()
    ]
    if rows:
        yield from _table(rows)
    elif body:
        yield f"<p>The body is {escape(_type(body))}. {escape(body.get('description', ''))}</p>"
    yield "<table>"
    for status, answer in route["responses"].items():
        schema = answer.get("content", {}).get("application/json", {}).get("schema", {})
        yield f"<tr><td>{status}<td>{escape(answer['description'])}<td><code>{escape(_type(schema))}</code>"
    yield "</table></div></details>"


def _table(rows: list[tuple[str, Json, bool, str | None]]) -> Iterator[str]:
    yield "<table>"
    for name, schema, required, description in rows:
        default = "" if "default" not in schema or schema["default"] is None else json.dumps(schema["default"])
        note = "required" if required else default
        yield f"<tr><td><code>{escape(name)}</code><td>{escape(_type(schema))}<td>{escape(note)}"
        yield f"<td>{escape(description or '')}"
    yield "</table>"


def _type(schema: Json) -> str:
    if "$ref" in schema:
        return _name(schema)
    for joined in ("anyOf", "oneOf"):
        if joined in schema:
            return " or ".join(dict.fromkeys(_type(each) for each in schema[joined] if each.get("type") != "null"))
    if "enum" in schema or "const" in schema:
        return " or ".join(map(json.dumps, schema.get("enum", (schema.get("const"),))))
    if schema.get("type") == "array":
        return f"list of {_type(schema.get('items', {}))}"
    return str(schema.get("type", ""))


def _name(reference: Json) -> str:
    return str(reference["$ref"]).rsplit("/", 1)[1]
