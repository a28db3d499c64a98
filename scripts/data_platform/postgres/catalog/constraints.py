"""Keys, checks, foreign keys, exclusions, indexes and extended statistics of one table."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping

from data_platform.model.database import (
    Action,
    Check,
    Exclusion,
    ExclusionElement,
    ForeignKey,
    Index,
    IndexElement,
    PrimaryKey,
    Statistics,
    Unique,
)
from data_platform.postgres.catalog.rows import Row, deferral, named, options

_ACTIONS: dict[str, Action] = {
    "a": "no action",
    "r": "restrict",
    "c": "cascade",
    "n": "set null",
    "d": "set default",
}
_DESCENDING, _NULLS_FIRST = 1, 2
"""Bits of pg_index.indoption."""
_KINDS = {"d": "ndistinct", "f": "dependencies", "m": "mcv"}


class Constraints:
    """The constraints of one table, by kind; `indexes` are all of the table's, by oid."""

    def __init__(self, rows: list[Row], indexes: Mapping[int, Row]) -> None:
        kinds: dict[str, list[Row]] = defaultdict(list)
        for row in rows:
            kinds[row["kind"]].append(row)
        keys = [_primary_key(row, indexes[row["index_oid"]]) for row in kinds["p"]]
        self.primary_key = keys[0] if keys else None
        self.uniques = tuple(_unique(row, indexes[row["index_oid"]]) for row in kinds["u"])
        self.checks = tuple(_check(row) for row in kinds["c"])
        self.exclusions = tuple(_exclusion(row, indexes[row["index_oid"]]) for row in kinds["x"])
        self.foreign_keys = tuple(_foreign_key(row) for row in kinds["f"])


def index(row: Row) -> Index:
    """An index that no constraint owns."""
    return Index(
        name=row["name"],
        elements=tuple(element(part) for part in row["elements"]),
        method=row["method"],
        unique=row["unique"],
        nulls_not_distinct=row["nulls_not_distinct"],
        include=tuple(row["include"] or ()),
        where=row["predicate"],
        options=options(row["options"]),
        only=row["only"],
        statistics=tuple((number, target) for number, target in row["statistics"] or ()),
        comment=row["comment"],
    )


def element(part: Row) -> IndexElement:
    """One key of an index."""
    collation = part["collation"]
    if part["column"] is None and part["expression_collation"] not in (None, "default"):
        collation = part["expression_collation"]
    return IndexElement(
        column=part["column"],
        expression=part["expression"],
        collation=collation,
        opclass=part["opclass"],
        opclass_options=options(part["opclass_options"]),
        descending=bool(part["option"] & _DESCENDING),
        nulls_first=bool(part["option"] & _NULLS_FIRST),
    )


def statistics(row: Row) -> Statistics:
    """An extended statistics object."""
    columns = [IndexElement(column=name) for name in row["columns"] or ()]
    expressions = [IndexElement(expression=text) for text in row["expressions"] or ()]
    kinds = tuple(sorted(_KINDS[kind] for kind in row["kinds"] if kind in _KINDS))
    return Statistics(
        name=row["name"],
        on=(*columns, *expressions),
        kinds=() if len(kinds) == len(_KINDS) else kinds,  # type: ignore[arg-type]
        schema=None if row["schema"] == row["table_schema"] else row["schema"],
        target=row["target"],
        comment=row["comment"],
    )


def _primary_key(row: Row, index: Row) -> PrimaryKey:
    return PrimaryKey(
        name=row["name"],
        columns=tuple(row["columns"]),
        deferral=deferral(row),
        include=tuple(index["include"] or ()),
        without_overlaps=row["period"],
        options=options(index["options"]),
        comment=row["comment"],
    )


def _unique(row: Row, index: Row) -> Unique:
    return Unique(
        name=row["name"],
        columns=tuple(row["columns"]),
        nulls_not_distinct=index["nulls_not_distinct"],
        include=tuple(index["include"] or ()),
        deferral=deferral(row),
        without_overlaps=row["period"],
        options=options(index["options"]),
        comment=row["comment"],
    )


def _check(row: Row) -> Check:
    return Check(
        name=row["name"],
        expression=row["expression"],
        no_inherit=row["no_inherit"],
        validated=row["validated"] or not row["enforced"],
        enforced=row["enforced"],
        comment=row["comment"],
    )


def _exclusion(row: Row, index: Row) -> Exclusion:
    elements = [element(part) for part in index["elements"]]
    return Exclusion(
        name=row["name"],
        method=index["method"],
        elements=tuple(
            ExclusionElement(element=part, operator=operator)
            for part, operator in zip(elements, row["operators"], strict=True)
        ),
        where=index["predicate"],
        deferral=deferral(row),
        include=tuple(index["include"] or ()),
        options=options(index["options"]),
        comment=row["comment"],
    )


def _foreign_key(row: Row) -> ForeignKey:
    return ForeignKey(
        name=row["name"],
        columns=tuple(row["columns"]),
        target=named(row, "target_"),
        target_columns=tuple(row["target_columns"]),
        on_delete=_ACTIONS[row["on_delete"]],
        on_update=_ACTIONS[row["on_update"]],
        set_columns=tuple(row["set_columns"] or ()),
        match_full=row["match"] == "f",
        deferral=deferral(row),
        period=row["period"],
        validated=row["validated"] or not row["enforced"],
        enforced=row["enforced"],
        comment=row["comment"],
    )
