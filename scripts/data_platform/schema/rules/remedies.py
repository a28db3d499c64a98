"""Statements that mend a database, each made for one object; words where no statement can do it. Nothing is run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from data_platform.ddl.clauses import constraint_clause, index_sql
from data_platform.model.database import (
    Column,
    Constraint,
    Index,
    MaterializedView,
    Name,
    Table,
)
from data_platform.schema.rules.subject import Subject
from data_platform.schema.rules.uses import users
from data_platform.sql.naming import default_name
from data_platform.sql.phrases import anything_or_deep
from data_platform.sql.text import Sql, identifier, identifiers, qualified_name, type_name


def alter(table: Table, *actions: str) -> Sql:
    """ALTER TABLE with all of the actions."""
    return Sql(f"ALTER TABLE {qualified_name(table.name)} {', '.join(actions)};")


def alter_column(table: Table, column: str, *actions: str) -> Sql:
    """ALTER TABLE with actions on one column."""
    return alter(table, *(f"ALTER COLUMN {identifier(column)} {action}" for action in actions))


def retype(
    subject: Subject,
    table: Table,
    column: Column,
    type_: str,
    using: str | None = None,
    check: str | None = None,
) -> str:
    """Another type for a column. `using` turns an old value, `{}`, into a new one; without it a cast does.
    `check` holds of it from then on.

    Of an array the elements change.
    """
    whole = type_name(type_ + "[]" * subject.type_of(column).array)
    if table.of_type is not None:
        return f"`{whole}` in the type `{table.of_type}`"
    if subject.is_domain(column):
        return f"a domain over `{whole}` in place of `{column.type}`"
    if column.name in partition_keys(table):
        return f"a new table with `{whole}`: a column that rows are divided by keeps its type"
    if whole in _NOT_FROM_TEXT and _is_in_foreign_key(subject, table, column.name):
        return f"`{whole}` in the columns at both ends of the foreign key"
    name = identifier(column.name)
    actions = [f"ALTER COLUMN {name} {action}" for action in _retyping(subject, column, whole, using)]
    added = [f"ADD CHECK ({check.format(name)})"] if check else []
    return alter(table, *actions, *added) + in_the_way(subject, table, column)


def in_the_way(subject: Subject, table: Table, column: Column) -> str:
    """A remark behind the statement on what uses the column; empty if nothing does."""
    found = users(table, column.name, subject.readers.get(table.name, ()))
    if not found:
        return ""
    more = f" and {len(found) - _SHOWN} more" if len(found) > _SHOWN else ""
    return (
        f" -- refused while {', '.join(found[:_SHOWN])}{more} use it: drop them before, make them again after"
    )


def _retyping(subject: Subject, column: Column, whole: Sql, using: str | None) -> list[str]:
    name = identifier(column.name)
    by_cast = using is None or subject.type_of(column).array
    new = f"{name}::{whole}" if by_cast else (using or "").format(name)
    typed = f"TYPE {whole}" + ("" if column.generated else f" USING {new}")
    if column.default is None or whole not in _NOT_FROM_TEXT:
        return [typed]
    return ["DROP DEFAULT", typed, f"SET DEFAULT ({anything_or_deep(column.default)})::{whole}"]


_SHOWN = 3
_NOT_FROM_TEXT = frozenset({"uuid", "uuid[]"})
"""Types that PostgreSQL does not turn a default of type text into by itself."""


def _is_in_foreign_key(subject: Subject, table: Table, name: str) -> bool:
    refers = any(name in key.columns for key in table.foreign_keys)
    return refers or any(
        key.target == table.name and name in key.target_columns
        for other in subject.tables
        for key in other.foreign_keys
    )


def partition_keys(table: Table) -> tuple[str | None, ...]:
    """The columns that a table's rows are divided by; None for each expression."""
    return tuple(element.column for element in table.partition_by.key) if table.partition_by else ()


