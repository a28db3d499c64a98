"""`audit`: who changed which row when, written by triggers into one table that the writers may only read.

Where rows belong to tenants, so do the entries about them: whose row it was may read them. An entry that is about no
tenant's row, or about a row that went from one tenant to another, is shown to none.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from data_platform.spec.document import Path_
from data_platform.spec.model.conventions import tenancy
from data_platform.spec.model.conventions.draft import Draft, is_said, listed, tenant_rule
from data_platform.sql.text import Sql, identifier, literal, qualified

_ACTIONS = "action IN ('INSERT', 'UPDATE', 'DELETE', 'TRUNCATE')"
_TENANT = "Whose row it was, NULL where it was nobody's. No reference: the log outlives the tenant."
_HISTORY = "For what happened to one row."
_PURGE = "For what happened when, and to purge what is old enough."

Rule = Mapping[str, Any]


def expand(draft: Draft, key: str, value: Any, path: Path_) -> None:
    """The triggers of one table, and once the log and its function."""
    if {"partition_of", "foreign"} & draft.seen(key).keys():
        return
    tenants = _tenants(draft)
    _log(draft, tenants, path)
    hidden = listed(value.get("except", [])) if isinstance(value, dict) else []
    arguments = [json.dumps(draft.primary_key(key), ensure_ascii=False)]
    if tenants is not None:
        arguments.append(_whose(draft, key, tenants, path))
    events = ["insert", "update", "delete"]
    draft.add_trigger(
        key,
        "audit",
        "write_audit_log",
        path,
        timing="after",
        events=events,
        arguments=[*arguments, *hidden],
    )
    draft.add_trigger(
        key, "audit_truncate", "write_audit_log", path, timing="after", events=["truncate"], level="statement"
    )


def _tenants(draft: Draft) -> Rule | None:
    """The convention `tenant` of the model, or of the first table that has one."""
    everywhere = draft.rules.get("tenant")
    if is_said(everywhere):
        return everywhere if isinstance(everywhere, dict) else {}
    rules = (tenant_rule(draft, key) for key in draft.data["tables"])
    return next((rule for rule in rules if rule is not None), None)


def _whose(draft: Draft, key: str, tenants: Rule, path: Path_) -> str:
    """The column that says whose row it is; empty where it is nobody's."""
    rule = tenant_rule(draft, key)
    if rule is None:
        is_home = "table" in tenants and draft.name(tenants["table"]) == draft.name(key)
        return (draft.one_key(key, path) or "") if is_home else ""
    if tenancy.setting(draft, rule) != tenancy.setting(draft, tenants):
        message = f"the tenants of `{key}` are not those of the log: another type or setting"
        draft.error(path, message, "one `tenant:` for all tables that are audited")
    return str(rule.get("column", "tenant_id"))


def _log(draft: Draft, tenants: Rule | None, path: Path_) -> None:
    columns = {
        "id": {"type": "bigint", "identity": "always", "primary_key": True},
        "at": {"type": "timestamptz", "default": "clock_timestamp()"},
        "xid": {"type": "xid8", "default": "pg_current_xact_id()"},
        "relation": "text",
        "action": {"type": "text", "check": _ACTIONS},
        "row_id": {"type": "text", "nullable": True, "comment": "NULL where the whole table was emptied."},
        "old": {"type": "jsonb", "nullable": True},
        "new": {"type": "jsonb", "nullable": True},
        "login": {"type": "text", "default": "session_user"},
        "person": {
            "type": "text",
            "nullable": True,
            "default": "nullif(current_setting('app.user_id', true), '')",
        },
    }
    of_row = {"columns": ["relation", "row_id", "id"], "comment": _HISTORY}
    spec = {
        "comment": "Every change of the tables that are audited, by the trigger write_audit_log.",
        "columns": columns,
        "indexes": [of_row, {"columns": ["at"], "using": "brin", "comment": _PURGE}],
        "conventions": {"tenant": False},
    }
    values = {"log": qualified(draft.default_schema, "audit_log"), "setting": Sql("")}
    if tenants is not None:
        _give_to_tenants(draft, spec, tenants)
        values["setting"] = literal(tenancy.setting_name(tenants))
    if draft.add_table("audit_log", spec, path):
        _function(draft, values, path)


def _give_to_tenants(draft: Draft, spec: dict[str, Any], rule: Rule) -> None:
    """The tenant leads the log's index too, and its policies are those of every table of tenants.

    The function writes as the log's owner and for nobody's rows, which nobody may read.
    """
    column = str(rule.get("column", "tenant_id"))
    setting = tenancy.setting(draft, rule)
    tenant = {"type": tenancy.type_of(draft, rule), "nullable": True, "default": setting, "comment": _TENANT}
    spec["columns"] = {column: tenant, **spec["columns"]}
    spec["indexes"][0]["columns"] = [column, *spec["indexes"][0]["columns"]]
    condition = tenancy.condition(draft, column, rule)
    check = f"{identifier(column)} IS NOT DISTINCT FROM {setting}"
    spec["policies"] = {"tenant_only": {"permissive": False, "using": condition, "with_check": check}}
    tenancy.secure(spec, condition, rule)
    if "roles" in rule:
        spec["policies"]["written"] = {"command": "insert", "with_check": "true"}


def _function(draft: Draft, values: Mapping[str, Sql], path: Path_) -> None:
    settings = {"search_path": "pg_catalog, pg_temp"}
    draft.add_function(
        "write_audit_log", "audit.sql.j2", path, values=values, security_definer=True, settings=settings
    )
    function = qualified(draft.default_schema, "write_audit_log")
    grants = draft.data.get("grants", [])
    draft.data["grants"] = [
        *grants,
        {"on": f"function {function}()", "from": "public", "privileges": ["execute"]},
    ]
    draft.origins["grants", str(len(grants))] = path
