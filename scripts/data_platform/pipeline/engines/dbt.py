"""The project for dbt on PostgreSQL: a spec that lands the sources, a model for each transform and target, tests.

dbt transforms what is in the database, so the sources are landed by a run of ours. Each model is made anew from all
that was landed: a dbt snapshot takes what is there when it runs, and an incremental model the rows since the last one,
and both lose what comes late.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

from data_platform.errors import UsageProblem
from data_platform.pipeline.engines import merges
from data_platform.pipeline.engines.project import (
    Goal,
    Job,
    Project,
    filled,
    finding,
    findings_of,
    reads,
    title_of,
    wide,
)
from data_platform.report.finding import Finding
from data_platform.spec.pipeline import TARGET, Pipeline, Source
from data_platform.sql.text import identifier

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_ROW = "_dpe_row"


def render(job: Job, sources: Mapping[str, Any], output: Path | None) -> Project:
    """The files. `sources` are the spec's, as it says them, by name; `output` is the folder that they go into.

    UsageProblem for names that dbt cannot have, and for what has no form in it.
    """
    _refuse(job)
    spec = job.spec
    files = {
        "dbt_project.yml": _yaml(job, _project(spec)),
        "profiles.yml": _yaml(job, _profiles(spec)),
        "landing.yaml": _yaml(job, _landing(job, sources, output)),
        "landing.sql": filled("dbt_landing.sql.txt", head=job.comment("--"), tables=_landing_tables(job)),
        "models/sources.yml": _yaml(job, _sources(job)),
        "models/models.yml": _yaml(job, _models(job)),
        "macros/generate_schema_name.sql": filled("dbt_schema.sql.txt"),
        "README.md": filled("dbt_readme.md.txt", title=title_of(job), head="\n".join(job.head)),
    }
    for name, sql in job.statements.items():
        files[f"models/{name}.sql"] = _transform(job, name, sql)
    for goal in job.goals:
        files[f"models/{_model(goal)}.sql"] = _target(job, goal)
        if len(goal.target.key) > 1 and goal.way == "merge":
            files[f"tests/{_model(goal)}_key.sql"] = _key_test(job, goal)
    return Project(files, (*findings_of(job, "dbt"), *_findings(job)))


def _refuse(job: Job) -> None:
    spec = job.spec
    names = [*job.statements, *(one.name for one in job.sources()), spec.name.replace("-", "_")]
    names += [part for goal in job.goals for part in (goal.target.table.schema, goal.target.table.name)]
    for name in names:
        if not _NAME.fullmatch(name):
            raise UsageProblem(f"dbt can have nothing of the name {name!r}", where=spec.file,
                               expected="letters, digits and _")  # fmt: skip
    for goal in job.goals:
        if goal.way == "history" and (goal.missing or not goal.target.version):
            raise UsageProblem(
                f"{goal.name}: a history by the time at which rows are seen cannot be made anew",
                where=spec.file,
                expected="version: a column that says since when a row holds",
                try_="dpe pipeline run",
            )
    for source in job.sources():
        if source.deletes is not None and source.deletes.missing and not job.whole:
            raise UsageProblem(
                f"what `{source.name}` has no more is found by comparing keys, which dbt does not do",
                where=spec.file,
                try_="pattern: snapshot, or dpe pipeline run",
            )


def _findings(job: Job) -> Iterator[Finding]:
    yield finding(
        job.spec, "info", "made-anew", "every run writes all of its tables anew, from all that was landed",
        "materialized: incremental by hand, for a large table whose rows never come late",
    )  # fmt: skip
    for name in wide(job) if job.spec.pattern in ("incremental", "scd") else ():
        yield finding(
            job.spec, "warning", "batch-wide",
            f"`{name}` looks at several rows: here at all that was ever landed, in a run of ours file by file",
            "pattern: elt, which is meant so", name,
        )  # fmt: skip
    if any(goal.missing and goal.at_most < 1 for goal in job.goals):
        yield finding(
            job.spec, "warning", "no-limit", "`at_most` is not watched: half a source empties half a table",
            "dpe pipeline run",
        )  # fmt: skip
    if not job.whole and any(one.path for one in job.sources()):
        yield finding(
            job.spec, "info", "files-stay", "a file that changes once it was landed stops the landing",
            "a new file for what is new; dpe pipeline run takes its rows back by their key",
        )  # fmt: skip


# --- files of YAML ---


def _yaml(job: Job, data: Mapping[str, Any]) -> str:
    return (
        job.comment("#") + "\n" + yaml.safe_dump(dict(data), sort_keys=False, allow_unicode=True, width=110)
    )


def _name_of(spec: Pipeline) -> str:
    return spec.name.replace("-", "_")


def _schema(spec: Pipeline) -> str:
    return f"{_name_of(spec)}_landing"


def _project(spec: Pipeline) -> dict[str, Any]:
    name = _name_of(spec)
    return {
        "name": name, "version": "1.0.0", "profile": name, "model-paths": ["models"], "macro-paths": ["macros"],
        "test-paths": ["tests"], "models": {name: {"+materialized": "view", "+schema": _schema(spec)}},
    }  # fmt: skip


def _profiles(spec: Pipeline) -> dict[str, Any]:
    def from_environment(name: str, default: str = "") -> str:
        return "{{ env_var('" + name + (f"', '{default}" if default else "") + "') }}"

    port = "{{ env_var('PGPORT', '5432') | int }}"
    target = {
        "type": "postgres", "host": from_environment("PGHOST", "localhost"), "port": port,
        "user": from_environment("PGUSER"), "password": from_environment("PGPASSWORD"),
        "dbname": from_environment("PGDATABASE"), "schema": _schema(spec), "threads": 4,
    }  # fmt: skip
    return {_name_of(spec): {"target": "default", "outputs": {"default": target}}}


def _landing(job: Job, sources: Mapping[str, Any], output: Path | None) -> dict[str, Any]:
    """The spec of the run that lands the sources, whose paths begin at the project's folder."""
    made = []
    for source in _landed(job):
        own = {key: value for key, value in sources[source.name].items() if key != "deletes"}
        if source.path is not None and output is not None:
            # realpath: a folder may be reached through a link.
            base = os.path.relpath(job.base, Path(os.path.realpath(output)))
            own["path"] = Path(os.path.normpath(Path(base) / str(source.path))).as_posix()
        made.append(own)
    return {
        "kind": "pipeline", "store": job.spec.store, "name": f"{job.spec.name}_landing",
        "pattern": "etl" if job.whole else "incremental", "drift": job.spec.drift, "sources": made,
        "targets": [{"table": f"{_schema(job.spec)}.{one.name}", "from": one.name} for one in _landed(job)],
    }  # fmt: skip


