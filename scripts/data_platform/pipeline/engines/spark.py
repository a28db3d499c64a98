"""The project for Spark: a PySpark job that reads files, SQL that transforms and merges, tables as Parquet.

A job and no Declarative Pipeline: those have materialized views and streaming tables, and no merge by the greater
version, no history, and no note of what was loaded that is one with the rows.
"""

from __future__ import annotations

import ast

from data_platform.errors import UsageProblem
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
from data_platform.pipeline.engines.running import SPARK_SETTINGS, constant, ticked
from data_platform.pipeline.engines.types import form_of, plain, word
from data_platform.spec.pipeline import Source

_ORDER = "_dpe_row DESC"
_STATE, _BATCH = "_dpe_state", "_dpe_batch"
_NOW = "current_timestamp()"


def render(job: Job) -> Project:
    """The files. UsageProblem for what Spark cannot read or hold."""
    refuse_unreadable(job, "spark")
    _refuse(job)
    files: dict[str, str] = {}
    for name, sql in job.statements.items():
        files[f"transforms/{name}.sql"] = job.comment("--") + "\n" + sql + "\n"
    for goal in job.goals:
        files.update({file: f"{job.comment('--')}\n{sql}\n" for file, sql in _queries(job, goal).items()})
    script = filled(
        "spark.py.txt",
        head=job.comment("#"),
        title=title_of(job),
        name=repr(job.spec.name),
        whole=repr(job.whole),
        freeze=repr(job.spec.drift in ("freeze", "quarantine")),
        settings=literal(dict(SPARK_SETTINGS)),
        sources=literal([_source(job, one) for one in job.sources()]),
        landings=literal([_target(goal) for goal in job.goals if goal.landing]),
        transforms=literal([(name, f"transforms/{name}.sql") for name in job.statements]),
        targets=literal([_target(goal) for goal in job.goals if not goal.landing]),
    )
    ast.parse(script)  # a fault of ours is found here
    return Project(
        {"pipeline.py": script, **files}, (*reading_findings(job, "spark"), *findings_of(job, "spark"))
    )


def _refuse(job: Job) -> None:
    for source in job.sources():
        if "**" in str(source.path):
            raise UsageProblem(
                f"`{source.name}` is {source.path}, and Spark's patterns know no **",
                where=job.spec.file,
                try_="a * for each folder",
            )
        lists = [name for name, type_ in job.tables[source.name].items() if plain(type_).endswith("[]")]
        if source.format == "csv" and lists:
            raise UsageProblem(
                f"Spark reads no {{a,b}} in separated values, as in `{lists[0]}` of `{source.name}`",
                where=job.spec.file,
                try_="JSON lines or Parquet, or --target duckdb",
            )


# --- sources ---


def _source(job: Job, source: Source) -> dict[str, object]:
    columns = job.tables[source.name]
    how = source.csv
    empty = ", ".join(
        f"CAST(NULL AS {word(type_, 'spark')}) AS {ticked(name)}" for name, type_ in columns.items()
    )
    options = {
        "header": str(how.header).lower(),
        "sep": how.delimiter,
        "quote": how.quote,
        "escape": how.quote,
        "multiLine": "true",
        "mode": "FAILFAST",
        "maxCharsPerColumn": "-1",
        # Nothing at all is NULL, "" is an empty text: they are one where NULL is written as an empty text is.
        "nullValue": "\0",
    }
    return {
        "name": source.name,
        "path": source.path,
        "format": source.format,
        "header": how.header,
        "options": options if source.format == "csv" else {},
        "columns": list(columns),
        "lists": [name for name, type_ in columns.items() if plain(type_).endswith("[]")],
        "json": [name for name, type_ in columns.items() if plain(type_) == "jsonb"],
        "values": [f"{_value(source, name, type_)} AS {ticked(name)}" for name, type_ in columns.items()],
        "empty": f"SELECT {empty}, CAST(0 AS DECIMAL(38, 0)) AS _dpe_row WHERE false",
        "repeats": job.repeats(source),
    }  # fmt: skip


def _value(source: Source, name: str, type_: str) -> str:
    """A column as its declared type; a text that only Spark would take for one is an error."""
    column, kind = ticked(name), word(type_, "spark")
    form = form_of(type_, typed=source.format == "parquet")
    value = f"lower(trim({column}))" if plain(type_) == "uuid" else f"CAST({column} AS {kind})"
    if form is None:
        return value
    text = f"CAST({column} AS STRING)"
    told = f"raise_error(concat({constant(f'{name}: not {type_}: ')}, {text}))"
    return f"CASE WHEN {column} IS NULL OR {text} RLIKE {constant(form)} THEN {value} ELSE {told} END"


# --- targets ---


def _target(goal: Goal) -> dict[str, object]:
    merged = goal.way in ("merge", "history")
    return {
        "name": goal.name,
        "source": goal.target.source,
        "landing": goal.landing,
        "batch": f"targets/{goal.name}.batch.sql",
        "columns": list(map(ticked, goal.columns)),
        "more": goal.way == "append",
        "merged": f"targets/{goal.name}.merged.sql" if merged else None,
        "shown": f"targets/{goal.name}.sql" if merged else None,
        "empty": _empty(goal) if merged else None,
        "at_most": goal.at_most if goal.missing else None,
        # Without a version nothing tells what is late, so what is gone need not be remembered.
        "forgets": goal.way == "merge" and not goal.target.version,
    }


def _queries(job: Job, goal: Goal) -> dict[str, str]:
    """The batch; of what is merged the new state from the old one and the batch, and the table from the state."""
    of = goal.target.source
    batch = (
        f"SELECT *, monotonically_increasing_id() AS _dpe_row FROM {ticked(of)}"
        if of in job.statements
        else f"SELECT * FROM {ticked('_dpe_of_' + of)}"
    )
    files = {f"targets/{goal.name}.batch.sql": batch}
    if goal.way == "merge":
        files[f"targets/{goal.name}.merged.sql"] = merges.winners(goal, _STATE, _BATCH, ticked, _ORDER)
        shown = f"SELECT {merges.listed(goal.columns, ticked)} FROM {_STATE} WHERE NOT {merges.GONE}"
        files[f"targets/{goal.name}.sql"] = shown
    elif goal.way == "history":
        merged = merges.seen(goal, _STATE, _BATCH, ticked, _ORDER, _NOW)
        files[f"targets/{goal.name}.merged.sql"] = merged
        files[f"targets/{goal.name}.sql"] = merges.versions(goal, _STATE, ticked)
    return files


def _empty(goal: Goal) -> str:
    """The state before the first run, of the batch's types."""
    names = goal.columns if goal.way == "merge" else [*goal.target.key, *goal.attributes]
    listed = merges.listed(names, ticked)
    if goal.way == "history":
        listed += f", {ticked(goal.target.version) if goal.target.version else _NOW} AS _dpe_at"
    return f"SELECT {listed}, false AS {merges.GONE} FROM {_BATCH} WHERE false"
