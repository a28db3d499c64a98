"""What becomes of each kind of object in a database: one entry a kind, in the order in which they are made."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from typing import TypeAlias

from data_platform.model.database import (
    Composite,
    Database,
    Domain,
    Enum,
    Function,
    Name,
    Range,
    Sequence,
    Table,
)
from data_platform.model.order import in_dependency_order
from data_platform.schema.dialects.columns import Plan, plan, sequence_text
from data_platform.schema.dialects.comments import comment
from data_platform.schema.dialects.keysizes import key_sizes, referenced_columns
from data_platform.schema.dialects.ledger import Place, at_object, at_part, at_table
from data_platform.schema.dialects.partitions import omit_partition
from data_platform.schema.dialects.properties import unsaid
from data_platform.schema.dialects.tables import plan_keys, table
from data_platform.schema.dialects.views import views
from data_platform.schema.dialects.work import Work

Make: TypeAlias = Callable[[Work, Database], Iterable[str]]


def statements(work: Work) -> Iterator[str]:
    """Every statement, in an order in which each finds what it needs."""
    for make in KINDS.values():
        yield from make(work, work.design.database)


def _schemas(work: Work, database: Database) -> Iterator[str]:
    for schema in database.schemas:
        place = Place(schema, section="schemas")
        problem = work.names.problem(schema)
        if problem is not None or not work.target.schemas:
            why = problem or "there are no schemas: it is a part of the names of its tables"
            work.ledger.omit(place, f"the schema is left out: {why}")
            continue
        if work.target.name in ("mysql", "bigquery"):
            word = "a database of its own" if work.target.name == "mysql" else "a dataset"
            work.ledger.differs(place, f"the schema is {word}")
        work.ledger.wrote()
        yield f"CREATE SCHEMA {work.names.quoted(schema)}"


def _schema_details(work: Work, database: Database) -> Iterator[str]:
    for schema in database.schema_details:
        if schema.comment is not None:
            work.ledger.lacks(Place(schema.name, section="schemas"), "the schema's comment is left out")
        if schema.owner is not None:
            work.ledger.say(Place(schema.name, section="schemas"), "the schema's owner is left out", "info")
    return iter(())


def _extensions(work: Work, database: Database) -> Iterator[str]:
    key = 0 if len(database.extensions) == 1 else -1  # they are sorted, and the spec need not be
    for extension in database.extensions:
        message = "the extension is left out: what uses it is said at each object"
        work.ledger.omit(Place(f"extension {extension.name}", section="extensions", key=key), message)
    return iter(())


def _types(work: Work, database: Database) -> Iterator[str]:
    for type_ in database.types:
        place = at_object("types", type_.name)
        match type_:
            case Enum() if work.types.mapped_own(type_).text == work.names.relation(type_.name):
                yield from _enum(work, type_, place)
            case Enum() | Domain() | Composite():
                unsaid(work, place, type_)
                if isinstance(type_, Enum) and type_.comment is not None:
                    work.ledger.lacks(place, "its comment is left out")
                work.ledger.remark(place, "the type is spelled out at each column that has it")
                work.ledger.wrote()
            case Range():
                work.ledger.omit(place, "the range type is left out: its columns hold text")


def _enum(work: Work, type_: Enum, place: Place) -> Iterator[str]:
    unsaid(work, place, type_)
    relation = work.names.relation(type_.name)
    labels = ", ".join(work.quote(label) for label in type_.labels)
    work.ledger.wrote()
    yield f"CREATE TYPE {relation} AS ENUM ({labels})"
    yield from comment(work, "TYPE", relation, type_.comment, place)


def _sequences(work: Work, database: Database) -> Iterator[str]:
    for sequence in database.sequences:
        place = at_object("sequences", sequence.name)
        problem = work.names.problem(sequence.name.name)
        if work.target.name not in ("duckdb", "snowflake"):
            problem = "there are no sequences in every version of this target"
        if problem is not None:
            work.ledger.omit(place, f"the sequence is left out: {problem}")
            continue
        unsaid(work, place, sequence)
        yield _sequence(work, sequence)


def _sequence(work: Work, sequence: Sequence) -> str:
    relation = work.names.relation(sequence.name)
    work.names.claim(sequence.name.name, "relation", sequence.name.schema)
    for spelled in (sequence.name.name, str(sequence.name)):
        work.sequences[spelled] = relation
    options = " ".join(sequence_text(sequence.sequence))
    work.ledger.wrote()
    return f"CREATE SEQUENCE {relation}" + (f" {options}" if options else "")


def _tables(work: Work, database: Database) -> Iterator[str]:
    plans = _plans(work, database)
    order = in_dependency_order(one.table for one in plans.values())
    later: list[str] = []
    for one in order.tables:
        written = table(work, plans[one.name], plans, order)
        yield from written.now
        later += written.later
    yield from later
    work.plans.update(plans)


def _plans(work: Work, database: Database) -> dict[Name, Plan]:
    targets = referenced_columns(database.tables)
    plans: dict[Name, Plan] = {}
    by_name = {one.name: one for one in database.tables}
    for one in database.tables:
        if one.partition_of is not None:
            omit_partition(work, one, by_name.get(one.partition_of.table))
            continue
        problem = _table_problem(work, one)
        if problem is not None:
            omit_table(work, one, problem)
            continue
        made = plan(work, one, key_sizes(work.target, work.types, one, targets.get(one.name, ())))
        if made.columns:
            plans[one.name] = made
        else:
            omit_table(work, replace(one, columns=()), "no column of it is there")
    for made in plans.values():
        plan_keys(work, made)
    return plans


def _table_problem(work: Work, one: Table) -> str | None:
    if one.foreign is not None:
        return "it is a foreign table, and its rows lie in another server"
    if not one.columns:
        return "a table without columns has no form here"
    problem = work.names.problem(one.name.name) or work.names.problem(one.name.schema)
    if problem is not None:
        return problem
    scope = ("relation", one.name.schema) if work.target.schemas else ("relation",)
    if not work.names.claim(work.names.flat(one.name), *scope):
        return "another table has the same name, as names are compared here"
    return None


def omit_table(work: Work, one: Table, problem: str) -> None:
    """The table and everything on it, each with its own finding."""
    lost = one.foreign is None
    message = f"the table is left out: {problem}"
    work.ledger.omit(at_table(one.name), message, integrity=lost)
    for kind, (section, parts) in {
        "column": ("columns", one.columns),
        "constraint": ("constraints", tuple(one.constraints)),
        "index": ("indexes", one.indexes),
        "trigger": ("triggers", one.triggers),
        "policy": ("policies", one.policies),
        "rule": ("rules", one.rules),
        "statistics object": ("statistics", one.statistics),
    }.items():
        for part in parts:
            place = at_part(one.name, section, part.name)
            work.ledger.omit(
                place, f"the {kind} is left out with its table", integrity=lost and kind == "constraint"
            )


_LISTS = frozenset({"grants", "default_privileges", "raw"})
"""Sections of the spec without keys."""


def _never(kind: str, why: str, field: str, *, integrity: bool = False) -> Make:
    """A kind of object that no target has in PostgreSQL's sense."""

    def make(work: Work, database: Database) -> Iterator[str]:
        for number, one in enumerate(getattr(database, field)):
            name = one.name if hasattr(one, "name") else _described(one)
            key = number if field in _LISTS else _key(one, str(name))
            place = Place(f"{kind} {name}", section=field, key=key)
            work.ledger.omit(place, f"the {kind} is left out: {why}", integrity=integrity)
        return iter(())

    return make


