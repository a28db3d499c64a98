"""Who may do what, and whose the objects are: grants, default privileges, owners, roles.

A grant is compared privilege by privilege: what comes is given in expand, what goes is taken in contract.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from data_platform.ddl.rights import default_privilege_piece, grant_piece, owners
from data_platform.migration.plan import roles
from data_platform.migration.plan.pair import Pair
from data_platform.migration.plan.signatures import signature_of, signature_text
from data_platform.migration.plan.step import Step
from data_platform.migration.plan.text import bare, slug
from data_platform.model.database import Database, DefaultPrivilege, Function, Grant, Name
from data_platform.sql.phrases import role
from data_platform.sql.references import Reference, References
from data_platform.sql.text import Sql, identifier, qualified


def steps(pair: Pair) -> Iterator[Step]:
    """Roles, then what they are given and what is taken from them, then whose things are."""
    yield from roles.steps(pair)
    yield from _owners(pair)
    yield from _grants(pair)
    yield from _default_privileges(pair)


# --- all rights of one object, for those who make it again ---


def with_rights(
    database: Database, kind: str, object_: Sql, part: Any, made: Iterable[Sql]
) -> tuple[Sql, ...]:
    """Statements that make an object, with its owner and its grants after them."""
    return (*made, *owner_statements(kind, object_, part.owner), *grant_statements(database, kind, part))


def owner_statements(kind: str, object_: Sql, owner: str | None) -> tuple[Sql, ...]:
    """OWNER TO, where it is not whoever runs this."""
    return () if owner is None else (_owner(kind, object_, owner),)


def grant_statements(database: Database, kind: str, part: Any) -> tuple[Sql, ...]:
    """The grants on that object, what is taken from PostgreSQL's defaults first."""
    wanted = _grant_kind(kind)
    found = [grant for grant in database.grants if grant.kind == wanted and _same_object(grant, kind, part)]
    found.sort(key=lambda grant: not grant.revoked)
    return tuple(bare(grant_piece(grant).statement.sql) for grant in found)


def _grant_kind(kind: str) -> str:
    kinds = dict.fromkeys(("view", "materialized view", "foreign table"), "table")
    return {**kinds, "server": "foreign server"}.get(kind, kind)


def _same_object(grant: Grant, kind: str, part: Any) -> bool:
    if isinstance(part, Function):
        return signature_text(grant.object) == signature_of(part)
    if isinstance(part.name, str):
        return grant.object == qualified(part.name)
    name: Name = part.name
    return grant.object in (qualified(name.schema, name.name), str(name))


# --- owners ---


def _owners(pair: Pair) -> Iterator[Step]:
    before = {(kind, object_): role_ for kind, object_, role_ in _all_owners(pair.before)}
    for kind, object_, owner in _all_owners(pair.after):
        former = before.get((kind, object_))
        if former == owner:
            continue
        is_new = (kind, object_) not in before
        yield Step(
            name=slug("owner", kind, object_),
            phase="expand" if is_new else "contract",
            reason="Only the catalog changes. Whoever owned it keeps nothing but what is granted.",
            up=(_owner(kind, object_, owner),),
            down=() if is_new else (_owner(kind, object_, former),),
            one_way="it goes with the object" if is_new else None,
            needs=_object_needs(kind, object_),
        )


def _all_owners(database: Database) -> Iterator[tuple[str, Sql, str | None]]:
    """Also of schemas of which nothing is said."""
    yield from owners(database)
    said = {schema.name for schema in database.schema_details}
    for name in ("public", *database.schemas):
        if name not in said:
            yield "schema", identifier(name), None


def _owner(kind: str, object_: Sql, owner: str | None) -> Sql:
    usual = "pg_database_owner" if (kind, object_) == ("schema", "public") else "current_user"
    return Sql(f"ALTER {kind.upper()} {object_} OWNER TO {role(owner or usual)}")


_KINDS = {
    "function": "function",
    "procedure": "function",
    "type": "type",
    "domain": "type",
    "collation": "collation",
    "schema": "schema",
    "server": "server",
    "foreign server": "server",
    "foreign data wrapper": "foreign data wrapper",
    "language": "language",
}


