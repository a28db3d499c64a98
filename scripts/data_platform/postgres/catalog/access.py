"""Who may do what, and what leaves the database: roles, grants, schemas, servers, publications."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from data_platform.model.database import (
    DefaultPrivilege,
    Grant,
    Name,
    Publication,
    PublishedTable,
    Role,
    Schema,
    Server,
)
from data_platform.postgres.catalog.rows import Owners, Row, foreign_options


def roles(rows: Iterable[Row], owners: Owners) -> tuple[Role, ...]:
    """Roles that are not anonymous."""
    return tuple(
        Role(
            name=row["name"],
            login=row["login"],
            inherit=row["inherit"],
            create_database=row["create_database"],
            create_role=row["create_role"],
            replication=row["replication"],
            bypass_row_security=row["bypass_row_security"],
            superuser=row["superuser"],
            member_of=tuple(role for role in row["member_of"] or () if role not in owners.anonymous),
            comment=row["comment"],
        )
        for row in rows
        if row["name"] not in owners.anonymous
    )


def grants(rows: Iterable[Row], owners: Owners) -> tuple[Grant, ...]:
    """Grants and revokes; what an anonymous owner has anyway is none."""
    same = ("kind", "object", "role", "grantable", "revoked")
    merged: dict[tuple[Any, ...], list[str]] = {}
    for row in rows:
        if row["role"] not in owners.anonymous:
            key = (*(row[name] for name in same), tuple(row["privileges"]), bool(row["column"]))
            merged.setdefault(key, []).extend([row["column"]] if row["column"] else [])
    return tuple(
        Grant(
            kind=kind,
            object=object_,
            role=role,
            privileges=privileges,
            columns=tuple(columns),
            grantable=grantable,
            revoked=revoked,
        )
        for (kind, object_, role, grantable, revoked, privileges, _), columns in merged.items()
    )


def default_privileges(rows: Iterable[Row], owners: Owners) -> tuple[DefaultPrivilege, ...]:
    """ALTER DEFAULT PRIVILEGES."""
    return tuple(
        DefaultPrivilege(
            kind=row["kind"],
            role=row["role"],
            privileges=tuple(row["privileges"]),
            owner=owners.named(row["owner"]),
            schema=row["schema"],
            grantable=row["grantable"],
            revoked=row["revoked"],
        )
        for row in rows
        if row["role"] not in owners.anonymous
    )


def schema_details(rows: Iterable[Row], owners: Owners) -> tuple[Schema, ...]:
    """Schemas that have a comment or an owner."""
    found = (
        Schema(name=row["name"], comment=_comment(row), owner=owners.named(row["owner"])) for row in rows
    )
    return tuple(schema for schema in found if schema.comment is not None or schema.owner is not None)


def _comment(row: Row) -> str | None:
    usual = row["name"] == "public" and row["comment"] == "standard public schema"
    return None if usual else row["comment"]


def servers(rows: Iterable[Row], owners: Owners) -> tuple[Server, ...]:
    """Foreign servers."""
    return tuple(
        Server(
            name=row["name"],
            wrapper=row["wrapper"],
            type=row["type"],
            version=row["version"],
            options=foreign_options(row["options"]),
            comment=row["comment"],
            owner=owners.named(row["owner"]),
        )
        for row in rows
    )


def publications(
    rows: Iterable[Row], schemas: Mapping[int, tuple[str, ...]], owners: Owners
) -> tuple[Publication, ...]:
    """Publications; `schemas` are those whose tables each one holds, by its oid."""
    return tuple(
        Publication(
            name=row["name"],
            all_tables=row["all_tables"],
            tables=tuple(_published(part) for part in row["tables"] or ()),
            schemas=schemas.get(row["oid"], ()),
            options=tuple(sorted(_publication_options(row))),
            comment=row["comment"],
            owner=owners.named(row["owner"]),
        )
        for row in rows
    )


def _published(part: Row) -> PublishedTable:
    return PublishedTable(
        table=Name(part["schema"], part["name"]), columns=tuple(part["columns"] or ()), where=part["where"]
    )


def _publication_options(row: Row) -> Iterator[tuple[str, str]]:
    actions = [action for action in ("insert", "update", "delete", "truncate") if row[action]]
    if len(actions) < len(("insert", "update", "delete", "truncate")):
        yield "publish", ", ".join(actions)
    if row["via_root"]:
        yield "publish_via_partition_root", "true"
    if row["generated"] == "s":
        yield "publish_generated_columns", "stored"