def _key(one: object, name: str) -> str:
    """The key in the spec; that of an overloaded function has its arguments."""
    return f"{name}({one.arguments})" if isinstance(one, Function) else name


def _described(one: object) -> str:
    """A grant's name, which it does not have."""
    parts = [getattr(one, part, None) for part in ("object", "kind", "schema", "role")]
    return " ".join(str(part) for part in parts if part)


KINDS: Mapping[str, Make] = {
    "schemas": _schemas,
    "schema_details": _schema_details,
    "extensions": _extensions,
    "roles": _never("role", "roles belong to the server", "roles"),
    "collations": _never("collation", "texts are compared by code point", "collations"),
    "types": _types,
    "functions": _never("function", "code is never translated", "functions"),
    "sequences": _sequences,
    "tables": _tables,
    "views": lambda work, database: views(work, (*database.views, *database.materialized_views)),
    "materialized_views": lambda work, database: (),  # with the views, which may rest on them
    "servers": _never("foreign server", "other servers are not reached from here", "servers"),
    "event_triggers": _never("event trigger", "there is no such object here", "event_triggers"),
    "publications": _never("publication", "changes are not published from here", "publications"),
    "grants": _never("grant", "rights are given otherwise here", "grants"),
    "default_privileges": _never(
        "default privilege", "rights are given otherwise here", "default_privileges"
    ),
    "raw": _never("statement", "it is known as text only", "raw"),
}
"""Field of the model's Database → what makes its statements. A test holds it complete."""
