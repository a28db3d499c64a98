"""A proof as JSON, and as findings."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from data_platform.migration.prove.options import Options
from data_platform.migration.prove.result import ClientError, Proof, ServerError, StatementResult
from data_platform.migration.prove.verdict import breaks, holds, rows_of, stalls, untold
from data_platform.migration.references import reference
from data_platform.report.finding import Finding


def result(proof: Proof) -> dict[str, Any]:
    """The `result` of the envelope."""
    trip = proof.round_trip
    return {
        "verdict": proof.verdict,
        "reasons": list(proof.reasons),
        "server_version": proof.server_version,
        "server": proof.server,
        "statements": [_statement(one, proof) for one in proof.statements],
        "reversible": trip.reversible,
        "round_trip": {
            "tried": trip.tried,
            "error": trip.error,
            "second_up": trip.again,
            "not_restored": _differences(proof),
            "lost": [{"object": lost.object, "what": lost.what} for lost in trip.lost],
        },
        "data_lost": [lost.object for lost in proof.lost],
        "data_lost_details": [{"object": lost.object, "what": lost.what} for lost in proof.lost],
        "recovers": proof.recovers,
        "kills": [
            {
                "statement": kill.statement,
                "recovers": kill.recovers,
                "left_behind": list(kill.left_behind),
                "detail": kill.detail,
            }
            for kill in proof.kills
        ],
        "second_run": proof.again,
        "client_errors": [_client_error(error) for error in proof.client_errors],
        "patterns": [
            {
                "name": fate.name,
                "model": fate.model,
                "works_before": bool(fate.works and fate.works[0]),
                "works_after": bool(fate.works and fate.works[-1]),
                "breaks_after": fate.breaks_after,
                "works_from": fate.works_from,
                "errors": {str(moment): said for moment, said in fate.errors.items()},
            }
            for fate in proof.patterns
        ],
        "estimate": [
            {
                "statement": one.statement,
                "relation": one.relation,
                "rows": one.rows,
                "stall_s": round(one.seconds, 3),
                "low_s": round(one.low, 3),
                "high_s": round(one.high, 3),
                "sizes": list(one.sizes),
                "kind": "estimate",
            }
            for one in proof.estimates
        ],
        "rows": [
            {"table": one.table, "rows": one.rows, "wanted": one.wanted, "note": one.note}
            for one in proof.filled
        ],
        "clients": proof.clients,
        "idle_latency_s": round(proof.idle_latency_s, 4),
        "not_tried_by_clients": list(proof.untried),
        "notes": list(proof.notes),
    }


def _differences(proof: Proof) -> list[str]:
    found = proof.round_trip.differences
    if found is None:
        return []
    return [
        *(f"gone: {name}" for name in found.removed),
        *(f"left over: {name}" for name in found.added),
        *(f"{c.object}: {c.property} was {c.before}, is {c.after}" for c in found.changed),
    ]


def _statement(one: StatementResult, proof: Proof) -> dict[str, Any]:
    strongest = one.strongest
    return {
        "index": one.index,
        "file": one.file,
        "line": one.line,
        "column": one.column,
        "sql": one.sql,
        "transaction": one.transaction,
        "seconds": round(one.seconds, 4),
        "error": _error(one.error),
        "locks": [
            {"relation": lock.relation, "mode": lock.mode, "kind": lock.kind, "since": lock.since}
            for lock in one.locks
        ],
        "strongest_lock": {"relation": strongest.relation, "mode": strongest.mode} if strongest else None,
        "rewrites": list(one.rewrites),
        "scans": list(one.scans),
        "index_builds": list(one.index_builds),
        "truncates": list(one.truncated),
        "proven_not_null": list(one.proven),
        "max_read_stall_s": _rounded(one.max_read_stall_s),
        "max_write_stall_s": _rounded(one.max_write_stall_s),
        "blocked_s": round(one.blocked_s, 4),
        "waited_s": round(one.waited_s, 4),
        "attempts": one.attempts,
        "wal_bytes": one.wal_bytes,
        "disk_bytes": one.disk_bytes,
        "depends_on_rows": _error(one.depends_on_rows),
        "skipped": one.skipped,
        "rows_changed": one.rows_changed,
        "rows_read": dict(one.rows_read),
        "keeps_out": [
            {"relation": hold.relation, "blocks": hold.blocks, "work": hold.work}
            for hold in holds(one, proof)
        ],
        "messages": list(one.messages),
    }


def _rounded(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds, 4)


def _error(error: ServerError | None) -> dict[str, Any] | None:
    if error is None:
        return None
    return {"sqlstate": error.sqlstate, "message": error.message, "line": error.line, "column": error.column}


def _client_error(error: ClientError) -> dict[str, Any]:
    return {
        "table": error.table,
        "client": error.client,
        "action": error.action,
        "sqlstate": error.sqlstate,
        "message": error.message,
        "count": error.count,
        "statement": error.statement,
        "effect": error.effect,
        "passed": error.passed,
    }


# --- findings ---


def findings(proof: Proof, options: Options) -> tuple[Finding, ...]:
    """What speaks against the migration (errors), and what its author should know (warnings, infos)."""
    by_number = {one.index: one for one in proof.statements}
    return (
        *_of_statements(proof, options),
        *_of_clients(proof, by_number),
        *_of_rows(proof, options),
        *_of_kills(proof, by_number),
        *_of_patterns(proof, by_number),
    )


def _finding(
    rule: str, severity: Any, message: str, one: StatementResult | None, object_: str | None = None
) -> Finding:
    return Finding(
        rule=rule,
        severity=severity,
        message=message,
        evidence="measured",
        file=one.file if one else None,
        line=one.line if one else None,
        column=one.column if one else None,
        statement=one.index if one else None,
        object=object_,
        reference=reference(rule),
    )


def _of_statements(proof: Proof, options: Options) -> Iterator[Finding]:
    for one in proof.statements:
        if one.error:
            said = f"{one.error.sqlstate} `{one.error.message}`"
            yield _finding("statement-fails", "error", f"the server refuses it: {said}", one)
        if stalls(one, options):
            lock = one.strongest
            held = f" under {lock.mode} on `{lock.relation}`" if lock else ""
            message = f"clients of `{one.blocked_on}` wait for {one.blocked_s:.2f} s{held}"
            yield _finding("stalls-clients", "error", message, one, one.blocked_on)
        for hold in holds(one, proof):
            lasted = f"{one.seconds:.2f} s at {rows_of(proof, hold.relation):,} rows, and it grows with them"
            message = f"{hold.blocks} of `{hold.relation}` are kept out while it {hold.work}: {lasted}"
            yield _finding("blocks-while-it-works", "error", message, one, hold.relation)
        if one.depends_on_rows:
            said = f"{one.depends_on_rows.sqlstate} `{one.depends_on_rows.message}`"
            message = f"whether it goes through depends on the rows: on those of the old schema it fails with {said}"
            yield _finding("depends-on-rows", "warning", message, one)
        if one.skipped and not one.skipped.startswith("not run"):
            yield _finding("not-run", "info", f"not run as written: {one.skipped}", one)


def _of_clients(proof: Proof, by_number: dict[int, StatementResult]) -> Iterator[Finding]:
    for error in proof.client_errors:
        one = by_number.get(error.statement or 0)
        said = f"{error.count} x {error.sqlstate} `{error.message}` on {error.action}"
        if breaks(error):
            yield _finding("breaks-clients", "error", f"the {error.client} gets {said}", one, error.table)
        elif error.effect == "refused":
            message = f"values of the {error.client} are refused from here on: {said}"
            yield _finding("refuses-values", "warning", message, one, error.table)
        else:
            message = f"prepared statements have to be made again: {said}"
            yield _finding("plans-invalid", "info", message, one, error.table)


def _of_rows(proof: Proof, options: Options) -> Iterator[Finding]:
    for lost in untold(proof, options):
        yield _finding("data-loss", "error", f"{lost.what} is lost", None, lost.object)
    for lost in (one for one in proof.lost if one.some):
        yield _finding("rows-deleted", "warning", f"{lost.what} are deleted", None, lost.object)
    trip = proof.round_trip
    if trip.tried and not trip.reversible:
        lost_names = ", ".join(f"`{lost.object}`" for lost in trip.lost)
        why = trip.error or (
            f"{lost_names} is not as it was" if lost_names else "the schema is not as it was"
        )
        yield _finding("not-reversible", "warning", f"down does not bring back what was there: {why}", None)
    if trip.again:
        yield _finding(
            "second-up-fails", "warning", f"after down, up does not go through: {trip.again}", None
        )
    if proof.again:
        message = f"run again as a whole it stops, {proof.again}"
        yield _finding("not-idempotent", "info", message, None)


def _of_kills(proof: Proof, by_number: dict[int, StatementResult]) -> Iterator[Finding]:
    for kill in proof.kills:
        if kill.recovers is False:
            left = f"leaves {', '.join(f'`{one}`' for one in kill.left_behind)}; " if kill.left_behind else ""
            severity = "error" if kill.silent else "warning"
            one = by_number.get(kill.statement)
            yield _finding("does-not-recover", severity, f"killed in the middle it {left}{kill.detail}", one)


def _of_patterns(proof: Proof, by_number: dict[int, StatementResult]) -> Iterator[Finding]:
    for fate in proof.patterns:
        if fate.breaks_after is not None:
            one = by_number.get(fate.breaks_after)
            said = fate.errors.get(fate.breaks_after, "")
            message = f"access pattern `{fate.name}` of the {fate.model} model breaks: {said}"
            yield _finding("breaks-pattern", "warning", message, one, fate.name)
        elif fate.model == "new" and fate.works and not fate.works[-1]:
            message = f"access pattern `{fate.name}` of the new model does not work after the migration"
            yield _finding("pattern-fails", "error", message, None, fate.name)
