"""Takes the entries of a Rekall database into a notebook."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from mnemolite.note_documents import secrets_in
from mnemolite.notebook import Notebook
from mnemolite.notes.rekall import NEWEST, Entry, Taken, id_of, take
from mnemolite.notes.rules import FATES, WRITTEN
from mnemolite.ports import Embedder
from mnemolite.records import GLOBAL, Note
from mnemolite.types import Domain, Role, Space

if TYPE_CHECKING:
    from mnemolite.types import Matrix, Vector

SAMPLES = 5  # vectors made again, to see whether ours is the model they are of
SAME = 0.98  # cosine of two vectors of one text by one model, however it is run
SUMMARY_CHARACTERS = 8000  # what Rekall embeds of an entry


class RekallSource(Protocol):
    version: int  # of its schema

    def entries(self) -> Iterable[Entry]: ...

    def summaries(self) -> Iterable[tuple[str, str, bytes]]:
        """Of each entry that has one: its id, the name of the model, and the vector as float32."""
        ...

    def left(self) -> Mapping[str, int]: ...


@dataclass(kw_only=True)
class Report:
    """What came over, and what could not."""

    schema: int
    fates: dict[str, int] = field(default_factory=dict)  # entries by what became of them
    carried: dict[str, int] = field(default_factory=dict)  # what came with them
    vectors: dict[str, dict[str, int]] = field(default_factory=dict)  # by model: "kept", or "made anew"
    refused: list[tuple[str, str]] = field(default_factory=list)  # entries, with the reason
    remarks: list[tuple[str, str]] = field(default_factory=list)
    masked: dict[str, tuple[str, ...]] = field(default_factory=dict)  # kinds of secrets, by note
    left: dict[str, int] = field(default_factory=dict)  # rows that belong to no entry, by table


def take_rekall(
    source: RekallSource,
    notebook: Notebook,
    embedders: Sequence[Embedder],
    *,
    project: str = GLOBAL,
    overwrite: bool = False,
) -> Report:
    """
    Entries become notes, each always with the same id, so that taking them twice changes nothing. *project* is that of
    entries which name none.
    """
    taken = take(source.entries(), project)
    report = Report(
        schema=source.version,
        carried=taken.carried,
        refused=taken.refused,
        remarks=taken.remarks,
        left=dict(source.left()),
    )
    if source.version > NEWEST:
        newer = (
            f"version {source.version} is newer than {NEWEST}, the newest known here: what it adds has not come over"
        )
        report.remarks.insert(0, ("schema", newer))
    vectors = _vectors(source, taken, embedders, report)
    fates: Counter[str] = Counter()
    for note, fate in notebook.put(taken.notes, overwrite=overwrite, vectors=vectors):
        fates[fate] += 1
        if fate in WRITTEN and (kinds := secrets_in(note)):
            report.masked[note.id] = kinds
    report.fates = {fate: fates[fate] for fate in FATES}
    return report


def _vectors(
    source: RekallSource, taken: Taken, embedders: Sequence[Embedder], report: Report
) -> dict[Space, dict[str, Vector]]:
    """The vectors that are of a model configured here, by space and note; all others are made anew."""
    notes = {note.id: note for note in taken.notes}
    held: dict[str, dict[str, bytes]] = {}
    for entry, model, vector in source.summaries():
        if (id := id_of(entry)) in notes:
            held.setdefault(model, {})[id] = vector
    found: dict[Space, dict[str, Vector]] = {}
    for model, raw in held.items():
        embedder = next((each for each in embedders if _is_called(each.space, model)), None)
        kept = {} if embedder is None else _of_model(raw, embedder, notes)
        if embedder is not None and kept:
            found[embedder.space] = kept
        counts = {"kept": len(kept), "made anew": len(raw) - len(kept)}
        report.vectors[model] = {what: count for what, count in counts.items() if count}
    return found


def _is_called(space: Space, model: str) -> bool:
    """Whether *model*, with or without its publisher, is the model of *space*, and that one is for text."""
    return space.domain is not Domain.CODE and space.model.rpartition("/")[2] == model.rpartition("/")[2]


def _of_model(raw: Mapping[str, bytes], embedder: Embedder, notes: Mapping[str, Note]) -> dict[str, Vector]:
    """Those of *raw* that can be vectors of *embedder*; none where samples of them differ from what it makes."""
    import numpy as np

    dimension = embedder.space.dimension
    vectors: dict[str, Vector] = {}
    for id, data in raw.items():
        if len(data) == 4 * dimension:
            vector = np.frombuffer(data, "<f4").astype(np.float32)
            length = float(np.linalg.norm(vector))
            if np.isfinite(length) and length > 0:
                vectors[id] = vector / np.float32(length)
    samples = list(vectors)[:: max(1, len(vectors) // SAMPLES)][:SAMPLES]
    if not samples:
        return {}
    texts = [_summary(notes[id]) for id in samples]
    again: Matrix = embedder.embed(texts, Role.PASSAGE)
    agree = all(float(vectors[id] @ row) >= SAME for id, row in zip(samples, again, strict=True))
    return vectors if agree else {}


def _summary(note: Note) -> str:
    """What Rekall has embedded."""
    title = note.metadata["rekall"].get("title", note.title)
    return " ".join(filter(None, (title, note.body, " ".join(note.tags))))[:SUMMARY_CHARACTERS]
