"""How tests lint: SQL and a base schema from text."""

from __future__ import annotations

from data_platform.migration.files import Transaction, read_bytes
from data_platform.migration.lint.base import from_scripts, nothing_known
from data_platform.migration.lint.lint import Linted, lint
from data_platform.migration.lint.state import State
from data_platform.report.finding import Finding


def base(schema: str) -> State:
    """The state of a schema, or nothing known for ""."""
    return (
        from_scripts([read_bytes("base.sql", schema.encode(), "as-written")]) if schema else nothing_known()
    )


def linted(
    sql: str,
    schema: str = "",
    transaction: Transaction = "as-written",
    version: int = 18,
    name: str = "m.sql",
) -> Linted:
    """One file's findings."""
    (one,) = lint([read_bytes(name, sql.encode(), transaction)], base(schema), version)
    return one


def found(
    sql: str, schema: str = "", transaction: Transaction = "as-written", version: int = 18
) -> dict[str, Finding]:
    """The findings by rule."""
    return {finding.rule: finding for finding in linted(sql, schema, transaction, version).findings}
