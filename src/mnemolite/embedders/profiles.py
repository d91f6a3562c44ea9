"""Models known by name: where they are published, under which licence, and how they are to be asked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from mnemolite.types import Role


@dataclass(frozen=True, kw_only=True)
class Profile:
    name: str
    source: str  # at Hugging Face
    licence: str
    dimension: int
    max_tokens: int
    cuts: tuple[int, ...] = ()  # its vectors may be cut to these, their first dimensions
    centred: bool = False  # before they are cut
    prompts: Mapping[Role, str] = field(default_factory=lambda: {Role.QUERY: "", Role.PASSAGE: ""})


PROFILES = {
    profile.name: profile
    for profile in (
        Profile(
            name="all-MiniLM-L6-v2",
            source="sentence-transformers/all-MiniLM-L6-v2",
            licence="Apache-2.0",
            dimension=384,
            max_tokens=256,
        ),
        Profile(
            name="nomic-embed-text-v1.5",
            source="nomic-ai/nomic-embed-text-v1.5",
            licence="Apache-2.0",
            dimension=768,
            max_tokens=2048,  # the whole text of what it was trained with; it takes 8,192, at 16 times the memory
            cuts=(512, 256, 128, 64),
            centred=True,
            prompts={Role.QUERY: "search_query: ", Role.PASSAGE: "search_document: "},
        ),
        Profile(
            name="jina-embeddings-v2-base-code",
            source="jinaai/jina-embeddings-v2-base-code",
            licence="Apache-2.0",
            dimension=768,
            max_tokens=2048,  # it takes 8,192, at 16 times the memory
        ),
    )
}
