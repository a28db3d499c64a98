"""Every ON DELETE tried: a new parent and a new child of its own, then the parent is deleted.

Nothing else refers to the two rows, so what happens is what this foreign key does.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import psycopg

from data_platform.model.database import ForeignKey, Table
from data_platform.report.document import State
from data_platform.schema.prove.attempts import Connection, Row, Trials, own_rows
from data_platform.schema.prove.generated import assignments, is_generated, sources
from data_platform.schema.prove.result import Probe
from data_platform.sql.text import identifier, literal, qualified_name

MAX_PARENTS = 10
_RESTRICTED = ("23001", "23503")
"""restrict_violation from PostgreSQL 18 on, foreign_key_violation before and for NO ACTION."""


def probe_deletes(trials: Trials) -> Iterator[Probe]:
    """One probe for each foreign key of the database."""
    for table in trials.database.tables:
        for key in table.foreign_keys if table.holds_rows else ():
            if not key.enforced:
                continue
            with trials.connection.transaction(force_rollback=True):
                state, detail = _tried(trials, table, key)
            yield Probe(
                kind=f"on delete {key.on_delete}",
                table=table.name,
                constraint=key.name,
                state=state,
                detail=detail,
            )


def _tried(trials: Trials, table: Table, key: ForeignKey) -> tuple[State, str]:
    connection = trials.connection
    parent = trials.database.table(key.target)
    identity = _identity(table)
    if key.on_delete in ("set null", "set default") and set(identity) <= set(key.columns):
        return "not checked", "nothing but the reference itself tells the child from others"
    for attempt in range(MAX_PARENTS):
        try:
            with connection.transaction():
                parent_key = _insert(trials, parent, trials.fresh(parent), key.target_columns)
                # Another foreign key of the child may leave this parent without a child (a clinic without doctors).
                ways = list(assignments(table, key.columns, parent_key))
                child = _child(trials, table, key, ways[attempt % len(ways)])
                child_key = _insert(trials, table, child, identity)
                _unless_generated_otherwise(connection, table, key, child_key, parent_key)
            break
        except (psycopg.Error, _NoRow) as error:
            if attempt == MAX_PARENTS - 1:
                said = str(error).splitlines()[0]
                return "not checked", f"no parent and child of their own could be made: `{said}`"
    for other in _overlapping(table, key):
        if other.target == key.target:
            _drop(connection, table, other.name)
    deleted = _delete(connection, parent, key.target_columns, parent_key)
    while isinstance(deleted, psycopg.Error) and _set_aside(trials, key, deleted):
        deleted = _delete(connection, parent, key.target_columns, parent_key)
    if isinstance(deleted, psycopg.Error):
        return _judge_refusal(key, deleted)
    return _judge(key, _child_columns(connection, table, key, identity, child_key), parent_key)


def _child(trials: Trials, table: Table, key: ForeignKey, pins: Row) -> Row | None:
    """A row that refers to the parent; where other keys on the same columns leave none, they go and do not matter."""
    row = trials.fresh(table, pins)
    overlapping = list(_overlapping(table, key))
    if row is not None or not overlapping:
        return row
    other = trials.fresh(table)
    for one in overlapping if other is not None else ():
        _drop(trials.connection, table, one.name)
    return {**other, **pins} if other is not None else None


def _overlapping(table: Table, key: ForeignKey) -> Iterator[ForeignKey]:
    """Other foreign keys of the table that share columns with this one."""
    own = set(sources(table, key.columns))
    for other in table.foreign_keys:
        if other.name != key.name and set(sources(table, other.columns)) & own:
            yield other


def _unless_generated_otherwise(
    connection: Connection, table: Table, key: ForeignKey, child: tuple[str, ...], parent: tuple[str, ...]
) -> None:
    """Raises _NoRow where the child's columns are generated, and not so that they refer to the parent."""
    if is_generated(table, key.columns):
        found = _child_columns(connection, table, key, _identity(table), child)
        if None in parent or found != parent:
            raise _NoRow


class _NoRow(Exception):
    """the generator found no valid row"""

    def __str__(self) -> str:
        return self.__doc__ or ""


def _insert(trials: Trials, table: Table, row: Row | None, returning: tuple[str, ...]) -> tuple[str, ...]:
    if row is None:
        raise _NoRow
    return trials.insert(table, row, returning)


