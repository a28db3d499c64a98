"""Small disks, to be filled."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest

from data_platform.postgres.server import Database, Server

ROOT_ONLY = pytest.mark.skipif(
    not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root may mount a disk"
)


@contextmanager
def mounted(megabytes: int) -> Iterator[Path]:
    """A small disk of its own, where the server's account gets at it."""
    path = Path(tempfile.mkdtemp(prefix="dpe-disk-"))
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={megabytes}m", "tmpfs", str(path)],
        capture_output=True,
        check=False,
    )
    try:
        if done.returncode:
            pytest.skip("this account may not mount a disk")
        yield path
    finally:
        if not done.returncode:
            subprocess.run(["umount", "--lazy", str(path)], check=True)
        path.rmdir()


@contextmanager
def database_on(disk: Path, server: Server, extensions: tuple[str, ...] = ()) -> Iterator[Database]:
    """A database whose tables are on that disk."""
    place = disk / "space"
    with psycopg.connect(server.conninfo, autocommit=True) as admin:
        row = admin.execute("SHOW data_directory").fetchone()
        assert row
        owner = Path(row[0]).stat()
        place.mkdir()
        os.chown(disk, owner.st_uid, owner.st_gid)
        os.chown(place, owner.st_uid, owner.st_gid)
        admin.execute(f"CREATE TABLESPACE small LOCATION '{place}'".encode())
    try:
        with server.scratch_database(extensions=extensions) as database:
            _as_admin(server, f"ALTER DATABASE {database.name} SET TABLESPACE small")
            yield database
    finally:
        _as_admin(server, "DROP TABLESPACE small")


def _as_admin(server: Server, statement: str) -> None:
    """In a session of its own: the server may have been started again in between."""
    with psycopg.connect(server.conninfo, autocommit=True) as admin:
        admin.execute(statement.encode())


def leave(disk: Path, megabytes: float) -> None:
    """So much room on it; `make_room` gives back the rest."""
    free = shutil.disk_usage(disk).free
    (disk / "ballast").write_bytes(b"\0" * (free - round(megabytes * 1024 * 1024)))


def make_room(disk: Path) -> None:
    (disk / "ballast").unlink()
