"""The migration without clients: on empty tables to see what it touches, then on a few rows to see which it takes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import postgast
from postgast import pg_query_pb2 as pb

from data_platform.migration.files import Statement
from data_platform.migration.prove import conform, run, state
from data_platform.migration.prove.copies import Copies
from data_platform.migration.prove.hold_up import HoldUp
from data_platform.migration.prove.result import Filled, Lock, Lost, ServerError
from data_platform.migration.prove.rows import Wish, fill
from data_platform.migration.prove.session import open_session
from data_platform.migration.prove.watch import Blind, Held, Relation, Watch
from data_platform.model.database import Database as Model
from data_platform.model.database import Name
from data_platform.postgres.catalog import read
from data_platform.postgres.connect import connect
from data_platform.postgres.filling import partition_constraint
from data_platform.postgres.scratch import Database
from data_platform.sql.text import qualified

FEW = 500
"""Rows of a table in rehearsals, in up and down, and for kills."""


@dataclass(frozen=True)
class Touched:
    """What the migration does on empty tables: relations that a statement locks or names, and the schema it makes."""

    relations: Mapping[int, frozenset[Name]]
    after: Model
    stubs: tuple[str, ...]
    errors: Mapping[int, ServerError]
    asked: Mapping[int, tuple[Lock, ...]]
    """Locks that statements outside transactions asked for."""
    bounds: Mapping[Name, str]
    """Of tables that become partitions: what holds for their rows then."""

    @property
    def all(self) -> frozenset[Name]:
        return frozenset(name for names in self.relations.values() for name in names)


def touched(copies: Copies, empty: Database, model: Model, statements: Sequence[Statement]) -> Touched:
    """Run it on a copy of the empty schema, which is `model`."""
    alone = {table.name for table in model.tables if table.partition_of is None}
    with copies.copy(empty) as copy:
        with (
            connect(copy.admin_conninfo, read_only=False) as admin,
            connect(copy.admin_conninfo, read_only=False) as looking,
            connect(copy.conninfo, read_only=False) as holder,
            open_session(copy) as session,
        ):
            watch, looker = Watch(admin, None, session.pid), Watch(looking, None, session.pid)
            hold_up = HoldUp(holder, looker)
            runner = run.Runner(session, watch, retries=0, outside=hold_up)
            runner.run(statements)
            asked = {number: named(held, runner.seen) for number, held in hold_up.asked.items()}
            base = _tables(runner.seen)
            stubs = tuple(name for name, is_empty in session.stubs.items() if is_empty)
        with connect(copy.conninfo, read_only=True) as connection:
            after = read(connection)
            bounds = {
                table.name: partition_constraint(connection, table.name)
                for table in after.tables
                if table.partition_of and table.name in alone
            }
    relations = {one.statement.number: _of(one, base) for one in runner.seen}
    errors = {one.statement.number: one.error for one in runner.seen if one.error}
    return Touched(relations, after, stubs, errors, asked, bounds)


def named(held: Held, seen: Sequence[run.Seen]) -> tuple[Lock, ...]:
    """Locks with the names of what they are on."""
    known = {oid: relation for one in seen for oid, relation in one.before.items()}
    return tuple(
        Lock(relation=known[oid].full, mode=mode, kind=known[oid].kind, since=0)
        for oid, mode in sorted(held)
        if oid in known
    )


def _tables(seen: Sequence[run.Seen]) -> Mapping[int, Relation]:
    """Tables and materialized views that were there before the first statement."""
    kinds = ("table", "partitioned table", "materialized view")
    return {oid: r for oid, r in seen[0].before.items() if r.kind in kinds} if seen else {}


def _of(one: run.Seen, base: Mapping[int, Relation]) -> frozenset[Name]:
    locked = {oid for oid, _ in (*one.held, *one.look.held)} & base.keys()
    named = {(var.schemaname, var.relname) for var in postgast.find_nodes(one.statement.node, pb.RangeVar)}
    locked |= {oid for oid, r in base.items() if (r.schema, r.name) in named or ("", r.name) in named}
    return frozenset(Name(base[oid].schema, base[oid].name) for oid in locked)


@dataclass(frozen=True)
class Rehearsed:
    """What came of it on a few rows, with the wish for rows that the migration can take."""

    wish: Wish
    filled: tuple[Filled, ...]
    depends_on_rows: Mapping[int, ServerError]
    """Statements that fail on rows which keep to the old schema alone, and go through on stricter ones."""
    errors: Mapping[int, ServerError]
    lost: tuple[Lost, ...]
    again: str | None
    """What a second run of everything fails with; None where it goes through, or the first does not."""


def rehearse(
    copies: Copies, few: Database, wish: Wish, statements: Sequence[Statement], seen: Touched
) -> Rehearsed:
    """Fill `few`, which has the empty schema, with rows that the migration can take if there are such; run it."""
    filled = _filled(few, wish)
    first = _rehearsed(copies, few, wish, filled, statements)
    ours = {number: error for number, error in first.errors.items() if error.data}
    if not ours:
        return first
    stricter = replace(
        wish,
        database=conform.conformed(wish.database, seen.after, seen.bounds),
        hints={**conform.hints(wish.database, seen.after), **wish.hints},
    )
    with connect(few.conninfo, read_only=False) as connection:
        _emptied(connection, wish)
    filled = _filled(few, stricter)
    second = _rehearsed(copies, few, stricter, filled, statements)
    passed = {number: error for number, error in ours.items() if number not in second.errors}
    if all(one.rows for one in filled if one.wanted) and passed and len(second.errors) < len(first.errors):
        return replace(second, depends_on_rows=passed)
    with connect(few.conninfo, read_only=False) as connection:
        _emptied(connection, wish)
    _filled(few, wish)
    return first


def _emptied(connection: state.Connection, wish: Wish) -> None:
    names = ", ".join(qualified(name.schema, name.name) for name in sorted(wish.rows))
    connection.execute(f"TRUNCATE {names} RESTART IDENTITY CASCADE".encode())


def _filled(database: Database, wish: Wish) -> tuple[Filled, ...]:
    with connect(database.conninfo, read_only=False, statement_timeout_ms=0) as connection:
        _, filled = fill(connection, wish.scaled(FEW))
        for view in wish.database.materialized_views:
            connection.execute(
                f"REFRESH MATERIALIZED VIEW {qualified(view.name.schema, view.name.name)}".encode()
            )
    return filled


def _rehearsed(
    copies: Copies, few: Database, wish: Wish, filled: tuple[Filled, ...], statements: Sequence[Statement]
) -> Rehearsed:
    with copies.copy(few) as copy:
        before = _rows(copy)
        errors = _errors(copy, statements)
        lost = state.lost(before, _rows(copy))
        again = None
        if not errors:
            repeated = _errors(copy, statements)
            again = next((f"statement {n}: {e.sqlstate} {e.message}" for n, e in repeated.items()), None)
    return Rehearsed(wish, filled, {}, errors, lost, again)


def _rows(database: Database) -> Mapping[int, state.Rows]:
    # As a superuser, from whom no policy hides a row.
    with connect(database.admin_conninfo, read_only=True) as connection:
        return state.rows(connection)


def _errors(database: Database, statements: Sequence[Statement]) -> dict[int, ServerError]:
    with open_session(database) as session:
        runner = run.Runner(session, Blind(), retries=0)
        runner.run(statements)
        return {one.statement.number: one.error for one in runner.seen if one.error}
