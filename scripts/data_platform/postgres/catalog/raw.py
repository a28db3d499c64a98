"""What has no form in a model, as pg_dump writes it: operators, aggregates, casts, text search, security labels …

pg_dump's table of contents says what each entry is; only the entries of those kinds are asked for. Passwords are in
none of them: user mappings and subscriptions, which hold some, are left out.
"""

from __future__ import annotations

import os
import re
import subprocess
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from psycopg.conninfo import conninfo_to_dict, make_conninfo

from data_platform.errors import EnvironmentProblem
from data_platform.model.database import Name, Raw
from data_platform.postgres.binaries import find_programs, server_account
from data_platform.postgres.catalog.rows import Connection, Owners, Row
from data_platform.sql.script import pieces
from data_platform.sql.text import identifier, literal

KINDS = (
    "SHELL TYPE",
    "TYPE",
    "PROCEDURAL LANGUAGE",
    "ACCESS METHOD",
    "AGGREGATE",
    "OPERATOR",
    "OPERATOR FAMILY",
    "OPERATOR CLASS",
    "CAST",
    "TRANSFORM",
    "CONVERSION",
    "TEXT SEARCH PARSER",
    "TEXT SEARCH TEMPLATE",
    "TEXT SEARCH DICTIONARY",
    "TEXT SEARCH CONFIGURATION",
    "FOREIGN DATA WRAPPER",
    "SECURITY LABEL",
)
_LOCK_WAIT_MS = 2000
_ENTRY = re.compile(r"\d+; \d+ \d+ (.*)")
_HEADER = re.compile(
    r"^-- Name: (?P<name>.*); Type: (?P<kind>[A-Z ]+); Schema: (?P<schema>.*); Owner: .*$", re.MULTILINE
)
_LONGEST_SECONDS = 300


def raw_objects(connection: Connection, owners: Owners, types: Iterable[Name]) -> tuple[Raw, ...]:
    """The statements of all objects of those kinds, in an order in which they can be made.

    `types` have a form of their own.

    Raises EnvironmentProblem when pg_dump is not there or is refused.
    """
    programs = find_programs(server_account())
    with tempfile.TemporaryDirectory(prefix="dpe-") as folder:
        archive, wanted = Path(folder, "archive"), Path(folder, "wanted")
        dump = [
            "--format=custom",
            "--schema-only",
            "--no-acl",
            f"--lock-wait-timeout={_LOCK_WAIT_MS}",
        ]
        conninfo, environment = _without_password(connection)
        _run([programs / "pg_dump", *dump, f"--file={archive}", f"--dbname={conninfo}"], environment)
        listed = _run([programs / "pg_restore", "--list", archive], {})
        entries = _wanted(listed, {f"{name.schema} {name.name} " for name in types})
        if not entries:
            return ()
        wanted.write_text("\n".join(entries), encoding="utf-8")
        sql = _run([programs / "pg_restore", f"--use-list={wanted}", "--file=-", archive], {})
    return tuple(_objects(sql, owners))


def _without_password(connection: Connection) -> tuple[str, dict[str, str]]:
    """The connection's address for a command line, and its password for the environment."""
    address = {
        key: str(value)
        for key, value in conninfo_to_dict(connection.info.dsn).items()
        if key not in ("options", "password", "sslpassword")
    }
    environment = {"PGPASSWORD": connection.info.password} if connection.info.password else {}
    return make_conninfo(**address), environment


def _run(command: list[str | Path], environment: Mapping[str, str]) -> str:
    done = subprocess.run(
        command,
        capture_output=True,
        text=True,
        env={**os.environ, **environment, "PGCLIENTENCODING": "UTF8"},
        check=False,
        timeout=_LONGEST_SECONDS,
    )
    if done.returncode:
        said = done.stderr.strip().splitlines() or [f"exit {done.returncode}"]
        raise EnvironmentProblem(f"{Path(command[0]).name} could not read the schema: {said[0]}")
    return done.stdout


def _wanted(listing: str, typed: set[str]) -> list[str]:
    """The lines of pg_restore's list whose entries we keep, comments on them included."""
    described = [(line, found[1]) for line in listing.splitlines() if (found := _ENTRY.match(line))]
    return [line for line, text in described if _is_wanted(text, tuple(typed))]


def _is_wanted(text: str, typed: tuple[str, ...]) -> bool:
    for kind in ("TYPE ", "SHELL TYPE "):
        if text.startswith(kind):
            return not text.removeprefix(kind).startswith(typed)
    if text.startswith("COMMENT "):
        # COMMENT schema KIND name owner
        _, _, rest = text.removeprefix("COMMENT ").partition(" ")
        return any(rest.startswith(f"{kind} ") for kind in KINDS if kind != "TYPE")
    return any(text.startswith(f"{kind} ") for kind in KINDS)


def _objects(sql: str, owners: Owners) -> Iterator[Raw]:
    """What the text makes. An entry begins with a comment that says what it is, between two statements."""
    raw, end = sql.encode(), 0
    found: dict[str, str] | None = None
    made: list[str] = []
    for piece in pieces(raw):
        if piece.kind != "statement":
            continue
        headers = list(_HEADER.finditer(raw[end : piece.offset].decode()))
        if headers:
            yield from _object(found, made)
            found, made = headers[-1].groupdict(), []
        if not _is_left_out(piece.text.strip(), owners):
            made.append(piece.text.strip())
        end = piece.offset + len(piece.text.encode())
    yield from _object(found, made)


def _object(header: Mapping[str, str] | None, statements: list[str]) -> Iterator[Raw]:
    if header is not None and statements:
        schema = "" if header["schema"] == "-" else f"{header['schema']}."
        sql = "".join(f"{text.removesuffix(';')};\n" for text in statements).strip()
        yield Raw(kind=header["kind"].lower(), name=f"{schema}{header['name']}", sql=sql)


def _is_left_out(statement: str, owners: Owners) -> bool:
    """Settings of the dump's session, and owners that nobody needs to know."""
    given = (f" OWNER TO {identifier(role)}" for role in owners.anonymous)
    return statement.startswith("SET ") or (
        statement.startswith("ALTER ") and statement.endswith(tuple(given))
    )


def comments(rows: Iterable[Row]) -> Iterator[Raw]:
    """Comments that no field of a model holds. Kind and object are spelled by the server."""
    for row in rows:
        sql = f"COMMENT ON {row['kind'].upper()} {row['object']} IS {literal(row['comment'])};"
        yield Raw(kind="comment", name=f"{row['kind']} {row['object']}", sql=sql)


def extension_dependents(rows: Iterable[Row]) -> Iterator[Raw]:
    """ALTER … DEPENDS ON EXTENSION. Kind and object are spelled by the server."""
    for row in rows:
        sql = f"ALTER {row['kind'].upper()} {row['object']} DEPENDS ON EXTENSION {identifier(row['extension'])};"
        yield Raw(
            kind="extension dependency", name=f"{row['kind']} {row['object']} {row['extension']}", sql=sql
        )
