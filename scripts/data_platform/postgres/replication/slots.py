"""On the source: what it must allow, publication and slot, the snapshot that a slot begins with, and its lag."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from typing import Any

import psycopg
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from data_platform.errors import EnvironmentProblem, UsageProblem
from data_platform.model.database import Name
from data_platform.postgres.connect import connect, redacted
from data_platform.postgres.pipelines.relations import has_key, refuse_hidden, table_name
from data_platform.postgres.pipelines.sessions import telling
from data_platform.postgres.replication.decoding import lsn_of
from data_platform.sql.text import Sql, identifier, identifiers, joined, literal, phrase

_TEXT_FORM = "-c datestyle=ISO,YMD -c intervalstyle=postgres -c extra_float_digits=1"
"""Values are sent as text, which must read the same on every server."""
_SENDER_TIMEOUT = "-c wal_sender_timeout=600000"
"""A batch that takes its time in the target is no dead client; one that is silent for ten minutes is."""
_PATIENCE_SECONDS = 10.0
"""A killed run's session holds its slot until the server has noticed."""
_SERVER = """
SELECT current_setting('wal_level'), current_user, rolreplication OR rolsuper, current_setting('max_replication_slots'),
       (SELECT system_identifier::text FROM pg_control_system()), pg_is_in_recovery()
  FROM pg_roles WHERE rolname = current_user
"""
_COLUMNS = """
SELECT a.attname, format_type(a.atttypid, a.atttypmod), a.atttypid::bigint, a.atttypmod
  FROM pg_attribute a
 WHERE a.attrelid = to_regclass(%s) AND a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated = '' ORDER BY a.attnum
"""
_IDENTITY = """
SELECT c.oid::bigint, c.relreplident::text, c.relkind::text, c.relpersistence::text,
       (SELECT array_agg(a.attname::text) FROM pg_index i CROSS JOIN unnest(i.indkey::int2[]) k
          JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k
         WHERE i.indrelid = c.oid AND CASE c.relreplident WHEN 'd' THEN i.indisprimary ELSE i.indisreplident END)
  FROM pg_class c WHERE c.oid = to_regclass(%s)
"""
_PUBLICATION = """
SELECT p.pubinsert AND p.pubupdate AND p.pubdelete AND p.pubtruncate, p.pubviaroot
  FROM pg_publication p WHERE p.pubname = %s
"""
_PUBLISHED = """
SELECT schemaname::text, tablename::text, to_jsonb(t) ->> 'rowfilter' FROM pg_publication_tables t WHERE pubname = %s
"""
_ALTERED = """
SELECT string_agg(one, ',' ORDER BY one) FROM (
    SELECT p.oid || ':' || p.xmin FROM pg_publication p WHERE p.pubname = %(name)s
    UNION ALL
    SELECT r.oid || ':' || r.xmin FROM pg_publication_rel r JOIN pg_publication p ON p.oid = r.prpubid
     WHERE p.pubname = %(name)s AND r.prrelid = ANY (%(tables)s::text[]::regclass[])
  ) found (one)
"""
_SLOT = """
SELECT s.plugin::text, s.database::text, s.active, s.wal_status, s.safe_wal_size, s.confirmed_flush_lsn::text,
       (pg_current_wal_lsn() - s.confirmed_flush_lsn)::bigint, (pg_current_wal_lsn() - s.restart_lsn)::bigint,
       s.database = current_database(), current_setting('max_slot_wal_keep_size')
  FROM pg_replication_slots s WHERE s.slot_name = %s
"""


@dataclass(frozen=True)
class Facts:
    """What a source's server is: its system identifier, by which another one is told."""

    system: str


@dataclass(frozen=True)
class Slot:
    """A slot as the server shows it. Bytes; `safe_bytes` is what may still be written before it is lost."""

    plugin: str | None
    database: str | None
    active: bool
    wal_status: str | None
    safe_bytes: int | None
    confirmed: int | None
    lag_bytes: int
    held_bytes: int
    is_ours: bool
    keep_size: str


def source_session(conninfo: str, *, replication: bool = False) -> psycopg.Connection[Any]:
    """A session on the source; with `replication` one that speaks of slots."""
    given = conninfo_to_dict(conninfo)
    options = f"{given.get('options') or ''} {_TEXT_FORM}" + (f" {_SENDER_TIMEOUT}" if replication else "")
    more = {"replication": "database"} if replication else {}
    made = make_conninfo(conninfo, options=options.strip(), **more)
    return connect(made, read_only=False, statement_timeout_ms=0, lock_timeout_ms=30_000)


