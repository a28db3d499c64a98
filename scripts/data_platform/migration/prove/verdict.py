"""The verdict on a migration, from everything that was found."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from data_platform.migration.prove.options import Options, allowed
from data_platform.migration.prove.result import MODES, ClientError, Lost, Proof, StatementResult


@dataclass(frozen=True)
class Hold:
    """Work on rows under a lock that keeps clients out until it is done: `blocks` what, while it does which `work`."""

    relation: str
    blocks: str
    work: str


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
        elif one_hold := next(iter(holds(statement, proof)), None):
            yield (
                f"statement {statement.index} keeps out {one_hold.blocks} of `{one_hold.relation}` while it "
                f"{one_hold.work}, which takes longer the more rows there are"
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


_MANY = 0.1
"""Of a table's rows: a statement that changes as many is one whose time grows with them."""


def holds(one: StatementResult, proof: Proof) -> tuple[Hold, ...]:
    """What a statement keeps out while it works through a table, where nobody has said that the table is small.

    That is no matter of how fast this machine is, or of how many rows there are here.
    """
    if one.error:
        return ()
    found = [Hold(name, "reads and writes", "rewrites the table") for name in one.rewrites]
    for name in one.scans:
        strongest = max((lock.strength for lock in one.locks if lock.relation == name), default=0)
        if strongest >= MODES.index("SHARE"):
            blocked = "reads and writes" if strongest == MODES.index("ACCESS EXCLUSIVE") else "writes"
            found.append(Hold(name, blocked, "reads all of the table"))
    found += _behind(one, proof)
    return tuple(hold for hold in found if not _small(proof, hold.relation))


def _behind(one: StatementResult, proof: Proof) -> Iterator[Hold]:
    """Work on many rows while a lock of an earlier statement keeps clients out."""
    work = _long(one, proof)
    for lock in one.locks if work else ():
        if lock.since < one.index and lock.strength > MODES.index("SHARE") and rows_of(proof, lock.relation):
            whom = "reads and writes" if lock.mode == "ACCESS EXCLUSIVE" else "writes"
            yield Hold(lock.relation, whom, work)


def _long(one: StatementResult, proof: Proof) -> str:
    """What of the statement takes longer the more rows there are."""
    tables = {lock.relation for lock in one.locks if lock.mode == "ROW EXCLUSIVE" and lock.kind != "index"}
    most = max((rows_of(proof, name) for name in tables), default=0)
    if most and one.rows_changed >= _MANY * most:
        return f"changes {one.rows_changed:,} rows"
    for name in (*one.rewrites, *one.scans):
        return f"reads all of `{name}`"
    for name, rows in one.rows_read.items():
        if rows >= max(1, _MANY * rows_of(proof, name)):
            return f"reads {rows:,} rows of `{name}`"
    return ""


def rows_of(proof: Proof, relation: str) -> int:
    """The rows that a table had here."""
    return next((filled.rows for filled in proof.filled if filled.table == relation), 0)


def _small(proof: Proof, relation: str) -> bool:
    """Whether production is said to have no more rows of it than there were here."""
    return relation in proof.declared and proof.declared[relation] <= rows_of(proof, relation)


def breaks(error: ClientError) -> bool:
    """Whether an application would fail with it, whatever its values are."""
    return error.effect == "broken"


def untold(proof: Proof, options: Options) -> tuple[Lost, ...]:
    """What is lost without the user having said that it may be."""
    return tuple(lost for lost in proof.lost if not lost.some and not allowed(options, lost.object))


def _for_want(proof: Proof, statement: StatementResult) -> bool:
    """Whether a statement may have failed for want of an extension that is not here."""
    return bool(proof.stubs) and statement.error is not None and statement.error.sqlstate[:2] in ("42", "0A")


def _gaps(proof: Proof) -> Iterator[str]:
    for extension in proof.stubs:
        yield f"extension {extension}"
    for filled in proof.filled:
        if filled.wanted and not filled.rows:
            yield f"no rows for {filled.table}"
