"""worker, jobs: who indexes for a server, and what there is to index."""

from __future__ import annotations

import json
import logging
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

from mnemolite import ram
from mnemolite.cli.plain import in_line
from mnemolite.errors import InvalidInput
from mnemolite.jobs import Job, JobState
from mnemolite.settings import Settings
from mnemolite.wiring import open_server, work_by_queue

if TYPE_CHECKING:
    from mnemolite.indexing import Indexing

log = logging.getLogger(__name__)

STATES = [state.lower() for state in JobState]
WAKE_SECONDS = 1.0


@click.command("worker")
@click.option("-n", "--at-once", type=click.IntRange(1, 64), default=1, show_default=True, help="Batches of files.")
@click.option("--host", default="127.0.0.1", show_default=True, help="Where --port is.")
@click.option("--port", type=click.IntRange(1, 65535), help="Answer Prometheus there; unless told, nowhere.")
def worker_command(at_once: int, host: str, port: int | None) -> None:
    """
    Work on the jobs of a server until told to end: by threads, or where broker_url names a queue, by processes.

    It needs what the server needs: the same data folder or DATABASE_URL, and, for jobs of folders, these folders.
    """
    from mnemolite.serve.logs import log_json
    from mnemolite.serve.worker import Workers, hand

    settings = Settings.load()
    log_json()
    ram.share_heap()
    ending = threading.Event()
    for each in (signal.SIGINT, signal.SIGTERM):  # of a queue until Celery has its own
        signal.signal(each, lambda *_: sys.exit() if settings.broker_url else ending.set())
    if port is not None:
        _tell(host, port)
    if settings.broker_url:
        work_by_queue(settings, lambda: hand(settings), at_once)
        return
    with open_server(settings) as memory:
        workers = Workers(memory.indexing, at_once)
        workers.start()
        log.info("working on jobs, %d at once", at_once)
        while not ending.wait(WAKE_SECONDS):  # a signal that another thread gets is seen by this one as it wakes
            pass
        workers.stop()


def _tell(host: str, port: int) -> None:
    try:
        from mnemolite.serve.metrics import tell
    except ModuleNotFoundError as error:
        raise InvalidInput(f"--port is given, and {error}; run: pip install 'mnemolite[server]'") from error
    tell(host, port)


@click.group("jobs")
def jobs_command() -> None:
    """What a server was asked to index."""


@jobs_command.command("list")
@click.option("-r", "--repository")
@click.option("--state", type=click.Choice(STATES))
@click.option("--limit", type=click.IntRange(1, 1000), default=20, show_default=True)
@click.option("--json", "as_json", is_flag=True)
def list_(repository: str | None, state: str | None, limit: int, as_json: bool) -> None:
    """The latest jobs, the last one first."""
    with _indexing() as indexing:
        states = [JobState(state.upper())] if state else []
        found = indexing.jobs([repository] if repository else [], states, limit)
    if as_json:
        click.echo(json.dumps([_json(job) for job in found], default=str))
        return
    for job in found:
        click.echo(_line(job))


@jobs_command.command("show")
@click.argument("id")
@click.option("--json", "as_json", is_flag=True)
def show(id: str, as_json: bool) -> None:
    """How far job ID is, the files it could not index, and whether its callback was told."""
    with _indexing() as indexing:
        job = indexing.get(id)
        deliveries = indexing.store.deliveries(id)
    if as_json:
        click.echo(json.dumps(_json(job) | {"callbacks": [asdict(each) for each in deliveries]}, default=str))
        return
    click.echo(_line(job))
    for label, value in {
        "from": job.path or job.git_url or "files that were sent",
        "commit": job.revision,
        "waits for": job.waiting_for,
    }.items():
        if value:
            click.echo(f"  {label}: {value}")
    for path, error in job.errors.items():
        click.echo(f"  {path}: {error}")
    for each in deliveries:
        click.echo(f"  callback {each.url}: {each.state}, {each.attempts} attempts {each.failure}".rstrip())


@jobs_command.command("cancel")
@click.argument("id")
def cancel(id: str) -> None:
    """End job ID; what it has indexed stays."""
    with _indexing() as indexing:
        click.echo(_line(indexing.cancel(id)), err=True)


@jobs_command.command("retry")
@click.argument("id")
def retry(id: str) -> None:
    """Have job ID go on with what it has not done, files that were set aside included."""
    with _indexing() as indexing:
        click.echo(_line(indexing.retry(id)), err=True)


@contextmanager
def _indexing() -> Iterator[Indexing]:
    with open_server(Settings.load()) as memory:
        yield memory.indexing


def _json(job: Job) -> dict[str, Any]:
    return {**asdict(job), "errors": dict(job.errors)}


def _line(job: Job) -> str:
    done = f"{job.progress:,}/{job.total:,} files, {job.chunks:,} chunks" if job.total else "nothing done"
    why = f"  {in_line(job.failure)}" if job.failure else ""
    bad = f", {job.failed:,} failed" if job.failed else ""
    return f"{job.id}  {job.state:9}  {job.repository}  {done}{bad}  ({job.created_at:%Y-%m-%d %H:%M}){why}"
