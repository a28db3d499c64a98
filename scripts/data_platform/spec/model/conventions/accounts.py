"""`accounts`: people, the ways in which they prove who they are, organisations, and who belongs to which as what."""

from __future__ import annotations

from typing import Any

from data_platform.spec.document import Path_
from data_platform.spec.model.conventions.draft import Draft
from data_platform.sql.text import literal, literals

_ID = {"type": "uuid", "default": "gen_random_uuid()", "primary_key": True}
_CREATED = {"type": "timestamptz", "default": "now()"}


def expand(draft: Draft, value: Any, path: Path_) -> None:
    """users, identities, organisations and memberships."""
    roles = (
        value.get("roles", ["owner", "admin", "member"])
        if isinstance(value, dict)
        else ["owner", "admin", "member"]
    )
    for name, spec in _tables(roles).items():
        draft.add_table(name, {**spec, "conventions": {"tenant": False}}, path)


def _tables(roles: list[str]) -> dict[str, dict[str, Any]]:
    def belongs_to(table: str, on_delete: str = "cascade") -> dict[str, Any]:
        return {"references": {"table": table, "on_delete": on_delete}}

    return {
        "users": {
            "comment": "People, whichever organisations they work for.",
            "columns": {
                "id": _ID,
                "email": {"type": "text", "check": "email LIKE '_%@_%'"},
                "created_at": _CREATED,
            },
            "indexes": [
                {"columns": [{"expression": "lower(email)"}], "unique": True, "name": "users_email_key"}
            ],
        },
        "identities": {
            "comment": "Ways to prove that it is this person: password, single sign-on, passkey.",
            "columns": {
                "provider": "text",
                "subject": {
                    "type": "text",
                    "comment": "The provider's id of the person; for a password the user's id.",
                },
                "user_id": belongs_to("users"),
                "secret_hash": {
                    "type": "text",
                    "nullable": True,
                    "comment": "Made of a password by the application (argon2id, scrypt); else NULL.",
                },
                "created_at": _CREATED,
            },
            "primary_key": ["provider", "subject"],
        },
        "organisations": {
            "comment": "Who owns the data and pays.",
            "columns": {"id": _ID, "name": "text", "created_at": _CREATED},
        },
        "memberships": {
            "comment": "Who belongs to which organisation, and as what.",
            "columns": {
                "organisation_id": belongs_to("organisations"),
                "user_id": belongs_to("users", "restrict"),
                "role": {"type": "text", "check": f"role IN ({literals(roles)})"},
                "created_at": _CREATED,
            },
            "primary_key": ["organisation_id", "user_id"],
            "indexes": [
                ["user_id"],
                {
                    "columns": ["organisation_id"],
                    "unique": True,
                    "where": f"role = {literal(roles[0])}",
                    "name": f"memberships_one_{roles[0]}",
                },
            ],
        },
    }