def check_server(source: psycopg.Connection[Any], where: str) -> Facts:
    """EnvironmentProblem where the server does not write what is needed, or the role may not read it."""
    row = source.execute(_SERVER).fetchone()
    assert row is not None
    wal_level, user, may, _, system, is_standby = row
    if is_standby:
        raise EnvironmentProblem(
            "the source is a standby", where=where, expected="the primary: a publication is made there"
        )
    if wal_level != "logical":
        raise EnvironmentProblem(
            f"the source's wal_level is {wal_level}",
            where=where,
            expected="logical, which takes a restart of the source",
            try_="ALTER SYSTEM SET wal_level = 'logical';  -- then restart it",
        )
    if not may:
        raise EnvironmentProblem(
            f"the role {user} may not read the change stream",
            where=where,
            try_=f"ALTER ROLE {identifier(user)} REPLICATION;  -- as a superuser",
        )
    return Facts(system)


def columns_of(source: psycopg.Connection[Any], table: Name) -> dict[str, tuple[str, int, int]]:
    """Columns as the stream has them: name → type, its oid and modifier. UsageProblem where there is no table."""
    rows = source.execute(_COLUMNS, [table_name(table)]).fetchall()
    if not rows:
        raise UsageProblem(f"there is no table {table}", expected="a table that this role may read")
    return {name: (type_, oid, modifier) for name, type_, oid, modifier in rows}


def described(source: psycopg.Connection[Any], table: Name) -> tuple[int, dict[str, tuple[str, int, int]]]:
    """The table's oid, and `columns_of` it."""
    columns = columns_of(source, table)
    row = source.execute("SELECT to_regclass(%s)::oid::bigint", [table_name(table)]).fetchone()
    assert row is not None
    return row[0], columns


def types_named(conninfo: str, types: Sequence[tuple[int, int]]) -> list[str]:
    """The names of types by oid and modifier, from a session of its own."""
    query = "SELECT format_type(t.o, t.m) FROM unnest(%s::oid[], %s::int[]) WITH ORDINALITY t (o, m, n) ORDER BY n"
    with closing(source_session(conninfo)) as source:
        given = [[oid for oid, _ in types], [modifier for _, modifier in types]]
        return [text for (text,) in source.execute(query, given).fetchall()]


def check_identity(source: psycopg.Connection[Any], table: Name, key: Sequence[str]) -> None:
    """UsageProblem unless updates and deletes of the table say the key of their row."""
    row = source.execute(_IDENTITY, [table_name(table)]).fetchone()
    if row is None:
        raise UsageProblem(f"there is no table {table}", expected="a table that this role may read")
    _, identity, kind, persistence, columns = row
    name = table_name(table)
    refuse_hidden(source, table)
    if kind not in ("r", "p") or persistence != "p":
        raise UsageProblem(
            f"{table} is not in the change stream",
            expected="an ordinary or partitioned table that is neither temporary nor unlogged",
        )
    if identity == "f":
        if not has_key(source, name, key):
            raise UsageProblem(
                f"{table} has no unique index on {', '.join(key)}",
                expected="one, so that a key is one row",
                try_=f"CREATE UNIQUE INDEX CONCURRENTLY ON {name} ({identifiers(key)});",
            )
        return
    if identity == "n" or not columns:
        told = "NOTHING" if identity == "n" else "DEFAULT, and it has no primary key"
        raise UsageProblem(
            f"the replica identity of {table} is {told}: its updates and deletes would not say which row",
            try_=f"a primary key on {identifiers(key)}, or ALTER TABLE {name} REPLICA IDENTITY FULL;",
        )
    if set(columns) != set(key):
        raise UsageProblem(
            f"the replica identity of {table} is ({', '.join(columns)}), the target's key is ({', '.join(key)})",
            expected="the same columns",
            try_=f"key: [{', '.join(columns)}], or ALTER TABLE {name} REPLICA IDENTITY FULL;",
        )


# --- publication ---