def _object_needs(kind: str, object_: str) -> References:
    """The object itself; its name is SQL, the schema public left out."""
    words = object_.partition("(")[0].split(".")
    parts = [word.strip('"') for word in words]
    found: Any = _KINDS.get(kind, "relation")
    schema = parts[-2] if len(parts) > 1 else None
    return (Reference(found, schema, parts[-1]),)


# --- grants ---


@dataclass(frozen=True)
class _Right:
    """One privilege on one object, or on one column of it, of one role."""

    kind: Any
    object: str
    role: str
    privilege: str
    column: str | None


@dataclass(frozen=True)
class _State:
    """Whether the role has it, and may give it on."""

    held: bool
    grantable: bool = False


def _rights(database: Database) -> Mapping[_Right, _State]:
    """What differs from PostgreSQL's defaults."""
    found: dict[_Right, _State] = {}
    for grant in database.grants:
        for privilege in grant.privileges:
            for column in grant.columns or (None,):
                right = _Right(grant.kind, grant.object, grant.role, privilege, column)
                former = found.get(right, _State(held=False))
                found[right] = _State(
                    held=former.held or not grant.revoked,
                    grantable=former.grantable or (grant.grantable and not grant.revoked),
                )
    return found


def _grants(pair: Pair) -> Iterator[Step]:
    """One step for each object and direction."""
    before, after = _rights(pair.before), _rights(pair.after)
    given: dict[tuple[str, str], dict[_Right, _State]] = defaultdict(dict)
    taken: dict[tuple[str, str], dict[_Right, _State]] = defaultdict(dict)
    gone = _gone(pair)
    usual = _usual(before, after)
    for right in dict.fromkeys((*before, *after)):
        old, new = before.get(right, usual[right]), after.get(right, usual[right])
        if old == new or (right.kind, right.object) in gone or _column_is_gone(pair, right):
            continue
        widens = (new.held, new.grantable) > (old.held, old.grantable)
        (given if widens else taken)[right.kind, right.object][right] = new
    back = {right: before.get(right, usual[right]) for right in usual}
    for (kind, object_), rights in given.items():
        yield _rights_step("grant", kind, object_, rights, back)
    for (kind, object_), rights in taken.items():
        yield _rights_step("revoke", kind, object_, rights, back)


def _usual(*sides: Mapping[_Right, _State]) -> Mapping[_Right, _State]:
    """What a side means that says nothing about a right: of what another takes from the defaults, that it is held."""
    found: dict[_Right, _State] = {}
    for side in sides:
        for right, state in side.items():
            held = not state.held and not state.grantable
            found[right] = _State(held=held or found.get(right, _State(held=False)).held)
    return found


def _rights_step(
    verb: str, kind: str, object_: str, rights: Mapping[_Right, _State], back: Mapping[_Right, _State]
) -> Step:
    gives = verb == "grant"
    return Step(
        name=slug(verb, kind, object_),
        phase="expand" if gives else "contract",
        reason="Only the catalog changes; the new application may need it."
        if gives
        else "Only the catalog changes; the old application may have needed it.",
        up=tuple(_statements(rights, {right: back[right] for right in rights})),
        down=tuple(_statements({right: back[right] for right in rights}, rights)),
        ends_old=not gives,
        needs=_object_needs(kind, object_),
    )


def _statements(wanted: Mapping[_Right, _State], now: Mapping[_Right, _State]) -> Iterator[Sql]:
    """GRANT and REVOKE from one state of rights to another, rights that are alike in one statement."""
    groups: dict[tuple[Any, ...], dict[str, list[str]]] = defaultdict(lambda: defaultdict(list))
    for right, state in wanted.items():
        verb = _verb(now[right], state)
        key = (verb, right.kind, right.object, right.role, right.column is not None)
        groups[key][right.privilege] += [right.column] if right.column else []
    for (verb, kind, object_, role_, _), privileges in groups.items():
        by_columns: dict[tuple[str, ...], list[str]] = defaultdict(list)
        for privilege, columns in privileges.items():
            by_columns[tuple(columns)].append(privilege)
        for listed, names in by_columns.items():
            grant = Grant(
                kind=kind, object=object_, role=role_, privileges=tuple(sorted(names)), columns=listed
            )
            yield _said(verb, bare(grant_piece(_verbed(grant, verb)).statement.sql))


