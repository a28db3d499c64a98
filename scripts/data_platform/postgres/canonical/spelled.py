"""The parts of a design with the texts that the server made of their copies."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import TypeVar

from data_platform.model.database import (
    Check,
    CollationObject,
    Column,
    Composite,
    Database,
    Domain,
    Enum,
    Exclusion,
    Function,
    Generated,
    Index,
    IndexElement,
    MaterializedView,
    Name,
    Policy,
    Publication,
    Range,
    Role,
    Rule,
    Sequence,
    SequenceOptions,
    Statistics,
    Table,
    Trigger,
    Type,
    Unique,
)
from data_platform.postgres.canonical import pieces
from data_platform.postgres.catalog.sequences import usual_options

_Part = TypeVar("_Part", Index, Exclusion, Unique)

_EVENTS = ("insert", "update", "delete", "truncate")


class Copies:
    """What the server made of the pieces, by the copy's name."""

    def __init__(self, found: Database) -> None:
        schema = pieces.SCHEMA
        self.types = {type_.name.name: type_ for type_ in found.types if type_.name.schema == schema}
        self.relations = {table.name.name: table for table in found.tables if table.name.schema == schema}
        self.tables = {table.name.schema: table for table in found.tables}
        self.views = {view.name.name: view for view in found.views if view.name.schema == schema}
        self.functions = {f.name.name: f for f in found.functions if f.name.schema == schema}


def spelled(database: Database, copies: Copies, found: Database) -> Database:
    """All but extensions, grants and raw objects."""
    types = sorted(database.types, key=lambda type_: type_.name)
    first_materialized = len(database.views)
    tables = {table.name: table for table in database.tables}
    rules = {table.name: table.rules for table in found.tables}
    rules |= {view.name: view.rules for view in found.views}
    return replace(
        database,
        types=tuple(_type(type_, copies.types.get(f"y{n}")) for n, type_ in enumerate(types)),
        functions=tuple(
            _function(function, copies.functions.get(f"f{n}"), _same_name(function, found))
            for n, function in enumerate(database.functions)
        ),
        tables=tuple(
            _table(_settled(table, tables), n, copies, rules.get(table.name, ()))
            for n, table in enumerate(database.tables)
        ),
        views=tuple(
            replace(
                view,
                query=copies.views[f"v{n}"].query,
                triggers=tuple(map(_trigger, view.triggers)),
                rules=_rules(view.rules, rules.get(view.name, ())),
            )
            for n, view in enumerate(database.views)
        ),
        materialized_views=tuple(
            _materialized(view, n, copies)
            for n, view in enumerate(database.materialized_views, first_materialized)
        ),
        sequences=tuple(map(_sequence, database.sequences)),
        roles=tuple(_role(role, found.roles) for role in database.roles),
        collations=tuple(_collation(part, found.collations) for part in database.collations),
        publications=tuple(_publication(part, found.publications, tables) for part in database.publications),
        event_triggers=tuple(
            replace(part, tags=tuple(sorted(part.tags))) for part in database.event_triggers
        ),
    )


def without_followers(table: Table, listed: Table) -> Table:
    """A partition's catalog entry without the keys and indexes that `listed` leaves to its parent."""
    return replace(
        table,
        primary_key=table.primary_key if listed.primary_key else None,
        uniques=_named(table.uniques, listed.uniques),
        exclusions=_named(table.exclusions, listed.exclusions),
        indexes=_named(table.indexes, listed.indexes),
    )


def _named(parts: tuple[_Part, ...], listed: tuple[_Part, ...]) -> tuple[_Part, ...]:
    names = {part.name for part in listed}
    return tuple(part for part in parts if part.name in names)


def _type(type_: Type, copy: Type | None) -> Type:
    match type_, copy:
        case Domain(), Domain():
            checks = {check.name: check.expression for check in copy.checks}
            return replace(
                type_,
                base=copy.base,
                # A domain over a domain inherits its default, so this may be more than the author wrote.
                default=copy.default,
                collation=copy.collation,
                checks=tuple(
                    sorted(
                        (
                            replace(check, expression=checks[f"c{position}"])
                            for position, check in enumerate(type_.checks)
                        ),
                        key=lambda check: check.name,
                    )
                ),
                comment=type_.comment or None,
            )
        case Composite(), Composite():
            attributes = tuple(
                replace(part, comment=own.comment or None)
                for own, part in zip(type_.attributes, copy.attributes, strict=True)
            )
            return replace(type_, attributes=attributes, comment=type_.comment or None)
        case Range(), Range():
            return replace(type_, subtype=copy.subtype, opclass=copy.opclass, comment=type_.comment or None)
        case Enum(), _:
            return replace(type_, comment=type_.comment or None)
        case _:
            return type_


