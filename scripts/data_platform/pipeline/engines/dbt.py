"""The project for dbt on PostgreSQL: a spec that lands the sources, a model for each transform and target, tests.

dbt transforms what is in the database, so the sources are landed by a run of ours. A dbt snapshot takes what is there
when it runs, and the usual incremental model the rows since the last build: both lose what comes late. Here a target of
a growing source is an incremental model that decides anew, from all that was landed, on each key that came again; any
other one is a table that is made anew.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from data_platform.pipeline.engines import landing, merges
from data_platform.pipeline.engines.project import (
    Goal,
    Job,
    Project,
    filled,
    findings_of,
    reads,
    several_rows,
    title_of,
    wide,
)
from data_platform.spec.pipeline import TARGET, Pipeline
from data_platform.sql.text import identifier


def render(job: Job, sources: Mapping[str, Any], output: Path | None) -> Project:
    """The files. `sources` are the spec's, as it says them, by name; `output` is the folder that they go into.

    UsageProblem for names that dbt cannot have, and for what has no form in it.
    """
    landing.refuse(job, "dbt")
    spec = job.spec
    files = {
        "dbt_project.yml": landing.written(job, _project(spec)),
        "profiles.yml": landing.written(job, _profiles(spec)),
        "landing.yaml": landing.written(job, landing.run_of(job, sources, output)),
        "landing.sql": filled("landing.sql.txt", head=job.comment("--"), tables=_landing(job)),
        "models/sources.yml": landing.written(job, _sources(job)),
        "models/models.yml": landing.written(job, _models(job)),
        "macros/generate_schema_name.sql": filled("dbt_schema.sql.txt"),
        "macros/landed.sql": filled("dbt_landed.sql.txt", built=_built(job), row=landing.ROW),
        "README.md": filled(
            "dbt_readme.md.txt", title=title_of(job), head="\n".join(job.head), written=_how_written(job)
        ),
    }
    for name, sql in job.statements.items():
        files[f"models/{name}.sql"] = _transform(job, name, sql)
    for goal in job.goals:
        files[f"models/{_model(goal)}.sql"] = _target(job, goal)
        if len(goal.target.key) > 1 and goal.way == "merge":
            files[f"tests/{_model(goal)}_key.sql"] = _key_test(job, goal)
    grown = [goal.name for goal in job.goals if _grows(job, goal)]
    own = landing.findings(job, "materialized: incremental", grown)
    return Project(files, (*findings_of(job, "dbt"), *own))


# --- files of YAML ---


def _project(spec: Pipeline) -> dict[str, Any]:
    name = landing.name_of(spec)
    return {
        "name": name, "version": "1.0.0", "profile": name, "model-paths": ["models"], "macro-paths": ["macros"],
        "test-paths": ["tests"], "models": {name: {"+materialized": "view", "+schema": landing.schema(spec)}},
    }  # fmt: skip


def _profiles(spec: Pipeline) -> dict[str, Any]:
    def from_environment(name: str, default: str = "") -> str:
        return "{{ env_var('" + name + (f"', '{default}" if default else "") + "') }}"

    port = "{{ env_var('PGPORT', '5432') | int }}"
    target = {
        "type": "postgres", "host": from_environment("PGHOST", "localhost"), "port": port,
        "user": from_environment("PGUSER"), "password": from_environment("PGPASSWORD"),
        "dbname": from_environment("PGDATABASE"), "schema": landing.schema(spec), "threads": 4,
    }  # fmt: skip
    return {landing.name_of(spec): {"target": "default", "outputs": {"default": target}}}


def _sources(job: Job) -> dict[str, Any]:
    groups: dict[str, list[dict[str, Any]]] = {}
    for source in job.sources():
        there = source.table if source.dsn == TARGET and source.table is not None else None
        schema, table = (there.schema, there.name) if there else (landing.schema(job.spec), source.name)
        groups.setdefault(schema, []).append(
            {"name": source.name, "identifier": table, "quoting": {"identifier": True}}
        )
    return {
        "version": 2,
        "sources": [
            {"name": f"in_{schema}", "schema": schema, "tables": tables}
            for schema, tables in sorted(groups.items())
        ],
    }


def _models(job: Job) -> dict[str, Any]:
    made: list[dict[str, Any]] = []
    for name in job.statements:
        columns = [_column(column, type_) for column, type_ in job.tables[name].items()]
        made.append(
            {"name": name, "description": _jinja(f"The transform {name} of the spec."), "columns": columns}
        )
    for goal in job.goals:
        key = goal.target.key
        columns = []
        for column, type_ in goal.columns.items():
            told = _column(column, type_)
            tests = ["not_null"] if column in key else []
            tests += ["unique"] if key == (column,) and goal.way == "merge" else []
            columns.append({**told, **({"data_tests": tests} if tests else {})})
        made.append(
            {"name": _model(goal), "description": _jinja(f"The target {goal.name}."), "columns": columns}
        )
    return {"version": 2, "models": made}


def _column(name: str, type_: str) -> dict[str, Any]:
    return {"name": _jinja(name), "quote": True, "data_type": _jinja(type_)}


# --- models that grow ---


def _grows(job: Job, goal: Goal) -> bool:
    """Whether a target is made of rows as they were landed, one by one, to which others come.

    An INSERT of dbt's own names the columns of a model that is there, and does not double the quotes in them.
    """
    of = goal.target.source
    follows = not job.whole if _is_landed(job, of) else job.spec.pattern != "elt" and of in _row_wise(job)
    return follows and not any('"' in name for name in goal.columns)


def _is_landed(job: Job, name: str) -> bool:
    return any(one.name == name for one in landing.landed(job))


def _row_wise(job: Job) -> dict[str, str]:
    """Transforms of a growing source whose rows are of one of its rows each, with the source."""
    found: dict[str, str] = {}
    several = {*wide(job), *several_rows(job)}
    for name in job.statements if not job.whole else ():
        of, *others = reads(job, name)
        if not others and name not in several and (_is_landed(job, of) or of in found):
            found[name] = found.get(of, of)
    return found


def _how_written(job: Job) -> str:
    grown = [goal.name for goal in job.goals if _grows(job, goal)]
    anew = [goal.name for goal in job.goals if not _grows(job, goal)]
    told = []
    if grown:
        told.append(
            f"{', '.join(grown)}: of each key that came again the rows are written, in one transaction with the note\n"
            "up to which landed row that is. `dbt build --full-refresh` makes all of it anew, which a change of its\n"
            "columns or key needs."
        )
    if anew:
        told.append(
            f"{', '.join(anew)}: made anew from all that was landed, and exchanged in one transaction: readers see\n"
            "the old rows until the new ones are there."
        )
    return "\n\n".join(told)


def _built(job: Job) -> str:
    """The table that says up to which row each model was built."""
    return f"{identifier(landing.schema(job.spec))}._dpe_built"


def _landing(job: Job) -> str:
    """Tables for the rows as they come; how far models are, and indexes to find the rows of a key."""
    growing = [goal for goal in job.goals if _grows(job, goal)]
    made = [landing.tables_of(job)]
    if growing:
        columns = "model text PRIMARY KEY, since bigint NOT NULL, up_to bigint NOT NULL"
        made.append(f"CREATE TABLE IF NOT EXISTS {_built(job)} ({columns});")
    for goal in growing:
        source = _row_wise(job).get(goal.target.source, goal.target.source)
        table = f"{identifier(landing.schema(job.spec))}.{identifier(source)}"
        key = goal.target.key if set(goal.target.key) <= job.tables[source].keys() else ()
        for suffix, columns in (("row", landing.ROW), ("key", merges.listed(key, identifier))):
            name = identifier(f"{_model(goal)[:50]}_{suffix}_idx")
            made += [f"CREATE INDEX IF NOT EXISTS {name} ON {table} ({columns});"] if columns else []
    return "\n".join(made)


def _growing(job: Job, goal: Goal) -> str:
    """The configuration and rows of an incremental model."""
    of = goal.target.source
    source, rows = _source(job, _row_wise(job).get(of, of))[3:-3], _rows(job, of)[3:-3]
    hooks = ["{{ lock_landed() }}", f"{{{{ mark_landed({source}) }}}}", f"{{{{ forget_landed({rows}) }}}}"]
    key = list(goal.target.key)
    config = {
        "materialized": "incremental", "incremental_strategy": "append", "on_schema_change": "fail",
        "schema": goal.target.table.schema, "alias": goal.target.table.name, "pre_hook": hooks,
        **({"unique_key": key} if key else {}),
        **({"indexes": [{"columns": [identifier(one) for one in key], "unique": True}]} if goal.way == "merge" else {}),
    }  # fmt: skip
    told = ",\n    ".join(f"{name}={value!r}" for name, value in config.items())
    return f"{{{{ config(\n    {told}\n) }}}}\nwith batch as (\n    {{{{ landed({rows}) }}}}\n)"


# --- models ---


def _jinja(text: str) -> str:
    """A text that Jinja gives back as it is."""
    return re.sub(r"\{[{%#]", lambda found: "{{ '" + found[0] + "' }}", text)


def _model(goal: Goal) -> str:
    return f"{goal.target.table.schema}__{goal.target.table.name}"


def _relation(job: Job, name: str) -> str:
    """What SQL calls `name`, for dbt: a transform, a source, or of elt the table that keeps a source."""
    if name in job.statements:
        return f"{{{{ ref('{name}') }}}}"
    kept = landing.kept(job, name)
    return f"{{{{ ref('{_model(kept)}') }}}}" if kept else _source(job, name)


def _source(job: Job, name: str) -> str:
    source = next(one for one in job.sources() if one.name == name)
    there = source.table if source.dsn == TARGET and source.table is not None else None
    return f"{{{{ source('in_{there.schema if there else landing.schema(job.spec)}', '{name}') }}}}"


def _transform(job: Job, name: str, sql: str) -> str:
    """Names stand for relations by a WITH before it, so that the SQL is the spec's."""
    named = []
    is_row_wise = name in _row_wise(job)
    for one in sorted(reads(job, name)):
        kept = landing.kept(job, one)
        columns = kept.columns if kept else job.tables[one]
        if is_row_wise:
            rows = "select " + _jinja(", ".join(f"one.{identifier(column)}" for column in columns))
        else:
            rows = f"select {_jinja(merges.listed(columns, identifier))} from {_relation(job, one)}"
        named.append(f"{identifier(one)} as (\n    {rows}\n)")
    head = "with " + ", ".join(named) + "\n" if named else ""
    query = f"{head}select * from (\n{_jinja(sql.rstrip().rstrip(';'))}\n) as q"
    if is_row_wise:
        # Of each landed row by itself, so that its number goes with what is made of it.
        (of,) = reads(job, name)
        query = f"select r.*, one.{landing.ROW} from {_relation(job, of)} as one cross join lateral (\n{query}\n) as r"
    return f"{_jinja(job.comment('--'))}\n{query}\n"


