"""Safe forms of statements that hold clients up, as the linter makes them from the statement itself."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby

from data_platform.migration.files import Script, Statement
from data_platform.migration.lint.base import from_database
from data_platform.migration.lint.lint import lint
from data_platform.model.database import Database

_NO_FORM = ("missing-lock-timeout", "data-loss", "rename-breaks-clients", "drop-breaks-clients")
"""What these rules say is to be done around a statement, not in its place."""


def fixes(statements: Sequence[Statement], schema: Database, version: int) -> dict[int, str]:
    """By the statement's number; statements that have no known safe form are left out."""
    scripts = [
        Script(file, b"", tuple(members), (), "none")
        for file, members in groupby(statements, key=lambda statement: statement.file)
    ]
    found: dict[int, str] = {}
    for linted in lint(scripts, from_database(schema), version):
        for finding in sorted(linted.findings, key=lambda one: one.severity != "error"):
            if finding.fix and finding.statement and finding.rule not in _NO_FORM:
                found.setdefault(finding.statement, finding.fix)
    return found
