"""The project for psql: one script that copies the files, transforms and merges, all in one transaction."""

from __future__ import annotations

import re
from collections.abc import Iterator

from data_platform.errors import UsageProblem
from data_platform.pipeline.engines import landing, merges
from data_platform.pipeline.engines.project import (
    Goal,
    Job,
    Project,
    finding,
    findings_of,
    reading_findings,
    title_of,
)
from data_platform.report.finding import Finding
from data_platform.spec.pipeline import Source
from data_platform.sql.text import identifier, literal

_ORDER = "_dpe_row DESC"
_BATCH, _MERGED = "pg_temp._dpe_batch", "pg_temp._dpe_merged"
_STAGED = "_dpe_staged"


def render(job: Job) -> Project:
    """The script. UsageProblem for what psql cannot read."""
    _refuse(job)
    statements = "".join(f"{one}\n" if one.startswith("\\") else f"{one};\n" for one in _statements(job))
    script = f"""{job.comment("--")}
-- {" ".join(title_of(job).split())}
-- In the folder of the spec: psql --no-psqlrc -v ON_ERROR_STOP=1 -f THIS_FILE
\\set ON_ERROR_STOP on
\\set AUTOCOMMIT on
SET client_min_messages = warning;
SET datestyle = 'ISO, MDY';
SET timezone = 'UTC';
BEGIN;
{statements}COMMIT;
"""
    return Project(
        {"pipeline.sql": script}, (*reading_findings(job, "psql"), *findings_of(job, "psql"), *_findings(job))
    )


def _findings(job: Job) -> Iterator[Finding]:
    yield finding(
        job.spec, "info", "declared-columns",
        "a file whose header is not the declared columns in their order stops the run",
        "dpe pipeline run, which finds columns by their names",
    )  # fmt: skip
    yield finding(
        job.spec, "info", "all-files", "each run reads all files again: what is the same stays the same",
        "dpe pipeline run, which remembers the files that it has read",
    )  # fmt: skip
    if any(goal.way in ("merge", "history") for goal in job.goals):
        yield finding(
            job.spec, "info", "view-of-state",
            "a target with a key is a view; the table beside it keeps what is gone too",
            "dpe pipeline run, where the target is a table with its key",
        )  # fmt: skip


def _refuse(job: Job) -> None:
    for source in job.sources():
        if source.path is None or source.format != "csv":
            raise UsageProblem(
                f"psql copies separated values, and `{source.name}` is none",
                where=job.spec.file,
                try_="dpe pipeline run, which reads JSON lines, Parquet, databases and HTTP",
            )
        if "**" in source.path or re.search(r"[\[\]{}\n\r\0]", source.path):
            raise UsageProblem(
                f"a shell finds other files by {source.path!r} than a run of ours",
                where=job.spec.file,
                try_="a path with * and ? only",
            )
    for goal in job.goals:
        if goal.way == "append":
            raise UsageProblem(
                f"{goal.name} has no key, and psql reads all files at each run: rows would be there twice",
                where=job.spec.file,
                try_="a key, or dpe pipeline run",
            )
        if goal.way == "history" and goal.missing:
            raise UsageProblem(
                f"{goal.name}: a history that closes what a source has no more is for dpe pipeline run",
                where=job.spec.file,
                try_="dpe pipeline run",
            )


def _statements(job: Job) -> Iterator[str]:
    # One run at a time, and the whole in one transaction: a killed one has changed nothing.
    yield f"SELECT pg_advisory_xact_lock(hashtextextended({literal('dpe ' + job.spec.name)}, 0))"
    yield landing.REFUSE
    for source in job.sources():
        yield from _source(job, source)
    for goal in job.goals:
        if goal.landing:
            yield from _target(job, goal)
    for name, sql in job.statements.items():
        yield (
            f"CREATE TEMP TABLE {identifier(name)} ON COMMIT DROP AS\n"
            f"SELECT q.*, row_number() OVER () AS _dpe_row FROM (\n{sql}\n) AS q"
        )
        yield f"ANALYZE pg_temp.{identifier(name)}"
    for goal in job.goals:
        if not goal.landing:
            yield from _target(job, goal)


# --- sources ---


def _source(job: Job, source: Source) -> Iterator[str]:
    columns, name = job.tables[source.name], identifier(source.name)
    texts = ", ".join(f"{identifier(one)} text" for one in columns)
    values = ", ".join(f"{landing.value(one, type_)} AS {identifier(one)}" for one, type_ in columns.items())
    how = source.csv
    options = (
        f"FORMAT csv, DELIMITER {_constant(how.delimiter)}, QUOTE {_constant(how.quote)},"
        f" NULL {_constant(how.null)}, ENCODING {_constant(how.encoding)}"
    )
    yield (
        f"CREATE TEMP TABLE {_STAGED} ({texts}, _dpe_row bigint GENERATED ALWAYS AS IDENTITY) ON COMMIT DROP"
    )
    yield (
        f"\\copy pg_temp.{_STAGED} ({merges.listed(columns, identifier)})"
        f" from program {_constant(_reader(source, list(columns)))} with ({options})"
    )
    yield (f"CREATE TEMP TABLE {name} ON COMMIT DROP AS\nSELECT {values}, _dpe_row FROM pg_temp.{_STAGED}")
    yield f"DROP TABLE pg_temp.{_STAGED}"
    yield f"ANALYZE pg_temp.{name}"


