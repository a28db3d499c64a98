"""Airflow and Dagster: `dpe pipeline run` on the spec's schedule, one run at a time, and then `dpe pipeline status`."""

from __future__ import annotations

import ast
import re

from data_platform.pipeline.engines.project import Project, filled
from data_platform.spec.pipeline import Pipeline

_SHORTEST_WINDOW_SECONDS = 60
"""Dagster looks whether an asset is fresh once a minute, and takes no window that is shorter."""


def render(spec: Pipeline, target: str, head: str, path: str) -> Project:
    """The DAG or the definitions. `path` is the spec's, from the folder with claude.md on."""
    name = re.sub(r"[^A-Za-z0-9_]", "_", spec.name)
    fresh = spec.levels.freshness
    made = _made(spec)
    text = filled(
        f"{target}.py.txt",
        head=head,
        name=repr(name),
        pipeline=repr(spec.name).replace('"', '\\"'),  # it stands in a docstring
        spec=repr(path),
        database=_variable(spec.store),
        schedule=repr(spec.schedule),
        retries=repr(spec.retries),
        made=repr(made if target == "dagster" else [".".join(one) for one in made]),
        seconds=repr(int(spec.levels.duration) if spec.levels.duration else None),
        fresh=repr(max(int(fresh), _SHORTEST_WINDOW_SECONDS) if fresh else None),
    )
    ast.parse(text)
    return Project({f"{name}_{'dag' if target == 'airflow' else 'definitions'}.py": text})


def _variable(store: str) -> str:
    """The name of the environment's variable with the store's address: another for each store of a worker."""
    return "PIPELINE_DATABASE_" + re.sub(
        r"[^A-Z0-9]", lambda found: "_" if found[0].isascii() else f"{ord(found[0]):X}", store.upper()
    )


def _made(spec: Pipeline) -> list[list[str]]:
    """What a run of it brings up to date: tables, views, and by name what projections and collections are."""
    kept = spec.kept
    tables = [one.table for one in spec.targets]
    tables += [one.name for one in kept.views] + [one.view for one in kept.summaries]
    made = [[one.schema, one.name] for one in tables]
    made += [[one.name] for one in (*kept.projections, *kept.collections)]
    return made or [[spec.name]]
