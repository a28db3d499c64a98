"""Values that break a check: near the constants of its expression, then the extremes of the column's type."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import product

import postgast

from data_platform.model.database import Database, Domain, Enum, Name, Table
from data_platform.schema.prove.attempts import Row
from data_platform.sql.statements import column_references
from data_platform.sql.text import expression_tree, qualified


def names_in(text: str) -> list[str]:
    return list(dict.fromkeys(parts[-1] for parts in column_references(expression_tree(text))))


def columns_in(text: str, table: Table) -> list[str]:
    known = {column.name for column in table.columns}
    return [name for name in names_in(text) if name in known]


def constants_of(text: str) -> list[str]:
    """The constants of an expression as input texts."""
    found = []
    for node in postgast.find_nodes(expression_tree(text), postgast.pg_query_pb2.A_Const):
        match node.WhichOneof("val"):
            case "ival":
                found.append(str(node.ival.ival))
            case "fval":
                found.append(node.fval.fval)
            case "sval":
                found.append(node.sval.sval)
    return list(dict.fromkeys(found))


def breaking_values(
    database: Database, table: Table, text: str, columns: Sequence[str], valid: Row
) -> Iterator[dict[str, str | None]]:
    """Changes to the check's columns, the simplest first: one column, another column's value, then two columns."""
    constants = constants_of(text)
    options = {name: candidates(database, table.column(name).type, constants) for name in columns}
    for name in columns:
        for value in options[name]:
            yield {name: value}
    for name, other in product(columns, columns):
        if name != other:
            yield {name: valid[other]}
            yield {name: valid[other], other: valid[name]}
    for name, other in product(columns, columns):
        if name < other:
            for value, second in product(options[name], options[other]):
                yield {name: value, other: second}


_NUMBERS = ("-1", "0", "1", "-1000000", "32767", "2147483647", "9999999")
_TEXTS = ("", " ", "x", "X", "dpe!", "0", "a b", "é", "x" * 300)
_TIMES = ("infinity", "-infinity", "1900-01-01", "2999-12-31")
_BY_TYPE: Mapping[str, Sequence[str]] = {
    "smallint": _NUMBERS,
    "integer": _NUMBERS,
    "bigint": _NUMBERS,
    "numeric": (*_NUMBERS, "NaN", "0.001"),
    "real": (*_NUMBERS, "NaN"),
    "double precision": (*_NUMBERS, "NaN"),
    "money": ("-1", "0", "1"),
    "boolean": ("true", "false"),
    "date": _TIMES,
    "timestamp": _TIMES,
    "time": ("00:00", "23:59:59"),
    "interval": ("-1 day", "0", "1000 years"),
    "jsonb": ("null", "[]", "{}", '"x"', "1", "[1]"),
    "json": ("null", "[]", "{}", '"x"', "1"),
    "uuid": ("00000000-0000-0000-0000-000000000000",),
    "range": ("empty", "(,)", "[-1000000,1000000)", "[1900-01-01,2999-01-01)"),
    "array": ("{}", "{NULL}"),
    "text": _TEXTS,
}


def candidates(database: Database, type_: str, constants: Sequence[str]) -> list[str | None]:
    """Input texts worth trying for a column of this type: near the expression's constants, then the extremes."""
    labels = [
        label
        for t in database.types
        if isinstance(t, Enum) and _spelled(t.name) == type_
        for label in t.labels
    ]
    for domain in database.types:
        if isinstance(domain, Domain) and _spelled(domain.name) == type_:
            return candidates(database, domain.base, constants)
    near = [text for constant in constants for text in _around(constant)]
    return list(dict.fromkeys([None, *labels, *near, *_BY_TYPE[_family(type_)]]))


def _spelled(name: Name) -> str:
    return qualified(name.schema, name.name)


def _around(constant: str) -> list[str]:
    try:
        number = int(constant)
    except ValueError:
        return [constant, constant + "x", constant[:-1]]
    # A small whole number may bound the length of a text or an array as well as a value.
    lengths = [length for length in (number - 1, number, number + 1) if 0 <= length <= 300]
    arrays = ["{" + ",".join(["NULL"] * length) + "}" for length in lengths]
    return [str(number - 1), str(number), str(number + 1), *("x" * length for length in lengths), *arrays]


def _family(type_: str) -> str:
    if type_.endswith("]"):
        return "array"
    if type_.split("(", maxsplit=1)[0].endswith("range"):
        return "range"
    return next((family for family in _BY_TYPE if type_.startswith(family)), "text")
