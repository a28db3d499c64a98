"""Type names: what a type text refers to, and which types PostgreSQL and the common extensions bring."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import postgast

from data_platform.sql.text import Sql, identifier, type_name

BUILT_IN = frozenset(
    [
        "aclitem",
        "bit",
        "bool",
        "box",
        "bpchar",
        "bytea",
        "char",
        "cid",
        "cidr",
        "circle",
        "date",
        "datemultirange",
        "daterange",
        "float4",
        "float8",
        "gtsvector",
        "inet",
        "int2",
        "int2vector",
        "int4",
        "int4multirange",
        "int4range",
        "int8",
        "int8multirange",
        "int8range",
        "interval",
        "json",
        "jsonb",
        "jsonpath",
        "line",
        "lseg",
        "macaddr",
        "macaddr8",
        "money",
        "name",
        "numeric",
        "nummultirange",
        "numrange",
        "oid",
        "oidvector",
        "path",
        "pg_lsn",
        "pg_snapshot",
        "point",
        "polygon",
        "refcursor",
        "regclass",
        "regcollation",
        "regconfig",
        "regdictionary",
        "regnamespace",
        "regoper",
        "regoperator",
        "regproc",
        "regprocedure",
        "regrole",
        "regtype",
        "text",
        "tid",
        "time",
        "timestamp",
        "timestamptz",
        "timetz",
        "tsmultirange",
        "tsquery",
        "tsrange",
        "tstzmultirange",
        "tstzrange",
        "tsvector",
        "txid_snapshot",
        "uuid",
        "varbit",
        "varchar",
        "xid",
        "xid8",
        "xml",
    ]
)
"""Every base, range and multirange type of pg_catalog that a column can have; a test compares it with the server."""

OF_EXTENSIONS: dict[str, frozenset[str]] = {
    "citext": frozenset({"citext"}),
    "cube": frozenset({"cube"}),
    "hstore": frozenset({"hstore"}),
    "intarray": frozenset({"query_int"}),
    "isn": frozenset({"ean13", "isbn", "isbn13", "ismn", "ismn13", "issn", "issn13", "upc"}),
    "lo": frozenset({"lo"}),
    "ltree": frozenset({"ltree", "lquery", "ltxtquery"}),
    "postgis": frozenset({"box2d", "box3d", "geography", "geometry"}),
    "seg": frozenset({"seg"}),
    "vector": frozenset({"vector", "halfvec", "sparsevec"}),
}

SERIAL = frozenset({"smallserial", "serial", "bigserial", "serial2", "serial4", "serial8"})


@dataclass(frozen=True)
class TypeReference:
    """What a type text names: schema (None if unqualified), the type's own name, its modifiers, and array or not."""

    schema: str | None
    name: str
    modifiers: tuple[str, ...]
    array: bool


@lru_cache(maxsize=65536)
def reference(text: str) -> TypeReference:
    """What the type `text` refers to; NotSql if it is not a type."""
    node = _type_node(type_name(text))
    names = [part.string.sval for part in node.names]
    # The grammar spells SQL's own words as pg_catalog types: `integer` is pg_catalog.int4.
    schema = names[-2] if len(names) > 1 else None
    modifiers = tuple(_modifier(item) for item in node.typmods)
    return TypeReference(
        None if schema == "pg_catalog" else schema, names[-1], modifiers, bool(node.array_bounds)
    )


def with_schema(text: str, schema: str) -> Sql:
    """The unqualified type `text`, qualified by `schema`, with its modifiers and brackets."""
    # Not from the tree: what is printed from it has no escapes.
    return type_name(f"{identifier(schema)}.{type_name(text)}")


def _type_node(text: Sql) -> postgast.pg_query_pb2.TypeName:
    tree = postgast.parse(f"SELECT NULL::{text}")
    return tree.stmts[0].stmt.select_stmt.target_list[0].res_target.val.type_cast.type_name


def _modifier(node: postgast.pg_query_pb2.Node) -> str:
    if node.HasField("a_const") and node.a_const.HasField("ival"):
        return str(node.a_const.ival.ival)
    return str(postgast.deparse(_select(node))).removeprefix("SELECT ")


def _select(node: postgast.pg_query_pb2.Node) -> postgast.pg_query_pb2.ParseResult:
    tree = postgast.parse("SELECT 1")
    tree.stmts[0].stmt.select_stmt.target_list[0].res_target.val.CopyFrom(node)
    return tree
