"""Great Expectations: a suite of version 1 for each table, as JSON."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from data_platform.pipeline.quality.export.exported import Cannot, Exported, Unsaid, by_table, number, plain
from data_platform.pipeline.quality.export.patterns import PATTERNS
from data_platform.spec.checks import Check
from data_platform.spec.quality import Quality

_SEVERITIES = {"error": "critical", "warning": "warning", "info": "info"}


def export(spec: Quality) -> Exported:
    """`SCHEMA.TABLE.json` for each table."""
    files, unsaid = {}, []
    for table, checks in by_table(spec.checks):
        own: list[Unsaid] = []
        expectations = [one for check in checks for one in _said(check, own)]
        notes = {"from": spec.file, "sha256": spec.sha256, "store": spec.store}
        missing = [{"check": one.check.name, "why": one.why} for one in own]
        suite = {
            "name": f"{spec.name}.{table}",
            "expectations": expectations,
            "meta": {"dpe": {**notes, "not_in_here": missing}},
        }
        files[f"{table}.json"] = json.dumps(suite, ensure_ascii=False, indent=2) + "\n"
        unsaid += own
    return Exported(files, tuple(unsaid))


def _said(check: Check, unsaid: list[Unsaid]) -> Iterator[dict[str, Any]]:
    try:
        if check.where:
            raise Cannot("a `where:` here is SQL, and row conditions there are another language")
        for type_, arguments in _expectations(check):
            kwargs = {**arguments, **_mostly(check, type_, unsaid)}
            severity = _SEVERITIES[check.severity]
            yield {"type": type_, "kwargs": kwargs, "meta": {"name": check.name}, "severity": severity}
    except Cannot as cannot:
        unsaid.append(Unsaid(check, str(cannot)))


def _mostly(check: Check, type_: str, unsaid: list[Unsaid]) -> dict[str, float]:
    tolerance = check.tolerance
    if tolerance.rows is not None:
        unsaid.append(Unsaid(check, "a number of rows that may fail; there it is a share"))
    if tolerance.share is None:
        return {}
    if not type_.startswith("expect_column_values_"):
        unsaid.append(Unsaid(check, "a share that may fail, of more than one column"))
        return {}
    return {"mostly": 1 - tolerance.share}


def _expectations(check: Check) -> list[tuple[str, dict[str, Any]]]:
    match check.kind:
        case "not_null":
            return [("expect_column_values_to_not_be_null", {"column": name}) for name in check.columns]
        case "set":
            values = {"value_set": list(check.values)}
            return [
                ("expect_column_values_to_be_in_set", {"column": name, **values}) for name in check.columns
            ]
        case "range":
            return [
                ("expect_column_values_to_be_between", {"column": name, **_between(check)})
                for name in check.columns
            ]
        case "format":
            found = check.pattern or PATTERNS[check.format or ""]
            return [
                ("expect_column_values_to_match_regex", {"column": name, "regex": found})
                for name in check.columns
            ]
        case "unique" if len(check.columns) == 1:
            return [("expect_column_values_to_be_unique", {"column": check.columns[0]})]
        case "unique":
            return [("expect_compound_columns_to_be_unique", {"column_list": list(check.columns)})]
        case "rows" if check.change is None:
            bounds = check.bounds
            sides = {"min_value": bounds.min, "max_value": bounds.max}
            kwargs = {side: number(value) for side, value in sides.items() if value is not None}
            return [("expect_table_row_count_to_be_between", kwargs)]
        case "sql":
            # Placeholders of a suite are in braces, which SQL has in constants only.
            query = str(check.query).replace("{", "{{").replace("}", "}}")
            return [("unexpected_rows_expectation", {"unexpected_rows_query": query})]
        case _:
            raise Cannot(f"no expectation is a check of kind {check.kind}")


def _between(check: Check) -> dict[str, Any]:
    bounds = check.bounds
    kwargs: dict[str, Any] = {}
    for key, loose, strict in (("min", bounds.min, bounds.above), ("max", bounds.max, bounds.below)):
        if loose is not None:
            kwargs[f"{key}_value"] = plain(loose)
        elif strict is not None:
            kwargs |= {f"{key}_value": plain(strict), f"strict_{key}": True}
    return kwargs
