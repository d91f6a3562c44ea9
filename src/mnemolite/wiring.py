"""From settings to a Memory: here and in wiring_* backends are named, each imported where it is chosen."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec import structs

from mnemolite import wiring_postgres
from mnemolite.errors import InvalidInput, NotFound, StoreUnavailable
from mnemolite.memory import Memory, Tree
from mnemolite.ports import Embedder, JobStore, Queue, Store
from mnemolite.settings import Settings
from mnemolite.spaces import Models
from mnemolite.stores.federated import FederatedIndex, Member
from mnemolite.types import TREE
from mnemolite.wiring_models import models_at_hand, reranker
from mnemolite.wiring_records import records_opener

if TYPE_CHECKING:
    from mnemolite.indexer import Indexer
    from mnemolite.indexing import Indexing
    from mnemolite.queues.celery import Hand
    from mnemolite.repositories import Repositories
    from mnemolite.stores.rekall import RekallDatabase

DATABASE = "memory.db"
SERVER = "server.db"
JOBS = "jobs.db"
CHECKOUTS = "checkouts"


def open_memory(path: str | Path = ".", *, settings: Settings | None = None, create: bool = True) -> Memory:
    """
    The memory of the source tree at *path*: that of the nearest folder upwards that has an index, else of *path*.

    *create* makes an empty index where there is none.

    Raises:
        NotFound: there is no index and *create* is off.
        InvalidInput: *path* is not a folder, or a setting is wrong.
    """
    folder = tree_folder(path)
    return open_tree(find_root(folder, settings) or folder, settings=settings, create=create)


def open_tree(root: Path, *, settings: Settings | None = None, create: bool = False) -> Memory:
    """The memory of exactly the tree at *root*, whatever folder above it may have an index."""
    settings = settings or Settings.load(root)
    tree = _tree(root, settings, create=create)
    models = models_at_hand(settings)
    records = records_opener(settings, models, project_of(root, settings))
    return Memory([tree], tree.store, models, settings, reranker(settings), records)


def open_notes(
    *paths: str | Path, project: str | None = None, everywhere: bool = False, settings: Settings | None = None
) -> Memory:
    """
    A memory of no tree: notes and events of the projects around *paths* (without any, the current folder), or of
    *project*; of all where *everywhere*. Only what notes point at is looked up in the tree around the first of *paths*.

    Raises:
        InvalidInput: one of *paths* is not a folder, or a setting is wrong.
    """
    folders = [tree_folder(path) for path in paths or (".",)]
    settings = settings or Settings.load(find_root(folders[0]) or folders[0])
    models = models_at_hand(settings)
    names = [project_of(folder, settings) for folder in folders] if project is None else [project]
    records = records_opener(settings, models, *names, everywhere=everywhere)

    def code() -> Memory | None:
        root = find_root(folders[0], settings)
        if root is None:
            return None
        tree = _tree(root, settings)
        return Memory([tree], tree.store, models, settings)

    return Memory([], FederatedIndex([]), models, settings, reranker(settings), records, code)


def open_places(paths: Sequence[str | Path], *, settings: Settings | None = None) -> Memory:
    """
    One memory over the indexes that hold *paths*, searching only what is in these folders.

    Raises:
        NotFound: no index holds one of them.
        InvalidInput: one of them is not a folder.
    """
    trees: dict[Path, Tree] = {}
    members = []
    for path in paths:
        folder = tree_folder(path)
        root = find_root(folder, settings) or folder
        if root not in trees:
            trees[root] = _tree(root, settings)
        label = TREE if len(paths) == 1 else str(path).rstrip("/") or "/"
        below = folder.relative_to(root).as_posix() if folder != root else ""
        members.append(Member(trees[root].store, label, below))
    index = members[0].store if len(paths) == 1 and not members[0].below else FederatedIndex(members)
    settings = settings or Settings.load(next(iter(trees)))
    models = models_at_hand(settings)
    projects = [project_of(tree_folder(path), settings) for path in paths]
    records = records_opener(settings, models, *projects)
    return Memory(tuple(trees.values()), index, models, settings, reranker(settings), records)


def open_server(settings: Settings) -> Memory:
    """
    The memory of a server: repositories under their names, with all notes and events.

    They are in the user's data folder, or in PostgreSQL where ``database_url`` says so.
    """
    from mnemolite.repositories import Repositories

    store = wiring_postgres.repositories(settings) if settings.database_url else _server_database(settings)
    models = models_at_hand(settings, serving=True)
    repositories = Repositories(store, models, settings)
    return Memory(
        (),
        store,
        models,
        settings,
        reranker(settings),
        records_opener(settings, models, everywhere=True),
        repositories=repositories,
        indexing=_indexing(settings, repositories, job_store(settings)),
    )


def open_indexer(indexing: Indexing) -> Indexer:
    """What does the tasks of jobs, for one thread."""
    from mnemolite.indexer import Indexer
    from mnemolite.ingest.checkout import Checkouts
    from mnemolite.stores.lock import WriterLock

    settings = indexing.settings

    def lock(folder: Path) -> AbstractContextManager[None]:
        return WriterLock(folder, settings.git_seconds).held()

    folder = Path(settings.data_dir) / CHECKOUTS
    return Indexer(indexing, Checkouts(folder, indexing.outbound, lock, settings.git_max_bytes, settings.git_seconds))


def job_store(settings: Settings) -> JobStore:
    from mnemolite.stores.jobs import JobTables

    if settings.database_url:
        return JobTables(wiring_postgres.job_tables(settings))
    from mnemolite.stores.sqlite_jobs import SqliteTables

    return JobTables(SqliteTables(Path(settings.data_dir) / JOBS, wait_seconds=settings.lock_wait_seconds))


def _indexing(settings: Settings, repositories: Repositories, store: JobStore) -> Indexing:
    from mnemolite.indexing import Indexing
    from mnemolite.outbound import Outbound

    outbound = Outbound.of(settings.outbound_networks, http=settings.outbound_http)
    return Indexing(store, repositories, settings, outbound, _queue(settings))


def open_browsed(path: str | Path) -> Memory:
    """
    The memory of the tree around *path* as a server holds it: with all notes, and the tree as its one repository.

    Raises:
        NotFound: it has no index.
        InvalidInput: *path* is not a folder, or a setting is wrong.
    """
    from mnemolite.repositories import Repositories
    from mnemolite.stores.jobs import JobTables
    from mnemolite.stores.sqlite_jobs import SqliteTables

    folder = tree_folder(path)
    root = find_root(folder) or folder
    settings = structs.replace(Settings.load(root), index_roots=(str(root),), broker_url="")
    tree = _tree(root, settings)
    models = models_at_hand(settings)
    repositories = Repositories(tree.store, models, settings, only=TREE)
    jobs = JobTables(SqliteTables(None, wait_seconds=settings.lock_wait_seconds))  # those of a server are not its own
    return Memory(
        [tree],
        tree.store,
        models,
        settings,
        reranker(settings),
        records_opener(settings, models, everywhere=True),
        repositories=repositories,
        indexing=_indexing(settings, repositories, jobs),
    )


def _queue(settings: Settings) -> Queue | None:
    if not settings.broker_url:
        return None
    with _celery_installed():
        from mnemolite.queues.celery import CeleryQueue
    return CeleryQueue(settings.broker_url)


def work_by_queue(settings: Settings, open_hand: Callable[[], AbstractContextManager[Hand]], processes: int) -> None:
    """Does what the queue at broker_url tells of, until this process is told to end."""
    with _celery_installed():
        from mnemolite.queues.celery import work
    work(settings.broker_url, open_hand, processes)


@contextmanager
def _celery_installed() -> Iterator[None]:
    try:
        yield
    except ModuleNotFoundError as error:
        raise InvalidInput(f"broker_url is set, and {error}; run: pip install 'mnemolite[celery]'") from error


def _server_database(settings: Settings) -> Store:
    from mnemolite.stores.sqlite import SqliteStore

    return SqliteStore(
        Path(settings.data_dir) / SERVER,
        vector_backend=settings.perf_vector_backend,
        lock_wait_seconds=settings.lock_wait_seconds,
        damage_advice="move it away and index the repositories again",
    )


def _tree(root: Path, settings: Settings | None, *, create: bool = False) -> Tree:
    settings = settings or Settings.load(root)
    return Tree(root, open_store(root, settings, create=create), project_of(root, settings))


def project_of(folder: Path, settings: Settings) -> str:
    """
    The name of the project that notes written in *folder* belong to: what the settings say, else the name of the git
    repository's folder (that of the first checkout, for further worktrees), else of the indexed tree, else of *folder*.
    """
    if settings.project:
        return settings.project
    for candidate in (folder, *folder.parents):
        mark = candidate / ".git"
        if mark.is_dir():
            return candidate.name
        if mark.is_file():
            return _main_checkout(candidate, mark).name
    return (find_root(folder, settings) or folder).name


def _main_checkout(worktree: Path, mark: Path) -> Path:
    """A worktree's ``.git`` is a file that names ``<main checkout>/.git/worktrees/<name>``."""
    try:
        target = Path(mark.read_text("utf-8").removeprefix("gitdir:").strip())
    except (OSError, UnicodeDecodeError):
        return worktree
    return target.parents[2] if target.is_absolute() and target.parts[-3:-1] == (".git", "worktrees") else worktree


