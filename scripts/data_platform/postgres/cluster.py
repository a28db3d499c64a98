"""Embedded clusters: a PostgreSQL started for one purpose and removed without a trace.

    with running_cluster({}) as conninfo:
        psycopg.connect(conninfo)

One run is one directory, `<tmp>/dpe-<uid>/<token>/`:

    data/        what initdb made; it and the processes belong to the account of `server_account`
    socket/      the only way in
    stubs/       extensions that we write ourselves, where the server finds them before its own (`stub_directory`)
    log          what initdb and postgres said
    password     the superuser's as a hash, for initdb to read; it ends with initdb
    owner.lock   held by the process that started the run, while it lives

and the processes that carry the token in their command line (in -D, or as cluster_name), and one small System V
segment. It goes: claim (directory, lock), start (initdb, postgres, first answer), discard (processes, segment,
directory, lock). Whoever starts or stops a cluster later and can take the lock of another run knows that its
owner was killed, and discards what it left.
"""

from __future__ import annotations

import base64
import ctypes
import hashlib
import hmac
import os
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import IO

import psutil
import psycopg
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from data_platform.errors import EnvironmentProblem
from data_platform.postgres.binaries import (
    NEWEST,
    Account,
    find_programs,
    locked,
    own_directory,
    server_account,
)
from data_platform.postgres.cleanup import afterwards, uninterrupted
from data_platform.postgres.connect import APPLICATION_NAME

if sys.platform != "win32":
    import fcntl

SUPERUSER = "dpe_superuser"
"""Not `postgres`: in most dumps that owns something, and here it has to be a role without privileges."""

_START_SECONDS = 60.0
_STOP_SECONDS = 10.0  # PostgreSQL itself kills what did not follow SIGQUIT within 5 s
_PROGRAMS = ("initdb", "postgres")
_SOCKET_PATH_BYTES = 100  # the systems' limits are 108 and 104

_ROUNDS = 1
"""Of hashing a password. More are for those that can be guessed; ours are 24 random bytes, and 4,096 rounds would be
half of what a connection takes."""

_SETTINGS: Mapping[str, str] = {
    # Nothing outlives the server, so nothing has to reach the disk.
    "fsync": "off",
    "full_page_writes": "off",
    "synchronous_commit": "off",
    "wal_level": "minimal",
    "max_wal_senders": "0",
    # A measurement should repeat: no vacuum or analyze in between that nobody asked for, no compiler at work.
    "autovacuum": "off",
    "jit": "off",
    # Containers often have 64 MB of /dev/shm, and parallel index builds want more. Files took the same time.
    "dynamic_shared_memory_type": "mmap",
    "shared_buffers": "128MB",
    "max_connections": "50",
    # Untrusted SQL may make event triggers, and these would run as whoever else makes something, a superuser too.
    "event_triggers": "off",
    "scram_iterations": str(_ROUNDS),
    "temp_file_limit": "2GB",  # what one session may spill: a join gone wrong must not fill the disk
    "listen_addresses": "",
    "timezone": "UTC",
    "log_timezone": "UTC",
}


_SINCE = {"scram_iterations": 16, "event_triggers": 17, "extension_control_path": 18}
"""Settings that older servers do not know. Without event_triggers, `load.privileged` makes no event trigger of a file.
"""
_BUILTIN_LOCALE = 17


@contextmanager
def running_cluster(settings: Mapping[str, str], major: int = NEWEST) -> Iterator[str]:
    """The conninfo of a new cluster's superuser, with a password: whoever else can reach the socket, even
    untrusted SQL through an extension, does not get in. Stopped and removed when the block ends.

    `settings` go before ours. Raises EnvironmentProblem when it cannot be set up or does not start.
    """
    if sys.platform == "win32":
        raise EnvironmentProblem(
            "the embedded PostgreSQL needs Unix sockets, which Windows does not have for it",
            try_="give a server with --dsn, or run this inside WSL",
        )
    with _environment_problems():
        account = server_account()
        programs = find_programs(account, major=major)
        base = _base(account)
        _clear_abandoned(base)
        run = _claim(base)
    with afterwards(partial(_discard_and_clear, run)):
        with _environment_problems():
            conninfo = _start(run, programs, account, settings, major)
        yield conninfo


def stub_directory(conninfo: str) -> Path | None:
    """Where files of stub extensions go for the cluster behind `conninfo`; None when it is no cluster of ours."""
    socket = Path(str(conninfo_to_dict(conninfo).get("host") or ""))
    stubs = socket.parent / "stubs" / "extension"
    ours = socket.is_absolute() and socket.parent.parent.name == _base_name()
    return stubs if ours and stubs.is_dir() else None


# --- claim ---


