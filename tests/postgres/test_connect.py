"""How a server is named, and what a session with limits refuses."""

from __future__ import annotations

import socket
import struct
import tempfile
import threading
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from data_platform.errors import EnvironmentProblem, Problem, UsageProblem
from data_platform.postgres.connect import connect, redacted, resolve_dsn
from data_platform.postgres.server import Database, Server

SECRET = "s3cr3t-of-the-house"
URL = f"postgresql://ann:{SECRET}@db.example:5433/shop?sslmode=require"


class TestResolveDsn:
    def test_url(self) -> None:
        given = {"user": "ann", "password": SECRET, "host": "db.example", "port": "5433", "dbname": "shop"}
        assert conninfo_to_dict(resolve_dsn(URL)) == {**given, "sslmode": "require"}

    @pytest.mark.parametrize("value", [URL, f" {URL}\n", f"host=db.example password='{SECRET}'"])
    def test_environment(self, monkeypatch: pytest.MonkeyPatch, value: str) -> None:
        monkeypatch.setenv("SHOP", value)
        found = conninfo_to_dict(resolve_dsn("env:SHOP"))
        assert (found["host"], found["password"]) == ("db.example", SECRET)

    @pytest.mark.parametrize("value", [None, "", "  "])
    def test_missing_variable_is_named(self, monkeypatch: pytest.MonkeyPatch, value: str | None) -> None:
        monkeypatch.delenv("SHOP", raising=False)
        if value is not None:
            monkeypatch.setenv("SHOP", value)
        with pytest.raises(UsageProblem, match="environment variable SHOP is not set"):
            resolve_dsn("env:SHOP")

    def test_service_file(self, server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        file = tmp_path / "services"
        given = conninfo_to_dict(server.conninfo)
        file.write_text(
            f"[proofs]\nhost={given['host']}\npassword={given['password']}\nuser={given['user']}\ndbname=postgres\n"
        )
        monkeypatch.setenv("PGSERVICEFILE", str(file))
        with connect(resolve_dsn("service:proofs"), read_only=True) as connection:
            assert connection.info.user == given["user"]
        with pytest.raises(EnvironmentProblem, match='definition of service "nothing" not found'):
            connect(resolve_dsn("service:nothing"), read_only=True)

    @pytest.mark.parametrize(
        "text",
        [
            "",
            "env:",
            "service:",
            "mysql://db.example/shop",
            f"host=db.example password={SECRET}",
            f"postgresql://ann:{SECRET}@[db.example/shop",
            f"postgresql://ann:{SECRET}@db.example/shop?{SECRET}={SECRET}",
            f"postgresql://ann:a/{SECRET}@db.example/shop",
            f"postgresql://ann:{SECRET}/a@db.example/shop",
            f"postgresql://ann:{SECRET}/a",
            f"postgresql://ann:a@{SECRET}@db.example/shop",
            f"env:postgresql://db.example/shop?password={SECRET}",
            f"service:x password={SECRET}",
        ],
    )
    def test_what_is_no_address_is_not_repeated(self, text: str) -> None:
        with pytest.raises(UsageProblem) as caught:
            resolve_dsn(text)
        assert SECRET not in "".join(traceback.format_exception(caught.value))
        assert "service:NAME" in str(caught.value)

    def test_a_torn_password_in_a_variable_is_not_repeated(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("SHOP", f"postgresql://ann:a/{SECRET}@db.example/shop")
        with pytest.raises(UsageProblem, match="percent-encode") as caught:
            resolve_dsn("env:SHOP")
        assert SECRET not in str(caught.value)

    def test_an_encoded_password_and_many_hosts(self) -> None:
        given = conninfo_to_dict(resolve_dsn("postgresql://ann:a%2F%40b@one:5432,two:5433/shop"))
        assert (given["password"], given["host"], given["port"]) == ("a/@b", "one,two", "5432,5433")


class TestRedacted:
    def test_shows_the_address_only(self) -> None:
        shown = redacted(make_conninfo(URL, options="-c secret.key=1", sslpassword=SECRET))
        assert shown == "user=ann host=db.example port=5433 dbname=shop"

    @pytest.mark.parametrize(
        ("conninfo", "shown"),
        [
            ("service=proofs", "service=proofs"),
            ("", "(libpq's defaults)"),
            (f"passwort={SECRET}", "(an address that cannot be read)"),
        ],
    )
    def test_what_has_no_address(self, conninfo: str, shown: str) -> None:
        assert redacted(conninfo) == shown


@pytest.fixture(scope="class")
def shared(server: Server) -> Iterator[Database]:
    """A database for the whole class: a test that writes says into which table."""
    with server.scratch_database() as database:
        yield database


class TestConnect:
    def test_read_only_refuses_a_write(self, shared: Database) -> None:
        with connect(shared.conninfo, read_only=True) as connection:
            with pytest.raises(psycopg.errors.ReadOnlySqlTransaction):
                connection.execute("CREATE TABLE refused (id int)")
            assert connection.execute("SELECT 1").fetchone() == (1,)

    @pytest.mark.parametrize("autocommit", [True, False])
    def test_writes_when_asked(self, shared: Database, autocommit: bool) -> None:
        table = f"written_{autocommit}"
        with connect(shared.conninfo, read_only=False, autocommit=autocommit) as connection:
            connection.execute(f"CREATE TABLE {table} (id int)")
        with connect(shared.conninfo, read_only=True) as connection:
            assert connection.execute(f"SELECT count(*) FROM {table}").fetchone() == (0,)

    def test_limits_come_on_top_of_given_options(self, shared: Database) -> None:
        given = make_conninfo(shared.conninfo, options="-c work_mem=5MB", application_name="")
        with connect(given, read_only=True, statement_timeout_ms=50, lock_timeout_ms=40) as connection:
            shown = [connection.execute(f"SHOW {name}").fetchone() for name in ("work_mem", "lock_timeout")]
            assert shown == [("5MB",), ("40ms",)]
            with pytest.raises(psycopg.errors.QueryCanceled):
                connection.execute("SELECT pg_sleep(5)")

    def test_is_named(self, server: Server) -> None:
        bare = make_conninfo(
            "", **{k: v for k, v in conninfo_to_dict(server.conninfo).items() if k != "application_name"}
        )
        with connect(bare, read_only=True) as connection:
            assert connection.info.parameter_status("application_name") == "dpe"

    def test_failure_tells_where_without_the_password(self) -> None:
        with pytest.raises(Problem) as caught:
            connect(f"host=/nonexistent user=ann password={SECRET} dbname={SECRET}2", read_only=True)
        assert caught.value.exit_code == 6
        assert "/nonexistent" in str(caught.value)
        assert f"password={SECRET}" not in "".join(traceback.format_exception(caught.value))

    def test_a_pooler_that_drops_options_is_noticed(self, server: Server) -> None:
        with dropping_options(server) as through, pytest.raises(EnvironmentProblem, match="not read-only"):
            connect(through, read_only=True)


@contextmanager
def dropping_options(server: Server) -> Iterator[str]:
    """A pooler for one session that ignores start-up options, as PgBouncer may be told to."""
    target = conninfo_to_dict(server.conninfo)["host"]
    with tempfile.TemporaryDirectory(dir="/tmp") as directory, socket.socket(socket.AF_UNIX) as listener:
        listener.bind(f"{directory}/.s.PGSQL.5432")
        listener.listen()

        def serve() -> None:
            with listener.accept()[0] as client, socket.socket(socket.AF_UNIX) as upstream:
                upstream.connect(f"{target}/.s.PGSQL.5432")
                words = client.recv(65536)[8:].split(b"\0")
                pairs = [
                    p for p in zip(words[::2], words[1::2], strict=False) if p[0] not in (b"options", b"")
                ]
                body = struct.pack("!I", 196608) + b"".join(b"%s\0%s\0" % pair for pair in pairs) + b"\0"
                upstream.sendall(struct.pack("!I", len(body) + 4) + body)
                while answer := upstream.recv(65536):  # each is small: a challenge, or parameters and ready
                    client.sendall(answer)
                    upstream.sendall(client.recv(65536))

        thread = threading.Thread(target=serve)
        thread.start()
        yield make_conninfo(server.conninfo, host=directory)
        thread.join()
