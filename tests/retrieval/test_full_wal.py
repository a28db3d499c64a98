"""The disk of the server's log (WAL) fills up in a load: the server stops. That is said, nothing is half done, and room
and a start of the server are all that it takes.
"""

from __future__ import annotations

import json
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from pathlib import Path

import psutil
import psycopg
import pytest

from data_platform.cli import main
from data_platform.postgres.server import Database, Server, embedded_server
from disks import ROOT_ONLY, database_on, leave, make_room, mounted
from retrieval.test_full_disk import DOCUMENTS, LOAD, project, searched, whole

__all__ = ["project"]

pytestmark = ROOT_ONLY

SEGMENT = 16 * 1024 * 1024
LEFT = """
SELECT count(*) FILTER (WHERE name > pg_walfile_name(pg_current_wal_lsn())), (pg_current_wal_lsn() - '0/0') %% %s
FROM pg_ls_waldir() WHERE name ~ '^[0-9A-F]+$'
"""


class Postmaster:
    """The server's first process, to be started again once it has ended."""

    def __init__(self, server: Server) -> None:
        with psycopg.connect(server.conninfo) as connection:
            row = connection.execute("SHOW data_directory").fetchone()
        assert row
        self.conninfo, self.data = server.conninfo, Path(row[0])
        self.first = psutil.Process(int((self.data / "postmaster.pid").read_text().split()[0]))
        self.command = self.first.cmdline()
        self.second: subprocess.Popen[bytes] | None = None

    def wait(self) -> None:
        """Until it answers, by itself or started again."""
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline:
            if not self.second and not self.alive():
                self.start()
            with suppress(psycopg.OperationalError):
                psycopg.connect(self.conninfo).close()
                return
            time.sleep(0.05)

    def alive(self) -> bool:
        return self.first.is_running() and self.first.status() != psutil.STATUS_ZOMBIE

    def start(self) -> None:
        owner = self.data.stat()
        account = {"user": owner.st_uid, "group": owner.st_gid, "extra_groups": ()}
        with (self.data.parent / "log").open("ab") as log:
            where = {"cwd": self.data.parent, "env": {"LC_ALL": "C"}, "stdout": log, "stderr": log}
            self.second = subprocess.Popen(self.command, **where, **account)

    def stop(self) -> None:
        if self.second:
            self.second.send_signal(signal.SIGINT)
            self.second.wait(timeout=20)


@pytest.fixture
def disk() -> Iterator[Path]:
    """Of the whole data directory, with the log."""
    with mounted(300) as path:
        yield path


@pytest.fixture
def apart(disk: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    """A server of its own there, which takes nothing of its log away."""
    with ExitStack() as stack:
        with monkeypatch.context() as patched:
            patched.setattr(tempfile, "tempdir", str(disk))
            settings = {"max_wal_size": "10GB", "checkpoint_timeout": "1h"}
            server = stack.enter_context(embedded_server(settings=settings))
        yield server


@pytest.fixture
def postmaster(apart: Server) -> Iterator[Postmaster]:
    found = Postmaster(apart)
    yield found
    found.stop()


@pytest.fixture
def small(apart: Server, postmaster: Postmaster) -> Iterator[Database]:
    """Its tables are elsewhere, so that the log alone fills the disk."""
    with mounted(200) as elsewhere, database_on(elsewhere, apart, ("vector",)) as database:
        yield database


def use_up(server: Server) -> None:
    """All files of the log but the end of the last one: a load needs another."""
    with psycopg.connect(server.conninfo, autocommit=True) as admin:
        while True:
            row = admin.execute(LEFT, [SEGMENT]).fetchone()
            assert row
            if not row[0] and row[1] > SEGMENT - 5_000_000:
                return
            admin.execute("SELECT pg_logical_emit_message(true, 'test', repeat('x', 500000))")


def test_the_server_stops_and_what_was_committed_is_kept(
    project: Path,
    small: Database,
    apart: Server,
    postmaster: Postmaster,
    disk: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    use_up(apart)
    leave(disk, 4)
    assert main(list(LOAD)) == 6
    said = capsys.readouterr().err
    # The server's last words may reach us, or not any more, or its end falls between two sessions.
    assert any(
        one in said for one in ("the server's disk is full: ", "the server broke off: ", "cannot connect")
    )
    make_room(disk)
    postmaster.wait()
    documents, complete = whole(small)
    assert documents == complete < DOCUMENTS
    assert main([*LOAD, "--json"]) == 0
    done = json.loads(capsys.readouterr().out)["result"]
    assert (done["new"], done["unchanged"]) == (DOCUMENTS - documents, documents)
    assert whole(small) == (DOCUMENTS, DOCUMENTS)
    assert searched(small) == [True, True]
