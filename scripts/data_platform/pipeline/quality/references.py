"""Keys that another table must have: an anti-join on one server; across two, keys fetched and asked for in blocks."""

from __future__ import annotations

from typing import Any

from data_platform.pipeline.quality import verdicts
from data_platform.pipeline.quality.asked import Asked
from data_platform.pipeline.quality.samples import orphans
from data_platform.pipeline.quality.verdicts import Verdict
from data_platform.postgres.quality.asking import (
    MASK,
    NotRun,
    Session,
    Table,
    keys,
    missing_keys,
    one_row,
    table_of,
)
from data_platform.spec.checks import Check
from data_platform.sql.text import Sql, identifier, joined, phrase, qualified

_TRUE = Sql("true")


def reference(session: Session, table: Table, check: Check, there: Session | None, asked: Asked) -> Verdict:
    """Rows whose key the other table does not have; of another server distinct keys. NULL refers to nothing."""
    if there is not None:
        return _elsewhere(session, table, check, there, asked)
    looked_at = joined(" AND ", _whole(check))
    missing = phrase("{whole} AND NOT EXISTS ({other})", whole=looked_at, other=_same_keys(check))
    query = "SELECT (SELECT count(*) FROM {table} r WHERE {missing}), (SELECT count(*) FROM {table} r WHERE {whole})"
    found = one_row(session, phrase(query, table=table.name, missing=missing, whole=looked_at))
    verdict = verdicts.counted(check, int(found[0]), int(found[1]), "an anti-join with the other table")
    return orphans(session, table, verdict, missing, asked)


def _whole(check: Check) -> list[Sql]:
    parts = [Sql(f"r.{identifier(name)} IS NOT NULL") for name in check.columns]
    return [*parts, Sql(f"({check.where})")] if check.where else parts


def _same_keys(check: Check) -> Sql:
    """Rows of the other table with the key of `r`; its `where:` stands where bare names are its own."""
    other = check.to
    assert other is not None
    pairs = zip(check.columns, other.columns, strict=True)
    return phrase(
        "SELECT FROM (SELECT {columns} FROM {table} WHERE ({where})) o WHERE {same}",
        columns=joined(", ", [Sql(identifier(name)) for name in dict.fromkeys(other.columns)]),
        table=qualified(other.table.schema, other.table.name),
        where=other.where or _TRUE,
        same=joined(" AND ", [Sql(f"o.{identifier(b)} = r.{identifier(a)}") for a, b in pairs]),
    )


def _elsewhere(session: Session, table: Table, check: Check, there: Session, asked: Asked) -> Verdict:
    other = check.to
    assert other is not None
    target = table_of(there, other.table)
    unknown = [name for name in other.columns if name not in target.relation.columns]
    if unknown:
        raise NotRun(f"there is no column {', '.join(unknown)} in {other.table}")
    total, missing = 0, 0
    shown: list[tuple[Any, ...]] = []
    for block in keys(session, table.name, check.columns, check.where or _TRUE):
        lost = missing_keys(there, target, other.columns, block, other.where or _TRUE)
        total, missing = total + len(block), missing + len(lost)
        shown += lost[: asked.samples - len(shown)]
    verdict = verdicts.counted(
        check, missing, total, "distinct keys, fetched and asked for on the other server"
    )
    if verdict.good:
        return verdict
    samples = tuple(
        {
            name: MASK if name in asked.sensitive else value
            for name, value in zip(check.columns, key, strict=True)
        }
        for key in shown
    )
    return Verdict(check, "failed", verdict.told, rows=total, failing=missing, samples=samples)