def _function(function: Function, copy: Function | None, applied: Function | None) -> Function:
    """A function in C has no copy; of one that is there the server's text is taken."""
    spelled_by = copy or applied or function
    settings = applied.settings if applied and applied.settings and function.settings else function.settings
    return replace(
        function,
        arguments=spelled_by.arguments,
        returns=spelled_by.returns,
        sql_body=spelled_by.sql_body,
        settings=settings,
        comment=function.comment or None,
    )


def _same_name(function: Function, found: Database) -> Function | None:
    """The only function of that name in the catalog; overloads are not told apart."""
    same = [other for other in found.functions if other.name == function.name]
    return same[0] if len(same) == 1 else None


def _settled(table: Table, tables: Mapping[Name, Table]) -> Table:
    """The table with what PostgreSQL does to its columns by itself: keys and identities are NOT NULL, and a partition
    has its parent's identities."""
    parent = tables.get(table.partition_of.table) if table.partition_of else None
    identities = {column.name: column.identity for column in parent.columns} if parent else {}
    keys = table.primary_key.columns if table.primary_key else ()
    columns = (
        replace(column, identity=column.identity or identities.get(column.name)) for column in table.columns
    )
    return replace(
        table,
        columns=tuple(
            replace(column, nullable=column.nullable and not column.identity and column.name not in keys)
            for column in columns
        ),
        access_method=None if table.access_method == "heap" else table.access_method,
    )


def _table(table: Table, number: int, copies: Copies, rules: tuple[Rule, ...]) -> Table:
    copy, relation = copies.tables[pieces.table_schema(number)], f"t{number}"
    checks = {check.name: check.expression for check in copy.checks}
    indexes = {index.name: index for index in copy.indexes}
    triggers = {trigger.name: trigger for trigger in copy.triggers}
    policies = {policy.name: policy for policy in copy.policies}

    def index_at(position: int) -> Index:
        return indexes[pieces.index_name(relation, position)]

    partitioned, partition = copies.relations.get(f"p{number}"), copies.relations.get(f"b{number}")
    partition_of = table.partition_of
    if partition_of and partition and partition.partition_of:
        partition_of = replace(partition_of, bound=partition.partition_of.bound)
    return replace(
        table,
        columns=tuple(_column(column, position, copy) for position, column in enumerate(table.columns)),
        checks=tuple(_check(check, checks[f"c{position}"]) for position, check in enumerate(table.checks)),
        indexes=tuple(_index(index, index_at(position)) for position, index in enumerate(table.indexes)),
        exclusions=tuple(
            _exclusion(part, index_at(len(table.indexes) + position))
            for position, part in enumerate(table.exclusions)
        ),
        triggers=tuple(
            _trigger(trigger, triggers.get(f"c{position}")) for position, trigger in enumerate(table.triggers)
        ),
        policies=tuple(
            _policy(policy, policies[f"c{position}"]) for position, policy in enumerate(table.policies)
        ),
        statistics=tuple(
            _statistics(part, relation, position, copy) for position, part in enumerate(table.statistics)
        ),
        rules=_rules(table.rules, rules),
        partition_by=partitioned.partition_by if partitioned else table.partition_by,
        partition_of=partition_of,
        foreign_keys=tuple(
            replace(key, validated=key.validated or not key.enforced) for key in table.foreign_keys
        ),
        comment=table.comment or None,
    )


def _column(column: Column, position: int, copy: Table) -> Column:
    piece = copy.column(column.name)
    generated = column.generated
    if generated is not None:
        text = copy.column(pieces.generated_name(position)).generated
        assert text is not None
        generated = Generated(expression=text.expression, stored=generated.stored)
    return replace(
        column,
        type=piece.type,
        storage=piece.storage,
        default=_text(column.default, piece.default),
        generated=generated,
        collation=piece.collation,
        comment=column.comment or None,
        sequence=usual_options(column.sequence, column.type) if column.sequence else None,
    )


def _check(check: Check, expression: str) -> Check:
    return replace(
        check,
        expression=expression,
        validated=check.validated or not check.enforced,
        comment=check.comment or None,
    )


