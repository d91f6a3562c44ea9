"""Feedback in PostgreSQL."""

from __future__ import annotations

from mnemolite.records import Feedback, Shown
from mnemolite.stores.postgres_connection import Database


class PostgresFeedback:
    """A :class:`~mnemolite.ports.FeedbackStore` beside notes and events."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add_feedback(self, feedback: Feedback) -> None:
        row = feedback.given_at, feedback.query, feedback.chosen, Shown.to_json(feedback.shown)
        with self._database.writing() as connection:
            connection.execute("INSERT INTO feedback (given_at, query, chosen, shown) VALUES (%s, %s, %s, %s)", row)

    def all_feedback(self) -> list[Feedback]:
        with self._database.reading() as connection:
            rows = connection.execute(
                "SELECT given_at, query, chosen, shown::text FROM feedback ORDER BY id"
            ).fetchall()
        return [
            Feedback(given_at=at, query=query, chosen=chosen, shown=Shown.from_json(shown))
            for at, query, chosen, shown in rows
        ]

    def clear_feedback(self) -> int:
        with self._database.writing() as connection:
            return connection.execute("DELETE FROM feedback").rowcount
