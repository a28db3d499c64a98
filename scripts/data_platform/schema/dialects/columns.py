"""Columns in the target: type, NOT NULL, default, identity, generation; and which of them cannot be there."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace

from sqlglot import exp

from data_platform.model.database import Check, Column, Index, Name, SequenceOptions, Table
from data_platform.schema.dialects.keysizes import KeySizes
from data_platform.schema.dialects.ledger import Place, at_column
from data_platform.schema.dialects.literals import Untranslatable, typed
from data_platform.schema.dialects.scope import Typed
from data_platform.schema.dialects.spellings import Kind
from data_platform.schema.dialects.types import Mapped, conditions
from data_platform.schema.dialects.work import Translated, Work
from data_platform.schema.dialects.writing import write

_BYTEWISE = frozenset({"C", "POSIX", "ucs_basic", "default", "C.UTF-8", "pg_c_utf8"})
"""Collations that order by code point, as every target does by default."""
_FAMILIES: tuple[frozenset[Kind], ...] = (
    frozenset({"integer", "decimal", "float"}),
    frozenset({"text", "citext", "literal"}),
    frozenset({"timestamp", "timestamptz"}),
)
_CONSTANTS = (exp.Literal, exp.Boolean, exp.Null, exp.CurrentTimestamp, exp.CurrentDate)
_NO_DEFAULT: Mapping[str, frozenset[Kind]] = {
    "bigquery": frozenset({"json", "interval", "composite", "array", "vector"}),
    "snowflake": frozenset({"json", "array", "composite", "vector"}),
    "spark": frozenset({"array", "composite", "vector"}),
}
_DIGITS = re.compile(r"\(([0-6])\)")


@dataclass(frozen=True, kw_only=True)
class Planned:
    """A column that will be written."""

    column: Column
    mapped: Mapped
    node: exp.Identifier
    nullable: bool
    default: str | None = None
    generated: Translated | None = None
    checks: tuple[tuple[str | None, str], ...] = ()
    """(a name for it or None, condition) of its type and its domains."""
    reads: frozenset[str] = frozenset()
    """Columns, as the target names them, that a check or the generation depends on."""

    @property
    def typed(self) -> Typed:
        """A reference to it."""
        return Typed(exp.Column(this=self.node.copy()), self.mapped.kind)


@dataclass
class Plan:
    """A table that will be written; filled step by step."""

    table: Table
    columns: dict[str, Planned] = field(default_factory=dict)
    keys: set[tuple[str, ...]] = field(default_factory=set)
    """Columns of the primary key and the unique constraints that are written."""
    lines: list[str] = field(default_factory=list)
    """Those constraints, as lines of CREATE TABLE."""
    counter: str | None = None
    """The column in which MySQL counts: one of a table, and a key begins with it."""
    as_indexes: list[Index] = field(default_factory=list)
    """Unique constraints that must be unique indexes here."""

    def has(self, columns: tuple[str, ...]) -> bool:
        """Whether all of them are written."""
        return all(column in self.columns for column in columns)

    def scope(self, *, through_generated: bool = False) -> dict[tuple[str, ...], Typed]:
        """What an expression about a row may name. `through_generated` puts expressions in place of their columns."""
        found: dict[tuple[str, ...], Typed] = {}
        for name, planned in self.columns.items():
            value = planned.typed
            if through_generated and planned.generated is not None:
                value = Typed(exp.Paren(this=planned.generated.typed.node.copy()), planned.mapped.kind)
            found[(name,)] = found[(self.table.name.name, name)] = value
        return found


def plan(work: Work, table: Table, sizes: KeySizes) -> Plan:
    """The table's columns in the target; what cannot be there is in the ledger."""
    made = Plan(table)
    for column in table.columns:
        place = at_column(table.name, column.name)
        problem = work.names.problem(column.name)
        if problem is None and not work.names.claim(column.name, "column", *_key(table.name)):
            problem = "another column has the same name, as names are compared here"
        if problem is not None:
            work.ledger.omit(place, f"the column is left out: {problem}", "rename it", integrity=True)
            continue
        made.columns[column.name] = _typed_column(work, table, column, sizes)
    for column in table.columns:
        if column.name in made.columns:
            _complete(work, made, made.columns[column.name])
    return made


