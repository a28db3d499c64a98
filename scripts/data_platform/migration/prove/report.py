"""A proof for a person: verdict, a table of statements, what to do, the timeline of locks, how it was measured."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import PurePath

from data_platform.migration.prove.options import Options
from data_platform.migration.prove.result import MODES, Lock, Proof, StatementResult
from data_platform.migration.prove.verdict import breaks, holds, stalls, untold
from data_platform.report.document import (
    Block,
    Blocks,
    Bullets,
    Code,
    Heading,
    Inline,
    Paragraph,
    Piece,
    Report,
    Series,
    Stretch,
    Strong,
    Table,
    Timeline,
    spans,
    words,
)

MOST_ROWS = 40
"""Statements in the table of a report; of more, those that did something come first. JSON has all."""
_MOST_LANES = 16
_NOT_CHECKED = "replicas, the disks and the load of production, and queries of clients other than by key"


def report(proof: Proof, options: Options, base: str, repeat: str, fixes: Mapping[int, str]) -> Report:
    """`base` says what the schema was read from; `fixes` are safe forms of statements, as SQL."""
    return Report(
        title=_title(proof, options),
        verdict=proof.verdict.partition(":")[0].replace("_", " "),
        good={"proven": True, "failed": False}.get(proof.verdict),
        summary=_summary(proof, options),
        pieces=tuple(_pieces(proof, options, base, repeat, fixes)),
    )


def _pieces(
    proof: Proof, options: Options, base: str, repeat: str, fixes: Mapping[int, str]
) -> Iterator[Piece]:
    if proof.reasons:
        yield Bullets(tuple(words(reason) for reason in proof.reasons[:20]))
    yield Heading("Statements")
    yield _table(proof, options)
    if len(proof.statements) > MOST_ROWS:
        yield Paragraph(f"{len(proof.statements) - MOST_ROWS} more statements are in the JSON answer.")
    yield from _instead(proof, options, fixes)
    yield from _clients(proof)
    yield from _rows(proof, options)
    yield from _kills(proof)
    yield from _patterns(proof)
    yield from _timeline(proof)
    yield Heading("How this was measured")
    yield Paragraph(tuple(_measured(proof, options, base)))
    if proof.notes:
        yield Bullets(tuple(words(note) for note in proof.notes[:20]))
    yield Block(repeat, "sh")


# --- title and summary ---


def _title(proof: Proof, options: Options) -> Inline:
    files = list(dict.fromkeys(one.file for one in proof.statements))
    what = Code(PurePath(files[0]).stem) if len(files) == 1 else f"of {len(files)} files"
    return ("Migration ", what, ": ", *_said(proof, options))


def _said(proof: Proof, options: Options) -> tuple[str | Code, ...]:
    failing = [one for one in proof.statements if one.error]
    if proof.verdict.startswith("not_provable"):
        return ("not provable here, ", Code(proof.reasons[0]))
    if failing:
        return (f"statement {failing[0].index} fails",)
    stalling = [one for one in proof.statements if stalls(one, options)]
    if stalling:
        longest = max(stalling, key=lambda one: one.blocked_s)
        return (f"clients wait for {longest.blocked_s:.2f} s, at {_most_rows(proof):,} rows",)
    for one in proof.statements:
        for hold in holds(one, proof):
            return (
                f"keeps out {hold.blocks} of ",
                Code(hold.relation.removeprefix("public.")),
                f" while it {hold.work}",
            )
    broken = [error for error in proof.client_errors if breaks(error)]
    if broken:
        return ("breaks clients of ", Code(broken[0].table))
    lost = untold(proof, options)
    if lost:
        return ("loses ", Code(lost[0].object))
    if any(kill.silent for kill in proof.kills):
        return ("does not recover when it is killed",)
    return (f"no client waits longer than {_longest(proof):.2f} s",)


def _most_rows(proof: Proof) -> int:
    return max((one.rows for one in proof.filled), default=0)


def _longest(proof: Proof) -> float:
    stalls_ = [
        stall for one in proof.statements for stall in (one.max_read_stall_s, one.max_write_stall_s) if stall
    ]
    return max(stalls_, default=0.0)


def _summary(proof: Proof, options: Options) -> Inline:
    bad = sum(stalls(one, options) or bool(holds(one, proof)) for one in proof.statements)
    total = len(proof.statements)
    parts: list[str | Code | Strong] = [
        f"{bad} of {total} statement{'s' if total != 1 else ''} hold{'s' if bad == 1 else ''} clients up"
        f" (longest stall {_longest(proof):.2f} s at {_most_rows(proof):,} rows). "
    ]
    reversible = {True: "yes", False: "no", None: "not tried, no down files"}[proof.round_trip.reversible]
    parts.append(f"Reversible: {reversible}. Lost: ")
    for number, lost in enumerate(proof.lost):
        parts += [", " if number else "", Code(lost.object)]
    parts.append(". " if proof.lost else "nothing. ")
    recovers = {True: "yes", False: "no", None: "not tried"}[proof.recovers]
    parts.append(f"Recovers from a kill: {recovers}.")
    for one in proof.estimates:
        parts += [
            " At ",
            Code(one.relation),
            f" = {one.rows:,} rows: about {_seconds(one.seconds)} of waiting at statement {one.statement} "
            f"({_seconds(one.low)} to {_seconds(one.high)}, estimate from {len(one.sizes)} sizes).",
        ]
    return tuple(parts)


def _seconds(seconds: float) -> str:
    return f"{seconds:.1f} s" if seconds < 120 else f"{seconds / 60:.1f} min"


# --- statements ---


def _table(proof: Proof, options: Options) -> Table:
    shown = sorted(proof.statements, key=lambda one: -_weight(one, options))[:MOST_ROWS]
    rows = tuple(_row(one, options) for one in sorted(shown, key=lambda one: one.index))
    columns = ("#", "statement", "time", "strongest lock", "rewrites, scans", "read stall", "write stall")
    return Table(columns, rows, frozenset({0, 2, 5, 6}))


def _weight(one: StatementResult, options: Options) -> float:
    return 1000.0 * bool(one.error or stalls(one, options)) + one.seconds + (0.0 if one.skipped else 0.001)


def _row(one: StatementResult, options: Options) -> tuple[Inline, ...]:
    too_long = stalls(one, options)
    time: Inline = f"{one.seconds:.2f} s"
    if one.error:
        time = Strong(one.error.sqlstate)
    elif one.skipped:
        time = "not run" if not one.seconds else time
    return (
        str(one.index),
        Code(" ".join(one.sql.split())),
        time,
        _lock(one.strongest),
        _work(one),
        _stall(one.max_read_stall_s, too_long, options),
        _stall(one.max_write_stall_s, too_long, options),
    )


def _lock(lock: Lock | None) -> Inline:
    return (f"{lock.mode} on ", Code(lock.relation.removeprefix("public."))) if lock else "none"


def _work(one: StatementResult) -> Inline:
    parts: list[str | Code] = []
    for word, names in (("rewrites", one.rewrites), ("scans", one.scans), ("empties", one.truncated)):
        for name in names:
            parts += ["; " if parts else "", f"{word} ", Code(name.removeprefix("public."))]
    return tuple(parts) or "none"


def _stall(seconds: float | None, too_long: bool, options: Options) -> Inline:
    if seconds is None:
        return "no client"
    text = f"{seconds:.2f} s"
    return Strong(text) if too_long and seconds > options.stall_s else text


# --- what to do, and what else was found ---


def _instead(proof: Proof, options: Options, fixes: Mapping[int, str]) -> Iterator[Piece]:
    wanted = [one for one in proof.statements if stalls(one, options) or holds(one, proof)]
    told = [(one, fixes[one.index]) for one in wanted if one.index in fixes]
    if not told:
        return
    yield Heading("Do this instead")
    for one, sql in told[:10]:
        if not sql.rstrip().endswith(";") and ";\n" not in sql:
            yield Paragraph((f"Statement {one.index}: ", *spans(words(sql))))
            continue
        yield Paragraph(f"Statement {one.index}, so that clients go on meanwhile:")
        yield Block(sql, "sql")


def _clients(proof: Proof) -> Iterator[Piece]:
    if not proof.client_errors:
        return
    yield Heading("Errors on clients")
    rows = tuple(
        (
            str(error.statement or "-"),
            Code(error.table),
            f"{error.client}, {error.action}",
            error.sqlstate,
            Code(error.message),
            f"{error.effect}{', passes later' if error.passed else ''}",
        )
        for error in proof.client_errors[:MOST_ROWS]
    )
    yield Table(("after #", "table", "client", "SQLSTATE", "message", "effect"), rows, frozenset({0}))


def _rows(proof: Proof, options: Options) -> Iterator[Piece]:
    items: list[Inline] = []
    untold_ = {lost.object for lost in untold(proof, options)}
    for lost in proof.lost:
        told = "" if lost.object in untold_ else " (allowed by --allow-data-loss)"
        items.append((Code(lost.object), f": {lost.what}{told}"))
    trip = proof.round_trip
    if trip.error:
        items.append(("Up and down: ", Code(trip.error)))
    items += [("After up and down, ", Code(lost.object), f": {lost.what}") for lost in trip.lost]
    if trip.differences is not None:
        items += [("After up and down it is gone: ", Code(name)) for name in trip.differences.removed]
        items += [("After up and down it is left over: ", Code(name)) for name in trip.differences.added]
        items += [
            (
                "After up and down, ",
                Code(c.object),
                f": {c.property} was ",
                Code(c.before),
                ", is ",
                Code(c.after),
            )
            for c in trip.differences.changed
        ]
    if trip.again:
        items.append(("The second up: ", Code(trip.again)))
    depends = [one for one in proof.statements if one.depends_on_rows]
    for one in depends:
        error = one.depends_on_rows
        assert error is not None
        items.append(
            (
                f"Statement {one.index} goes through only where the rows allow it: else {error.sqlstate} ",
                Code(error.message),
            )
        )
    if items:
        yield Heading("Rows and the way back")
        yield Bullets(tuple(items[:30]))


def _kills(proof: Proof) -> Iterator[Piece]:
    failed = [kill for kill in proof.kills if kill.recovers is False or kill.left_behind]
    items: list[Inline] = []
    for kill in failed:
        left = f", leaves {', '.join(kill.left_behind)}" if kill.left_behind else ""
        items.append(
            (
                f"Statement {kill.statement}",
                Code(left.removeprefix(", ")) if left else "",
                ": ",
                Code(kill.detail),
            )
        )
    if proof.again:
        items.append(("All of it run a second time stops: ", Code(proof.again)))
    if items:
        yield Heading("Killed in the middle")
        yield Bullets(tuple(_spaced(item) for item in items))


def _spaced(item: Inline) -> Inline:
    """A space between words of ours and what follows them."""
    if (
        isinstance(item, tuple)
        and len(item) > 1
        and item[1]
        and isinstance(item[0], str)
        and item[0][-1].isdigit()
    ):
        return (f"{item[0]} ", *item[1:])
    return item


def _patterns(proof: Proof) -> Iterator[Piece]:
    if not proof.patterns:
        return
    yield Heading("What the application asks")
    rows = []
    for fate in proof.patterns:
        if fate.breaks_after is not None:
            what: Inline = (
                f"breaks after statement {fate.breaks_after}: ",
                Code(fate.errors.get(fate.breaks_after, "")),
            )
        elif fate.works_from is None:
            what = "never works"
        else:
            what = f"works from statement {fate.works_from} on" if fate.works_from else "works all the time"
        rows.append((Code(fate.name), fate.model, what))
    yield Table(("access pattern", "model", "what becomes of it"), tuple(rows))


# --- the timeline ---


def _timeline(proof: Proof) -> Iterator[Piece]:
    spans = [span for span in proof.spans if MODES.index(span.mode) > 0] or list(proof.spans)
    if not spans:
        return
    lanes = _lanes([(span.relation, MODES.index(span.mode), span.end - span.start) for span in spans])
    seconds = max(0.01, proof.seconds, *(span.end for span in spans))
    yield Heading("Locks over time")
    yield Timeline(
        lanes=tuple(Code(lane.removeprefix("public.")) for lane in lanes),
        stretches=tuple(
            Stretch(
                lanes.index(s.relation), s.start, s.end, s.mode, blocks(s.mode), f"statement {s.statement}"
            )
            for s in spans
            if s.relation in lanes
        ),
        marks=_marks(proof, seconds),
        series=tuple(_series(proof)),
        seconds=seconds,
    )


def _lanes(spans: Sequence[tuple[str, int, float]]) -> list[str]:
    """Relations, those first whose locks keep out most for longest."""
    weight: dict[str, tuple[int, float]] = {}
    for relation, strength, seconds in spans:
        weight[relation] = max(weight.get(relation, (0, 0.0)), (strength, seconds))
    ordered = sorted(weight, key=lambda relation: (-weight[relation][0], -weight[relation][1], relation))
    return ordered[:_MOST_LANES]


def _marks(proof: Proof, seconds: float) -> tuple[tuple[float, str], ...]:
    """When statements began: those whose numbers do not stand on top of each other."""
    first: dict[int, float] = {}
    for span in proof.spans:
        first.setdefault(span.statement, span.start)
    kept: list[tuple[float, str]] = []
    for number, start in sorted(first.items()):
        if not kept or start - kept[-1][0] > seconds * 0.03:
            kept.append((start, f"{number}"))
    return tuple(kept)


def _series(proof: Proof) -> Iterator[Series]:
    for name, writer in (("readers", False), ("writers", True)):
        points = tuple((start, took) for start, took, is_writer in proof.latency if is_writer == writer)
        if points:
            yield Series(name, points)


def blocks(mode: str) -> Blocks:
    """What a lock of that mode keeps others from."""
    if mode == "ACCESS EXCLUSIVE":
        return "reads and writes"
    if MODES.index(mode) >= MODES.index("SHARE"):
        return "writes"
    return "schema changes" if mode == "SHARE UPDATE EXCLUSIVE" else "nothing"


# --- how it was measured ---


def _measured(proof: Proof, options: Options, base: str) -> Iterator[str | Code]:
    yield "Schema from "
    yield Code(base)
    yield f" ({len(proof.schema.tables)} tables), on {proof.server}; "
    for number, filled in enumerate(proof.filled[:8]):
        yield ", " if number else ""
        yield Code(filled.table.removeprefix("public."))
        yield f" with {filled.rows:,} rows"
    more = len(proof.filled) - 8
    yield f" and {more} more tables" if more > 0 else ""
    yield f" (synthetic, seed {options.seed}). " if proof.filled else "no table of it is touched. "
    if proof.clients:
        yield (
            f"{proof.clients} clients, each with its own connection and a question every few milliseconds"
            f" (longest answer before the migration: {proof.idle_latency_s * 1000:.0f} ms). "
        )
    yield (
        "Locks were read from pg_locks before each commit and every 2 ms from a second connection; rewrites, scans and"
        " index builds are the server's own messages and the tables' files. Up and down, kills and what is lost were"
        " tried on up to 500 rows a table. "
    )
    if options.deploy_after is not None:
        yield f"After statement {options.deploy_after} the clients are those of the new application. "
    if proof.untried:
        yield f"Clients left out, as they failed before the migration: {len(proof.untried)}. "
    yield f"Not checked: {_NOT_CHECKED}."
