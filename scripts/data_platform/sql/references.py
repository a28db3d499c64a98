"""What a text refers to by name, from its parse tree: relations, types, functions, collations, operators and the rest.

Names come back as they are written, with a schema or without; whoever knows which objects there are looks them up.
Names of the text's own common table expressions are left out. A tree too deep for us to read refers to nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Literal, TypeAlias

from postgast import pg_query_pb2 as pb

from data_platform.sql.text import NotSql, TooDeep, parse

Kind: TypeAlias = Literal[
    "access method",
    "collation",
    "foreign data wrapper",
    "function",
    "language",
    "operator",
    "operator class",
    "operator family",
    "partitions",
    "relation",
    "schema",
    "server",
    "text search",
    "type",
]
"""`relation` is whatever has columns, a sequence or an index; `text search` a configuration, dictionary or template;
`partitions` stands for all of a table's, attached."""


@dataclass(frozen=True)
class Reference:
    """A name of that kind; `schema` is None where the text leaves it to the search path."""

    kind: Kind
    schema: str | None
    name: str


References: TypeAlias = tuple[Reference, ...]


def of_type(text: str) -> References:
    """What a type refers to."""
    return _of(f"SELECT NULL::{text}")


def of_expression(text: str) -> References:
    """What one expression refers to."""
    return _of(f"SELECT ({text})")


def of_script(text: str) -> References:
    """What whole statements refer to, what they make included."""
    return _of(text)


def of_body(text: str) -> References:
    """What the text of a function in SQL refers to; nothing if it is not SQL."""
    try:
        return _of(text)
    except NotSql:
        return ()


def of_signature(arguments: str, returns: str | None, sql_body: str | None) -> References:
    """What a function's signature, defaults and SQL-standard body refer to."""
    back = f" RETURNS {returns}" if returns is not None else ""
    return _of(f"CREATE FUNCTION f({arguments}\n){back} LANGUAGE sql {sql_body or ''}")


@lru_cache(maxsize=65536)
def _of(text: str) -> References:
    try:
        tree = parse(text)
    except TooDeep:
        return ()
    return tuple(dict.fromkeys(_found(tree)))


# --- walking a tree ---


def _found(tree: Any) -> Iterator[Reference]:
    found: list[Reference] = []
    ctes: set[str] = set()
    stack: list[Any] = [tree]
    while stack:
        message = stack.pop()
        name = message.DESCRIPTOR.name
        if name == "CommonTableExpr":
            ctes.add(message.ctename)
        elif name in _READERS:
            found.extend(_READERS[name](message))
        for field, value in message.ListFields():
            if field.message_type is not None:
                stack.extend(value if field.is_repeated else (value,))
    for reference in found:
        is_cte = reference.kind == "relation" and reference.schema is None and reference.name in ctes
        if not is_cte and reference.schema != "pg_catalog":
            yield reference


def named(kind: Kind, names: Iterable[Any]) -> Iterator[Reference]:
    """The reference in a list of string nodes: `name`, `schema.name` or `database.schema.name`."""
    parts = [node.string.sval for node in names if node.HasField("string")]
    if parts:
        yield Reference(kind, parts[-2] if len(parts) > 1 else None, parts[-1])


def range_var(node: pb.RangeVar) -> Iterator[Reference]:
    yield Reference("relation", node.schemaname or None, node.relname)


def _type(node: pb.TypeName) -> Iterator[Reference]:
    if node.pct_type:
        yield from named("relation", list(node.names)[:-1])
    else:
        yield from named("type", node.names)


def _call(node: pb.FuncCall) -> Iterator[Reference]:
    yield from named("function", node.funcname)
    kind = _TAKES_A_NAME.get(node.funcname[-1].string.sval)
    if kind is not None and node.args and (text := _constant(node.args[0])) is not None:
        yield from _in_text(kind, text)


_TAKES_A_NAME: dict[str, str] = {
    **dict.fromkeys(("nextval", "currval", "setval"), "regclass"),
    **dict.fromkeys(
        (
            "to_tsvector",
            "to_tsquery",
            "plainto_tsquery",
            "phraseto_tsquery",
            "websearch_to_tsquery",
            "ts_headline",
            "json_to_tsvector",
            "jsonb_to_tsvector",
        ),
        "regconfig",
    ),
    "ts_lexize": "regdictionary",
}
"""Functions whose first argument, if it is a string constant, is a name of that type."""


