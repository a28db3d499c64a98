"""Columns and constraints as CREATE TABLE and ALTER TABLE define them, read from the parse tree."""

from __future__ import annotations

from collections.abc import Container, Iterator, Sequence
from typing import Any

from postgast import pg_query_pb2 as pb

from data_platform.migration.lint.expressions import columns_in, proves_not_null
from data_platform.migration.lint.state import Column, Constraint, ConstraintKind, Relation, State
from data_platform.migration.lint.types import SERIALS, Type, type_of
from data_platform.sql.text import MAX_IDENTIFIER_BYTES

_KINDS: dict[int, ConstraintKind] = {
    pb.CONSTR_CHECK: "check",
    pb.CONSTR_FOREIGN: "foreign key",
    pb.CONSTR_UNIQUE: "unique",
    pb.CONSTR_PRIMARY: "primary key",
    pb.CONSTR_EXCLUSION: "exclude",
    pb.CONSTR_NOTNULL: "not null",
}
_ENDINGS: dict[ConstraintKind, str] = {
    "check": "check",
    "foreign key": "fkey",
    "unique": "key",
    "primary key": "pkey",
    "exclude": "excl",
    "not null": "not_null",
}


def strings(nodes: Sequence[Any]) -> tuple[str, ...]:
    """The names in a list of string nodes."""
    return tuple(node.string.sval for node in nodes)


def relation_of(state: State, node: pb.RangeVar) -> Relation:
    """The relation that the tree names."""
    return state.name(node.schemaname or None, node.relname)


def column_of(node: pb.ColumnDef, *, added: bool = False) -> Column:
    """The column that the tree defines, its constraints on itself included."""
    kinds = {part.constraint.contype: part.constraint for part in node.constraints}
    generated = kinds.get(pb.CONSTR_GENERATED)
    type_ = type_of(node.type_name)
    serial = type_.name in SERIALS and type_.schema is None
    not_null = (
        pb.CONSTR_NOTNULL in kinds or pb.CONSTR_PRIMARY in kinds or pb.CONSTR_IDENTITY in kinds or serial
    )
    return Column(
        node.colname,
        type_._replace(name=SERIALS[type_.name]) if serial else type_,
        not_null=not_null,
        default=pb.CONSTR_DEFAULT in kinds or pb.CONSTR_IDENTITY in kinds or serial,
        generated="" if generated is None else "virtual" if generated.generated_kind == "v" else "stored",
        added=added,
    )


def is_serial(type_: Type) -> bool:
    """Whether the type is one that brings a sequence."""
    return type_.schema is None and type_.name in SERIALS


def part(node: pb.ColumnDef, kind: int) -> pb.Constraint | None:
    """The first constraint of a kind on a column's own definition."""
    for one in node.constraints:
        if one.constraint.contype == kind:
            return one.constraint
    return None


def constraints_of_column(state: State, table: Relation, node: pb.ColumnDef) -> Iterator[Constraint]:
    """The constraints that a column's definition brings, NOT NULL apart."""
    for one in node.constraints:
        if one.constraint.contype in _KINDS and one.constraint.contype != pb.CONSTR_NOTNULL:
            yield constraint_of(state, table, one.constraint, node.colname)


def constraint_of(state: State, table: Relation, node: pb.Constraint, column: str = "") -> Constraint:
    """The constraint that the tree defines on a table, or on one of its columns."""
    kind = _KINDS[node.contype]
    columns = frozenset((column,)) if column else _columns(node)
    proves: frozenset[str] = frozenset()
    if kind == "check":
        columns = columns_in(node.raw_expr)
        proves = proves_not_null(node.raw_expr) if node.is_enforced else proves
    target = relation_of(state, node.pktable) if kind == "foreign key" else None
    named = sorted(columns) if kind == "check" else [column] if column else _ordered(node)
    name = node.conname or default_name(state, table, kind, named)
    valid = not node.skip_validation and (node.is_enforced or kind not in ("check", "foreign key"))
    return Constraint(name, kind, columns, valid, target, proves, frozenset(strings(node.pk_attrs)))


def _columns(node: pb.Constraint) -> frozenset[str]:
    return frozenset(_ordered(node))


def _ordered(node: pb.Constraint) -> tuple[str, ...]:
    if node.contype == pb.CONSTR_FOREIGN:
        return strings(node.fk_attrs)
    if node.contype == pb.CONSTR_EXCLUSION:
        return tuple(item.list.items[0].index_elem.name for item in node.exclusions)
    return strings(node.keys)


def default_name(state: State, table: Relation, kind: ConstraintKind, columns: Sequence[str]) -> str:
    """The name that PostgreSQL makes up for a constraint."""
    named = [] if kind == "primary key" or (kind == "check" and len(columns) != 1) else columns
    return made_up(table.name, named, _ENDINGS[kind], state.table(table).constraints)


def made_up(table: str, columns: Sequence[str], ending: str, taken: Container[str]) -> str:
    """`table_columns_ending` as the server does it: the longer part is cut, and a number goes behind what is taken."""
    number = 0
    while (name := _fitting(table, "_".join(columns), f"{ending}{number or ''}")) in taken:
        number += 1
    return name


def _fitting(first: str, second: str, ending: str) -> str:
    one, two = first.encode(), second.encode()
    room = MAX_IDENTIFIER_BYTES - len(ending.encode()) - 1 - bool(two)
    while len(one) + len(two) > room:
        one, two = (one[:-1], two) if len(one) > len(two) else (one, two[:-1])
    parts = (part.decode(errors="ignore") for part in (one, two) if part)
    return "_".join([*parts, ending])
