"""A semantic memory for developers and their coding agents: it finds code and notes by meaning."""

from __future__ import annotations

TYPE_CHECKING = False  # typing takes a while to load
if TYPE_CHECKING:
    from typing import Any

    from mnemolite.memory import Memory
    from mnemolite.types import Chunk, Domain, Hit, Query, Results, Scope
    from mnemolite.wiring import open_memory

__version__ = "0.1.0"
__all__ = ["Chunk", "Domain", "Hit", "Memory", "Query", "Results", "Scope", "open_memory"]


def __getattr__(name: str) -> Any:
    """Names are loaded on first use, so that `import mnemolite` costs nothing."""
    from importlib import import_module

    homes = {"Memory": "memory", "open_memory": "wiring"}
    if name in __all__:
        return getattr(import_module(f"mnemolite.{homes.get(name, 'types')}"), name)
    raise AttributeError(f"module 'mnemolite' has no attribute {name!r}")
