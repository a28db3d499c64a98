"""What a database with vectors says of itself: versions, settings, indexes, tables, and a sample of the vectors.

Reads only; samples are bounded.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import psycopg
from numpy.typing import NDArray
from psycopg import sql

from data_platform.errors import UsageProblem
from data_platform.model.database import Name

SAMPLE = 2_000
_MOST_NUMBERS = 50_000_000
"""Of all sampled vectors of a column."""
_AHEAD = 128
"""Pages by which COPY may have made a table longer than it needed: 64 at a time."""
PARTS = 8
"""Places of a table that are sampled, in the order of its pages: where it grows, from the oldest to the newest."""


@dataclass(frozen=True)
class VectorIndex:
    """An index of pgvector. `key` is what is indexed, as SQL; `type` that of the key."""

    name: Name
    table: Name
    method: str
    key: str
    type: str
    operator: str
    options: tuple[str, ...]
    valid: bool
    size_bytes: int
    scans: int
    predicate: str | None
    columns: tuple[str, ...]
    """Columns of vectors that the key is made of."""

    def option(self, name: str, otherwise: int) -> int:
        """Of WITH (…)."""
        found = dict(one.partition("=")[::2] for one in self.options)
        return int(found.get(name, otherwise))


@dataclass(frozen=True)
class VectorColumn:
    """A column of vectors with what a sample of it holds: lengths, dimensions, and the vectors by their place."""

    table: Name
    column: str
    type: str
    dimensions: int | None
    """Of the column's type; None where it has any."""
    rows: int
    table_bytes: int
    live: int
    dead: int
    updates: int
    hot_updates: int
    sampled: int
    lengths: NDArray[np.float64]
    sizes: tuple[int, ...]
    """Dimensions that occur."""
    non_zero: int
    """Numbers of a vector that are not zero, on average."""
    parts: tuple[NDArray[np.float64], ...]
    """The sample, a part for each place; empty where dimensions differ."""

    @property
    def compared(self) -> int:
        """Numbers of a row that a search compares."""
        width = self.dimensions or (self.sizes[0] if self.sizes else 0)
        return self.non_zero if self.type == "sparsevec" else width


@dataclass(frozen=True)
class Asked:
    """A statement of pg_stat_statements that orders by a distance, or that writes vectors."""

    text: str
    calls: int
    mean_ms: float


@dataclass(frozen=True)
class Facts:
    """Everything."""

    server: str
    version: str
    available: str
    maintenance_work_mem: int
    shared_buffers: int
    ef_search: int
    iterative: bool
    indexes: tuple[VectorIndex, ...]
    columns: tuple[VectorColumn, ...]
    asked: tuple[Asked, ...] | None
    """None where pg_stat_statements is not there."""


