"""What a backfill did, or would do: for a person, as JSON, and as findings."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from data_platform.postgres.backfill.job import Limits
from data_platform.postgres.backfill.rehearse import Rehearsed
from data_platform.postgres.backfill.tally import Filled, Pause, spoken
from data_platform.report.document import (
    Block,
    Bullets,
    Code,
    Heading,
    Inline,
    Paragraph,
    Piece,
    Report,
    Table,
)
from data_platform.report.finding import Finding

_LEFT = "rows still meet the condition: clients wrote them in the old form meanwhile, or the new value does not end it"


# --- what was done ---


def report(filled: Sequence[Filled], limits: Limits, repeat: str) -> Report:
    """A run that came to its end."""
    rows, seconds = sum(one.rows for one in filled), sum(one.seconds for one in filled)
    left = any(one.left for one in filled)
    return Report(
        title=("Backfill: ", *_counted(rows), f" filled in {spoken(seconds)}"),
        verdict="done, but rows are left" if left else "done",
        good=not left,
        summary=f"{_rate(rows, seconds):,.0f} rows a second, in {sum(one.batches for one in filled):,} batches.",
        pieces=tuple(_pieces(filled, limits, repeat)),
    )


def _counted(rows: int) -> tuple[str, ...]:
    return ("1 row",) if rows == 1 else (f"{rows:,} rows",)


def _rate(rows: int, seconds: float) -> float:
    return rows / seconds if seconds > 0 else 0.0


def _pieces(filled: Sequence[Filled], limits: Limits, repeat: str) -> Iterator[Piece]:
    yield Table(
        columns=("what", "rows", "before", "seconds", "batches", "pauses", "state"),
        rows=tuple(
            (
                Code(one.what),
                f"{one.rows:,}",
                f"{one.rows_before:,}",
                f"{one.seconds:.1f}",
                f"{one.batches:,}",
                _paused(one.pauses),
                _state(one),
            )
            for one in filled
        ),
        numeric=frozenset({1, 2, 3, 4}),
    )
    notes = list(dict.fromkeys(note for one in filled for note in one.notes))
    if notes:
        yield Bullets(tuple(notes))
    yield Heading("How it was done")
    yield Paragraph(_manner(limits))
    yield Block(repeat, "sh")


def _paused(pauses: Sequence[Pause]) -> Inline:
    said = [f"{pause.reason}: {pause.times} ({pause.seconds:.1f} s)" for pause in pauses]
    return ", ".join(said) or "none"


def _state(one: Filled) -> Inline:
    if one.already_done:
        return "was done before; --again begins anew"
    if one.left:
        return _LEFT
    if one.left is None and one.batches:
        return "done; whether rows are left is not known"
    return "resumed, done" if one.resumed else "done"


def _manner(limits: Limits) -> str:
    rate = f", at most {limits.max_rate:,.0f} rows a second" if limits.max_rate else ""
    load = f", or more than {limits.max_active} sessions at work" if limits.max_active is not None else ""
    lag = (
        f"a replica more than {limits.max_lag_s:g} s behind" if limits.max_lag_s is not None else "no replica"
    )
    return (
        f"In batches of about {limits.batch_s * 1000:.0f} ms{rate}, each committed with its place. "
        f"Before the next batch it waits for {lag}{load}, and for clients that waited for it. "
        "Rows that come after its beginning have their values from whoever writes them."
    )


def result(filled: Sequence[Filled]) -> Mapping[str, Any]:
    """The answer as JSON."""
    rows, seconds = sum(one.rows for one in filled), sum(one.seconds for one in filled)
    return {
        "rows": rows,
        "seconds": round(seconds, 3),
        "batches": sum(one.batches for one in filled),
        "rate": round(_rate(rows, seconds), 1),
        "resumed": any(one.resumed for one in filled),
        "pauses": [_pause(pause) for one in filled for pause in one.pauses],
        "fills": [
            {
                "what": one.what,
                "rows": one.rows,
                "rows_before": one.rows_before,
                "seconds": round(one.seconds, 3),
                "batches": one.batches,
                "rate": round(one.rate, 1),
                "resumed": one.resumed,
                "already_done": one.already_done,
                "rows_left": one.left,
                "pauses": [_pause(pause) for pause in one.pauses],
            }
            for one in filled
        ],
    }


def _pause(pause: Pause) -> Mapping[str, Any]:
    return {"reason": pause.reason, "times": pause.times, "seconds": round(pause.seconds, 3)}


def findings(filled: Sequence[Filled]) -> tuple[Finding, ...]:
    """Rows that need it still."""
    return tuple(
        Finding(
            rule="backfill-rows-left",
            severity="warning",
            message=f"{one.what}: {_LEFT}",
            evidence="measured",
            fix="see that every client writes the new form, then run it again with --again",
        )
        for one in filled
        if one.left
    )


# --- what would be done ---


def rehearsal_report(tried: Sequence[Rehearsed], limits: Limits, repeat: str) -> Report:
    """A dry run."""
    rows = sum(one.rows for one in tried)
    seconds = sum(one.estimate_s or 0.0 for one in tried)
    return Report(
        title=("Backfill: about ", *_counted(rows), f" to fill, in about {spoken(seconds)}"),
        verdict="nothing was changed",
        good=None,
        summary="Each batch that was tried was taken back.",
        pieces=tuple(_rehearsal_pieces(tried, limits, repeat)),
    )


def _rehearsal_pieces(tried: Sequence[Rehearsed], limits: Limits, repeat: str) -> Iterator[Piece]:
    yield Table(
        columns=("what", "about rows", "about seconds", "tried: rows", "batches", "ms a batch", "state"),
        rows=tuple(
            (
                Code(one.what),
                f"{one.rows:,}",
                "not known" if one.estimate_s is None else f"{one.estimate_s:.1f}",
                f"{one.filled:,} of {one.seen:,}",
                f"{len(one.tried):,}",
                f"{one.seconds * 1000 / len(one.tried):.0f}" if one.tried else "",
                "was done before" if one.done else "would be resumed" if one.resumed else "would begin",
            )
            for one in tried
        ),
        numeric=frozenset({1, 2, 3, 4, 5}),
    )
    yield Heading("What a batch runs")
    yield Block("\n".join(f"{_dedented(one.statement)};" for one in tried if one.statement), "sql")
    yield Heading("How this was estimated")
    yield Paragraph(
        "From batches all over the table and the planner's count of rows; pauses are not in it. "
        f"{_manner(limits)}"
    )
    yield Block(repeat, "sh")


def _dedented(statement: str) -> str:
    """As it stands in the template, that of a block, but for people."""
    return statement.replace("\n            ", "\n")


def rehearsal_result(tried: Sequence[Rehearsed]) -> Mapping[str, Any]:
    """A dry run as JSON."""
    return {
        "dry_run": True,
        "rows": sum(one.rows for one in tried),
        "seconds": round(sum(one.estimate_s or 0.0 for one in tried), 3),
        "fills": [
            {
                "what": one.what,
                "rows": one.rows,
                "seconds": None if one.estimate_s is None else round(one.estimate_s, 3),
                "tried": {
                    "batches": len(one.tried),
                    "seen": one.seen,
                    "filled": one.filled,
                    "seconds": round(one.seconds, 3),
                },
                "resumed": one.resumed,
                "already_done": one.done,
                "sql": one.statement,
            }
            for one in tried
        ],
    }
