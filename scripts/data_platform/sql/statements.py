"""Whole statements: named parameters, and which tables and columns a query touches, from the parse tree."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

import postgast
from postgast import pg_query_pb2 as pb

from data_platform.sql.text import NotSql, parse, tokens_of

_WORD = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z")


def number_parameters(text: str, names: Sequence[str]) -> str:
    """`text` with `:name` written as `$1`, `$2` … in the order of `names`. NotSql for a name that is not listed.

    Works on the server's own tokens, so that casts (`::`), strings, comments and array slices stay as they are; between
    square brackets a name that is not listed is the end of a slice.
    """
    raw, tokens = tokens_of(text)
    pieces: list[bytes] = []
    done = brackets = 0
    for colon, word in pairwise(tokens):
        brackets += {b"[": 1, b"]": -1}.get(raw[colon.start : colon.end], 0)
        name = raw[word.start : word.end].decode()
        if raw[colon.start : colon.end] != b":" or colon.end != word.start or not _WORD.match(name):
            continue
        if name not in names and brackets:
            continue
        if name not in names:
            offset = len(raw[: colon.start].decode())
            known = ", ".join(names) or "none are declared"
            raise NotSql(f"the parameter :{name} is not under `parameters:` ({known})", offset)
        pieces += [raw[done : colon.start], f"${names.index(name) + 1}".encode()]
        done = word.end
    return b"".join([*pieces, raw[done:]]).decode()


def only_statement(text: str) -> pb.Node:
    """The tree of the single SELECT, INSERT, UPDATE, DELETE or MERGE in `text`; NotSql if it is something else."""
    statements = parse(text).stmts
    if len(statements) != 1:
        raise NotSql(f"expected one statement, found {len(statements)}")
    statement = statements[0].stmt
    kinds = ("select_stmt", "insert_stmt", "update_stmt", "delete_stmt", "merge_stmt")
    if not any(statement.HasField(kind) for kind in kinds):
        raise NotSql("expected a SELECT, INSERT, UPDATE, DELETE or MERGE")
    return statement


@dataclass(frozen=True)
class Relation:
    """A table as a statement names it."""

    schema: str | None
    name: str
    alias: str


def relations(tree: pb.Node) -> tuple[Relation, ...]:
    """Every table the statement reads or writes, common table expressions left out."""
    ctes = {cte.ctename for cte in postgast.find_nodes(tree, pb.CommonTableExpr)}
    found = {
        Relation(node.schemaname or None, node.relname, node.alias.aliasname or node.relname): None
        for node in postgast.find_nodes(tree, pb.RangeVar)
        if node.schemaname or node.relname not in ctes
    }
    return tuple(found)


def column_references(tree: pb.Node) -> Iterator[tuple[str, ...]]:
    """Every column reference as its parts: ("orders", "id") or ("id",); stars left out."""
    for node in postgast.find_nodes(tree, pb.ColumnRef):
        parts = tuple(field.string.sval for field in node.fields if field.HasField("string"))
        if parts and len(parts) == len(node.fields):
            yield parts


def compared_columns(tree: pb.Node) -> Iterator[tuple[int, tuple[str, ...]]]:
    """A parameter's number and the column it is compared with: `=`, `= ANY`, `<`, BETWEEN, `(a, b) > (x, y)`."""
    for node in postgast.find_nodes(tree, pb.A_Expr):
        for left, right in _sides(node):
            for column, other in ((left, right), (right, left)):
                if column is None or other is None or not column.HasField("column_ref"):
                    continue
                parts = tuple(f.string.sval for f in column.column_ref.fields if f.HasField("string"))
                for parameter in postgast.find_nodes(other, pb.ParamRef):
                    if parts:
                        yield parameter.number, parts


def _sides(node: pb.A_Expr) -> Iterator[tuple[pb.Node | None, pb.Node | None]]:
    """What a comparison compares with what; rows are compared item by item."""
    left, right = _strip(node.lexpr), _strip(node.rexpr)
    if left is not None and right is not None and left.HasField("row_expr") and right.HasField("row_expr"):
        for one, other in zip(left.row_expr.args, right.row_expr.args, strict=False):
            yield _strip(one), _strip(other)
    else:
        yield left, right


def assigned_columns(tree: pb.Node) -> Iterator[tuple[int, str, bool]]:
    """Parameters that become a column's value: number, column, and whether by INSERT (True) or UPDATE (False)."""
    if tree.HasField("insert_stmt"):
        insert = tree.insert_stmt
        names = [column.res_target.name for column in insert.cols]
        for row in insert.select_stmt.select_stmt.values_lists:
            for name, item in zip(names, row.list.items, strict=False):
                value = _strip(item)
                if value is not None and value.HasField("param_ref"):
                    yield value.param_ref.number, name, True
    if tree.HasField("update_stmt"):
        for target in tree.update_stmt.target_list:
            value = _strip(target.res_target.val)
            if value is not None and value.HasField("param_ref"):
                yield value.param_ref.number, target.res_target.name, False


def _strip(node: pb.Node) -> pb.Node | None:
    while node.HasField("type_cast"):
        node = node.type_cast.arg
    return node if node.WhichOneof("node") else None
