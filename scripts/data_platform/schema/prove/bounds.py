"""The bounds of partitions, read from their text."""

from __future__ import annotations

from typing import Any

from data_platform.model.database import Table
from data_platform.postgres.filling.partitions import takes_rest
from data_platform.sql.text import parse


def range_of(partition: Table) -> tuple[str, str] | None:
    """The ends of a partition of one range; where it has none, infinity."""
    if partition.partition_of is None or takes_rest(partition):
        return None
    (statement,) = parse(f"CREATE TABLE a PARTITION OF b {partition.partition_of.bound}").stmts
    bound = statement.stmt.create_stmt.partbound
    if len(bound.lowerdatums) != 1:
        return None
    return _datum(bound.lowerdatums[0], "-infinity"), _datum(bound.upperdatums[0], "infinity")


def _datum(node: Any, endless: str) -> str:
    if not node.HasField("a_const"):
        return endless
    constant = node.a_const
    return str(constant.sval.sval or constant.fval.fval or constant.ival.ival)
