"""Privileges, tried as each role: what the model grants must work, and what it does not grant must be refused.

Nothing is changed: no row is selected, written or deleted, and every attempt is taken back. Row-level security and
triggers are set aside, they are not this stage's matter.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Literal

from data_platform.model.database import (
    DefaultPrivilege,
    Grant,
    Role,
)
from data_platform.postgres.canonical.access import named
from data_platform.postgres.filling.aside import switch_off
from data_platform.schema.prove.ground import Ground
from data_platform.schema.prove.privileges import Object, grant_kind, objects, with_columns
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
        """At most `MAX_ATTEMPTS`, and word of what was beyond them."""
        listed = list(objects(self.ground))
        each = max(1, sum(len(object_.attempts) + len(object_.asked) for object_ in listed))
        reached = listed[: max(1, MAX_ATTEMPTS * len(listed) // each)]
        tried_roles = roles[: max(1, MAX_ATTEMPTS // each)]
        for role in tried_roles:
            yield from self._role(role, reached)
        if len(reached) < len(listed) or len(tried_roles) < len(roles):
            told = (
                f"{len(listed) - len(reached)} objects and {len(roles) - len(tried_roles)} roles are beyond the "
                f"limit of {MAX_ATTEMPTS:,} attempts"
            )
            yield _claim("role", "the rest", roles[-1].name, "not checked", told)

    def _role(self, role: Role, reached: Sequence[Object]) -> Iterator[Claim]:
        wishes = [(object_, with_columns(object_, self._columns(role, object_))) for object_ in reached]
        answers = self._tried(role, [sql for _, attempts in wishes for sql in attempts.values()])
        for object_, attempts in wishes:
            mine = {privilege: next(answers) for privilege in attempts}
            yield self._judged(role, object_, mine)
            if object_.kind == "table" and self._granted(role, object_, "INSERT"):
                yield from self._numbers(role, object_)

    def _numbers(self, role: Role, object_: Object) -> Iterator[Claim]:
        """Sequences that an INSERT draws from: their privileges are asked for only when a number is drawn."""
        for column in object_.columns:
            if column.default is None or not column.default.startswith("nextval("):
                continue
            outcome = tried(self.ground.connection, Identity(role.name), f"SELECT {column.default}")
            if outcome.denied:
                told = (
                    f"INSERT is granted, but the default of `{column.name}` is refused: `{outcome.message}`"
                )
                claim = _claim("table", object_.key, role.name, "failed", told)
                yield replace(claim, table=object_.name)

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
            for grant in self._on.get((grant_kind(object_.kind), object_.key), ())
        )
        if given or (object_.kind not in _ROUTINES and any(plain in _PREDEFINED.get(h, ()) for h in holders)):
            return "granted"
        return "by default" if self._by_default(object_, plain) else None

    def _columns(self, role: Role, object_: Object) -> dict[str, tuple[str, ...]]:
        """Columns that are granted to the role by name, by privilege."""
        holders = self.ground.inherited(role.name)
        found: dict[str, tuple[str, ...]] = {}
        for grant in self._on.get((grant_kind(object_.kind), object_.key), ()):
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
        granted = self._on.get((grant_kind(object_.kind), object_.key), ())
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
        whole = default.kind == "schemas"
        new = identifier("dpe new") if whole else qualified(schema, "dpe new")
        shown = "dpe new" if whole else f"{new}{_SIGNATURES.get(default.kind, '')}"
        who = literal(default.role)
        asked = ", ".join(
            f"{ask}({who}, {literal(shown)}, {literal(privilege)})" for privilege in default.privileges
        )
        prepare = []
        if (
            default.owner is not None and default.schema is None and not whole
        ):  # it may have none to make one in
            prepare = [f"GRANT CREATE ON SCHEMA public TO {identifier(default.owner)}"]
        outcome = tried(
            self.ground.connection,
            Identity(default.owner),
            make.format(new=new),
            look=(f"SELECT {asked}",),
            prepare=prepare,
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


def _claim(kind: str, object_: str, role: str, state: Any, detail: str, claim: str = HOLDS) -> Claim:
    return Claim(kind=kind, object=object_, claim=claim, state=state, detail=detail, role=role)
