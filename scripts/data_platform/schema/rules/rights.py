"""Rules about who may do what: functions that run as their owner, PUBLIC, roles above all rules, gaps in grants."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace

from data_platform.ddl.small import function_kind, function_signature
from data_platform.model.database import Function, Grant, Name
from data_platform.schema.rules.grants import is_about
from data_platform.schema.rules.rule import Hit, on_object, rule
from data_platform.schema.rules.subject import Subject
from data_platform.sql.text import identifier, identifiers, joined, keyword, qualified_name

_NOT_CALLED = frozenset({"trigger", "event_trigger"})
_FEWEST = 5
"""Tables of a schema from which on a role's gap in it is no choice of a few."""
_MOST = 0.8


def _running_as_owner(subject: Subject) -> Iterator[Function]:
    return (function for function in subject.design.database.functions if function.security_definer)


@rule(
    "security-definer-search-path",
    "warning",
    "The caller's search_path decides what the names in it mean: another's table or function runs as its owner.",
)
def security_definer_search_path(subject: Subject) -> Iterator[Hit]:
    for function in _running_as_owner(subject):
        # A body in SQL-standard form was looked up when it was made; C looks nothing up.
        bound = function.sql_body is not None or function.link_symbol is not None
        if not bound and "search_path" not in dict(function.settings):
            message = f"`{function.name}` runs as its owner with the search_path of its caller"
            path = identifiers([function.name.schema, "pg_temp"])
            fix = f"settings: {{search_path: '{path}'}}"
            remedy = f"ALTER {_called(function)} SET search_path = {path};"
            yield on_object("functions", function.name, message, fix, remedy)


@rule(
    "security-definer-public",
    "warning",
    "PostgreSQL lets everybody execute a new function; one that runs as its owner lends everybody its rights.",
)
def security_definer_public(subject: Subject) -> Iterator[Hit]:
    told = bool(subject.design.database.grants)
    for function in _running_as_owner(subject):
        if function.returns in _NOT_CALLED or _is_taken_from_public(subject, function):
            continue
        message = f"everybody may execute `{function.name}`, which runs as its owner"
        fix = f"grants: [{{on: function {_signature(function)}, from: public, privileges: execute}}]"
        remedy = f"REVOKE EXECUTE ON {_called(function)} FROM PUBLIC;"
        hit = on_object("functions", function.name, message, fix, remedy)
        # Without any grant the privileges may have been left out of the file.
        yield hit if told else replace(hit, severity="info")


def _is_taken_from_public(subject: Subject, function: Function) -> bool:
    grants = subject.grants.get((function_kind(function), function.name), ())
    return any(grant.revoked and grant.role == "public" and is_about(grant, function) for grant in grants)


def _signature(function: Function) -> str:
    return str(function_signature(function))


def _called(function: Function) -> str:
    return f"{function_kind(function).upper()} {_signature(function)}"


@rule(
    "grant-to-public",
    "warning",
    "PUBLIC is every role there is and will be, that of a report or a monitor included.",
)
def grant_to_public(subject: Subject) -> Iterator[Hit]:
    for (kind, name), grants in sorted(subject.grants.items()):
        for grant in grants:
            if kind == "table" and grant.role == "public" and not grant.revoked:
                listed = joined(", ", map(keyword, grant.privileges))
                message = f"everybody may {listed} on `{name}`"
                columns = f" ({identifiers(grant.columns)})" if grant.columns else ""
                taken = ", ".join(f"{privilege}{columns}" for privilege in map(keyword, grant.privileges))
                remedy = f"REVOKE {taken} ON {qualified_name(name)} FROM PUBLIC;"
                hit = on_object("grants", name, message, "to: the roles that need it", remedy)
                yield replace(hit, table=name) if name in subject.by_name else hit


@rule(
    "schema-open-to-create",
    "warning",
    "Who can create in a schema of others' search_path can put a function before theirs.",
)
def schema_open_to_create(subject: Subject) -> Iterator[Hit]:
    for grant in subject.design.database.grants:
        if grant.kind == "schema" and grant.role == "public" and _gives(grant, "CREATE"):
            message = f"everybody may create objects in the schema `{grant.object}`"
            remedy = f"REVOKE CREATE ON SCHEMA {grant.object} FROM PUBLIC;"
            yield on_object("grants", grant.object, message, "privileges: usage", remedy)


def _gives(grant: Grant, privilege: str) -> bool:
    return privilege in grant.privileges and not grant.revoked


@rule(
    "privileged-role",
    "warning",
    "No policy and no missing grant stops a superuser, and no policy a role with BYPASSRLS.",
)
def privileged_role(subject: Subject) -> Iterator[Hit]:
    guarded = any(table.row_security != "off" for table in subject.design.database.tables)
    for role in subject.design.database.roles:
        if role.login and role.superuser and role.name != "postgres":
            message = f"`{role.name}` can log in and is a superuser"
            remedy = f"ALTER ROLE {identifier(role.name)} NOSUPERUSER;"
            yield on_object("roles", role.name, message, "superuser: false", remedy)
        elif role.login and role.bypass_row_security and guarded and role.name != "postgres":
            message = f"`{role.name}` can log in and is bound by no policy"
            remedy = f"ALTER ROLE {identifier(role.name)} NOBYPASSRLS;"
            yield on_object("roles", role.name, message, "bypass_row_security: false", remedy)


@rule(
    "default-privileges-missing",
    "info",
    "Grants are on tables that are there; only default privileges are on those that come later.",
)
def default_privileges_missing(subject: Subject) -> Iterator[Hit]:
    for schema, tables in _by_schema(subject).items():
        for role, may_read in sorted(_readers(subject, tables).items()):
            gap = [name for name in tables if name not in may_read]
            if len(tables) >= _FEWEST and gap and len(may_read) >= _MOST * len(tables):
                listed = ", ".join(f"`{name}`" for name in gap)
                message = (
                    f"`{role}` may read {len(may_read)} of {len(tables)} tables of `{schema}`, not {listed}"
                )
                fix = (
                    f"default_privileges: [{{on: tables, schema: {schema}, to: {role}, privileges: select}}]"
                )
                yield on_object("grants", role, message, fix, _given(schema, role, gap))


def _given(schema: str, role: str, gap: list[Name]) -> str:
    tables = ", ".join(qualified_name(name) for name in gap)
    now = f"GRANT SELECT ON {tables} TO {identifier(role)};"
    later = f"ALTER DEFAULT PRIVILEGES IN SCHEMA {identifier(schema)} GRANT SELECT ON TABLES TO {identifier(role)};"
    return f"{now} {later}"


def _by_schema(subject: Subject) -> Mapping[str, list[Name]]:
    found: dict[str, list[Name]] = {}
    for table in subject.tables:
        found.setdefault(table.name.schema, []).append(table.name)
    return found


def _readers(subject: Subject, tables: list[Name]) -> Mapping[str, set[Name]]:
    """Which of the tables each role may read, their columns all or some."""
    found: dict[str, set[Name]] = {}
    for name in tables:
        for grant in subject.grants.get(("table", name), ()):
            if _gives(grant, "SELECT") and grant.role != "public":
                found.setdefault(grant.role, set()).add(name)
    return found
