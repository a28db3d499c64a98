"""What stands in statements of several kinds: columns, constraints, keys of indexes, options of sequences."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain

from data_platform.model.database import (
    Check,
    Column,
    Constraint,
    Exclusion,
    ForeignKey,
    Index,
    IndexElement,
    Name,
    PrimaryKey,
    SequenceOptions,
    Unique,
)
from data_platform.sql.references import Reference, References, of_expression, of_type
from data_platform.sql.templates import render
from data_platform.sql.text import Sql

_CONSTRAINTS: dict[type[Constraint], str] = {
    PrimaryKey: "primary_key",
    Unique: "unique",
    Check: "check",
    Exclusion: "exclusion",
    ForeignKey: "foreign_key",
}


def column_clause(column: Column, width: int = 0, *, typed: bool = False, foreign: bool = False) -> Sql:
    """`name type …` as in CREATE TABLE, the name padded to `width`; of a typed or a foreign table where it says so."""
    sequence = None
    if column.sequence is not None or column.sequence_name is not None:
        sequence = sequence_options(column.sequence or SequenceOptions(), column.sequence_name)
    return render(
        "ddl/column.sql.j2", column=column, width=width, typed=typed, foreign=foreign, sequence=sequence
    )


def sequence_options(options: SequenceOptions, name: Name | None = None) -> Sql:
    """`INCREMENT BY 2 …`, empty where all is PostgreSQL's default; `name` is that of an identity column's sequence."""
    return render("ddl/sequence_options.sql.j2", options=options, name=name)


def constraint_clause(constraint: Constraint) -> Sql:
    """`CONSTRAINT name …`."""
    elements: list[Sql] = []
    if isinstance(constraint, Exclusion):
        elements = [element_clause(item.element, item.operator) for item in constraint.elements]
    template = f"ddl/{_CONSTRAINTS[type(constraint)]}.sql.j2"
    return render(template, constraint=constraint, elements=elements)


def index_sql(table: Name, index: Index) -> Sql:
    """CREATE INDEX."""
    elements = [element_clause(element) for element in index.elements]
    return render("ddl/index.sql.j2", table=table, index=index, elements=elements)


def element_clause(element: IndexElement, operator: str | None = None) -> Sql:
    """One key of an index, a partitioning, a statistics object or (with its operator) an exclusion constraint."""
    return render("ddl/element.sql.j2", element=element, operator=operator)


# --- what they refer to ---


def column_needs(column: Column, *, typed: bool = False) -> References:
    """What a column needs beside its default."""
    needs = () if typed else of_type(column.type) + collation_needs(column.collation)
    return needs + (of_expression(column.generated.expression) if column.generated else ())


def collation_needs(collation: str | None) -> References:
    """What a collation outside pg_catalog needs."""
    if collation is None or not collation.endswith('"'):
        return ()
    return tuple(found for found in of_expression(f"'' COLLATE {collation}") if found.kind == "collation")


def constraint_needs(constraint: Constraint) -> References:
    """What a constraint needs beside its own table."""
    match constraint:
        case Check():
            return of_expression(constraint.expression)
        case Exclusion():
            operators = (of_expression(f"a {item.operator} b") for item in constraint.elements)
            elements = element_needs(*(item.element for item in constraint.elements))
            return elements + tuple(chain(*operators)) + optional_needs(constraint.where)
        case ForeignKey():
            return (relation(constraint.target),)
        case _:
            return ()


def index_needs(table: Name, index: Index) -> References:
    """What an index needs, its table included."""
    method = (Reference("access method", None, index.method),)
    # Attaching a partition would make the index there as well.
    attached = (partitions(table),) if index.only else ()
    return (
        relation(table),
        *method,
        *attached,
        *element_needs(*index.elements),
        *optional_needs(index.where),
    )


def element_needs(*elements: IndexElement) -> References:
    """What keys of an index or a partitioning need."""
    return tuple(chain.from_iterable(map(_element_needs, elements)))


def _element_needs(element: IndexElement) -> Iterator[Reference]:
    yield from optional_needs(element.expression)
    yield from collation_needs(element.collation)
    if element.opclass:
        schema, _, name = element.opclass.rpartition(".")
        yield Reference("operator class", schema or None, name)


def optional_needs(expression: str | None) -> References:
    """What an expression needs, if there is one."""
    return of_expression(expression) if expression is not None else ()


def relation(name: Name) -> Reference:
    """The reference to that table, view or sequence."""
    return Reference("relation", name.schema, name.name)


def partitions(name: Name) -> Reference:
    """The reference to all partitions of that table, attached."""
    return Reference("partitions", name.schema, name.name)


def function(name: Name) -> Reference:
    """The reference to the functions of that name."""
    return Reference("function", name.schema, name.name)


def with_rows(name: Name) -> References:
    """What a table or view makes: a relation, and the type of its rows."""
    return (relation(name), Reference("type", name.schema, name.name))
