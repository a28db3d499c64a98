"""Soda's checks language (SodaCL), as YAML."""

from __future__ import annotations

from typing import Any

from data_platform.pipeline.quality.export.exported import Cannot, Exported, Unsaid, by_table, heading, plain
from data_platform.pipeline.quality.export.patterns import PATTERNS
from data_platform.pipeline.quality.predicates import good
from data_platform.spec.checks import Check
from data_platform.spec.emit import emit
from data_platform.spec.quality import Quality
from data_platform.sql.text import Sql, identifier, identifiers, joined, phrase, qualified

_SHAPES = ("email", "uuid", "url")
"""Formats that a regular expression says in full; of Soda's own formats some are others, and some are not there."""


def export(spec: Quality) -> Exported:
    """One `checks.yml`."""
    document: dict[str, list[Any]] = {}
    unsaid: list[Unsaid] = []
    for table, checks in by_table(spec.checks):
        own: list[Any] = []
        for check in checks:
            try:
                own += _said(check, unsaid)
            except Cannot as cannot:
                unsaid.append(Unsaid(check, str(cannot)))
        if own:
            document[f"checks for {table.name if table.schema == 'public' else table}"] = own
    return Exported({"checks.yml": heading(spec, unsaid) + emit(document)}, tuple(unsaid))


def _said(check: Check, unsaid: list[Unsaid]) -> list[Any]:  # noqa: PLR0912  one case for each kind
    if check.tolerance.rows is not None and check.tolerance.share is not None:
        unsaid.append(Unsaid(check, "only the share of its tolerance; Soda takes one of the two"))
    options: dict[str, Any] = {"name": check.name}
    if check.where:
        options["filter"] = str(check.where)
    match check.kind:
        case "not_null":
            return [{_metric("missing", name, check): options} for name in check.columns]
        case "set":
            values = {"valid values": list(check.values)}
            return [{_metric("invalid", name, check): {**options, **values}} for name in check.columns]
        case "format" if check.format is None or (check.format in _SHAPES and not check.pattern):
            valid = {"valid regex": check.pattern or PATTERNS[check.format or ""]}
            return [{_metric("invalid", name, check): {**options, **valid}} for name in check.columns]
        case "range" if check.bounds.above is None and check.bounds.below is None:
            bounds = {"valid min": check.bounds.min, "valid max": check.bounds.max}
            given = {key: plain(value) for key, value in bounds.items() if value is not None}
            return [{_metric("invalid", name, check): {**options, **given}} for name in check.columns]
        case "range" | "format" | "type" | "condition":
            _no_tolerance(check)
            types = dict.fromkeys(check.columns, "text")
            failing = f"NOT {good(check, types, 18, alias='')}"
            condition = f"({check.where}) AND {failing}" if check.where else failing
            return [{"failed rows": {"name": check.name, "fail condition": condition}}]
        case "unique":
            _no_tolerance(check)
            return [{"failed rows": {"name": check.name, "fail query": str(_surplus(check))}}]
        case "freshness":
            return [{f"freshness({check.columns[0]}) < {max(1, round(check.within_seconds / 60))}m": options}]
        case "sql":
            _no_tolerance(check)
            return [{"failed rows": {"name": check.name, "fail query": str(check.query)}}]
        case "reference":
            return [{_reference(check): options}]
        case "rows" if check.change is None:
            return [{f"row_count {sign} {bound}": options} for sign, bound in _bounds(check)]
        case _:
            raise Cannot(f"Soda has no check of kind {check.kind} without its cloud")


def _metric(what: str, column: str, check: Check) -> str:
    share, rows = check.tolerance.share, check.tolerance.rows
    if share is not None:
        return f"{what}_percent({column}) <= {share * 100:g}"
    return f"{what}_count({column}) <= {rows}" if rows else f"{what}_count({column}) = 0"


def _surplus(check: Check) -> Sql:
    """Rows beyond the first of each key; Soda's own count of duplicates is one of keys."""
    whole = [Sql(f"{identifier(name)} IS NOT NULL") for name in check.columns]
    whole += [Sql(f"({check.where})")] if check.where else []
    return phrase(
        "SELECT * FROM (SELECT *, row_number() OVER (PARTITION BY {key}) AS dpe_n FROM {table} WHERE {whole}) k"
        " WHERE dpe_n > 1",
        key=identifiers(check.columns),
        table=qualified(check.table.schema, check.table.name),
        whole=joined(" AND ", whole),
    )


def _no_tolerance(check: Check) -> None:
    if check.tolerance.rows or check.tolerance.share:
        raise Cannot("a tolerance of failed rows")


def _reference(check: Check) -> str:
    other = check.to
    assert other is not None
    if other.dsn or other.where:
        raise Cannot("a reference to another server, or to a part of a table")
    _no_tolerance(check)
    own, theirs = ", ".join(check.columns), ", ".join(other.columns)
    return f"values in ({own}) must exist in {other.table.name} ({theirs})"


def _bounds(check: Check) -> list[tuple[str, str]]:
    pairs = ((">=", check.bounds.min), ("<=", check.bounds.max))
    return [(sign, bound) for sign, bound in pairs if bound is not None]
