"""Statements of the DDL as those of a step: bare, idempotent where PostgreSQL has a form for it,
with what they need."""

from __future__ import annotations

from collections.abc import Iterable

from data_platform.ddl.piece import Piece
from data_platform.migration.plan.text import bare
from data_platform.sql.references import References
from data_platform.sql.text import Sql

_REPLACE = ("VIEW", "FUNCTION", "PROCEDURE", "TRIGGER", "RULE")
_IF_NOT_EXISTS = ("MATERIALIZED VIEW", "SEQUENCE", "UNLOGGED SEQUENCE", "STATISTICS", "COLLATION", "SERVER")
_NAMED_INDEXES = ("INDEX", "UNIQUE INDEX")


def statements(pieces: Iterable[Piece]) -> tuple[Sql, ...]:
    """Their SQL, each without its semicolon."""
    return tuple(bare(piece.statement.sql) for piece in pieces)


def again(sql: Sql) -> Sql:
    """The CREATE statement so that it may be run twice; one that has no such form is left as it is."""
    rest = sql.removeprefix("CREATE ")
    if rest == sql:
        return sql
    for words in _REPLACE:
        if rest.startswith(f"{words} "):
            return Sql(f"CREATE OR REPLACE {rest}")
    for words in (*_IF_NOT_EXISTS, *_NAMED_INDEXES):
        if rest.startswith(f"{words} "):
            return Sql(f"CREATE {words} IF NOT EXISTS {rest[len(words) + 1 :]}")
    return sql


def repeatable(pieces: Iterable[Piece]) -> tuple[Sql, ...]:
    """As `statements`, each in its idempotent form."""
    return tuple(map(again, statements(pieces)))


def makes(pieces: Iterable[Piece]) -> References:
    """All that the pieces make."""
    return united(*(piece.makes for piece in pieces))


def needs(pieces: Iterable[Piece]) -> References:
    """What must be there before the first of them, what they make themselves left out."""
    given = list(pieces)
    own = set(makes(given))
    wanted = united(*((*piece.needs, *(n for part in piece.parts for n in part.needs)) for piece in given))
    return tuple(reference for reference in wanted if reference not in own)


def united(*groups: References) -> References:
    """All references of the groups, each once."""
    return tuple(dict.fromkeys(reference for group in groups for reference in group))
