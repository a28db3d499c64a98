"""Keys, unique constraints, checks and exclusions in the target, each as a line of CREATE TABLE."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from sqlglot import exp

from data_platform.model.database import (
    Check,
    Exclusion,
    Index,
    IndexElement,
    Name,
    PrimaryKey,
    Unique,
)
from data_platform.schema.dialects.columns import Plan
from data_platform.schema.dialects.ledger import Place, at_constraint
from data_platform.schema.dialects.literals import Untranslatable
from data_platform.schema.dialects.targets import Keys
from data_platform.schema.dialects.work import Work
from data_platform.schema.dialects.writing import write

_NOT_IN_KEYS: Mapping[str, frozenset[str]] = {
    "mysql": frozenset({"json", "array", "composite", "vector"}),
    "duckdb": frozenset({"array", "composite", "vector"}),
    "bigquery": frozenset({"array", "composite", "vector", "json"}),
    "snowflake": frozenset(),
    "sqlite": frozenset(),
    "spark": frozenset(),
}


@dataclass(frozen=True)
class Line:
    """A constraint that is written, and the columns of the target that it reads (of a CHECK)."""

    sql: str
    reads: frozenset[str] = frozenset()


def primary_key(work: Work, plan: Plan, key: PrimaryKey) -> str | None:
    """PRIMARY KEY, or None."""
    place = at_constraint(plan.table.name, key.name)
    if not _key_fits(work, plan, key, work.target.keys):
        return None
    _unsaid_of_key(work, place, key)
    compared(work, plan, place, key.columns, not_distinct=False)
    plan.keys.add(key.columns)
    node: exp.Expr = exp.PrimaryKey(expressions=[plan.columns[name].node.copy() for name in key.columns])
    work.ledger.wrote()
    if work.target.name == "bigquery":
        return f"{write(node, 'bigquery')} NOT ENFORCED"
    name = key.name if work.target.name == "mysql" else constraint_name(work, plan, key.name, place)
    return write(exp.Constraint(this=work.names.node(name), expressions=[node]), work.target.name)


def unique(work: Work, plan: Plan, key: Unique) -> str | None:
    """UNIQUE, or None: then it is left out, or it will be a unique index."""
    place = at_constraint(plan.table.name, key.name)
    if not _key_fits(work, plan, key, work.target.uniques):
        return None
    _unsaid_of_key(work, place, key)
    if needs_index(work, plan, key.columns, not_distinct=key.nulls_not_distinct):
        elements = tuple(IndexElement(column=name) for name in key.columns)
        plan.as_indexes.append(
            Index(name=key.name, elements=elements, unique=True, nulls_not_distinct=key.nulls_not_distinct)
        )
        return None
    compared(work, plan, place, key.columns, not_distinct=key.nulls_not_distinct)
    plan.keys.add(key.columns)
    listed = exp.Schema(expressions=[plan.columns[name].node.copy() for name in key.columns])
    node = exp.UniqueColumnConstraint(this=listed)
    name = constraint_name(work, plan, key.name, place)
    work.ledger.wrote()
    return write(exp.Constraint(this=work.names.node(name), expressions=[node]), work.target.name)


def needs_index(work: Work, plan: Plan, columns: tuple[str, ...], *, not_distinct: bool) -> bool:
    """Whether only a unique index on expressions keeps the rule."""
    planned = [plan.columns[name] for name in columns]
    nulls = not_distinct and any(one.nullable for one in planned)
    without_case = work.target.name == "duckdb" and any(one.mapped.kind == "citext" for one in planned)
    return work.target.expression_indexes and (nulls or without_case)


def compared(work: Work, plan: Plan, place: Place, columns: tuple[str, ...], *, not_distinct: bool) -> None:
    """Where a key of plain columns takes other rows for equal than PostgreSQL does."""
    if not_distinct and any(plan.columns[name].nullable for name in columns):
        message = "NULLS NOT DISTINCT has no counterpart: rows that have NULL in the key are not told apart"
        work.ledger.lacks(place, message, integrity=True)
    texts = [name for name in columns if plan.columns[name].mapped.kind in ("text", "citext")]
    if texts and work.target.name == "mysql":
        work.ledger.differs(place, "texts that differ only in spaces at the end are one key in MySQL")
    if work.target.name == "duckdb" and any(plan.columns[n].mapped.kind == "citext" for n in columns):
        message = "DuckDB compares the primary key with case"
        work.ledger.lacks(place, message, "add a unique index on lower(…)", integrity=True)


def _key_fits(work: Work, plan: Plan, key: PrimaryKey | Unique, how: Keys) -> bool:
    place = at_constraint(plan.table.name, key.name)
    problem = key_problem(work, plan, key.columns) or work.names.problem(key.name)
    if how == "none":
        problem = f"{work.target.title} has no such constraint"
    elif key.without_overlaps:
        problem = "WITHOUT OVERLAPS has no counterpart"
    if problem is not None:
        work.ledger.omit(place, f"the key is left out: {problem}", integrity=True)
        return False
    if how == "declared":
        work.ledger.differs(place, f"{work.target.title} declares the key and does not enforce it")
    return True


def key_problem(work: Work, plan: Plan, columns: tuple[str, ...]) -> str | None:
    """Why these columns cannot be a key here, or None."""
    if not plan.has(columns):
        return "a column of it is not there"
    planned = [plan.columns[name] for name in columns]
    kinds = {one.mapped.kind for one in planned}
    if kinds & _NOT_IN_KEYS[work.target.name]:
        return (
            f"a value of type {', '.join(sorted(kinds & _NOT_IN_KEYS[work.target.name]))} cannot be in a key"
        )
    if not work.target.rules_on_generated and any(one.generated for one in planned):
        return "a generated column cannot be in a key"
    return None


def _unsaid_of_key(work: Work, place: Place, key: PrimaryKey | Unique) -> None:
    if key.deferral != "not deferrable":
        work.ledger.differs(place, "the key is checked at once and cannot be deferred")
    if key.include:
        work.ledger.differs(place, f"INCLUDE ({', '.join(key.include)}) is left out of the index")


def constraint_name(work: Work, plan: Plan, name: str, place: Place) -> str:
    """A name for a constraint, which in MySQL is also its index's."""
    scope = {
        "mysql": ("index", *parts(plan.table.name)),
        "duckdb": ("constraint", *parts(plan.table.name)),
        "sqlite": ("constraint", *parts(plan.table.name)),
    }.get(work.target.name, ("constraint", plan.table.name.schema))
    return renamed(work, name, place, *scope)