def _verb(now: _State, wanted: _State) -> str:
    if not wanted.held:
        return "revoke"
    if wanted.grantable:
        return "grant option"
    return "revoke option" if now.grantable and now.held else "grant"


def _verbed(part: Any, verb: str) -> Any:
    return replace(part, revoked=verb.startswith("revoke"), grantable=verb == "grant option")


def _said(verb: str, sql: Sql) -> Sql:
    return Sql(sql.replace("REVOKE ", "REVOKE GRANT OPTION FOR ", 1)) if verb == "revoke option" else sql


def _gone(pair: Pair) -> set[tuple[str, str]]:
    """What has grants before and is not there after; its grants go with it."""
    there = _objects(pair.after)
    return {
        (grant.kind, grant.object)
        for grant in pair.before.grants
        if _known(grant.kind) and (grant.kind, _key(grant.kind, grant.object)) not in there
    }


def _known(kind: str) -> bool:
    return kind in (
        "table",
        "sequence",
        "function",
        "procedure",
        "type",
        "domain",
        "schema",
        "foreign server",
    )


def _objects(database: Database) -> set[tuple[str, Any]]:
    names = [
        *(table.name for table in database.tables),
        *(view.name for view in database.views),
        *(view.name for view in database.materialized_views),
    ]
    found: set[tuple[str, Any]] = {("table", _named(name)) for name in names}
    found |= {("sequence", _named(part.name)) for part in database.sequences}
    for table in database.tables:
        for column in table.columns:
            if column.identity is not None:
                usual = Name(table.name.schema, f"{table.name.name}_{column.name}_seq")
                found.add(("sequence", _named(column.sequence_name or usual)))
    for function in database.functions:
        found.add(("procedure" if function.procedure else "function", signature_of(function)))
    for type_ in database.types:
        found |= {("type", _named(type_.name)), ("domain", _named(type_.name))}
    found |= {("schema", str(qualified(name))) for name in (*database.schemas, "public")}
    return found | {("foreign server", str(qualified(server.name))) for server in database.servers}


def _named(name: Name) -> str:
    return str(qualified(name.schema, name.name))


def _key(kind: str, object_: str) -> Any:
    return signature_text(object_) if kind in ("function", "procedure") else object_


def _column_is_gone(pair: Pair, right: _Right) -> bool:
    if right.column is None:
        return False
    return any(
        _named(table.name) == right.object and right.column not in {c.name for c in table.columns}
        for table in pair.after.tables
    )


# --- default privileges ---


def _default_privileges(pair: Pair) -> Iterator[Step]:
    before, after = _default_rights(pair.before), _default_rights(pair.after)
    usual = {
        right: _State(held=not {**before, **after}[right].held)
        if _is_taken(before.get(right)) or _is_taken(after.get(right))
        else _State(held=False)
        for right in (*before, *after)
    }
    for right in dict.fromkeys((*before, *after)):
        old, new = before.get(right, usual[right]), after.get(right, usual[right])
        if old == new:
            continue
        gives = (new.held, new.grantable) > (old.held, old.grantable)
        yield Step(
            name=slug("default_privileges", right.kind, right.role, *right.privileges),
            phase="expand" if gives else "contract",
            reason="It holds for objects that are made from now on.",
            up=(_default_statement(right, old, new),),
            down=(_default_statement(right, new, old),),
            needs=(Reference("schema", None, right.schema),) if right.schema else (),
        )


def _is_taken(state: _State | None) -> bool:
    return state is not None and not state.held


def _default_rights(database: Database) -> Mapping[DefaultPrivilege, _State]:
    found: dict[DefaultPrivilege, _State] = {}
    for given in database.default_privileges:
        for privilege in given.privileges:
            right = replace(given, privileges=(privilege,), grantable=False, revoked=False)
            former = found.get(right, _State(held=False))
            found[right] = _State(
                held=former.held or not given.revoked,
                grantable=former.grantable or (given.grantable and not given.revoked),
            )
    return found


def _default_statement(right: DefaultPrivilege, now: _State, wanted: _State) -> Sql:
    verb = _verb(now, wanted)
    return _said(verb, bare(default_privilege_piece(_verbed(right, verb)).statement.sql))
