"""Résumés quotidiens : plusieurs avis regroupés dans un seul message."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from dataclasses import dataclass
from datetime import datetime, time, timedelta


@dataclass(frozen=True)
class Notice:
    account_id: str
    topic: str
    text: str
    created_at: datetime


def drop_duplicates(notices: list[Notice], window: timedelta = timedelta(hours=12)) -> list[Notice]:
    # Écarte les avis identiques reçus par la même personne dans un court intervalle.
    last_seen: dict[str, datetime] = {}
    kept = []
    for notice in sorted(notices, key=lambda n: n.created_at):
        key = hashlib.sha1(f"{notice.account_id}|{notice.topic}|{notice.text}".encode()).hexdigest()
        previous = last_seen.get(key)
        if previous is None or notice.created_at - previous > window:
            kept.append(notice)
        last_seen[key] = notice.created_at
    return kept


def in_quiet_hours(moment: datetime, start: time = time(22), end: time = time(7)) -> bool:
    # Pas de message la nuit : la plage peut passer minuit.
    current = moment.time()
    if start <= end:
        return start <= current < end
    return current >= start or current < end


def build_digest(notices: list[Notice]) -> dict[str, str]:
    by_account: dict[str, dict[str, list[str]]] = defaultdict(lambda: defaultdict(list))
    for notice in drop_duplicates(notices):
        by_account[notice.account_id][notice.topic].append(notice.text)
    digests = {}
    for account_id, topics in by_account.items():
        sections = []
        for topic, texts in sorted(topics.items()):
            bullets = "\n".join(f"  - {text}" for text in texts)
            sections.append(f"{topic.capitalize()}\n{bullets}")
        digests[account_id] = "\n\n".join(sections)
    return digests
