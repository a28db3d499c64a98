"""What hangs on a table or view: indexes, triggers, rules, policies, statistics."""

from __future__ import annotations

from collections.abc import Iterator

from data_platform.ddl.clauses import (
    element_clause,
    element_needs,
    function,
    index_needs,
    index_sql,
    optional_needs,
    relation,
)
from data_platform.ddl.piece import Piece, Section, Statement
from data_platform.ddl.small import alter, comment, on
from data_platform.model.database import (
    Enabled,
    Index,
    MaterializedView,
    Name,
    Policy,
    Rule,
    Statistics,
    Table,
    Trigger,
    View,
)
from data_platform.sql.phrases import number
from data_platform.sql.references import References, of_script
from data_platform.sql.templates import render
from data_platform.sql.text import Sql, identifier, identifiers, joined, keyword, qualified_name

_ENABLED: dict[Enabled, str] = {
    "disabled": "disable",
    "replica": "enable replica",
    "always": "enable always",
}


def index_pieces(owner: Table | MaterializedView, index: Index, section: Section) -> Iterator[Piece]:
    """CREATE INDEX and the statistics of its expressions."""
    name = Name(owner.name.schema, index.name)
    place = owner.name if section == "tables" else None
    runs = index.where is not None or any(element.expression is not None for element in index.elements)
    yield Piece(
        statement=Statement(index_sql(owner.name, index), f"index {index.name}", section, place),
        makes=(relation(name),),
        needs=index_needs(owner.name, index),
        runs=runs,
    )
    for column, target in index.statistics:
        action = Sql(f"ALTER COLUMN {number(column)} SET STATISTICS {number(target)}")
        yield alter("index", qualified_name(name), action, f"index {index.name}", section, place)


def index_comments(owner: Table | MaterializedView, section: Section) -> Iterator[Piece]:
    """COMMENT ON INDEX."""
    place = owner.name if section == "tables" else None
    for index in owner.indexes:
        if index.comment is not None:
            object_ = qualified_name(Name(owner.name.schema, index.name))
            yield comment("index", object_, index.comment, f"index {index.name}", section, place)


def trigger_pieces(owner: Table | View, section: Section) -> Iterator[Piece]:
    """CREATE TRIGGER, when it fires, and its comment."""
    place = owner.name if section == "tables" else None
    for trigger in owner.triggers:
        made = f"trigger {trigger.name} on {owner.name}"
        events = joined(" OR ", (_event(trigger, event) for event in trigger.events))
        sql = render("ddl/trigger.sql.j2", trigger=trigger, table=owner.name, events=events)
        others = (relation(trigger.from_table),) if trigger.from_table else ()
        yield Piece(
            statement=Statement(sql, made, section, place),
            needs=(
                relation(owner.name),
                function(trigger.function),
                *others,
                *optional_needs(trigger.when),
            ),
        )
        if trigger.enabled != "origin":
            action = Sql(f"{keyword(_ENABLED[trigger.enabled])} TRIGGER {identifier(trigger.name)}")
            yield alter("table", qualified_name(owner.name), action, made, section, place)
        if trigger.comment is not None:
            yield comment("trigger", on(trigger.name, owner.name), trigger.comment, made, section, place)


def _event(trigger: Trigger, event: str) -> Sql:
    if event == "update" and trigger.update_of:
        return Sql(f"UPDATE OF {identifiers(trigger.update_of)}")
    return keyword(event)


def rule_pieces(owner: Table | View, section: Section) -> Iterator[Piece]:
    """CREATE RULE, when it applies, and its comment."""
    place = owner.name if section == "tables" else None
    for rule in owner.rules:
        made = f"rule {rule.name} on {owner.name}"
        yield Piece(
            statement=Statement(render("ddl/rule.sql.j2", rule=rule), made, section, place),
            needs=of_script(rule.sql),
        )
        yield from _rule_state(owner, rule, made, section)
        if rule.comment is not None:
            yield comment("rule", on(rule.name, owner.name), rule.comment, made, section, place)


def _rule_state(owner: Table | View, rule: Rule, made: str, section: Section) -> Iterator[Piece]:
    if rule.enabled != "origin":
        action = Sql(f"{keyword(_ENABLED[rule.enabled])} RULE {identifier(rule.name)}")
        place = owner.name if section == "tables" else None
        yield alter("table", qualified_name(owner.name), action, made, section, place)


def policy_pieces(table: Table) -> Iterator[Piece]:
    """Row security, its policies and their comments."""
    actions = {"off": (), "on": ("enable",), "forced": ("enable", "force")}[table.row_security]
    for word in actions:
        action = keyword(f"{word} row level security")
        made = f"row security of {table.name}"
        yield alter("table", qualified_name(table.name), action, made, "tables", table.name)
    for policy in table.policies:
        made = f"policy {policy.name} on {table.name}"
        sql = render("ddl/policy.sql.j2", policy=policy, table=table.name)
        yield Piece(statement=Statement(sql, made, "tables", table.name), needs=_policy_needs(table, policy))
        if policy.comment is not None:
            yield comment("policy", on(policy.name, table.name), policy.comment, made, "tables", table.name)


def _policy_needs(table: Table, policy: Policy) -> References:
    return (relation(table.name), *optional_needs(policy.using), *optional_needs(policy.with_check))


def statistics_pieces(owner: Table | MaterializedView, section: Section) -> Iterator[Piece]:
    """CREATE STATISTICS, its target and its comment."""
    place = owner.name if section == "tables" else None
    for statistics in owner.statistics:
        name = Name(statistics.schema or owner.name.schema, statistics.name)
        made = f"statistics {statistics.name}"
        yield Piece(
            statement=Statement(_statistics_sql(owner.name, name, statistics), made, section, place),
            needs=(relation(owner.name), *element_needs(*statistics.on)),
        )
        if statistics.target is not None:
            action = Sql(f"SET STATISTICS {number(statistics.target)}")
            yield alter("statistics", qualified_name(name), action, made, section, place)
        if statistics.comment is not None:
            yield comment("statistics", qualified_name(name), statistics.comment, made, section, place)


def _statistics_sql(table: Name, name: Name, statistics: Statistics) -> Sql:
    kinds = identifiers(statistics.kinds)
    elements = [element_clause(element) for element in statistics.on]
    return render(
        "ddl/statistics.sql.j2", statistics=statistics, name=name, kinds=kinds, elements=elements, table=table
    )


def clustered(owner: Table | MaterializedView, kind: str, section: Section) -> Iterator[Piece]:
    """CLUSTER ON."""
    if owner.cluster_on is not None:
        action = Sql(f"CLUSTER ON {identifier(owner.cluster_on)}")
        place = owner.name if section == "tables" else None
        yield alter(kind, qualified_name(owner.name), action, f"clustering of {owner.name}", section, place)
