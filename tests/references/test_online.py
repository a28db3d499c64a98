"""What the migration patterns show right keeps no client out while it works: asked of what `migration prove` sees.

Each right block of a page runs under watch, after those before it. No statement may rewrite or read a table that was
there before, or change many rows of it, under a lock that keeps clients out. What cannot be otherwise says so here.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from data_platform.migration.files import Statement, read_bytes
from data_platform.migration.prove import run
from data_platform.migration.prove.observe import results
from data_platform.migration.prove.result import Filled, Proof, StatementResult
from data_platform.migration.prove.session import open_session
from data_platform.migration.prove.verdict import Hold, holds
from data_platform.migration.prove.watch import Relation, Watch
from data_platform.postgres.connect import connect
from data_platform.postgres.scratch import Database
from data_platform.postgres.server import Server

from .blocks import Block, block, read_blocks

PAGES = sorted((Path(__file__).parents[2] / "references").glob("migration-patterns*.md"))
NO_OTHER_WAY = {"An exclusion constraint has no online form": ["reads all of the table"]}
ROWS = 100
"""Of every table: enough that a statement over all of them counts as long work."""


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.name)
def test_right_blocks_are_online(server: Server, path: Path) -> None:
    with server.scratch_database() as made:
        database = _as_admin(made)
        for one in read_blocks(path):
            if not one.wrong:
                found = [hold.work for hold in _held(database, one)]
                assert found == NO_OTHER_WAY.get(one.heading, []), one.name


@pytest.mark.parametrize(
    ("text", "work"),
    [
        ("ALTER TABLE t ALTER COLUMN a TYPE bigint", "rewrites the table"),
        ("CREATE INDEX ON t (a)", "reads all of the table"),
        ("BEGIN; ALTER TABLE t ADD COLUMN b int; UPDATE t SET b = 1; COMMIT", "changes 100 rows"),
    ],
)
def test_what_is_not_online_is_seen(database: Database, text: str, work: str) -> None:
    database = _as_admin(database)
    _run(database, "CREATE TABLE t (a int); INSERT INTO t SELECT generate_series(1, 100)")
    assert [hold.work for hold in _held(database, block(Path("x.md"), 1, "", text))] == [work]


def _held(database: Database, shown: Block) -> Iterator[Hold]:
    text = ";\n".join(step.text for step in shown.steps if step.key == "sql")
    statements = read_bytes(shown.name, text.encode(), "as-written").statements
    if any(step.key == "as" for step in shown.steps) or "CREATE ROLE" in text:
        return  # roles are the whole server's, and no matter of locks
    seen, there = _watched(database, statements)
    filled = tuple(Filled(table=name.full, rows=ROWS, wanted=ROWS) for name in there)
    proof = Proof(server="", server_version="", statements=seen, filled=filled)
    for one in seen:
        assert one.error is None, f"{shown.name}: {one.sql}: {one.error}"
        yield from holds(one, proof)


def _as_admin(database: Database) -> Database:
    """Blocks make extensions, as the reader of a page would."""
    return Database(database.name, database.admin_conninfo, database.admin_conninfo)


def _run(database: Database, text: str) -> None:
    with connect(database.conninfo, read_only=False) as connection:
        connection.execute(text.encode())


def _watched(
    database: Database, statements: tuple[Statement, ...]
) -> tuple[tuple[StatementResult, ...], tuple[Relation, ...]]:
    """The results, and the tables that were there before."""
    with connect(database.conninfo, read_only=False) as looking, open_session(database) as session:
        watch = Watch(looking, None, session.pid)
        before = watch.relations()
        runner = run.Runner(session, watch, retries=0)
        runner.run(statements)
        there = tuple(one for one in before.values() if one.kind in ("table", "partitioned table"))
        return results(statements, runner.seen, (), [one.oid for one in there]), there
