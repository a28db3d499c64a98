"""Foreign keys in the target: which can be there, what a change of the parent's row does, MATCH FULL as a check."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from sqlglot import exp

from data_platform.model.database import Action, ForeignKey, Name
from data_platform.schema.dialects.columns import Plan
from data_platform.schema.dialects.constraints import constraint_name, named_check, parts, renamed
from data_platform.schema.dialects.ledger import Place, at_constraint
from data_platform.schema.dialects.work import Work
from data_platform.schema.dialects.writing import write


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
    if work.target.name == "mysql" and key.target.schema == "public" != plan.table.name.schema:
        return "it leads from another database into the one that the file is run in, whose name is not known"
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
    if work.target.name == "mysql" and action == "cascade" and _is_computed_from(plan, key):
        return "MySQL refuses CASCADE on a column from which a stored one is computed"
    not_null = any(not plan.columns[name].nullable for name in key.columns)
    if work.target.name == "mysql" and action == "set null" and not_null:
        return "a column of the key is NOT NULL"
    return None


def _is_computed_from(plan: Plan, key: ForeignKey) -> bool:
    columns = {plan.columns[name].node.name for name in key.columns}
    stored = (one for one in plan.columns.values() if one.column.generated and one.column.generated.stored)
    return any(one.generated is not None and columns & one.generated.columns for one in stored)


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
        return renamed(work, name, place, "index", *parts(plan.table.name))
    return constraint_name(work, plan, key.name, place)
