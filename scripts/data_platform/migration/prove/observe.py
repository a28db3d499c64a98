"""What was seen of each statement, made into results: locks by name, work on tables that were there, stalls of clients.

Only relations count that others could see before the transaction: nobody waits for one that it has just made.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import postgast
from postgast import pg_query_pb2 as pb

from data_platform.migration.files import Statement
from data_platform.migration.prove import messages
from data_platform.migration.prove.result import Lock, LockSpan, StatementResult
from data_platform.migration.prove.run import Seen
from data_platform.migration.prove.watch import INTERVAL, Relation
from data_platform.postgres.traffic import Client, Sample

_NEW_FILE = ("vacuum_stmt", "cluster_stmt", "truncate_stmt", "refresh_mat_view_stmt")
"""Statements that put a table into another file and say nothing of it; ALTER TABLE says so, but for a tablespace."""
_TABLES = ("table", "materialized view", "partitioned table")


@dataclass(frozen=True)
class Window:
    """When a statement ran: `closed` is when the next one of its transaction began, or the transaction ended."""

    seen: Seen
    closed: float
    since: Mapping[tuple[int, str], int] = field(default_factory=dict)
    """The statement of the transaction that took each lock which was held at the end."""


def windows(seen: Sequence[Seen]) -> Iterator[Window]:
    """The statements with their windows, in order."""
    since: dict[tuple[int, str], int] = {}
    for place, one in enumerate(seen):
        if place and not _together(seen[place - 1], one):
            since = {}
        for lock in (*one.held, *one.look.held):
            since.setdefault(lock, one.statement.number)
        last = place + 1 == len(seen) or not _together(one, seen[place + 1])
        yield Window(one, one.until if last else seen[place + 1].started, dict(since))


def _together(one: Seen, other: Seen) -> bool:
    """Whether two statements in a row share a transaction."""
    a, b = one.statement, other.statement
    return a.transaction is not None and (a.file, a.transaction) == (b.file, b.transaction)


def results(
    statements: Sequence[Statement], seen: Sequence[Seen], clients: Sequence[Client], base: Iterable[int]
) -> tuple[StatementResult, ...]:
    """One for each statement of the migration; `base` are the tables that were there with rows before it."""
    there = frozenset(base)
    by_number = {window.seen.statement.number: window for window in windows(seen)}
    group_end = {one.statement.number: one.until for one in seen}
    found = []
    failed: Seen | None = None
    for statement in statements:
        window = by_number.get(statement.number)
        if window is None:
            why = f"not run: statement {failed.statement.number} failed" if failed else "not run"
            found.append(_bare(statement, why))
            continue
        failed = window.seen if window.seen.error else failed
        found.append(_result(window, clients, there, group_end[statement.number], seen))
    return tuple(found)


def _bare(statement: Statement, why: str) -> StatementResult:
    return StatementResult(
        index=statement.number,
        file=statement.file,
        line=statement.line,
        column=statement.column,
        sql=statement.sql,
        transaction=statement.transaction,
        skipped=why,
    )


def _result(
    window: Window, clients: Sequence[Client], base: frozenset[int], end: float, seen: Sequence[Seen]
) -> StatementResult:
    one, statement = window.seen, window.seen.statement
    work = _Work.of(window, base)
    start = min(other.started for other in seen if other.until == one.until)
    wait = longest_wait(one, clients, start, end)
    return StatementResult(
        index=statement.number,
        file=statement.file,
        line=statement.line,
        column=statement.column,
        sql=statement.sql,
        transaction=statement.transaction,
        seconds=one.ended - one.started,
        error=one.error,
        locks=tuple(_locks(window)),
        rewrites=work.rewrites,
        scans=work.scans,
        index_builds=work.builds,
        proven=work.proven,
        truncated=work.truncated,
        rows_changed=one.answer.rows,
        rows_read=_rows_read(one, base),
        messages=tuple(one.answer.messages),
        max_read_stall_s=_stall(window, [c for c in clients if c.script.role == "reader"]),
        max_write_stall_s=_stall(window, [c for c in clients if c.script.role == "writer"]),
        blocked_s=wait[0],
        blocked_on=wait[1],
        waited_s=_migration_waited(one),
        wal_bytes=one.wal,
        disk_bytes=one.disk,
        attempts=one.attempts,
        lock_timeout_s=one.lock_timeout_s,
        skipped=one.answer.skipped,
    )


# --- locks ---


def _locks(window: Window) -> Iterator[Lock]:
    one = window.seen
    if one.statement.node.HasField("transaction_stmt"):
        return  # it takes none, and gives back those of others
    found = []
    for oid, mode in {*one.held, *one.look.held}:
        relation = one.before.get(oid)
        if relation is not None:
            since = window.since.get((oid, mode), one.statement.number)
            found.append(Lock(relation=relation.full, mode=mode, kind=relation.kind, since=since))
    yield from sorted(found, key=lambda lock: (-lock.strength, lock.relation))


def spans(seen: Sequence[Seen], origin: float) -> tuple[LockSpan, ...]:
    """When which lock was held, seconds from `origin`; locks on indexes and sequences are left out."""
    found: list[LockSpan] = []
    for window in windows(seen):
        one = window.seen
        for lock in {*one.held, *one.look.held}:
            relation = one.before.get(lock[0])
            if relation is None or relation.kind in ("index", "sequence"):
                continue
            if window.since.get(lock) != one.statement.number:
                continue
            first, last = one.look.held.get(lock, (one.ended, one.ended))
            last = one.until if lock in one.held else last
            found.append(
                LockSpan(
                    relation=relation.full,
                    mode=lock[1],
                    start=first - origin,
                    end=max(last, first + INTERVAL) - origin,
                    statement=one.statement.number,
                )
            )
    return tuple(sorted(found, key=lambda span: (span.start, span.relation, span.mode)))


# --- work on tables ---


def _rows_read(one: Seen, base: frozenset[int]) -> Mapping[str, int]:
    known = {oid: one.before[oid].full for oid in one.answer.read if oid in base and oid in one.before}
    return {name: one.answer.read[oid] for oid, name in sorted(known.items(), key=lambda item: item[1])}


def _of_default_partition(one: Seen, base: frozenset[int]) -> Iterator[str]:
    """The default partition, which a new one beside it makes the server read without a word."""
    node = one.statement.node.create_stmt
    if not node.HasField("partbound") or one.error or any(_IMPLIED in text for text in one.answer.messages):
        return
    for oid, mode in sorted({*one.held, *one.look.held}):
        relation = one.before.get(oid)
        if oid in base and relation is not None and relation.kind == "table" and mode == "ACCESS EXCLUSIVE":
            yield relation.full


_IMPLIED = "partition constraint for default partition"


def _of_domain(one: Seen, base: frozenset[int]) -> Iterator[str]:
    """Tables whose rows are checked for a domain's constraint, which the server does without a word."""
    if not one.statement.node.HasField("alter_domain_stmt") or one.error:
        return
    node = one.statement.node.alter_domain_stmt
    added = node.subtype == "C" and not getattr(node, "def").constraint.skip_validation
    if not added and node.subtype not in ("O", "V"):
        return
    for oid, mode in sorted({*one.held, *one.look.held}):
        if oid in base and oid in one.before and mode in ("SHARE", "SHARE UPDATE EXCLUSIVE"):
            yield one.before[oid].full


