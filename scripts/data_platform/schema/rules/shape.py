"""Rules about the shape of tables: normal form, bookkeeping columns, names."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace

from data_platform.model.database import Table, Trigger
from data_platform.schema.rules.remedies import alter, alter_column
from data_platform.schema.rules.rule import Hit, on_column, on_table, rule
from data_platform.schema.rules.subject import Subject
from data_platform.sql.text import NotSql, expression_tree, qualified_name

_NORMALISED = "Schema properly normalized (or intentionally denormalized)"
_WIDE = 60
_SHOWN = 5
_NUMBERED = re.compile(r"(?P<base>[^\W\d].*?[^\W\d_])_?(?P<number>[1-9][0-9]?)\Z")
_ADDRESS = ("line", "address", "street")


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
                if not (
                    pair and all(any(name in key.columns for key in table.foreign_keys) for name in names)
                ):
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
