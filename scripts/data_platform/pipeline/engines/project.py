"""What a rendering works on, and what it gives: files by name, and findings about what the engine cannot do."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from string import Template
from typing import Literal

from data_platform.errors import UsageProblem
from data_platform.pipeline.engines.types import Engine, word
from data_platform.pipeline.plan import Chain, chains, read_by
from data_platform.report.finding import Finding
from data_platform.resources import resource
from data_platform.spec.pipeline import Pipeline, Source, Target
from data_platform.sql.statements import relations
from data_platform.sql.text import parse

Way = Literal["append", "replace", "merge", "history"]
"""How a batch comes into its target."""


@dataclass(frozen=True)
class Goal:
    """A target as an engine is to write it. `columns` are PostgreSQL's types of what it is made of, `gone` apart.

    `missing`: what the batch has no more is deleted, at most this share of the target at once.
    """

    target: Target
    way: Way
    columns: Mapping[str, str]
    gone: str | None = None
    missing: bool = False
    at_most: float = 1.0
    landing: bool = False
    """A source as it is, which the transforms then read whole."""

    @property
    def name(self) -> str:
        """`schema.table`."""
        return f"{self.target.table.schema}.{self.target.table.name}"

    @property
    def attributes(self) -> tuple[str, ...]:
        """All columns but the key and, of a history, its time."""
        apart = {*self.target.key, *([self.target.version] if self.way == "history" else [])}
        return tuple(name for name in self.columns if name not in apart)

    @property
    def followed(self) -> tuple[str, ...]:
        """Of a history, the attributes of which a change makes a version."""
        return tuple(one for one in self.attributes if not self.target.tracked or one in self.target.tracked)


@dataclass(frozen=True)
class Job:
    """A spec that was looked at: types of all sources and transforms, and what each target needs.

    `statements` are the transforms in the engine's words, by name; `head` a comment's lines for the top of each file.
    """

    spec: Pipeline
    tables: Mapping[str, Mapping[str, str]]
    goals: tuple[Goal, ...]
    head: tuple[str, ...]
    base: Path
    spec_text: str = ""
    statements: Mapping[str, str] = field(default_factory=dict)

    @property
    def whole(self) -> bool:
        """Whether each run reads all that the sources have."""
        return self.spec.pattern in ("etl", "snapshot")

    def sources(self) -> tuple[Source, ...]:
        """Those that a target needs."""
        found = {one.name for chain in chains(self.spec) for one in chain.sources}
        return tuple(one for one in self.spec.sources if one.name in found)

    def repeats(self, source: Source) -> bool:
        """Whether its rows may be read again: every target that they reach has a key."""
        own = [one for one in chains(self.spec) if source in one.sources and not _derived(self.spec, one)]
        return all(one.target.key for one in own)

    def comment(self, mark: str) -> str:
        return "\n".join(f"{mark} {line}" for line in self.head)


@dataclass(frozen=True)
class Project:
    """Texts by their path in the project's folder."""

    files: Mapping[str, str]
    findings: tuple[Finding, ...] = ()


def goals_of(spec: Pipeline, tables: Mapping[str, Mapping[str, str]]) -> tuple[Goal, ...]:
    """What each target needs. UsageProblem where a key or version is not in what it is made of."""
    return tuple(_goal(spec, chain, tables[chain.target.source]) for chain in chains(spec))


def _derived(spec: Pipeline, chain: Chain) -> bool:
    return spec.pattern == "elt" and bool(chain.transforms)


def _goal(spec: Pipeline, chain: Chain, columns: Mapping[str, str]) -> Goal:
    target, deletes = chain.target, chain.deletes
    unknown = [name for name in (*target.key, *filter(None, [target.version])) if name not in columns]
    if unknown:
        raise UsageProblem(
            f"{target.table} is made of nothing that has {', '.join(unknown)}", where=spec.file
        )
    gone = deletes.column if deletes.column in columns else None
    whole = spec.pattern in ("etl", "snapshot") or _derived(spec, chain)
    missing = (
        whole
        and bool(target.key)
        and (deletes.missing or spec.pattern == "snapshot" or _derived(spec, chain))
    )
    return Goal(
        target=target,
        way=_way(spec, target, whole=whole),
        columns={name: type_ for name, type_ in columns.items() if name != gone},
        gone=gone,
        missing=missing or (spec.pattern == "scd" and deletes.missing),
        at_most=deletes.at_most if deletes.missing else 1.0,
        landing=spec.pattern == "elt" and not chain.transforms,
    )


def _way(spec: Pipeline, target: Target, *, whole: bool) -> Way:
    if spec.pattern == "scd":
        return "history"
    if target.key:
        return "merge"
    return "replace" if whole else "append"


# --- what engines beside PostgreSQL cannot do ---


def refuse_other_tables(spec: Pipeline) -> None:
    """UsageProblem where SQL reads a table that is no source: nobody knows its types, and other engines have it not."""
    for transform in spec.transforms:
        for statement in parse(transform.sql).stmts:
            for one in relations(statement.stmt):
                if one.schema:
                    raise UsageProblem(
                        f"`{transform.name}` reads {one.schema}.{one.name}, which is no source of the spec",
                        where=spec.file,
                        try_="a source of it, with its columns (dsn: target, where the target's server has it)",
                    )


