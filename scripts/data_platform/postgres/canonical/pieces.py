"""The statements that make the server spell a design's types and expressions, each on a bare copy of its table.

These statements are written here and not by the renderer, so that a fault there cannot hide itself.
"""

from __future__ import annotations

from collections.abc import Iterator

from data_platform.model.database import (
    Composite,
    Domain,
    Function,
    Index,
    IndexElement,
    MaterializedView,
    Partitioning,
    Range,
    Table,
    Trigger,
    Type,
    View,
)
from data_platform.sql import phrases, routines
from data_platform.sql.text import Sql, dotted, identifier, keyword, qualified, type_name

SCHEMA = "dpe canonical"


def table_schema(number: int) -> str:
    """The schema of the bare copy of table `number`. The copy has the table's own name, which its policies may say."""
    return f"dpe canonical {number}"


def generated_name(position: int) -> str:
    """The column that spells the generated column at `position`."""
    return f"dpe generated {position}"


def index_name(relation: str, position: int) -> str:
    """The index that spells the index or exclusion at `position` of the bare copy `relation`."""
    return f"dpe {relation} {position:04}"


def statistics_name(relation: str, position: int) -> str:
    """The statistics object that spells the expressions of the one at `position`."""
    return f"dpe statistics {relation} {position}"


def type_pieces(number: int, type_: Type) -> Iterator[str]:
    """Of the type that becomes `y{number}`."""
    name = qualified(SCHEMA, f"y{number}")
    match type_:
        case Composite():
            fields = ", ".join(
                f"{identifier(part.name)} {type_name(part.type)}{_collation(part.collation)}"
                for part in type_.attributes
            )
            yield f"CREATE TYPE {name} AS ({fields})"
        case Range():
            opclass = f", subtype_opclass = {dotted(type_.opclass)}" if type_.opclass else ""
            yield f"CREATE TYPE {name} AS RANGE (subtype = {type_name(type_.subtype)}{opclass})"
        case Domain():
            yield f"CREATE DOMAIN {name} AS {type_name(type_.base)}" + _collation(type_.collation)
            if type_.default is not None:
                yield f"ALTER DOMAIN {name} SET DEFAULT ({phrases.anything_or_deep(type_.default)})"
            for position, check in enumerate(type_.checks):
                text = phrases.anything_or_deep(check.expression)
                yield f"ALTER DOMAIN {name} ADD CONSTRAINT c{position} CHECK ({text})"


def partitioned_piece(number: int, table: Table) -> str | None:
    """The partitioned table `p{number}` that spells the partitioning of a table that has one."""
    if table.partition_by is None:
        return None
    return f"CREATE TABLE {qualified(SCHEMA, f'p{number}')} ({_columns(table)}) {_partition_by(table.partition_by)}"


def bound_piece(number: int, parent: int, bound: str) -> str:
    """The table `b{number}` that spells the bound of a partition of the table `parent`."""
    name, of = qualified(SCHEMA, f"b{number}"), qualified(SCHEMA, f"p{parent}")
    return f"CREATE TABLE {name} PARTITION OF {of} {phrases.bound(bound)}"


def table_pieces(number: int, table: Table) -> Iterator[str]:
    """Of the bare copy of a table, in a schema of its own."""
    relation = f"t{number}"
    name = qualified(table_schema(number), table.name.name)
    yield f"CREATE SCHEMA {identifier(table_schema(number))}"
    yield f"CREATE TABLE {name} ({_columns(table)})"
    for column in table.columns:
        if column.storage is not None:
            yield f"ALTER TABLE {name} ALTER {identifier(column.name)} SET STORAGE {keyword(column.storage)}"
    for position, column in enumerate(table.columns):
        if column.default is not None:
            text = phrases.anything_or_deep(column.default)
            yield f"ALTER TABLE {name} ALTER {identifier(column.name)} SET DEFAULT ({text})"
        if column.generated is not None:
            text = phrases.anything_or_deep(column.generated.expression)
            extra = identifier(generated_name(position))
            yield f"ALTER TABLE {name} ADD {extra} {type_name(column.type)} GENERATED ALWAYS AS ({text}) STORED"
    for position, check in enumerate(table.checks):
        yield f"ALTER TABLE {name} ADD CONSTRAINT c{position} CHECK ({phrases.anything_or_deep(check.expression)})"
    keys = [(index.method, index.elements, index.where) for index in table.indexes]
    keys += [
        (part.method, tuple(item.element for item in part.elements), part.where) for part in table.exclusions
    ]
    for position, (method, elements, where) in enumerate(keys):
        yield _index(relation, name, position, method, elements, where)
    yield from _hanging_pieces(relation, name, table)


