import logging
from collections.abc import Callable

import pytest

from mnemolite.serve.logs import REMEMBERED, REPEAT_SECONDS, Seldom, request_id


@pytest.fixture
def passes() -> Callable[..., bool]:
    now = 0.0

    def clock() -> float:
        return now

    seldom = Seldom(clock)

    def passes(message: str, level: int = logging.WARNING, after: float = 0.0) -> bool:
        nonlocal now
        now += after
        return seldom.filter(logging.LogRecord("a", level, "", 0, message, None, None))

    return passes


def test_the_same_warning_is_said_once_a_minute(passes: Callable[..., bool]) -> None:
    assert passes("the database is away")
    assert not passes("the database is away", after=REPEAT_SECONDS - 1)
    assert passes("another is away")
    assert passes("the database is away", after=1)


def test_errors_and_what_is_said_of_a_request_are_said_each_time(passes: Callable[..., bool]) -> None:
    assert passes("broken", logging.ERROR) and passes("broken", logging.ERROR)
    assert passes("request", logging.INFO) and passes("request", logging.INFO)
    token = request_id.set("1")
    assert passes("the cache is away") and passes("the cache is away")
    request_id.reset(token)


def test_what_was_said_is_forgotten_before_it_fills_the_memory(passes: Callable[..., bool]) -> None:
    for number in range(REMEMBERED):
        assert passes(f"{number}")
    assert not passes("0")
    assert passes("one more")
    assert passes("0")
