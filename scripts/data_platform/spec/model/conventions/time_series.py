"""`time_series`: partitions by time and a DEFAULT, BRIN on the time, and procedures that make and drop partitions; or
a hypertable of TimescaleDB."""

from __future__ import annotations

import datetime
from collections.abc import Iterator
from typing import Any

from data_platform.spec.document import Path_
from data_platform.spec.model.conventions.draft import Draft
from data_platform.sql.text import Sql, identifier, literal, qualified

_FORMATS = {"day": "YYYY_MM_DD", "week": "IYYY_IW", "month": "YYYY_MM", "year": "YYYY"}
_ZONED = ("timestamptz", "timestamp with time zone")


def expand(draft: Draft, key: str, value: Any, path: Path_) -> None:
    """One table that grows with time."""
    column, every = value.get("column", "at"), value.get("every", "month")
    draft.add_column(key, column, {"type": "timestamptz", "default": "now()"}, path)
    draft.write_key(key)
    if (columns := draft.primary_key(key)) and column not in columns:
        _lead_key(draft, key, column, columns)
    if value.get("engine") == "timescaledb":
        _hypertable(draft, key, column, value, path)
        return
    table = draft.table(key)
    table["partition_by"] = {"range": [column]}
    table.setdefault("partitions", {})
    name = draft.name(key).name
    zoned = (draft.type_of(key, column) or "").startswith(_ZONED)
    if "from" in value:
        for part, bound in _parts(name, value["from"], every, value.get("ahead", 3), zoned):
            table["partitions"].setdefault(part, bound)
    table["partitions"].setdefault(f"{name}_default", "default")
    draft.add_listed(key, "indexes", {"columns": [column], "using": "brin"}, path)
    _procedures(draft, key, column, value, zoned, path)


def _hypertable(draft: Draft, key: str, column: str, value: Any, path: Path_) -> None:
    """TimescaleDB makes and drops the chunks itself. Its functions are written as its documentation has them."""
    if "from" in value or "ahead" in value:
        draft.error(path, "a hypertable makes its chunks itself", "remove `from:` and `ahead:`")
    draft.require_extension("timescaledb")
    table, step = f"{literal(draft.sql(key))}::regclass", literal(f"1 {value.get('every', 'month')}")
    dimension = f"by_range({literal(column)}, INTERVAL {step})"
    sql = f"SELECT create_hypertable({table}, {dimension}, create_default_indexes => true);"
    if "keep" in value:
        sql += f"\nSELECT add_retention_policy({table}, INTERVAL {literal(value['keep'])});"
    draft.data.setdefault("raw", []).append({"kind": "hypertable", "name": str(draft.name(key)), "sql": sql})


def _lead_key(draft: Draft, key: str, column: str, columns: list[str]) -> None:
    """The key of a partitioned table holds the column that it is partitioned by."""
    table = draft.table(key)
    for spec in table["columns"].values():
        if isinstance(spec, dict):
            spec.pop("primary_key", None)
    given = table.get("primary_key")
    table["primary_key"] = {**(given if isinstance(given, dict) else {}), "columns": [column, *columns]}


def _procedures(draft: Draft, key: str, column: str, value: Any, zoned: bool, path: Path_) -> None:
    name, every = draft.name(key), value.get("every", "month")
    values = {
        "regclass": literal(draft.sql(key)),
        "table": draft.sql(key),
        "in_format": _in_format(draft.sql(key)),
        "rest": literal(qualified(name.schema, f"{name.name}_default")),
        "schema": literal(name.schema),
        "name": literal(name.name),
        "prefix": literal(f"{name.name}_"),
        "column": _in_format(identifier(column)),
        "unit": literal(every),
        "step": literal(f"1 {every}"),
        "format": literal(_FORMATS[every]),
        "zoned": zoned,
    }
    procedure = {"procedure": True, "returns": None, "settings": {"lock_timeout": "2s"}}
    ahead = int(value.get("ahead", 3))
    _add(
        draft,
        draft.beside(key, f"make_{name.name}_partitions"),
        "make_partitions.sql.j2",
        path,
        values,
        arguments=f"first_day date DEFAULT current_date, parts integer DEFAULT {ahead + 1}",
        comment="To be called daily: makes the partitions that are not there yet, from first_day on.",
        **procedure,
    )
    if "keep" in value:
        _add(
            draft,
            draft.beside(key, f"drop_{name.name}_partitions"),
            "drop_partitions.sql.j2",
            path,
            values,
            arguments=f"older_than interval DEFAULT {literal(value['keep'])}::interval",
            comment="To be called daily: drops the partitions that end before now() - older_than.",
            **procedure,
        )


def _in_format(sql: Sql) -> Sql:
    """`sql` inside a string constant that goes through format()."""
    return Sql(sql.replace("%", "%%").replace("'", "''"))


def _add(draft: Draft, key: str, template: str, path: Path_, values: dict[str, Any], **spec: Any) -> None:
    given = {part: said for part, said in spec.items() if said is not None}
    draft.add_function(key, template, path, values=values, **given)
    draft.section("functions")[key].pop("returns", None)


def _parts(name: str, first: Any, every: str, ahead: int, zoned: bool) -> Iterator[tuple[str, str]]:
    day = _floor(datetime.date.fromisoformat(str(first)), every)
    for _ in range(ahead + 1):
        following = _next(day, every)
        zone = " 00:00+00" if zoned else ""
        yield f"{name}_{_label(day, every)}", f"FROM ('{day}{zone}') TO ('{following}{zone}')"
        day = following


def _floor(day: datetime.date, every: str) -> datetime.date:
    match every:
        case "week":
            return day - datetime.timedelta(days=day.weekday())
        case "month":
            return day.replace(day=1)
        case "year":
            return day.replace(month=1, day=1)
    return day


def _next(day: datetime.date, every: str) -> datetime.date:
    days = {"day": 1, "week": 7, "month": 31, "year": 366}[every]
    return _floor(day + datetime.timedelta(days=days), every)


def _label(day: datetime.date, every: str) -> str:
    form = {"day": "%Y_%m_%d", "week": "%G_%V", "month": "%Y_%m", "year": "%Y"}[every]
    return day.strftime(form)
