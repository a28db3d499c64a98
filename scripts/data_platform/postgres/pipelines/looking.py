"""What runs left in a target, read only: the last runs, and what is in quarantine."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from data_platform.model.database import Name
from data_platform.postgres.connect import connect
from data_platform.postgres.pipelines.relations import read_relation, seems_empty, table_name
from data_platform.postgres.pipelines.sessions import telling
from data_platform.postgres.pipelines.state import Counts, State
from data_platform.sql.text import Sql, phrase

_RUNS = """
SELECT id, started_at, finished_at, CASE WHEN status = 'running' AND NOT {going} THEN 'stopped' ELSE status END, error,
       {kind}, rows_read, rows_inserted, rows_updated, rows_deleted, rows_unchanged, rows_quarantined
  FROM {runs} WHERE pipeline = %s ORDER BY id DESC LIMIT %s
"""
_GOING = """
EXISTS (SELECT FROM pg_locks WHERE locktype = 'advisory' AND objsubid = 1
  AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
  AND (classid::bigint << 32 | objid::bigint) = hashtextextended({name}, 0))
"""
_QUARANTINE = """
SELECT source, unnest(reasons) AS reason, count(*), min(at), (array_agg(content ORDER BY id))[1:3]
  FROM {quarantine} WHERE pipeline = %s AND replayed_at IS NULL GROUP BY 1, 2 ORDER BY 3 DESC, 1, 2 LIMIT 50
"""
_HELD = "SELECT count(*) FROM {quarantine} WHERE pipeline = %s AND replayed_at IS NULL"
_LAST_GOOD = """
SELECT max(finished_at), clock_timestamp() FROM {runs} WHERE pipeline = %s AND status = 'done' AND {kind} = 'run'
"""


@dataclass(frozen=True)
class Run:
    """One run, as it was written down. `stopped` is one whose process was killed; a `replay` is of quarantine."""

    id: int
    started_at: datetime
    finished_at: datetime | None
    status: str
    error: str | None
    kind: str
    counts: Counts


@dataclass(frozen=True)
class Held:
    """Rows in quarantine for one reason, with up to three of them."""

    source: str
    reason: str
    rows: int
    since: datetime
    samples: tuple[Any, ...]


@dataclass(frozen=True)
class Seen:
    """What is there. `age_seconds` is that of the last good run; None where there was none.

    `rows_held` are the rows in quarantine, of which one may be in several of `held`, the commonest reasons.
    `gone` and `emptied` are those of the targets that the last run left with rows.
    """

    runs: tuple[Run, ...]
    held: tuple[Held, ...]
    age_seconds: float | None
    rows_held: int = 0
    gone: tuple[str, ...] = ()
    emptied: tuple[str, ...] = ()


def look(conninfo: str, schema: str, pipeline: str, targets: Sequence[Name] = (), *, runs: int = 10) -> Seen:
    """What the pipeline's runs left in this database, and whether its targets hold it still."""
    with connect(conninfo, read_only=True) as connection, telling(conninfo):
        state = State(connection, schema, pipeline)
        if not state.exists():
            return Seen((), (), None)
        going = phrase(_GOING, name=state.lock_name)
        kind = Sql("kind" if state.knows_kinds() else "'run'")
        query = phrase(_RUNS, going=going, kind=kind, runs=state.table("runs"))
        rows = connection.execute(query.encode(), [pipeline, runs]).fetchall()
        quarantine = state.table("quarantine")
        held = connection.execute(phrase(_QUARANTINE, quarantine=quarantine).encode(), [pipeline]).fetchall()
        rows_held = connection.execute(phrase(_HELD, quarantine=quarantine).encode(), [pipeline]).fetchone()
        last = connection.execute(
            phrase(_LAST_GOOD, kind=kind, runs=state.table("runs")).encode(), [pipeline]
        ).fetchone()
        assert last is not None
        assert rows_held is not None
        filled = state.left_filled()
        names = {str(one): table_name(one) for one in targets if str(one) in filled}
        gone = tuple(name for name, table in names.items() if read_relation(connection, table) is None)
        return Seen(
            runs=tuple(_run(*row) for row in rows),
            held=tuple(_held(*row) for row in held),
            age_seconds=(last[1] - last[0]).total_seconds() if last[0] else None,
            rows_held=rows_held[0],
            gone=gone,
            emptied=tuple(
                n for n, table in names.items() if n not in gone and seems_empty(connection, table)
            ),
        )


def _run(
    id_: int,
    started: datetime,
    finished: datetime | None,
    status: str,
    error: str | None,
    kind: str,
    *counts: int,
) -> Run:
    return Run(id_, started, finished, status, error, kind, Counts(*counts))


def _held(source: str, reason: str, rows: int, since: datetime, samples: list[Any]) -> Held:
    return Held(source, reason, rows, since, tuple(samples))
