"""Where the reason for a finding is told, with the form that was run: its section of the migration patterns."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

_PAGES = "references/migration-patterns"

PLACES: Mapping[str, str] = MappingProxyType(
    {
        # lint
        "rename-breaks-clients": "-columns.md#i-must-rename-a-column",
        "drop-breaks-clients": "-columns.md#a-column-must-go",
        "row-security-without-policy": "-constraints.md#everybody-sees-no-row-after-row-level-security",
        "constraint-loosened": "-running.md#old-and-new-application-run-at-once",
        "fk-not-valid-missing": "-constraints.md#a-foreign-key-stops-writes-to-both-tables",
        "check-not-valid-missing": "-constraints.md#a-check-reads-the-table-while-everybody-waits",
        "set-not-null-scan": "-constraints.md#set-not-null-reads-the-whole-table",
        "unique-constraint-blocking": "-constraints.md#unique-builds-its-index-while-everybody-waits",
        "exclude-constraint-blocking": "-constraints.md#an-exclusion-constraint-has-no-online-form",
        "add-column-required": "-columns.md#a-required-column-is-refused",
        "data-loss": "-data.md#what-is-destroyed-no-down-file-brings-back",
        "update-all-rows": "-data.md#one-update-of-every-row-stalls-the-table",
        "enum-value-in-transaction": "-types.md#unsafe-use-of-a-new-enum-value",
        "index-not-concurrent": "-indexes.md#building-an-index-blocks-writes",
        "concurrently-in-transaction": "-indexes.md#concurrently-cannot-run-inside-a-transaction-block",
        "concurrently-on-partitioned": "-indexes.md#a-partitioned-table-takes-no-concurrently",
        "invalid-index-left": "-indexes.md#an-index-is-there-and-is-not-used",
        "table-rewrite": "-tables.md#the-table-is-bloated",
        "add-column-volatile-default": "-columns.md#a-default-rewrites-the-table",
        "column-type-change": "-types.md#the-type-must-change",
        "json-not-jsonb": "-types.md#types-to-take-for-a-new-column",
        "serial-not-identity": "-types.md#types-to-take-for-a-new-column",
        "timestamp-without-tz": "-types.md#types-to-take-for-a-new-column",
        "varchar-limit": "-types.md#types-to-take-for-a-new-column",
        "int-pk-overflow": "-types.md#the-int-key-runs-out",
        "access-exclusive-long": ".md#locks-are-kept-to-the-end-of-the-transaction",
        "multiple-access-exclusive": ".md#locks-are-kept-to-the-end-of-the-transaction",
        "missing-lock-timeout": ".md#every-client-hangs-behind-a-small-alter",
        # what lint says of files
        "syntax-error": "-running.md#lint-says-that-it-did-not-read-something",
        "psql-command-not-read": "-running.md#lint-says-that-it-did-not-read-something",
        "dynamic-sql-not-read": "-running.md#lint-says-that-it-did-not-read-something",
        "suppression-without-reason": "-running.md#lint-says-that-it-did-not-read-something",
        "suppression-unused": "-running.md#lint-says-that-it-did-not-read-something",
        # prove
        "statement-fails": "-running.md#the-migration-was-killed-half-way",
        "stalls-clients": ".md#every-client-hangs-behind-a-small-alter",
        "blocks-while-it-works": "-locks.md#how-to-read-it",
        "depends-on-rows": "-constraints.md#set-not-null-reads-the-whole-table",
        "not-run": "-running.md#lint-says-that-it-did-not-read-something",
        "breaks-clients": "-running.md#old-and-new-application-run-at-once",
        "refuses-values": "-running.md#old-and-new-application-run-at-once",
        "plans-invalid": "-running.md#cached-plan-must-not-change-result-type",
        "rows-deleted": "-data.md#what-is-destroyed-no-down-file-brings-back",
        "not-reversible": "-running.md#the-way-back-does-not-lead-back",
        "second-up-fails": "-running.md#the-way-back-does-not-lead-back",
        "not-idempotent": "-running.md#the-migration-was-killed-half-way",
        "does-not-recover": "-running.md#the-migration-was-killed-half-way",
        "breaks-pattern": "-running.md#old-and-new-application-run-at-once",
        "pattern-fails": "-running.md#old-and-new-application-run-at-once",
        # plan and backfill
        "no-online-form": "-locks.md#how-to-read-it",
        "backfill-rows-left": "-data.md#the-backfill-never-ends",
    }
)
"""By rule, the rest of the page's name and the section."""


def reference(rule: str) -> str | None:
    """The section that tells of what the rule finds; None where there is none."""
    place = PLACES.get(rule)
    return None if place is None else f"{_PAGES}{place}"
