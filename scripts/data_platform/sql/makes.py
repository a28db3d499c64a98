"""What whole statements make, by PostgreSQL's own grammar; the names are `references`."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from postgast import pg_query_pb2 as pb

from data_platform.sql.references import Kind, Reference, References, named, range_var
from data_platform.sql.text import TooDeep, parse


def made_by(text: str) -> References:
    """What whole statements make, of the kinds that others can refer to."""
    try:
        statements = parse(text).stmts
    except TooDeep:
        return ()
    return tuple(
        reference
        for statement in statements
        if (which := statement.stmt.WhichOneof("node")) in _MAKERS
        for reference in _MAKERS[which](getattr(statement.stmt, which))
    )


def _defined(node: pb.DefineStmt) -> Iterator[Reference]:
    kinds: dict[int, Kind] = {
        pb.OBJECT_AGGREGATE: "function",
        pb.OBJECT_COLLATION: "collation",
        pb.OBJECT_OPERATOR: "operator",
        pb.OBJECT_TSCONFIGURATION: "text search",
        pb.OBJECT_TSDICTIONARY: "text search",
        pb.OBJECT_TSPARSER: "text search",
        pb.OBJECT_TSTEMPLATE: "text search",
        pb.OBJECT_TYPE: "type",
    }
    if node.kind in kinds:
        yield from named(kinds[node.kind], node.defnames)


def _operator_class(node: pb.CreateOpClassStmt) -> Iterator[Reference]:
    yield from named("operator class", node.opclassname)
    # Without FAMILY it makes one of its own name.
    yield from named("operator family", node.opfamilyname or node.opclassname)


def _relation(node: pb.RangeVar) -> Iterator[Reference]:
    yield from range_var(node)
    yield Reference("type", node.schemaname or None, node.relname)


_MAKERS: dict[str, Callable[[Any], Iterator[Reference]]] = {
    "composite_type_stmt": lambda node: _relation(node.typevar),
    "create_am_stmt": lambda node: iter((Reference("access method", None, node.amname),)),
    "create_domain_stmt": lambda node: named("type", node.domainname),
    "create_enum_stmt": lambda node: named("type", node.type_name),
    "create_fdw_stmt": lambda node: iter((Reference("foreign data wrapper", None, node.fdwname),)),
    "create_foreign_server_stmt": lambda node: iter((Reference("server", None, node.servername),)),
    "create_foreign_table_stmt": lambda node: _relation(node.base_stmt.relation),
    "create_function_stmt": lambda node: named("function", node.funcname),
    "create_op_class_stmt": _operator_class,
    "create_op_family_stmt": lambda node: named("operator family", node.opfamilyname),
    "create_plang_stmt": lambda node: iter((Reference("language", None, node.plname),)),
    "create_range_stmt": lambda node: named("type", node.type_name),
    "create_schema_stmt": lambda node: iter((Reference("schema", None, node.schemaname),)),
    "create_seq_stmt": lambda node: range_var(node.sequence),
    "create_stmt": lambda node: _relation(node.relation),
    "create_table_as_stmt": lambda node: _relation(node.into.rel),
    "define_stmt": _defined,
    "index_stmt": lambda node: iter((Reference("relation", node.relation.schemaname or None, node.idxname),)),
    "view_stmt": lambda node: _relation(node.view),
}
