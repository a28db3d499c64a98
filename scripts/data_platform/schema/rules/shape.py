"""Rules about the shape of tables: normal form, associations, bookkeeping columns, names."""

from __future__ import annotations

import re
from collections.abc import Iterator

from data_platform.model.database import Column, Enum, Table
from data_platform.schema.rules.rule import Hit, Subject, on_column, on_table, rule
from data_platform.sql.text import identifier

_NORMALISED = "Schema properly normalized (or intentionally denormalized)"
_WIDE = 60
_IDS = frozenset({"uuid", "int2", "int4", "int8"})
_TEXTS = frozenset({"text", "varchar", "bpchar", "citext"})
_NUMBERED = re.compile(r"(?P<base>[^\W\d].*?[^\W\d_])_?(?P<number>[1-9][0-9]?)\Z")
_FOREIGN = frozenset(
    "batch causation correlation device event external idempotency job legacy message process remote request session source span trace transaction".split()
)
"""First words of ids that name something outside the database."""


@rule(
    "repeated-columns",
    "warning",
    "Numbered columns are rows of a table of their own: each query must name them all.",
    _NORMALISED,
)
def repeated_columns(subject: Subject) -> Iterator[Hit]:
    for table in subject.tables:
        groups: dict[tuple[str, str], dict[int, str]] = {}
        for column in table.columns:
            if found := _NUMBERED.match(column.name):
                group = groups.setdefault((found["base"], column.type), {})
                group[int(found["number"])] = column.name
        for (base, _), group in groups.items():
            # The lines of a postal address are one text, not a list.
            if (
                len(group) > 1
                and sorted(group) == list(range(1, len(group) + 1))
                and not base.endswith("line")
            ):
                message = f"{', '.join(f'`{name}`' for name in group.values())} repeat one thing"
                fix = f"a table with one row for each {base}, or an array if it is never searched"
                yield on_column(table, group[1], message, fix)


@rule(
    "array-of-ids",
    "warning",
    "No foreign key guards the elements of an array, and a join on it is slow.",
    _NORMALISED,
)
def array_of_ids(subject: Subject) -> Iterator[Hit]:
    for table in subject.tables:
        for column in table.columns:
            found = subject.type_of(column)
            if found.array and found.name in _IDS and column.name.rpartition("_")[2] == "ids":
                message = f"`{column.name}` lists ids that nothing checks"
                fix = f"a table of pairs ({table.name.name}, {column.name.removesuffix('s')}) with two foreign keys"
                yield on_column(table, column.name, message, fix)


@rule(
    "wide-table",
    "info",
    "Many columns often hide several things in one row, and each update copies them all.",
    _NORMALISED,
)
def wide_table(subject: Subject) -> Iterator[Hit]:
    for table in subject.tables:
        if len(table.columns) > _WIDE:
            message = f"`{table.name}` has {len(table.columns)} columns"
            yield on_table(
                table,
                message,
                "split off what changes together or is read together; rare attributes into jsonb",
            )


@rule(
    "polymorphic-association",
    "warning",
    "An id whose table stands in another column cannot have a foreign key.",
    _NORMALISED,
)
def polymorphic_association(subject: Subject) -> Iterator[Hit]:
    for table in subject.tables:
        for column in table.columns:
            kind = _kind_beside(subject, table, column)
            if kind is not None:
                message = f"`{kind}` and `{column.name}` together refer to rows of several tables, and nothing checks them"
                fix = "one nullable foreign key for each table, with a check: num_nonnulls(…) = 1"
                yield on_column(table, column.name, message, fix)


def _kind_beside(subject: Subject, table: Table, column: Column) -> str | None:
    """The column that says which table `column` refers to, if it is such an id."""
    if not column.name.endswith("_id") or _refers(table, column):
        return None
    name = column.name.removesuffix("_id") + "_type"
    kind = next((other for other in table.columns if other.name == name), None)
    if kind is None:
        return None
    type_ = subject.type_name(kind)
    enums = {enum.name.name for enum in subject.design.database.types if isinstance(enum, Enum)}
    return name if type_ in _TEXTS or type_ in enums else None


@rule(
    "id-without-foreign-key",
    "info",
    "An id that nothing checks will one day refer to nothing.",
    "Foreign keys with appropriate ON DELETE",
)
def id_without_foreign_key(subject: Subject) -> Iterator[Hit]:
    names = {table.name.name for table in subject.tables}
    for table in subject.tables:
        for column in table.columns:
            base = column.name.removesuffix("_id")
            if (
                base == column.name
                or subject.type_name(column) not in _IDS
                or _is_explained(subject, table, column)
            ):
                continue
            target = next(
                (name for name in (base, base + "s", base + "es", base[:-1] + "ies") if name in names), None
            )
            if target is None and base.split("_")[0] in _FOREIGN:
                continue
            message = f"`{column.name}` refers to nothing" + (
                f"; `{target}` is in this model" if target else ""
            )
            fix = f"references: {{table: {target or '…'}, on_delete: …}}, or a `comment:` that says whose id it is"
            yield on_column(table, column.name, message, fix)


def _is_explained(subject: Subject, table: Table, column: Column) -> bool:
    own_key = table.primary_key is not None and table.primary_key.columns == (column.name,)
    return (
        own_key
        or _refers(table, column)
        or bool(column.comment)
        or _kind_beside(subject, table, column) is not None
    )


def _refers(table: Table, column: Column) -> bool:
    return any(column.name in key.columns for key in table.foreign_keys)


@rule(
    "table-without-timestamps",
    "info",
    "When did this row come? Nobody can say later what was not written down.",
    "Soft deletes for audit trail",
)
def table_without_timestamps(subject: Subject) -> Iterator[Hit]:
    entities = [table for table in subject.tables if not _is_junction(table)]
    without = [
        table for table in entities if not any("timestamp" in subject.type_name(c) for c in table.columns)
    ]
    dated = [table for table in entities if any(column.name == "created_at" for column in table.columns)]
    for table in without if 2 * len(dated) > len(entities) else ():
        if not subject.is_small(table):
            message = f"`{table.name}` has no created_at, as {len(dated)} other tables have"
            yield on_table(table, message, "conventions: {timestamps: true}")


def _is_junction(table: Table) -> bool:
    keys = {name for key in table.foreign_keys for name in key.columns}
    return table.primary_key is not None and set(table.primary_key.columns) <= keys


@rule(
    "updated-at-without-trigger",
    "info",
    "A time of change that each writer must remember to set is soon wrong.",
)
def updated_at_without_trigger(subject: Subject) -> Iterator[Hit]:
    for table in subject.tables:
        kept = any("update" in trigger.events for trigger in table.triggers)
        if not kept and any(column.name == "updated_at" for column in table.columns):
            message = "nothing sets `updated_at` when a row changes"
            yield on_column(table, "updated_at", message, "conventions: {timestamps: true}")


@rule(
    "name-needs-quotes",
    "info",
    "A name that is not snake_case, or is a keyword, needs double quotes in every query for ever.",
)
def name_needs_quotes(subject: Subject) -> Iterator[Hit]:
    for table in subject.tables:
        if identifier(table.name.name) != table.name.name:
            yield on_table(table, _quoted(table.name.name), "a name in snake_case that is no keyword")
        for column in table.columns:
            if identifier(column.name) != column.name:
                yield on_column(
                    table, column.name, _quoted(column.name), "a name in snake_case that is no keyword"
                )


def _quoted(name: str) -> str:
    return f"the name must be written {identifier(name)}, with its quotes, wherever it is used"
