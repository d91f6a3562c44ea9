"""
The commands of each page: as they stand, in order, in one shell, in a copy of a small shop's tree.

Blocks of sh and of Python are run, and what stands behind "$ " in a console. A block that needs what is not here says
so in its title and is not run: ```sh title="Needs Docker". Ports are exchanged for free ones, databases for some of
the tests' PostgreSQL, and what serves goes on beside the rest (pages.sh).
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tomllib
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, suppress
from pathlib import Path

import click
import psycopg
import pytest
from psycopg.sql import SQL, Identifier

from mnemolite.cli import cli
from mnemolite.lab.local_postgres import LocalPostgres
from mnemolite.lab.local_redis import LocalRedis
from mnemolite.lab.onnx_export import export
from mnemolite.lab.random_model import write_bert

ROOT = Path(__file__).parents[2]
PRELUDE = Path(__file__).with_name("pages.sh")
PAGES = [
    *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "deploy/README.md")),
    *(ROOT / "docs").rglob("*.md"),
]
FROM_NOTHING = ("README.md", "quickstart.md", "embedder.md")
OF_A_CHECKOUT = ("performance.md",)
SECONDS = 240

FENCE = re.compile(r'^```(\w*)(?: title="(Needs [^"\n]+)")?\n(.*?)^```\n', re.MULTILINE | re.DOTALL)
COMMANDS = ("sh", "console", "python")
INDENTED = re.compile(r"^(?: {4}|\t).*", re.MULTILINE)
GENERATED = re.compile(r"^::: .*\n(?: {4}.*\n)*", re.MULTILINE)  # by mkdocstrings
UNFENCED = re.compile(r"^(?:\$|mnemolite|curl|docker|pip|export) .*", re.MULTILINE)
REDIS = "6379"
PORT = re.compile(rf"\b(?:800\d|{REDIS})\b")
DATABASE = re.compile(r"postgresql://[^@\s]+@([\w,]+)(?::\d+)?/\w+")
CALL = re.compile(r"(?<!from )(?<![\w/.'])mnemolite ([^|;&)\n]+)")
MODULE = re.compile(r"(?:-m (mnemolite\.lab\.\w+)|(bench/\w+\.\w+))([^|;&)`\n]*)")


def script(page: Path) -> str:
    found = FENCE.findall(page.read_text("utf-8"))
    return "".join(_commands(language, text) for language, needs, text in found if language in COMMANDS and not needs)


def _commands(language: str, text: str) -> str:
    if language == "python":
        return f"python - <<'PYTHON'\n{text}PYTHON\n"
    if language == "console":
        return "".join(f"{line[2:]}\n" for line in text.splitlines() if line.startswith("$ "))
    return text


def each(pages: Sequence[Path]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("page", pages, ids=[str(page.relative_to(ROOT)) for page in pages])


def environment(home: Path) -> dict[str, str]:
    """Of a user who has set nothing."""
    programs = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    return {"HOME": str(home), "PATH": programs, "TMPDIR": os.environ.get("TMPDIR", "/tmp")}


@pytest.fixture(scope="session")
def used(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The home of somebody who has a shop's tree, its index, a note, an agent, and two models."""
    home = tmp_path_factory.mktemp("used")
    shop, weights = home / "src/shop", home / "models/all-MiniLM-L6-v2"
    shutil.copytree(ROOT / "tests/golden/tree", shop)
    for folder in (home / ".claude", weights):
        folder.mkdir(parents=True)
    write_bert(weights, positions=600)
    export(weights, home / "models/mine")
    for command in (
        "git init --quiet && git add . && git -c user.name=Ada -c user.email=ada@shop.test commit --quiet -m 'Sell'",
        "mnemolite index . && mnemolite note add pitfall 'Charging twice'",
    ):
        subprocess.run(command, shell=True, cwd=shop, env=environment(home), capture_output=True, check=True)
    return home


@pytest.fixture
def database(request: pytest.FixtureRequest) -> Iterator[Callable[[re.Match[str]], str]]:
    """Gives for the URL of a page that of an empty database, for each host the same one."""
    made: dict[str, str] = {}

    def url(named: re.Match[str]) -> str:
        server: LocalPostgres = request.getfixturevalue("postgres")
        name = f"page_{named[1].partition(',')[0]}"
        if name not in made:
            made[name] = server.url(name)
            _execute(server, "CREATE DATABASE {}", name)
        return made[name]

    yield url
    for name in made:
        _execute(request.getfixturevalue("postgres"), "DROP DATABASE {} WITH (FORCE)", name)