_INDEXES = """
SELECT n.nspname, i.relname, tn.nspname, t.relname, am.amname, pg_get_indexdef(x.indexrelid, 1, false),
       format_type(a.atttypid, a.atttypmod), o.opcname, coalesce(i.reloptions, '{}'), x.indisvalid,
       pg_relation_size(i.oid), coalesce(s.idx_scan, 0), pg_get_expr(x.indpred, x.indrelid),
       ARRAY(SELECT DISTINCT ca.attname::text FROM pg_depend d
               JOIN pg_attribute ca ON ca.attrelid = d.refobjid AND ca.attnum = d.refobjsubid
               JOIN pg_type ct ON ct.oid = ca.atttypid
              WHERE d.classid = 'pg_class'::regclass AND d.objid = i.oid AND d.refclassid = 'pg_class'::regclass
                AND d.refobjid = t.oid AND ct.typname IN ('vector', 'halfvec', 'sparsevec'))
  FROM pg_index x JOIN pg_class i ON i.oid = x.indexrelid JOIN pg_am am ON am.oid = i.relam
  JOIN pg_namespace n ON n.oid = i.relnamespace JOIN pg_class t ON t.oid = x.indrelid
  JOIN pg_namespace tn ON tn.oid = t.relnamespace JOIN pg_attribute a ON a.attrelid = i.oid AND a.attnum = 1
  JOIN pg_opclass o ON o.oid = x.indclass[0] LEFT JOIN pg_stat_user_indexes s ON s.indexrelid = i.oid
 WHERE am.amname IN ('hnsw', 'ivfflat') ORDER BY 3, 4, 2
"""
_OPERATOR = """
SELECT oprname FROM pg_amop JOIN pg_operator o ON o.oid = amopopr JOIN pg_opclass c ON c.opcfamily = amopfamily
 WHERE amoppurpose = 'o' AND c.opcname = %s LIMIT 1
"""
_COLUMNS = """
SELECT n.nspname, c.relname, a.attname, t.typname, NULLIF(a.atttypmod, -1), greatest(c.reltuples, 0)::bigint,
       pg_table_size(c.oid), coalesce(s.n_live_tup, 0), coalesce(s.n_dead_tup, 0), coalesce(s.n_tup_upd, 0),
       coalesce(s.n_tup_hot_upd, 0)
  FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid JOIN pg_namespace n ON n.oid = c.relnamespace
  JOIN pg_type t ON t.oid = a.atttypid LEFT JOIN pg_stat_user_tables s ON s.relid = c.oid
 WHERE c.relkind IN ('r', 'm', 'p') AND NOT a.attisdropped AND a.attnum > 0
   AND t.typname IN ('vector', 'halfvec', 'sparsevec')
   AND has_schema_privilege(n.oid, 'USAGE') AND has_table_privilege(c.oid, 'SELECT')
 ORDER BY 1, 2, 3
"""
_ASKED = """
SELECT query, calls, mean_exec_time FROM pg_stat_statements
 WHERE dbid = (SELECT oid FROM pg_database WHERE datname = current_database())
   AND query ~ '<=>|<->|<#>|<~>|vector' AND query !~ 'pg_stat_statements'
 ORDER BY total_exec_time DESC LIMIT 200
"""


def facts(connection: psycopg.Connection[Any], schema: str | None = None) -> Facts:
    """Of the whole database or one schema. UsageProblem without pgvector."""
    row = connection.execute("SELECT extversion FROM pg_extension WHERE extname = 'vector'").fetchone()
    if row is None:
        raise UsageProblem("the database has no pgvector", try_="CREATE EXTENSION vector")
    connection.execute("SELECT '[1]'::vector")  # loads it, so that its settings can be read
    available = connection.execute(
        "SELECT coalesce(default_version, '') FROM pg_available_extensions WHERE name = 'vector'"
    ).fetchone()
    indexes = tuple(_index(connection, one) for one in connection.execute(_INDEXES).fetchall())
    columns = connection.execute(_COLUMNS).fetchall()
    return Facts(
        server=connection.info.parameter_status("server_version") or "",
        version=str(row[0]),
        available=str(available[0]) if available else "",
        maintenance_work_mem=_bytes(connection, "maintenance_work_mem"),
        shared_buffers=_bytes(connection, "shared_buffers"),
        ef_search=int(_setting(connection, "hnsw.ef_search") or 40),
        iterative=(_setting(connection, "hnsw.iterative_scan") or "off") != "off",
        indexes=tuple(one for one in indexes if schema in (None, one.table.schema)),
        columns=tuple(_column(connection, one) for one in columns if schema in (None, one[0])),
        asked=_asked(connection),
    )


def _setting(connection: psycopg.Connection[Any], name: str) -> str | None:
    row = connection.execute("SELECT current_setting(%s, true)", [name]).fetchone()
    return str(row[0]) if row and row[0] is not None else None


def _bytes(connection: psycopg.Connection[Any], name: str) -> int:
    row = connection.execute("SELECT pg_size_bytes(current_setting(%s))", [name]).fetchone()
    return int(row[0]) if row else 0


def _index(connection: psycopg.Connection[Any], row: Sequence[Any]) -> VectorIndex:
    operator = connection.execute(_OPERATOR, [row[7]]).fetchone()
    return VectorIndex(
        name=Name(row[0], row[1]),
        table=Name(row[2], row[3]),
        method=row[4],
        key=row[5],
        type=row[6],
        operator=str(operator[0]) if operator else "",
        options=tuple(row[8]),
        valid=row[9],
        size_bytes=row[10],
        scans=row[11],
        predicate=row[12],
        columns=tuple(row[13]),
    )


