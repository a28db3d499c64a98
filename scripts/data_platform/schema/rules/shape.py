"""Rules about the shape of tables: normal form, associations, bookkeeping columns, names."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace

from data_platform.model.database import Column, Table, Trigger
from data_platform.schema.rules.remedies import alter, alter_column, validate
from data_platform.schema.rules.rule import Hit, Subject, on_column, on_table, rule, words
from data_platform.sql.naming import default_name
from data_platform.sql.text import NotSql, expression_tree, identifier, identifiers, qualified_name

_NORMALISED = "Schema properly normalized (or intentionally denormalized)"
_WIDE = 60
_SHOWN = 5
_PAST = words(
    "archive archived audit backup event events history import log logs staging tmp version versions"
)
"""Words of tables that keep what was, whatever became of the rows that they name."""
_NUMBERED = re.compile(r"(?P<base>[^\W\d].*?[^\W\d_])_?(?P<number>[1-9][0-9]?)\Z")
_ADDRESS = ("line", "address", "street")
_IDS = frozenset({"uuid", "int2", "int4", "int8"})
_TEXTS = frozenset({"text", "varchar", "bpchar", "citext"})
_ELSEWHERE = words(
    """aggregate batch causation correlation device entity event external idempotency job legacy message
    object process record remote request row session source span subject trace transaction"""
)
"""First words of ids that often name something outside the database, or in any table of it."""


@rule(
    "repeated-columns",
    "warning",
    "Numbered columns are rows of a table of their own: each query must name them all.",
    _NORMALISED,
)
def repeated_columns(subject: Subject) -> Iterator[Hit]:
    for table in subject.tables:
        for base, names in _numbered(table):
            # The lines of a postal address are one text, not a list.
            if not base.endswith(_ADDRESS):
                message = f"{', '.join(f'`{name}`' for name in names)} repeat one thing"
                fix = f"a table with a row for each `{base}`, or an array if it is never searched"
                hit = on_column(table, names[0], message, fix)
                # Two of a kind in a database that is there are often two things, or two ends.
                pair = subject.is_database and len(names) == 2
                if not (pair and all(_refers(table, table.column(name)) for name in names)):
                    yield replace(hit, severity="info") if pair else hit


def _numbered(table: Table) -> Iterator[tuple[str, list[str]]]:
    """Columns of one type whose names count from 1 without a gap, by what is before the number."""
    groups: dict[tuple[str, str], dict[int, str]] = {}
    for column in table.columns:
        if found := _NUMBERED.match(column.name):
            groups.setdefault((found["base"], column.type), {})[int(found["number"])] = column.name
    for (base, _), group in groups.items():
        if len(group) > 1 and max(group) == len(group):
            yield base, [group[number] for number in sorted(group)]


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
    "wide-table",
    "info",
    "Many columns often hide several things in one row, and each update copies them all.",
    _NORMALISED,
)
def wide_table(subject: Subject) -> Iterator[Hit]:
    for table in subject.tables:
        if len(table.columns) > _WIDE:
            fix = "split off what is read or changed together; rare attributes into jsonb"
            yield on_table(table, f"`{table.name}` has {len(table.columns)} columns", fix)


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


@rule(
    "table-without-timestamps",
    "info",
    "When a row came, nobody can tell later if it was not written down.",
    "Soft deletes for audit trail",
)
def table_without_timestamps(subject: Subject) -> Iterator[Hit]:
    entities = [table for table in subject.tables if not _is_part(table)]
    dated = [table for table in entities if any(column.name == "created_at" for column in table.columns)]
    if 2 * len(dated) <= len(entities):
        return
    for table in entities:
        timed = any(subject.type_of(column).name in ("timestamp", "timestamptz") for column in table.columns)
        if not timed and not subject.is_small(table) and table.of_type is None:
            message = f"`{table.name}` has no created_at, as {len(dated)} other tables have"
            # Old rows stay without: now() would be wrong of them.
            added = alter(table, "ADD COLUMN created_at timestamptz")
            remedy = f"{added} {alter_column(table, 'created_at', 'SET DEFAULT now()')}"
            yield on_table(table, message, "conventions: {timestamps: true}", remedy=remedy)


def _is_part(table: Table) -> bool:
    """Whether its key holds another table's key: a line of an order, a pair of a junction."""
    referring = {name for key in table.foreign_keys for name in key.columns}
    return table.primary_key is not None and not referring.isdisjoint(table.primary_key.columns)


