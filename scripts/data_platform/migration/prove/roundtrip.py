"""Up, down and up again on a copy with a few rows: does down bring back what was there, does up still go through."""

from __future__ import annotations

from collections.abc import Sequence

from data_platform.migration.files import Statement
from data_platform.migration.prove import run, state
from data_platform.migration.prove.copies import Copies
from data_platform.migration.prove.result import RoundTrip
from data_platform.migration.prove.session import open_session
from data_platform.migration.prove.watch import Blind
from data_platform.model.differences import differences
from data_platform.postgres.connect import connect
from data_platform.postgres.scratch import Database


def round_trip(
    copies: Copies, source: Database, up: Sequence[Statement], down: Sequence[Statement]
) -> RoundTrip:
    """On a copy of `source`, which has rows."""
    with copies.copy(source) as copy:
        before = _captured(copy)
        failed = apply(copy, up)
        if failed:
            return RoundTrip(tried=True, error=f"up fails at {failed}")
        upper = _captured(copy)
        failed = apply(copy, down)
        if failed:
            return RoundTrip(tried=True, reversible=False, error=f"down fails at {failed}")
        back = _captured(copy)
        lost = state.changed(before.rows, back.rows)
        schema = differences(before.database, back.database)
        again = apply(copy, up)
        if again is None and not differences(upper.database, _captured(copy).database).equal:
            again = "the second up makes another schema than the first"
    return RoundTrip(
        tried=True,
        reversible=schema.equal and not lost,
        differences=schema,
        lost=lost,
        again=again,
    )


def apply(database: Database, statements: Sequence[Statement]) -> str | None:
    """Run statements as a tool would, up to the first that fails; where that is, and what the server said."""
    with open_session(database) as session:
        runner = run.Runner(session, Blind(), retries=0)
        for group in run.groups(statements):
            for seen in runner.run_group(group):
                if seen.error:
                    place = f"{seen.statement.file}:{seen.statement.line}"
                    return f"{place}: {seen.error.sqlstate} {seen.error.message}"
    return None


def _captured(database: Database) -> state.State:
    with connect(database.conninfo, read_only=True) as connection:
        return state.capture(connection)