def _identity(table: Table) -> tuple[str, ...]:
    """Columns that find the child again: its primary key, or all columns."""
    return table.primary_key.columns if table.primary_key else tuple(column.name for column in table.columns)


def _delete(
    connection: Connection, table: Table, columns: tuple[str, ...], values: tuple[str, ...]
) -> psycopg.Error | None:
    where = _equal(columns, values)
    try:
        with connection.transaction():
            connection.execute(f"DELETE FROM {own_rows(table)} WHERE {where}".encode())  # noqa: S608
            connection.execute("SET CONSTRAINTS ALL IMMEDIATE")
    except psycopg.Error as error:
        return error
    return None


def _set_aside(trials: Trials, key: ForeignKey, error: psycopg.Error) -> bool:
    """Drop another foreign key to the same parent that refused the delete; False if none did."""
    name = error.diag.constraint_name
    if error.sqlstate not in _RESTRICTED or name is None or name == key.name:
        return False
    for table in trials.database.tables:
        for other in table.foreign_keys:
            if (other.name, other.target, table.holds_rows) == (name, key.target, True):
                _drop(trials.connection, table, name)
                return True
    return False


def _drop(connection: Connection, table: Table, constraint: str) -> None:
    sql = f"ALTER TABLE {qualified_name(table.name)} DROP CONSTRAINT IF EXISTS {identifier(constraint)}"
    connection.execute(b"SET CONSTRAINTS ALL IMMEDIATE")
    connection.execute(sql.encode())


def _child_columns(
    connection: Connection, table: Table, key: ForeignKey, identity: tuple[str, ...], child: tuple[str, ...]
) -> tuple[Any, ...] | None:
    """The referencing columns of the child as they are now; None if it is gone."""
    columns, values = _lasting(key, identity, child)
    names = ", ".join(f"{identifier(name)}::text" for name in key.columns)
    query = f"SELECT {names} FROM {qualified_name(table.name)} WHERE {_equal(columns, values)}"  # noqa: S608
    return connection.execute(query.encode()).fetchone()


def _lasting(
    key: ForeignKey, identity: tuple[str, ...], child: tuple[str, ...]
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The part of the child's identity that its foreign key cannot change, if that part is enough to find it."""
    if key.on_delete in ("set null", "set default"):
        kept = [(name, value) for name, value in zip(identity, child, strict=True) if name not in key.columns]
        return tuple(name for name, _ in kept), tuple(value for _, value in kept)
    return identity, child


def _equal(columns: Any, values: Any) -> str:
    return " AND ".join(
        f"{identifier(name)} IS NOT DISTINCT FROM {'NULL' if value is None else literal(value)}"
        for name, value in zip(columns, values, strict=True)
    )


def _judge_refusal(key: ForeignKey, error: psycopg.Error) -> tuple[State, str]:
    refused = error.sqlstate in _RESTRICTED and error.diag.constraint_name == key.name
    if refused and key.on_delete in ("restrict", "no action"):
        return "proven", f"the delete was refused ({error.sqlstate})"
    if refused and key.on_delete == "set default":
        return "proven", "the default was set, and refused because no parent has it"
    message = error.diag.message_primary or str(error)
    return (
        ("failed", f"refused: `{message}`")
        if refused
        else ("not checked", f"something else refused: `{message}`")
    )


def _judge(key: ForeignKey, child: tuple[Any, ...] | None, parent: tuple[str, ...]) -> tuple[State, str]:
    if child is None:
        gone: tuple[State, str] = (
            "proven" if key.on_delete == "cascade" else "failed",
            "the child went with its parent",
        )
        return gone
    changed = [name for name, now, before in zip(key.columns, child, parent, strict=True) if now != before]
    nulled = [name for name, now in zip(key.columns, child, strict=True) if now is None]
    match key.on_delete:
        case "set null":
            right = nulled == list(key.set_columns or key.columns)
            return (
                "proven" if right else "failed"
            ), f"NULL in the child: `{', '.join(nulled) or 'no column'}`"
        case "set default":
            return ("proven" if changed else "failed"), "the child has the default"
        case _:
            return "failed", "the parent is gone and the child is still there"
