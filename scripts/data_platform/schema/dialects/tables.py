"""CREATE TABLE in the target, with its indexes and comments."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Protocol

from data_platform.model.database import ForeignKey, Name, Table
from data_platform.model.order import Ordered
from data_platform.schema.dialects import constraints
from data_platform.schema.dialects.columns import Plan, Planned, counting, sequence_text
from data_platform.schema.dialects.comments import comment
from data_platform.schema.dialects.foreign_keys import KeyLine, foreign_key
from data_platform.schema.dialects.indexes import index
from data_platform.schema.dialects.ledger import (
    Place,
    at_column,
    at_constraint,
    at_index,
    at_part,
    at_table,
)
from data_platform.schema.dialects.properties import unsaid
from data_platform.schema.dialects.work import Work

_SUFFIX = {
    "mysql": " ENGINE=InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin",
    "sqlite": " STRICT",
    "spark": " USING PARQUET",
}
_INTEGERS = frozenset({"SMALLINT", "INT", "INTEGER", "BIGINT"})


class Named(Protocol):
    """Anything with a name of its own."""

    @property
    def name(self) -> str: ...


@dataclass(frozen=True)
class Written:
    """The statements of a table, and those that must wait until every table is there."""

    now: tuple[str, ...]
    later: tuple[str, ...]


def table(work: Work, plan: Plan, plans: Mapping[Name, Plan], order: Ordered) -> Written:
    """Everything that hangs on one table. Its keys must be planned."""
    before: list[str] = []
    lines = [_column(work, plan, planned, before) for planned in plan.columns.values()]
    rules, read = _rules(work, plan)
    foreign, later = _foreign_keys(work, plan, plans, order, read)
    name = work.names.relation(plan.table.name)
    body = ",\n  ".join([*lines, *plan.lines, *rules, *foreign])
    created = f"CREATE TABLE {name} (\n  {body}\n){_suffix(work, plan.table)}"
    indexes = [made for one in (*plan.as_indexes, *plan.table.indexes) for made in index(work, plan, one)]
    _unsaid(work, plan.table)
    work.ledger.wrote()
    return Written((*before, created, *indexes, *_comments(work, plan)), later)


def _unsaid(work: Work, table_: Table) -> None:
    unsaid(work, at_table(table_.name), table_)
    for column in table_.columns:
        unsaid(work, at_column(table_.name, column.name), column)
    for constraint in table_.constraints:
        unsaid(work, at_constraint(table_.name, constraint.name), constraint)
    for one in table_.indexes:
        unsaid(work, at_index(table_.name, one.name), one)
    parts: dict[str, Iterable[Named]] = {"triggers": table_.triggers, "rules": table_.rules}
    parts["statistics"] = table_.statistics
    attached(work, table_.name, at_table(table_.name), parts)
    for policy in table_.policies:
        place = at_part(table_.name, "policies", policy.name)
        work.ledger.omit(place, "the policy is left out: rows are not filtered by role", integrity=True)


ATTACHED = {
    "triggers": ("trigger", "what it does must be done by the writer"),
    "rules": ("rule", "statements are not rewritten here"),
    "statistics": ("statistics object", "there is no such object here"),
    "indexes": ("index", "a view has none here"),
}
"""Field → kind of what is on a table or view, and why it is never translated."""


def attached(
    work: Work, on: Name, place: Place, fields: Mapping[str, Iterable[Named]], why: str = ""
) -> None:
    """Objects on a table or view (at `place`) that are not translated: for `why`, or for what they are."""
    for field, objects in fields.items():
        kind, usual = ATTACHED[field]
        for one in objects:
            own = replace(place, object=f"{on}.{one.name}", path=(field, one.name))
            work.ledger.omit(own, f"the {kind} is left out: {why or usual}")


# ---------------------------------------------------------------------- columns
def _column(work: Work, plan: Plan, planned: Planned, before: list[str]) -> str:
    parts = [work.names.quoted(planned.column.name), _type(work, plan, planned)]
    if planned.generated is not None:
        parts += _generation(work, plan, planned)
    elif planned.column.identity is not None:
        parts += _identity(work, plan, planned, before)
    else:
        parts += _plain(work, planned)
    return " ".join([*parts, *_inline_comment(work, plan, planned)])


def _type(work: Work, plan: Plan, planned: Planned) -> str:
    # In SQLite an INTEGER PRIMARY KEY counts by itself, and an INT does not.
    counts = work.target.name == "sqlite" and only_key(plan, planned)
    return "INT" if counts and planned.column.identity is None else planned.mapped.text


def _plain(work: Work, planned: Planned) -> Iterator[str]:
    default = [f"DEFAULT {planned.default}"] if planned.default is not None else []
    null: list[str] = []
    if not planned.nullable:
        null = ["NOT NULL"]
    elif work.target.name == "mysql" and planned.mapped.text.startswith("TIMESTAMP"):
        null = ["NULL"]  # without it, old settings make it NOT NULL with a default
    # BigQuery's grammar has them in this order only.
    yield from [*default, *null] if work.target.name == "bigquery" else [*null, *default]


def _generation(work: Work, plan: Plan, planned: Planned) -> Iterator[str]:
    assert planned.generated is not None
    assert planned.column.generated is not None
    stored = planned.column.generated.stored and "stored" in work.target.generated
    if work.target.name in ("snowflake", "duckdb"):
        yield f"AS ({planned.generated.text})"
    else:
        yield f"GENERATED ALWAYS AS ({planned.generated.text}) {'STORED' if stored else 'VIRTUAL'}"
    if planned.nullable:
        return
    if work.target.name == "sqlite":
        yield "NOT NULL"
    elif not work.target.checks:
        place = at_column(plan.table.name, planned.column.name)
        work.ledger.lacks(place, "NOT NULL is not there on a generated column", integrity=True)


def _identity(work: Work, plan: Plan, planned: Planned, before: list[str]) -> Iterator[str]:
    place = at_column(plan.table.name, planned.column.name)
    if planned.column.identity == "always":
        work.ledger.differs(place, "GENERATED ALWAYS: a value that a client sends is taken here")
    options = " ".join(sequence_text(planned.column.sequence))
    match work.target.name:
        case "sqlite" if only_key(plan, planned):
            # Written at the column, since AUTOINCREMENT has no other place.
            assert plan.table.primary_key is not None
            name = work.names.quoted(plan.table.primary_key.name)
            yield f"NOT NULL CONSTRAINT {name} PRIMARY KEY AUTOINCREMENT"
        case "mysql" if plan.counter == planned.column.name:
            yield "NOT NULL AUTO_INCREMENT"
        case "duckdb":
            yield f"DEFAULT NEXTVAL({_sequence(work, plan, planned, before, options)}) NOT NULL"
            options = ""
        case "snowflake":
            sequence = planned.column.sequence
            start = sequence.start if sequence and sequence.start is not None else 1
            step = sequence.increment if sequence and sequence.increment is not None else 1
            yield f"IDENTITY ({start}, {step}) NOT NULL"
        case _:
            yield "NOT NULL"
            work.ledger.lacks(place, "the identity is left out: the client must send the value")
            return
    work.identities.add((plan.table.name, planned.column.name))
    if options and work.target.name != "snowflake":
        work.ledger.differs(place, f"the options of its sequence are left out: {options}")


def only_key(plan: Plan, planned: Planned) -> bool:
    """Whether the column alone is the primary key, and one that SQLite could count in."""
    key = plan.table.primary_key
    return (
        key is not None
        and key.columns == (planned.column.name,)
        and key.columns in plan.keys
        and planned.mapped.text == "INTEGER"
    )


def _sequence(work: Work, plan: Plan, planned: Planned, before: list[str], options: str) -> str:
    name = planned.column.sequence_name or Name(
        plan.table.name.schema, f"{plan.table.name.name}_{planned.column.name}_seq"
    )
    free = Name(name.schema, work.names.fresh(name.name, "relation", name.schema))
    relation = work.names.relation(free)
    before.append(f"CREATE SEQUENCE {relation}" + (f" {options}" if options else ""))
    return work.quote(relation)


# ---------------------------------------------------------------------- constraints
def _rules(work: Work, plan: Plan) -> tuple[list[str], frozenset[str]]:
    """The lines of all constraints but foreign keys, and the columns that checks and generated columns depend on."""
    lines: list[str] = []
    read: set[str] = set()
    for planned in plan.columns.values():
        read |= planned.reads
        lines += _column_checks(work, plan, planned)
    for check in plan.table.checks:
        line = constraints.check(work, plan, check)
        if line is not None:
            lines.append(line.sql)
            read |= line.reads
    for one in plan.table.exclusions:
        constraints.exclusion(work, plan, one)
    return lines, frozenset(read)


def _column_checks(work: Work, plan: Plan, planned: Planned) -> Iterator[str]:
    if planned.generated is not None and not work.target.rules_on_generated:
        if not planned.nullable:
            yield f"CHECK (NOT ({planned.generated.text}) IS NULL)"
        return
    for name, condition in planned.checks:
        yield constraints.named_check(work, plan, name, condition)
    if planned.generated is not None and not planned.nullable and work.target.name == "mysql":
        # MariaDB has no NOT NULL on a generated column.
        yield f"CHECK ({work.names.quoted(planned.column.name)} IS NOT NULL)"


def plan_keys(work: Work, plan: Plan) -> None:
    """Primary key and unique constraints: before anything else of any table is written, since all may rest on them."""
    key = plan.table.primary_key
    lines = [constraints.primary_key(work, plan, key)] if key is not None else []
    if lines and work.target.name == "sqlite" and any(_counts(plan, one) for one in plan.columns.values()):
        lines = []  # it is written at the column
    lines += [constraints.unique(work, plan, one) for one in plan.table.uniques]
    plan.lines = [line for line in lines if line is not None]
    counter = counting(work, plan.table)
    written = any(columns[0] == counter for columns in plan.keys)
    plan.counter = counter if written else None


def _counts(plan: Plan, planned: Planned) -> bool:
    return planned.column.identity is not None and only_key(plan, planned)


def _foreign_keys(
    work: Work, plan: Plan, plans: Mapping[Name, Plan], order: Ordered, read: frozenset[str]
) -> tuple[list[str], tuple[str, ...]]:
    lines: list[str] = []
    later: list[str] = []
    for key in plan.table.foreign_keys:
        made = _foreign_key(work, plan, key, plans, order, read)
        if made is None:
            continue
        lines += made.checks
        if order.points_forward(plan.table, key) and not work.target.early_keys:
            later.append(f"ALTER TABLE {work.names.relation(plan.table.name)} ADD {made.line}")
        else:
            lines.append(made.line)
    return lines, tuple(later)


def _foreign_key(
    work: Work, plan: Plan, key: ForeignKey, plans: Mapping[Name, Plan], order: Ordered, read: frozenset[str]
) -> KeyLine | None:
    forward = order.points_forward(plan.table, key)
    return foreign_key(work, plan, key, plans, read, forward=forward)


# ---------------------------------------------------------------------- comments
def _inline_comment(work: Work, plan: Plan, planned: Planned) -> Iterator[str]:
    comment = planned.column.comment
    if comment is None or work.target.comments not in ("inline", "options"):
        return
    place = at_column(plan.table.name, planned.column.name)
    text = work.quote(work.cut(work.visible(comment, place), 0, place))
    yield f"OPTIONS (description={text})" if work.target.comments == "options" else f"COMMENT {text}"


def _suffix(work: Work, table_: Table) -> str:
    suffix = _SUFFIX.get(work.target.name, "")
    if table_.comment is None or work.target.comments not in ("inline", "options"):
        return suffix
    place = at_table(table_.name)
    text = work.quote(work.cut(work.visible(table_.comment, place), 1, place))
    if work.target.comments == "options":
        return f"{suffix} OPTIONS (description={text})"
    return f"{suffix} COMMENT {text}" if work.target.name == "spark" else f"{suffix} COMMENT={text}"


def _comments(work: Work, plan: Plan) -> Iterator[str]:
    """Comments that are statements of their own, and those that have no form."""
    relation, name = work.names.relation(plan.table.name), plan.table.name
    yield from comment(work, "TABLE", relation, plan.table.comment, at_table(name))
    for planned in plan.columns.values():
        object_ = f"{relation}.{work.names.quoted(planned.column.name)}"
        yield from comment(
            work, "COLUMN", object_, planned.column.comment, at_column(name, planned.column.name)
        )
