"""The project for SQLMesh on PostgreSQL: a spec that lands the sources, a MODEL for each transform and target, audits.

A target is of the kind FULL, made anew from all that was landed. SQLMesh reads a project's files as templates and as
macros, with no way to say that a text is just that; so what looks like either is refused.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import postgast
import yaml

from data_platform.errors import UsageProblem
from data_platform.pipeline.engines import landing, merges
from data_platform.pipeline.engines.project import (
    Goal,
    Job,
    Project,
    filled,
    finding,
    findings_of,
    reads,
    title_of,
)
from data_platform.report.finding import Finding
from data_platform.spec.pipeline import TARGET, Source
from data_platform.sql.text import identifier

_MARK = re.compile(r"@|\{[{%#]")


def render(job: Job, sources: Mapping[str, Any], output: Path | None) -> Project:
    """The files. `sources` are the spec's, as it says them, by name; `output` is the folder that they go into.

    UsageProblem for what SQLMesh would read as a template or macro, and for what has no form in it.
    """
    landing.refuse(job, "SQLMesh")
    _refuse(job)
    restate = " ".join(f"--restate-model {goal.name}" for goal in job.goals)
    files = {
        "config.yaml": filled("sqlmesh_config.yaml.txt", project=landing.name_of(job.spec)),
        "external_models.yaml": yaml.safe_dump(_external(job), sort_keys=False, allow_unicode=True),
        "landing.yaml": landing.written(job, landing.run_of(job, sources, output)),
        "landing.sql": filled("landing.sql.txt", head=job.comment("--"), tables=landing.tables_of(job)),
        "README.md": filled(
            "sqlmesh_readme.md.txt", title=title_of(job), head="\n".join(job.head), restate=restate
        ),
    }
    for name, sql in job.statements.items():
        files[f"models/{name}.sql"] = _transform(job, name, sql)
    for goal in job.goals:
        table = goal.target.table
        files[f"models/{table.schema}__{table.name}.sql"] = _target(job, goal)
    own = landing.findings(job, "kind INCREMENTAL_BY_UNIQUE_KEY")
    return Project(files, (*findings_of(job, "sqlmesh"), *own, *_rewritten(job)))


def _refuse(job: Job) -> None:
    spec = job.spec
    texts = [*job.statements.values(), *(name for table in job.tables.values() for name in table)]
    texts += [type_ for table in job.tables.values() for type_ in table.values()]
    for text in texts:
        if found := _MARK.search(text):
            raise UsageProblem(
                f"SQLMesh reads {found[0]} in {text.strip()!r} as a macro or template",
                where=spec.file,
                expected="SQL and names without @, {{, {% and {#",
                try_="--target dbt, or dpe pipeline run",
            )
    for name in (name for table in job.tables.values() for name in table):
        if identifier(name).startswith("U&"):
            raise UsageProblem(
                f"SQLMesh cannot read the name {name!r}", where=spec.file, expected="letters that are seen"
            )
    for goal in job.goals:
        if job.whole and goal.way == "merge" and not goal.missing:
            raise UsageProblem(
                f"{goal.name} keeps the rows that its sources have no more, and a model of the kind FULL"
                " cannot read itself",
                where=spec.file,
                try_="deletes: {missing: true} of the source, pattern: snapshot, --target dbt, or dpe pipeline run",
            )


def _rewritten(job: Job) -> Iterator[Finding]:
    """Transforms that SQLMesh's parser does not write as they were."""
    from sqlglot import parse_one  # noqa: PLC0415

    for name, sql in job.statements.items():
        again = parse_one(sql, read="postgres").sql(dialect="postgres")
        if postgast.deparse(postgast.parse(sql)) != postgast.deparse(postgast.parse(again)):
            yield finding(
                job.spec, "warning", "rewritten", f"SQLMesh may write `{name}` otherwise: {again}",
                "compare the rows with those of dpe pipeline run once", name,
            )  # fmt: skip


def _quote(name: str) -> str:
    """Always in quotes: SQLMesh has other reserved words than PostgreSQL."""
    made = identifier(name)
    return made if made.startswith('"') else f'"{made}"'