def _key(name: Name) -> tuple[str, str]:
    return (name.schema, name.name)


def _typed_column(work: Work, table: Table, column: Column, sizes: KeySizes) -> Planned:
    place = at_column(table.name, column.name)
    mapped = sizes.fitted(column.name, work.types.mapped(column.type))
    for note in mapped.notes:
        work.ledger.differs(place, f"{column.type} as {mapped.text}: the column {note}")
    for loss in mapped.losses:
        work.ledger.lacks(place, f"{column.type} as {mapped.text}: the column {loss}", integrity=True)
    if column.collation is not None and column.collation not in _BYTEWISE:
        work.ledger.differs(
            place, f"the collation {column.collation} is left out: the column is compared by code point"
        )
    in_key = table.primary_key is not None and column.name in table.primary_key.columns
    nullable = column.nullable and mapped.nullable and not in_key
    if work.target.name == "bigquery" and mapped.text.startswith("ARRAY"):
        work.ledger.differs(place, "an array column is never NULL in BigQuery: NULL becomes an empty array")
        nullable = True
    if not nullable and not work.target.not_null and column.generated is None:
        work.ledger.lacks(place, "NOT NULL is written, and the target does not enforce it", integrity=True)
    return Planned(column=column, mapped=mapped, node=work.names.node(column.name), nullable=nullable)


def _complete(work: Work, plan_: Plan, planned: Planned) -> None:
    """Default, generation and checks, which need every column's type."""
    column, table = planned.column, plan_.table
    if column.generated is not None:
        made = _generated(work, plan_, planned)
        if made is None:
            del plan_.columns[column.name]
            return
        planned = replace(planned, generated=made, reads=made.columns)
    elif column.identity is None:
        planned = replace(planned, default=_default(work, table, planned))
    plan_.columns[column.name] = _with_checks(work, plan_, planned)
    work.ledger.wrote()


def _generated(work: Work, plan_: Plan, planned: Planned) -> Translated | None:
    generated = planned.column.generated
    assert generated is not None
    place = at_column(plan_.table.name, planned.column.name)
    wanted = "stored" if generated.stored else "virtual"
    try:
        if not work.target.generated:
            raise Untranslatable("this target has no generated columns")
        made = work.translate(generated.expression, plan_.scope(), place, volatile=False)
        _assignable(made.typed.kind, planned.mapped.kind)
        _without_counter(work, plan_, made)
    except Untranslatable as reason:
        work.ledger.omit(place, f"the generated column is left out: {reason}", integrity=True)
        return None
    if wanted not in work.target.generated:
        work.ledger.differs(place, "the generated column is computed when it is read, not stored")
    return made


def _without_counter(work: Work, plan_: Plan, made: Translated) -> None:
    """MySQL and MariaDB compute nothing stored or virtual from the column in which they count."""
    counter = counting(work, plan_.table)
    if counter is not None and work.names.node(counter).name in made.columns:
        raise Untranslatable("it reads an AUTO_INCREMENT column")


def counting(work: Work, table: Table) -> str | None:
    """The column in which MySQL would count: an identity that a key begins with."""
    if work.target.name != "mysql":
        return None
    keys = [key.columns for key in (table.primary_key, *table.uniques) if key is not None]
    firsts = {columns[0] for columns in keys}
    return next((one.name for one in table.columns if one.identity and one.name in firsts), None)


def _assignable(value: Kind, column: Kind) -> None:
    same = value in (column, "literal") or any({value, column} <= family for family in _FAMILIES)
    if not same:
        raise Untranslatable(f"a value of {value} in a column of {column} has no exact counterpart")


