"""The project for DuckDB: a script that reads files, SQL that transforms and merges, tables in a file of DuckDB."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from data_platform.pipeline.engines import merges
from data_platform.pipeline.engines.project import (
    Goal,
    Job,
    Project,
    filled,
    findings_of,
    literal,
    reading_findings,
    refuse_unreadable,
    title_of,
)
from data_platform.pipeline.engines.running import quoted
from data_platform.pipeline.engines.types import form_of, plain, word
from data_platform.spec.pipeline import Source

_ORDER = "_dpe_row DESC"
NOW = "(SELECT CAST(now() AS TIMESTAMPTZ))"


def render(job: Job) -> Project:
    """The files. UsageProblem for what DuckDB cannot read or hold."""
    refuse_unreadable(job, "duckdb")
    files = {}
    landings = [goal for goal in job.goals if goal.landing]
    others = [goal for goal in job.goals if not goal.landing]
    steps: list[str] = []
    for goal in landings:
        steps.append(f"targets/{goal.name}.sql")
        files[steps[-1]] = _target(job, goal)
    for name, sql in job.statements.items():
        steps.append(f"transforms/{name}.sql")
        files[steps[-1]] = _transform(job, name, sql)
    targets = []
    for goal in others:
        targets.append(f"targets/{goal.name}.sql")
        files[targets[-1]] = _target(job, goal)
    script = filled(
        "duckdb.py.txt",
        head=job.comment("#"),
        title=title_of(job),
        name=repr(job.spec.name),
        whole=repr(job.whole),
        freeze=repr(job.spec.drift in ("freeze", "quarantine")),
        sources=literal([_source(job, one) for one in job.sources()]),
        transforms=literal(steps),
        targets=literal(targets),
        exported=literal([(table(goal), f"{goal.name}.parquet") for goal in job.goals]),
    )
    ast.parse(script)  # a fault of ours is found here
    return Project(
        {"pipeline.py": script, **files}, (*reading_findings(job, "duckdb"), *findings_of(job, "duckdb"))
    )


def table(goal: Goal) -> str:
    return f"{quoted(goal.target.table.schema)}.{quoted(goal.target.table.name)}"


# --- sources ---


def _source(job: Job, source: Source) -> dict[str, object]:
    columns = job.tables[source.name]
    return {
        "name": source.name,
        "table": quoted(source.name),
        "path": source.path,
        "reader": reader(source, columns),
        "columns": list(columns),
        "values": values(source, columns),
        "empty": "SELECT " + ", ".join(f"CAST(NULL AS {word(t, 'duckdb')}) AS {quoted(c)}" for c, t in columns.items())
        + " WHERE false",
        "lenient": source.format == "jsonl",
        "repeats": job.repeats(source),
    }  # fmt: skip


def _text(value: str) -> str:
    return "'" + value.replace("'", "''") + "'"


def reader(source: Source, columns: dict[str, str] | object) -> str:
    """What reads one file: texts as they are, so that an empty one stays empty, and typed afterwards."""
    assert isinstance(columns, dict)
    if source.format == "parquet":
        return "read_parquet(?)"
    if source.format == "jsonl":
        kinds = ", ".join(f"{_text(name)}: {_text(_json_kind(type_))}" for name, type_ in columns.items())
        return f"read_json(?, format = 'newline_delimited', columns = {{{kinds}}})"
    how = source.csv
    names = ", ".join(_text(name) for name in columns)
    header = "header = true" if how.header else f"header = false, names = [{names}]"
    return (
        f"read_csv(?, delim = {_text(how.delimiter)}, quote = {_text(how.quote)}, escape = {_text(how.quote)},"
        f" {header}, all_varchar = true, nullstr = {_text(how.null)}, allow_quoted_nulls = false, comment = '')"
    )


def _json_kind(type_: str) -> str:
    name = plain(type_)
    return "JSON" if name == "jsonb" else "VARCHAR[]" if name.endswith("[]") else "VARCHAR"


def values(source: Source, columns: dict[str, str] | object) -> str:
    """The columns as their declared types. A text that DuckDB would round or cut is an error."""
    assert isinstance(columns, dict)
    return ", ".join(f"{_value(source, name, type_)} AS {quoted(name)}" for name, type_ in columns.items())


def _value(source: Source, name: str, type_: str) -> str:
    column, kind = quoted(name), word(type_, "duckdb")
    if source.format == "csv" and plain(type_).endswith("[]"):
        # PostgreSQL writes {a,b}; DuckDB reads [a,b].
        return f"CAST(regexp_replace({column}, '^\\{{(.*)\\}}$', '[\\1]') AS {kind})"
    form = form_of(type_, typed=source.format == "parquet")
    if form is not None:
        told, text = _text(f"{name}: not {type_}: "), f"CAST({column} AS VARCHAR)"
        return (
            f"CASE WHEN {column} IS NULL OR regexp_matches({text}, {_text(form)})"
            f" THEN CAST({column} AS {kind}) ELSE error({told} || {text}) END"
        )
    return f"CAST({column} AS {kind})"


# --- transforms and targets ---


def _transform(job: Job, name: str, sql: str) -> str:
    return f"""{job.comment("--")}