def _qualified(schema: str, name: str) -> str:
    return f"{_quote(schema)}.{_quote(name)}"


# --- files ---


def _there(job: Job, source: Source) -> tuple[str, str]:
    """Schema and table that a source is read from."""
    there = source.table if source.dsn == TARGET and source.table is not None else None
    return (there.schema, there.name) if there else (landing.schema(job.spec), source.name)


def _external(job: Job) -> list[dict[str, Any]]:
    landed = landing.landed(job)
    return [
        {
            "name": _qualified(*_there(job, one)),
            "columns": {**job.tables[one.name], **({landing.ROW: "bigint"} if one in landed else {})},
        }
        for one in job.sources()
    ]


def _relation(job: Job, name: str) -> str:
    """What SQL calls `name`: a transform, a source, or of elt the table that keeps a source."""
    if name in job.statements:
        return _qualified(landing.schema(job.spec), name)
    kept = landing.kept(job, name)
    if kept:
        return _qualified(kept.target.table.schema, kept.target.table.name)
    return _source(job, name)


def _source(job: Job, name: str) -> str:
    return _qualified(*_there(job, next(one for one in job.sources() if one.name == name)))


def _model(name: str, kind: str, columns: Mapping[str, str], audits: list[str]) -> str:
    """The head of a file. Types are PostgreSQL's own: those that SQLMesh guesses may cut values."""
    told = ",\n".join(f"    {_quote(column)} {type_}" for column, type_ in columns.items())
    lines = [f"name {name}", f"kind {kind}", f"columns (\n{told}\n  )"]
    lines += [f"audits ({', '.join(audits)})"] if audits else []
    return "MODEL (\n  " + ",\n  ".join(lines) + "\n);\n\n"


def _transform(job: Job, name: str, sql: str) -> str:
    """Names stand for relations by a WITH before it, so that the SQL is the spec's."""
    named = []
    for one in sorted(reads(job, name)):
        kept = landing.kept(job, one)
        columns = merges.listed(kept.columns if kept else job.tables[one], _quote)
        named.append(f"{_quote(one)} as (\n    select {columns} from {_relation(job, one)}\n)")
    head = "with " + ", ".join(named) + "\n" if named else ""
    model = _model(_qualified(landing.schema(job.spec), name), "VIEW", job.tables[name], [])
    shown = merges.listed(job.tables[name], _quote)
    return f"{model}{head}select {shown} from (\n{sql.rstrip().rstrip(';')}\n) as q\n"


def _target(job: Job, goal: Goal) -> str:
    table, of = goal.target.table, goal.target.source
    landed = any(one.name == of for one in landing.landed(job))
    # A table of the store itself has no number of arrival.
    numbered = "*" if landed else f"*, row_number() over () as {landing.ROW}"
    rows = _relation(job, of) if of in job.statements else _source(job, of)
    model = _model(_qualified(table.schema, table.name), "FULL", _columns(goal), _audits(goal))
    return f"{model}with batch as (\n    select {numbered} from {rows}\n){landing.query(goal, _quote)}\n"


def _columns(goal: Goal) -> dict[str, str]:
    """As the query gives them: those of a history have its times, and of type 6 today's values beside."""
    if goal.way != "history":
        return dict(goal.columns)
    since = goal.columns[str(goal.target.version)]
    made = {name: goal.columns[name] for name in (*goal.target.key, *goal.attributes)}
    if goal.target.type == 6:
        made |= {f"current_{name}": goal.columns[name] for name in goal.followed}
    return {**made, "valid_from": since, **({} if goal.target.type == 1 else {"valid_to": since})}


def _audits(goal: Goal) -> list[str]:
    key = merges.listed(goal.target.key, _quote)
    if not key:
        return []
    made = [f"not_null(columns := ({key}))"]
    if goal.way == "merge":
        rule = "unique_values" if len(goal.target.key) == 1 else "unique_combination_of_columns"
        made.append(f"{rule}(columns := ({key}))")
    return made
