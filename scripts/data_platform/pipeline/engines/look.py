"""A spec becomes a job for an engine: typed on a real server, its SQL in the engine's words, tried on made-up rows."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from data_platform.errors import UsageProblem
from data_platform.pipeline import streams
from data_platform.pipeline.engines import prove
from data_platform.pipeline.engines.dialects import write
from data_platform.pipeline.engines.project import Job, goals_of, refuse_other_tables, refuse_unreadable
from data_platform.pipeline.engines.prove import Judged
from data_platform.pipeline.engines.running import PACKAGES, is_there, running
from data_platform.pipeline.engines.types import Engine
from data_platform.pipeline.plan import chains
from data_platform.pipeline.reading import files
from data_platform.pipeline.streams import Place, Unit
from data_platform.postgres.server import Server
from data_platform.report.finding import Finding
from data_platform.spec.document import Document
from data_platform.spec.pipeline import Pipeline, Source
from data_platform.spec.pipeline_patterns import WITHIN

ENGINES: Mapping[str, Engine] = {"duckdb": "duckdb", "spark": "spark"}
"""The dialect that a target's transforms are written in; those that are not here run the spec as it is."""


_READERS = ("postgres", "duckdb", "spark", "dlt")
"""Targets that read the files themselves."""


def refuse_pattern(spec: Pipeline, target: str) -> None:
    """UsageProblem for a pattern that only PostgreSQL has, and for files that only a run of ours reads."""
    packed = next((one for one in spec.sources if (one.path or "").endswith(".gz")), None)
    if packed is not None and target in _READERS:
        raise UsageProblem(
            f"`{packed.name}` is packed by gzip, and what is rendered for {target} reads files as they are",
            where=spec.file,
            try_="gunzip them first, or dpe pipeline run",
        )
    if spec.pattern in ("cdc", *WITHIN):
        raise UsageProblem(
            f"the pattern {spec.pattern} is PostgreSQL's alone: {target} has no like of it",
            where=spec.file,
            try_="dpe pipeline run",
        )
    if not spec.targets:
        raise UsageProblem("this pipeline has no targets, so there is nothing to render", where=spec.file)


def look(
    server: Server, document: Document, spec: Pipeline, engine: Engine, head: Sequence[str], *, verify: bool
) -> tuple[Job, tuple[Finding, ...], list[Judged]]:
    """The job, what is against it, and what came of each transform on the engine."""
    base, sources, transforms = _asked(spec)
    with server.scratch_database() as database:
        tables = prove.typed(database, sources, transforms)
        written = {name: write(sql, engine, tables) for name, sql in transforms.items()}
        job = Job(
            spec=spec,
            tables=tables,
            goals=goals_of(spec, tables),
            head=tuple(head),
            base=base,
            statements={name: one.sql for name, one in written.items()},
        )
        refuse_unreadable(job, engine)
        judged: list[Judged] = []
        if verify and transforms and is_there(engine):
            with running(engine) as runner:
                judged = prove.judge(database, runner, sources, transforms, tables)
        else:
            judged = [
                Judged(
                    name,
                    "refused" if one.objections else "not run",
                    objections=one.objections,
                    collated=one.collated,
                )
                for name, one in written.items()
            ]
    found = tuple(_findings(document, spec, engine, judged, here=is_there(engine)))
    return job, found, judged


def as_it_is(server: Server, spec: Pipeline, head: Sequence[str]) -> Job:
    """The job of an engine that is PostgreSQL itself: its SQL is the spec's."""
    base, sources, transforms = _asked(spec)
    with server.scratch_database() as database:
        tables = prove.typed(database, sources, transforms)
    lines = tuple(" ".join(line.split()) for line in head)
    return Job(spec, tables, goals_of(spec, tables), lines, base, statements=transforms)


def _asked(spec: Pipeline) -> tuple[Path, dict[str, dict[str, str]], dict[str, str]]:
    """The spec's folder, and the sources with their types and the transforms that a target needs."""
    refuse_other_tables(spec)
    base = Path(spec.file).resolve().parent
    needed = {one.name for chain in chains(spec) for one in chain.sources}
    sources = {one.name: _columns(one, base) for one in spec.sources if one.name in needed}
    own = {one.name for chain in chains(spec) for one in chain.transforms}
    return base, sources, {one.name: str(one.sql) for one in spec.transforms if one.name in own}


def _columns(source: Source, base: Path) -> dict[str, str]:
    """As declared; of Parquet what its first file says."""
    if source.columns:
        return {name: str(type_) for name, type_ in source.columns.items()}
    first = files.files_of(source, base)[:1] if source.format == "parquet" else ()
    if not first:
        raise UsageProblem(
            f"what types has `{source.name}`?",
            expected="columns: {id: bigint, …}, without which nothing can be typed",
        )
    with streams.opened(Unit(source, first[0].name, {}, first[0].path), Place("", base)) as (_, declared):
        return {name: str(type_) for name, type_ in declared.items()}


def _findings(
    document: Document, spec: Pipeline, engine: Engine, judged: Sequence[Judged], *, here: bool
) -> Iterator[Finding]:
    for one in judged:
        number = next(n for n, transform in enumerate(spec.transforms) if transform.name == one.name)
        mark = document.mark(("transforms", str(number), "sql"))
        for objection in one.objections:
            message = f"`{one.name}`, `{objection.text}` on {engine}: {objection.what}"
            yield _finding(spec, "engine-refused", message, _line(document, mark.line, objection.line), one.name,
                           f"a form that agrees: {objection.instead}")  # fmt: skip
        for remark in one.collated:
            yield Finding(
                rule="engine-collation", severity="warning", evidence="documented", file=spec.file,
                message=f"`{one.name}`, `{remark.text}` on {engine}: {remark.what}; PostgreSQL orders by the collation",
                line=_line(document, mark.line, remark.line), object=one.name,
                fix=f"{remark.instead} after the text, which agrees whatever collation the database has",
            )  # fmt: skip
        if one.verdict in ("differs", "raises"):
            message = f"`{one.name}` on {engine} {one.verdict}: {one.told}"
            yield _finding(spec, "engine-differs", message, mark.line, one.name,
                           "another form; references/pipeline-engines.md lists those that agree")  # fmt: skip
        elif one.verdict == "not run":
            why = one.told or (f"{PACKAGES[engine]} is not installed" if not here else "it was not asked for")
            yield Finding(
                rule="engine-not-tried", severity="warning", message=f"`{one.name}` was not run on {engine}: {why}",
                evidence="parsed", file=spec.file, line=mark.line, object=one.name,
                fix=f"dpe setup --extra {engine}, and render again",
            )  # fmt: skip


def _line(document: Document, key: int, within: int) -> int:
    """The line of the spec; a block scalar begins on the line after its key."""
    lines = Path(document.file).read_text(encoding="utf-8").splitlines()
    block = lines[key - 1].rstrip().endswith(("|", "|-", "|+"))
    return key + within - (0 if block else 1)


def _finding(spec: Pipeline, rule: str, message: str, line: int, of: str, fix: str) -> Finding:
    return Finding(
        rule=rule, severity="error", message=message, evidence="measured" if rule == "engine-differs" else "documented",
        file=spec.file, line=line, object=of, fix=fix, reference="references/pipeline-engines.md",
    )  # fmt: skip


def refuse_findings(found: Sequence[Finding]) -> bool:
    """Whether what was found is against writing anything."""
    return any(one.severity == "error" for one in found)
