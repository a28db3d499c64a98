"""`dpe qdrant`: one module for the verbs that change a server, one for those that read."""

from __future__ import annotations

from data_platform.cli.qdrant.change import ALIAS, APPLY, LOAD, RESTORE, SNAPSHOT
from data_platform.cli.qdrant.read import AUDIT, PLAN

COMMANDS = (PLAN, APPLY, LOAD, ALIAS, AUDIT, SNAPSHOT, RESTORE)
