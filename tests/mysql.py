"""A real MariaDB or MySQL of our own for the tests that need one: temporary data, a socket, no network."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

PLACES = os.pathsep.join(
    (os.environ.get("PATH", ""), "/usr/sbin", "/usr/local/sbin", "/usr/libexec", "/opt/mysql/bin")
)
START_SECONDS = 60


def program(*names: str) -> str | None:
    return next((found for name in names if (found := shutil.which(name, path=PLACES))), None)


@pytest.fixture(scope="session")
def mysql_socket() -> Iterator[Path]:
    """The socket of a running server; skips where there is none to run."""
    server = program("mariadbd", "mysqld")
    if server is None:
        pytest.skip("no MariaDB or MySQL server on this machine (package mariadb-server)")
    with tempfile.TemporaryDirectory(prefix="dpe-mysql-") as home:
        place = Path(home)
        started = start(server, place)
        try:
            wait(place / "s", started)
            yield place / "s"
        finally:
            started.terminate()
            started.wait(30)


def start(server: str, place: Path) -> subprocess.Popen[bytes]:
    data = place / "data"
    data.mkdir()
    user = "mysql" if os.geteuid() == 0 else None  # neither server runs as root
    if user:
        for path in (place, data):
            shutil.chown(path, user)
    as_user = [f"--user={user}"] if user else []
    installer = program("mariadb-install-db")
    plain = ["--no-defaults", f"--datadir={data}"]
    if installer:
        make = [installer, *plain, *as_user, "--auth-root-authentication-method=normal", "--skip-test-db"]
    else:
        make = [server, *plain, *as_user, "--initialize-insecure"]
    subprocess.run(make, check=True, capture_output=True)
    quick = ["--skip-networking", "--innodb-flush-log-at-trx-commit=0", f"--pid-file={place}/pid"]
    command = [server, *plain, *as_user, *quick, f"--socket={place}/s"]
    return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def wait(path: Path, started: subprocess.Popen[bytes]) -> None:
    until = time.monotonic() + START_SECONDS
    while True:
        with socket.socket(socket.AF_UNIX) as probe:
            if probe.connect_ex(str(path)) == 0:
                return
        if started.poll() is not None or time.monotonic() > until:
            raise AssertionError("the MySQL server does not start")
        time.sleep(0.1)


@pytest.fixture
def mysql(mysql_socket: Path) -> Iterator[Any]:
    """A cursor in an empty database of that server. Databases of the test's own schemas are dropped too."""
    import pymysql

    connection = pymysql.connect(
        unix_socket=str(mysql_socket), user="root", charset="utf8mb4", autocommit=True
    )
    with connection, connection.cursor() as cursor:
        cursor.execute("CREATE DATABASE dpe_test")
        cursor.execute("USE dpe_test")
        yield cursor
        system = {"information_schema", "mysql", "performance_schema", "sys"}
        cursor.execute("SET foreign_key_checks = 0")
        cursor.execute("SHOW DATABASES")
        for (name,) in cursor.fetchall():
            if name not in system:
                cursor.execute("DROP DATABASE `{}`".format(name.replace("`", "``")))
