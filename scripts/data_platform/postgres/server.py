"""Servers to prove things on: a throwaway one of our own, or scratch databases on a live one.

    with open_server(dsn) as server, server.scratch_database() as database:
        psycopg.connect(database.conninfo)

What is run there comes from specs and migrations that nobody vouches for, so it runs as a role without
privileges: `COPY … TO PROGRAM` or `pg_read_file` in a default are refused by PostgreSQL itself.

An embedded server is one directory, `<tmp>/dpe-<uid>/<token>/`, with data, socket, log and owner.lock, and
the processes that carry the token in their command line (in -D, or as cluster_name). Its owner holds the lock
while it lives. Whoever starts or stops a server later and can take the lock knows that the owner was killed,
and clears away what it left.
"""

from __future__ import annotations

import atexit
import ctypes
import os
import re
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path, PurePath
from types import FrameType
from typing import IO

import psycopg
from psycopg import sql
from psycopg.conninfo import make_conninfo

from data_platform.errors import EnvironmentProblem
from data_platform.postgres.binaries import Account, find_programs, locked, own_directory, server_account
from data_platform.postgres.connect import APPLICATION_NAME, connect, redacted, resolve_dsn

if sys.platform != "win32":
    import fcntl

_START_SECONDS = 60.0
_STOP_SECONDS = 10.0  # PostgreSQL itself kills what did not follow SIGQUIT within 5 s
_SOCKET_PATH_BYTES = 100  # the systems' limits are 108 and 104

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
    "listen_addresses": "",
    "timezone": "UTC",
    "log_timezone": "UTC",
}

_RIGHTS = """
SELECT current_user, me.rolsuper, me.rolcreatedb, me.rolcreaterole,
       EXISTS (SELECT FROM pg_roles other
                WHERE (other.rolsuper OR other.rolcreaterole OR other.rolname IN
                       ('pg_execute_server_program', 'pg_read_server_files', 'pg_write_server_files'))
                  AND pg_has_role(current_user, other.oid, 'MEMBER'))
  FROM pg_roles me WHERE me.rolname = current_user
"""


@dataclass(frozen=True)
class Database:
    """A scratch database, empty but for its extensions, owned by a role without privileges.

    `conninfo` logs in as that owner and is the one to run specs with. `admin_conninfo` is the same database
    as the role that made it: run nothing there that came from a spec, and name schemas in full.
    """

    name: str
    conninfo: str
    admin_conninfo: str


@dataclass(frozen=True)
class Server:
    """A running PostgreSQL; `conninfo` is its maintenance database as a role that may create databases."""

    conninfo: str
    version: str
    version_num: int
    embedded: bool

    def describe(self) -> str:
        """For reports: what the numbers were measured on."""
        if not self.embedded:
            return f"PostgreSQL {self.version} (live server)"
        cores = len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count()
        return f"PostgreSQL {self.version} (embedded), {cores} cores"

    @contextmanager
    def scratch_database(self, *, extensions: Sequence[str] = ()) -> Iterator[Database]:
        """A new database, dropped with all sessions in it when the block ends, however it ends.

        If our role may create roles, a temporary one owns the database (login valid for a day) and is
        dropped with it. If not, our role owns it, and untrusted SQL is kept from the server's files and
        programs but not from other databases of that role. A process killed by SIGKILL leaves database and
        role on a live server; both are called dpe_ and 16 hexadecimal digits.
        Raises EnvironmentProblem when one of these cannot be made; what the block raises passes unchanged.
        """
        name = f"dpe_{secrets.token_hex(8)}"
        with _afterwards(partial(_drop_scratch, self, name)):
            yield _create_scratch(self, name, extensions)


def available_extensions(server: Server) -> Mapping[str, str]:
    """Extensions that could be created on this server, with their default versions."""
    query = "SELECT name, coalesce(default_version, '') FROM pg_available_extensions ORDER BY name"
    with connect(server.conninfo, read_only=True) as connection:
        return dict(connection.execute(query).fetchall())


@contextmanager
def open_server(dsn: str | None) -> Iterator[Server]:
    """The live server that `dsn` names (see `resolve_dsn`), or an embedded one when it is None.

    A live server is never stopped; nothing is changed on it but scratch databases and their roles.
    Raises UsageProblem or EnvironmentProblem, the latter also when the role lacks or has too many privileges.
    """
    if dsn is None:
        with embedded_server() as server:
            yield server
    else:
        yield _live_server(make_conninfo(resolve_dsn(dsn), application_name=APPLICATION_NAME))


