"""Keys, unique constraints, checks, exclusions and foreign keys in the target, each as a line of CREATE TABLE."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from sqlglot import exp

from data_platform.model.database import (
    Action,
    Check,
    Exclusion,
    ForeignKey,
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
    name = key.name if work.target.name == "mysql" else _fresh(work, plan, key.name, place)
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
    name = _fresh(work, plan, key.name, place)
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


def _fresh(work: Work, plan: Plan, name: str, place: Place) -> str:
    """A name for a constraint, which in MySQL is also its index's."""
    scope = {
        "mysql": ("index", *_place(plan.table.name)),
        "duckdb": ("constraint", *_place(plan.table.name)),
        "sqlite": ("constraint", *_place(plan.table.name)),
    }.get(work.target.name, ("constraint", plan.table.name.schema))
    return renamed(work, name, place, *scope)


def renamed(work: Work, name: str, place: Place, *scope: str) -> str:
    """`name`, or another if it is taken, which is then said."""
    taken = work.names.fresh(name, *scope)
    if taken != name:
        work.ledger.differs(place, f"it is called `{taken}` here: its own name is taken or too long")
    return taken


def _place(name: Name) -> tuple[str, str]:
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
    scope = ("check", schema) if work.target.name == "mysql" else ("constraint", *_place(plan.table.name))
    free = work.names.fresh(name, *scope) if place is None else renamed(work, name, place, *scope)
    return f"CONSTRAINT {work.names.quoted(free)} CHECK ({condition})"


def exclusion(work: Work, plan: Plan, constraint: Exclusion) -> None:
    """EXCLUDE, which only PostgreSQL has."""
    place = at_constraint(plan.table.name, constraint.name)
    message = "the exclusion constraint is left out: rows that exclude each other are taken"
    fix = "check it in the writing transaction, with the parent row locked"
    work.ledger.omit(place, message, fix, integrity=True)


@dataclass(frozen=True)
class KeyLine:
    """A foreign key: its line, or the statement that adds it later."""

    line: str
    checks: tuple[str, ...] = ()


def foreign_key(
    work: Work,
    plan: Plan,
    key: ForeignKey,
    plans: Mapping[Name, Plan],
    read: frozenset[str],
    *,
    forward: bool,
) -> KeyLine | None:
    """FOREIGN KEY, or None. `read` are the columns that checks and generated columns of the table depend on."""
    place = at_constraint(plan.table.name, key.name)
    problem = _reference_problem(work, plan, key, plans, forward=forward)
    if problem is not None:
        work.ledger.omit(place, f"the foreign key is left out: {problem}", integrity=key.enforced)
        return None
    target = plans[key.target]
    if work.target.foreign_keys == "declared":
        work.ledger.differs(place, f"{work.target.title} declares the foreign key and does not enforce it")
    full = _match_full(work, plan, key, place)
    changed = read | frozenset(plan.columns[name].node.name for name in key.columns) if full else read
    options = [*_actions(work, plan, key, place, changed), *_deferral(work, key, place)]
    if work.target.name == "bigquery":
        options.append("NOT ENFORCED")
    reference = exp.Reference(
        this=exp.Schema(
            this=work.names.relation_node(key.target),
            expressions=[target.columns[name].node.copy() for name in key.target_columns],
        ),
        options=options,
    )
    columns = [plan.columns[name].node.copy() for name in key.columns]
    node = exp.ForeignKey(expressions=columns, reference=reference)
    name = work.names.node(_key_name(work, plan, key, place))
    work.ledger.wrote()
    return KeyLine(write(exp.Constraint(this=name, expressions=[node]), work.target.name), full)


