"""The operation `backfill` of a spec of kind `change`: which rows of a table get which values.

- backfill: {table: orders, set: {amount_new: "amount::bigint"}, where: "amount_new IS NULL", key: [id]}
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from data_platform.model.database import Name
from data_platform.report.finding import Finding
from data_platform.spec.document import Document, Path_, SpecProblem
from data_platform.spec.naming import parse_name
from data_platform.sql.phrases import condition
from data_platform.sql.text import NotSql, Sql, check_identifier

OPERATION = "backfill"
KEYS = ("table", "set", "where", "key", "into")
EXAMPLE = 'backfill: {table: orders, set: {amount_new: "amount::bigint"}, where: amount_new IS NULL}'


@dataclass(frozen=True, kw_only=True)
class Backfill:
    """UPDATE `table` SET `values` WHERE `where`; with `into` the rows are copied there instead."""

    table: Name
    values: tuple[tuple[str, Sql], ...]
    where: Sql | None = None
    key: tuple[str, ...] = ()
    into: Name | None = None


def read_backfills(document: Document) -> tuple[Backfill, ...]:
    """Those among the operations of a change, in order. SpecProblem with every mistake in them."""
    findings: list[Finding] = []
    found = [
        backfill
        for path, body in _operations(document)
        if (backfill := read_backfill(document, path, body, findings)) is not None
    ]
    if findings:
        raise SpecProblem(tuple(findings))
    return tuple(found)


def _operations(document: Document) -> Iterator[tuple[Path_, Any]]:
    data = document.data if isinstance(document.data, dict) else {}
    operations = data.get("operations")
    for number, operation in enumerate(operations if isinstance(operations, list) else []):
        if isinstance(operation, dict) and OPERATION in operation:
            yield ("operations", str(number), OPERATION), operation[OPERATION]


def read_backfill(document: Document, path: Path_, body: Any, findings: list[Finding]) -> Backfill | None:
    """One operation; its mistakes are added to `findings`, and then it is None."""
    before = len(findings)
    read = _Reader(document, path, findings)
    if not isinstance(body, dict):
        read.error((), "spec-wrong-type", "`backfill` is not a mapping")
        return None
    read.known_keys(body)
    values = read.each(body.get("set"), ("set",), condition)
    made = Backfill(
        table=read.name(body.get("table"), "table") or Name("", ""),
        values=tuple((column, value) for column, value in values if value is not None),
        where=read.sql(body["where"], ("where",), condition) if "where" in body else None,
        key=read.columns(body.get("key", [])),
        into=read.name(body["into"], "into") if "into" in body else None,
    )
    return made if len(findings) == before else None


class _Reader:
    """Parts of one operation, each mistake noted with its place."""

    def __init__(self, document: Document, path: Path_, findings: list[Finding]) -> None:
        self._document = document
        self._path = path
        self._findings = findings

    def error(self, path: Path_, rule: str, message: str, fix: str = EXAMPLE) -> None:
        self._findings.append(self._document.error((*self._path, *path), rule, message, fix))

    def known_keys(self, body: Mapping[str, Any]) -> None:
        for key in body:
            if key not in KEYS:
                near = difflib.get_close_matches(key, KEYS, 1, 0.5)
                fix = f"`{near[0]}:`" if near else f"one of {', '.join(KEYS)}"
                self.error((key,), "spec-unknown-key", f"unknown key `{key}` in `backfill`", fix)

    def name(self, text: Any, key: str) -> Name | None:
        try:
            if isinstance(text, str):
                return parse_name(text, "public")
            self.error((key,), "spec-missing-key", f"`backfill` needs `{key}:`, the name of a table")
        except NotSql as problem:
            self.error((key,), "spec-name", f"`{key}`: {problem}", "name or schema.name")
        return None

    def each(
        self, values: Any, path: Path_, reader: Callable[[str], Sql]
    ) -> tuple[tuple[str, Sql | None], ...]:
        """A mapping of columns to expressions."""
        if not isinstance(values, dict) or not values:
            self.error(path, "spec-missing-key", "`backfill` needs `set:`, columns with their expressions")
            return ()
        self.columns(list(values), "set")
        return tuple((column, self.sql(value, (*path, column), reader)) for column, value in values.items())

    def sql(self, text: Any, path: Path_, reader: Callable[[str], Sql]) -> Sql | None:
        try:
            return reader(str(text) if isinstance(text, int) and not isinstance(text, bool) else _text(text))
        except NotSql as problem:
            self.error(path, "spec-sql", f"`{path[-1]}` is no expression: {problem}", "one expression")
            return None

    def columns(self, names: Any, key: str = "key") -> tuple[str, ...]:
        if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
            self.error((key,), "spec-wrong-type", f"`{key}` is no list of columns", "key: [id]")
            return ()
        for name in names:
            try:
                check_identifier(name)
            except NotSql as problem:
                self.error((key,), "spec-name", f"`{key}`: {problem}", "the name of a column")
        return tuple(names)


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if not isinstance(value, str):
        raise NotSql("expected SQL as text")
    return value
