"""Types of columns, and what PostgreSQL does to the rows when a column's type changes.

The facts are the server's own: binary-coercible casts and the length functions that it can simplify away need no
rewrite, everything else does. A test asks the server for each of them.
"""

from __future__ import annotations

from typing import NamedTuple

from postgast import pg_query_pb2 as pb

SERIALS = {
    "serial": "int4",
    "serial4": "int4",
    "bigserial": "int8",
    "serial8": "int8",
    "smallserial": "int2",
    "serial2": "int2",
}
_FULL_INTERVAL = 0x7FFF
_FINEST = 6
"""Digits of a second that a time without a precision holds."""


class Type(NamedTuple):
    """A type as the grammar spells it: `int4`, `varchar` with (50,). `schema` is None for pg_catalog."""

    name: str
    modifiers: tuple[int | None, ...] = ()
    array: bool = False
    schema: str | None = None

    def __str__(self) -> str:
        name = SPOKEN.get(self.name, self.name) if self.schema is None else f"{self.schema}.{self.name}"
        shown = [str(modifier) for modifier in self.modifiers if modifier is not None]
        return f"{name}{'(' + ','.join(shown) + ')' if shown else ''}{'[]' if self.array else ''}"


SPOKEN = {
    "int2": "smallint",
    "int4": "integer",
    "int8": "bigint",
    "float4": "real",
    "float8": "double precision",
    "bool": "boolean",
    "bpchar": "char",
    "timetz": "time with time zone",
}


def type_of(node: pb.TypeName) -> Type:
    """The type that the tree names."""
    names = node.names
    name = names[-1].string.sval if names else "record"
    schema = names[-2].string.sval if len(names) > 1 else None
    modifiers = tuple(_modifier(item) for item in node.typmods) if node.typmods else ()
    return Type(name, modifiers, bool(node.array_bounds), None if schema == "pg_catalog" else schema)


def _modifier(node: pb.Node) -> int | None:
    if node.HasField("a_const") and node.a_const.HasField("ival"):
        return int(node.a_const.ival.ival)
    return None


class Change(NamedTuple):
    """What a change of type does to rows and indexes. `certain` is False where it depends on what is not known."""

    rewrites: bool
    reason: str = ""
    certain: bool = True
    other_order: bool = False
    """Indexes on the column sort by another operator class and are built again."""


FREE = Change(rewrites=False)


def change(old: Type, new: Type, time_zone: str | None) -> Change:
    """What `ALTER COLUMN … TYPE new` does to a column of the type `old`; domains are resolved by the caller."""
    if old == new:
        return FREE
    if old.array or new.array:
        return _rewrite(old, new)
    if (old.name, old.schema) == (new.name, new.schema):
        return FREE if _widens(old.name, old.modifiers, new.modifiers) else _rewrite(old, new)
    if old.name in _STAMPS and new.name in _STAMPS:
        return _stamps(old, new, time_zone)
    if new.name in _BINARY.get(old.name, ()) and not new.modifiers:
        return Change(False, other_order=(old.name, new.name) not in _SAME_ORDER)
    return _rewrite(old, new)


def _rewrite(old: Type, new: Type) -> Change:
    return Change(True, f"every value is converted from {old} to {new}")


_STAMPS = ("timestamp", "timestamptz")
_UTC = frozenset(
    {"utc", "gmt", "etc/utc", "etc/gmt", "zulu", "uct", "0", "+00:00", "utc0", "etc/uct", "etc/zulu"}
)


def _stamps(old: Type, new: Type, time_zone: str | None) -> Change:
    """Between timestamp and timestamptz nothing changes on disk if the session's time zone is UTC."""
    if not _widens("timestamp", old.modifiers, new.modifiers):
        return _rewrite(old, new)
    if time_zone is not None and time_zone.lower() in _UTC:
        return Change(False, other_order=True)
    certain = time_zone is not None
    why = "" if certain else ", unless the session's time zone is UTC"
    return Change(True, f"every value is converted from {old} to {new}{why}", certain, other_order=True)


_BINARY: dict[str, tuple[str, ...]] = {
    "varchar": ("text", "bpchar", "citext"),
    "text": ("varchar", "bpchar", "citext"),
    "citext": ("text", "varchar"),
    "cidr": ("inet",),
    "xml": ("text", "varchar"),
    "bit": ("varbit",),
    "int4": ("oid", "regclass", "regtype", "regproc", "regprocedure", "regrole", "regnamespace"),
    "oid": ("int4", "regclass", "regtype", "regproc", "regprocedure", "regrole", "regnamespace"),
    "regclass": ("oid", "int4"),
}
"""Casts that change no bit; with a length for the new type they may."""

_SAME_ORDER = frozenset({("varchar", "text"), ("text", "varchar"), ("cidr", "inet")})


def _widens(name: str, old: tuple[int | None, ...], new: tuple[int | None, ...]) -> bool:
    """Whether every value of the old length fits the new one without being touched."""
    if not new:
        return True
    if name == "numeric":
        return bool(old) and _scale(old) == _scale(new) and _at_least(new[0], old[0])
    if name in ("varchar", "varbit"):
        return bool(old) and _at_least(new[0], old[0])
    if name in ("timestamp", "timestamptz", "time", "timetz"):
        return _at_least(new[0], _FINEST) or bool(old and _at_least(new[0], old[0]))
    if name == "interval":
        return _interval_widens(old, new)
    return False


def _scale(modifiers: tuple[int | None, ...]) -> int | None:
    return modifiers[1] if len(modifiers) > 1 else 0


def _at_least(new: int | None, old: int | None) -> bool:
    return new is not None and old is not None and new >= old


def _interval_widens(old: tuple[int | None, ...], new: tuple[int | None, ...]) -> bool:
    old_fields, new_fields = (old[0] if old else _FULL_INTERVAL), new[0]
    if new_fields not in (_FULL_INTERVAL, old_fields):
        return False
    finest = new[1] if len(new) > 1 else _FINEST
    return _at_least(finest, _FINEST) or (len(old) > 1 and _at_least(finest, old[1]))
