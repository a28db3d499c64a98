"""A profile, for a person and a program, and the checks that it proposes, each with its evidence. Values that may be
personal are masked, and no check is proposed that would show them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from data_platform.pipeline.quality.predicates import text_format
from data_platform.postgres.quality.asking import MASK, Session, is_ensured_unique
from data_platform.postgres.quality.profiling import NUMBERS, TEXTS, Column, Profile
from data_platform.report.document import Block, Code, Heading, Inline, Paragraph, Piece, Report
from data_platform.report.document import Table as Rows
from data_platform.spec.emit import emit
from data_platform.spec.naming import name_text
from data_platform.sql.text import Sql

_PERSONAL = re.compile(
    r"pass(word|wd)|secret|token|e?mail|phone|mobile|ssn|iban|card|birth|salary|address|(first|last|full)_?name",
    re.I,
)
_FORMATS_BEFORE = ("email", "uuid", "url", "date", "timestamp")
_KEYS = TEXTS | {"uuid", "integer", "bigint"}
"""Types that a unique key is of; that amounts or times are all different is chance."""
_ENOUGH = 50
"""Rows for each value of a set, before it is taken for one."""


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


# --- what is proposed ---


def proposed(
    session: Session, profile: Profile, name: Any, sensitive: frozenset[str]
) -> tuple[dict[str, Any], ...]:
    """Checks that held of the rows that were read, as a spec says them; `description` is the evidence."""
    if not profile.rows:
        return ()
    on = name_text(name, "public")
    sample = "" if profile.share >= 1 else f" in a sample of {profile.share:.2%} of the table"
    return tuple(
        {"on": on, **check, "description": evidence + sample}
        for column in profile.columns
        for check, evidence in _of(session, profile, column, column.name in sensitive)
    )


def _of(
    session: Session, profile: Profile, column: Column, is_sensitive: bool
) -> Iterator[tuple[dict[str, Any], str]]:
    filled = profile.rows - column.nulls
    base = column.type.partition("(")[0]
    own = {"columns": [column.name]}
    if not column.nulls and not column.required:
        yield {"check": "not_null", **own}, f"0 of {profile.rows:,} rows are NULL"
    if not filled:
        return
    different = column.distinct == filled > 1 and profile.share >= 1
    if different and base in _KEYS and not is_ensured_unique(session, profile.table, [column.name]):
        yield {"check": "unique", **own}, f"{filled:,} values, all different"
    for format_ in _FORMATS_BEFORE:
        count = column.formats.get(format_, 0)
        if count >= 0.99 * filled:
            check: dict[str, Any] = {"check": "format", **own, "format": format_}
            if count < filled:
                check["tolerance"] = {"share": round(1 - count / filled + 0.00005, 4)}
            yield check, f"{count:,} of {filled:,} values are of this format"
            return
    if not is_sensitive:
        yield from _of_values(column, filled, own)


def _of_values(column: Column, filled: int, own: dict[str, Any]) -> Iterator[tuple[dict[str, Any], str]]:
    base = column.type.partition("(")[0]
    few = sum(times for _, times in column.top) == filled >= _ENOUGH * len(column.top)
    if few and base in TEXTS:
        values = sorted(value for value, _ in column.top)
        yield {"check": "set", **own, "values": values}, f"{len(values)} values in {filled:,} rows"
    # NaN is the greatest of numbers; min 0 would refuse it.
    if base in NUMBERS and column.least and column.greatest != "NaN" and float(column.least) >= 0:
        told = f"the least is {column.least}, the greatest {column.greatest}"
        yield {"check": "range", **own, "min": 0}, told


def spec_text(store: str, name: str, checks: tuple[dict[str, Any], ...], sensitive: frozenset[str]) -> str:
    """The proposal as a spec of kind `quality`."""
    spec: dict[str, Any] = {"kind": "quality", "store": store, "name": name[:50]}
    if sensitive:
        spec["sensitive"] = sorted(sensitive)
    head = "# Proposed by dpe quality profile from what the rows are now: keep what is meant, drop what is chance.\n"
    return head + emit({**spec, "checks": list(checks)})


# --- what is told ---


def result(profile: Profile, checks: tuple[dict[str, Any], ...], sensitive: frozenset[str]) -> dict[str, Any]:
    """The `result` of the JSON envelope."""
    return {
        "rows": profile.rows,
        "share": profile.share,
        "columns": [_json(column, profile.rows, column.name in sensitive) for column in profile.columns],
        "proposed": [dict(check) for check in checks],
    }


def _json(column: Column, rows: int, is_sensitive: bool) -> dict[str, Any]:
    def hidden(value: str | None) -> str | None:
        return MASK if is_sensitive and value is not None else value

    return {
        "name": column.name,
        "type": column.type,
        "sensitive": is_sensitive,
        "null_share": column.nulls / rows if rows else None,
        "distinct": column.distinct,
        "min": hidden(column.least),
        "max": hidden(column.greatest),
        "lengths": dict(zip(("min", "max", "mean"), column.lengths, strict=True)) if column.lengths else None,
        "formats": dict(column.formats),
        "top": [{"value": hidden(value), "rows": times} for value, times in column.top],
        "shapes": [] if is_sensitive else [{"shape": shape, "rows": n} for shape, n in column.shapes],
    }


def report(
    profile: Profile,
    name: str,
    text: str,
    checks: tuple[dict[str, Any], ...],
    sensitive: frozenset[str],
    repeat: str,
) -> Report:
    """What the columns hold, what is proposed and why."""
    share = "" if profile.share >= 1 else f" A sample: {profile.share:.2%} of its blocks."
    hidden = tuple(Code(column) for column in sorted(sensitive & {one.name for one in profile.columns}))
    masked: tuple[Piece, ...] = (
        (Paragraph(("Masked, as named or guessed by name and content: ", *hidden, ".")),) if hidden else ()
    )
    evidence = tuple(
        (Code(f"{check['check']} {', '.join(check['columns'])}"), Code(check["description"]))
        for check in checks
    )
    return Report(
        title=(f"{len(profile.columns)} columns of ", Code(name)),
        verdict=f"{len(checks)} checks proposed.",
        good=None,
        summary=f"{profile.rows:,} rows read.{share}",
        pieces=(
            Heading("Columns"),
            Rows(
                ("column", "type", "NULL", "distinct", "least … greatest", "format or shape", "commonest"),
                tuple(_row(column, profile.rows, column.name in sensitive) for column in profile.columns),
                frozenset({2, 3}),
            ),
            *masked,
            *(
                (Heading("Proposed, with the evidence"), Rows(("check", "evidence"), evidence))
                if checks
                else ()
            ),
            *((Heading("As a spec"), Block(text, "yaml")) if checks else ()),
            Heading("How this was measured"),
            Paragraph(
                "Two scans in a read-only session. What holds now need not be meant: read before you keep it."
            ),
            Paragraph(("Repeat: ", Code(repeat), ".")),
        ),
    )


def _row(column: Column, rows: int, is_sensitive: bool) -> tuple[Inline, ...]:
    span = ""
    if column.least is not None:
        span = MASK if is_sensitive else f"{column.least} … {column.greatest}"
    elif column.lengths:
        span = f"{column.lengths[0]:,} … {column.lengths[1]:,} characters"
    filled = rows - column.nulls
    known = [name for name, count in column.formats.items() if filled and count >= 0.5 * filled]
    shape = ", ".join(known) or (column.shapes[0][0] if column.shapes and not is_sensitive else "")
    top = f"{MASK if is_sensitive else column.top[0][0]} ({column.top[0][1]:,})" if column.top else ""
    return (
        Code(column.name),
        Code(column.type),
        f"{column.nulls / rows:.2%}" if rows else "",
        f"{column.distinct:,}" if column.distinct is not None else "?",
        Code(span) if span else "",
        Code(shape) if shape else "",
        Code(top) if top else "",
    )