def _columns(table: Table) -> str:
    return ", ".join(
        f"{identifier(c.name)} {type_name(c.type)}{_collation(c.collation)}" for c in table.columns
    )


def _hanging_pieces(relation: str, name: Sql, table: Table) -> Iterator[str]:
    for position, policy in enumerate(table.policies):
        using = f" USING ({phrases.condition(policy.using)})" if policy.using is not None else ""
        with_check = (
            f" WITH CHECK ({phrases.condition(policy.with_check)})" if policy.with_check is not None else ""
        )
        yield f"CREATE POLICY c{position} ON {name} FOR {keyword(policy.command)}{using}{with_check}"
    for position, trigger in enumerate(table.triggers):
        if trigger.when is not None:
            yield _trigger(name, position, trigger)
    for position, statistics in enumerate(table.statistics):
        listed = ", ".join(
            f"({phrases.anything_or_deep(part.expression)})" for part in statistics.on if part.expression
        )
        if listed:
            yield f"CREATE STATISTICS {qualified(SCHEMA, statistics_name(relation, position))} ON {listed} FROM {name}"


def _trigger(name: Sql, position: int, trigger: Trigger) -> str:
    events = " OR ".join(str(keyword(event)) for event in trigger.events)
    timing = "AFTER" if trigger.timing == "after" else "BEFORE"
    function = qualified(trigger.function.schema, trigger.function.name)
    level = keyword(trigger.level)
    return (
        f"CREATE TRIGGER c{position} {timing} {events} ON {name} "
        f"FOR EACH {level} WHEN ({phrases.anything_or_deep(trigger.when or '')}) EXECUTE FUNCTION {function}()"
    )


def view_pieces(number: int, view: View | MaterializedView) -> Iterator[str]:
    """Of the view that becomes `v{number}`; a materialized one's indexes stand on the table `w{number}`."""
    yield f"CREATE VIEW {qualified(SCHEMA, f'v{number}')} AS {phrases.query(view.query)}"
    indexes: tuple[Index, ...] = view.indexes if isinstance(view, MaterializedView) else ()
    if indexes:
        yield f"CREATE TABLE {qualified(SCHEMA, f'w{number}')} AS {phrases.query(view.query)} WITH NO DATA"
    for position, index in enumerate(indexes):
        relation = f"w{number}"
        name = qualified(SCHEMA, relation)
        yield _index(relation, name, position, index.method, index.elements, index.where)


def function_piece(number: int, function: Function) -> str:
    """Of the function that becomes `f{number}`, with a body that does nothing unless its text is spelled too."""
    kind = "PROCEDURE" if function.procedure else "FUNCTION"
    returns = f" RETURNS {routines.returned(function.returns)}" if function.returns is not None else ""
    body = routines.sql_body(function.sql_body) if function.sql_body is not None else "AS ''"
    head = (
        f"CREATE {kind} {qualified(SCHEMA, f'f{number}')}({routines.arguments(function.arguments)}){returns}"
    )
    return f"{head} LANGUAGE {identifier(function.language)} {body}"


def _index(
    relation: str,
    table: Sql,
    position: int,
    method: str,
    elements: tuple[IndexElement, ...],
    where: str | None,
) -> str:
    listed = ", ".join(_element(element) for element in elements)
    predicate = f" WHERE {phrases.anything_or_deep(where)}" if where is not None else ""
    index = identifier(index_name(relation, position))
    return f"CREATE INDEX {index} ON {table} USING {identifier(method)} ({listed}){predicate}"


def _partition_by(partitioning: Partitioning) -> str:
    listed = ", ".join(_element(element) for element in partitioning.key)
    return f"PARTITION BY {keyword(partitioning.strategy)} ({listed})"


def _element(element: IndexElement) -> str:
    if element.column is not None:
        key = str(identifier(element.column))
    else:
        assert element.expression is not None
        key = f"({phrases.anything_or_deep(element.expression)})"
    opclass = f" {dotted(element.opclass)}" if element.opclass else ""
    return key + _collation(element.collation) + opclass


def _collation(name: str | None) -> str:
    return f" COLLATE {phrases.collation(name)}" if name else ""
