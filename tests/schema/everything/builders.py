"""Short ways to write parts of a database, and to run its DDL."""

from __future__ import annotations

from typing import Any

import psycopg

from data_platform.ddl import statements
from data_platform.model.database import (
    Column,
    Database,
    Function,
    IndexElement,
    Name,
    Table,
)
from data_platform.model.design import Design


def design(database: Database, version: int = 18, **more: Any) -> Design:
    """A design that is that database."""
    return Design(store="Customer DB", server_version=version, database=database, **more)


def apply(connection: psycopg.Connection[Any], database: Database, **more: Any) -> None:
    """Run the DDL of `database`; `more` is what else is in the design."""
    for statement in statements(design(database, **more)):
        connection.execute(statement.sql.encode())


def app(name: str) -> Name:
    """A name in the schema app."""
    return Name("app", name)


def column(name: str, type_: str = "integer", **more: Any) -> Column:
    """A column, `integer NOT NULL` unless it says otherwise."""
    return Column(name=name, type=type_, **more)


def table(name: str, *columns: Column, **more: Any) -> Table:
    """A table in the schema app; without columns it has one, `id`."""
    return Table(name=app(name), columns=columns or (column("id"),), **more)


def key(*columns: str) -> IndexElement | tuple[IndexElement, ...]:
    """Plain columns as keys of an index."""
    return tuple(IndexElement(column=name) for name in columns)


def trigger_function(name: str = "touch", **more: Any) -> Function:
    """A function for triggers that does nothing."""
    body = "BEGIN RETURN NEW; END"
    return Function(name=app(name), language="plpgsql", returns="trigger", body=body, **more)
