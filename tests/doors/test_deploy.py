"""What images, compose and systemd start: it starts, says that it is well, and ends when it is told to."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from mnemolite.lab.local_redis import LocalRedis
from mnemolite.serve.security import Access, Keys, keys_file
from mnemolite.settings import Settings

from .conftest import PROGRAM

DEPLOY = Path(__file__).parents[2] / "deploy"
DOCKERFILE = (DEPLOY / "docker" / "Dockerfile").read_text("utf-8")
UNITS = sorted((DEPLOY / "systemd").glob("*.service"))
REQUIRED = ("POSTGRES_PASSWORD", "REDIS_PASSWORD", "GRAFANA_PASSWORD", "EMBEDDER_KEY", "PROMETHEUS_KEY_FILE")
START_SECONDS = 60


def images() -> dict[str, str]:
    """What of the Dockerfile makes each image that runs something."""
    stages = re.split(r"^FROM \S+ AS (\S+)$", DOCKERFILE, flags=re.MULTILINE)[1:]
    return {name: text for name, text in zip(stages[::2], stages[1::2], strict=True) if "\nCMD " in text}


def command(image: str) -> list[str]:
    [found] = re.findall(r"^CMD (.+)$", images()[image], re.MULTILINE)
    return [str(each) for each in json.loads(found)]


def health(image: str) -> list[str]:
    [found] = re.findall(r"^HEALTHCHECK .*?CMD (.+)$", images()[image], re.MULTILINE)
    return [str(each) for each in json.loads(found)]


@pytest.fixture
def ports() -> Callable[[list[str]], list[str]]:
    """Puts ports that are free in the place of those of a command, the same ones for the same."""
    free: dict[str, str] = {}

    def given(found: re.Match[str]) -> str:
        if found[0] not in free:
            with socket.socket() as probe:
                probe.bind(("127.0.0.1", 0))
                free[found[0]] = str(probe.getsockname()[1])
        return free[found[0]]

    return lambda words: [re.sub(r"\b800\d\b", given, word) for word in words]


@pytest.mark.parametrize("image", ["api", "worker", "worker with a queue", "embedder"])
def test_an_image_starts_says_it_is_well_and_ends_when_told(
    image: str, ports: Callable[[list[str]], list[str]], request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    image, _, queue = image.partition(" ")
    if queue:
        redis: LocalRedis = request.getfixturevalue("redis_server")
        monkeypatch.setenv("MNEMOLITE_BROKER_URL", redis.url)
    Keys(keys_file(Settings.load())).create("compose", Access.READ)  # other machines may ask
    check = [sys.executable, *ports(health(image))[1:]]
    with subprocess.Popen([PROGRAM, *ports(command(image))], stderr=subprocess.DEVNULL) as process:
        try:
            until = time.monotonic() + START_SECONDS
            while subprocess.run(check, stderr=subprocess.DEVNULL, check=False).returncode:
                assert process.poll() is None
                assert time.monotonic() < until
            process.send_signal(signal.SIGTERM)
            assert process.wait(START_SECONDS) == 0
        finally:
            process.kill()
    assert subprocess.run(check, stderr=subprocess.DEVNULL, check=False).returncode


def test_the_image_for_a_gpu_runs_what_the_other_does_and_none_runs_as_root() -> None:
    assert set(images()) == {"api", "worker", "embedder", "embedder-gpu"}
    assert command("embedder-gpu") == command("embedder")
    assert health("embedder-gpu") == health("embedder")
    assert all("\nUSER mnemolite\n" in text for text in images().values())


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.stem)
def test_units_start_commands_there_are_and_are_hardened(unit: Path, tmp_path: Path) -> None:
    text = unit.read_text("utf-8")
    [words] = re.findall(r"^ExecStart=/opt/mnemolite/bin/mnemolite (.+)$", text, re.MULTILINE)
    subprocess.run([PROGRAM, *words.split(), "--help"], stdout=subprocess.DEVNULL, check=True)
    if shutil.which("systemd-analyze") is None:
        pytest.skip("no systemd here")
    copy = tmp_path / unit.name
    copy.write_text(text.replace("/opt/mnemolite/bin/mnemolite", PROGRAM))
    said = subprocess.run(["systemd-analyze", "verify", "--man=no", copy], capture_output=True, text=True, check=False)
    assert (said.returncode, said.stderr) == (0, "")


def test_no_password_is_in_a_file() -> None:
    compose = (DEPLOY / "compose.yml").read_text("utf-8")
    example = (DEPLOY / "env.example").read_text("utf-8")
    assert dict(re.findall(r"^(\w+)=(.*)$", example, re.MULTILINE)) == {
        **dict.fromkeys(REQUIRED, ""),
        "PROMETHEUS_KEY_FILE": "./prometheus_key",
    }
    used = re.findall(r"\$\{(\w+)(.*?)}", compose)
    assert {name for name, rest in used if rest == ":?"} == set(REQUIRED)  # without one, compose says so
    assert all(rest.startswith(":-") for name, rest in used if name not in REQUIRED)
    for name in re.findall(r"^ +(\w+(?:PASSWORD|TOKEN)\w*): (?!\$\{\w+:\?}$)", compose, re.MULTILINE):
        raise AssertionError(f"{name} has a value of its own")


@pytest.mark.skipif(shutil.which("docker-compose") is None, reason="no docker-compose; `make deployment` installs it")
def test_compose_reads_its_files_and_asks_for_what_has_no_default() -> None:
    def configured(**given: str) -> subprocess.CompletedProcess[str]:
        files = [f"--file={DEPLOY / name}" for name in ("compose.yml", "compose.gpu.yml")]
        environment = {"PATH": os.environ["PATH"], **given}
        return subprocess.run(
            ["docker-compose", *files, "config"], env=environment, capture_output=True, text=True, check=False
        )

    whole = configured(**{name: f"./{name}" for name in REQUIRED})
    assert whole.returncode == 0, whole.stderr
    assert "embedder-gpu" in whole.stdout
    without = configured()
    assert without.returncode != 0
    assert "POSTGRES_PASSWORD" in without.stderr
