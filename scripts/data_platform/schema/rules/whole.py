"""Rules about the model as a whole."""

from __future__ import annotations

from collections.abc import Iterator

from data_platform.report.finding import Severity
from data_platform.schema.rules.indexes import unexplained
from data_platform.schema.rules.rule import Hit, rule
from data_platform.schema.rules.subject import Subject
from data_platform.sql.text import qualified_name

_LAST_RELEASE = {13: "2025-11-13", 14: "2026-11-12"}
"""https://www.postgresql.org/support/versioning/"""
_SHOWN = 5


@rule(
    "no-access-patterns",
    "warning",
    "Indexes follow from queries: without them nobody can tell which are missing and which are waste.",
    "Indexes on frequently queried columns",
)
def no_access_patterns(subject: Subject) -> Iterator[Hit]:
    if not subject.queries and not subject.is_database:
        count = sum(1 for _ in unexplained(subject))
        rest = f", so the reason of {count} index{'es' if count > 1 else ''} is unknown" if count else ""
        fix = "access_patterns: the queries that matter, each with its frequency"
        yield Hit(message=f"the model declares no access pattern{rest}", fix=fix, path=("tables",))


@rule(
    "tables-without-comment", "info", "A comment in the catalog is documentation that travels with the data."
)
def tables_without_comment(subject: Subject) -> Iterator[Hit]:
    bare = [table.name for table in subject.tables if not table.comment]
    if bare:
        shown = ", ".join(f"`{name}`" for name in bare[:_SHOWN]) + (", …" if len(bare) > _SHOWN else "")
        message = f"{len(bare)} of {len(subject.tables)} tables have no comment: {shown}"
        remedy = f"COMMENT ON TABLE {qualified_name(bare[0])} IS 'what one row is';"
        yield Hit(message=message, fix="comment: what one row is", remedy=remedy, path=("tables",))


@rule("server-version-ends", "warning", "After its last release a version gets no security fixes.")
def server_version_ends(subject: Subject) -> Iterator[Hit]:
    version = subject.design.server_version
    if version in _LAST_RELEASE:
        message = f"PostgreSQL {version} has its last release on {_LAST_RELEASE[version]}"
        milder: Severity | None = "info" if version > min(_LAST_RELEASE) else None
        fix, remedy = "server_version: 18", "an upgrade to PostgreSQL 18"
        yield Hit(message=message, fix=fix, remedy=remedy, path=("server_version",), severity=milder)