def create_index(table: Table, columns: Sequence[str]) -> Sql:
    """A plain index, made while others write; a partitioned table has no such way."""
    how = "" if table.partition_by else " CONCURRENTLY"
    return Sql(f"CREATE INDEX{how} ON {qualified_name(table.name)} ({identifiers(columns)});")


def drop_index(table: Table, name: str) -> Sql:
    """Away with an index, or with the constraint that it is behind."""
    if name in {constraint.name for constraint in table.constraints}:
        return alter(table, f"DROP CONSTRAINT {identifier(name)}")
    how = "" if table.partition_by else " CONCURRENTLY"
    return Sql(f"DROP INDEX{how} {qualified_name(Name(table.name.schema, name))};")


def referring(subject: Subject, table: Table, name: str) -> str:
    """A remark on the foreign keys that may rest on a unique constraint; empty where none can."""
    columns = next((set(key.columns) for key in table.uniques if key.name == name), None)
    keys = (
        f"{identifier(key.name)} of {qualified_name(other.name)}"
        for other in subject.tables
        for key in other.foreign_keys
        if key.target == table.name and set(key.target_columns) == columns
    )
    first = next(keys, None)
    return (
        f" -- refused while foreign keys rest on it, as {first} may: make those again after" if first else ""
    )


def replace_index(table: Table, old: Index, new: Index) -> Sql:
    """The index anew, with other properties; the old one serves until then."""
    name = Name(table.name.schema, default_name(old.name, "", "new"))
    made = _on_one_line(index_sql(table.name, replace(new, name=name.name)))
    if not table.partition_by:
        made = Sql(made.replace(" INDEX ", " INDEX CONCURRENTLY ", 1))
    renamed = f"ALTER INDEX {qualified_name(name)} RENAME TO {identifier(old.name)};"
    return Sql(f"{made} {drop_index(table, old.name)} {renamed}")


def replace_constraint(table: Table, new: Constraint) -> Sql:
    """The constraint of that name anew, with other properties."""
    return alter(
        table, f"DROP CONSTRAINT {identifier(new.name)}", f"ADD {_on_one_line(constraint_clause(new))}"
    )


def _on_one_line(sql: Sql) -> Sql:
    # A line break in quotes is part of what is quoted.
    return sql if "'" in sql or '"' in sql else Sql(" ".join(sql.split()))


def validate(table: Table, name: str) -> Sql:
    """VALIDATE CONSTRAINT."""
    return alter(table, f"VALIDATE CONSTRAINT {identifier(name)}")


def add_primary_key(subject: Subject, table: Table) -> str:
    """A primary key of the columns that identify rows already, of a column `id`, or of a new one."""
    names = [column.name for column in table.columns]
    divided = [name for name in partition_keys(table) if name is not None and name != "id"]
    if candidate := identifying(table):
        return alter(table, f"ADD PRIMARY KEY ({identifiers(candidate)})")
    if "id" in names:
        return alter(table, f"ADD PRIMARY KEY ({identifiers(['id', *divided])})")
    if table.of_type is not None or table.name in subject.children:
        return "a column that identifies the row, and PRIMARY KEY over it"
    added = "ADD COLUMN id bigint GENERATED ALWAYS AS IDENTITY"
    return alter(table, added, f"ADD PRIMARY KEY ({identifiers(['id', *divided])})")


def identifying(table: Table) -> tuple[str, ...]:
    """The columns of a unique key over all rows none of which can be NULL; () if there is none."""
    required = {column.name for column in table.columns if not column.nullable}
    for key in table.uniques:
        if key.deferral == "not deferrable" and required.issuperset(key.columns):
            return key.columns
    for index in table.indexes:
        columns = [element.column for element in index.elements if element.column is not None]
        whole = (
            index.unique and index.where is None and not index.only and len(columns) == len(index.elements)
        )
        if whole and required.issuperset(columns):
            return tuple(columns)
    return ()


def unique_index(view: MaterializedView, columns: Sequence[str]) -> Sql:
    """What REFRESH … CONCURRENTLY needs."""
    return Sql(f"CREATE UNIQUE INDEX ON {qualified_name(view.name)} ({identifiers(columns)});")
