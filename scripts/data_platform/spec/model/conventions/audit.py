"""`audit`: who changed which row when, written by triggers into one table that the writers may only read."""

from __future__ import annotations

import json
from typing import Any

from data_platform.spec.document import Path_
from data_platform.spec.model.conventions.draft import Draft, listed
from data_platform.sql.text import qualified

_ACTIONS = "action IN ('INSERT', 'UPDATE', 'DELETE', 'TRUNCATE')"


def expand(draft: Draft, key: str, value: Any, path: Path_) -> None:
    """The triggers of one table, and once the log and its function."""
    if {"partition_of", "foreign"} & draft.seen(key).keys():
        return
    _log(draft, path)
    hidden = listed(value.get("except", [])) if isinstance(value, dict) else []
    arguments = [json.dumps(draft.primary_key(key), ensure_ascii=False), *hidden]
    events = ["insert", "update", "delete"]
    draft.add_trigger(
        key, "audit", "write_audit_log", path, timing="after", events=events, arguments=arguments
    )
    draft.add_trigger(
        key, "audit_truncate", "write_audit_log", path, timing="after", events=["truncate"], level="statement"
    )


def _log(draft: Draft, path: Path_) -> None:
    columns = {
        "id": {"type": "bigint", "identity": "always", "primary_key": True},
        "at": {"type": "timestamptz", "default": "clock_timestamp()"},
        "xid": {"type": "xid8", "default": "pg_current_xact_id()"},
        "relation": "text",
        "action": {"type": "text", "check": _ACTIONS},
        "row_id": {"type": "text", "nullable": True},
        "old": {"type": "jsonb", "nullable": True},
        "new": {"type": "jsonb", "nullable": True},
        "login": {"type": "text", "default": "session_user"},
        "person": {
            "type": "text",
            "nullable": True,
            "default": "nullif(current_setting('app.user_id', true), '')",
        },
    }
    spec = {
        "comment": "Every change of the tables that are audited, by the trigger write_audit_log.",
        "columns": columns,
        "indexes": [["relation", "row_id", "id"], {"columns": ["at"], "using": "brin"}],
        "conventions": {"tenant": False},
    }
    if not draft.add_table("audit_log", spec, path):
        return
    log = qualified(draft.default_schema, "audit_log")
    settings = {"search_path": "pg_catalog, pg_temp"}
    draft.add_function(
        "write_audit_log", "audit.sql.j2", path, values={"log": log}, security_definer=True, settings=settings
    )
    function = qualified(draft.default_schema, "write_audit_log")
    grants = draft.data.get("grants", [])
    draft.data["grants"] = [
        *grants,
        {"on": f"function {function}()", "from": "public", "privileges": ["execute"]},
    ]
    draft.origins["grants", str(len(grants))] = path