def _column(connection: psycopg.Connection[Any], row: Sequence[Any]) -> VectorColumn:
    table, column = Name(row[0], row[1]), row[2]
    parts = _sample(connection, table, column, row[4])
    every = [one for part in parts for one in part]
    lengths = np.array([float(np.linalg.norm(one)) for one in every])
    sizes = tuple(sorted({len(one) for one in every}))
    return VectorColumn(
        table=table,
        column=column,
        type=row[3],
        dimensions=row[4],
        rows=row[5],
        table_bytes=row[6],
        live=row[7],
        dead=row[8],
        updates=row[9],
        hot_updates=row[10],
        sampled=len(every),
        lengths=lengths,
        sizes=sizes,
        non_zero=round(float(np.mean([np.count_nonzero(one) for one in every]))) if every else 0,
        parts=tuple(np.array(part) for part in parts if part) if len(sizes) == 1 else (),
    )


def _sample(
    connection: psycopg.Connection[Any], table: Name, column: str, dimensions: int | None
) -> list[list[NDArray[np.float64]]]:
    """All rows of a small table in parts, else rows from the pages at places all over it, the last pages among them;
    of wide vectors fewer.
    """
    sample = max(PARTS, min(SAMPLE, _MOST_NUMBERS // (dimensions or 1)))
    name = sql.Identifier(table.schema, table.name)
    row = connection.execute(
        "SELECT pg_relation_size(oid) / current_setting('block_size')::int, reltuples FROM pg_class"
        " WHERE oid = %s::regclass",
        [name.as_string(connection)],
    ).fetchone()
    pages, rows = (int(row[0]), float(row[1])) if row else (0, 0.0)
    query = sql.SQL("SELECT {0}::text FROM {1} WHERE {0} IS NOT NULL{2} LIMIT %s")
    if pages < 4 * PARTS or rows < 2 * sample:
        found = connection.execute(
            query.format(sql.Identifier(column), name, sql.SQL("")), [sample]
        ).fetchall()
        each = -(-len(found) // PARTS) or 1
        return [[_parsed(one[0]) for one in found[at : at + each]] for at in range(0, len(found), each)]
    forth, back = (
        query.format(
            sql.Identifier(column),
            name,
            sql.SQL(f" AND ctid >= %s::tid AND ctid < %s::tid ORDER BY ctid {way}"),
        )
        for way in ("ASC", "DESC")
    )
    wanted = sample // PARTS
    # Some more than a part takes: dead rows and NULLs lie between.
    window = min(pages // PARTS, round(1.5 * wanted * pages / rows) + 1)
    *places, last = np.linspace(0, pages - window, PARTS).astype(int)
    parts = [
        connection.execute(forth, [f"({at},0)", f"({at + window},0)", wanted]).fetchall() for at in places
    ]
    # A load makes the file longer than its rows: the last of them lie before the last pages.
    end = [f"({max(0, last - _AHEAD)},0)", f"({pages},0)", wanted]
    parts.append(connection.execute(back, end).fetchall()[::-1])
    return [[_parsed(one[0]) for one in part] for part in parts]


def _parsed(text: str) -> NDArray[np.float64]:
    if not text.startswith("{"):
        return np.fromstring(text[1:-1], sep=",", dtype=np.float64)
    numbers, _, width = text[1:].partition("}/")  # a sparsevec, whose places begin with 1
    found = np.zeros(int(width), dtype=np.float64)
    for one in filter(None, numbers.split(",")):
        place, _, value = one.partition(":")
        found[int(place) - 1] = float(value)
    return found


def _asked(connection: psycopg.Connection[Any]) -> tuple[Asked, ...] | None:
    try:
        rows = connection.execute(_ASKED).fetchall()
    except psycopg.Error:
        return None
    return tuple(Asked(text, calls, mean) for text, calls, mean in rows)


def explained(
    connection: psycopg.Connection[Any], query: str, settings: Mapping[str, str] | None = None
) -> dict[str, Any]:
    """The plan of a query under these settings, which is not run; parameters are unknown. UsageProblem for what the
    server does not plan.
    """
    try:
        with connection.transaction():
            for name, value in (settings or {}).items():
                connection.execute("SELECT set_config(%s, %s, true)", [name, value])
            row = connection.execute(f"EXPLAIN (GENERIC_PLAN, FORMAT JSON) {query}".encode()).fetchone()
    except psycopg.Error as error:
        raise UsageProblem(
            f"the server does not plan it: {error.diag.message_primary}", where=query[:80]
        ) from None
    plan: dict[str, Any] = row[0][0]["Plan"] if row else {}
    return plan