def renamed(work: Work, name: str, place: Place, *scope: str) -> str:
    """`name`, or another if it is taken, which is then said."""
    taken = work.names.fresh(name, *scope)
    if taken != name:
        work.ledger.differs(place, f"it is called `{taken}` here: its own name is taken or too long")
    return taken


def parts(name: Name) -> tuple[str, str]:
    """A table, as a part of the scope of names."""
    return (name.schema, name.name)


def check(work: Work, plan: Plan, constraint: Check) -> Line | None:
    """CHECK, or None."""
    place = at_constraint(plan.table.name, constraint.name)
    try:
        if not work.target.checks:
            raise Untranslatable(f"{work.target.title} has no CHECK")
        if not constraint.enforced:
            raise Untranslatable("it is NOT ENFORCED, which has no counterpart")
        if problem := work.names.problem(constraint.name):
            raise Untranslatable(problem)
        scope = plan.scope(through_generated=not work.target.rules_on_generated)
        made = work.translate(constraint.expression, scope, place, volatile=work.target.volatile_checks)
        if made.typed.kind not in ("boolean", "literal"):
            raise Untranslatable("it is no condition")
        if plan.counter is not None and plan.columns[plan.counter].node.name in made.columns:
            raise Untranslatable("it reads an AUTO_INCREMENT column")
    except Untranslatable as reason:
        work.ledger.omit(place, f"the check is left out: {reason}", integrity=constraint.enforced)
        return None
    if not constraint.validated:
        work.ledger.remark(place, "NOT VALID in PostgreSQL: old rows may break it and cannot be loaded here")
    work.ledger.wrote()
    return Line(named_check(work, plan, constraint.name, made.text, place), made.columns)


def named_check(work: Work, plan: Plan, name: str | None, condition: str, place: Place | None = None) -> str:
    """`[CONSTRAINT name] CHECK (condition)`. Without a place the name is one of ours, and may be another."""
    if name is None or work.names.problem(name[: work.target.max_name]):
        return f"CHECK ({condition})"
    schema = plan.table.name.schema
    scope = ("check", schema) if work.target.name == "mysql" else ("constraint", *parts(plan.table.name))
    free = work.names.fresh(name, *scope) if place is None else renamed(work, name, place, *scope)
    return f"CONSTRAINT {work.names.quoted(free)} CHECK ({condition})"


def exclusion(work: Work, plan: Plan, constraint: Exclusion) -> None:
    """EXCLUDE, which only PostgreSQL has."""
    place = at_constraint(plan.table.name, constraint.name)
    message = "the exclusion constraint is left out: rows that exclude each other are taken"
    fix = "check it in the writing transaction, with the parent row locked"
    work.ledger.omit(place, message, fix, integrity=True)