def check_publication(source: psycopg.Connection[Any], name: str, tables: Sequence[Name]) -> bool:
    """Whether it is there. UsageProblem where it leaves out a table or a kind of change."""
    row = source.execute(_PUBLICATION, [name]).fetchone()
    if row is None:
        return False
    everything, via_root = row
    own = identifier(name)
    if not everything or not via_root:
        raise UsageProblem(
            f"the publication {name} leaves out kinds of changes, or tells partitions apart",
            try_=f"ALTER PUBLICATION {own} SET (publish = 'insert, update, delete, truncate',"
            " publish_via_partition_root = true);",
        )
    published = {(schema, table): rows for schema, table, rows in source.execute(_PUBLISHED, [name])}
    missing = [table for table in tables if (table.schema, table.name) not in published]
    if missing:
        listed = joined(", ", [table_name(table) for table in missing])
        raise UsageProblem(
            f"the publication {name} has not {', '.join(str(table) for table in missing)}",
            expected="every table of the spec; what changed before it is added is not in the stream",
            try_=f"ALTER PUBLICATION {own} ADD TABLE {listed};  -- then dpe pipeline run --resnapshot",
        )
    for table in tables:
        rows = published[table.schema, table.name]
        if rows is not None:
            raise UsageProblem(
                f"the publication {name} has of {table} only the rows where {rows}",
                expected="all of them: a copy of some needs a pipeline with `query:`",
                try_=f"ALTER PUBLICATION {own} SET TABLE {table_name(table)};  -- then dpe pipeline run --resnapshot",
            )
    return True


def publication_mark(source: psycopg.Connection[Any], name: str, tables: Sequence[Name]) -> str:
    """Another text once what it publishes of these tables was altered, also where it was put back."""
    listed = [table_name(table) for table in tables]
    row = source.execute(_ALTERED, {"name": name, "tables": listed}).fetchone()
    return str(row[0] or "") if row else ""


def create_publication(source: psycopg.Connection[Any], name: str, tables: Sequence[Name]) -> None:
    """For these tables, a partitioned one as a whole. UsageProblem where the role may not."""
    statement = phrase(
        "CREATE PUBLICATION {name} FOR TABLE {tables} WITH (publish_via_partition_root = true)",
        name=identifier(name),
        tables=joined(", ", [table_name(table) for table in tables]),
    )
    try:
        source.execute(statement.encode())
    except psycopg.errors.InsufficientPrivilege as error:
        raise UsageProblem(
            f"this role may not make the publication: {error.diag.message_primary}",
            try_=f"{statement};  -- as the tables' owner",
        ) from None


# --- slot ---


def read_slot(source: psycopg.Connection[Any], name: str) -> Slot | None:
    """The slot of that name, or None."""
    row = source.execute(_SLOT, [name]).fetchone()
    if row is None:
        return None
    plugin, database, active, status, safe, confirmed, lag, held, ours, keep = row
    at = lsn_of(confirmed) if confirmed else None
    return Slot(plugin, database, active, status, safe, at, int(lag or 0), int(held or 0), bool(ours), keep)


def quoted(name: str) -> Sql:
    """A name for the replication protocol, which has keywords of its own: always in quotes."""
    return Sql('"' + name.replace('"', '""') + '"')


def look_at(conninfo: str, name: str) -> Slot | None:
    """The slot, from a session of its own that only reads."""
    with connect(conninfo, read_only=True) as source, telling(conninfo):
        return read_slot(source, name)


def drop_slot(source: psycopg.Connection[Any], name: str) -> None:
    """Where it is there; waits for the session of a run that was killed."""
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while read_slot(source, name) is not None:
        try:
            source.execute("SELECT pg_drop_replication_slot(%s)", [name])
        except psycopg.errors.ObjectInUse:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.1)
        except psycopg.errors.UndefinedObject:
            return


@dataclass(frozen=True)
class Snapshot:
    """What a new slot begins with: all before `lsn` is in the snapshot `name`, all behind it in the stream."""

    name: str
    lsn: int