@dataclass(frozen=True)
class _Work:
    rewrites: tuple[str, ...]
    scans: tuple[str, ...]
    builds: tuple[str, ...]
    proven: tuple[str, ...]
    truncated: tuple[str, ...]

    @staticmethod
    def of(window: Window, base: frozenset[int]) -> _Work:
        """From the server's messages and from the tables that have a new file."""
        one = window.seen
        said = messages.read(one.answer.messages)
        find = _Names(one, base)
        new_files = tuple(_new_files(one, base))
        empties = one.statement.node.HasField("truncate_stmt")
        emptied = new_files if empties else ()
        rewrites = _unique(
            [find.table(work.table) for work in said if work.kind == "rewrite"],
            () if empties else new_files,
        )
        builds = [
            (table, work.object)
            for work in said
            if work.kind == "build"
            and not empties
            and (table := find.table(work.table))
            and (table not in rewrites or find.unheard_of(work.object))
        ]
        scans = _unique(
            [find.table(work.table) for work in said if work.kind == "verify"],
            [find.of_foreign_key(work.object) for work in said if work.kind == "validate"],
            [table for table, _ in builds],
            tuple(_of_domain(one, base)),
            tuple(_of_default_partition(one, base)) if one.statement.node.HasField("create_stmt") else (),
        )
        return _Work(
            rewrites,
            scans,
            _unique([index for _, index in builds]),
            _unique([work.object for work in said if work.kind == "proven"]),
            emptied,
        )


def _unique(*parts: Iterable[str | None]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(name for part in parts for name in part if name))


