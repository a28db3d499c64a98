"""Where a file of SQL makes each table and column, so that a finding can say the line."""

from __future__ import annotations

from collections.abc import Iterator

from postgast import pg_query_pb2 as pb

from data_platform.model.database import Name
from data_platform.model.design import Mark
from data_platform.sql.script import Piece, pieces
from data_platform.sql.text import NotSql, parse

Path = tuple[str, ...]


def places(text: str | bytes, tables: dict[Name, str]) -> dict[Path, Mark]:
    """Marks of `tables` (name → key), as a model spec has them: ("tables", key, "columns", name).

    A name without a schema is found by its last part where only one table has it.
    """
    by_name: dict[str, list[str]] = {}
    for name, key in tables.items():
        by_name.setdefault(name.name, []).append(key)
    marks: dict[Path, Mark] = {}
    for piece in pieces(text):
        for path, mark in _of_piece(piece, tables, by_name):
            marks.setdefault(path, mark)
    return marks


def _of_piece(
    piece: Piece, tables: dict[Name, str], by_name: dict[str, list[str]]
) -> Iterator[tuple[Path, Mark]]:
    if piece.kind != "statement":
        return
    try:
        statements = parse(piece.text).stmts
    except NotSql:
        return
    for statement in statements:
        if not statement.stmt.HasField("create_stmt"):
            continue
        made = statement.stmt.create_stmt
        key = _key(made.relation, tables, by_name)
        if key is not None:
            yield ("tables", key), Mark(piece.line, 1)
            yield from _columns(piece, made, key)


def _key(relation: pb.RangeVar, tables: dict[Name, str], by_name: dict[str, list[str]]) -> str | None:
    if relation.schemaname:
        return tables.get(Name(relation.schemaname, relation.relname))
    found = by_name.get(relation.relname, [])
    return found[0] if len(found) == 1 else None


def _columns(piece: Piece, made: pb.CreateStmt, key: str) -> Iterator[tuple[Path, Mark]]:
    raw = piece.text.encode()
    for element in made.table_elts:
        if element.HasField("column_def"):
            column = element.column_def
            line, at = piece.place(len(raw[: column.location].decode(errors="ignore")))
            yield ("tables", key, "columns", column.colname), Mark(line, at)