@contextmanager
def embedded_server(*, settings: Mapping[str, str] | None = None) -> Iterator[Server]:
    """A PostgreSQL of our own, reached by a Unix socket only, stopped and removed when the block ends.

    `settings` go before ours, which are for speed and repeatable proofs, not for keeping data (fsync is off).
    For logical decoding set wal_level and max_wal_senders; statistics come from ANALYZE only.
    Raises EnvironmentProblem: no package, no permission, a full disk, a setting that PostgreSQL refuses.
    """
    if sys.platform == "win32":
        raise EnvironmentProblem(
            "the embedded PostgreSQL needs Unix sockets, which Windows does not have for it",
            try_="give a server with --dsn, or run this inside WSL",
        )
    with _environment_problems():
        account = server_account()
        programs = find_programs(account)
        base = _base(account)
        _clear_abandoned(base)
        run = _claim(base)
    with _afterwards(partial(_discard_and_clear, run)):
        with _environment_problems():
            server = _start(run, programs, account, settings or {})
        yield server


# --- one run: a directory, a lock, processes ---


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
    def log(self) -> Path:
        return self.path / "log"


def _base(account: Account) -> Path:
    """Our directory for runs, where the account can enter and libpq can reach a socket."""
    for temporary in (Path(tempfile.gettempdir()), Path("/tmp")):  # noqa: S108 -- own_directory checks it
        base = temporary / f"dpe-{os.geteuid()}"
        socket = os.fsencode(base / _new_token() / "socket/.s.PGSQL.5432")
        reachable = len(socket) < _SOCKET_PATH_BYTES and b"," not in socket  # a comma parts hosts for libpq
        if reachable and account.can_traverse(temporary):
            return own_directory(base, mode=0o700 if account.uid is None else 0o711)
    raise EnvironmentProblem("no directory for temporary files that PostgreSQL can use", where="/tmp")  # noqa: S108


def _new_token() -> str:
    return secrets.token_hex(6)


def _claim(base: Path) -> _Run:
    path = base / _new_token()
    with _uninterrupted(), locked(base):  # nobody looks for abandoned runs before our lock is held
        path.mkdir()
        path.chmod(base.stat().st_mode & 0o777)  # whatever the umask
        lock = (path / "owner.lock").open("w")
        fcntl.flock(lock, fcntl.LOCK_EX)
    return _Run(path, lock)


def _clear_abandoned(base: Path) -> None:
    for run in _abandoned(base):
        with _uninterrupted():
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


# --- start ---


def _start(run: _Run, programs: Path, account: Account, settings: Mapping[str, str]) -> Server:
    for directory in (run.data, run.socket):
        directory.mkdir(mode=0o700)
        account.own(directory)
    fixed = {
        "cluster_name": run.token,
        "unix_socket_directories": '"{}"'.format(str(run.socket).replace('"', '""')),
    }
    options = [f"--set={name}={value}" for name, value in {**_SETTINGS, **settings, **fixed}.items()]
    locale = ["--encoding=UTF8", "--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8"]
    access = ["--username=postgres", "--auth-local=trust", "--auth-host=reject"]
    # No clean-up of its own: that would hide the number of a shared memory segment which a crash left.
    how = ["--no-sync", "--no-clean", *access, *locale, *options]
    _spawn(run, [programs / "initdb", *how, "-D", run.data], account)
    if run.child and run.child.wait() != 0:
        raise _failed(run, "initdb failed")
    _spawn(run, [programs / "postgres", "-D", run.data], account)
    conninfo = make_conninfo(
        host=str(run.socket), port=5432, user="postgres", dbname="postgres", application_name=APPLICATION_NAME
    )
    return _wait_until_ready(run, conninfo)


def _spawn(run: _Run, command: Sequence[str | Path], account: Account) -> None:
    """Start a program in a session of its own, so that a Ctrl-C for us does not reach it before us."""
    kept = {name: os.environ[name] for name in ("PATH", "LD_LIBRARY_PATH") if name in os.environ}
    with run.log.open("ab") as log, _uninterrupted():
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


def _wait_until_ready(run: _Run, conninfo: str) -> Server:
    answer: psycopg.Error | None = None
    deadline = time.monotonic() + _START_SECONDS
    while time.monotonic() < deadline:
        if run.child and run.child.poll() is not None:
            raise _failed(run, "the embedded PostgreSQL did not start")
        try:
            with psycopg.connect(conninfo) as connection:
                return _described(connection, conninfo, embedded=True)
        except psycopg.OperationalError as error:
            answer = error
            time.sleep(0.01)
    raise _failed(run, f"the embedded PostgreSQL did not start within {_START_SECONDS:.0f} s ({answer})")


