"""The project for dlt: resources that land the files as texts, by file and line, and SQL that makes the targets.

Its own ways into a typed table are not taken: an append that is killed is there twice, an upsert knows no greater
version, an empty text in its CSV is NULL, and of its history a compound key retires the wrong row.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator

from data_platform.errors import UsageProblem
from data_platform.pipeline.engines import landing, merges
from data_platform.pipeline.engines.project import (
    Goal,
    Job,
    Project,
    filled,
    finding,
    findings_of,
    literal,
    reads,
    title_of,
)
from data_platform.pipeline.engines.types import plain
from data_platform.report.finding import Finding
from data_platform.spec.pipeline import Source
from data_platform.sql.text import identifier

_NEW = "_dpe_new"


def render(job: Job) -> Project:
    """The files. UsageProblem for sources that are no files, and for what has no form in SQL over what was landed."""
    landing.refuse(job, "dlt")
    _refuse(job)
    files: dict[str, str] = {}
    for goal in job.goals:
        if goal.landing:
            files[f"sql/{goal.name}.sql"] = _target(job, goal)
    for name, sql in job.statements.items():
        files[f"sql/{name}.sql"] = _transform(job, name, sql)
    for goal in job.goals:
        if not goal.landing:
            files[f"sql/{goal.name}.sql"] = _target(job, goal)
    script = filled(
        "dlt.py.txt",
        head=job.comment("#"),
        title=title_of(job),
        name=repr(landing.name_of(job.spec)),
        dataset=repr(landing.schema(job.spec)),
        whole=repr(job.whole),
        freeze=repr(job.spec.drift in ("freeze", "quarantine")),
        sources=literal([_source(job, one) for one in job.sources()]),
        refuse=repr(landing.REFUSE),
        steps=literal(list(files)),
    )
    ast.parse(script)  # a fault of ours is found here
    found = (*findings_of(job, "dlt"), *landing.findings(job, "a merge"), *_findings(job))
    return Project({"pipeline.py": script, **files}, found)


def _refuse(job: Job) -> None:
    for source in job.sources():
        if source.path is None:
            raise UsageProblem(
                f"this project reads files, and `{source.name}` is none",
                where=job.spec.file,
                try_="--target dbt, whose sources a run of ours lands; or dpe pipeline run",
            )
        for name in job.tables[source.name]:
            if name.startswith("_dlt"):
                raise UsageProblem(f"`{name}` of `{source.name}` is a column of dlt's", where=job.spec.file)


def _findings(job: Job) -> Iterator[Finding]:
    yield finding(
        job.spec, "info", "no-quarantine", "a value that is not of its type stops the SQL after the load",
        "dpe pipeline run, where rows may be bad",
    )  # fmt: skip


def _source(job: Job, source: Source) -> dict[str, object]:
    how = source.csv
    return {
        "name": source.name,
        "path": source.path,
        "format": source.format,
        "columns": list(job.tables[source.name]),
        "arrays": [name for name, type_ in job.tables[source.name].items() if plain(type_).endswith("[]")],
        "json": [
            name
            for name, type_ in job.tables[source.name].items()
            if plain(type_).removesuffix("[]") == "jsonb"
        ],
        "csv": {
            "header": how.header,
            "delimiter": how.delimiter,
            "quote": how.quote,
            "null": how.null,
            "encoding": how.encoding,
        },
    }


# --- SQL over what was landed ---


def _typed(job: Job, name: str) -> str:
    """A source's rows in the order of arrival, of their types."""
    columns = job.tables[name]
    values = ", ".join(f"{landing.value(one, type_)} AS {identifier(one)}" for one, type_ in columns.items())
    where = f"{identifier(landing.schema(job.spec))}.{identifier(name)}"
    order = f"row_number() OVER (ORDER BY _dpe_load, _dpe_file, _dpe_line) AS {landing.ROW}"
    return f"SELECT {values}, {order} FROM {where}"


def _transform(job: Job, name: str, sql: str) -> str:
    """A temporary table; names stand for relations by a WITH before it, so that the SQL is the spec's."""
    named = []
    for one in sorted(reads(job, name)):
        kept = landing.kept(job, one)
        columns = merges.listed(kept.columns if kept else job.tables[one], identifier)
        rows = f"SELECT {columns} FROM {_relation(job, one, kept)}"
        named.append(f"{identifier(one)} AS (\n{rows}\n)")
    head = "WITH " + ", ".join(named) + "\n" if named else ""
    query = f"{head}SELECT * FROM (\n{sql.rstrip().rstrip(';')}\n) AS q"
    return f"{job.comment('--')}\nCREATE TEMP TABLE {identifier(name)} ON COMMIT DROP AS\n{query};\n"


def _relation(job: Job, name: str, kept: Goal | None) -> str:
    if name in job.statements:
        return f"pg_temp.{identifier(name)}"
    return _table(kept) if kept else f"(\n{_typed(job, name)}\n) AS landed"


def _table(goal: Goal) -> str:
    return f"{identifier(goal.target.table.schema)}.{identifier(goal.target.table.name)}"


def _target(job: Job, goal: Goal) -> str:
    """The table's rows exchanged for those of its query; readers see the old ones until the transaction commits."""
    table, of = _table(goal), goal.target.source
    rows = (
        f"SELECT *, row_number() OVER () AS {landing.ROW} FROM pg_temp.{identifier(of)}"
        if of in job.statements
        else _typed(job, of)
    )
    columns = merges.listed(goal.columns, identifier)
    stays = job.whole and goal.way == "merge" and not goal.missing
    old = f"\n        UNION ALL SELECT {columns}, false, 0, 0 FROM {table}" if stays else ""
    batch = f"WITH batch AS (\n{rows}\n)"
    statements = [
        f"CREATE SCHEMA IF NOT EXISTS {identifier(goal.target.table.schema)}",
        f"CREATE TABLE IF NOT EXISTS {table} AS\n{batch}{landing.query(goal, identifier)}\nWITH NO DATA",
        f"CREATE TEMP TABLE {_NEW} ON COMMIT DROP AS\n{batch}{landing.query(goal, identifier, old)}",
        f"DELETE FROM {table}",
        f"INSERT INTO {table} SELECT * FROM pg_temp.{_NEW}",
        f"DROP TABLE pg_temp.{_NEW}",
    ]
    return f"{job.comment('--')}\n" + "".join(f"{one};\n" for one in statements)