def _constant(text: str) -> str:
    """A text in a line of \\copy, which knows no escapes."""
    return "'" + text.replace("'", "''") + "'"


def _reader(source: Source, columns: list[str]) -> str:
    """A shell's command that gives the rows of all files by name; it fails where a header is not the declared one."""
    path = re.sub(r"[^A-Za-z0-9_./*?-]", lambda found: "\\" + found[0], str(source.path))
    path = f"./{path}" if not path.startswith("/") else path
    if not source.csv.header:
        return f"LC_ALL=C; export LC_ALL; awk 1 {path}"
    header = source.csv.delimiter.join(columns)
    program = (
        r'FNR == 1 { sub(/^\357\273\277/, ""); sub(/\r$/, ""); split($0, parts, ENVIRON["QUOTED"]); told = "";'
        r" for (n = 1; n in parts; n++) told = told parts[n];"
        r' if (told != ENVIRON["HEADER"]) {'
        r' print FILENAME ": the header is not " ENVIRON["HEADER"] > "/dev/stderr"; exit 1 } next } 1'
    )
    return (
        f"LC_ALL=C HEADER={_shell(header)} QUOTED={_shell(source.csv.quote)};"
        f" export LC_ALL HEADER QUOTED; awk {_shell(program)} {path}"
    )


def _shell(text: str) -> str:
    return "'" + text.replace("'", "'\\''") + "'"


# --- targets ---


def _table(goal: Goal, suffix: str = "") -> str:
    return f"{identifier(goal.target.table.schema)}.{identifier(goal.target.table.name + suffix)}"


def _target(job: Job, goal: Goal) -> Iterator[str]:
    source, name = identifier(goal.target.source), _table(goal)
    yield f"CREATE SCHEMA IF NOT EXISTS {identifier(goal.target.table.schema)}"
    yield f"CREATE TEMP TABLE _dpe_batch ON COMMIT DROP AS SELECT * FROM pg_temp.{source}"
    if goal.way == "replace":
        columns = merges.listed(goal.columns, identifier)
        yield f"CREATE TABLE IF NOT EXISTS {name} AS SELECT {columns} FROM {_BATCH} WHERE false"
        yield f"DELETE FROM {name}"
        yield f"INSERT INTO {name} ({columns}) SELECT {columns} FROM {_BATCH}"
    else:
        yield from _merged(goal, name) if goal.way == "merge" else _history(goal, name)
        yield f"DROP TABLE {_MERGED}"
    yield f"DROP TABLE {_BATCH}"
    if goal.landing:
        yield f"DROP TABLE pg_temp.{source}"
        yield f"CREATE TEMP VIEW {source} AS SELECT * FROM {name}"


def _merged(goal: Goal, name: str) -> Iterator[str]:
    state, columns = _table(goal, "_state"), merges.listed(goal.columns, identifier)
    yield f"CREATE TABLE IF NOT EXISTS {state} AS SELECT {columns}, false AS {merges.GONE} FROM {_BATCH} WHERE false"
    merged = merges.winners(goal, state, _BATCH, identifier, _ORDER)
    yield f"CREATE TEMP TABLE _dpe_merged ON COMMIT DROP AS\n{merged}"
    if goal.missing:
        many = f"count(*) FILTER (WHERE {merges.ABSENT}) > {goal.at_most} * count(*)"
        told = literal(f"more than {goal.at_most:.0%} of {goal.name} would be deleted")
        yield f"SELECT CASE WHEN {many} THEN pg_temp._dpe_refuse({told}) END FROM {_MERGED} WHERE NOT {merges.GONE}"
        yield f"DELETE FROM {_MERGED} WHERE {merges.ABSENT}"
    yield f"DELETE FROM {state}"
    # Without a version nothing tells what is late, so what is gone need not be remembered.
    kept = "" if goal.target.version else f" WHERE NOT {merges.GONE}"
    yield f"INSERT INTO {state} SELECT {columns}, {merges.GONE} FROM {_MERGED}{kept}"
    yield f"CREATE OR REPLACE VIEW {name} AS SELECT {columns} FROM {state} WHERE NOT {merges.GONE}"


def _history(goal: Goal, name: str) -> Iterator[str]:
    state = _table(goal, "_seen")
    columns = merges.listed([*goal.target.key, *goal.attributes], identifier)
    at = identifier(goal.target.version) if goal.target.version else "now()"
    yield (
        f"CREATE TABLE IF NOT EXISTS {state} AS SELECT {columns}, {at} AS _dpe_at, false AS {merges.GONE}"
        f" FROM {_BATCH} WHERE false"
    )
    merged = merges.seen(goal, state, _BATCH, identifier, _ORDER, "now()")
    yield f"CREATE TEMP TABLE _dpe_merged ON COMMIT DROP AS\n{merged}"
    yield f"DELETE FROM {state}"
    yield f"INSERT INTO {state} SELECT {columns}, _dpe_at, {merges.GONE} FROM {_MERGED}"
    yield f"CREATE OR REPLACE VIEW {name} AS\n{merges.versions(goal, state, identifier)}"
