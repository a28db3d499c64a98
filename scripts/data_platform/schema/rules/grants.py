"""Which grants are on which object: GRANT names objects by SQL, rules ask by name."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import postgast

from data_platform.model.database import Function, Grant, Name
from data_platform.sql.text import NotSql, keyword, parse

pb = postgast.pg_query_pb2

Signature = tuple[str, ...]
"""The types of a function's arguments, without schemas."""


def by_object(grants: Iterable[Grant], schema: str) -> dict[tuple[str, Name], tuple[Grant, ...]]:
    """The grants on tables, views and functions by kind and name; `schema` is that of names without one."""
    found: dict[tuple[str, Name], list[Grant]] = {}
    for grant in grants:
        named = _object(grant)
        if named is not None:
            name = _name(named, schema)
            found.setdefault((grant.kind, name), []).append(grant)
    return {key: tuple(kept) for key, kept in found.items()}


def is_about(grant: Grant, function: Function) -> bool:
    """Whether a grant on a function of that name is on this one of its overloads."""
    node = _object(grant)
    if node is None or not isinstance(node, pb.ObjectWithArgs) or node.args_unspecified:
        return True
    return tuple(_type(part.type_name) for part in node.objargs) == _signature(function)


def _object(grant: Grant) -> Any | None:
    try:
        (statement,) = parse(f"GRANT ALL ON {keyword(grant.kind)} {grant.object} TO x").stmts
    except (NotSql, ValueError):
        return None
    (first, *_) = statement.stmt.grant_stmt.objects
    found = postgast.unwrap_node(first)
    return found if isinstance(found, pb.RangeVar | pb.ObjectWithArgs) else None


def _name(node: Any, schema: str) -> Name:
    if isinstance(node, pb.RangeVar):
        return Name(node.schemaname or schema, node.relname)
    parts = [part.string.sval for part in node.objname]
    return Name(parts[-2] if len(parts) > 1 else schema, parts[-1])


def _signature(function: Function) -> Signature | None:
    try:
        (statement,) = parse(f"CREATE PROCEDURE f({function.arguments}) LANGUAGE sql").stmts
    except (NotSql, ValueError):
        return None
    return tuple(_inputs(statement.stmt.create_function_stmt))


def _inputs(made: Any) -> Iterator[str]:
    for part in made.parameters:
        parameter = part.function_parameter
        if parameter.mode not in (pb.FUNC_PARAM_OUT, pb.FUNC_PARAM_TABLE):
            yield _type(parameter.arg_type)


def _type(node: Any) -> str:
    return str(node.names[-1].string.sval) + "[]" * bool(node.array_bounds)
