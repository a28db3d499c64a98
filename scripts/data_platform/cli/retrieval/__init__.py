"""`dpe retrieval`: one module a verb."""

from __future__ import annotations

from data_platform.cli.retrieval.chunk import CHUNK
from data_platform.cli.retrieval.diagnose import DIAGNOSE
from data_platform.cli.retrieval.evaluate import EVALUATE
from data_platform.cli.retrieval.load import LOAD
from data_platform.cli.retrieval.migrate_model import MIGRATE_MODEL
from data_platform.cli.retrieval.prove import PROVE
from data_platform.cli.retrieval.render import RENDER
from data_platform.cli.retrieval.search import SEARCH
from data_platform.cli.retrieval.tune import TUNE

COMMANDS = (RENDER, CHUNK, LOAD, EVALUATE, TUNE, DIAGNOSE, MIGRATE_MODEL, SEARCH, PROVE)
