"""A selection for a person: the choice, when PostgreSQL alone ends, what would change it, and all the marks."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from data_platform.report.document import (
    Block,
    Bullets,
    Code,
    Heading,
    Inline,
    Paragraph,
    Piece,
    Report,
    Strong,
    Table,
    words,
)
from data_platform.spec.storage import ANSWERS, StorageNeed
from data_platform.storage.catalogue import Criterion
from data_platform.storage.defaults import Decided, decided
from data_platform.storage.enough import Enough, Limit
from data_platform.storage.rank import BEST, ENOUGH, Judgement, Standing
from data_platform.storage.select import APART, PARTS, Change, Companion, Selection

SHOWN = 3
"""Systems whose marks are shown criterion by criterion."""
MAX_ASSUMED = 4
"""Defaults that are named at the top."""
MAX_CHANGES = 16
"""Rows of a table in the report; JSON has them all."""


def report(asked: StorageNeed, selection: Selection, again: str) -> Report:
    """The selection as a report. `again` is the command that repeats it."""
    return Report(
        title=(Code(asked.store) if asked.store else "This need", f": {_title(selection)}"),
        verdict=str(selection.choice),
        good=selection.choice.system is not None and not selection.choice.unmet,
        summary=_summary(selection) + _assumed(decided(asked, selection)),
        pieces=tuple(_pieces(asked, selection, again)),
    )


def _title(selection: Selection) -> str:
    found = selection.enough
    if selection.choice.system is None:
        return "none of the 13 systems can do all of this"
    if not found.enough:
        return f"{selection.choice}; PostgreSQL alone is not enough"
    return f"{selection.choice}; PostgreSQL alone is enough{_until(found)}"


def _until(found: Enough) -> str:
    """For the title: how long it lasts, if it ends."""
    until = found.until
    return f" for {until.years:g} years" if until and until.years is not None else ""


def _summary(selection: Selection) -> str:
    able = [standing for standing in selection.standings if not standing.excluded_by]
    excluded = len(selection.standings) - len(able)
    if not able:
        return "Each one is excluded by something that was asked; give up one of these, or divide the need."
    second = f"; then {able[1].system.name}, {able[1].score} %" if len(able) > 1 else ""
    tie = f" Equal points with {', '.join(selection.tied)}: see below." if selection.tied else ""
    first = able[0]
    return (
        f"{_apart(selection)}{first.system.name} has {first.score} % of the points{second}. "
        f"{excluded} of 13 are excluded.{tie}{_short(selection)}"
    )


def _assumed(found: Sequence[Decided]) -> str:
    """The defaults that decided, for the top of the answer."""
    if not found:
        return ""
    listed = [
        f"{one.key} {_value(one.taken)} (if {_value(one.other)}: {one.then})" for one in found[:MAX_ASSUMED]
    ]
    more = f"; {len(found) - MAX_ASSUMED} more in the JSON" if len(found) > MAX_ASSUMED else ""
    return f" Not answered, and the default decided: {'; '.join(listed)}{more}."


def _short(selection: Selection) -> str:
    """What even the first system does not do as asked."""
    listed = [_said(judgement) for judgement in selection.short]
    return f" Beyond its limit, or slower than asked: {'; '.join(listed)}." if listed else ""


def _apart(selection: Selection) -> str:
    if not selection.apart:
        return ""
    job = PARTS[APART[selection.need.data]]
    return f"No system does the {job} and the rest of what was asked; so the records have one, and a copy another. "


def _pieces(asked: StorageNeed, selection: Selection, again: str) -> Iterator[Piece]:
    yield _ranking(selection)
    yield from _beside(selection)
    yield from _postgres(selection)
    yield from _changes(selection)
    yield from _marks(selection)
    yield from _method(asked, selection, again)


def _ranking(selection: Selection) -> Table:
    rows = [_row(n, standing) for n, standing in enumerate(selection.standings, 1)]
    return Table(
        ("#", "system", "score", "speaks for it", "speaks against it"), tuple(rows), frozenset({0, 2})
    )


def _row(number: int, standing: Standing) -> tuple[Inline, ...]:
    excluded = standing.excluded_by
    if excluded:
        reasons = "; ".join(_said(judgement) for judgement in excluded[:2])
        return "–", standing.system.name, "–", "", (Strong("excluded"), f" {reasons}")
    weighed = sorted(standing.judgements, key=lambda j: (j.mark - BEST) * j.criterion.weight)
    against = [j for j in weighed if j.mark < ENOUGH][:1] or [j for j in weighed if j.mark < BEST][:1]
    praise = next((j for j in standing.judgements if j.mark == BEST and not j.criterion.preference), None)
    return (
        str(number),
        standing.system.name,
        f"{standing.score} %",
        _said(praise) if praise else "",
        _said(against[0]) if against else "nothing that was asked",
    )


def _said(judgement: Judgement) -> str:
    return f"{judgement.criterion.name}: {judgement.because}"


def _beside(selection: Selection) -> Iterator[Piece]:
    if not selection.choice.companions:
        return
    yield Heading("Beside it")
    yield Bullets(tuple(_besides(companion) for companion in selection.choice.companions))


def _besides(companion: Companion) -> Inline:
    if companion.system is None:
        return Strong("nothing"), f" for {companion.job}: {companion.because}"
    where = (
        "an extension of the same server" if companion.inside else "a second system, filled from the first"
    )
    return Strong(companion.system), f" for {companion.job} ({where}): {companion.because}"


def _postgres(selection: Selection) -> Iterator[Piece]:
    found = selection.enough
    yield Heading("PostgreSQL alone")
    yield Paragraph(_is_enough(found))
    if found.lacking:
        yield Bullets(tuple(f"{criterion.name}: {fact.because}" for criterion, fact in found.lacking))
    years = selection.need.years
    yield Table(
        ("what grows", "today", f"in {years} years", "ends at", "reached", "how that is known"),
        tuple(_ends(limit) for limit in found.limits),
        frozenset({1, 2, 3}),
    )


def _is_enough(found: Enough) -> str:
    inside = f" with {' and '.join(found.with_)}" if found.with_ else ""
    if not found.enough:
        return "Not enough for all of it:"
    until = found.until
    if until is None or until.years is None:
        nearest = f"; nearest to its end: {until.criterion.name}, {_times(until.headroom)}" if until else ""
        return f"Enough{inside}, and no limit is reached at the declared growth{nearest}."
    size = _amount(until.criterion, until.most)
    return f"Enough{inside} for {until.years:g} years: then {until.criterion.name} passes {size}."


def _times(headroom: float) -> str:
    return (
        f"{headroom:,.1f} times today's number" if headroom < 1000 else "more than 1,000 times today's number"
    )


def _ends(limit: Limit) -> tuple[Inline, ...]:
    reached = "not at this growth" if limit.years is None else f"in {limit.years:g} years"
    return (
        limit.criterion.name,
        _amount(limit.criterion, limit.now),
        _amount(limit.criterion, limit.at_horizon),
        _amount(limit.criterion, limit.most),
        "already" if limit.years == 0 else reached,
        f"{limit.fact.evidence}: {limit.fact.because}",
    )


def _amount(criterion: Criterion, value: float) -> str:
    if criterion.id != "volume":
        return f"{value:,.0f}"
    for unit, size in (("TB", 1e12), ("GB", 1e9)):
        if value >= size:
            return f"{value / size:,.1f} {unit}"
    return f"{value / 1e6:,.1f} MB"


def _changes(selection: Selection) -> Iterator[Piece]:
    yield Heading("What would change it")
    changes = (*selection.would_change, *selection.would_add)
    if not changes:
        yield Paragraph("No answer changed by one step changes the choice.")
        return
    yield Paragraph(
        "Each answer was changed alone by one step and everything ranked again. These change the choice:"
    )
    rows = [_changed(change) for change in changes[:MAX_CHANGES]]
    if len(changes) > MAX_CHANGES:
        rows.append((f"… {len(changes) - MAX_CHANGES} more, in the JSON", "", "", ""))
    yield Table(("answer", "now", "if it were", "then"), tuple(rows))


def _changed(change: Change) -> tuple[Inline, ...]:
    return Code(change.answer.key), _value(change.before), _value(change.after), str(change.choice)


def _value(value: Any) -> str:
    if isinstance(value, tuple):
        return ", ".join(value) or "none"
    return value if isinstance(value, str) else f"{value:,}" if isinstance(value, int) else f"{value:,g}"


def _marks(selection: Selection) -> Iterator[Piece]:
    able = [standing for standing in selection.standings if not standing.excluded_by][:SHOWN]
    if not able:
        return
    yield Heading("The marks, to add up again")
    by_criterion = zip(*(standing.judgements for standing in able), strict=True)
    rows = [
        (
            marks[0].criterion.name,
            str(marks[0].criterion.weight),
            *(str(judgement.mark) for judgement in marks),
        )
        for marks in by_criterion
    ]
    total = ("points", "", *(str(standing.points) for standing in able))
    columns = ("criterion", "weight", *(standing.system.name for standing in able))
    yield Table(columns, (*rows, total), frozenset(range(1, len(columns))))


def _method(asked: StorageNeed, selection: Selection, again: str) -> Iterator[Piece]:
    yield Heading("How this was computed")
    yield Paragraph(
        "A mark from 0 to 3 for each criterion, times its weight. 0 excludes, except for what only prefers. A number "
        "within a system's limit at the end of the declared years has 3, up to ten times beyond it 1 (its data must be "
        "divided by hand), more 0. Equal points: the better mark for the kind of data, then what runs in a PostgreSQL "
        "that is enough anyway, then the order of the storage table. Weights and marks are judgement; the facts "
        "beneath have sources."
    )
    yield Bullets(tuple(_notes(asked, selection)))
    yield Block(again, "bash")


def _notes(asked: StorageNeed, selection: Selection) -> Iterator[Inline]:
    left = [key for key in ANSWERS if key not in asked.answered]
    if left:
        listed = ", ".join(f"`{key}`" for key in left)
        yield words(f"Not answered, so the defaults were taken: {listed}.")
    winner = next((standing for standing in selection.standings if not standing.excluded_by), None)
    if winner:
        yield _known(winner)
        yield f"Sources of its facts: {'; '.join(_sources(winner))}."
    yield "Not checked: prices, and what the systems do on your data. Measure before you buy."


def _known(winner: Standing) -> str:
    counted: Mapping[str, int] = {
        evidence: sum(judgement.evidence == evidence for judgement in winner.judgements)
        for evidence in ("measured", "documented", "assumed")
    }
    listed = ", ".join(f"{number} {evidence}" for evidence, number in counted.items() if number)
    return f"{winner.system.name}'s {len(winner.judgements)} facts: {listed}."


def _sources(standing: Standing) -> list[str]:
    named = (j.source for j in standing.judgements if j.evidence != "assumed")
    return list(dict.fromkeys(named))
