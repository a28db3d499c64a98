"""Airflow and Dagster: `dpe pipeline run` on the spec's schedule, one run at a time, and then `dpe pipeline status`."""

from __future__ import annotations

import ast
import re
import shlex

from data_platform.pipeline.engines.project import Project, filled
from data_platform.spec.pipeline import Pipeline

_SHORTEST_WINDOW_SECONDS = 60
"""Dagster takes no window of freshness that is shorter."""


def render(spec: Pipeline, target: str, head: str, path: str) -> Project:
    """The DAG or the definitions. `path` is the spec's, from the folder with claude.md on."""
    airflow = target == "airflow"
    name, variable = _word(spec.name), f"PIPELINE_DATABASE_{_word(spec.store).upper()}"
    seconds, fresh = 2 * int(spec.levels.duration or 0), spec.levels.freshness
    values = {
        "head": head,
        "name": repr(name),
        "pipeline": repr(spec.name).replace('"', '\\"'),  # it stands in a docstring
        "database": variable,
        "schedule": repr(spec.schedule),
        "retries": repr(spec.retries),
    }
    if airflow:
        values["arguments"] = repr(_arguments(path, variable))
        values["made"] = repr([".".join(one) for one in _made(spec)])
        values["timeout"] = f"timedelta(seconds={seconds})" if seconds else "None"
    else:
        values["spec"] = repr(path)
        values["made"] = repr([[_word(part) for part in one] for one in _made(spec)])
        values["timeout"] = repr(seconds or None)
        values["fresh"] = repr(max(int(fresh), _SHORTEST_WINDOW_SECONDS) if fresh else None)
    text = filled(f"{target}.py.txt", **values)
    ast.parse(text)
    return Project({f"{name}_{'dag' if airflow else 'definitions'}.py": text})


def _word(text: str) -> str:
    """A name of letters, digits and _ alone, another for each text that is not of ASCII too."""
    return re.sub(r"[^A-Za-z0-9]", lambda found: "_" if found[0].isascii() else f"{ord(found[0]):X}", text)


def _arguments(path: str, variable: str) -> str:
    """For bash, in a template of Jinja: as it is where the path has nothing of either."""
    quoted = shlex.quote(path)
    if re.search(r"{[{%#]", quoted):
        quoted = f"{{% raw %}}{quoted}{{% endraw %}}"
    project = '"${PIPELINE_PROJECT:?is the folder with claude.md}"'
    return f'{project}/{quoted} --dsn env:{variable} --project "$PIPELINE_PROJECT"'


def _made(spec: Pipeline) -> list[list[str]]:
    """What a run of it brings up to date: tables, views, and by name what projections and collections are."""
    kept = spec.kept
    tables = [one.table for one in spec.targets]
    tables += [one.name for one in kept.views] + [one.view for one in kept.summaries]
    made = [[one.schema, one.name] for one in tables]
    made += [[one.name] for one in kept.projections] + [[one.name] for one in kept.collections]
    return made or [[spec.name]]
