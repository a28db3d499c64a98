"""`dpe schema`: one module a verb."""

from __future__ import annotations

from data_platform.cli.schema.diagram import DIAGRAM
from data_platform.cli.schema.diff import DIFF
from data_platform.cli.schema.imported import IMPORT
from data_platform.cli.schema.lint import LINT
from data_platform.cli.schema.prove import PROVE
from data_platform.cli.schema.render import RENDER

COMMANDS = (IMPORT, RENDER, DIFF, DIAGRAM, LINT, PROVE)