def _target(job: Job, goal: Goal) -> str:
    if _grows(job, goal):
        return f"{_jinja(job.comment('--'))}\n{_growing(job, goal)}{landing.query(goal, _quote)}\n"
    table, of = goal.target.table, goal.target.source
    config = f"{{{{ config(materialized='table', schema='{table.schema}', alias='{table.name}') }}}}"
    # A table of the store itself has no number of arrival.
    has_number = _is_landed(job, of) or of in _row_wise(job)
    numbered = "*" if has_number else f"*, row_number() over () as {landing.ROW}"
    batch = f"with batch as (\n    select {numbered} from {_rows(job, of)}\n)"
    body = landing.query(goal, _quote, _stays(goal) if job.whole and not goal.missing else "")
    return f"{_jinja(job.comment('--'))}\n{config}\n{batch}{body}\n"


def _rows(job: Job, name: str) -> str:
    """What a target is made of: a transform, or a source as it was landed."""
    return _source(job, name) if name not in job.statements else _relation(job, name)


def _quote(name: str) -> str:
    return _jinja(identifier(name))


def _stays(goal: Goal) -> str:
    """A row that the sources have no more, which are read whole each time, is kept."""
    columns = merges.listed(goal.columns, _quote)
    return f"""
        {{% if load_relation(this) is not none and not should_full_refresh() %}}
        union all
        -- what the sources have no more stays
        select {columns}, false, 0, 0 from {{{{ this }}}}
        {{% endif %}}"""


def _key_test(job: Job, goal: Goal) -> str:
    key = _jinja(merges.listed(goal.target.key, identifier))
    found = f"select {key}, count(*) from {{{{ ref('{_model(goal)}') }}}} group by {key} having count(*) > 1"
    return f"{_jinja(job.comment('--'))}\n{found}\n"
