"""Airflow and Dagster: `dpe pipeline run` on the spec's schedule, one run at a time, and then `dpe pipeline status`."""

from __future__ import annotations

import ast
import re

from data_platform.pipeline.engines.project import Project, filled
from data_platform.spec.pipeline import Pipeline


def render(spec: Pipeline, target: str, head: str) -> Project:
    """The DAG or the definitions."""
    name = re.sub(r"[^A-Za-z0-9_]", "_", spec.name)
    text = filled(
        f"{target}.py.txt",
        head=head,
        name=repr(name),
        pipeline=repr(spec.name),
        schedule=repr(spec.schedule),
        retries=repr(spec.retries),
        made=repr(_made(spec)),
        seconds=repr(int(spec.levels.duration) if spec.levels.duration else None),
    )
    ast.parse(text)
    return Project({f"{name}_{'dag' if target == 'airflow' else 'definitions'}.py": text})


def _made(spec: Pipeline) -> list[str]:
    """What a run of it brings up to date: tables, views, and by name what projections and collections are."""
    kept = spec.kept
    made = [str(target.table) for target in spec.targets]
    made += [str(one.name) for one in kept.views] + [str(one.view) for one in kept.summaries]
    made += [one.name for one in kept.projections] + [one.name for one in kept.collections]
    return made or [spec.name]
