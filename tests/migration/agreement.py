"""One schema with rows, on which prove is asked about the statements that lint was asked about."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from postgast import pg_query_pb2 as pb

from data_platform.migration.files import Statement
from data_platform.migration.lint.lint import Linted
from data_platform.migration.prove import observe, run, state
from data_platform.migration.prove.copies import Copies
from data_platform.migration.prove.result import MODES, Filled, Lock, Proof, StatementResult
from data_platform.migration.prove.session import open_session
from data_platform.migration.prove.verdict import holds
from data_platform.migration.prove.watch import Watch
from data_platform.postgres.connect import connect
from data_platform.postgres.scratch import Database
from data_platform.postgres.server import Server
from data_platform.report.finding import Finding

WORK = frozenset(
    {
        "access-exclusive-long",
        "add-column-volatile-default",
        "check-not-valid-missing",
        "column-type-change",
        "exclude-constraint-blocking",
        "fk-not-valid-missing",
        "index-not-concurrent",
        "set-not-null-scan",
        "table-rewrite",
        "unique-constraint-blocking",
    }
)
"""Rules about work on rows that keeps clients out."""


@dataclass(frozen=True)
class Ground:
    """A filled database that every trial copies; `before` are its rows."""

    copies: Copies
    source: Database
    filled: tuple[Filled, ...]
    before: Mapping[int, state.Rows]

    def tried(self, statements: Sequence[Statement]) -> Proof:
        """What prove sees of the statements: without clients, kills or a second size."""
        with (
            self.copies.copy(self.source) as database,
            connect(database.admin_conninfo, read_only=False) as admin,
            open_session(database) as session,
        ):
            watch = Watch(admin, None, session.pid)
            base = [oid for oid, relation in watch.relations().items() if relation.kind != "index"]
            runner = run.Runner(session, watch, retries=0)
            runner.run(statements)
            with connect(database.conninfo, read_only=True) as reader:
                after = state.rows(reader)
        return Proof(
            server="",
            server_version="18",
            statements=observe.results(statements, runner.seen, (), base),
            filled=self.filled,
            lost=state.lost(self.before, after),
        )


def kept_out(proof: Proof) -> list[str]:
    """Work on rows that keeps clients out."""
    return [f"{one.index}: {hold.work}" for one in proof.statements for hold in holds(one, proof)]


def refusals(proof: Proof) -> set[str]:
    """What the server refused statements with."""
    return {one.error.sqlstate for one in proof.statements if one.error}


def blocking(one: StatementResult) -> list[Lock]:
    """The locks on tables that a statement itself took, and that keep clients out."""
    return [
        lock
        for lock in one.locks
        if lock.kind != "index" and lock.since == one.index and lock.strength >= MODES.index("SHARE")
    ]


def contradictions(linted: Linted, proof: Proof) -> list[str]:
    """Transactions in which the one tells of work that keeps clients out, and the other does not.

    What runs after a failure is not compared, nor that nobody saw what lint has only assumed.
    """
    failed = min((one.index for one in proof.statements if one.error), default=None)
    ran = [one for one in linted.script.statements if failed is None or one.number < failed]
    told = [
        one
        for one in linted.findings
        if one.severity != "info" and one.rule in WORK and not _short(linted, one)
    ]
    certain = _transactions(ran, {one.statement for one in told if one.evidence == "parsed"})
    possible = _transactions(ran, {one.statement for one in told})
    seen = _transactions(ran, {one.index for one in proof.statements if holds(one, proof)})
    return [
        *(f"only lint tells of {each}" for each in sorted(certain - seen)),
        *(f"only prove sees {each}" for each in sorted(seen - possible)),
    ]


def _short(linted: Linted, found: Finding) -> bool:
    """Whether it is about a lock that is short, unless somebody is in the way."""
    node = linted.script.statements[(found.statement or 1) - 1].node
    commands = [item.alter_table_cmd.subtype for item in node.alter_table_stmt.cmds]
    return node.HasField("drop_stmt") or commands == [pb.AT_DetachPartition]


def _transactions(statements: Sequence[Statement], numbers: Collection[int | None]) -> set[str]:
    """What statements commit with: their transaction, or themselves."""
    return {
        f"statement {one.number}" if one.transaction is None else f"transaction {one.transaction}"
        for one in statements
        if one.number in numbers
    }


@contextmanager
def ground(server: Server, schema: str, rows: str) -> Iterator[Ground]:
    """The schema with these rows."""
    copies = Copies(server.conninfo, server.version_num, disposable=False)
    with server.scratch_database() as source:
        with connect(source.conninfo, read_only=False) as owner:
            owner.execute(schema.encode())
            owner.execute(rows.encode())
            before = state.rows(owner)
        filled = tuple(
            Filled(table=table.name, rows=table.count, wanted=table.count, note=None)
            for table in before.values()
        )
        yield Ground(copies, source, filled, before)
