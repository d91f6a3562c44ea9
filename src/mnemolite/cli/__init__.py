"""
The command line. Results on stdout, talk on stderr; exit 0 hits, 1 none, 2 error, as grep's.

Each command lives in a module that is imported when it is called: `search` must not pay for the others.
"""

from __future__ import annotations

import errno
import logging
import os
import sys
import traceback
from importlib import import_module
from pathlib import Path
from typing import NoReturn

import click

from mnemolite import __version__
from mnemolite.errors import MnemoError

COMMANDS = {  # command -> module of this package
    "index": "index",
    "status": "index",
    "clear": "index",
    "search": "search",
    "similar": "search",
    "note": "notes",
    "embed": "embed",
    "similarity": "embed",
    "models": "models",
    "spaces": "spaces",
    "mcp": "mcp",
    "serve": "serve",
    "ui": "serve",
    "embedder": "embedder",
    "key": "serve",
    "worker": "jobs",
    "jobs": "jobs",
    "install": "install",
    "uninstall": "install",
    "db": "db",
    "backup": "backup",
    "restore": "backup",
    "eval": "evaluate",
    "train": "train",
    "feedback": "feedback",
    "stats": "health",
    "doctor": "health",
}
# under the second name these are the commands of `note` themselves
NOTE_COMMANDS = ("add", "show", "edit", "rm", "restore", "list", "link", "unlink", "review", "export", "import")


def is_rekall() -> bool:
    """Whether the program was called by its second name, by which notes come first."""
    return Path(sys.argv[0]).stem == "rekall"


class _Lazy(click.Group):
    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(dict.fromkeys((*COMMANDS, *(NOTE_COMMANDS if is_rekall() else ()))))

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name in NOTE_COMMANDS and is_rekall():
            from mnemolite.cli.notes import note_command

            return note_command.get_command(ctx, cmd_name)
        if cmd_name not in COMMANDS:
            return None
        module = import_module(f"mnemolite.cli.{COMMANDS[cmd_name]}")
        command = getattr(module, f"{cmd_name}_command")
        assert isinstance(command, click.Command)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if self.get_command(ctx, args[0]) is None:
            from difflib import get_close_matches

            if near := get_close_matches(args[0], self.list_commands(ctx)):
                ctx.fail(f"No such command {args[0]!r}. Did you mean {' or '.join(map(repr, near))}?")
        return super().resolve_command(ctx, args)


@click.group(cls=_Lazy, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="mnemolite")
@click.option("-v", "--verbose", is_flag=True, help="Say on stderr what is loaded and done.")
def cli(verbose: bool) -> None:
    """Find things in your code and notes by what they mean."""
    level = logging.INFO if verbose or sys.stderr.isatty() else logging.WARNING
    logging.basicConfig(level=level, format="mnemolite: %(message)s", stream=sys.stderr, force=True)


def main() -> NoReturn:
    # One thread for the matrix products of a query: with two, a contended one took a hundred times as long.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    _open_closed()
    sys.exit(run())


def run() -> int:
    """Does what the command line says; gives the exit code."""
    try:
        code = cli.main(standalone_mode=False)
        sys.stdout.flush()
    except click.exceptions.Exit as exit:
        return exit.exit_code
    except (Exception, KeyboardInterrupt) as error:  # noqa: BLE001  whatever it is, the exit code must say so
        return _told(error)
    return code if isinstance(code, int) else 0


def _told(error: BaseException) -> int:
    """Says on stderr what went wrong; gives the exit code: never Python's own 1, which says that nothing was found."""
    said, code = "", 2
    match error:
        case click.ClickException():
            error.show()
        case MnemoError():
            said = str(error)
        case click.Abort(__context__=EOFError()):
            said = "nobody answers here, so nothing was done; --yes does it without asking"
        case click.Abort() | KeyboardInterrupt():
            said, code = "interrupted; what was stored so far stays", 130
        case BrokenPipeError():  # the reader of our output, such as `head`, has seen enough
            _drop_output()
            code = 0
        case OSError(filename=None, errno=errno.ENOENT):  # as os.getcwd has it
            said = "the current folder is gone; change to one that is there"
        case OSError(filename=None, errno=errno.ENOSPC | errno.EFBIG | errno.EDQUOT | errno.EIO):
            _drop_output()
            said = f"cannot write the output: {error.strerror}"
        case OSError(filename=str()):
            said = f"{error.filename}: {error.strerror}"
        case _:
            traceback.print_exception(error)
            said = "this is a mistake of the program; what was stored so far stays"
    if said:
        click.echo(f"mnemolite: {said}", err=True)
    return code


def _open_closed() -> None:
    """What is closed of stdin, stdout and stderr leads nowhere; else the next file opened would take its number."""
    while (number := os.open(os.devnull, os.O_RDWR)) <= 2:
        os.set_inheritable(number, True)
    os.close(number)
    sys.stdin = sys.stdin or os.fdopen(0)
    sys.stdout = sys.stdout or os.fdopen(1, "w")
    sys.stderr = sys.stderr or os.fdopen(2, "w")


def _drop_output() -> None:
    """So that the interpreter does not fail once more at its end."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
