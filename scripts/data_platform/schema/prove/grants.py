"""Privileges, tried as each role: what the model grants must work, and what it does not grant must be refused.

Nothing is changed: no row is selected, written or deleted, and every attempt is taken back. Row-level security and
triggers are set aside, they are not this stage's matter.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, Literal

from data_platform.model.database import (
    Column,
    DefaultPrivilege,
    Grant,
    MaterializedView,
    Name,
    Role,
    Table,
    View,
)
from data_platform.postgres.canonical.access import named
from data_platform.schema.prove.aside import switch_off
from data_platform.schema.prove.callable import Routine, routines
from data_platform.schema.prove.ground import Ground
from data_platform.schema.prove.result import Claim
from data_platform.schema.prove.sessions import DENIED, Identity, nothing_stays, tried
from data_platform.sql.text import identifier, literal, qualified, qualified_name

HOLDS = "privileges are those of the model"
LATER = "later objects get the privileges of the model"
MAX_ATTEMPTS = 2_000

_ROUTINES = ("function", "procedure")
_WRITE = ("INSERT", "UPDATE", "DELETE")
_PREDEFINED = {
    "pg_read_all_data": ("SELECT", "USAGE"),
    "pg_write_all_data": ("INSERT", "UPDATE", "DELETE", "USAGE"),
}


@dataclass(frozen=True)
class Object:
    """Something that privileges are granted on. `key` is how the server names it."""

    kind: str
    key: str
    name: Name
    owner: str | None
    columns: tuple[Column, ...] = ()
    attempts: Mapping[str, str] = field(default_factory=dict)
    """A statement for each privilege, which needs that and nothing else."""
    asked: Mapping[str, str] = field(default_factory=dict)
    """A question instead, where a statement cannot tell: has_…_privilege."""


def grants(ground: Ground, given: Sequence[Grant], defaults: Sequence[DefaultPrivilege]) -> tuple[Claim, ...]:
    """Each role of the design against each relation, sequence, function and schema; then what later objects get."""
    roles = [role for role in ground.roles.values() if not role.superuser]
    with nothing_stays(ground.connection):
        switch_off(ground.connection, ground.switches)
        for table in ground.database.tables:
            if table.row_security != "off":
                sql = f"ALTER TABLE {qualified_name(table.name)} DISABLE ROW LEVEL SECURITY"
                ground.connection.execute(sql.encode())
        prober = _Prober(ground, named(ground.connection, given))
        return (*prober.claims(roles), *prober.later(defaults))


@dataclass(frozen=True)
class _Prober:
    ground: Ground
    given: tuple[Grant, ...]

    def claims(self, roles: Sequence[Role]) -> Iterator[Claim]:
        objects = list(_objects(self.ground))
        attempts = sum(len(object_.attempts) + len(object_.asked) for object_ in objects)
        for number, role in enumerate(roles):
            if attempts * (number + 1) > MAX_ATTEMPTS and number:
                left = ", ".join(f"`{other.name}`" for other in roles[number:])
                told = f"the limit of {MAX_ATTEMPTS:,} attempts was reached before {left}"
                yield _claim("role", role.name, role.name, "not checked", told)
                return
            shown = objects[: max(1, MAX_ATTEMPTS * len(objects) // max(attempts, 1))]
            yield from self._role(role, shown)
            if len(shown) < len(objects):
                told = (
                    f"{len(objects) - len(shown)} objects are beyond the limit of {MAX_ATTEMPTS:,} attempts"
                )
                yield _claim("role", role.name, role.name, "not checked", told)

    def _role(self, role: Role, objects: Sequence[Object]) -> Iterator[Claim]:
        wishes = [(object_, _with_columns(object_, self._columns(role, object_))) for object_ in objects]
        answers = self._tried(role, [sql for _, attempts in wishes for sql in attempts.values()])
        for object_, attempts in wishes:
            mine = {privilege: next(answers) for privilege in attempts}
            yield self._judged(role, object_, mine)

    # --- trying ---

    def _tried(self, role: Role, statements: Sequence[str]) -> Iterator[tuple[str, str]]:
        """(SQLSTATE or "", message) of each; one journey to the server for all of them."""
        connection = self.ground.connection
        with connection.transaction(force_rollback=True):
            connection.execute(_CLEAR)
            connection.execute(f"SET LOCAL ROLE {identifier(role.name)}".encode())
            connection.execute(_block(statements).encode())
            row = connection.execute("SELECT pg_catalog.current_setting('dpe.answers')").fetchone()
        assert row is not None
        return iter([(state, message) for state, message in json.loads(row[0])])

    def _judged(self, role: Role, object_: Object, answers: Mapping[str, tuple[str, str]]) -> Claim:
        works: list[str] = []
        refused: dict[str, list[str]] = {}
        too_many: list[str] = []
        missing: dict[str, list[str]] = {}
        for privilege in (*answers, *object_.asked):
            sqlstate, message = answers.get(privilege, ("?", ""))
            allowed = sqlstate == "" or (sqlstate != DENIED and self._asked(role, object_, privilege))
            why = self._granted(role, object_, privilege)
            if allowed:
                (works if why else too_many).append(privilege)
            else:
                (missing if why == "granted" else refused).setdefault(message, []).append(privilege)
        wrong = (
            [f"{', '.join(too_many)} works and is not granted{self._why(object_, too_many)}"]
            if too_many
            else []
        )
        for message, privileges in missing.items():
            said = f": `{message}`" if message else ": the role may not use the schema"
            wrong.append(f"{', '.join(privileges)} is granted and refused{said}")
        none = ", ".join(privilege for privileges in refused.values() for privilege in privileges)
        parts = [f"{', '.join(works)} works" if works else "", f"{none} refused" if none else ""]
        told = "; ".join(wrong) or "; ".join(part for part in parts if part)
        claim = _claim(object_.kind, str(object_.key), role.name, "failed" if wrong else "proven", told)
        return replace(claim, table=object_.name if object_.kind == "table" else None)

    def _asked(self, role: Role, object_: Object, privilege: str) -> bool:
        """What the server says that the role may, and whether it gets to the object at all."""
        plain = privilege.split(" ", maxsplit=1)[0]
        kind = {"view": "table", "materialized view": "table", "procedure": "function"}.get(
            object_.kind, object_.kind
        )
        what = literal(object_.key) if kind != "schema" else literal(object_.name.name)
        who = literal(role.name)
        query = f"SELECT has_{kind}_privilege({who}, {what}, {literal(plain)})"
        if kind != "schema":
            query += f" AND has_schema_privilege({who}, {literal(object_.name.schema)}, 'USAGE')"
        outcome = tried(self.ground.connection, Identity(), query)
        return bool(outcome.rows and outcome.rows[0][0])

    def _why(self, object_: Object, privileges: Sequence[str]) -> str:
        if "EXECUTE" in privileges and not self._public_revoked(object_):
            return ": PostgreSQL gives it to PUBLIC, so it must be revoked there"
        return ""

    # --- what the model says ---

    def _granted(
        self, role: Role, object_: Object, privilege: str
    ) -> Literal["granted", "by default"] | None:
        """Why the role should have the privilege. What everybody has by default need not be within reach."""
        holders = self.ground.inherited(role.name)
        if object_.owner is not None and object_.owner in holders:
            return "granted"
        plain, _, columns = privilege.partition(" ")
        given = any(
            plain in grant.privileges
            and grant.role in holders
            and not grant.revoked
            and (not grant.columns or columns.strip("()") in grant.columns)
            for grant in self._on.get((_grant_kind(object_.kind), object_.key), ())
        )
        if given or (object_.kind not in _ROUTINES and any(plain in _PREDEFINED.get(h, ()) for h in holders)):
            return "granted"
        return "by default" if self._by_default(object_, plain) else None

    def _columns(self, role: Role, object_: Object) -> dict[str, tuple[str, ...]]:
        """Columns that are granted to the role by name, by privilege."""
        holders = self.ground.inherited(role.name)
        found: dict[str, tuple[str, ...]] = {}
        for grant in self._on.get((_grant_kind(object_.kind), object_.key), ()):
            if grant.columns and grant.role in holders and not grant.revoked:
                for privilege in grant.privileges:
                    found[privilege] = tuple(dict.fromkeys((*found.get(privilege, ()), *grant.columns)))
        return found

    def _by_default(self, object_: Object, privilege: str) -> bool:
        """What PostgreSQL gives to everybody unless told otherwise; a function granted to some is meant for them."""
        if object_.kind == "schema":
            public = object_.name.name == "public" and privilege == "USAGE"
            return public and not self._public_revoked(object_)
        if object_.kind not in _ROUTINES or self._public_revoked(object_):
            return False
        return not any(not grant.revoked for grant in self._on.get((object_.kind, object_.key), ()))

    def _public_revoked(self, object_: Object) -> bool:
        granted = self._on.get((_grant_kind(object_.kind), object_.key), ())
        return any(grant.revoked and grant.role == "public" for grant in granted)

    @cached_property
    def _on(self) -> Mapping[tuple[str, str], tuple[Grant, ...]]:
        found: dict[tuple[str, str], tuple[Grant, ...]] = {}
        for grant in self.given:
            found[grant.kind, grant.object] = (*found.get((grant.kind, grant.object), ()), grant)
        return found

    # --- default privileges ---

    def later(self, defaults: Sequence[DefaultPrivilege]) -> Iterator[Claim]:
        """An object made as whom they are for, and what the others may do with it."""
        for default in defaults:
            if default.kind in _MADE and (default.role in self.ground.roles or default.role == "public"):
                yield self._later(default)

    def _later(self, default: DefaultPrivilege) -> Claim:
        make, ask = _MADE[default.kind]
        schema = default.schema or "public"
        new = qualified(schema, "dpe new") if default.kind != "schemas" else identifier("dpe new")
        who = literal(default.role)
        asked = ", ".join(
            f"{ask}({who}, {literal(f'{new}{_SIGNATURES.get(default.kind, str())}')}, {literal(privilege)})"
            for privilege in default.privileges
        )
        outcome = tried(
            self.ground.connection,
            Identity(default.owner),
            make.format(new=new),
            look=(f"SELECT {asked}",),
        )
        claim = _claim(
            f"new {default.kind}", f"in {default.schema or 'any schema'}", default.role, "proven", "", LATER
        )
        if outcome.sqlstate is not None:
            owner = f"`{default.owner}`" if default.owner else "the owner"
            return replace(
                claim, state="not checked", detail=f"{owner} could not make one: `{outcome.message}`"
            )
        wrong = [
            privilege
            for privilege, has in zip(default.privileges, outcome.after, strict=True)
            if has == default.revoked and not (default.revoked and default.schema)
        ]
        if wrong:
            word = "still has" if default.revoked else "does not have"
            return replace(claim, state="failed", detail=f"it {word} {', '.join(wrong)}")
        word = "has no" if default.revoked else "has"
        return replace(claim, detail=f"it {word} {', '.join(default.privileges)}")


_CLEAR = b"SELECT pg_catalog.set_config('dpe.answers', '[]', true)"
_MADE = {
    "tables": ("CREATE TABLE {new} (a integer)", "has_table_privilege"),
    "sequences": ("CREATE SEQUENCE {new}", "has_sequence_privilege"),
    "functions": (
        "CREATE FUNCTION {new}() RETURNS integer LANGUAGE sql AS 'SELECT 1'",
        "has_function_privilege",
    ),
    "types": ("CREATE TYPE {new} AS ENUM ()", "has_type_privilege"),
    "schemas": ("CREATE SCHEMA {new}", "has_schema_privilege"),
}
_SIGNATURES = {"functions": "()"}


def _block(statements: Sequence[str]) -> str:
    """A DO block that runs each statement, takes it back, and keeps what came of it."""
    listed = ", ".join(literal(statement) for statement in statements)
    body = f"""
