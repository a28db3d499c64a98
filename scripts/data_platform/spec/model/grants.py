"""Grants and revokes: `{on: table orders, to: app, privileges: [select]}`, and default privileges."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, get_args, get_type_hints

from data_platform.model.database import DefaultPrivilege, Grant
from data_platform.spec.document import Path_
from data_platform.spec.model.context import Context, near
from data_platform.sql import phrases
from data_platform.sql.text import NotSql

PRIVILEGES: Mapping[str, tuple[str, ...]] = {
    "table": ("DELETE", "INSERT", "REFERENCES", "SELECT", "TRIGGER", "TRUNCATE", "UPDATE"),
    "sequence": ("SELECT", "UPDATE", "USAGE"),
    "schema": ("CREATE", "USAGE"),
    "function": ("EXECUTE",),
    "procedure": ("EXECUTE",),
    "type": ("USAGE",),
    "domain": ("USAGE",),
    "language": ("USAGE",),
    "foreign server": ("USAGE",),
    "foreign data wrapper": ("USAGE",),
}
"""What ALL means for each kind of object; MAINTAIN on tables came with PostgreSQL 17."""

_OF_COLUMNS = ("INSERT", "REFERENCES", "SELECT", "UPDATE")
_PLURALS = {
    "tables": "table",
    "sequences": "sequence",
    "functions": "function",
    "types": "type",
    "schemas": "schema",
}
_LARGE_OBJECTS = ("SELECT", "UPDATE")
_KINDS: tuple[str, ...] = get_args(get_type_hints(Grant)["kind"])
_DEFAULT_KINDS: tuple[str, ...] = get_args(get_type_hints(DefaultPrivilege)["kind"])


def read_grant(context: Context, spec: Mapping[str, Any], path: Path_) -> Grant | None:
    """One entry of `grants:`."""
    words = spec["on"].strip()
    kind = next(
        (kind for kind in sorted(_KINDS, key=len, reverse=True) if words.startswith(f"{kind} ")), None
    )
    if kind is None:
        fix = f"one of {', '.join(_KINDS)}, and a name"
        context.error((*path, "on"), "spec-grant", f"`{words}` does not begin with a kind of object", fix)
        return None
    object_ = words[len(kind) :].strip()
    columns = tuple(spec.get("columns", ()))
    privileges = _privileges(context, spec, path, kind, bool(columns))
    if not _is_object(kind, object_):
        message = f"`{object_}` is no {kind} as GRANT names it"
        context.error((*path, "on"), "spec-grant", message, "as in SQL: app.orders, app.total(integer)")
        return None
    role, revoked = _role(context, spec, path)
    return Grant(
        kind=kind,  # type: ignore[arg-type]  # one of _KINDS
        object=object_,
        role=role,
        privileges=privileges,
        columns=columns,
        grantable=spec.get("grantable", False),
        revoked=revoked,
    )


def read_default(context: Context, spec: Mapping[str, Any], path: Path_) -> DefaultPrivilege | None:
    """One entry of `default_privileges:`."""
    role, revoked = _role(context, spec, path)
    kind = spec["on"]
    if kind not in _DEFAULT_KINDS:
        return None
    return DefaultPrivilege(
        kind=kind,
        role=role,
        privileges=_privileges(context, spec, path, _PLURALS.get(kind, kind), False),
        owner=spec.get("owner"),
        schema=spec.get("schema"),
        grantable=spec.get("grantable", False),
        revoked=revoked,
    )


def write_grant(grant: Grant) -> dict[str, Any]:
    """What `read_grant` reads."""
    spec = {"on": f"{grant.kind} {grant.object}", **_who(grant)}
    if grant.columns:
        spec["columns"] = list(grant.columns)
    return spec | ({"grantable": True} if grant.grantable else {})


def write_default(default: DefaultPrivilege) -> dict[str, Any]:
    """What `read_default` reads."""
    spec: dict[str, Any] = {"on": default.kind}
    spec |= {key: value for key in ("owner", "schema") if (value := getattr(default, key)) is not None}
    spec |= _who(default)
    return spec | ({"grantable": True} if default.grantable else {})


def _who(grant: Grant | DefaultPrivilege) -> dict[str, Any]:
    key = "from" if grant.revoked else "to"
    return {key: grant.role, "privileges": [privilege.lower() for privilege in grant.privileges]}


def _role(context: Context, spec: Mapping[str, Any], path: Path_) -> tuple[str, bool]:
    given = [key for key in ("to", "from") if key in spec]
    if len(given) != 1:
        message = "expected exactly one of `to` (a grant) and `from` (a revoke)"
        context.error(path, "spec-grant", message, "to: a role, or public")
        return "", False
    context.identifier(spec[given[0]], (*path, given[0]))
    return spec[given[0]], given[0] == "from"


def _privileges(
    context: Context, spec: Mapping[str, Any], path: Path_, kind: str, columns: bool
) -> tuple[str, ...]:
    known = _known_privileges(kind, columns, context.server_version)
    found: set[str] = set()
    given = spec["privileges"] if isinstance(spec["privileges"], list) else [spec["privileges"]]
    for number, word in enumerate(given):
        upper = word.strip().upper()
        if upper in ("ALL", "ALL PRIVILEGES"):
            found |= set(known)
        elif upper in known:
            found.add(upper)
        else:
            fix = near(upper, known) or f"one of {', '.join(known)}"
            message = f"`{word}` is no privilege of a {kind}"
            context.error((*path, "privileges", str(number)), "spec-grant", message, fix.lower())
    return tuple(sorted(found))


def _known_privileges(kind: str, columns: bool, server_version: int) -> tuple[str, ...]:
    if columns:
        return _OF_COLUMNS
    known = PRIVILEGES.get(kind, _LARGE_OBJECTS)
    return tuple(sorted((*known, "MAINTAIN"))) if kind == "table" and server_version >= 17 else known


def _is_object(kind: str, text: str) -> bool:
    """Whether GRANT reads `text` as one object of that kind, and nothing behind it."""
    try:
        phrases.granted(kind, text)
    except NotSql:
        return False
    return True


def kinds() -> Iterable[str]:
    """The kinds of objects that privileges are granted on."""
    return _KINDS