def _cast(node: pb.TypeCast) -> Iterator[Reference]:
    text = _constant(node.arg)
    if text is not None and node.type_name.names:
        yield from _in_text(node.type_name.names[-1].string.sval, text)


def _constant(node: pb.Node) -> str | None:
    if node.HasField("type_cast"):
        node = node.type_cast.arg
    return node.a_const.sval.sval if node.HasField("a_const") and node.a_const.HasField("sval") else None


_REG_TYPES: dict[str, tuple[Kind, str]] = {
    "regclass": ("relation", "SELECT FROM {}"),
    "regcollation": ("collation", "DROP COLLATION {}"),
    "regconfig": ("text search", "DROP TEXT SEARCH CONFIGURATION {}"),
    "regdictionary": ("text search", "DROP TEXT SEARCH DICTIONARY {}"),
    "regproc": ("function", "DROP FUNCTION {}"),
    "regprocedure": ("function", "DROP FUNCTION {}"),
    "regtype": ("type", "SELECT NULL::{}"),
}
"""What the text of such a constant names, and a statement in which the grammar reads that name."""


def _in_text(type_: str, text: str) -> Iterator[Reference]:
    """The reference in a constant that the server would read as a name: 'app.orders'::regclass."""
    if type_ not in _REG_TYPES:
        return
    kind, statement = _REG_TYPES[type_]
    try:
        tree = parse(statement.format(text))
    except NotSql:
        return
    if kind in ("relation", "type", "function"):
        yield from (reference for reference in _found(tree) if reference.kind == kind)
    else:
        for dropped in tree.stmts[0].stmt.drop_stmt.objects:
            yield from named(kind, dropped.list.items)


def _index_element(node: pb.IndexElem) -> Iterator[Reference]:
    yield from named("operator class", node.opclass)
    yield from named("collation", node.collation)


def _expression(node: pb.A_Expr) -> Iterator[Reference]:
    yield from named("operator", node.name)


def _definition(node: pb.DefineStmt) -> Iterator[Reference]:
    """CREATE AGGREGATE, OPERATOR, TYPE, TEXT SEARCH …: to the grammar each value may be a type, whatever it names."""
    for option in node.definition:
        names = option.def_elem.arg.type_name.names
        kinds: tuple[Kind, ...] = ("function", "text search", "collation", "operator class")
        for kind in kinds if names else ():
            yield from named(kind, names)


def _with_arguments(node: pb.ObjectWithArgs) -> Iterator[Reference]:
    yield from named("function", node.objname)
    yield from named("operator", node.objname)


def _trigger(node: pb.CreateTrigStmt | pb.CreateEventTrigStmt) -> Iterator[Reference]:
    yield from named("function", node.funcname)


def _mapping(node: pb.AlterTSConfigurationStmt) -> Iterator[Reference]:
    yield from named("text search", node.cfgname)
    for dictionary in node.dicts:
        yield from named("text search", dictionary.list.items)


def _routine(node: pb.CreateFunctionStmt) -> Iterator[Reference]:
    for option in node.options:
        if option.def_elem.defname == "language":
            yield Reference("language", None, option.def_elem.arg.string.sval)
        if option.def_elem.defname == "support":
            yield from named("function", option.def_elem.arg.list.items)


_READERS: dict[str, Callable[[Any], Iterator[Reference]]] = {
    "A_Expr": _expression,
    "AlterTSConfigurationStmt": _mapping,
    "CollateClause": lambda node: named("collation", node.collname),
    "CreateAmStmt": lambda node: named("function", node.handler_name),
    "CreateEventTrigStmt": _trigger,
    "CreateFunctionStmt": _routine,
    "CreateOpClassItem": lambda node: named("operator family", node.order_family),
    "CreateOpClassStmt": lambda node: named("operator family", node.opfamilyname),
    "CreatePLangStmt": lambda node: named("function", node.plhandler),
    "CreateTrigStmt": _trigger,
    "DefineStmt": _definition,
    "FuncCall": _call,
    "IndexElem": _index_element,
    "ObjectWithArgs": _with_arguments,
    "PartitionElem": _index_element,
    "RangeVar": range_var,
    "SortBy": lambda node: named("operator", node.use_op),
    "SubLink": lambda node: named("operator", node.oper_name),
    "TypeCast": _cast,
    "TypeName": _type,
}
