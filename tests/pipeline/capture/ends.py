"""Both ends of a change stream in a test."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg

from data_platform.pipeline.run import Ran
from data_platform.postgres.server import Database
from pipeline.running import ask, do

SPEC = """
pattern: cdc
drift: {drift}
retries: 0
sources:
  - {{name: a, dsn: "env:SOURCE", table: public.a}}
  - {{name: b, dsn: "env:SOURCE", table: public.b}}
targets: [{{table: dw.a, from: a, key: [id]}}, {{table: dw.b, from: b, key: [id]}}]
"""
TABLES = """
CREATE TABLE a (id int PRIMARY KEY, v text, n numeric);
ALTER TABLE a ALTER v SET STORAGE EXTERNAL;
CREATE TABLE b (id int PRIMARY KEY, w jsonb);
INSERT INTO a VALUES (1, repeat('x', 5000), 1), (2, '', NULL), (3, NULL, 3.10);
INSERT INTO b SELECT g, to_jsonb(g) FROM generate_series(1, 5) AS g;
"""


@dataclass(frozen=True)
class Ends:
    source: Database
    target: Database
    folder: Path

    def source_does(self, text: str) -> list[Any]:
        with psycopg.connect(self.source.admin_conninfo) as connection:
            connection.execute("SET synchronous_commit = on")
            cursor = connection.execute(text.encode())
            return cursor.fetchall() if cursor.description else []

    def run(self, drift: str = "freeze", **how: Any) -> Ran:
        addresses = dict.fromkeys("ab", self.source.admin_conninfo)
        return do(self.target, self.folder, SPEC.format(drift=drift), addresses=addresses, **how)

    def both(self, table: str, columns: str = "*") -> tuple[list[Any], list[Any]]:
        """The rows of the source and of the target."""
        theirs = self.source_does(f"SELECT {columns} FROM public.{table} ORDER BY id")
        return theirs, ask(self.target, f"SELECT {columns} FROM dw.{table} ORDER BY id")

    def assert_same(self) -> None:
        for table in "ab":
            theirs, ours = self.both(table)
            assert theirs == ours
