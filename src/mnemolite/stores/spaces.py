"""What every store says of spaces that cannot be used as they are wanted."""

from mnemolite.errors import SpaceMismatch
from mnemolite.types import Space


def mismatch(stored: Space, wanted: Space, where: str = "the index") -> SpaceMismatch:
    return SpaceMismatch(
        f"{where} holds {stored.domain} vectors of {stored.described}, the model is now {wanted.described};"
        " run 'mnemolite spaces build' and then 'mnemolite spaces switch', or 'mnemolite index rebuild', or go back to"
        " the first model"
    )


def incomplete(space: Space, missing: int = 0) -> str:
    what = f"of {missing:,} chunks" if missing else "of any chunk"
    return f"there are no vectors of {space.described} {what} yet; run 'mnemolite spaces build' first"


def in_use(space: Space) -> str:
    return f"searches go by the vectors of {space.described}; 'mnemolite spaces switch' to others before they go"


def unknown(space: Space) -> str:
    return f"there are no vectors of {space.described}; 'mnemolite spaces list' shows which there are"
