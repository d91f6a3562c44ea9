import os
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest
from hypothesis import settings as hypothesis

from mnemolite.lab.local_postgres import LocalPostgres, local_postgres
from mnemolite.lab.local_redis import LocalRedis
from mnemolite.settings import UNPREFIXED
from mnemolite.stores.postgres_connection import VERSION_TABLE
from mnemolite.stores.postgres_migrate import Schema

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

hypothesis.register_profile("default", deadline=None)  # a shared machine has no fixed speed
hypothesis.load_profile("default")


@pytest.fixture(autouse=True)
def own_settings(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """No test sees the settings or the notes of whoever runs it."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path_factory.mktemp("config")))
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path_factory.mktemp("data")))
    for name in list(os.environ):
        if name.startswith("MNEMOLITE_") or name in (
            "DATABASE_URL",
            "REDIS_URL",
            "DEVICE",
            *map(str.upper, UNPREFIXED),
        ):
            monkeypatch.delenv(name)
    monkeypatch.setenv("MNEMOLITE_RAM_BUDGET_MB", "100000")  # the process of the tests holds more than one of ours


@pytest.fixture(scope="session")
def redis_server() -> Iterator[LocalRedis]:
    """For all tests that leave it as it is but for their keys."""
    with LocalRedis() as server:
        yield server


@pytest.fixture(scope="session")
def postgres() -> Iterator[LocalPostgres]:
    """A server for all tests that ask for it."""
    with local_postgres() as server:
        yield server


@pytest.fixture(scope="session")
def copies(postgres: LocalPostgres) -> Callable[[str], str]:
    """Makes a database of this name with our tables, of one that nobody else uses; gives its URL."""
    with psycopg.connect(postgres.url(), autocommit=True) as connection:
        connection.execute("CREATE DATABASE pristine")
    Schema(postgres.url("pristine")).upgrade()

    def copy(name: str) -> str:
        with psycopg.connect(postgres.url(), autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {name} TEMPLATE pristine")
        return postgres.url(name)

    return copy


@pytest.fixture(scope="session")
def migrated(copies: Callable[[str], str]) -> str:
    """A database with our tables, which tests share one after the other."""
    return copies("mnemolite")


@pytest.fixture(scope="session")
def migrated_shards(copies: Callable[[str], str]) -> list[str]:
    """Databases beside it, on the same server."""
    return [copies(f"shard{number}") for number in range(3)]


@pytest.fixture
def empty_database(request: pytest.FixtureRequest) -> Callable[[], str]:
    """Gives the URL of a database with our tables and nothing in them; no server is started where nobody calls it."""

    def emptied() -> str:
        url: str = request.getfixturevalue("migrated")
        empty(url)
        return url

    return emptied


@pytest.fixture
def empty_shards(request: pytest.FixtureRequest) -> Callable[[], list[str]]:
    """The same of three databases, beside that of empty_database."""

    def emptied() -> list[str]:
        urls: list[str] = request.getfixturevalue("migrated_shards")
        for url in urls:
            empty(url)
        return urls

    return emptied


def empty(url: str) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        tables = "SELECT relname FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace"
        names = [name for (name,) in connection.execute(tables) if name != VERSION_TABLE]
        spaces = [name for name in names if name.startswith("vectors_")]
        if spaces:
            connection.execute(f"DROP TABLE {', '.join(spaces)}")
        connection.execute(f"TRUNCATE {', '.join(set(names) - set(spaces))}")


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A small source tree, written anew for each test."""
    root = tmp_path / "shop"
    files = {
        "auth/email.py": '''"""Checks of mail addresses."""

import re

PATTERN = re.compile(r"[^@\\s]+@[^@\\s]+")


def validate_email(address: str) -> bool:
    """Whether *address* could receive mail."""
    return PATTERN.fullmatch(address) is not None


class Mailbox:
    """Where a customer's mail goes."""

    def __init__(self, address: str) -> None:
        self.address = address

    def normalise(self) -> str:
        return self.address.strip().lower()
''',
        "pay/charge.ts": """// Charges a card once, however often the caller retries.
export async function chargeOnce(key: string, cents: number): Promise<Receipt> {
  const seen = await ledger.find(key);
  if (seen) return seen;
  return ledger.record(key, await gateway.charge(cents));
}
""",
        "docs/refunds.md": "# Refunds\n\nMoney is back in five days.\n\n## Disputes\n\nA disputed payment is frozen.\n",
        "build/out.js": "ignored()\n",
        ".gitignore": "build/\n",
        "logo.png": "\x89PNG\0\0",
    }
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(text.encode("latin-1") if name.endswith("png") else text.encode())
    return root
