"""Rules about ids that no foreign key guards."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from data_platform.model.database import Column, Table
from data_platform.schema.rules.remedies import alter, validate
from data_platform.schema.rules.rule import Hit, on_column, rule, words
from data_platform.schema.rules.subject import Subject
from data_platform.sql.naming import default_name
from data_platform.sql.text import identifier, identifiers, qualified_name

_NORMALISED = "Schema properly normalized (or intentionally denormalized)"
_PAST = words(
    "archive archived audit backup event events history import log logs staging tmp version versions"
)
"""Words of tables that keep what was, whatever became of the rows that they name."""
_IDS = frozenset({"uuid", "int2", "int4", "int8"})
_TEXTS = frozenset({"text", "varchar", "bpchar", "citext"})
_ELSEWHERE = words(
    """aggregate batch causation correlation device entity event external idempotency job legacy message
    object process record remote request row session source span subject trace transaction"""
)
"""First words of ids that often name something outside the database, or in any table of it."""


@rule(
    "array-of-ids",
    "warning",
    "No foreign key guards the elements of an array, and joins on it are slow.",
    _NORMALISED,
)
def array_of_ids(subject: Subject) -> Iterator[Hit]:
    for table, column in subject.columns:
        found = subject.type_of(column)
        if found.array and found.name in _IDS and column.name.rpartition("_")[2] == "ids":
            fix = f"a table of pairs, with foreign keys to `{table.name.name}` and to what the ids name"
            yield on_column(table, column.name, f"nothing checks the ids in `{column.name}`", fix)


@rule(
    "polymorphic-association",
    "warning",
    "An id whose table stands in another column cannot have a foreign key.",
    _NORMALISED,
)
def polymorphic_association(subject: Subject) -> Iterator[Hit]:
    for table, column in subject.columns:
        kind = _kind_beside(subject, table, column)
        if kind is not None:
            message = f"`{kind}` and `{column.name}` refer to rows of several tables, and nothing checks them"
            fix = 'one nullable foreign key a table, with check: "num_nonnulls(…) = 1"'
            remedy = "one nullable foreign key a table, with CHECK (num_nonnulls(…) = 1)"
            hit = on_column(table, column.name, message, fix, remedy)
            # A comment is where the author says that it is meant.
            yield replace(hit, severity="info") if column.comment else hit


def _kind_beside(subject: Subject, table: Table, column: Column) -> str | None:
    """The column that says which table `column` refers to, if there is one."""
    name = column.name.removesuffix("_id") + "_type"
    kind = next((other for other in table.columns if other.name == name), None)
    own_key = table.primary_key is not None and table.primary_key.columns == (column.name,)
    if kind is None or not column.name.endswith("_id") or own_key or _refers(table, column):
        return None
    if subject.is_database and subject.type_name(column) not in _IDS:
        return None  # media_id and media_type: a text and its kind
    return name if subject.type_name(kind) in _TEXTS or subject.is_enum(kind) else None


@rule(
    "id-without-foreign-key",
    "info",
    "An id that nothing checks will one day refer to nothing.",
    "Foreign keys with appropriate ON DELETE",
)
def id_without_foreign_key(subject: Subject) -> Iterator[Hit]:
    if subject.is_database and not any(table.foreign_keys for table in subject.design.database.tables):
        return  # it does without on purpose
    for table, column in subject.columns:
        base = column.name.removesuffix("_id")
        if (
            base == column.name
            or subject.type_name(column) not in _IDS
            or _is_explained(subject, table, column)
        ):
            continue
        target = _named(subject, table, base)
        if subject.is_database:
            if target is not None and _can_refer(subject, table, column, target):
                message = f"`{column.name}` refers to nothing; there is a table `{target.name}`"
                yield on_column(table, column.name, message, _reference(table, column, target))
        elif target is not None or base.partition("_")[0] not in _ELSEWHERE:
            known = f"; `{target.name.name}` is in this model" if target else ""
            named = target.name.name if target else "…"
            fix = f"references: {{table: {named}, on_delete: …}}, or a `comment:` that says whose id"
            yield on_column(table, column.name, f"`{column.name}` refers to nothing{known}", fix)


def _named(subject: Subject, table: Table, base: str) -> Table | None:
    """The table whose rows `base` seems to name, one of the same schema first."""
    for name in (base, f"{base}s", f"{base}es", f"{base[:-1]}ies"):
        found = subject.by_own_name.get(name, ())
        if found:
            return next((other for other in found if other.name.schema == table.name.schema), found[0])
    return None


def _can_refer(subject: Subject, table: Table, column: Column, target: Table) -> bool:
    """Whether a foreign key could be made, and would be wanted: records of the past outlive what they name."""
    key = target.primary_key.columns if target.primary_key else ()
    past = not _PAST.isdisjoint(table.name.name.lower().split("_"))
    is_itself = target.name == table.name
    same_type = len(key) == 1 and subject.type_name(target.column(key[0])) == subject.type_name(column)
    return same_type and not past and not is_itself and not _is_in_partitions(subject, table, column)


def _is_in_partitions(subject: Subject, table: Table, column: Column) -> bool:
    """Whether the foreign key is on partitions, one by one."""
    return any(_refers(partition, column) for partition in subject.partitions.get(table.name, ()))


def _reference(table: Table, column: Column, target: Table) -> str:
    """The foreign key, checked for new rows at once and for old ones while others work."""
    name = default_name(table.name.name, column.name, "fkey")
    key = target.primary_key.columns if target.primary_key else ()
    refers = f"FOREIGN KEY ({identifier(column.name)}) REFERENCES {qualified_name(target.name)}"
    added = f"ADD CONSTRAINT {identifier(name)} {refers} ({identifiers(key)})"
    if table.partition_by:
        return alter(table, added)
    return f"{alter(table, f'{added} NOT VALID')} {validate(table, name)}"


def _is_explained(subject: Subject, table: Table, column: Column) -> bool:
    own_key = table.primary_key is not None and table.primary_key.columns == (column.name,)
    polymorphic = _kind_beside(subject, table, column) is not None
    return own_key or polymorphic or _refers(table, column) or bool(column.comment)


def _refers(table: Table, column: Column) -> bool:
    return any(column.name in key.columns for key in table.foreign_keys)
