"""Checks that hold of a table now, proposed with the evidence for each; none that would show what may be personal."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from typing import Any

from data_platform.model.database import Name
from data_platform.pipeline.quality.predicates import text_format
from data_platform.pipeline.quality.shapes import pattern
from data_platform.postgres.quality.asking import Session, is_ensured_unique
from data_platform.postgres.quality.evidence import Parent, arrivals, found_in, matching, parents
from data_platform.postgres.quality.profiling import LONGEST, NUMBERS, SHAPED, TEXTS, Column, Profile
from data_platform.spec.emit import emit
from data_platform.spec.model.conventions.draft import singular
from data_platform.spec.naming import name_text
from data_platform.sql.text import Sql

_PERSONAL = re.compile(
    r"pass(word|wd)|secret|token|e?mail|phone|mobile|ssn|iban|card|birth|salary|address|(first|last|full)_?name",
    re.I,
)
_FORMATS_BEFORE = ("email", "uuid", "url", "date", "timestamp")
_KEYS = TEXTS | {"uuid", "integer", "bigint"}
"""Types that a unique key is of; that amounts or times are all different is chance."""
_REFERRING = re.compile(r"(?P<what>.+?)_?(id|key|code|no|number|uuid)", re.I)
_MOMENTS = frozenset({"date", "timestamp without time zone", "timestamp with time zone"})
_ENOUGH = 50
"""Rows for each value of a set, before it is taken for one; and times, before how often they come is known."""
_NEARLY = 0.99
"""The share of values that must be right for the others to be taken for mistakes."""
_UNITS = (("days", 86_400), ("hours", 3_600), ("minutes", 60))

Proposal = tuple[dict[str, Any], str]
"""A check as a spec says it, and its evidence."""


def sensitive_of(profile: Profile, named: frozenset[str]) -> frozenset[str]:
    """Columns that were named, and those that look personal by their name or hold addresses of e-mail."""
    guessed = {
        column.name
        for column in profile.columns
        if _PERSONAL.search(column.name)
        or column.formats.get("email", 0) * 2 > profile.rows - column.nulls > 0
    }
    return named | guessed


def formats(server: int) -> Mapping[str, Sql]:
    """What texts are tried as, by a server of this major version."""
    return {name: found for name in _FORMATS_BEFORE if (found := text_format(name, server)) is not None}


def proposed(
    session: Session, profile: Profile, name: Name, sensitive: frozenset[str]
) -> tuple[dict[str, Any], ...]:
    """Checks that held of the rows that were read; `description` is the evidence."""
    if not profile.rows:
        return ()
    on = name_text(name, "public")
    sample = "" if profile.share >= 1 else f" in a sample of {profile.share:.2%} of the table"
    found = [
        *_of_whole(profile),
        *(
            proposal
            for column in profile.columns
            for proposal in _of_column(session, profile, column, column.name in sensitive)
        ),
        *_patterns(session, profile, sensitive),
        *_references(session, profile, name),
    ]
    return tuple({"on": on, **check, "description": evidence + sample} for check, evidence in found)


def spec_text(store: str, name: str, checks: tuple[dict[str, Any], ...], sensitive: frozenset[str]) -> str:
    """The proposal as a spec of kind `quality`."""
    spec: dict[str, Any] = {"kind": "quality", "store": store, "name": name[:50]}
    if sensitive:
        spec["sensitive"] = sorted(sensitive)
    head = "# Proposed by dpe quality profile from what the rows are now: keep what is meant, drop what is chance.\n"
    return head + emit({**spec, "checks": list(checks)})


def _of_whole(profile: Profile) -> Iterator[Proposal]:
    if profile.share >= 1:
        yield {"check": "rows", "min": max(1, profile.rows // 2)}, f"{profile.rows:,} rows; half of them"


def _of_column(session: Session, profile: Profile, column: Column, is_sensitive: bool) -> Iterator[Proposal]:
    filled = profile.rows - column.nulls
    own = {"columns": [column.name]}
    if not column.nulls and not column.required:
        yield {"check": "not_null", **own}, f"0 of {profile.rows:,} rows are NULL"
    if not filled:
        return
    different = column.distinct == filled > 1 and profile.share >= 1
    if different and _base(column) in _KEYS and not is_ensured_unique(session, profile.table, [column.name]):
        yield {"check": "unique", **own}, f"{filled:,} values, all different"
    if (found := _format(column, filled)) is not None:
        count = column.formats[found]
        check = {"check": "format", **own, "format": found, **_tolerance(count, filled)}
        yield check, f"{count:,} of {filled:,} values are of this format"
    elif not is_sensitive:
        yield from _of_values(column, filled, own)
        yield from _freshness(session, profile, column)


def _base(column: Column) -> str:
    return column.type.partition("(")[0]


def _format(column: Column, filled: int) -> str | None:
    right = (name for name in _FORMATS_BEFORE if column.formats.get(name, 0) >= _NEARLY * filled)
    return next(right, None)


def _tolerance(count: int, filled: int) -> dict[str, Any]:
    wrong = -((count - filled) * 10_000 // filled)  # of ten thousand, rounded up
    return {"tolerance": {"share": wrong / 10_000}} if wrong else {}


def _is_set(column: Column, filled: int) -> bool:
    few = sum(times for _, times in column.top) == filled >= _ENOUGH * len(column.top)
    told = any(value for value, _ in column.top) and column.lengths is not None
    return few and _base(column) in TEXTS and told and column.lengths[1] <= LONGEST  # type: ignore[index]


def _of_values(column: Column, filled: int, own: dict[str, Any]) -> Iterator[Proposal]:
    if _is_set(column, filled):
        values = sorted(value for value, _ in column.top)
        yield {"check": "set", **own, "values": values}, f"{len(values)} values in {filled:,} rows"
    # NaN is the greatest of numbers; min 0 would refuse it.
    if _base(column) in NUMBERS and column.least and column.greatest != "NaN" and float(column.least) >= 0:
        told = f"the least is {column.least}, the greatest {column.greatest}"
        yield {"check": "range", **own, "min": 0}, told


def _freshness(session: Session, profile: Profile, column: Column) -> Iterator[Proposal]:
    """Of times that come again and again, up to now."""
    if profile.share < 1 or column.type not in _MOMENTS or (column.distinct or 0) < _ENOUGH:
        return
    seen = arrivals(session, profile, column.name)
    if seen is None or seen.age < 0 or seen.age > 2 * seen.pause or seen.pause > seen.span / 10:
        return
    within, pause = _spoken(2 * seen.pause), _spoken(seen.pause)
    told = f"never more than {pause} between two of {column.distinct:,} times up to now; twice that"
    yield {"check": "freshness", "columns": [column.name], "within": within}, told


def _spoken(seconds: float) -> str:
    """A duration as a spec says it, rounded up."""
    unit, size = next((one for one in _UNITS if seconds >= 2 * one[1]), _UNITS[-1])
    return f"{math.ceil(seconds / size)} {unit}"


def _patterns(session: Session, profile: Profile, sensitive: frozenset[str]) -> Iterator[Proposal]:
    """Of texts whose shapes are one but for the length of their runs; asked of every row that was read."""
    filled = _filled(profile)
    candidates: dict[str, str] = {}
    for column in profile.columns:
        short = column.lengths is not None and 0 < column.lengths[1] <= SHAPED
        if column.name in sensitive or not short or filled[column.name] < _ENOUGH:
            continue
        if _format(column, filled[column.name]) is None and not _is_set(column, filled[column.name]):
            shared = pattern([shape for shape, _ in column.shapes])
            candidates |= {column.name: shared} if shared else {}
    for name, count in matching(session, profile, candidates).items():
        if count >= _NEARLY * filled[name]:
            own = {"columns": [name], "pattern": candidates[name]}
            check = {"check": "format", **own, **_tolerance(count, filled[name])}
            yield check, f"{count:,} of {filled[name]:,} values have this pattern"


def _filled(profile: Profile) -> dict[str, int]:
    """By column how many values it has."""
    return {column.name: profile.rows - column.nulls for column in profile.columns}


def _references(session: Session, profile: Profile, name: Name) -> Iterator[Proposal]:
    """Of columns named after a table whose key has their values."""
    filled = _filled(profile)
    named: dict[str, Parent] = {}
    for parent in sorted(parents(session, profile.table), key=lambda one: one.table.schema != name.schema):
        is_itself = (parent.table, parent.key) == (name, parent.column)
        if parent.column not in named and not is_itself and _is_named_after(parent.column, parent.table.name):
            named[parent.column] = parent
    for column, parent in named.items():
        count = found_in(session, profile, parent) if filled[column] else 0
        if count and count >= _NEARLY * filled[column]:
            there = name_text(parent.table, "public")
            to = {"table": there, "columns": [parent.key]}
            check = {"check": "reference", "columns": [column], "to": to, **_tolerance(count, filled[column])}
            yield (
                check,
                f"{count:,} of {filled[column]:,} values are in {there} ({parent.key}); no foreign key says so",
            )


def _is_named_after(column: str, table: str) -> bool:
    """Whether `billing_customer_id` refers to `customers`, or `customer_id` does."""
    match = _REFERRING.fullmatch(column.lower())
    what = match["what"] if match else column.lower()
    one = singular(table.lower())
    return what in (one, table.lower()) or what.endswith(f"_{one}")