@dataclass(frozen=True)
class _Names:
    """Unqualified names of the server's messages, as the tables they mean; None for one that is new."""

    seen: Seen
    base: frozenset[int]

    def table(self, name: str) -> str | None:
        relations = [
            r
            for r in self.seen.before.values()
            if r.name == name and r.kind in _TABLES and r.oid in self.base
        ]
        locked = {oid for oid, _ in (*self.seen.held, *self.seen.look.held)}
        relations.sort(key=lambda relation: (relation.oid not in locked, relation.full))
        if relations and (relations[0].oid in locked or not locked):
            return relations[0].full
        # A table that was renamed in the same transaction is still known by its old name to others.
        return self._renamed(name) or (relations[0].full if relations and not self._is_new(name) else None)

    def unheard_of(self, index: str) -> bool:
        """Whether nothing had the name before: a rewrite builds the indexes that were there again."""
        return all(relation.name != index for relation in self.seen.before.values())

    def of_foreign_key(self, name: str) -> str | None:
        tables = [oid for oid in self.seen.foreign_keys.get(name, ()) if oid in self.base]
        known = [self.seen.before[oid].full for oid in tables if oid in self.seen.before]
        if name not in self.seen.foreign_keys:  # its transaction was rolled back
            return self.table(self.seen.statement.node.alter_table_stmt.relation.relname)
        return known[0] if known else None

    def _renamed(self, name: str) -> str | None:
        for oid, relation in self.seen.after.items():
            if relation.name == name and oid in self.base and oid in self.seen.before:
                return self.seen.before[oid].full
        return None

    def _is_new(self, name: str) -> bool:
        return any(r.name == name and oid not in self.seen.before for oid, r in self.seen.after.items())


def _new_files(one: Seen, base: frozenset[int]) -> Iterator[str]:
    """Tables whose rows are in another file than before the transaction, where this statement can have done it."""
    kind = one.statement.node.WhichOneof("node")
    if not (kind in _NEW_FILE or _moves(one.statement)) or one.error:
        return
    named = {var.relname for var in postgast.find_nodes(one.statement.node, pb.RangeVar)}
    for oid, relation in one.before.items():
        later: Relation | None = one.after.get(oid)
        moved = later is not None and relation.kind in _TABLES and later.file != relation.file
        if moved and oid in base and (relation.name in named or not named or kind == "truncate_stmt"):
            yield relation.full


def _moves(statement: Statement) -> bool:
    commands = statement.node.alter_table_stmt.cmds
    return any(command.alter_table_cmd.subtype == pb.AT_SetTableSpace for command in commands)


# --- clients ---


def _stall(window: Window, clients: Sequence[Client]) -> float | None:
    """The longest that a question was open while the statement's window was."""
    if not clients:
        return None
    start, end = window.seen.started, window.closed
    parts = (_within(sample, start, end) for client in clients for sample in client.samples)
    return max(parts, default=0.0)


def _within(sample: Sample, start: float, end: float) -> float:
    return max(0.0, min(sample.end, end) - max(sample.start, start))


def longest_wait(one: Seen, clients: Sequence[Client], start: float, end: float) -> tuple[float, str | None]:
    """Of the questions seen waiting for a lock during a statement, the longest while its transaction was open."""
    longest: tuple[float, str | None] = (0.0, None)
    for client in clients:
        moments = [moment for moment, pids in one.look.waits if pids & client.pids]
        for sample in client.samples if moments else ():
            waited = [moment for moment in moments if sample.start <= moment <= sample.end]
            part = _within(sample, start, end) if waited else 0.0
            if part > longest[0]:
                longest = (part, str(client.script.table))
    return longest


def _migration_waited(one: Seen) -> float:
    """How long the migration itself waited for a lock."""
    moments = [moment for moment, pids in one.look.waits if one.pid in pids]
    return moments[-1] - moments[0] + INTERVAL if moments else 0.0


def latency(
    clients: Sequence[Client], origin: float, seconds: float, buckets: int = 400
) -> tuple[tuple[float, float, bool], ...]:
    """The slowest question of readers and of writers in each stretch of time, for drawing."""
    slowest: dict[tuple[int, bool], tuple[float, float, bool]] = {}
    for client in clients:
        writer = client.script.role == "writer"
        for sample in client.samples:
            start = sample.start - origin
            if -0.5 < start < seconds + 0.5:
                key = (int(start / max(seconds, 0.001) * buckets), writer)
                if key not in slowest or sample.seconds > slowest[key][1]:
                    slowest[key] = (start, sample.seconds, writer)
    return tuple(slowest[key] for key in sorted(slowest))
