"""`dpe pipeline`: one module a verb."""

from __future__ import annotations

from data_platform.cli.pipeline.lineage import LINEAGE
from data_platform.cli.pipeline.prove import PROVE
from data_platform.cli.pipeline.render import RENDER
from data_platform.cli.pipeline.replay import REPLAY
from data_platform.cli.pipeline.run import RUN
from data_platform.cli.pipeline.status import STATUS

COMMANDS = (LINEAGE, PROVE, RENDER, REPLAY, RUN, STATUS)
