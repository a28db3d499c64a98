"""Results that were kept, in a table of the store; written only where somebody asked for it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from data_platform.postgres.pipelines.relations import create_schema
from data_platform.postgres.pipelines.sessions import writing
from data_platform.postgres.quality.asking import Session
from data_platform.sql.text import identifier, phrase, qualified

_TABLE = """
CREATE TABLE IF NOT EXISTS {schema}.results (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    spec text NOT NULL,
    "check" text NOT NULL,
    at timestamptz NOT NULL DEFAULT now(),
    state text NOT NULL,
    failing bigint,
    rows bigint,
    measured double precision
);
CREATE INDEX IF NOT EXISTS results_check_at_idx ON {schema}.results (spec, "check", at);
"""
LOOKED_BACK = 10
"""Results kept before that a new one is compared with."""


@dataclass(frozen=True)
class Kept:
    """One result to keep."""

    check: str
    state: str
    failing: int | None
    rows: int | None
    measured: float | None


def measured_before(session: Session, schema: str, spec: str) -> Mapping[str, tuple[float, ...]]:
    """By check what was measured in the last runs, the newest first; nothing where nothing was ever kept."""
    row = session.execute("SELECT to_regclass(%s)", [qualified(schema, "results")]).fetchone()
    if row is None or row[0] is None:
        return {}
    query = phrase(
        'SELECT h."check", h.measured FROM (SELECT "check", measured, id, row_number() OVER (PARTITION BY "check"'
        " ORDER BY id DESC) AS n FROM {schema}.results WHERE spec = %s AND measured IS NOT NULL"
        " AND state <> 'failed') h WHERE h.n <= %s ORDER BY h.id DESC",
        schema=identifier(schema),
    )
    found: dict[str, list[float]] = {}
    for check, measured in session.execute(query.encode(), [spec, LOOKED_BACK]):
        found.setdefault(check, []).append(measured)
    return {check: tuple(values) for check, values in found.items()}


def keep(conninfo: str, schema: str, spec: str, results: Sequence[Kept]) -> None:
    """Add these results, in a table that is made where it is not there."""
    with writing(conninfo) as session, session.transaction():
        create_schema(session, schema)
        session.execute(phrase(_TABLE, schema=identifier(schema)).encode())
        insert = phrase(
            'INSERT INTO {schema}.results (spec, "check", state, failing, rows, measured)'
            " VALUES (%s, %s, %s, %s, %s, %s)",
            schema=identifier(schema),
        )
        with session.cursor() as cursor:
            cursor.executemany(
                insert.encode(),
                [(spec, one.check, one.state, one.failing, one.rows, one.measured) for one in results],
            )