@contextmanager
def new_slot(conninfo: str, name: str, *, temporary: bool = False) -> Iterator[Snapshot]:
    """A new slot and its snapshot, which holds while the block runs. If the block fails, the slot goes again.

    A `temporary` one goes in any case.
    """
    where = redacted(conninfo)
    with closing(source_session(conninfo, replication=True)) as session:
        statement = phrase(
            "CREATE_REPLICATION_SLOT {slot} {kind}LOGICAL pgoutput EXPORT_SNAPSHOT",
            slot=quoted(name),
            kind=Sql("TEMPORARY " if temporary else ""),
        )
        with telling(conninfo):
            try:
                row = session.execute(statement.encode()).fetchone()
            except psycopg.errors.ConfigurationLimitExceeded as error:
                raise EnvironmentProblem(
                    f"the source has no slot left: {error.diag.message_primary}",
                    where=where,
                    try_="drop those of nobody (SELECT * FROM pg_replication_slots), or raise max_replication_slots",
                ) from None
        assert row is not None
        try:
            yield Snapshot(row[2], lsn_of(row[1]))
        except BaseException:
            if not temporary:
                _take_away(conninfo, name)
            raise


def _take_away(conninfo: str, name: str) -> None:
    """The slot of a snapshot that failed; where that fails too, the next run does it."""
    try:
        with closing(source_session(conninfo)) as source:
            drop_slot(source, name)
    except (psycopg.Error, EnvironmentProblem):
        return


def snapshot_blocks(
    conninfo: str,
    snapshot: str | None,
    table: Name,
    columns: Mapping[str, Sql],
    where: Sql = Sql("true"),  # noqa: B008 - a text, and texts do not change
) -> Iterator[bytes]:
    """The table's rows as COPY writes them, as they were in the snapshot; without one as they are now."""
    copy = phrase(
        "COPY (SELECT {columns} FROM {table} q WHERE {where}) TO STDOUT (FORMAT text)",
        columns=identifiers(columns),
        table=table_name(table),
        where=where,
    )
    with (
        _within(conninfo, snapshot) as source,
        source.cursor() as cursor,
        cursor.copy(copy.encode()) as rows,
    ):
        for block in rows:
            yield bytes(block)


@contextmanager
def _within(conninfo: str, snapshot: str | None) -> Iterator[psycopg.Connection[Any]]:
    """A transaction that sees what the snapshot does."""
    with closing(source_session(conninfo)) as source, telling(conninfo), source.transaction():
        source.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
        if snapshot is not None:
            source.execute(phrase("SET TRANSACTION SNAPSHOT {name}", name=literal(snapshot)).encode())
        yield source


@dataclass(frozen=True)
class Keys:
    """Some keys of a table, as texts; `types` are those of the table's columns."""

    names: tuple[str, ...]
    types: tuple[Sql, ...]
    values: tuple[tuple[str, ...], ...]

    @property
    def listed(self) -> Sql:
        """As a relation u with a column for each name, and their number n from 1."""
        arrays = [
            phrase("ARRAY[{values}]::text[]", values=joined(", ", [literal(one[n]) for one in self.values]))
            for n in range(len(self.names))
        ]
        return phrase(
            "unnest({arrays}) WITH ORDINALITY u ({names}, n)",
            arrays=joined(", ", arrays),
            names=joined(", ", [Sql(f"k{n}") for n in range(len(self.names))]),
        )

    @property
    def same(self) -> Sql:
        """That a row q of the table has the key u."""
        parts = [
            Sql(f"q.{identifier(name)} = u.k{n}::{type_}")
            for n, (name, type_) in enumerate(zip(self.names, self.types, strict=True))
        ]
        return joined(" AND ", parts)

    @property
    def condition(self) -> Sql:
        """That a row q of the table has one of these keys."""
        return phrase("EXISTS (SELECT FROM {listed} WHERE {same})", listed=self.listed, same=self.same)

    def missing(self, conninfo: str, snapshot: str | None, table: Name) -> tuple[tuple[str, ...], ...]:
        """Those that the table does not have in the snapshot."""
        query = phrase(
            "SELECT u.n FROM {listed} WHERE EXISTS (SELECT FROM {table} q WHERE {same})",
            listed=self.listed,
            table=table_name(table),
            same=self.same,
        )
        with _within(conninfo, snapshot) as source:
            there = {n for (n,) in source.execute(query.encode())}
        return tuple(one for n, one in enumerate(self.values, 1) if n not in there)


def end_of_wal(source: psycopg.Connection[Any]) -> int:
    """Where the source's WAL ends now, with all of it before that on its disk, so that the stream gets there."""
    row = source.execute("SELECT pg_current_wal_insert_lsn()::text").fetchone()
    assert row is not None
    with source.transaction():
        source.execute("SET LOCAL synchronous_commit = on")
        source.execute("SELECT pg_logical_emit_message(true, 'dpe', '')")
    return lsn_of(row[0])
