"""How an object that is known only by its statements is dropped, from their trees."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

import postgast
from postgast import pg_query_pb2 as pb

from data_platform.model.database import Raw
from data_platform.sql.text import NotSql, Sql, identifier, operator, parse, qualified

_TEXT_SEARCH = {
    pb.OBJECT_TSCONFIGURATION: "CONFIGURATION",
    pb.OBJECT_TSDICTIONARY: "DICTIONARY",
    pb.OBJECT_TSPARSER: "PARSER",
    pb.OBJECT_TSTEMPLATE: "TEMPLATE",
}


def drop(raw: Raw) -> Sql | None:
    """DROP … IF EXISTS of what the first statement makes, or its reverse; None where none is known."""
    try:
        node = parse(raw.sql).stmts[0].stmt
    except NotSql:
        return None
    which = node.WhichOneof("node")
    found = _DROPS.get(which or "")
    return None if found is None or which is None else found(getattr(node, which))


def _named(parts: Iterable[Any]) -> Sql:
    return qualified(*(part.string.sval for part in parts))


def _type(node: pb.TypeName) -> str:
    tree = parse("SELECT NULL::int")
    tree.stmts[0].stmt.select_stmt.target_list[0].res_target.val.type_cast.type_name.CopyFrom(node)
    return str(postgast.deparse(tree)).partition("::")[2]


def _defined(node: pb.DefineStmt) -> Sql | None:
    if node.kind == pb.OBJECT_AGGREGATE:
        return _aggregate(node)
    if node.kind == pb.OBJECT_OPERATOR:
        return _operator(node)
    if node.kind in _TEXT_SEARCH:
        return Sql(f"DROP TEXT SEARCH {_TEXT_SEARCH[node.kind]} IF EXISTS {_named(node.defnames)}")
    return None


def _aggregate(node: pb.DefineStmt) -> Sql:
    given = [part.function_parameter for part in node.args[0].list.items] if node.args else []
    ordered = node.args[1].integer.ival if len(node.args) > 1 else -1
    types = [_type(part.arg_type) for part in given]
    said = ", ".join(types) or "*"
    if ordered >= 0:
        said = f"{', '.join(types[:ordered])} ORDER BY {', '.join(types[ordered:])}".strip()
    return Sql(f"DROP AGGREGATE IF EXISTS {_named(node.defnames)}({said})")


def _operator(node: pb.DefineStmt) -> Sql:
    sides = {part.def_elem.defname: _type(part.def_elem.arg.type_name) for part in node.definition}
    *schema, name = (part.string.sval for part in node.defnames)
    spelled = f"{identifier(schema[0])}.{operator(name)}" if schema else operator(name)
    return Sql(
        f"DROP OPERATOR IF EXISTS {spelled} ({sides.get('leftarg', 'NONE')}, {sides.get('rightarg', 'NONE')})"
    )


def _simple(kind: str, field: str, node: Any) -> Sql:
    name = getattr(node, field)
    return Sql(f"DROP {kind} IF EXISTS {identifier(name) if isinstance(name, str) else _named(name)}")


def _operator_class(kind: str, field: str, node: Any) -> Sql:
    return Sql(
        f"DROP OPERATOR {kind} IF EXISTS {_named(getattr(node, field))} USING {identifier(node.amname)}"
    )


def _cast(node: pb.CreateCastStmt) -> Sql:
    return Sql(f"DROP CAST IF EXISTS ({_type(node.sourcetype)} AS {_type(node.targettype)})")


def _transform(node: pb.CreateTransformStmt) -> Sql:
    return Sql(f"DROP TRANSFORM IF EXISTS FOR {_type(node.type_name)} LANGUAGE {identifier(node.lang)}")


def _emptied(kind: str, field: str, node: Any) -> Sql:
    """COMMENT or SECURITY LABEL … IS NULL."""
    return _deparsed(kind, node, **{field: ""})


def _no_longer(node: pb.AlterObjectDependsStmt) -> Sql:
    return _deparsed("alter_object_depends_stmt", node, remove=True)


def _deparsed(kind: str, node: Any, **changes: Any) -> Sql:
    tree = parse("SELECT 1")
    copy = type(node)()
    copy.CopyFrom(node)
    for name, value in changes.items():
        setattr(copy, name, value)
    getattr(tree.stmts[0].stmt, kind).CopyFrom(copy)
    return Sql(postgast.deparse(tree))


_DROPS: dict[str, Callable[[Any], Sql | None]] = {
    "alter_object_depends_stmt": _no_longer,
    "comment_stmt": partial(_emptied, "comment_stmt", "comment"),
    "create_am_stmt": partial(_simple, "ACCESS METHOD", "amname"),
    "create_cast_stmt": _cast,
    "create_conversion_stmt": partial(_simple, "CONVERSION", "conversion_name"),
    "create_fdw_stmt": partial(_simple, "FOREIGN DATA WRAPPER", "fdwname"),
    "create_op_class_stmt": partial(_operator_class, "CLASS", "opclassname"),
    "create_op_family_stmt": partial(_operator_class, "FAMILY", "opfamilyname"),
    "create_plang_stmt": partial(_simple, "LANGUAGE", "plname"),
    "create_transform_stmt": _transform,
    "define_stmt": _defined,
    "sec_label_stmt": partial(_emptied, "sec_label_stmt", "label"),
}