@dataclass
class _Run:
    """An embedded server's directory and the lock on it; `child` is the process we started last."""

    path: Path
    lock: IO[str]
    child: subprocess.Popen[bytes] | None = None

    @property
    def token(self) -> str:
        return self.path.name

    @property
    def data(self) -> Path:
        return self.path / "data"

    @property
    def socket(self) -> Path:
        return self.path / "socket"

    @property
    def stubs(self) -> Path:
        return self.path / "stubs"

    @property
    def log(self) -> Path:
        return self.path / "log"


def _base(account: Account) -> Path:
    """Our directory for runs, where the account can enter and libpq can reach a socket."""
    for temporary in (Path(tempfile.gettempdir()), Path("/tmp")):  # noqa: S108 -- own_directory checks it
        base = temporary / _base_name()
        socket = os.fsencode(base / _new_token() / "socket/.s.PGSQL.5432")
        # A comma parts hosts for libpq, a colon directories for PostgreSQL.
        reachable = len(socket) < _SOCKET_PATH_BYTES and not set(b",:") & set(socket)
        if reachable and account.can_traverse(temporary):
            return own_directory(base, mode=0o700 if account.uid is None else 0o711)
    raise EnvironmentProblem("no directory for temporary files that PostgreSQL can use", where="/tmp")  # noqa: S108


def _base_name() -> str:
    return f"dpe-{os.geteuid()}"


def _new_token() -> str:
    return secrets.token_hex(6)


def _claim(base: Path) -> _Run:
    path = base / _new_token()
    with uninterrupted(), locked(base):  # nobody looks for abandoned runs before our lock is held
        path.mkdir()
        path.chmod(base.stat().st_mode & 0o777)  # whatever the umask
        for private in ("owner.lock", "log"):  # the log holds statements, and postgres inherits it open
            (path / private).touch(mode=0o600)
        lock = (path / "owner.lock").open("w")
        fcntl.flock(lock, fcntl.LOCK_EX)
    return _Run(path, lock)


# --- start ---


def _start(run: _Run, programs: Path, account: Account, settings: Mapping[str, str], major: int) -> str:
    for directory in (run.data, run.socket):
        directory.mkdir(mode=0o700)
        account.own(directory)
    _make_readable(run.stubs / "extension")
    fixed = {
        "cluster_name": run.token,
        "unix_socket_directories": '"{}"'.format(str(run.socket).replace('"', '""')),
        "extension_control_path": f"{run.stubs}:$system",
    }
    given = {**_SETTINGS, **settings, **fixed}
    options = [f"--set={name}={value}" for name, value in given.items() if major >= _SINCE.get(name, 0)]
    builtin = ["--locale-provider=builtin", "--builtin-locale=C.UTF-8"] if major >= _BUILTIN_LOCALE else []
    locale = ["--encoding=UTF8", "--locale=C", *builtin]
    password = secrets.token_urlsafe(24)
    password_file = _hand_over(run.path / "password", _hashed(password), account)
    access = [f"--username={SUPERUSER}", f"--pwfile={password_file}", "--auth-local=scram-sha-256"]
    # No clean-up of its own: that would hide the number of a shared memory segment which a crash left.
    how = ["--no-sync", "--no-clean", *access, "--auth-host=reject", *locale, *options]
    _spawn(run, [programs / "initdb", *how, "-D", run.data], account)
    if run.child and run.child.wait() != 0:
        raise _failed(run, "initdb failed")
    password_file.unlink()  # had initdb failed, it would go with the directory
    _spawn(run, [programs / "postgres", "-D", run.data], account)
    conninfo = make_conninfo(
        host=str(run.socket),
        port=5432,
        user=SUPERUSER,
        password=password,
        dbname="postgres",
        application_name=APPLICATION_NAME,
    )
    _wait_until_ready(run, conninfo)
    return conninfo


def _make_readable(directory: Path) -> None:
    """Make a directory and the one it is in, for us to write and the account to read, whatever the umask."""
    for path in (directory.parent, directory):
        path.mkdir()
        path.chmod(0o755)


def _hand_over(path: Path, text: str, account: Account) -> Path:
    """Write to a new file that only the account can read (and root)."""
    path.touch(mode=0o600, exist_ok=False)
    path.write_text(f"{text}\n")
    account.own(path)
    return path


def _hashed(password: str) -> str:
    """As PostgreSQL keeps it (RFC 5803): initdb takes that too, and so no log can hold the password itself."""
    salt = secrets.token_bytes(16)
    salted = hashlib.pbkdf2_hmac("sha256", password.encode(), salt, _ROUNDS)
    stored = hashlib.sha256(hmac.digest(salted, b"Client Key", "sha256")).digest()
    server = hmac.digest(salted, b"Server Key", "sha256")
    parts = (base64.b64encode(part).decode() for part in (salt, stored, server))
    return "SCRAM-SHA-256${}:{}${}:{}".format(_ROUNDS, *parts)