def _default(work: Work, table: Table, planned: Planned) -> str | None:
    text = planned.column.default if planned.column.default is not None else planned.mapped.default
    if text is None:
        return None
    place = at_column(table.name, planned.column.name)
    try:
        return _default_text(work, text, planned, place)
    except Untranslatable as reason:
        work.ledger.lacks(place, f"the default `{text[:60]}` is left out: {reason}")
        return None


def _default_text(work: Work, text: str, planned: Planned, place: Place) -> str:
    made = work.translate(text, {}, place)
    node, kind = made.typed.node, planned.mapped.kind
    if kind in _NO_DEFAULT.get(work.target.name, ()):
        raise Untranslatable("a column of this type has no default here")
    if made.typed.kind == "literal" and node.is_string:
        node = typed(node.name, kind, work.target.name)
    else:
        _assignable(made.typed.kind, kind)
    sign_less = node.this if isinstance(node, exp.Neg) else node
    fixed = isinstance(sign_less, _CONSTANTS) or write(node, work.target.name) == "GENERATE_UUID()"
    if work.target.defaults == "constants" and not fixed:
        raise Untranslatable("a default must be a constant here")
    if work.target.name == "mysql":
        return _mysql_default(node, planned, bare=isinstance(sign_less, _CONSTANTS))
    return _parenthesized(write(node, work.target.name), needed=not fixed)


def _parenthesized(text: str, *, needed: bool) -> str:
    return f"({text})" if needed else text


def _mysql_default(node: exp.Expr, planned: Planned, *, bare: bool) -> str:
    if isinstance(node, exp.CurrentTimestamp):
        digits = _DIGITS.search(planned.mapped.text)
        if digits is None:
            return "(CURRENT_DATE)" if planned.mapped.kind == "date" else "(CURRENT_TIMESTAMP(6))"
        # The digits must be those of the column; a zero is not written.
        return f"CURRENT_TIMESTAMP({digits[1]})" if digits[1] != "0" else "CURRENT_TIMESTAMP"
    large = planned.mapped.text.startswith(("LONG", "JSON"))
    needed = not bare or isinstance(node, exp.CurrentDate) or large
    return _parenthesized(write(node, "mysql"), needed=needed)


def _with_checks(work: Work, plan_: Plan, planned: Planned) -> Planned:
    if not work.target.checks:
        for domain, check in planned.mapped.domain_checks:
            place = at_column(plan_.table.name, planned.column.name)
            message = f"the check {check.name} of the domain {domain} is not there: this target has no CHECK"
            work.ledger.lacks(place, message, integrity=True)
        return planned
    written = write(planned.node, work.target.name)
    checks: list[tuple[str | None, str]] = [(None, text) for text in conditions(planned.mapped, written)]
    reads = set(planned.reads)
    if checks:
        reads.add(planned.node.name)
    for domain, check in planned.mapped.domain_checks:
        text = _domain_check(work, plan_, planned, domain, check)
        if text is not None:
            checks.append((f"{plan_.table.name.name}_{planned.column.name}_{check.name}", text))
            reads.add(planned.node.name)
    return replace(planned, checks=tuple(checks), reads=frozenset(reads))


def _domain_check(work: Work, plan_: Plan, planned: Planned, domain: str, check: Check) -> str | None:
    place = at_column(plan_.table.name, planned.column.name)
    if not check.enforced:
        return None
    try:
        scope: dict[tuple[str, ...], Typed] = {("value",): planned.typed}
        return work.translate(check.expression, scope, place, volatile=work.target.volatile_checks).text
    except Untranslatable as reason:
        message = f"the check {check.name} of the domain {domain} is not there: {reason}"
        work.ledger.lacks(place, message, integrity=True)
        return None


def sequence_text(options: SequenceOptions | None) -> Iterator[str]:
    """`START WITH 5 INCREMENT BY 2`, as far as it is not the default."""
    if options is None:
        return
    words = (("START WITH", options.start), ("INCREMENT BY", options.increment))
    limits = (("MINVALUE", options.minimum), ("MAXVALUE", options.maximum))
    for word, value in (*words, *limits):
        if value is not None:
            yield f"{word} {value}"
    if options.cycle:
        yield "CYCLE"
