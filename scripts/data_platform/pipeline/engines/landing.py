"""What projects that transform within PostgreSQL have in common: the run of ours that lands the sources, and queries.

Tables for the rows as they come, a spec that lands them, and the query that makes a target anew from all that was
landed.
"""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

from data_platform.errors import UsageProblem
from data_platform.pipeline.engines import merges
from data_platform.pipeline.engines.merges import Quote
from data_platform.pipeline.engines.project import Goal, Job, finding, wide
from data_platform.pipeline.engines.types import form_of
from data_platform.report.finding import Finding
from data_platform.spec.pipeline import TARGET, Pipeline, Source
from data_platform.sql.text import identifier, literal

ROW = "_dpe_row"
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


def refuse(job: Job, target: str) -> None:
    """UsageProblem for names that the target cannot have, and for what has no form in it."""
    spec = job.spec
    names = [*job.statements, *(one.name for one in job.sources()), name_of(spec)]
    names += [part for goal in job.goals for part in (goal.target.table.schema, goal.target.table.name)]
    for name in names:
        if not _NAME.fullmatch(name):
            raise UsageProblem(f"{target} can have nothing of the name {name!r}", where=spec.file,
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
                f"what `{source.name}` has no more is found by comparing keys, which {target} does not do",
                where=spec.file,
                try_="pattern: snapshot, or dpe pipeline run",
            )


def findings(job: Job, by_hand: str, grown: Collection[str] = ()) -> Iterator[Finding]:
    """What a run of ours does, and a project that makes tables from all that was landed does not; but for `grown`."""
    for goal in job.goals:
        if goal.name not in grown:
            yield finding(
                job.spec, "info", "made-anew", f"every run writes {goal.name} anew, from all that was landed",
                f"{by_hand} by hand, for a large table whose rows never come late", goal.name,
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


# --- the run that lands the sources ---


def written(job: Job, data: Mapping[str, Any]) -> str:
    """YAML under the head that each file has."""
    return (
        job.comment("#") + "\n" + yaml.safe_dump(dict(data), sort_keys=False, allow_unicode=True, width=110)
    )


def name_of(spec: Pipeline) -> str:
    return spec.name.replace("-", "_")


def schema(spec: Pipeline) -> str:
    """Where the sources land, and the transforms are."""
    return f"{name_of(spec)}_landing"


def run_of(job: Job, sources: Mapping[str, Any], output: Path | None) -> dict[str, Any]:
    """The spec of the run that lands the sources, whose paths begin at the project's folder."""
    made = []
    for source in landed(job):
        own = {key: value for key, value in sources[source.name].items() if key != "deletes"}
        if source.path is not None and output is not None:
            # realpath: a folder may be reached through a link.
            base = os.path.relpath(job.base, Path(os.path.realpath(output)))
            own["path"] = Path(os.path.normpath(Path(base) / str(source.path))).as_posix()
        made.append(own)
    return {
        "kind": "pipeline", "store": job.spec.store, "name": f"{job.spec.name}_landing",
        "pattern": "etl" if job.whole else "incremental", "drift": job.spec.drift, "sources": made,
        "targets": [{"table": f"{schema(job.spec)}.{one.name}", "from": one.name} for one in landed(job)],
    }  # fmt: skip


def landed(job: Job) -> list[Source]:
    """Sources that are not in the target's database already."""
    return [one for one in job.sources() if not (one.dsn == TARGET and one.table is not None)]


def tables_of(job: Job) -> str:
    where = identifier(schema(job.spec))
    made = [f"CREATE SCHEMA IF NOT EXISTS {where};"]
    for source in landed(job):
        columns = [f"{identifier(name)} {type_}" for name, type_ in job.tables[source.name].items()]
        # In the order of arrival: of two rows that say as much, the later one wins.
        columns.append(f"{ROW} bigint GENERATED ALWAYS AS IDENTITY")
        made.append(
            f"CREATE TABLE IF NOT EXISTS {where}.{identifier(source.name)} (\n    "
            + ",\n    ".join(columns)
            + "\n);"
        )
    return "\n".join(made)


def kept(job: Job, name: str) -> Goal | None:
    """Of elt the table that keeps a source."""
    return next((goal for goal in job.goals if goal.landing and goal.target.source == name), None)


# --- queries ---

REFUSE = """CREATE OR REPLACE FUNCTION pg_temp._dpe_refuse(told text) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '%', told;
END $$"""
"""What `value` calls."""


def value(name: str, type_: str) -> str:
    """A column of texts as its declared type. What a cast would round or cut without a word is an error."""
    column, form = identifier(name), form_of(type_, typed=False)
    if form is None:
        return f"{column}::{type_}"
    told = literal(f"{name}: not {type_}: ")
    return (
        f"CASE WHEN {column} IS NULL OR {column} ~ {literal(form)} THEN {column}"
        f" ELSE pg_temp._dpe_refuse({told} || {column}) END::{type_}"
    )


def query(goal: Goal, quote: Quote, old: str = "") -> str:
    """The rows of a target, of the table `batch` that has all that was landed, as what follows that WITH.

    `old`: a UNION with rows that are there already, and stay.
    """
    columns = merges.listed(goal.columns, quote)
    if goal.way == "merge":
        return _merged(goal, columns, quote, old)
    return _history(goal, quote) if goal.way == "history" else f"\nselect {columns} from batch"


def _merged(goal: Goal, columns: str, quote: Quote, old: str) -> str:
    """The row that wins of each key: the greatest version, of equal ones a deletion, then the later arrival."""
    key = merges.listed(goal.target.key, quote)
    version = f"{quote(goal.target.version)} desc nulls last, _dpe_gone desc, " if goal.target.version else ""
    return f"""
select {columns} from (
    select distinct on ({key}) {columns}, _dpe_gone from (
        select {columns}, {merges.gone_of(goal, quote)} as _dpe_gone, 1 as _dpe_new, {ROW} from batch
         where {merges.has_key(goal, quote)}{old}
    ) as every
    order by {key}, {version}_dpe_new desc, {ROW} desc
) as winners where not _dpe_gone"""


def _history(goal: Goal, quote: Quote) -> str:
    """Versions from all that was seen of each key; there is no state before it, so that is an empty one."""
    names, at = merges.listed([*goal.target.key, *goal.attributes], quote), quote(str(goal.target.version))
    empty = f"(SELECT {names}, {at} AS _dpe_at, false AS {merges.GONE} FROM batch WHERE false) AS s"
    seen = merges.seen(goal, empty, "batch", quote, f"{ROW} DESC", "now()")
    versions = merges.versions(goal, "seen", quote)
    return f", seen as (\n{seen}\n)\nselect * from (\n{versions}\n) as versions"