CREATE OR REPLACE TEMP TABLE {quoted(name)} AS
SELECT q.*, row_number() OVER () AS _dpe_row FROM (
{sql}
) AS q;
"""


def _target(job: Job, goal: Goal) -> str:
    statements = [f"CREATE SCHEMA IF NOT EXISTS {quoted(goal.target.table.schema)}", *_written(job, goal)]
    return job.comment("--") + "\n" + "".join(f"{one};\n" for one in statements)


def _written(job: Job, goal: Goal) -> Iterator[str]:
    name, columns = table(goal), merges.listed(goal.columns, quoted)
    batch = "_dpe_batch"
    numbered = "" if goal.target.source in job.statements else ", row_number() OVER () AS _dpe_row"
    yield f"CREATE OR REPLACE TEMP TABLE {batch} AS SELECT *{numbered} FROM {quoted(goal.target.source)}"
    if goal.way in ("append", "replace"):
        yield f"CREATE TABLE IF NOT EXISTS {name} AS SELECT {columns} FROM {batch} WHERE false"
        if goal.way == "replace":
            yield f"DELETE FROM {name}"
        yield f"INSERT INTO {name} ({columns}) SELECT {columns} FROM {batch}"
    elif goal.way == "merge":
        yield from _merged(goal, name, batch)
    else:
        yield from _history(goal, name, batch)
    if goal.landing:
        yield f"DROP TABLE {quoted(goal.target.source)}"
        yield f"CREATE OR REPLACE TEMP VIEW {quoted(goal.target.source)} AS SELECT * FROM {name}"


def _beside(goal: Goal, suffix: str) -> str:
    return f"{quoted(goal.target.table.schema)}.{quoted(goal.target.table.name + suffix)}"


def _merged(goal: Goal, name: str, batch: str) -> Iterator[str]:
    state = _beside(goal, "_state")
    columns = merges.listed(goal.columns, quoted)
    yield (
        f"CREATE TABLE IF NOT EXISTS {state} AS SELECT {columns}, CAST(false AS BOOLEAN) AS {merges.GONE}"
        f" FROM {batch} WHERE false"
    )
    yield f"CREATE OR REPLACE TEMP TABLE _dpe_merged AS\n{merges.winners(goal, state, batch, quoted, _ORDER)}"
    if goal.missing:
        many = f"count(*) FILTER (WHERE {merges.ABSENT}) > {goal.at_most} * count(*)"
        told = _text(f"more than {goal.at_most:.0%} of {goal.name} would be deleted")
        yield f"SELECT CASE WHEN {many} THEN error({told}) END FROM _dpe_merged WHERE NOT {merges.GONE}"
        yield f"DELETE FROM _dpe_merged WHERE {merges.ABSENT}"
    yield f"DELETE FROM {state}"
    # Without a version nothing tells what is late, so what is gone need not be remembered.
    kept = "" if goal.target.version else f" WHERE NOT {merges.GONE}"
    yield f"INSERT INTO {state} SELECT {columns}, {merges.GONE} FROM _dpe_merged{kept}"
    yield f"CREATE OR REPLACE VIEW {name} AS SELECT {columns} FROM {state} WHERE NOT {merges.GONE}"


def _history(goal: Goal, name: str, batch: str) -> Iterator[str]:
    state = _beside(goal, "_seen")
    columns = merges.listed([*goal.target.key, *goal.attributes], quoted)
    at = quoted(goal.target.version) if goal.target.version else NOW
    yield (
        f"CREATE TABLE IF NOT EXISTS {state} AS SELECT {columns}, {at} AS _dpe_at, CAST(false AS BOOLEAN) AS"
        f" {merges.GONE} FROM {batch} WHERE false"
    )
    yield f"CREATE OR REPLACE TEMP TABLE _dpe_merged AS\n{merges.seen(goal, state, batch, quoted, _ORDER, NOW)}"
    yield f"DELETE FROM {state}"
    yield f"INSERT INTO {state} SELECT {columns}, _dpe_at, {merges.GONE} FROM _dpe_merged"
    yield f"CREATE OR REPLACE VIEW {name} AS\n{merges.versions(goal, state, quoted)}"