@rule(
    "updated-at-without-trigger",
    "info",
    "A time of change that each writer must remember to set is soon wrong.",
)
def updated_at_without_trigger(subject: Subject) -> Iterator[Hit]:
    timed = [table for table in subject.tables if any(c.name == "updated_at" for c in table.columns)]
    kept = [table for table in timed if any(_sets_it(subject, trigger) for trigger in table.triggers)]
    if subject.is_database and not kept:
        return  # its applications set it
    for table in timed:
        if table not in kept:
            message = "nothing sets `updated_at` when a row changes"
            yield on_column(
                table, "updated_at", message, "conventions: {timestamps: true}", _like(subject, table, kept)
            )


def _sets_it(subject: Subject, trigger: Trigger) -> bool:
    if "update" not in trigger.events or not subject.is_database:
        return "update" in trigger.events
    bodies = [f.body or "" for f in subject.design.database.functions if f.name == trigger.function]
    return trigger.function.name == "moddatetime" or any("updated_at" in body.lower() for body in bodies)


def _like(subject: Subject, table: Table, kept: Sequence[Table]) -> str | None:
    """The trigger that most of the others have, for this table."""
    setting = (t for other in kept for t in other.triggers if _sets_it(subject, t) and not t.arguments)
    functions = Counter(t.function for t in setting if t.level == "row" and t.timing == "before")
    if not functions:
        return None
    function = qualified_name(functions.most_common(1)[0][0])
    on = f"BEFORE UPDATE ON {qualified_name(table.name)} FOR EACH ROW"
    return f"CREATE TRIGGER set_updated_at {on} EXECUTE FUNCTION {function}();"


@rule(
    "name-needs-quotes",
    "info",
    "A name that is not snake_case, or is a keyword, needs double quotes in every query for ever.",
)
def name_needs_quotes(subject: Subject) -> Iterator[Hit]:
    fix = "a name in snake_case that is no keyword"
    for table in subject.tables:
        if subject.is_database:
            yield from _quoted_in(table)
            continue
        if _needs_quotes(table.name.name):
            yield on_table(table, f"the name must be written {_in_quotes(table.name.name)}", fix)
        for column in table.columns:
            if _needs_quotes(column.name):
                yield on_column(
                    table, column.name, f"the name must be written {_in_quotes(column.name)}", fix
                )


def _quoted_in(table: Table) -> Iterator[Hit]:
    """One hit for all the names of a table: whoever has one such name has many."""
    columns = [c.name for c in table.columns if not c.inherited and _needs_quotes(c.name)]
    is_own = _needs_quotes(table.name.name)
    names = [f"`{_in_quotes(name)}`" for name in [*([table.name.name] if is_own else []), *columns]]
    if names:
        more = f" and {len(names) - _SHOWN} more names here" if len(names) > _SHOWN else ""
        message = f"must be written with quotes: {', '.join(names[:_SHOWN])}{more}"
        yield on_table(
            table, message, "names in snake_case that are no keywords, in the next table that is made"
        )


def _needs_quotes(name: str) -> bool:
    """Whether PostgreSQL reads the bare name as something else; many keywords can be columns."""
    try:
        fields = expression_tree(name).column_ref.fields
    except NotSql:
        return True
    return [field.string.sval for field in fields] != [name]


def _in_quotes(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