def find_root(folder: Path, settings: Settings | None = None) -> Path | None:
    """The nearest folder upwards from *folder* that has an index."""
    of_folder = settings or Settings.load(folder)
    if of_folder.database_url:
        return wiring_postgres.find_root(folder, of_folder)
    for candidate in (folder, *folder.parents):
        if database(candidate, settings or Settings.load(candidate)).is_file():
            return candidate
    return None


def tree_folder(path: str | Path) -> Path:
    """
    *path* as an absolute folder.

    Raises:
        InvalidInput: there is none, or it is a file.
    """
    folder = Path(path).expanduser()
    if not folder.exists():
        raise InvalidInput(f"{path} does not exist; give the folder of a source tree")
    if not folder.is_dir():
        raise InvalidInput(f"{path} is a file; give the folder it is in")
    return folder.resolve()


def database(root: Path, settings: Settings) -> Path:
    return root / settings.index_dir / DATABASE


def open_store(root: Path, settings: Settings, *, create: bool = False) -> Store:
    if settings.database_url:
        shared = wiring_postgres.open_store(root, settings, create=create)
        if shared is None:
            raise NotFound(f"the database has no index of {root}; run 'mnemolite index {root}' first")
        return shared
    from mnemolite.stores.sqlite import SqliteStore

    file = database(root, settings)
    if not file.is_file():
        if not create:
            raise NotFound(f"no index at {file}; run 'mnemolite index {root}' first")
        _make_folder(file.parent)
    return SqliteStore(
        file,
        vector_backend=settings.perf_vector_backend,
        lock_wait_seconds=settings.lock_wait_seconds,
        readonly=not os.access(file.parent, os.W_OK),
    )


