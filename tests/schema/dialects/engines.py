"""The three engines that run here, behind one face: run statements, try a row, ask for columns."""

from __future__ import annotations

import sqlite3
import warnings
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import duckdb
import pymysql

from data_platform.model.design import Design
from data_platform.schema.dialects import Dialect, Rendered, render

EXECUTED: tuple[Dialect, ...] = ("duckdb", "sqlite", "mysql")
ERRORS = (sqlite3.Error, duckdb.Error, pymysql.Error)


@dataclass
class Engine:
    """A database of that dialect, empty at first."""

    dialect: Dialect
    cursor: Any

    def run(self, statements: Iterable[str]) -> None:
        for statement in statements:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                try:
                    self.cursor.execute(statement)
                except ERRORS as error:
                    raise AssertionError(f"{self.dialect}: {error}\n{statement}") from error

    def load(self, design: Design) -> Rendered:
        """The design's DDL, run."""
        made = render(design, self.dialect, "dpe schema render")
        self.run(made.statements)
        return made

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        self.cursor.execute(query)
        return [tuple(row) for row in self.cursor.fetchall()]

    def takes(self, statement: str) -> bool:
        """Whether the statement is taken."""
        try:
            self.cursor.execute(statement)
        except ERRORS:
            return False
        return True

    def columns(self, table: str) -> dict[str, tuple[str, bool]]:
        """Name → (type, nullable), as the engine's own catalogue has it."""
        if self.dialect == "sqlite":
            found = self.rows(f"PRAGMA table_xinfo('{table}')")
            return {row[1]: (row[2], not row[3]) for row in found}
        where = "table_schema = DATABASE()" if self.dialect == "mysql" else "table_schema = 'main'"
        asked = "column_name, column_type" if self.dialect == "mysql" else "column_name, data_type"
        found = self.rows(
            f"SELECT {asked}, is_nullable FROM information_schema.columns WHERE {where} AND table_name = '{table}'"
        )
        return {row[0]: (row[1], row[2] == "YES") for row in found}


def opened(dialect: Dialect, request: Any) -> Engine:
    """An engine; `request` is pytest's, for the server of MySQL."""
    if dialect == "mysql":
        return Engine(dialect, request.getfixturevalue("mysql"))
    if dialect == "sqlite":
        return Engine(dialect, sqlite3.connect(":memory:", isolation_level=None).cursor())
    return Engine(dialect, duckdb.connect())
