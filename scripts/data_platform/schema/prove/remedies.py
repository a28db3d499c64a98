"""What to change in the model for each thing that a proof found: one line, in the model's own words."""

from __future__ import annotations

from data_platform.model.database import Database
from data_platform.schema.prove import grants, interference, partitions, promises
from data_platform.schema.prove.result import DEFAULT, Claim, Probe, Refresh
from data_platform.schema.prove.triggers import STAYS_OUT

FAIL_CLOSED = (
    "compare with nullif(current_setting('…', true), '') in `using:`, so that no setting means no row"
)

_ISOLATION = {
    promises.UNSET: FAIL_CLOSED,
    promises.EMPTY: FAIL_CLOSED,
    promises.OWN: "`using:` the tenant column = the setting, and no other policy that lets more through",
    promises.INSERTED: "`with_check:` the same condition as `using:`, in every policy for insert or all",
    promises.MOVED: "`with_check:` the same condition as `using:`, in every policy for update or all",
    promises.TOUCHED: "`using:` the tenant column = the setting, in every policy for update, delete or all",
    promises.REFERRED: "the tenant column in the key, on both sides: `columns: [tenant_id, …_id]`",
    promises.GUARDED: "`row_security: forced` and a policy, or no grants to roles that tenants use",
    promises.COPIED: "a tenant column and a policy for the table written to, or no select on it for tenants' roles",
}
_PARTITIONS = {
    partitions.LANDS: "a partition under `partitions:` whose bound takes such rows",
    partitions.AHEAD: "partitions for the coming periods under `partitions:`, or one that is `default`",
    partitions.PRUNED: "`partition_by:` the plain column that queries compare, not an expression",
}
_MATERIALIZED = (
    "no grants on it, only on a view over it with a condition on the setting; or a plain view instead"
)
_EMPTIED = (
    "`owner:` a role with `bypass_row_security: true` that may read the tables; no grants on it, only on a "
    "view over it with a condition on the setting"
)


def of_claim(claim: Claim) -> str:
    """For a promise that was broken."""
    known = {**_ISOLATION, **_PARTITIONS}.get(claim.claim)
    if known:
        return known
    if claim.claim in (interference.NOTHING, interference.SILENT, interference.UNTOUCHED):
        return _of_leak(claim)
    if claim.kind == "trigger":
        return _of_trigger(claim)
    return _of_privilege(claim)


def _of_leak(claim: Claim) -> str:
    if claim.kind == interference.MATERIALIZED:
        return _MATERIALIZED
    if "no row-level security" in claim.detail:
        return "`row_security: forced` and a policy for the table that it reads"
    if claim.kind == "view":
        return "`options: {security_invoker: true}`"
    if "SECURITY DEFINER" in claim.detail:
        return "remove `security_definer: true`, or add a condition on the setting to its body"
    return "a policy for what it reads, or a condition on the setting in its body"


def _of_trigger(claim: Claim) -> str:
    if claim.claim.startswith(STAYS_OUT):
        return "`enabled: origin`, if it should fire"
    if "keeps the row" in claim.detail:
        return "RETURN NEW (OLD for a delete) at the end of its function: NULL drops the row"
    if "its function fails" in claim.detail:
        return "the body of its function: columns and tables that it names must be there"
    return "its `timing:` and `events:`, and that its function is the one meant"


def _of_privilege(claim: Claim) -> str:
    if claim.claim == grants.LATER:
        return "`default_privileges:` for the owner that makes the objects, and nothing in another entry against it"
    if "works and is not granted" in claim.detail:
        return "an entry in `grants:` that says so, or a revoke: from public, or from the role that it inherits from"
    if "the default of" in claim.detail:
        return "`grants:` usage on the sequence for this role, or `identity: always` for the column"
    if "schema" in claim.detail:
        return "`grants:` usage on the schema for this role"
    return "`grants:` that agree for the object: another entry or an owner takes this one back"


def of_probe(probe: Probe) -> str:
    """For a constraint that let a row through, or did something else than it says."""
    if probe.kind == DEFAULT:
        return "a `default:` that gives a value of the column's type to whoever inserts"
    if probe.kind.startswith("on delete"):
        return f"`on_delete:` as it happened, or no other key on these rows that comes before `{probe.kind}`"
    if probe.kind in ("unique", "primary key"):
        return "a key over columns that are never NULL, or `nulls_not_distinct: true`"
    if probe.kind == "not null":
        return "`nullable: false` for the column"
    return "an expression that is false, not NULL, for the row that was accepted; and no `enforced: false`"


def of_refresh(database: Database, refresh: Refresh) -> str:
    """For a materialized view that could not be refreshed, or that lost its rows."""
    forced = any(table.row_security == "forced" for table in database.tables)
    if "its owner sees none" in refresh.detail and forced:
        return _EMPTIED
    if "a reader waited" in refresh.detail:
        return "a query that takes less: fewer rows, or an index on what it joins by"
    if "not those of its query" in refresh.detail:
        return (
            "a query that reads only tables: no settings, no clock, and nothing that only some roles may see"
        )
    return "a query that runs on any rows: guard divisions and casts (nullif, CASE), and let its owner read the tables"


PATTERN_FAILS = "the pattern's `sql:` and its parameters' types, so that it runs as it stands"
TOO_SLOW = "an index on what it filters and sorts by, fewer rows read, or a `latency_ms:` that can be met"
RUN_ENDED = "nothing in the model may end a session or run beyond the time limit: look at the stage named"
NOT_PROVABLE = "what is named, or a server that has it: `--dsn` gives another"
REFUSED = "the part of the model that makes this statement, by what the server says"
CATALOG = "the value that the server has, or another spelling that means the same there"
