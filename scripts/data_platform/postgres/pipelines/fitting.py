"""Whether a value has room in a column of another type: an assignment would stop at it, or round it without a word."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import psycopg

from data_platform.postgres.pipelines.relations import Relation, Rule
from data_platform.sql.text import Sql, identifier, literal, phrase

_FRACTIONAL = ("numeric", "real", "double precision", "timestamp")
_ROUNDING = ("smallint", "integer", "bigint", "numeric(", "date")
_NUMBERS = ("numeric", "real", "double precision", "smallint", "integer", "bigint")
_BOUNDS = {"smallint": 15, "integer": 31, "bigint": 63}
"""Bits of the greatest value."""
_ROOM_FOR_ALL = frozenset({"text", "character varying"})
_KNOWS_INPUT = 160_000


def fitting(
    connection: psycopg.Connection[Any],
    staged: Mapping[str, str],
    target: Relation,
    columns: Sequence[str],
    *,
    exactly: bool,
) -> tuple[Rule, ...]:
    """Rules for columns whose staged type is not the target's. `exactly`: a value must not be rounded either."""
    knows = connection.info.server_version >= _KNOWS_INPUT
    return tuple(
        rule
        for name in columns
        if staged[name] != target.columns[name]
        for rule in _rules(name, staged[name], target.columns[name], exactly=exactly, knows=knows)
    )


def _rules(name: str, staged: str, wanted: str, *, exactly: bool, knows: bool) -> Iterator[Rule]:
    room = _room(name, staged, wanted) if knows or wanted in _BOUNDS else None
    if room is not None:
        yield Rule(f"{name}: not {wanted}", room)
    if exactly and staged.startswith(_FRACTIONAL) and wanted.startswith(_ROUNDING):
        same = phrase("(r.{name}::{type} = r.{name})", name=identifier(name), type=Sql(wanted))
        told = f"{name}: not as it is in {wanted}"
        # What has no room cannot even be compared.
        yield Rule(told, phrase("CASE WHEN {room} THEN {same} END", room=room or Sql("true"), same=same))


def _room(name: str, staged: str, wanted: str) -> Sql | None:
    """A condition that is NULL for NULL; None where every value has room."""
    column = phrase("r.{name}", name=identifier(name))
    if wanted in _ROOM_FOR_ALL:
        return None
    if wanted in _BOUNDS and staged.startswith(_NUMBERS):
        most = 2 ** _BOUNDS[wanted]
        # A float's neighbours of a bound round to it: the bound itself is asked for as numeric.
        return phrase(
            "({c}::numeric BETWEEN {least} AND {most})",
            c=column,
            least=Sql(str(-most)),
            most=Sql(str(most - 1)),
        )
    return phrase("pg_input_is_valid({c}::text, {type})", c=column, type=literal(wanted))