def _index(index: Index, copy: Index) -> Index:
    return replace(
        index,
        elements=tuple(map(_element, index.elements, copy.elements)),
        where=_text(index.where, copy.where),
        comment=index.comment or None,
    )


def _exclusion(part: Exclusion, copy: Index) -> Exclusion:
    return replace(
        part,
        elements=tuple(
            replace(item, element=_element(item.element, element))
            for item, element in zip(part.elements, copy.elements, strict=True)
        ),
        where=_text(part.where, copy.where),
    )


def _element(element: IndexElement, copy: IndexElement) -> IndexElement:
    return replace(
        element,
        # `(total)` is an expression to the author and a column to the server.
        column=copy.column,
        expression=copy.expression,
        collation=copy.collation,
        # One with parameters must be named.
        opclass=copy.opclass or (element.opclass if element.opclass_options else None),
    )


def _trigger(trigger: Trigger, copy: Trigger | None = None) -> Trigger:
    events = tuple(sorted(trigger.events, key=_EVENTS.index))
    return replace(
        trigger,
        events=events,
        when=copy.when if copy else trigger.when,
        deferral=trigger.deferral,
        comment=trigger.comment or None,
    )


def _policy(policy: Policy, copy: Policy) -> Policy:
    return replace(
        policy,
        using=_text(policy.using, copy.using),
        with_check=_text(policy.with_check, copy.with_check),
        roles=tuple(sorted(policy.roles)),
        comment=policy.comment or None,
    )


def _statistics(part: Statistics, relation: str, position: int, copy: Table) -> Statistics:
    name = pieces.statistics_name(relation, position)
    expressions = next((other.on for other in copy.statistics if other.name == name), ())
    columns = tuple(element for element in part.on if element.column is not None)
    every = len(part.kinds) == len(("dependencies", "mcv", "ndistinct"))
    return replace(part, on=(*columns, *expressions), kinds=() if every else tuple(sorted(part.kinds)))


def _rules(rules: tuple[Rule, ...], found: tuple[Rule, ...]) -> tuple[Rule, ...]:
    texts = {rule.name: rule.sql for rule in found}
    return tuple(replace(rule, sql=texts.get(rule.name, rule.sql)) for rule in rules)


def _materialized(view: MaterializedView, number: int, copies: Copies) -> MaterializedView:
    copy = copies.relations.get(f"w{number}")
    texts = {index.name: index for index in copy.indexes} if copy else {}
    return replace(
        view,
        query=copies.views[f"v{number}"].query,
        access_method=None if view.access_method == "heap" else view.access_method,
        indexes=tuple(
            _index(index, texts[pieces.index_name(f"w{number}", position)])
            for position, index in enumerate(view.indexes)
        ),
        comment=view.comment or None,
    )


def _sequence(sequence: Sequence) -> Sequence:
    return replace(
        sequence,
        sequence=usual_options(sequence.sequence, sequence.type) or SequenceOptions(),
        comment=sequence.comment or None,
    )


def _role(role: Role, found: Iterable[Role]) -> Role:
    """A role is the cluster's: that it is there counts, what else it may do was there before."""
    return next((other for other in found if other.name == role.name), role)


def _collation(part: CollationObject, found: Iterable[CollationObject]) -> CollationObject:
    """A collation's parameters have several spellings; of one that is there the server's is taken."""
    other = next((other for other in found if other.name == part.name), part)
    return replace(part, options=other.options)


def _publication(
    part: Publication, found: Iterable[Publication], tables: Mapping[Name, Table]
) -> Publication:
    """The row filters as the server prints them, columns in the order of their table."""
    texts: Mapping[Name, str | None] = {
        table.table: table.where for other in found if other.name == part.name for table in other.tables
    }
    published = (
        replace(
            table,
            where=_text(table.where, texts.get(table.table)),
            columns=_in_order(table.columns, tables.get(table.table)),
        )
        for table in sorted(part.tables, key=lambda table: table.table)
    )
    return replace(part, tables=tuple(published), schemas=tuple(sorted(part.schemas)))


def _in_order(columns: tuple[str, ...], table: Table | None) -> tuple[str, ...]:
    order = [column.name for column in table.columns] if table else list(columns)
    return tuple(sorted(columns, key=lambda name: order.index(name) if name in order else len(order)))


def _text(author: str | None, server: str | None) -> str | None:
    """The server's spelling of what the author wrote; nothing that the author did not write."""
    return server if author is not None else None