def _reference_problem(
    work: Work, plan: Plan, key: ForeignKey, plans: Mapping[Name, Plan], *, forward: bool
) -> str | None:
    target = plans.get(key.target)
    if work.target.foreign_keys == "none":
        return f"{work.target.title} has no foreign keys"
    if not key.enforced:
        return "it is NOT ENFORCED, which has no counterpart"
    if key.period:
        return "PERIOD has no counterpart"
    if target is None:
        return f"the table {key.target} is not there"
    if not plan.has(key.columns) or not target.has(key.target_columns):
        return "a column of it is not there"
    if forward and not (work.target.late_keys or work.target.early_keys):
        return "the tables refer to each other in a circle, and no key can be added to a table that exists"
    if key.target.schema != plan.table.name.schema and not work.target.keys_across_schemas:
        return "its tables are in two schemas"
    if key.target_columns not in target.keys and work.target.foreign_keys == "enforced":
        return f"the key of {key.target} that it refers to is not there"
    if not work.target.rules_on_generated and any(plan.columns[name].generated for name in key.columns):
        return "a generated column cannot be in a foreign key"
    return work.names.problem(key.name) or _type_problem(work, plan, target, key)


def _type_problem(work: Work, plan: Plan, target: Plan, key: ForeignKey) -> str | None:
    if not work.target.same_key_types:
        return None
    for own, other in zip(key.columns, key.target_columns, strict=True):
        one, two = plan.columns[own].mapped, target.columns[other].mapped
        if one.text != two.text and not (one.kind == two.kind == "text"):
            return f"`{own}` is {one.text} and `{key.target.name}.{other}` is {two.text}"
    return None


def _match_full(work: Work, plan: Plan, key: ForeignKey, place: Place) -> tuple[str, ...]:
    """MATCH FULL as a check that all its columns are NULL or none is."""
    nullable = [name for name in key.columns if plan.columns[name].nullable]
    if not key.match_full or len(key.columns) == 1 or not nullable:
        return ()
    if not work.target.checks:
        work.ledger.lacks(place, "MATCH FULL has no counterpart", integrity=True)
        return ()
    quoted = [work.names.quoted(name) for name in key.columns]
    condition = " AND ".join(f"({quoted[0]} IS NULL) = ({other} IS NULL)" for other in quoted[1:])
    return (named_check(work, plan, f"{key.name}_full", condition),)


def _actions(work: Work, plan: Plan, key: ForeignKey, place: Place, read: frozenset[str]) -> Iterator[str]:
    columns = {plan.columns[name].node.name for name in key.columns}
    for event, action in (("DELETE", key.on_delete), ("UPDATE", key.on_update)):
        problem = _action_problem(work, plan, key, event, action, conflict=bool(columns & read))
        if problem is not None:
            message = f"ON {event} {action.upper()} is left out, so that the parent's row stays: {problem}"
            work.ledger.differs(place, message)
        elif action != "no action" and work.target.name != "bigquery":
            yield f"ON {event} {action.upper()}"


def _action_problem(
    work: Work, plan: Plan, key: ForeignKey, event: str, action: Action, *, conflict: bool
) -> str | None:
    changes = action in ("set null", "set default") or (action == "cascade" and event == "UPDATE")
    if action == "no action":
        return None
    if action not in work.target.actions:
        return f"{work.target.title} has no such action"
    if key.set_columns and event == "DELETE" and set(key.set_columns) != set(key.columns):
        return "it is for some of the columns only"
    if work.target.name == "mysql" and changes and conflict:
        return "a check or a generated column depends on the column that it would change"
    not_null = any(not plan.columns[name].nullable for name in key.columns)
    if work.target.name == "mysql" and action == "set null" and not_null:
        return "a column of the key is NOT NULL"
    return None


def _deferral(work: Work, key: ForeignKey, place: Place) -> Iterator[str]:
    if key.deferral == "not deferrable":
        return
    if not work.target.deferrable_keys:
        work.ledger.differs(place, "the foreign key is checked at once and cannot be deferred")
    elif key.deferral == "initially deferred":
        yield "DEFERRABLE INITIALLY DEFERRED"
    else:
        work.ledger.differs(
            place, "SET CONSTRAINTS is missing: PRAGMA defer_foreign_keys defers all keys at once"
        )
        yield "DEFERRABLE INITIALLY IMMEDIATE"


def _key_name(work: Work, plan: Plan, key: ForeignKey, place: Place) -> str:
    if work.target.name == "mysql":
        name = renamed(work, key.name, place, "foreign key", plan.table.name.schema)
        return renamed(work, name, place, "index", *_place(plan.table.name))
    return _fresh(work, plan, key.name, place)
