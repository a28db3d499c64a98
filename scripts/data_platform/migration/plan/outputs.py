"""The columns that a query gives, and whether their types are known to be the same: what CREATE OR REPLACE VIEW asks.

Types are told from the text where that is certain: casts, columns of tables, comparisons, a few functions. Where they
are not, the answer is no.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import postgast
from postgast import pg_query_pb2 as pb

from data_platform.model.database import Database
from data_platform.sql.text import NotSql, parse

_OF_FUNCTIONS = {
    **dict.fromkeys(("count", "row_number", "rank", "dense_rank"), "bigint"),
    **dict.fromkeys(
        ("lower", "upper", "concat", "concat_ws", "format", "to_char", "string_agg", "replace"), "text"
    ),
    **dict.fromkeys(("length", "char_length"), "integer"),
    **dict.fromkeys(("now", "transaction_timestamp", "statement_timestamp"), "timestamp with time zone"),
    **dict.fromkeys(("bool_and", "bool_or"), "boolean"),
    **dict.fromkeys(("jsonb_build_object", "jsonb_agg", "to_jsonb"), "jsonb"),
}
_COMPARISONS = frozenset({"=", "<>", "<", ">", "<=", ">=", "~~", "~", "@>", "<@", "&&"})


@dataclass(frozen=True)
class Output:
    """A column of a query: its name, its expression and, where that is certain, its type."""

    name: str
    text: str
    type: str | None


def outputs(query: str, database: Database) -> tuple[Output, ...] | None:
    """The columns of a query as a server prints it; None where they are not plain to see."""
    try:
        select = parse(query).stmts[0].stmt.select_stmt
    except NotSql:
        return None
    while select.op != pb.SETOP_NONE:
        select = select.larg
    if not select.target_list:
        return None
    tables = _tables(select, database)
    found = [_output(node.res_target, tables) for node in select.target_list]
    return None if any(one is None for one in found) else tuple(one for one in found if one is not None)


def can_be_replaced(old: Sequence[Output] | None, new: Sequence[Output] | None, *, same_tables: bool) -> bool:
    """Whether all columns stay in their place with their types, and new ones come after them."""
    if old is None or new is None or len(new) < len(old):
        return False
    return all(_alike(one, other, same_tables) for one, other in zip(old, new, strict=False))


def _alike(old: Output, new: Output, same_tables: bool) -> bool:
    if old.name != new.name:
        return False
    if old.type is not None and new.type is not None:
        return old.type == new.type
    return same_tables and old.text == new.text


def _tables(select: pb.SelectStmt, database: Database) -> Mapping[str, Mapping[str, str]]:
    """Types of columns by the names that the query gives its tables."""
    by_name = {
        (table.name.schema, table.name.name): {column.name: column.type for column in table.columns}
        for table in database.tables
    }
    found: dict[str, Mapping[str, str]] = {}
    for node in select.from_clause:
        for variable in postgast.find_nodes(node, pb.RangeVar):
            columns = by_name.get((variable.schemaname or "public", variable.relname))
            found[variable.alias.aliasname or variable.relname] = columns or {}
    return found


def _output(target: pb.ResTarget, tables: Mapping[str, Mapping[str, str]]) -> Output | None:
    value = target.val
    if value.HasField("column_ref") and any(field.HasField("a_star") for field in value.column_ref.fields):
        return None
    return Output(target.name or _name(value), _text(value), _type(value, tables))


def _name(node: pb.Node) -> str:
    """What PostgreSQL calls a column without AS."""
    which = node.WhichOneof("node")
    if which == "column_ref":
        return str(node.column_ref.fields[-1].string.sval)
    if which == "func_call":
        return str(node.func_call.funcname[-1].string.sval)
    if which == "type_cast":
        inner = _name(node.type_cast.arg)
        return inner if inner != "?column?" else str(node.type_cast.type_name.names[-1].string.sval)
    return {"coalesce_expr": "coalesce", "case_expr": "case"}.get(which or "", "?column?")


def _text(node: pb.Node) -> str:
    tree = parse("SELECT 1")
    tree.stmts[0].stmt.select_stmt.target_list[0].res_target.val.CopyFrom(node)
    return str(postgast.deparse(tree))


def _type(node: Any, tables: Mapping[str, Mapping[str, str]]) -> str | None:
    which = node.WhichOneof("node")
    if which == "type_cast":
        tree = parse("SELECT NULL::int")
        tree.stmts[0].stmt.select_stmt.target_list[0].res_target.val.type_cast.type_name.CopyFrom(
            node.type_cast.type_name
        )
        return _spelled(postgast.deparse(tree).partition("::")[2])
    if which == "column_ref":
        return _column_type([field.string.sval for field in node.column_ref.fields], tables)
    if which in ("bool_expr", "null_test", "boolean_test"):
        return "boolean"
    if which == "a_expr" and node.a_expr.name[-1].string.sval in _COMPARISONS:
        return "boolean"
    if which == "coalesce_expr":
        return next((known for one in node.coalesce_expr.args if (known := _type(one, tables))), None)
    if which == "func_call":
        return _OF_FUNCTIONS.get(node.func_call.funcname[-1].string.sval)
    return None


def _spelled(text: str) -> str:
    return {"int": "integer", "int4": "integer", "int8": "bigint", "bool": "boolean"}.get(text, text)


def _column_type(parts: list[str], tables: Mapping[str, Mapping[str, str]]) -> str | None:
    if len(parts) == 1:
        known = {columns[parts[0]] for columns in tables.values() if parts[0] in columns}
        return known.pop() if len(known) == 1 else None
    return tables.get(parts[-2], {}).get(parts[-1])
