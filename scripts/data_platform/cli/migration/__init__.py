"""`dpe migration`: one module a verb."""

from __future__ import annotations

from data_platform.cli.migration.backfill import BACKFILL
from data_platform.cli.migration.lint import LINT
from data_platform.cli.migration.plan import PLAN
from data_platform.cli.migration.prove import PROVE
from data_platform.cli.migration.render import RENDER

COMMANDS = (PLAN, RENDER, LINT, PROVE, BACKFILL)
