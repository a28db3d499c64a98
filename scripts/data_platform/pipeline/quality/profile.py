"""A profile, for a person and a program, with the checks that are proposed. Values that may be personal are masked."""

from __future__ import annotations

from typing import Any

from data_platform.pipeline.quality.shapes import commonest
from data_platform.postgres.quality.asking import MASK
from data_platform.postgres.quality.profiling import Column, Profile
from data_platform.report.document import Block, Code, Heading, Inline, Paragraph, Piece, Report
from data_platform.report.document import Table as Rows


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
        "shapes": []
        if is_sensitive
        else [{"shape": shape, "rows": n} for shape, n in commonest(column.shapes)],
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
        (
            Code(" ".join((check["check"], ", ".join(check.get("columns", ())))).strip()),
            Code(check["description"]),
        )
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
                "A few scans in a read-only session, over one snapshot."
                " What holds now need not be meant: read before you keep it."
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
    shapes = () if is_sensitive else commonest(column.shapes)
    shape = ", ".join(known) or (shapes[0][0] if shapes else "")
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
