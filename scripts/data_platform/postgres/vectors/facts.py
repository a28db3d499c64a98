"""What a database with vectors says of itself: versions, settings, indexes, tables, and a sample of the vectors.

Reads only; samples are bounded.
"""

from __future__ import annotations

from collections.abc import Sequence
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

    def option(self, name: str, otherwise: int) -> int:
        """Of WITH (…)."""
        found = dict(one.partition("=")[::2] for one in self.options)
        return int(found.get(name, otherwise))


@dataclass(frozen=True)
class VectorColumn:
    """A column of vectors with what a sample of it holds: lengths, dimensions, middles of older and newer rows."""

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
    halves: float | None
    """Cosine between the mean of the first and of the last rows of the table; None for too few."""
    within: float | None
    """The same between two halves of each of the two, drawn at random: what it is where nothing changed."""

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
    registered: tuple[tuple[str, str, str], ...] = ()
    """(table, model, fingerprint) of the registry of our stores."""


_INDEXES = """
SELECT n.nspname, i.relname, tn.nspname, t.relname, am.amname, pg_get_indexdef(x.indexrelid, 1, false),
       format_type(a.atttypid, a.atttypmod), o.opcname, coalesce(i.reloptions, '{}'), x.indisvalid,
       pg_relation_size(i.oid), coalesce(s.idx_scan, 0), pg_get_expr(x.indpred, x.indrelid)
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
   AND has_table_privilege(c.oid, 'SELECT')
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
        registered=_registered(connection),
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
    )


def _column(connection: psycopg.Connection[Any], row: Sequence[Any]) -> VectorColumn:
    table, column = Name(row[0], row[1]), row[2]
    first, last = _sample(connection, table, column, row[4])
    every = [*first, *last]
    lengths = np.array([float(np.linalg.norm(one)) for one in every])
    sizes = tuple(sorted({len(one) for one in every}))
    halves, within = _change(first, last) if len(sizes) == 1 else (None, None)
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
        halves=halves,
        within=within,
    )


def _sample(
    connection: psycopg.Connection[Any], table: Name, column: str, dimensions: int | None
) -> tuple[list[NDArray[np.float64]], list[NDArray[np.float64]]]:
    """Rows of the first pages and of the last: where a table grows, the older and the newer; of wide ones fewer."""
    name = sql.Identifier(table.schema, table.name)
    pages = connection.execute(
        sql.SQL("SELECT pg_relation_size({}::regclass) / 8192").format(
            sql.Literal(name.as_string(connection))
        )
    ).fetchone()
    count = int(pages[0]) if pages else 0
    query = sql.SQL(
        "SELECT {0}::text FROM {1} WHERE {0} IS NOT NULL AND ctid >= %s::tid AND ctid < %s::tid LIMIT %s"
    ).format(sql.Identifier(column), name)
    middle = max(1, count // 2)
    limit = max(1, min(SAMPLE, _MOST_NUMBERS // (dimensions or 1)) // 2)
    early = connection.execute(query, ["(0,0)", f"({middle},0)", limit]).fetchall()
    start = max(middle, count - 4 * limit)
    late = connection.execute(query, [f"({start},0)", f"({count + 1},0)", limit]).fetchall()
    return [_parsed(r[0]) for r in early], [_parsed(r[0]) for r in late]


def _parsed(text: str) -> NDArray[np.float64]:
    if not text.startswith("{"):
        return np.fromstring(text[1:-1], sep=",", dtype=np.float64)
    numbers, _, width = text[1:].partition("}/")  # a sparsevec, whose places begin with 1
    found = np.zeros(int(width), dtype=np.float64)
    for one in filter(None, numbers.split(",")):
        place, _, value = one.partition(":")
        found[int(place) - 1] = float(value)
    return found


def _change(
    first: list[NDArray[np.float64]], last: list[NDArray[np.float64]]
) -> tuple[float | None, float | None]:
    """How alike the means are, between the two and within each."""
    if len(first) < 50 or len(last) < 50:
        return None, None
    early, late = np.array(first), np.array(last)
    within = min(_cosine(half[0::2].mean(axis=0), half[1::2].mean(axis=0)) for half in (early, late))
    return _cosine(early.mean(axis=0), late.mean(axis=0)), within


def _cosine(one: NDArray[np.float64], other: NDArray[np.float64]) -> float:
    lengths = float(np.linalg.norm(one) * np.linalg.norm(other))
    return float(one @ other) / lengths if lengths else 1.0


def _asked(connection: psycopg.Connection[Any]) -> tuple[Asked, ...] | None:
    try:
        rows = connection.execute(_ASKED).fetchall()
    except psycopg.Error:
        return None
    return tuple(Asked(text, calls, mean) for text, calls, mean in rows)


def _registered(connection: psycopg.Connection[Any]) -> tuple[tuple[str, str, str], ...]:
    schemas = connection.execute(
        "SELECT n.nspname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace"
        " JOIN pg_attribute a ON a.attrelid = c.oid AND a.attname = 'fingerprint' WHERE c.relname = 'models'"
    ).fetchall()
    found: list[tuple[str, str, str]] = []
    for (schema,) in schemas:
        query = sql.SQL("SELECT table_name, name, fingerprint FROM {}").format(
            sql.Identifier(schema, "models")
        )
        found += [(f"{schema}.{table}", name, print_) for table, name, print_ in connection.execute(query)]
    return tuple(found)


def explained(connection: psycopg.Connection[Any], query: str) -> dict[str, Any]:
    """The plan of a query, which is not run; parameters are NULL. UsageProblem for what the server does not plan."""
    try:
        row = connection.execute(f"EXPLAIN (GENERIC_PLAN, FORMAT JSON) {query}".encode()).fetchone()
    except psycopg.Error as error:
        raise UsageProblem(
            f"the server does not plan it: {error.diag.message_primary}", where=query[:80]
        ) from None
    plan: dict[str, Any] = row[0][0]["Plan"] if row else {}
    return plan
