"""`dpe qdrant`: verbs that change a server, those that move points, those that read."""

from __future__ import annotations

from data_platform.cli.qdrant.change import ALIAS, APPLY, RESTORE, SNAPSHOT
from data_platform.cli.qdrant.copy import COPY, LOAD
from data_platform.cli.qdrant.read import AUDIT, PLAN

COMMANDS = (PLAN, APPLY, LOAD, COPY, ALIAS, AUDIT, SNAPSHOT, RESTORE)
