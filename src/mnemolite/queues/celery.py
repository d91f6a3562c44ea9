"""Celery with Redis: it carries the names of tasks to workers, and nothing that could be lost with it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

from celery import Celery, signals
from kombu.connection import Connection
from kombu.exceptions import OperationalError

from mnemolite.errors import StoreUnavailable
from mnemolite.jobs import TaskId

QUEUE = "mnemolite"
TASK = "mnemolite.index"
LONGEST_SECONDS = 3600  # no task takes longer: one that did would be sent again while it is worked on
START_SECONDS = 60.0  # for a process of the pool, on a machine that is busy
ANSWER_SECONDS = 5.0  # of Redis

Hand = Callable[[str], bool]  # does the task of a job that is next, if there is one


class CeleryQueue:
    """The tasks of the Redis at *url*."""

    def __init__(self, url: str) -> None:
        self._app = _application(url)

    def send(self, tasks: Iterable[TaskId]) -> None:
        with self._connected() as connection:
            producer = self._app.amqp.Producer(connection, auto_declare=False)
            for task in tasks:
                self._app.send_task(TASK, args=tuple(task), producer=producer, retry=False)

    def waiting(self) -> int:
        with self._connected() as connection:
            channel: Any = connection.default_channel
            return int(channel.client.llen(QUEUE))

    @contextmanager
    def _connected(self) -> Iterator[Connection]:
        connection = self._app.connection_for_write()
        try:
            with connection:
                yield connection
        except (OperationalError, OSError, *connection.connection_errors, *connection.channel_errors) as error:
            raise StoreUnavailable(f"the queue cannot be reached: {error}; jobs wait until it can") from error


def work(url: str, open_hand: Callable[[], AbstractContextManager[Hand]], processes: int) -> None:
    """
    Does what the queue tells of, in *processes* of a pool, until this one is told to end. Each calls *open_hand* for
    itself: no connection outlives a fork.
    """
    app = _application(url)
    opened: list[tuple[AbstractContextManager[Hand], Hand]] = []

    def begin(**_: object) -> None:
        context = open_hand()
        opened.append((context, context.__enter__()))

    def end(**_: object) -> None:
        while opened:
            opened.pop()[0].__exit__(None, None, None)

    def index(job: str, task: int) -> None:
        """Not the task that is named: one that was interrupted comes first, and its name is last in the queue."""
        [(_, hand)] = opened
        hand(job)

    signals.worker_process_init.connect(begin, weak=False)
    signals.worker_process_shutdown.connect(end, weak=False)
    app.task(index, name=TASK)
    options = {"quiet": True, "without_gossip": True, "without_mingle": True, "without_heartbeat": True}
    app.Worker(pool="prefork", concurrency=processes, loglevel="WARNING", **options).start()


def _application(url: str) -> Celery:
    app = Celery("mnemolite", broker=url, set_as_current=False)
    app.conf.update(
        task_default_queue=QUEUE,
        task_ignore_result=True,
        # a task is told of again when its process or its worker ended; how often it is tried is the store's to say
        task_acks_late=True,
        task_reject_on_worker_lost=True,
        worker_prefetch_multiplier=1,  # what a worker has taken and not begun, no other can do
        worker_proc_alive_timeout=START_SECONDS,
        worker_hijack_root_logger=False,
        broker_connection_retry_on_startup=True,
        broker_connection_max_retries=None,
        broker_transport_options={
            "visibility_timeout": LONGEST_SECONDS,
            "unacked_restore_interval": 5,  # seconds between looks for such tasks, instead of a hundred
            "unacked_restore_throttle": 1,
            "socket_timeout": ANSWER_SECONDS,
            "socket_connect_timeout": ANSWER_SECONDS,
            "max_retries": 1,
        },
    )
    return app
