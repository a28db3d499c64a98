"""Functions and procedures as calls that can be tried: the arguments are values that another tenant's rows hold."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from data_platform.schema.prove.sessions import Connection
from data_platform.sql.text import literal, qualified, type_name

MAX_CALLS = 3
"""Of one function, with different arguments."""

_ROUTINES = """
SELECT n.nspname, p.proname,
       format('%s.%s(%s)', n.nspname, p.proname, pg_get_function_identity_arguments(p.oid)), p.oid::regprocedure::text,
       p.prokind = 'p', p.prosecdef, p.provolatile = 'v',
       pg_get_userbyid(p.proowner), p.prorettype::regtype::text,
       coalesce(p.proargnames, '{}'), coalesce(p.proargmodes::text[], '{}'),
       ARRAY(SELECT format_type(a.type, NULL)
               FROM unnest(p.proargtypes) WITH ORDINALITY AS a(type, place) ORDER BY place)
  FROM pg_proc AS p JOIN pg_namespace AS n ON n.oid = p.pronamespace
 WHERE n.nspname !~ '^pg_' AND n.nspname <> 'information_schema' AND p.prokind IN ('f', 'p')
   AND p.prolang <> (SELECT oid FROM pg_language WHERE lanname = 'internal')
   AND NOT EXISTS (SELECT FROM pg_depend AS d
                    WHERE d.classid = 'pg_proc'::regclass AND d.objid = p.oid AND d.deptype = 'e')
 ORDER BY 1, 3
"""
_NOT_CALLED = ("trigger", "event_trigger", "internal", "language_handler", "fdw_handler", "table_am_handler")
_PSEUDO = ("any", "internal", "cstring", "record", '"any"')
_FREE = {
    **dict.fromkeys(("smallint", "integer", "bigint", "numeric", "real", "double precision"), "10"),
    **dict.fromkeys(("text", "character varying", "character", "name"), "a"),
    "boolean": "true",
    "date": "2026-01-01",
    "timestamp with time zone": "2026-01-01 00:00:00+00",
    "timestamp without time zone": "2026-01-01 00:00:00",
    "interval": "30 days",
    **dict.fromkeys(("json", "jsonb"), "{}"),
}


@dataclass(frozen=True)
class Held:
    """A value of another tenant's row, and where it stands."""

    table: str
    column: str
    type: str
    value: str
    is_key: bool
    is_tenant: bool


@dataclass(frozen=True)
class Routine:
    """A function or procedure of the design."""

    schema: str
    name: str
    signature: str
    key: str
    """How the server names it."""
    procedure: bool
    definer: bool
    volatile: bool
    owner: str
    arguments: tuple[tuple[str, str], ...]
    """(name or "", type) of what a call gives."""
    variadic: bool = False
    why_not: str | None = None
    """Why it cannot be called."""

    def calls(self, held: Sequence[Held], free: Mapping[str, str]) -> Iterator[str]:
        """A few calls, each with other arguments, as statements whose answer is one row.

        `free` are values of types that no row of another tenant holds.
        """
        options = [self._options(name, type_, held, free) for name, type_ in self.arguments]
        if any(not values for values in options):
            return
        for number in range(min(MAX_CALLS, max((len(values) for values in options), default=1))):
            values = [values[min(number, len(values) - 1)] for values in options]
            pairs = zip(values, self.arguments, strict=True)
            texts = [f"{literal(value)}::{type_name(type_)}" for value, (_, type_) in pairs]
            if self.variadic:
                texts[-1] = f"VARIADIC {texts[-1]}"
            yield self._call(", ".join(texts))

    def _call(self, listed: str) -> str:
        call = f"{qualified(self.schema, self.name)}({listed})"
        return f"CALL {call}" if self.procedure else digest(call)

    def _options(self, name: str, type_: str, held: Sequence[Held], free: Mapping[str, str]) -> list[str]:
        fitting = [value for value in held if _base(value.type) == _base(type_)]
        ranked = sorted(fitting, key=lambda value: -_likeness(name, value))
        other = "{}" if type_.endswith("[]") else free.get(type_, _FREE.get(_base(type_)))
        likely = [value.value for value in ranked if _likeness(name, value) >= _ALIKE]
        return list(dict.fromkeys(likely or [value.value for value in ranked] or ([other] if other else [])))


def digest(source: str) -> str:
    """A query for the number of rows of something, and for a hash of what they say."""
    row = '"dpe row"::text'
    return (
        f"SELECT count(*), md5(string_agg({row}, E'\\n' ORDER BY {row} COLLATE \"C\"))"  # noqa: S608 - our own names
        f' FROM {source} AS "dpe row"'
    )


def routines(connection: Connection) -> tuple[Routine, ...]:
    """All that can be called by name; trigger functions cannot."""
    with connection.transaction(force_rollback=True):
        connection.execute("SET LOCAL search_path TO ''")
        return tuple(_routine(row) for row in connection.execute(_ROUTINES) if row[8] not in _NOT_CALLED)


def _routine(row: tuple[Any, ...]) -> Routine:
    schema, name, signature, key, procedure, definer, volatile, owner, _, names, modes, types = row
    # Without any name there are no names, though there may be modes.
    given = [n for n, mode in zip(names, modes, strict=False) if mode in ("i", "b", "v")] if modes else names
    padded = [*given, *("" for _ in types)]
    arguments = tuple(zip(padded, types, strict=False))
    return Routine(
        schema,
        name,
        signature,
        key,
        procedure,
        definer,
        volatile,
        owner,
        arguments,
        "v" in modes,
        _why_not(procedure, modes, types),
    )


def _why_not(procedure: bool, modes: Sequence[str], types: Sequence[str]) -> str | None:
    if procedure and "o" in modes:
        return "it has OUT parameters"
    pseudo = [type_ for type_ in types if type_ in _PSEUDO or type_.startswith("any")]
    if pseudo:
        return f"it takes `{pseudo[0]}`"
    return None


_ALIKE = 2


def _likeness(argument: str, held: Held) -> int:
    """How likely an argument of that name means such a value."""
    name = argument.lower().strip("_")
    for prefix in ("p_", "in_", "v_", "arg_"):
        name = name.removeprefix(prefix)
    singular = held.table.removesuffix("s")
    if name == held.column:
        return 4 + held.is_tenant
    if name in (f"{singular}_{held.column}", f"{held.table}_{held.column}", singular):
        return 3
    if held.is_tenant and held.column.removesuffix("_id") in name:
        return 3
    return int(held.is_key)


def _base(type_: str) -> str:
    return type_.split("(", maxsplit=1)[0]
