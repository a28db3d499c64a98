"""A server's catalog as a `Database`. Extension members and system schemas are left out.

Expressions and types come out as the server prints them with an empty search path, so every name in them that is not
PostgreSQL's own is qualified.

tables, constraints, programs, sequences, types, access   one kind of object each, from rows
raw                                                      what has no form of its own, by pg_dump
rows                                                     what they share
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from psycopg.pq import TransactionStatus
from psycopg.rows import dict_row

from data_platform.model.database import Database, Extension
from data_platform.postgres.catalog import access, programs, tables, types
from data_platform.postgres.catalog.raw import comments, extension_dependents, raw_objects
from data_platform.postgres.catalog.rows import Connection, Owners, Query, tidy
from data_platform.postgres.catalog.sequences import sequences
from data_platform.postgres.queries import query

__all__ = ["Connection", "left_out", "read"]

_SINCE = (
    (140000, "pg_get_function_sqlbody(p.oid)", "text"),
    (140000, "pg_get_statisticsobjdef_expressions(s.oid)", "text[]"),
    (150000, "pg_get_expr(pr.prqual, pr.prrelid)", "text"),
    (150000, "pr.prattrs::int2[]", "int2[]"),
)
_ALWAYS_ANONYMOUS = frozenset({"pg_database_owner"})


def read(
    connection: Connection,
    *,
    anonymous: Collection[str] = (),
    roles: Collection[str] = (),
    own_is_anonymous: bool = True,
) -> Database:
    """Everything in the connection's database, as of one moment.

    Objects of the `anonymous` roles, and of the connection's own if that is one, name no owner. Roles that an object
    refers to are part of it, and those of `roles`.
    """
    alone = connection.info.transaction_status == TransactionStatus.IDLE
    with connection.transaction(), connection.cursor(row_factory=dict_row) as cursor:
        if alone:
            cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        cursor.execute("SET LOCAL search_path TO ''")
        version = connection.info.server_version

        def rows(name: str, /, **values: Any) -> list[Any]:
            found = cursor.execute(_for_version(query(name), version).encode(), values or None).fetchall()
            return [tidy(row) for row in found]

        own = [connection.info.user] if own_is_anonymous else []
        owners = Owners(frozenset([*own, *anonymous]) | _ALWAYS_ANONYMOUS)
        found = _read(rows, owners, version, roles)
        said_apart = (
            *comments(rows("comments")),
            *extension_dependents(rows("extension_dependents")),
        )
        has_raw = rows("without_form")[0]["found"]
    types_ = [type_.name for type_ in found["types"]]
    made = raw_objects(connection, owners, types_) if has_raw else ()
    return Database(**found, raw=(*made, *said_apart))


def _read(rows: Query, owners: Owners, version: int, roles: Collection[str]) -> Mapping[str, Any]:
    table_rows, view_rows = rows("tables"), rows("views")
    parts = tables.Parts.read(rows, [row["oid"] for row in (*table_rows, *view_rows)])
    schemas = rows("schemas")
    holding = rows("publication_schemas") if version >= 150000 else []
    published = {row["oid"]: tuple(row["schemas"]) for row in holding}
    return {
        "extensions": tuple(Extension(name=row["name"], schema=row["schema"]) for row in rows("extensions")),
        "schemas": tuple(row["name"] for row in schemas if row["name"] != "public"),
        "schema_details": access.schema_details(schemas, owners),
        "roles": access.roles(rows("roles", also=list(roles)), owners),
        "collations": types.collations(rows("collations"), owners),
        "types": types.types(rows, owners),
        "sequences": sequences(rows("sequences"), owners),
        "functions": programs.functions(rows("functions"), owners),
        "tables": tables.tables(table_rows, parts, owners),
        "views": tables.views(view_rows, parts, owners),
        "materialized_views": tables.materialized_views(view_rows, parts, owners),
        "servers": access.servers(rows("servers"), owners),
        "event_triggers": programs.event_triggers(rows("event_triggers"), owners),
        "publications": access.publications(rows("publications"), published, owners),
        "grants": access.grants(rows("grants"), owners),
        "default_privileges": access.default_privileges(rows("default_privileges"), owners),
    }


def _for_version(text: str, version: int) -> str:
    """A query without what the server is too old for: NULL stands there instead."""
    for since, wording, type_ in _SINCE:
        if version < since:
            text = text.replace(wording, f"NULL::{type_}")
    return text


def left_out(connection: Connection) -> dict[str, int]:
    """How many of each kind the database has that no model holds: see the query of that name."""
    with connection.cursor(row_factory=dict_row) as cursor:
        found = cursor.execute(query("left_out")).fetchone()
    return {kind.replace("_", " "): count for kind, count in (found or {}).items() if count}
