"""What tells two functions of one name apart: the types of their input arguments, by PostgreSQL's grammar."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import TypeAlias

from postgast import pg_query_pb2 as pb

from data_platform.model.database import Function, Name
from data_platform.sql.text import NotSql, parse

_INPUT = (pb.FUNC_PARAM_IN, pb.FUNC_PARAM_INOUT, pb.FUNC_PARAM_VARIADIC, pb.FUNC_PARAM_DEFAULT)
TypeKey: TypeAlias = tuple[tuple[str, ...], int]
"""A type's name and the number of its array dimensions; modifiers do not count in a signature."""


@dataclass(frozen=True)
class Signature:
    """A function's name and the types of its input arguments."""

    name: Name
    types: tuple[TypeKey, ...]


@dataclass(frozen=True)
class Argument:
    """One argument, of input or of output."""

    name: str
    type: TypeKey
    input: bool
    output: bool
    has_default: bool


@lru_cache(maxsize=4096)
def arguments_of(text: str) -> tuple[Argument, ...]:
    """The arguments between the parentheses of CREATE FUNCTION."""
    made = parse(f"CREATE PROCEDURE f({text}\n) LANGUAGE sql").stmts[0].stmt.create_function_stmt
    return tuple(_argument(node.function_parameter) for node in made.parameters)


def _argument(node: pb.FunctionParameter) -> Argument:
    return Argument(
        name=node.name,
        type=_type_key(node.arg_type),
        input=node.mode in _INPUT,
        output=node.mode in (pb.FUNC_PARAM_OUT, pb.FUNC_PARAM_INOUT, pb.FUNC_PARAM_TABLE),
        has_default=node.HasField("defexpr"),
    )


def _type_key(node: pb.TypeName) -> TypeKey:
    names = [part.string.sval for part in node.names]
    if names[0] in ("pg_catalog", "public"):
        names = names[1:]
    return tuple(names), int(bool(node.array_bounds))


def signature_of(function: Function) -> Signature:
    """The signature of a function of a model."""
    types = (argument.type for argument in arguments_of(function.arguments) if argument.input)
    return Signature(function.name, tuple(types))


@lru_cache(maxsize=4096)
def signature_text(text: str) -> Signature | None:
    """What `app.total(integer)` means; None where that is not a function."""
    try:
        dropped = parse(f"DROP FUNCTION {text}").stmts[0].stmt.drop_stmt
    except NotSql:
        return None
    node = dropped.objects[0].object_with_args
    names = [part.string.sval for part in node.objname]
    schema = names[-2] if len(names) > 1 else "public"
    return Signature(Name(schema, names[-1]), tuple(_input_types(node.objargs)))


def _input_types(nodes: Iterable[pb.Node]) -> Iterator[TypeKey]:
    return (_type_key(node.type_name) for node in nodes)
