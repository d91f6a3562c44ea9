"""What every store says when vectors of two models would meet."""

from mnemolite.errors import SpaceMismatch
from mnemolite.types import Space


def mismatch(stored: Space, wanted: Space, where: str = "the index") -> SpaceMismatch:
    return SpaceMismatch(
        f"{where} holds {wanted.domain} vectors of {_described(stored)}, the model is now"
        f" {_described(wanted)}; run 'mnemolite index rebuild' (on a server, delete its repositories and index them"
        " again), or go back to the first model"
    )


def _described(space: Space) -> str:
    return f"{space.model} ({space.dimension} dimensions, fingerprint {space.fingerprint})"
