"""`dpe migration`: one module a verb."""

from __future__ import annotations

from data_platform.cli.migration.lint import LINT

COMMANDS = (LINT,)
