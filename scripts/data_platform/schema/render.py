"""A design as PostgreSQL DDL, in dependency order; the same design gives the same bytes."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from data_platform import __version__
from data_platform.model.database import (
    Check,
    Column,
    Composite,
    Constraint,
    Domain,
    Enum,
    Exclusion,
    ForeignKey,
    Index,
    IndexElement,
    Name,
    PrimaryKey,
    Table,
    Type,
    Unique,
)
from data_platform.model.design import Design
from data_platform.model.order import in_dependency_order
from data_platform.sql.templates import render
from data_platform.sql.text import Sql, identifier, qualified_name

Section = Literal["setup", "types", "functions", "tables", "foreign_keys"]

_CONSTRAINTS: dict[type[Constraint], str] = {
    PrimaryKey: "primary_key",
    Unique: "unique",
    Check: "check",
    Exclusion: "exclusion",
    ForeignKey: "foreign_key",
}


@dataclass(frozen=True)
class Statement:
    """One statement of the DDL. `object` is what it makes, for messages; `section` and `table` place it in a file."""

    sql: Sql
    object: str
    section: Section
    table: Name | None = None


def statements(design: Design) -> tuple[Statement, ...]:
    """Every statement, in an order in which each finds what it needs."""
    database = design.database
    order = in_dependency_order(database.tables)
    return (
        *_setup(design),
        *(made for type_ in database.types for made in _type(type_)),
        *(
            Statement(
                render("ddl/function.sql.j2", function=function), f"function {function.name}", "functions"
            )
            for function in database.functions
        ),
        *(
            made
            for table in order.tables
            for made in _table(table, [key for key in table.foreign_keys if order.points_forward(table, key)])
        ),
        *(
            _added_key(table, key)
            for table in order.tables
            for key in table.foreign_keys
            if order.points_forward(table, key)
        ),
    )


def script(design: Design, again: str) -> str:
    """One file with everything. `again` is the command that makes it."""
    return _file(design, again, statements(design))


def files(design: Design, again: str) -> dict[str, str]:
    """Several files, to be run in the order of their names: set-up, types, functions, one a table, late keys."""
    groups: dict[tuple[Section, Name | None], list[Statement]] = {}
    for statement in statements(design):
        groups.setdefault((statement.section, statement.table), []).append(statement)
    digits = max(2, len(str(len(groups))))
    return {
        f"{number:0{digits}}_{_slug(section, table)}.sql": _file(design, again, tuple(made))
        for number, ((section, table), made) in enumerate(groups.items(), 1)
    }


def header(design: Design, again: str) -> str:
    """What made the file, from what, for which server, and how to make it again; safe whatever the names are."""
    lines = (
        f"{design.store}: made by data-platform-engineer {__version__} for PostgreSQL {design.server_version}.",
        f"Source: {design.file} (SHA-256 {design.sha256})",
        f"Again: {again}",
    )
    return "".join(f"-- {_one_line(line)}\n" for line in lines)


def _file(design: Design, again: str, made: tuple[Statement, ...]) -> str:
    path = _search_path(design)
    # Every file stands alone, so each sets the path; the statements that make the schemas come before it.
    body = [
        *(s.sql for s in made if s.section == "setup"),
        *path,
        *(s.sql for s in made if s.section != "setup"),
    ]
    return header(design, again) + "\n" + "\n\n".join(body) + "\n"


def _search_path(design: Design) -> list[Sql]:
    if design.search_path == ("public",):
        return []
    # public first: what is left unqualified in the DDL itself is in public.
    return [render("ddl/search_path.sql.j2", schemas=dict.fromkeys(("public", *design.search_path)))]


def _setup(design: Design) -> Iterator[Statement]:
    for schema in design.database.schemas:
        yield Statement(render("ddl/schema.sql.j2", schema=schema), f"schema {schema}", "setup")
    for extension in design.database.extensions:
        yield Statement(
            render("ddl/extension.sql.j2", extension=extension), f"extension {extension.name}", "setup"
        )


def _type(type_: Type) -> Iterator[Statement]:
    match type_:
        case Enum():
            kind, sql = "type", render("ddl/enum.sql.j2", type=type_)
        case Domain():
            checks = [constraint_clause(check) for check in type_.checks]
            kind, sql = "domain", render("ddl/domain.sql.j2", type=type_, checks=checks)
        case Composite():
            attributes = [render("ddl/attribute.sql.j2", attribute=item) for item in type_.attributes]
            kind, sql = "type", render("ddl/composite.sql.j2", type=type_, attributes=attributes)
    yield Statement(sql, f"{kind} {type_.name}", "types")
    if type_.comment is not None:
        yield _comment(kind, qualified_name(type_.name), type_.comment, f"{kind} {type_.name}", "types")


def _table(table: Table, late: list[ForeignKey]) -> Iterator[Statement]:
    width = max((len(identifier(column.name)) for column in table.columns), default=0)
    columns = [column_clause(column, width) for column in table.columns]
    constraints = [constraint_clause(part) for part in table.constraints if part not in late]
    sql = render("ddl/table.sql.j2", table=table.name, parts=[*columns, *constraints])
    yield Statement(sql, f"table {table.name}", "tables", table.name)
    for index in table.indexes:
        yield Statement(index_sql(table.name, index), f"index {index.name}", "tables", table.name)
    for trigger in table.triggers:
        sql = render("ddl/trigger.sql.j2", trigger=trigger, table=table.name)
        yield Statement(sql, f"trigger {trigger.name} on {table.name}", "tables", table.name)
    yield from _comments(table)


def _comments(table: Table) -> Iterator[Statement]:
    own = qualified_name(table.name)
    if table.comment is not None:
        yield _comment("table", own, table.comment, f"table {table.name}", "tables", table.name)
    for column in table.columns:
        if column.comment is not None:
            object_ = Sql(f"{own}.{identifier(column.name)}")
            yield _comment("column", object_, column.comment, f"column {column.name}", "tables", table.name)
    for index in table.indexes:
        if index.comment is not None:
            object_ = qualified_name(Name(table.name.schema, index.name))
            yield _comment("index", object_, index.comment, f"index {index.name}", "tables", table.name)


def column_clause(column: Column, width: int = 0) -> Sql:
    """`name type …` as in CREATE TABLE, the name padded to `width`."""
    return render("ddl/column.sql.j2", column=column, width=width)


def constraint_clause(constraint: Constraint) -> Sql:
    """`CONSTRAINT name …`."""
    elements: list[Sql] = []
    if isinstance(constraint, Exclusion):
        elements = [_element(item.element, item.operator) for item in constraint.elements]
    template = f"ddl/{_CONSTRAINTS[type(constraint)]}.sql.j2"
    return render(template, constraint=constraint, elements=elements)


def index_sql(table: Name, index: Index) -> Sql:
    """CREATE INDEX."""
    elements = [_element(element) for element in index.elements]
    return render("ddl/index.sql.j2", table=table, index=index, elements=elements)


def _element(element: IndexElement, operator: str | None = None) -> Sql:
    return render("ddl/element.sql.j2", element=element, operator=operator)


def _added_key(table: Table, key: ForeignKey) -> Statement:
    sql = render("ddl/add_constraint.sql.j2", table=table.name, constraint=constraint_clause(key))
    return Statement(sql, f"foreign key {key.name} on {table.name}", "foreign_keys")


def _comment(
    kind: str, object_: Sql, text: str, made: str, section: Section, table: Name | None = None
) -> Statement:
    return Statement(
        render("ddl/comment.sql.j2", kind=kind, object=object_, text=text),
        f"comment on {made}",
        section,
        table,
    )


def _slug(section: Section, table: Name | None) -> str:
    if table is None:
        return section
    name = table.name if table.schema == "public" else f"{table.schema}.{table.name}"
    return re.sub(r"[^A-Za-z0-9_.-]+", "_", name)[:60].strip(".") or "table"


def _one_line(text: str) -> str:
    return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text)
