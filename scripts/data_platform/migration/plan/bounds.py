"""The bound of a partition as a condition on its rows, in the form that PostgreSQL itself makes of it.

With a valid CHECK of that condition ATTACH PARTITION has nothing to look at.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import postgast
from postgast import pg_query_pb2 as pb

from data_platform.ddl.clauses import element_clause
from data_platform.model.database import IndexElement, Name, Partitioning
from data_platform.sql.phrases import number
from data_platform.sql.text import Sql, joined, parse, relation_literal


def condition(parent: Name, by: Partitioning, bound: str) -> Sql | None:
    """What a partition's rows fulfil; None for DEFAULT, whose condition is that no other's holds."""
    spec = _spec(bound)
    if spec.is_default:
        return None
    keys = [_key(element) for element in by.key]
    if by.strategy == "hash":
        remainder = f"{number(spec.modulus)}, {number(spec.remainder)}"
        return Sql(
            f"satisfies_hash_partition({relation_literal(parent)}::regclass, {remainder}, {joined(', ', keys)})"
        )
    if by.strategy == "list":
        return _list(keys[0], [_text(one) for one in spec.listdatums])
    lower, upper = ([_text(one) for one in datums] for datums in (spec.lowerdatums, spec.upperdatums))
    return _range(keys, lower, upper)


def is_default(bound: str) -> bool:
    """Whether it is the DEFAULT partition's."""
    return bool(_spec(bound).is_default)


def _spec(bound: str) -> Any:
    return parse(f"CREATE TABLE a PARTITION OF b {bound}").stmts[0].stmt.create_stmt.partbound


def _key(element: IndexElement) -> Sql:
    return element_clause(IndexElement(column=element.column, expression=element.expression))


def _text(node: Any) -> Sql:
    """One value: MINVALUE, MAXVALUE, NULL, or an expression."""
    if node.HasField("column_ref"):
        return Sql(node.column_ref.fields[0].string.sval.upper())
    tree = pb.ParseResult()
    tree.CopyFrom(postgast.parse("SELECT 1"))
    target = tree.stmts[0].stmt.select_stmt.target_list[0].res_target
    target.val.CopyFrom(node)
    return Sql(postgast.deparse(tree).removeprefix("SELECT "))


def _list(key: Sql, values: Sequence[Sql]) -> Sql:
    given = [value for value in values if value != "NULL"]
    is_one = f"{key} = {given[0]}" if len(given) == 1 else f"{key} IN ({joined(', ', given)})"
    if len(given) == len(values):
        return Sql(f"{key} IS NOT NULL AND {is_one}")
    return Sql(f"{key} IS NULL OR {is_one}" if given else f"{key} IS NULL")


def _range(keys: Sequence[Sql], lower: Sequence[Sql], upper: Sequence[Sql]) -> Sql:
    """Row-wise: the first key that differs decides; keys with the same bound on both sides are equal to it."""
    same = 0
    while same < len(keys) and lower[same] == upper[same] and lower[same] not in _OPEN:
        same += 1
    parts = [Sql(f"{key} IS NOT NULL") for key in keys]
    parts += [Sql(f"{key} = {value}") for key, value in zip(keys[:same], lower, strict=False)]
    parts += _side(keys[same:], lower[same:], ">", ">=", "MINVALUE")
    parts += _side(keys[same:], upper[same:], "<", "<", "MAXVALUE")
    return joined(" AND ", parts)


_OPEN = ("MINVALUE", "MAXVALUE")


def _side(keys: Sequence[Sql], values: Sequence[Sql], beyond: str, last: str, unbounded: str) -> list[Sql]:
    choices = list(_choices(keys, values, beyond, last))
    if not choices or values[0] == unbounded:
        return []
    return (
        [choices[0]]
        if len(choices) == 1
        else [Sql(f"({joined(' OR ', (Sql(f'({one})') for one in choices))})")]
    )


def _choices(keys: Sequence[Sql], values: Sequence[Sql], beyond: str, last: str) -> Iterator[Sql]:
    for place, (key, value) in enumerate(zip(keys, values, strict=True)):
        equal = [Sql(f"{k} = {v}") for k, v in zip(keys[:place], values[:place], strict=True)]
        if value in _OPEN:
            # What is equal so far is inside for the one, outside for the other.
            if (value == "MINVALUE") == (beyond == ">"):
                yield joined(" AND ", equal)
            return
        operator = last if place == len(keys) - 1 else beyond
        yield joined(" AND ", [*equal, Sql(f"{key} {operator} {value}")])