DECLARE
    statement text;
    answers jsonb := '[]';
BEGIN
    FOREACH statement IN ARRAY ARRAY[{listed}]::text[] LOOP
        BEGIN
            EXECUTE statement;
            RAISE EXCEPTION USING ERRCODE = 'DPE00';
        EXCEPTION WHEN OTHERS THEN
            answers := answers || pg_catalog.jsonb_build_array(pg_catalog.jsonb_build_array(
                CASE WHEN SQLSTATE OPERATOR(pg_catalog.=) 'DPE00' THEN '' ELSE SQLSTATE END, SQLERRM));
        END;
    END LOOP;
    PERFORM pg_catalog.set_config('dpe.answers', answers::text, true);
END"""
    return f"DO {literal(body)}"


# --- objects and what is tried on them ---


def _objects(ground: Ground) -> Iterator[Object]:
    database = ground.database
    schemas = dict.fromkeys(database.schemas) | {
        detail.name: detail.owner for detail in database.schema_details
    }
    for schema, owner in sorted({"public": None, **schemas}.items()):
        yield _schema(schema, owner)
    for table in database.tables:
        yield _table(table)
    views: tuple[View | MaterializedView, ...] = (*database.views, *database.materialized_views)
    for view in views:
        yield _view(view)
    for sequence in database.sequences:
        name = qualified_name(sequence.name)
        attempts = {"USAGE": f"SELECT nextval({literal(name)})", "SELECT": f"SELECT FROM {name} LIMIT 0"}
        owner = sequence.owner or _owner_of(database.tables, sequence.owned_by)
        yield Object("sequence", _key(sequence.name), sequence.name, owner, attempts=attempts)
    yield from (_routine(routine) for routine in routines(ground.connection))


def _key(name: Name) -> str:
    """As the server names it under an empty search path."""
    return f"{identifier(name.schema)}.{identifier(name.name)}"


def _owner_of(tables: Sequence[Table], column: tuple[Name, str] | None) -> str | None:
    return next((table.owner for table in tables if column and table.name == column[0]), None)


def _schema(name: str, owner: str | None) -> Object:
    absent, new = qualified(name, "dpe: none"), qualified(name, "dpe: new")
    attempts = {"USAGE": f"SELECT FROM {absent}", "CREATE": f"CREATE TABLE {new} ()"}
    return Object("schema", name, Name(name, name), owner, attempts=attempts)


def _table(table: Table) -> Object:
    name = qualified_name(table.name)
    if table.foreign:  # its server would be asked
        asked = dict.fromkeys(("SELECT", *_WRITE), "")
        return Object("table", _key(table.name), table.name, table.owner, table.columns, asked=asked)
    attempts = {"SELECT": f"SELECT FROM {name} LIMIT 0"} if not table.columns else {}
    attempts |= _statements(name, table.columns)
    return Object("table", _key(table.name), table.name, table.owner, table.columns, attempts)


def _statements(name: str, columns: Sequence[Column]) -> dict[str, str]:
    """One statement for each privilege, on the first column where one has to be named."""
    made = {}
    plain = [identifier(column.name) for column in columns if not column.generated]
    if columns:
        made["SELECT"] = f"SELECT {identifier(columns[0].name)} FROM {name} LIMIT 0"  # noqa: S608 - quoted names
    if plain:
        made["INSERT"] = f"INSERT INTO {name} ({plain[0]}) OVERRIDING SYSTEM VALUE SELECT NULL WHERE false"
        made["UPDATE"] = f"UPDATE {name} SET {plain[0]} = DEFAULT WHERE false"  # noqa: S608 - quoted names
    made["DELETE"] = f"DELETE FROM {name} WHERE false"  # noqa: S608 - quoted names
    return made


def _with_columns(object_: Object, granted: Mapping[str, tuple[str, ...]]) -> dict[str, str]:
    """The attempts, and for each privilege that is granted on columns one for each of them, and one for another."""
    attempts = dict(object_.attempts)
    for privilege, columns in granted.items():
        if privilege not in ("SELECT", "INSERT", "UPDATE") or privilege not in attempts:
            continue
        del attempts[privilege]
        others = [column.name for column in object_.columns if column.name not in columns][:1]
        for column in (*columns, *others):
            one = [part for part in object_.columns if part.name == column]
            made = _statements(qualified_name(object_.name), one)
            if privilege in made:
                attempts[f"{privilege} ({column})"] = made[privilege]
    return attempts


def _view(view: View | MaterializedView) -> Object:
    name = qualified_name(view.name)
    kind = "view" if isinstance(view, View) else "materialized view"
    attempts = {"SELECT": f"SELECT FROM {name} LIMIT 0"}
    asked = dict.fromkeys(_WRITE, "") if kind == "view" else {}
    return Object(kind, _key(view.name), view.name, view.owner, attempts=attempts, asked=asked)


def _routine(routine: Routine) -> Object:
    kind = "procedure" if routine.procedure else "function"
    owner = None if routine.owner.startswith("dpe_") else routine.owner
    return Object(kind, routine.key, Name(routine.schema, routine.name), owner, asked={"EXECUTE": ""})


def _grant_kind(kind: str) -> str:
    return "table" if kind in ("view", "materialized view") else kind


def _claim(kind: str, object_: str, role: str, state: Any, detail: str, claim: str = HOLDS) -> Claim:
    return Claim(kind=kind, object=object_, claim=claim, state=state, detail=detail, role=role)
