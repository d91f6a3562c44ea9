"""What the site has besides the pages of this folder: the README as its first page, and a list of the decisions."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

ROOT = Path(__file__).parents[1]


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    decisions = sorted(f"decisions/{page.name}" for page in (ROOT / "docs/decisions").glob("*.md"))
    for section in config.nav or []:
        if isinstance(section, dict) and "Decisions" in section:
            section["Decisions"] = decisions
    return config


def on_files(files: Files, config: MkDocsConfig) -> Files:
    readme = (ROOT / "README.md").read_text("utf-8")
    readme = re.sub(r"\]\(docs/decisions/\)", "](decisions/0001-embedded-vector-index.md)", readme)
    files.append(File.generated(config, "index.md", content=re.sub(r"\]\(docs/", "](", _inward(readme))))
    return files


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    return _inward(markdown.replace("](../README.md", "](index.md"))


def _inward(markdown: str) -> str:
    """Links to files of the source, which the site has not, as their names."""
    return re.sub(r"\[([^\]]+)\]\((?:\.\./)*((?:src|tests|bench|deploy)/[^)]*|[A-Z]+\.md)\)", r"\1 (`\2`)", markdown)
