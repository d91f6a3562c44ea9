"""What every store asks of the documents it is given."""

from collections.abc import Iterable

from mnemolite.errors import InvalidInput
from mnemolite.types import Indexed


def checked(items: Iterable[Indexed]) -> dict[tuple[str, str], Indexed]:
    """
    By source and path; of one given twice the last.

    Raises:
        InvalidInput: not one digest per chunk.
    """
    batch = {(item.document.source, item.document.path): item for item in items}
    for (_, path), item in batch.items():
        if len(item.digests) != len(item.chunks):
            raise InvalidInput(f"{path}: {len(item.digests)} digests for {len(item.chunks)} chunks")
    return batch
