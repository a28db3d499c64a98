"""Where a file of SQL makes each object, so that a finding can say the line."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Any

from postgast import pg_query_pb2 as pb

from data_platform.model.database import Name
from data_platform.model.design import Mark
from data_platform.sql.script import Piece, pieces
from data_platform.sql.text import NotSql, parse

Path = tuple[str, ...]


def places(
    text: str | bytes, names: Mapping[str, tuple[Name, ...]], file: str | None = None
) -> dict[Path, Mark]:
    """Marks in `file` as a model spec has them: ("tables", "public.orders", "columns", "total"), ("views", "fresh").

    `names` are the objects by section; one that the file names without a schema is found where only one has that name.
    """
    known = {section: _Names(given) for section, given in names.items()}
    marks: dict[Path, Mark] = {}
    for piece in pieces(text):
        if piece.kind == "statement":
            for path, mark in _of_piece(piece, known):
                marks.setdefault(path, replace(mark, file=file))
    return marks


class _Names:
    """The objects of one kind, found with or without their schema."""

    def __init__(self, names: tuple[Name, ...]) -> None:
        self._names = set(names)
        self._by_name: dict[str, list[Name]] = {}
        for name in self._names:
            self._by_name.setdefault(name.name, []).append(name)

    def find(self, schema: str, name: str) -> Name | None:
        """The object; None if there is none, or more than one."""
        if schema:
            return Name(schema, name) if Name(schema, name) in self._names else None
        found = self._by_name.get(name, [])
        return found[0] if len(found) == 1 else None


def _of_piece(piece: Piece, known: Mapping[str, _Names]) -> Iterator[tuple[Path, Mark]]:
    try:
        statements = parse(piece.text).stmts
    except NotSql:
        return
    for statement in statements:
        kind = str(statement.stmt.WhichOneof("node"))
        if kind in _MAKERS:
            yield from _MAKERS[kind](piece, getattr(statement.stmt, kind), known)


_Found = Iterator[tuple[Path, Mark]]


def _table(piece: Piece, made: pb.CreateStmt, known: Mapping[str, _Names]) -> _Found:
    table = known["tables"].find(made.relation.schemaname, made.relation.relname)
    if table is None:
        return
    yield ("tables", str(table)), Mark(piece.line, piece.column)
    raw = piece.text.encode()
    for element in made.table_elts:
        if element.HasField("column_def"):
            column = element.column_def
            place = piece.place(len(raw[: column.location].decode(errors="ignore")))
            yield ("tables", str(table), "columns", column.colname), Mark(*place)


def _relation(section: str) -> Callable[[Piece, Any, Mapping[str, _Names]], _Found]:
    def of(piece: Piece, made: Any, known: Mapping[str, _Names]) -> _Found:
        relation = made.view if section == "views" else made.sequence
        found = known[section].find(relation.schemaname, relation.relname)
        if found is not None:
            yield (section, found.name), Mark(piece.line, piece.column)

    return of


def _materialized(piece: Piece, made: pb.CreateTableAsStmt, known: Mapping[str, _Names]) -> _Found:
    found = known["materialized_views"].find(made.into.rel.schemaname, made.into.rel.relname)
    if found is not None:
        yield ("materialized_views", found.name), Mark(piece.line, piece.column)


def _function(piece: Piece, made: pb.CreateFunctionStmt, known: Mapping[str, _Names]) -> _Found:
    *schema, name = (part.string.sval for part in made.funcname)
    found = known["functions"].find(schema[0] if schema else "", name)
    if found is not None:
        yield ("functions", found.name), Mark(piece.line, piece.column)


def _hanging(section: str) -> Callable[[Piece, Any, Mapping[str, _Names]], _Found]:
    def of(piece: Piece, made: Any, known: Mapping[str, _Names]) -> _Found:
        relation = made.table if section == "policies" else made.relation
        table = known["tables"].find(relation.schemaname, relation.relname)
        name = made.policy_name if section == "policies" else made.idxname
        if table is not None and name:
            yield ("tables", str(table), section, name), Mark(piece.line, piece.column)

    return of


def _single(section: str, field: str) -> Callable[[Piece, Any, Mapping[str, _Names]], _Found]:
    def of(piece: Piece, made: Any, _known: Mapping[str, _Names]) -> _Found:
        yield (section, getattr(made, field)), Mark(piece.line, piece.column)

    return of


_MAKERS: Mapping[str, Callable[[Piece, Any, Mapping[str, _Names]], _Found]] = {
    "create_stmt": _table,
    "view_stmt": _relation("views"),
    "create_seq_stmt": _relation("sequences"),
    "create_table_as_stmt": _materialized,
    "create_function_stmt": _function,
    "create_policy_stmt": _hanging("policies"),
    "index_stmt": _hanging("indexes"),
    "create_role_stmt": _single("roles", "role"),
    "create_publication_stmt": _single("publications", "pubname"),
}
"""By the kind of statement, what reads its place."""