def _described(connection: psycopg.Connection, conninfo: str, *, embedded: bool) -> Server:
    """Version "18.6", without the packager's remarks that may follow it."""
    version = (connection.info.parameter_status("server_version") or "").split(" ")[0]
    return Server(conninfo, version, connection.info.server_version, embedded)


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


# --- stop ---


@contextmanager
def _afterwards(cleanup: Callable[[], None]) -> Iterator[None]:
    """Call `cleanup` once: when the block ends, however it ends, or else when the interpreter does."""
    owner = os.getpid()

    def once() -> None:
        if os.getpid() == owner:  # a fork of us leaves the block too, but what we made is not its own
            with _uninterrupted():
                atexit.unregister(once)
                cleanup()

    atexit.register(once)
    try:
        yield
    finally:
        once()


@contextmanager
def _uninterrupted() -> Iterator[None]:
    """Hold back Ctrl-C and SIGTERM until the block is done, then let the first of them act."""
    if threading.current_thread() is not threading.main_thread():  # only there Python acts on signals
        yield
        return
    held: list[int] = []

    def hold(number: int, _frame: FrameType | None) -> None:
        held.append(number)

    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    for number in before:
        signal.signal(number, hold)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler or signal.SIG_DFL)
        if held:
            signal.raise_signal(held[0])


def _kill(token: str) -> None:
    """End all processes of a run: by SIGQUIT, at which it frees its shared memory, at last by SIGKILL."""
    for number in (signal.SIGQUIT, signal.SIGKILL):
        for pid in _processes(token):
            with suppress(ProcessLookupError):
                os.kill(pid, number)
        deadline = time.monotonic() + _STOP_SECONDS
        while _processes(token):
            if time.monotonic() > deadline:
                break
            time.sleep(0.01)
        else:
            return


def _processes(token: str) -> list[int]:
    """PostgreSQL's processes with this token in their command line (a pid in a file may be another's now)."""
    return [pid for pid, command in _commands() if token in command and _is_postgres(command)]


def _is_postgres(command: str) -> bool:
    program = re.split("\0| -D | --no-sync", command, maxsplit=1)[0]  # ps shows no NUL between arguments
    return program.startswith("postgres:") or PurePath(program).name in {"postgres", "initdb"}


def _commands() -> Iterator[tuple[int, str]]:
    """All processes' ids and command lines; a zombie has none."""
    if not Path("/proc/self/cmdline").exists():  # macOS
        listing = subprocess.check_output(["/bin/ps", "-Aww", "-o", "pid=,command="], text=True)
        for line in listing.splitlines():
            pid, _, command = line.strip().partition(" ")
            yield int(pid), command
        return
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with suppress(OSError):  # ended meanwhile
                yield int(entry.name), (entry / "cmdline").read_bytes().decode(errors="replace")


def _remove_shared_memory(pid_file: Path) -> None:
    """Remove a killed server's System V segment; one that stopped by itself left neither it nor the file."""
    try:
        key, segment = (int(word) for word in pid_file.read_text().split("\n")[6].split())
    except (OSError, ValueError, IndexError):
        return
    libc = ctypes.CDLL(None)
    if libc.shmget(ctypes.c_int(key), 0, 0) == segment:  # else the id is another's by now
        libc.shmctl(segment, 0, None)  # 0 is IPC_RMID


# --- scratch databases ---


@dataclass(frozen=True)
class _Rights:
    """What a session's role may do; `member_of_privileged`: it can become one that may do more."""

    user: str
    is_superuser: bool
    creates_databases: bool
    creates_roles: bool
    member_of_privileged: bool

    @property
    def makes_owner(self) -> bool:
        return self.is_superuser or self.creates_roles


def _live_server(conninfo: str) -> Server:
    with connect(conninfo, read_only=False) as connection:
        _checked_rights(connection, conninfo)
        return _described(connection, conninfo, embedded=False)


