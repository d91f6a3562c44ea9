"""Feedback in SQLite."""

from __future__ import annotations

from mnemolite.records import Feedback, Shown
from mnemolite.stores.sqlite_connection import Database, fetch
from mnemolite.types import microseconds, moment


class SqliteFeedback:
    """A :class:`~mnemolite.ports.FeedbackStore` in the database of a SqliteStore."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add_feedback(self, feedback: Feedback) -> None:
        row = microseconds(feedback.given_at), feedback.query, feedback.chosen, Shown.to_json(feedback.shown)
        with self._database.writing() as connection:
            connection.execute("INSERT INTO feedback (given_at, query, chosen, shown) VALUES (?, ?, ?, ?)", row)

    def all_feedback(self) -> list[Feedback]:
        with self._database.reading() as connection:
            rows = fetch(connection, "SELECT given_at, query, chosen, shown FROM feedback ORDER BY number")
        return [
            Feedback(given_at=moment(at), query=query, chosen=chosen, shown=Shown.from_json(shown))
            for at, query, chosen, shown in rows
        ]

    def clear_feedback(self) -> int:
        with self._database.writing() as connection:
            connection.execute("DELETE FROM feedback")
            return int(connection.changes())
