"""From settings to what people and programs write down: notes, events and feedback."""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from mnemolite import wiring_postgres
from mnemolite.memory import Records, list_weights
from mnemolite.ports import EventStore, FeedbackStore, NoteStore, Store
from mnemolite.settings import Settings
from mnemolite.spaces import Models
from mnemolite.wiring_models import reranker

if TYPE_CHECKING:
    from mnemolite.event_log import EventLog

NOTES = "notes.db"


def records_opener(
    settings: Settings, models: Models, *projects: str, everywhere: bool = False
) -> Callable[[bool], Records | None]:
    """What opens the user's notes and events, once they are needed. They are prose: the model of text is theirs."""
    embedders = models.configured[:1]

    def opened(create: bool) -> Records | None:
        kept = record_stores(settings, create=create)
        if kept is None:
            return None
        from mnemolite.notebook import Notebook

        weights = list_weights(settings)
        notes = Notebook(
            kept.documents,
            kept.notes,
            embedders,
            weights,
            projects=projects,
            everywhere=everywhere,
            reranker=reranker(settings),
            min_score=settings.min_score,
        )

        def open_log() -> EventLog:
            from mnemolite.event_log import EventLog

            return EventLog(kept.documents, kept.events(), embedders, weights)

        return Records(notes, cache(open_log), kept.feedback)

    return opened


class RecordTables(NamedTuple):
    """Of notes, events and feedback; the last two are opened once they are asked for."""

    documents: Store  # of notes and events
    notes: NoteStore
    events: Callable[[], EventStore]
    feedback: Callable[[], FeedbackStore]


def record_stores(settings: Settings, *, create: bool) -> RecordTables | None:
    """None when there are none, unless *create*."""
    if settings.database_url:
        from mnemolite.stores.postgres_events import PostgresEvents
        from mnemolite.stores.postgres_notes import PostgresNotes

        shared = wiring_postgres.records(settings)

        def postgres_feedback() -> FeedbackStore:
            from mnemolite.stores.postgres_feedback import PostgresFeedback

            return PostgresFeedback(shared.database)

        return RecordTables(shared, PostgresNotes(shared), lambda: PostgresEvents(shared), postgres_feedback)
    file = Path(settings.data_dir or Settings.load().data_dir) / NOTES
    if not create and not file.is_file():
        return None
    from mnemolite.stores.sqlite import SqliteStore
    from mnemolite.stores.sqlite_notes import SqliteNotes

    store = SqliteStore(
        file,
        vector_backend=settings.perf_vector_backend,
        lock_wait_seconds=settings.lock_wait_seconds,
        readonly=file.is_file() and not (os.access(file.parent, os.W_OK) and os.access(file, os.W_OK)),
        durable=True,
        damage_advice="move it away and import the last 'note export' or backup of it",
    )

    def sqlite_events() -> EventStore:
        from mnemolite.stores.sqlite_events import SqliteEvents

        return SqliteEvents(store.database)

    def sqlite_feedback() -> FeedbackStore:
        from mnemolite.stores.sqlite_feedback import SqliteFeedback

        return SqliteFeedback(store.database)

    return RecordTables(store, SqliteNotes(store.database), sqlite_events, sqlite_feedback)