def _landed(job: Job) -> list[Source]:
    """Sources that are not in the target's database already."""
    return [one for one in job.sources() if not (one.dsn == TARGET and one.table is not None)]


def _landing_tables(job: Job) -> str:
    schema = identifier(_schema(job.spec))
    made = [f"CREATE SCHEMA IF NOT EXISTS {schema};"]
    for source in _landed(job):
        columns = [f"{identifier(name)} {type_}" for name, type_ in job.tables[source.name].items()]
        # In the order of arrival: of two rows that say as much, the later one wins.
        columns.append(f"{_ROW} bigint GENERATED ALWAYS AS IDENTITY")
        made.append(
            f"CREATE TABLE IF NOT EXISTS {schema}.{identifier(source.name)} (\n    "
            + ",\n    ".join(columns)
            + "\n);"
        )
    return "\n".join(made)


def _sources(job: Job) -> dict[str, Any]:
    groups: dict[str, list[dict[str, Any]]] = {}
    for source in job.sources():
        there = source.table if source.dsn == TARGET and source.table is not None else None
        schema, table = (there.schema, there.name) if there else (_schema(job.spec), source.name)
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
    kept = _kept(job, name)
    return f"{{{{ ref('{_model(kept)}') }}}}" if kept else _source(job, name)


def _kept(job: Job, name: str) -> Goal | None:
    return next((goal for goal in job.goals if goal.landing and goal.target.source == name), None)