def _spawn(run: _Run, command: Sequence[str | Path], account: Account) -> None:
    """Start a program in a session of its own, so that a Ctrl-C for us does not reach it before us."""
    kept = {name: os.environ[name] for name in ("PATH", "LD_LIBRARY_PATH") if name in os.environ}
    with run.log.open("ab") as log, uninterrupted():
        run.child = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            cwd=run.path,
            env={**kept, "LC_ALL": "C", "TZ": "UTC"},  # and nothing of ours: no secrets, no PG variables
            start_new_session=True,
            **account.popen(),
        )


def _wait_until_ready(run: _Run, conninfo: str) -> None:
    answer: psycopg.Error | None = None
    deadline = time.monotonic() + _START_SECONDS
    while time.monotonic() < deadline:
        if run.child and run.child.poll() is not None:
            raise _failed(run, "the embedded PostgreSQL did not start")
        try:
            psycopg.connect(conninfo).close()
            return
        except psycopg.OperationalError as error:
            answer = error
            time.sleep(0.01)
    raise _failed(run, f"the embedded PostgreSQL did not start within {_START_SECONDS:.0f} s ({answer})")


def _failed(run: _Run, what: str) -> EnvironmentProblem:
    lines = run.log.read_text(errors="replace").split("\n")
    last = [line for line in lines if line.strip()][-8:]
    return EnvironmentProblem(
        "\n".join([f"{what}; its last words:", *(f"    {line}" for line in last)]),
        where=str(run.path),
        try_="do what it says is missing, set TMPDIR to another disk, or give a server with --dsn",
    )


@contextmanager
def _environment_problems() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise EnvironmentProblem(
            f"the embedded PostgreSQL cannot be set up: {error.strerror or error}",
            where=str(error.filename) if error.filename else None,
            try_="set TMPDIR to a disk with space that you may write to, or give a server with --dsn",
        ) from error


# --- discard ---


def _clear_abandoned(base: Path) -> None:
    for run in _abandoned(base):
        with uninterrupted():
            _discard(run)


def _abandoned(base: Path) -> list[_Run]:
    """Runs whose lock we got, so that their owner is dead; no other process will get it now."""
    runs = []
    with locked(base):
        for path in base.iterdir():
            try:
                lock = (path / "owner.lock").open("a")
            except OSError:  # not a run, or gone meanwhile
                continue
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                runs.append(_Run(path, lock))
            except BlockingIOError:
                lock.close()
    return runs


def _discard_and_clear(run: _Run) -> None:
    _discard(run)
    with suppress(OSError):  # ours is gone; what others left can wait for the next start
        _clear_abandoned(run.path.parent)


def _discard(run: _Run) -> None:
    """Leave nothing of a run: processes, shared memory, directory; the lock goes last."""
    _kill(run.token)
    if run.child:
        if run.child.returncode is None:
            with suppress(ProcessLookupError):  # what initdb started carries no token, but is in its group
                os.killpg(run.child.pid, signal.SIGKILL)
        run.child.wait()
    _remove_shared_memory(run.data / "postmaster.pid")
    for directory in (run.data, run.socket):
        shutil.rmtree(directory, ignore_errors=True)
    with suppress(FileNotFoundError), locked(run.path.parent):  # a cleaner of /tmp may have been here
        shutil.rmtree(run.path, ignore_errors=True)
    run.lock.close()


def _kill(token: str) -> None:
    """End all processes of a run: by SIGQUIT, at which it frees its shared memory, at last by SIGKILL."""
    for number in (signal.SIGQUIT, signal.SIGKILL):
        for process in _processes(token):
            with suppress(psutil.NoSuchProcess):
                process.send_signal(number)
        deadline = time.monotonic() + _STOP_SECONDS
        while _processes(token):
            if time.monotonic() > deadline:
                break
            time.sleep(0.01)
        else:
            return


def _processes(token: str) -> list[psutil.Process]:
    """PostgreSQL's processes with this token in their command line (a pid in a file may be another's now)."""
    found = []
    for pid in psutil.pids():
        with suppress(psutil.Error):  # ended meanwhile, or another user's
            process = psutil.Process(pid)
            if process.name() in _PROGRAMS and any(token in word for word in process.cmdline()):
                found.append(process)
    return found


def _remove_shared_memory(pid_file: Path) -> None:
    """Remove a killed server's System V segment; one that stopped by itself left neither it nor the file.

    By libc itself: psutil knows no segments, and `ipcrm` is not on every machine.
    """
    try:
        key, segment = (int(word) for word in pid_file.read_text().split("\n")[6].split())
    except (OSError, ValueError, IndexError):
        return
    libc = ctypes.CDLL(None)
    if libc.shmget(ctypes.c_int(key), 0, 0) == segment:  # else the id is another's by now
        libc.shmctl(segment, 0, None)  # 0 is IPC_RMID