def _execute(server: LocalPostgres, statement: str, name: str) -> None:
    with psycopg.connect(server.url(), autocommit=True) as connection:
        connection.execute(SQL(statement).format(Identifier(name)))


@pytest.mark.skipif(shutil.which("curl") is None, reason="the pages ask servers by curl")
@each([page for page in PAGES if script(page)])
def test_the_commands_of_a_page_run(
    page: Path, used: Path, tmp_path: Path, database: Callable[[re.Match[str]], str]
) -> None:
    home, output, consent = tmp_path / "home", tmp_path / "output", tmp_path / "consent"
    shutil.copytree(used, home, ignore=shutil.ignore_patterns(*[".mnemolite"] * (page.name in FROM_NOTHING)))
    consent.write_text("y\n" * 100_000)
    commands = f"{PRELUDE.read_text('utf-8')}set -v\n{DATABASE.sub(database, script(page))}"
    with ExitStack() as opened:
        ports = free_ports(PORT.findall(commands))
        if REDIS in ports:
            ports[REDIS] = str(opened.enter_context(LocalRedis()).port)
        said = opened.enter_context(output.open("w"))
        shell = subprocess.Popen(
            ["bash", "-c", PORT.sub(lambda port: ports[port[0]], commands)],
            cwd=ROOT if page.name in OF_A_CHECKOUT else home / "src/shop",
            env=environment(home),
            stdin=opened.enter_context(consent.open()),
            stdout=said,
            stderr=said,
            start_new_session=True,
        )
        try:
            code = shell.wait(SECONDS)
        finally:
            with suppress(ProcessLookupError):
                os.killpg(shell.pid, signal.SIGKILL)
            shell.wait()
    assert code == 0, output.read_text("utf-8")


def free_ports(named: Sequence[str]) -> dict[str, str]:
    with ExitStack() as opened:
        sockets = {port: opened.enter_context(socket.create_server(("127.0.0.1", 0))) for port in set(named)}
        return {port: str(free.getsockname()[1]) for port, free in sockets.items()}


@each(PAGES)
def test_no_command_of_a_page_stands_outside_of_a_block(page: Path) -> None:
    text = GENERATED.sub("", page.read_text("utf-8"))
    assert UNFENCED.findall(FENCE.sub(lambda block: "" if block[1] in COMMANDS else block[0], text)) == []
    rest = FENCE.sub("", text)
    assert INDENTED.findall(rest) == []
    assert re.findall(r"^ *```.*", rest, re.MULTILINE) == []


@each(PAGES)
def test_what_a_page_names_is_there(page: Path) -> None:
    code = written_as_code(page.read_text("utf-8"))
    assert [error for words in CALL.findall(code) if (error := unknown(words.split()))] == []
    targets = re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE)
    assert set(re.findall(r"(?:^|\s)make ([a-z-]+)", code)) <= set(targets)
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["optional-dependencies"]
    assert {name for names in re.findall(r"mnemolite\[([\w,-]+)\]", code) for name in names.split(",")} <= set(extras)
    for module, file, words in MODULE.findall(code):
        source = (ROOT / (f"src/{module.replace('.', '/')}.py" if module else file)).read_text("utf-8")
        for shared in re.findall(r"^from (\w+) import", source, re.MULTILINE):
            beside = ROOT / f"bench/{shared}.py"
            source += beside.read_text("utf-8") if beside.exists() else ""
        assert [name for name in re.findall(r"--([a-z0-9-]+)", words) if not re.search(f'"(--)?{name}"', source)] == []


def written_as_code(text: str) -> str:
    """Blocks and what stands between backticks, a command a line."""
    blocks = [block[2] for block in FENCE.findall(text)]
    return "\n".join([*blocks, *re.findall(r"`([^`]+)`", FENCE.sub("", text))]).replace("\\\n", " ")


def unknown(words: Sequence[str]) -> str:
    """The first of a command line's words that the program does not know, behind its command."""
    command: click.Command = cli
    for word in words:
        name = word.strip("[],").partition("=")[0]
        if name.startswith("#"):
            break
        if name.startswith("-"):
            options = [option for each in command.params for option in (*each.opts, *each.secondary_opts)]
            if name not in (*options, "--help", "--version"):
                return f"{command.name} {name}"
        elif isinstance(command, click.Group) and name.islower():
            found = command.get_command(click.Context(command), name)
            if found is None:
                return f"{command.name} {name}"
            if not word.endswith(","):  # of "list, add, check" each is one of the group
                command = found
    return ""
