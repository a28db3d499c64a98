"""dbt: sources with data tests. What dbt has no test for itself is said by the package dbt_utils."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from data_platform.pipeline.quality.export.exported import Cannot, Exported, Unsaid, by_table, heading
from data_platform.pipeline.quality.predicates import good
from data_platform.spec.checks import Check
from data_platform.spec.emit import emit
from data_platform.spec.quality import Quality
from data_platform.sql.text import identifier

_SEVERITIES = {"error": "error", "warning": "warn", "info": "warn"}
_SERVER = 18
_VALUES = "coalesce(sum(n_records), 0)"
_SURPLUS = "coalesce(sum(n_records - 1), 0)"
"""dbt counts values; a check counts their rows, and of a key those beyond the first."""


def export(spec: Quality) -> Exported:
    """One `schema.yml` with a source for each schema."""
    sources: dict[str, list[dict[str, Any]]] = {}
    unsaid: list[Unsaid] = []
    for table, checks in by_table(spec.checks):
        sources.setdefault(table.schema, []).append(_table(table.name, checks, unsaid))
    for schema, name in _referred_to(spec.checks):
        sources.setdefault(schema, []).append({"name": name})
    document = {
        "version": 2,
        "sources": [
            {"name": schema, "schema": schema, "tables": tables} for schema, tables in sources.items()
        ],
    }
    return Exported({"schema.yml": heading(spec, unsaid) + emit(document)}, tuple(unsaid))


def _referred_to(checks: Sequence[Check]) -> list[tuple[str, str]]:
    """Tables without checks of their own: of a source that is not declared dbt drops the test without a word."""
    checked = {(check.table.schema, check.table.name) for check in checks}
    others = [check.to for check in checks if check.kind == "reference"]
    there = {(one.table.schema, one.table.name) for one in others if one and not one.dsn}
    return sorted(there - checked)


def _table(name: str, checks: list[Check], unsaid: list[Unsaid]) -> dict[str, Any]:
    table: dict[str, Any] = {"name": name}
    columns: dict[str, list[Any]] = {}
    tests: list[Any] = []
    for check in checks:
        try:
            if check.kind == "freshness":
                table |= _freshness(check)
                continue
            for column, test in _tests(check, unsaid):
                (columns.setdefault(column, []) if column else tests).append(test)
        except Cannot as cannot:
            unsaid.append(Unsaid(check, str(cannot)))
    if tests:
        table["data_tests"] = tests
    if columns:
        table["columns"] = [{"name": column, "data_tests": own} for column, own in columns.items()]
    return table


def _freshness(check: Check) -> dict[str, Any]:
    if check.where:
        raise Cannot("dbt's freshness of a check with `where:`")
    level = "error_after" if check.severity == "error" else "warn_after"
    minutes = max(1, round(check.within_seconds / 60))
    return {
        "loaded_at_field": check.columns[0],
        "freshness": {level: {"count": minutes, "period": "minute"}},
    }


def _tests(check: Check, unsaid: list[Unsaid]) -> list[tuple[str | None, Any]]:
    config = _config(check, unsaid)
    match check.kind:
        case "not_null":
            return [(column, _test(check, "not_null", {}, config, column)) for column in check.columns]
        case "set":
            values = {"values": list(check.values)}
            rows = {**config, "fail_calc": _VALUES}
            return [
                (column, _test(check, "accepted_values", values, rows, column)) for column in check.columns
            ]
        case "unique":
            # A row of several columns is not NULL where all of them are not, and then only it is looked at.
            names = ", ".join(identifier(name) for name in check.columns)
            key = {"column_name": f"({names})"}
            return [(None, _test(check, "unique", key, {**config, "fail_calc": _SURPLUS}))]
        case "reference":
            return [(check.columns[0], _test(check, "relationships", _relationship(check), config))]
        case "range" | "format" | "type" | "condition":
            # expression_is_true counts NULL as false, and a check does not.
            expression = good(check, dict.fromkeys(check.columns, "text"), _SERVER, alias="")
            asked = {"expression": f"({expression}) IS NOT FALSE"}
            return [(None, _test(check, "dbt_utils.expression_is_true", asked, config))]
        case _:
            raise Cannot(f"dbt has no generic test for a check of kind {check.kind}")


def _relationship(check: Check) -> dict[str, Any]:
    other = check.to
    assert other is not None
    if len(check.columns) > 1:
        raise Cannot("dbt's relationships are of one column")
    if other.dsn or other.where:
        raise Cannot("dbt's relationships are with a whole table of the same database")
    schema, table = (name.replace("'", "\\'") for name in (other.table.schema, other.table.name))
    return {"to": f"source('{schema}', '{table}')", "field": other.columns[0]}


def _config(check: Check, unsaid: list[Unsaid]) -> dict[str, Any]:
    config: dict[str, Any] = {"severity": _SEVERITIES[check.severity]}
    if check.where:
        config["where"] = str(check.where)
    if check.tolerance.share is not None:
        unsaid.append(Unsaid(check, "dbt tolerates numbers of rows, no shares; here none is tolerated"))
    elif check.tolerance.rows is not None:
        config |= {"error_if": f">{check.tolerance.rows}", "warn_if": f">{check.tolerance.rows}"}
    return config


def _test(
    check: Check, test: str, arguments: dict[str, Any], config: dict[str, Any], column: str = ""
) -> dict[str, Any]:
    """Named after its check, since dbt refuses two tests of one kind on one column that have no names."""
    several = f" {column}" if len(check.columns) > 1 and column else ""
    name = re.sub(r"\W", "_", f"{check.name}{several}")
    return {test: {"name": name, **({"arguments": arguments} if arguments else {}), "config": config}}
