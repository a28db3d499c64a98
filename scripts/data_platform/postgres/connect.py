"""Ways to name a server (`--dsn`), and sessions with limits on it.

resolve_dsn("env:DATABASE_URL")  → conninfo    what the user typed, as libpq wants it
connect(conninfo, read_only=True) → Connection  a session that cannot write and cannot wait for ever
redacted(conninfo)               → text        the same address for people, without secrets
"""

from __future__ import annotations

import os
import re
from typing import Any

import psycopg
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from data_platform.errors import EnvironmentProblem, UsageProblem

APPLICATION_NAME = "dpe"

_FORMS = "postgresql://user@host:port/dbname, env:NAME or service:NAME"
_URL_PREFIXES = ("postgresql://", "postgres://")
LIVE = (*_URL_PREFIXES, "env:", "service:")
"""How a `--dsn` begins."""
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]*")
_REFUSED = re.compile(
    "authentication failed|no password|does not exist|no pg_hba.conf entry|permission denied|support SSL|certificate"
)
"""What a server, or libpq, says of an address that is as wrong the next time. No SQLSTATE comes with it."""
_SHOWN = ("service", "user", "host", "hostaddr", "port", "dbname")


class Unreachable(EnvironmentProblem):
    """No session for a reason that may pass: the server starts, is full, or is not there."""


def resolve_dsn(text: str) -> str:
    """A user's `--dsn` as a psycopg conninfo; `env:NAME` may hold a URL or `key=value` pairs.

    Does not connect, so a service is looked up only by `connect`.
    Raises UsageProblem, which never repeats the text since it may hold a password.
    """
    kind, _, name = text.partition(":")
    if kind in ("service", "env") and not _NAME.fullmatch(name):
        raise UsageProblem(f"what follows {kind}: is no name", where="--dsn", expected=_FORMS)
    if kind == "service":
        return make_conninfo(service=name)
    if kind == "env":
        value = os.environ.get(name, "").strip()
        if not value:
            raise UsageProblem(f"environment variable {name} is not set, or is empty", where=f"--dsn {text}")
        return _parsed(value, where=f"environment variable {name}")
    if text.startswith(_URL_PREFIXES):
        return _parsed(text, where="--dsn")
    raise UsageProblem("this is no address of a server", where="--dsn", expected=_FORMS)


def shown(dsn: str) -> str:
    """A `--dsn` for the command that repeats this one: a URL may hold a password, the other forms say where it is."""
    return "env:NAME" if dsn.startswith(_URL_PREFIXES) else dsn


def redacted(conninfo: str) -> str:
    """Where a conninfo points, as `user=… host=… dbname=…`: no password, no key, no options."""
    try:
        given: dict[str, Any] = conninfo_to_dict(conninfo)
    except psycopg.Error:
        return "(an address that cannot be read)"
    return make_conninfo(**{key: given[key] for key in _SHOWN if given.get(key)}) or "(libpq's defaults)"


def address_of(conninfo: str) -> tuple[str, str, str]:
    """Host, port and database of a conninfo, as they are named in lineage: no user, no password."""
    given = _dict(conninfo, where="connection")
    host = str(given.get("host") or given.get("hostaddr") or given.get("service") or "localhost")
    database = str(given.get("dbname") or "")
    return ("localhost" if host.startswith("/") else host), str(given.get("port") or 5432), database


def connect(
    conninfo: str,
    *,
    read_only: bool,
    statement_timeout_ms: int = 60_000,
    lock_timeout_ms: int = 2_000,
    autocommit: bool = True,
) -> psycopg.Connection:
    """A session named `dpe` with these limits (milliseconds; 0 is no limit), read-only if asked.

    The limits are set as the session starts: a SET afterwards would leak to other clients of a pooler.
    A pooler that drops them is noticed and refused (from PostgreSQL 14 on a server reports what it set).
    Raises EnvironmentProblem, without the password, when there is no such session to be had; Unreachable where there
    may be one later.
    """
    limits = {
        "default_transaction_read_only": "on" if read_only else "off",
        "statement_timeout": str(statement_timeout_ms),
        "lock_timeout": str(lock_timeout_ms),
    }
    connection = _open(_with_limits(conninfo, limits), autocommit=autocommit)
    if read_only and connection.info.parameter_status("default_transaction_read_only") != "on":
        connection.close()
        raise EnvironmentProblem(
            "the session is not read-only although we asked for it",
            where=redacted(conninfo),
            expected="start-up options that reach the server (a pooler may drop them)",
            try_="give the address of PostgreSQL itself, not of a pooler",
        )
    return connection


def _open(conninfo: str, *, autocommit: bool) -> psycopg.Connection:
    try:
        return psycopg.connect(conninfo, autocommit=autocommit)
    except psycopg.Error as error:
        kind = EnvironmentProblem if _REFUSED.search(str(error)) else Unreachable
        raise kind(
            f"cannot connect: {_without_password(str(error), conninfo)}",
            where=redacted(conninfo),
            try_="check address and user with `psql`, and that the server runs and lets this machine in",
        ) from None  # its text may hold the password


def _with_limits(conninfo: str, limits: dict[str, str]) -> str:
    given = _dict(conninfo, where="connection")
    options = " ".join([str(given.get("options") or ""), *(f"-c {name}={v}" for name, v in limits.items())])
    defaults = {"application_name": APPLICATION_NAME, "connect_timeout": "10"}
    # Statements are sent as UTF-8, and rows are read as such, whatever the database or the address says.
    own = {"options": options.strip(), "client_encoding": "UTF8"}
    return make_conninfo(**{**defaults, **given, **own})


def _parsed(text: str, *, where: str) -> str:
    given = _dict(text, where=where)
    if text.startswith(_URL_PREFIXES):
        _refuse_torn_password(given, where)
    return make_conninfo(**given)


def _refuse_torn_password(given: dict[str, Any], where: str) -> None:
    """Of `//user:pass/word@host` libpq makes a port `pass` and a database `word@host`, and repeats them in errors."""
    numbers = str(given.get("port") or "").replace(",", "")
    if "@" in f"{given.get('host')}{given.get('dbname')}" or (numbers and not numbers.isdecimal()):
        raise UsageProblem(
            "the address cannot be read: its port is no number, or its host or database holds an @",
            where=where,
            expected=_FORMS,
            try_="percent-encode it: a password's / is %2F, @ is %40, : is %3A, ? is %3F, # is %23",
        )


def _dict(text: str, *, where: str) -> dict[str, Any]:
    try:
        return conninfo_to_dict(text)
    except psycopg.Error:  # libpq repeats the part it stumbled over, which may be the password
        raise UsageProblem("the address cannot be read", where=where, expected=_FORMS) from None


def _without_password(message: str, conninfo: str) -> str:
    password = conninfo_to_dict(conninfo).get("password")
    text = message.removeprefix("connection is bad: ")
    return text.replace(str(password), "****") if password else text
