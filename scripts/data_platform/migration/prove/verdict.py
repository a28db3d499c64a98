"""The verdict on a migration, from everything that was found."""

from __future__ import annotations

from collections.abc import Iterator

from data_platform.migration.prove.options import Options, allowed
from data_platform.migration.prove.result import ClientError, Lost, Proof, StatementResult


def judge(proof: Proof, options: Options) -> tuple[str, tuple[str, ...]]:
    """The verdict, and why it is not `proven`. What went wrong outweighs what could not be tried."""
    failures = tuple(failed(proof, options))
    if failures:
        return "failed", failures
    gaps = tuple(_gaps(proof))
    return (f"not_provable: {gaps[0]}", gaps) if gaps else ("proven", ())


def failed(proof: Proof, options: Options) -> Iterator[str]:
    """Everything that speaks against the migration."""
    for statement in proof.statements:
        if statement.error and not _for_want(proof, statement):
            yield f"statement {statement.index} fails: {statement.error.sqlstate} `{statement.error.message}`"
        if stalls(statement, options):
            yield (
                f"statement {statement.index} stalls clients of `{statement.blocked_on}` "
                f"for {statement.blocked_s:.2f} s"
            )
    for error in proof.client_errors:
        if breaks(error):
            where = f"after statement {error.statement}" if error.statement else "from the start"
            yield (
                f"the {error.client} of `{error.table}` breaks {where}: {error.action} gets "
                f"{error.sqlstate} `{error.message}`"
            )
    for lost in untold(proof, options):
        yield f"`{lost.object}` is lost: {lost.what}"
    for kill in proof.kills:
        if kill.silent:
            yield f"statement {kill.statement} does not recover from a kill, {kill.detail}"


def stalls(statement: StatementResult, options: Options) -> bool:
    """Whether clients waited for longer than allowed, beyond the time that lock_timeout lets the statement queue."""
    queued = min(statement.lock_timeout_s, statement.waited_s)
    return statement.blocked_s > options.stall_s + queued


def breaks(error: ClientError) -> bool:
    """Whether an application would fail with it, whatever its values are."""
    return error.effect == "broken"


def untold(proof: Proof, options: Options) -> tuple[Lost, ...]:
    """What is lost without the user having said that it may be."""
    return tuple(lost for lost in proof.lost if not allowed(options, lost.object))


def _for_want(proof: Proof, statement: StatementResult) -> bool:
    """Whether a statement may have failed for want of an extension that is not here."""
    return bool(proof.stubs) and statement.error is not None and statement.error.sqlstate[:2] in ("42", "0A")


def _gaps(proof: Proof) -> Iterator[str]:
    for extension in proof.stubs:
        yield f"extension {extension}"
    for filled in proof.filled:
        if filled.wanted and not filled.rows:
            yield f"no rows for {filled.table}"
