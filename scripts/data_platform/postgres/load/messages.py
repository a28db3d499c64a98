"""What a server's error means for whoever has the file: where it is, what it says, what to try."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import psycopg

from data_platform.errors import UsageProblem
from data_platform.model.database import Raw
from data_platform.sql.script import Piece


@dataclass(frozen=True)
class Note:
    """Something of a file that was left out, or made otherwise than it says."""

    file: str
    line: int
    what: str
    why: str
    kept: Raw | None = None
    """The whole statement, where it was left out though it makes something, and tells no secret."""


_SECRET = re.compile(
    r"(passw(?:or)?d\w*"
    r"|\boptions\s*\(.*?(?:secret|token|credential|(?:api|access|private)_?key)\w*"
    r"|\b(?:secret|token)\w*(?=\"?\s*=?>?\s*(?:[eu]?&?'|\$))"
    r"|://[^\s'/@:]*:).*",
    re.IGNORECASE | re.DOTALL,
)
"""The word for a password, and all that follows: in SQL, in a connection string, in a URL. Other secrets in OPTIONS, or
before a constant.
"""

_LONGEST = 120
UNDEFINED = ("42883", "42704", "42P01", "3F000", "42703")
"""An undefined function, object (a type too), table, schema, column."""

_FROM_EXTENSIONS = (
    (
        re.compile(r"\b(geometry|geography|box3d|box2d|raster|spatial_ref_sys|st_\w+|addgeometrycolumn)\b"),
        "postgis",
    ),
    (re.compile(r"\b(create_hypertable|\w*hypertable\w*|time_bucket\w*|add_\w+_policy)\b"), "timescaledb"),
    (re.compile(r"\bcron\."), "pg_cron"),
    (re.compile(r"\b(partman\.|create_parent)\b"), "pg_partman"),
    (re.compile(r"\b(net|http)\.http_\w+"), "pg_net"),
    (re.compile(r"\b(create_distributed_table|create_reference_table)\b"), "citus"),
    (re.compile(r"\b(vector|halfvec|sparsevec)\b"), "vector"),
    (re.compile(r"\b(citext)\b"), "citext"),
    (re.compile(r"\b(hstore)\b"), "hstore"),
    (re.compile(r"\b(ltree|lquery)\b"), "ltree"),
    (re.compile(r"\b(gin_trgm_ops|gist_trgm_ops|similarity)\b"), "pg_trgm"),
    (re.compile(r"\b(uuid_generate_v\w+)\b"), "uuid-ossp"),
    (re.compile(r"\b(gen_salt|crypt|digest|hmac|pgp_\w+)\b"), "pgcrypto"),
    (re.compile(r"\bunaccent\b"), "unaccent"),
)


def first_line(piece: Piece) -> str:
    """The beginning of a piece for people, without passwords."""
    line = " ".join(_SECRET.sub(r"\1…", piece.text).split("\n", 1)[0].split())
    return line if len(line) <= _LONGEST else f"{line[:_LONGEST]}…"


def tells_secret(piece: Piece) -> bool:
    """Whether a piece seems to hold a password or the like."""
    return _SECRET.search(piece.text) is not None


def place(file: str, piece: Piece, position: int | None = None) -> str:
    """`file:line` or `file:line:column`; the position counts characters of the piece from 1."""
    if position is None:
        return f"{file}:{piece.line}"
    line, column = piece.place(position - 1)
    return f"{file}:{line}:{column}"


def problem(
    error: psycopg.Error, file: str, piece: Piece, stubs: Sequence[str], notes: Sequence[Note]
) -> UsageProblem:
    """The server's error as one that says which statement it was."""
    message = error.diag.message_primary or str(error).strip()
    lines = [f"{error.sqlstate or 'no SQLSTATE'} {message}", f"  statement: {first_line(piece)}"]
    lines += [f"  detail: {error.diag.message_detail}"] if error.diag.message_detail else []
    position = error.diag.statement_position
    return UsageProblem(
        "\n".join(lines),
        where=place(file, piece, int(position) if position else None),
        try_=_advice(error, f"{message} {piece.text}", stubs, notes),
    )


def _advice(error: psycopg.Error, text: str, stubs: Sequence[str], notes: Sequence[Note]) -> str | None:
    advice = []
    if error.sqlstate in UNDEFINED:
        advice += _missing_extension(text.lower(), stubs)
    if error.sqlstate == "42501":
        advice.append(
            "files run without privileges here: take the statement out if it is not about the schema"
        )
    if error.sqlstate == "57014":
        advice.append("no statement may run for longer than a minute")
    left_out = [note for note in notes if note.what.upper().startswith(("CREATE", "ALTER", "SELECT", "\\"))][
        -3:
    ]
    if left_out and error.sqlstate in UNDEFINED:
        listed = "; ".join(f"{note.file}:{note.line} {note.what}: {note.why}" for note in left_out)
        advice.append(f"what was left out before may be missing ({listed})")
    if error.diag.message_hint:
        advice.append(error.diag.message_hint)
    return "\n       ".join(advice) or None


def _missing_extension(text: str, stubs: Sequence[str]) -> list[str]:
    named = [extension for pattern, extension in _FROM_EXTENSIONS if pattern.search(text)]
    for extension in named:
        if extension in stubs:
            return [
                f"{extension} is not on this server, and its stub has none of its types and functions:"
                " take out what needs them, or load on a server that has it (--dsn)"
            ]
        return [f"it may come with the extension {extension}: CREATE EXTENSION {extension} before it"]
    if stubs:
        return [f"these extensions are stubs here, without their types and functions: {', '.join(stubs)}"]
    return []