def _source(job: Job, name: str) -> str:
    source = next(one for one in job.sources() if one.name == name)
    there = source.table if source.dsn == TARGET and source.table is not None else None
    return f"{{{{ source('in_{there.schema if there else _schema(job.spec)}', '{name}') }}}}"


def _transform(job: Job, name: str, sql: str) -> str:
    """Names stand for relations by a WITH before it, so that the SQL is the spec's."""
    named = []
    for one in sorted(reads(job, name)):
        kept = _kept(job, one)
        columns = _jinja(merges.listed(kept.columns if kept else job.tables[one], identifier))
        named.append(f"{identifier(one)} as (\n    select {columns} from {_relation(job, one)}\n)")
    head = "with " + ", ".join(named) + "\n" if named else ""
    return f"{_jinja(job.comment('--'))}\n{head}select * from (\n{_jinja(sql.rstrip().rstrip(';'))}\n) as q\n"


def _target(job: Job, goal: Goal) -> str:
    table, of = goal.target.table, goal.target.source
    config = f"{{{{ config(materialized='table', schema='{table.schema}', alias='{table.name}') }}}}"
    # A table of the store itself has no number of arrival.
    landed = any(one.name == of for one in _landed(job))
    numbered = f"*, row_number() over () as {_ROW}" if not landed else "*"
    rows = _source(job, of) if of not in job.statements else _relation(job, of)
    batch = f"with batch as (\n    select {numbered} from {rows}\n)"
    columns = _jinja(merges.listed(goal.columns, identifier))
    body = {
        "merge": lambda: _merged(goal, columns, stays=job.whole and not goal.missing),
        "history": lambda: _history(goal),
    }.get(goal.way, lambda: f"\nselect {columns} from batch")()
    return f"{_jinja(job.comment('--'))}\n{config}\n{batch}{body}\n"


def _merged(goal: Goal, columns: str, *, stays: bool) -> str:
    """The row that wins of each key: the greatest version, of equal ones a deletion, then the later arrival.

    `stays`: a row that the sources have no more, which are read whole each time, is kept.
    """
    key = _jinja(merges.listed(goal.target.key, identifier))
    gone = _jinja(merges.gone_of(goal, identifier))
    version = (
        _jinja(f"{identifier(goal.target.version)} desc nulls last, _dpe_gone desc, ")
        if goal.target.version
        else ""
    )
    kept = ""
    if stays:
        kept = f"""
        {{% if load_relation(this) is not none and not should_full_refresh() %}}
        union all
        -- what the sources have no more stays
        select {columns}, false, 0, 0 from {{{{ this }}}}
        {{% endif %}}"""
    return f"""
select {columns} from (
    select distinct on ({key}) {columns}, _dpe_gone from (
        select {columns}, {gone} as _dpe_gone, 1 as _dpe_new, {_ROW} from batch
         where {_jinja(merges.has_key(goal, identifier))}{kept}
    ) as every
    order by {key}, {version}_dpe_new desc, {_ROW} desc
) as winners where not _dpe_gone"""


def _history(goal: Goal) -> str:
    """Versions from all that was seen of each key; there is no state before it, so that is an empty one."""
    names, at = (
        merges.listed([*goal.target.key, *goal.attributes], identifier),
        identifier(str(goal.target.version)),
    )
    empty = f"(SELECT {names}, {at} AS _dpe_at, false AS {merges.GONE} FROM batch WHERE false) AS s"
    seen = merges.seen(goal, empty, "batch", identifier, f"{_ROW} DESC", "now()")
    versions = _jinja(merges.versions(goal, "seen", identifier))
    return f", seen as (\n{_jinja(seen)}\n)\nselect * from (\n{versions}\n) as versions"


def _key_test(job: Job, goal: Goal) -> str:
    key = _jinja(merges.listed(goal.target.key, identifier))
    found = f"select {key}, count(*) from {{{{ ref('{_model(goal)}') }}}} group by {key} having count(*) > 1"
    return f"{_jinja(job.comment('--'))}\n{found}\n"
