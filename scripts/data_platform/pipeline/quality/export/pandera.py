"""pandera: a Python module with a schema of a pandas frame for each table."""

from __future__ import annotations

from collections.abc import Iterator

from data_platform.pipeline.quality.export.exported import Cannot, Exported, Unsaid, by_table, heading, number
from data_platform.pipeline.quality.export.patterns import PATTERNS
from data_platform.spec.checks import Check
from data_platform.spec.quality import Quality

_HEAD = '''"""Schemas of frames; `SCHEMAS["schema.table"].validate(frame, lazy=True)` raises what is wrong."""

import pandas as pd
import pandera.pandas as pa

'''
_DATES = {"date": "%Y-%m-%d", "timestamp": "ISO8601"}


def export(spec: Quality) -> Exported:
    """One `schemas.py`."""
    unsaid: list[Unsaid] = []
    schemas = [_schema(str(table), checks, unsaid) for table, checks in by_table(spec.checks)]
    text = heading(spec, unsaid) + _HEAD + "SCHEMAS = {\n" + "".join(schemas) + "}\n"
    return Exported({"schemas.py": text}, tuple(unsaid))


def _schema(name: str, checks: list[Check], unsaid: list[Unsaid]) -> str:
    columns: dict[str, list[str]] = {}
    filled: set[str] = set()
    unique: list[str] = []
    for check in checks:
        try:
            _say(check, columns, filled, unique)
        except Cannot as cannot:
            unsaid.append(Unsaid(check, str(cannot)))
    lines = [
        f"            {column!r}: pa.Column(nullable={column not in filled}, checks=[{', '.join(own)}]),\n"
        for column, own in columns.items()
    ]
    # A frame has one compound key; several single ones are columns' own.
    key = f"        unique={unique!r},\n" if unique else ""
    return f"    {name!r}: pa.DataFrameSchema(\n        {{\n{''.join(lines)}        }},\n{key}    ),\n"


def _say(check: Check, columns: dict[str, list[str]], filled: set[str], unique: list[str]) -> None:
    if check.where:
        raise Cannot("a `where:` is SQL")
    if check.tolerance.rows or check.tolerance.share:
        raise Cannot("pandera tolerates no row that fails")
    if check.severity != "error":
        raise Cannot("pandera has no severities in a schema")
    if check.kind == "unique" and len(check.columns) > 1:
        if unique:
            raise Cannot("a second compound key")
        unique += check.columns
        for name in check.columns:
            columns.setdefault(name, [])
        return
    said = list(_checks(check))
    for name in check.columns:
        columns.setdefault(name, []).extend(said)
    if check.kind == "not_null":
        filled.update(check.columns)


def _checks(check: Check) -> Iterator[str]:
    match check.kind:
        case "not_null":
            return
        case "unique":
            yield "pa.Check(lambda s: ~s.dropna().duplicated())"
        case "set":
            yield f"pa.Check(lambda s: s.astype(str).isin({list(check.values)!r}))"
        case "range":
            bounds = check.bounds
            pairs = (("ge", bounds.min), ("le", bounds.max), ("gt", bounds.above), ("lt", bounds.below))
            for name, bound in pairs:
                if bound is not None:
                    yield f"pa.Check.{name}({_bound(bound)})"
        case "format":
            if check.pattern:
                yield f"pa.Check.str_contains({check.pattern!r})"
            if check.format in _DATES:
                shape = _DATES[check.format]
                yield f"pa.Check(lambda s: pd.to_datetime(s, format={shape!r}, errors='coerce').notna())"
            elif check.format:
                yield f"pa.Check.str_contains({PATTERNS[check.format]!r})"
        case _:
            raise Cannot(f"no check of a frame is of kind {check.kind}")


def _bound(text: str) -> str:
    found = number(text)
    return repr(found) if found is not None else f"pd.Timestamp({text!r})"
