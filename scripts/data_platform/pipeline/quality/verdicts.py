"""What became of a check: passed, failed, without anything to compare with, or refused by the server."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Literal

from data_platform.report.finding import Finding
from data_platform.spec.checks import Check

_EXACT = 1e15
State = Literal["passed", "failed", "no history", "not run"]


@dataclass(frozen=True)
class Verdict:
    """One check with what was found. `failing` of `rows` that were looked at; `measured` where it is a figure.

    `told` says how it is known, `samples` are rows that failed, with sensitive values masked.
    """

    check: Check
    state: State
    told: str
    rows: int | None = None
    failing: int | None = None
    measured: float | None = None
    samples: tuple[Mapping[str, Any], ...] = ()

    @property
    def good(self) -> bool:
        return self.state in ("passed", "no history")


def counted(check: Check, failing: int, rows: int, how: str) -> Verdict:
    """Of a check that counts rows."""
    allowed = check.tolerance.allows(failing, rows)
    return Verdict(check, "passed" if allowed else "failed", how, rows=rows, failing=failing)


def of_rows(check: Check, rows: int, before: Sequence[float]) -> Verdict:
    """Of a number of rows: between its bounds, and no further from what it was before than allowed."""
    bounds = check.bounds
    limits = [f"at least {bounds.min}"] if bounds.min is not None and rows < float(bounds.min) else []
    limits += [f"at most {bounds.max}"] if bounds.max is not None and rows > float(bounds.max) else []
    if limits:
        return Verdict(
            check, "failed", f"{rows:,} rows; expected {' and '.join(limits)}", rows=rows, measured=rows
        )
    if check.change is None:
        return Verdict(check, "passed", f"{rows:,} rows", rows=rows, measured=rows)
    return compared(check, float(rows), before)


def compared(check: Check, now: float | None, before: Sequence[float]) -> Verdict:
    """Of a figure and the mean of those that were kept before."""
    if now is None:
        return Verdict(check, "failed", "nothing was measured: no rows")
    if math.isnan(now):
        return Verdict(check, "failed", "what was measured is NaN, which is near to nothing", measured=now)
    if not before:
        return Verdict(check, "no history", f"{_figure(now)}; nothing was kept before", measured=now)
    assert check.change is not None
    mean = sum(before) / len(before)
    told = f"{_figure(now)}; the mean of {len(before)} kept before is {_figure(mean)}"
    return Verdict(check, _within(now, mean, check.change), told, measured=now)


def of_age(check: Check, seconds: float | None) -> Verdict:
    """Of the age of the newest row."""
    if seconds is None:
        return Verdict(check, "failed", "no row has a time that is over, so none is fresh")
    told = f"the newest is {seconds:,.0f} s old; {check.within_seconds:,.0f} s are allowed"
    return Verdict(check, "passed" if seconds <= check.within_seconds else "failed", told, measured=seconds)


def reconciled(check: Check, here: Decimal | None, there: Decimal | None) -> Verdict:
    """Of two figures that must have a ratio, compared as the decimals they are. Two sums over nothing agree."""
    told = f"here {_exact(here)}, there {_exact(there)}"
    if here is None or there is None:
        return Verdict(check, "passed" if here is there else "failed", told)
    # As text, so that 1.1 is eleven tenths and not the binary number beside it.
    expected = there * Decimal(str(check.ratio))
    told += f"; {_exact(expected)} expected here" if check.ratio != 1 else ""
    state: State = "failed"
    if here == expected or (
        here.is_finite()
        and expected.is_finite()
        and abs(here - expected) <= Decimal(str(check.change or 0)) * abs(expected)
    ):
        state = "passed"
    return Verdict(check, state, told, measured=float(here))


def _exact(value: Decimal | None) -> str:
    return "nothing" if value is None else f"{value:,f}"


def _within(now: float, expected: float, change: float) -> State:
    # NaN is within nothing; two infinities of one sign are equal.
    good = now == expected or abs(now - expected) <= change * abs(expected) < float("inf")
    return "passed" if good else "failed"


def _figure(value: float) -> str:
    return f"{value:,.0f}" if value.is_integer() and abs(value) < _EXACT else f"{value:,.6g}"


def findings_of(verdicts: Sequence[Verdict], file: str) -> tuple[Finding, ...]:
    """One for each check that is not good, and an `info` for one that has nothing to compare with yet."""
    return tuple(_findings(verdicts, file))


def _findings(verdicts: Sequence[Verdict], file: str) -> Iterator[Finding]:
    for one in verdicts:
        check = one.check
        if one.state == "passed":
            continue
        rules = {"failed": f"check-{check.kind.replace('_', '-')}", "not run": "check-not-run"}
        fixes = {
            "failed": "mend the rows at their source, or put them aside in a pipeline: `action: quarantine`",
            "not run": "correct the check",
            "no history": "`--keep` writes the result down, and the next check is compared with it",
        }
        yield Finding(
            rule=rules.get(one.state, "check-without-history"),
            severity={"failed": check.severity, "not run": "error"}.get(one.state, "info"),
            message=f"`{check.name}`: {summary(one)}",
            evidence="assumed" if one.state == "not run" else "measured",
            file=file or None,
            line=check.line,
            object=check.staged or str(check.table),
            fix=fixes[one.state],
            reference="references/pipeline-patterns-quality.md",
        )


def summary(one: Verdict) -> str:
    """How many failed of how many, or what was measured."""
    if one.failing is None or not one.rows or one.state == "not run":
        return one.told
    tolerance = one.check.tolerance
    allowed = [f"{tolerance.rows:,}"] if tolerance.rows is not None else []
    allowed += [f"{tolerance.share:.4%}"] if tolerance.share is not None else []
    told = f"; {' and '.join(allowed)} allowed" if allowed and one.failing else ""
    return f"{one.failing:,} of {one.rows:,} rows ({one.failing / one.rows:.4%}) fail{told}"