def _checked_rights(connection: psycopg.Connection, conninfo: str) -> _Rights:
    row = connection.execute(_RIGHTS).fetchone()
    rights = _Rights(*row)  # type: ignore[misc]  # the query gives one row with just these columns
    role = sql.Identifier(rights.user).as_string()
    if not (rights.is_superuser or rights.creates_databases):
        raise EnvironmentProblem(
            f"role {role} may not create databases",
            where=redacted(conninfo),
            expected="the privilege CREATEDB, for scratch databases",
            try_=f"ALTER ROLE {role} CREATEDB;  -- as a superuser, on a server that is not production",
        )
    if rights.member_of_privileged and not rights.makes_owner:
        raise EnvironmentProblem(
            f"role {role} is a member of a role with wide privileges, which untrusted SQL could use",
            where=redacted(conninfo),
            expected="a role with CREATEDB that is not in one with SUPERUSER, CREATEROLE or pg_*_server_*",
            try_="CREATE ROLE dpe LOGIN CREATEDB;  -- and give its --dsn",
        )
    return rights


def _create_scratch(server: Server, name: str, extensions: Sequence[str]) -> Database:
    admin_conninfo = make_conninfo(server.conninfo, dbname=name)
    try:
        with connect(server.conninfo, read_only=False) as admin:
            rights = _checked_rights(admin, server.conninfo)
            password = _create_owner(admin, name, rights) if rights.makes_owner else None
            statement = "CREATE DATABASE {} OWNER {} TEMPLATE template0 ENCODING 'UTF8'"
            owner = name if rights.makes_owner else rights.user
            admin.execute(sql.SQL(statement).format(sql.Identifier(name), sql.Identifier(owner)))
        _create_extensions(admin_conninfo, extensions)
    except psycopg.Error as error:
        raise EnvironmentProblem(
            f"cannot make a scratch database: {error}",
            where=redacted(server.conninfo),
            try_="give a role that may, or leave out --dsn for an embedded server",
        ) from error
    if password is None:
        return Database(name, admin_conninfo, admin_conninfo)
    return Database(name, _login(admin_conninfo, name, password), admin_conninfo)


def _create_owner(admin: psycopg.Connection, name: str, rights: _Rights) -> str:
    """Make the role and give its password, which the server sees as a hash only and so cannot log."""
    password = secrets.token_urlsafe(24)
    hashed = admin.pgconn.encrypt_password(password.encode(), name.encode()).decode()
    role = sql.Identifier(name)
    tomorrow = datetime.now(UTC) + timedelta(days=1)  # a role that a killed process left is of no use then
    statement = "CREATE ROLE {} LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE PASSWORD {} VALID UNTIL {}"
    admin.execute(sql.SQL(statement).format(role, hashed, tomorrow.isoformat()))
    if not rights.is_superuser:  # to make it owner and to end its sessions; from 16 on that must be said
        how = "WITH INHERIT TRUE, SET TRUE" if admin.info.server_version >= 160000 else ""
        admin.execute(sql.SQL("GRANT {} TO CURRENT_USER " + how).format(role))
    return password


def _create_extensions(admin_conninfo: str, extensions: Sequence[str]) -> None:
    if extensions:
        with connect(admin_conninfo, read_only=False) as admin:
            for extension in extensions:
                statement = sql.SQL("CREATE EXTENSION IF NOT EXISTS {} CASCADE")
                admin.execute(statement.format(sql.Identifier(extension)))


def _login(admin_conninfo: str, name: str, password: str) -> str:
    """The owner's conninfo, once it has worked.

    There is no way round by SET ROLE in a privileged session: untrusted SQL could RESET ROLE.
    """
    conninfo = make_conninfo(admin_conninfo, user=name, password=password)
    try:
        connect(conninfo, read_only=False).close()
    except EnvironmentProblem as problem:
        raise EnvironmentProblem(
            f"the temporary role without privileges cannot log in: {problem.what}",
            where=redacted(admin_conninfo),
            expected="password authentication for new roles (pg_hba.conf), without a pooler in between",
            try_="CREATE ROLE dpe LOGIN CREATEDB;  -- and give its --dsn: no temporary role is needed then",
        ) from None
    return conninfo


def _drop_scratch(server: Server, name: str) -> None:
    database = sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name))
    role = sql.SQL("DROP ROLE IF EXISTS {}").format(sql.Identifier(name))
    try:
        with connect(server.conninfo, read_only=False) as admin:
            admin.execute(database)
            # Asked for first: DROP ROLE needs CREATEROLE even when there is none to drop.
            if admin.execute("SELECT FROM pg_roles WHERE rolname = %s", [name]).fetchone() is not None:
                admin.execute(role)
    except (psycopg.Error, EnvironmentProblem) as error:
        if server.embedded:  # it is thrown away as a whole
            return
        raise EnvironmentProblem(
            f"a scratch database could not be dropped: {error}",
            where=redacted(server.conninfo),
            try_=f"{database.as_string()}; {role.as_string()};",
        ) from error