def refuse_unreadable(job: Job, engine: Engine) -> None:
    """UsageProblem for sources and types that the engine does not have."""
    for source in job.sources():
        if source.path is None:
            raise UsageProblem(
                f"the target {engine} reads files, and `{source.name}` is none",
                where=job.spec.file,
                try_="dpe pipeline run, which reads databases and HTTP; or files that the source writes",
            )
        if source.csv.encoding.upper().replace("-", "") != "UTF8":
            raise UsageProblem(
                f"the target {engine} reads UTF-8, and `{source.name}` is {source.csv.encoding}",
                where=job.spec.file,
                try_="dpe pipeline run",
            )
        if engine == "spark" and source.format == "csv" and source.csv.null:
            raise UsageProblem(
                f"Spark cannot tell {source.csv.null} in quotes from NULL, and `{source.name}` says it is NULL",
                where=job.spec.file,
                try_="csv: {null: ''}, or dpe pipeline run",
            )
    for name, columns in job.tables.items():
        for column, type_ in columns.items():
            if word(type_, engine) is None and (type_ != "numeric" or job.spec.source(name)):
                raise UsageProblem(
                    f"{engine} has no type that holds what {type_} of `{name}.{column}` does",
                    where=job.spec.file,
                    expected="numeric(p, s), and no type that only PostgreSQL has",
                    try_="declare it as text, or dpe pipeline run",
                )
    for goal in job.goals:
        if goal.way == "history" and goal.missing:
            raise UsageProblem(
                f"{goal.name}: a history that closes what a source has no more is PostgreSQL's only here",
                where=job.spec.file,
                try_="dpe pipeline run",
            )


def reading_findings(job: Job, engine: str) -> Iterator[Finding]:
    """What holds of an engine that reads the sources itself: it is not `dpe pipeline run`."""
    spec = job.spec
    yield finding(
        spec, "info", "no-quarantine",
        f"{engine} stops at a row that is not of its types; a run of ours puts it aside",
        "dpe pipeline run, where rows may be bad",
    )  # fmt: skip
    if spec.drift == "evolve":
        yield finding(
            spec, "warning", "no-evolution",
            "columns that nobody declared are left out, and not added to the table",
            "drift: freeze, or dpe pipeline run",
        )  # fmt: skip
    if spec.drift == "quarantine":
        yield finding(
            spec, "info", "no-quarantine", "a file that drifts stops the run, and is not set aside",
            "dpe pipeline run",
        )  # fmt: skip
    if spec.pattern in ("incremental", "scd"):
        for name in wide(job):
            yield finding(
                spec, "warning", "batch-wide",
                f"`{name}` looks at several rows: here at those of all new files, in a run of ours file by file",
                "pattern: elt, where SQL sees all that was ever loaded", name,
            )  # fmt: skip


def findings_of(job: Job, target: str) -> Iterator[Finding]:
    """What no other engine does for the spec."""
    spec = job.spec
    if spec.checks:
        yield finding(
            spec, "warning", "no-checks", f"`checks:` are not looked at by {target}",
            "dpe pipeline run; dpe quality export for dbt, Great Expectations, Soda and pandera",
        )  # fmt: skip
    if spec.levels != type(spec.levels)():
        yield finding(spec, "info", "no-levels", "service levels are not watched by this project",
                      "--target airflow or dagster beside it")  # fmt: skip


def wide(job: Job) -> Iterator[str]:
    """Transforms whose rows depend on more than one row of a source."""
    from sqlglot import exp, parse_one  # noqa: PLC0415

    for transform in job.spec.transforms:
        tree = parse_one(transform.sql, read="postgres")
        if tree.find(exp.AggFunc, exp.Window, exp.Distinct, exp.Limit) is not None:
            yield transform.name


def several_rows(job: Job) -> Iterator[str]:
    """Transforms that look at a table more than once, or at several."""
    from sqlglot import exp, parse_one  # noqa: PLC0415

    for transform in job.spec.transforms:
        tree = parse_one(transform.sql, read="postgres")
        ctes = {one.alias for one in tree.find_all(exp.CTE)}
        if len([one for one in tree.find_all(exp.Table) if one.name not in ctes]) != 1 or ctes:
            yield transform.name


def finding(
    spec: Pipeline,
    severity: Literal["error", "warning", "info"],
    rule: str,
    message: str,
    fix: str,
    of: str | None = None,
) -> Finding:
    return Finding(rule=rule, severity=severity, message=message, evidence="documented", file=spec.file,
                   object=of or spec.name, fix=fix, reference="references/pipeline-engines.md")  # fmt: skip


# --- texts ---


def title_of(job: Job) -> str:
    """What goes where, in a line."""
    sources, goals = (", ".join(one.name for one in some) for some in (job.sources(), job.goals))
    return f"{job.spec.name}: {sources} into {goals}."


def filled(template: str, **values: str) -> str:
    """A template of this folder with its places filled."""
    path = Path(resource("templates", "pipeline", "engines", template))
    return Template(path.read_text(encoding="utf-8")).substitute(values)


def literal(value: object, indent: int = 0) -> str:
    """A value as Python source, lists and mappings with a line for each item."""
    pad = " " * (indent + 4)
    if isinstance(value, dict) and value:
        lines = [f"{pad}{key!r}: {literal(one, indent + 4)},\n" for key, one in value.items()]
        return "{\n" + "".join(lines) + " " * indent + "}"
    if (
        isinstance(value, list | tuple)
        and value
        and any(isinstance(one, dict | list | tuple) for one in value)
    ):
        lines = [f"{pad}{literal(one, indent + 4)},\n" for one in value]
        return "[\n" + "".join(lines) + " " * indent + "]"
    return repr(list(value)) if isinstance(value, tuple) else repr(value)


def reads(job: Job, name: str) -> set[str]:
    """Names of sources and transforms that a transform reads."""
    return {one for transform in job.spec.transforms if transform.name == name for one in read_by(transform)}
