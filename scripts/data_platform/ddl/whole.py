"""What belongs to no schema: roles, schemas, extensions, servers, publications, event triggers."""

from __future__ import annotations

from collections.abc import Iterator, Set

from data_platform.ddl.piece import Piece, Statement
from data_platform.ddl.small import alter, comment
from data_platform.model.database import (
    Database,
    EventTrigger,
    Extension,
    Name,
    Publication,
    Role,
    Schema,
    Server,
)
from data_platform.sql.references import Reference
from data_platform.sql.templates import render
from data_platform.sql.text import Sql, identifier, identifiers, keyword


def role_pieces(role: Role) -> Iterator[Piece]:
    """CREATE ROLE where there is none of that name, and its memberships."""
    made = f"role {role.name}"
    block = render("ddl/role_block.sql.j2", role=role)
    yield Piece(statement=Statement(render("ddl/role.sql.j2", block=f"\n{block}\n"), made, "setup"))
    if role.comment is not None:
        yield comment("role", identifier(role.name), role.comment, made, "setup")


def membership_pieces(role: Role) -> Iterator[Piece]:
    """GRANT role TO role, once all of them are there."""
    if role.member_of:
        sql = render("ddl/membership.sql.j2", role=role)
        yield Piece(statement=Statement(sql, f"memberships of role {role.name}", "setup"))


def schema_piece(schema: str) -> Piece:
    """CREATE SCHEMA."""
    sql = render("ddl/schema.sql.j2", schema=schema)
    return Piece(
        statement=Statement(sql, f"schema {schema}", "setup"), makes=(Reference("schema", None, schema),)
    )


def schema_comments(schema: Schema) -> Iterator[Piece]:
    """COMMENT ON SCHEMA."""
    if schema.comment is not None:
        yield comment("schema", identifier(schema.name), schema.comment, f"schema {schema.name}", "setup")


def extension_piece(extension: Extension) -> Piece:
    """CREATE EXTENSION."""
    sql = render("ddl/extension.sql.j2", extension=extension)
    return Piece(statement=Statement(sql, f"extension {extension.name}", "setup"))


def server_pieces(server: Server) -> Iterator[Piece]:
    """CREATE SERVER and its comment."""
    made = f"server {server.name}"
    yield Piece(
        statement=Statement(render("ddl/server.sql.j2", server=server), made, "servers"),
        makes=(Reference("server", None, server.name),),
        needs=(Reference("foreign data wrapper", None, server.wrapper),),
    )
    if server.comment is not None:
        yield comment("server", identifier(server.name), server.comment, made, "servers")


def publication_pieces(publication: Publication, database: Database) -> Iterator[Piece]:
    """CREATE PUBLICATION and its comment."""
    heirs = {parent for table in database.tables for parent in table.inherits}
    parts = list(published(publication, heirs))
    made = f"publication {publication.name}"
    sql = render("ddl/publication.sql.j2", publication=publication, parts=parts)
    yield Piece(statement=Statement(sql, made, "publications"))
    if publication.comment is not None:
        yield comment("publication", identifier(publication.name), publication.comment, made, "publications")


def published(publication: Publication, heirs: Set[Name]) -> Iterator[Sql]:
    """The tables and schemas of a publication; `heirs` are tables that others inherit from."""
    for published in publication.tables:
        # Without ONLY the tables that inherit from it would be published as well.
        yield render("ddl/published_table.sql.j2", published=published, only=published.table in heirs)
    if publication.schemas:
        yield Sql(f"TABLES IN SCHEMA {identifiers(publication.schemas)}")


_ENABLED = {"disabled": "disable", "replica": "enable replica", "always": "enable always"}


def event_trigger_pieces(trigger: EventTrigger) -> Iterator[Piece]:
    """CREATE EVENT TRIGGER, when it fires, whose it is, and its comment."""
    made = f"event trigger {trigger.name}"
    name = identifier(trigger.name)
    statement = Statement(render("ddl/event_trigger.sql.j2", trigger=trigger), made, "event_triggers")
    yield Piece(statement=statement)
    if trigger.enabled != "origin":
        yield alter("event trigger", name, keyword(_ENABLED[trigger.enabled]), made, "event_triggers")
    if trigger.owner is not None:
        action = Sql(f"OWNER TO {identifier(trigger.owner)}")
        yield alter("event trigger", name, action, f"owner of {made}", "event_triggers")
    if trigger.comment is not None:
        yield comment("event trigger", name, trigger.comment, made, "event_triggers")
