"""A migration statement by statement, group by group, under watch: what was seen, before anything is made of it.

A group is what commits together: one statement, or those of a transaction. One that cannot have its lock in time
(lock_timeout) is tried again as a whole, as whoever runs the migration would.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby

from postgast import pg_query_pb2 as pb

from data_platform.migration.files import Statement
from data_platform.migration.prove.result import ServerError
from data_platform.migration.prove.session import NEEDS_NO_TRANSACTION, Answer, Session, runs_apart, sets
from data_platform.migration.prove.watch import Held, Look, Relation, Watch

Progress = Callable[[str, float], None]

LOCK_NOT_AVAILABLE = "55P03"
RETRIES = 10
_PAUSE = 0.2
_DISK_SECONDS = 0.02
_ENDS = (pb.TRANS_STMT_COMMIT, pb.TRANS_STMT_ROLLBACK, pb.TRANS_STMT_PREPARE)
_BEGINS = (pb.TRANS_STMT_BEGIN, pb.TRANS_STMT_START)


@dataclass(frozen=True)
class Group:
    """Statements that commit together. `begun` when the file itself says BEGIN; `alone` for one outside any."""

    statements: tuple[Statement, ...]
    alone: bool
    begun: bool


@dataclass
class Seen:
    """One statement as it ran; times are those of `time.perf_counter`. `until` is when its transaction ended."""

    statement: Statement
    started: float
    ended: float
    until: float
    answer: Answer
    look: Look
    pid: int = 0
    held: Held = frozenset()
    before: Mapping[int, Relation] = field(default_factory=dict)
    after: Mapping[int, Relation] = field(default_factory=dict)
    foreign_keys: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    """The tables that foreign keys are on, where the server said that it validated one."""
    wal: int = 0
    disk: int = 0
    attempts: int = 1
    lock_timeout_s: float = 0.0

    @property
    def error(self) -> ServerError | None:
        return self.answer.error


def groups(statements: Sequence[Statement]) -> Iterator[Group]:
    """The statements as they commit together, in order."""
    for transaction, members in groupby(statements, key=lambda s: (s.file, s.transaction)):
        if transaction[1] is None:
            yield from (Group((statement,), alone=True, begun=False) for statement in members)
        else:
            found = tuple(members)
            yield Group(found, alone=False, begun=_control(found[0]) in _BEGINS)


def _control(statement: Statement) -> int | None:
    node = statement.node
    return node.transaction_stmt.kind if node.HasField("transaction_stmt") else None


@dataclass
class Runner:
    """Runs groups in one session. `before` is called ahead of each group (to start clients, say)."""

    session: Session
    watch: Watch
    retries: int = RETRIES
    before: Callable[[Group], None] = lambda _group: None
    outside: Callable[[Callable[[], Seen]], Seen] = lambda run: run()
    """Runs what can be in no transaction: its locks are gone when it ends, so that some runs look on more closely."""
    seen: list[Seen] = field(default_factory=list)
    _disk: int = 0
    _relations: Mapping[int, Relation] = field(default_factory=dict)

    def run(self, statements: Sequence[Statement], progress: Progress = lambda _what, _share: None) -> None:
        """Everything, in order; a statement that fails ends its group, not the run."""
        self._relations = self.watch.relations()
        for group in groups(statements):
            first = group.statements[0]
            progress(f"running {first.file}:{first.line}", first.number / max(1, len(statements)))
            self.before(group)
            self.run_group(group)

    def run_group(self, group: Group) -> tuple[Seen, ...]:
        """One group, again as long as it fails for want of a lock."""
        if not self._relations:
            self._relations = self.watch.relations()
        for statement in group.statements:
            self.session.prepare(statement)
        for attempt in range(1, self.retries + 2):
            seen = self._once(group)
            for one in seen:
                one.attempts = attempt
            failed = next((one.error for one in seen if one.error), None)
            if failed is None or failed.sqlstate != LOCK_NOT_AVAILABLE or attempt > self.retries:
                break
            time.sleep(_PAUSE)
        if any(sets(statement) for statement in group.statements):
            self.session.note_settings()
        after = self.watch.relations()
        for one in seen:
            one.after = after
            if any(message.startswith("validating") for message in one.answer.messages):
                one.foreign_keys = self.watch.foreign_keys()
        self._relations = after
        self.seen += seen
        return tuple(seen)

    def _once(self, group: Group) -> list[Seen]:
        if group.alone:
            return [self._alone(group.statements[0])]
        seen = self._together(group)
        self._end_transaction()
        until = time.perf_counter()
        for one in seen:
            one.until = max(one.until, until)
        return seen

    def _together(self, group: Group) -> list[Seen]:
        seen: list[Seen] = []
        if not group.begun:
            self.session.execute("BEGIN")
        for statement in group.statements:
            seen.append(self._statement(statement))
            if seen[-1].error:
                return seen
        if not group.begun and self.session.in_transaction:
            started = time.perf_counter()
            refused = self.session.execute("COMMIT")
            seen[-1].answer.error = refused
            seen[-1].ended += time.perf_counter() - started
        return seen

    def _alone(self, statement: Statement) -> Seen:
        """In a transaction of its own, whose locks can be looked at before it commits; or outside any."""
        if statement.node.HasField("vacuum_stmt"):
            return self.outside(lambda: self._statement(statement))
        if not _has_effect_alone(statement):
            return self._statement(statement)
        self.session.execute("BEGIN")
        seen = self._statement(statement)
        if seen.error:
            self._end_transaction()
            if seen.error.sqlstate in NEEDS_NO_TRANSACTION:
                return self.outside(lambda: self._statement(statement))
        else:
            started = time.perf_counter()
            seen.answer.error = self.session.execute("COMMIT")
            seen.ended += time.perf_counter() - started
        seen.until = time.perf_counter()
        return seen

    def _statement(self, statement: Statement) -> Seen:
        wal = self.watch.wal()
        disk = self._disk = self._disk or self.watch.disk()
        self.watch.open()
        started = time.perf_counter()
        answer = self.session.run(statement)
        ended = time.perf_counter()
        look = self.watch.close()
        held = self.watch.held_now() if self.session.in_transaction else frozenset()
        if ended - started > _DISK_SECONDS:  # a server of many files takes long to say how large it is
            self._disk = self.watch.disk()
        largest = max(look.disk, self._disk)
        return Seen(
            statement=statement,
            started=started,
            ended=ended,
            until=ended,
            answer=answer,
            look=look,
            pid=self.session.pid,
            held=held,
            before=self._relations,
            wal=max(0, self.watch.wal() - wal),
            disk=max(0, largest - disk),
            lock_timeout_s=self.session.lock_timeout_s,
        )

    def _end_transaction(self) -> None:
        if self.session.in_transaction:
            self.session.execute("ROLLBACK")


_OUTSIDE = frozenset({"lock_stmt", "declare_cursor_stmt"})


def _has_effect_alone(statement: Statement) -> bool:
    """Whether wrapping it in a transaction of its own leaves it what it is."""
    kind = statement.node.WhichOneof("node")
    return kind not in _OUTSIDE and kind != "transaction_stmt" and not runs_apart(statement)