def open_rekall(path: Path) -> RekallDatabase:
    """
    A copy of the Rekall database at *path*, or in the folder *path*.

    Raises:
        InvalidInput: there is none.
        StoreUnavailable: it cannot be read.
    """
    from mnemolite.stores.rekall import RekallDatabase

    return RekallDatabase(path.expanduser())


def remove_index(root: Path, settings: Settings | None = None) -> bool:
    """
    Deletes the index of the tree at *root*, readable or not; False when there is none.

    Raises:
        Conflict: another process is writing it.
    """
    settings = settings or Settings.load(root)
    if settings.database_url:
        return wiring_postgres.remove_index(root, settings)
    from mnemolite.stores.lock import WriterLock

    file = database(root, settings)
    if not file.exists():
        return False
    with WriterLock(file, settings.lock_wait_seconds).held():
        for suffix in ("", "-wal", "-shm"):
            file.with_name(file.name + suffix).unlink(missing_ok=True)
    return True


def open_models(
    settings: Settings | None = None,
    *,
    serving: bool = False,
    wrap: Callable[[Embedder], Embedder] = lambda embedder: embedder,
) -> Memory:
    """
    A memory of no tree: the models alone, each within what *wrap* makes of it. *serving*: to many, so that a cache
    shared with others is worth asking.
    """
    settings = settings or Settings.load(Path.cwd())
    embedders = tuple(wrap(embedder) for embedder in models_at_hand(settings, serving=serving).configured)
    return Memory([], FederatedIndex([]), Models(embedders), settings)


def _make_folder(folder: Path) -> None:
    """The index's folder, which tells git by itself to ignore it."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        ignore = folder / ".gitignore"
        if not ignore.exists():
            ignore.write_text("*\n", "utf-8")
    except OSError as error:
        raise StoreUnavailable(f"no index can be made in {folder}: {error.strerror}") from error
