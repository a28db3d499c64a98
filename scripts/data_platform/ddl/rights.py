"""Whose the objects are, and who may do what with them."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain

from data_platform.ddl.piece import Piece, Statement
from data_platform.ddl.small import function_kind, function_signature, owner, table_kind
from data_platform.ddl.types import type_kind
from data_platform.model.database import Database, DefaultPrivilege, Grant, Name
from data_platform.sql.phrases import granted
from data_platform.sql.templates import render
from data_platform.sql.text import Sql, identifier, identifiers, joined, keyword, qualified_name


def owner_pieces(database: Database) -> Iterator[Piece]:
    """ALTER … OWNER TO, of all but event triggers. A sequence that a column owns goes with its table."""
    for kind, object_, role in owners(database):
        if role is not None:
            yield owner(kind, object_, role, f"{kind} {object_}")


def owners(database: Database) -> Iterator[tuple[str, Sql, str | None]]:
    """Whose every object is: (kind, name as SQL, role); None is whoever loads the model."""
    return chain(_without_schema(database), _in_schemas(database))


def _without_schema(database: Database) -> Iterator[tuple[str, Sql, str | None]]:
    for schema in database.schema_details:
        yield "schema", identifier(schema.name), schema.owner
    for server in database.servers:
        yield "server", identifier(server.name), server.owner
    for publication in database.publications:
        yield "publication", identifier(publication.name), publication.owner
    for function in database.functions:
        yield function_kind(function), function_signature(function), function.owner


def _in_schemas(database: Database) -> Iterator[tuple[str, Sql, str | None]]:
    for kind, name, role in _named(database):
        yield kind, qualified_name(name), role


def _named(database: Database) -> Iterator[tuple[str, Name, str | None]]:
    for collation in database.collations:
        yield "collation", collation.name, collation.owner
    for type_ in database.types:
        yield type_kind(type_), type_.name, type_.owner
    for table in database.tables:
        yield table_kind(table), table.name, table.owner
    for sequence in database.sequences:
        if sequence.owned_by is None:
            yield "sequence", sequence.name, sequence.owner
    for view in database.views:
        yield "view", view.name, view.owner
    for materialized in database.materialized_views:
        yield "materialized view", materialized.name, materialized.owner


def grant_pieces(database: Database) -> Iterator[Piece]:
    """What is taken from PostgreSQL's defaults first, then what is given, then what later objects will get."""
    for grant in sorted(database.grants, key=lambda grant: not grant.revoked):
        yield grant_piece(grant)
    for privilege in sorted(database.default_privileges, key=lambda privilege: not privilege.revoked):
        yield default_privilege_piece(privilege)


def grant_piece(grant: Grant) -> Piece:
    """GRANT or REVOKE."""
    columns = Sql(f" ({identifiers(grant.columns)})") if grant.columns else Sql("")
    sql = render(
        "ddl/grant.sql.j2",
        grant=grant,
        verb="revoke" if grant.revoked else "grant",
        privileges=joined(", ", (Sql(keyword(name) + columns) for name in grant.privileges)),
        object=granted(grant.kind, grant.object),
    )
    verb = "revoke" if grant.revoked else "grant"
    return Piece(statement=Statement(sql, f"{verb} on {grant.kind} {grant.object}", "grants"))


def default_privilege_piece(privilege: DefaultPrivilege) -> Piece:
    """ALTER DEFAULT PRIVILEGES."""
    privileges = joined(", ", map(keyword, privilege.privileges))
    sql = render("ddl/default_privilege.sql.j2", privilege=privilege, privileges=privileges)
    return Piece(statement=Statement(sql, f"default privileges on {privilege.kind}", "grants"))
