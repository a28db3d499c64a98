"""Functions and procedures. A key is `name`, or `name(anything)` where that tells overloads apart."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from data_platform.model.database import Function, Name
from data_platform.spec.document import Path_
from data_platform.spec.model import texts
from data_platform.spec.model.codec import Object
from data_platform.spec.model.context import Context
from data_platform.spec.model.values import Reading
from data_platform.sql.text import NotSql

_BODIES = ("body", "sql_body", "link_symbol")


def names(context: Context, specs: Mapping[str, Any]) -> Iterator[Name]:
    """The functions' names, without an error for those that can be none."""
    for key in specs:
        name = context.name(_without_arguments(key), ("functions", key))
        if name is not None:
            yield name


def read(context: Context, specs: Mapping[str, Any]) -> tuple[Function, ...]:
    """All functions, sorted by name and arguments."""
    made = [_read(context, key, spec, ("functions", key)) for key, spec in specs.items()]
    return tuple(sorted((item for item in made if item is not None), key=order))


def order(function: Function) -> tuple[Name, str]:
    """What functions are sorted by."""
    return function.name, function.arguments


def write(functions: Iterable[Function], default_schema: str) -> dict[str, Any]:
    """What `read` reads."""
    overloads = Counter(function.name for function in functions)
    return {
        _key(function, default_schema, overloads[function.name] > 1): _write(function, default_schema)
        for function in functions
    }


def _read(context: Context, key: str, given_spec: Mapping[str, Any] | None, path: Path_) -> Function | None:
    spec = given_spec or {}  # a key with nothing after it
    try:
        name = context.name(_without_arguments(key), path)
        texts.signature(spec.get("arguments", ""), spec.get("returns"))
    except NotSql as problem:
        context.error(
            path, "spec-sql", f"{problem}", "arguments: as between the parentheses of CREATE FUNCTION"
        )
        return None
    given = [part for part in _BODIES if part in spec]
    if len(given) != 1:
        message = "expected exactly one of `body`, `sql_body` and `link_symbol`"
        context.error(path, "spec-conflict", message, "keep one")
        return None
    if spec.get("procedure") and "returns" in spec:
        context.error((*path, "returns"), "spec-conflict", "a procedure returns nothing", "remove `returns:`")
    fields = Object(Function).fields(Reading(context), spec, path)
    fields.setdefault("language", "sql" if "sql_body" in spec else "plpgsql")
    return None if name is None else Function(name=name, **fields)


def _write(function: Function, default_schema: str) -> dict[str, Any]:
    spec = Object(Function).spec(function, default_schema)
    # The body last: it is the long part.
    return {key: spec[key] for key in sorted(spec, key=lambda key: key in _BODIES)}


def _key(function: Function, default_schema: str, overloaded: bool) -> str:
    name = function.name
    place = [] if name.schema == default_schema else [name.schema]
    text = ".".join(_part(part) for part in (*place, name.name))
    return f"{text}({function.arguments})" if overloaded else text


def _part(part: str) -> str:
    return '"' + part.replace('"', '""') + '"' if set(part) & set('."(') else part


def _without_arguments(key: str) -> str:
    """`key` without the part in parentheses at its end; a parenthesis in double quotes belongs to the name."""
    inside = False
    for position, character in enumerate(key):
        if character == '"':
            inside = not inside
        elif character == "(" and not inside and position and key.endswith(")"):
            return key[:position]
    return key
