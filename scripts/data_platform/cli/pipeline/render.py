"""`dpe pipeline render`: the same spec as a project of another engine, or of a scheduler that runs it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from data_platform.cli.contract import Command, Invocation, Outcome, with_fail_on, with_files
from data_platform.cli.pipeline.run import read_spec
from data_platform.cli.spec import again
from data_platform.errors import UsageProblem

if TYPE_CHECKING:
    from argparse import ArgumentParser

    from data_platform.pipeline.engines.project import Project
    from data_platform.pipeline.engines.prove import Judged
    from data_platform.report.document import Report
    from data_platform.report.finding import Finding
    from data_platform.spec.pipeline import Pipeline

_AS_IT_IS = "Its SQL is the spec's, for PostgreSQL: nothing is translated."
_STARTED = (
    "It starts dpe pipeline run: nothing is translated. Its first lines say what the environment must hold."
)
_NOT_COMPARED = "No transform was compared with PostgreSQL."
_KEEPS = {
    **dict.fromkeys(("postgres", "dlt", "dbt"), _AS_IT_IS),
    "sqlmesh": "Its SQL is the spec's, for PostgreSQL; where SQLMesh's parser writes it otherwise, a finding says so.",
    **dict.fromkeys(("duckdb", "spark"), _NOT_COMPARED),
    **dict.fromkeys(("airflow", "dagster"), _STARTED),
}
"""What a report says of a rendering that compared no transform."""
SCHEDULERS = ("airflow", "dagster")
TARGETS = ("postgres", "duckdb", "spark", "dlt", "dbt", "sqlmesh", *SCHEDULERS)


def _declare(parser: ArgumentParser) -> None:
    parser.add_argument("spec", metavar="SPEC.yaml", help="a spec of kind pipeline")
    parser.add_argument("--target", required=True, choices=TARGETS, help="the engine or scheduler")
    parser.add_argument(
        "--no-verify",
        action="store_true",
        help="do not run the transforms on PostgreSQL and on the engine to compare them",
    )
    with_fail_on(parser)
    with_files(parser)


def _render(invocation: Invocation) -> Outcome:
    from data_platform.pipeline.engines.look import refuse_pattern  # noqa: PLC0415

    arguments = invocation.arguments
    spec, allowed = read_spec(invocation, arguments.spec)
    if arguments.target not in SCHEDULERS:
        refuse_pattern(spec, arguments.target)
    repeat = again(RENDER, invocation, *_words(arguments))
    head = (
        f"Made by data-platform-engineer from {spec.file} (SHA-256 {spec.sha256})",
        f"Make it again: {repeat}",
    )
    project, findings, judged = _made(arguments, spec, head)
    broken = any(one.severity == "error" for one in findings)
    written: tuple[str, ...] = ()
    verdict = "refused." if broken else "written." if arguments.output else "not written: no --output."
    if arguments.output and not broken:
        folder = Path(arguments.output)
        written = invocation.write({folder / name: text for name, text in project.files.items()})
    return Outcome(
        text=_report((spec.name, arguments.target, verdict), project, findings, judged, repeat),
        result={
            "target": arguments.target,
            "files": [] if broken else list(project.files),
            "transforms": [{"name": one.name, "verdict": one.verdict, "rows": one.rows} for one in judged],
        },
        findings=findings,
        artifacts=written,
        decision=allowed.decision,
    )


def _made(
    arguments: Any, spec: Pipeline, head: tuple[str, ...]
) -> tuple[Project, tuple[Finding, ...], list[Judged]]:
    from data_platform.cli.progress import progress  # noqa: PLC0415
    from data_platform.pipeline.engines import (  # noqa: PLC0415
        dbt,
        dlt,
        duckdb,
        postgres,
        schedulers,
        spark,
        sqlmesh,
    )
    from data_platform.pipeline.engines.look import ENGINES, as_it_is, look  # noqa: PLC0415
    from data_platform.pipeline.engines.project import Project  # noqa: PLC0415
    from data_platform.postgres.server import embedded_server  # noqa: PLC0415
    from data_platform.spec import document  # noqa: PLC0415

    if arguments.target in SCHEDULERS:
        comment = "\n".join(f"# {' '.join(line.split())}" for line in head)
        return schedulers.render(spec, arguments.target, comment, _from_project(arguments)), (), []
    read = document.read(Path(arguments.spec))
    if arguments.target not in ENGINES:
        with progress("asking for the types"), embedded_server() as server:
            job = as_it_is(server, spec, head)
        given = {one["name"]: one for one in read.data["sources"]}
        output = Path(arguments.output) if arguments.output else None
        made = {
            "postgres": lambda: postgres.render(job),
            "dlt": lambda: dlt.render(job),
            "dbt": lambda: dbt.render(job, given, output),
            "sqlmesh": lambda: sqlmesh.render(job, given, output),
        }[arguments.target]()
        return made, made.findings, []
    engine = ENGINES[arguments.target]
    with progress("running the transforms on both"), embedded_server() as server:
        job, found, judged = look(server, read, spec, engine, head, verify=not arguments.no_verify)
    if any(one.severity == "error" for one in found):
        return Project({}), found, judged
    project = (spark if engine == "spark" else duckdb).render(job)
    return project, (*found, *project.findings), judged


def _from_project(arguments: Any) -> str:
    """The spec's path from the project on, since a worker has both elsewhere."""
    path, project = Path(arguments.spec).resolve(), Path(arguments.project).resolve()
    if path.drive != project.drive:
        raise UsageProblem(
            f"there is no path to the spec from {project}", where=str(path), expected="both on one drive"
        )
    return os.path.relpath(path, project).replace(os.sep, "/")


def _report(
    told: tuple[str, str, str],
    project: Project,
    findings: tuple[Finding, ...],
    judged: list[Judged],
    repeat: str,
) -> Report:
    """`told` is the pipeline's name, the target and the verdict."""
    from data_platform.report.document import (  # noqa: PLC0415
        Bullets,
        Code,
        Heading,
        Paragraph,
        Piece,
        Report,
        Table,
        words,
    )

    name, target, verdict = told
    pieces: list[Piece] = []
    if judged:
        rows = tuple((Code(one.name), one.verdict, f"{one.rows:,}") for one in judged)
        pieces.append(Table(("transform", f"on {target}", "rows compared"), rows, frozenset({2})))
    if findings:
        pieces += [Heading("Against it, or to know"), Bullets(tuple(words(_told(one)) for one in findings))]
    if project.files:
        pieces += [Heading("Files"), Bullets(tuple(Code(file) for file in project.files))]
    pieces.append(Paragraph(("Again: ", Code(repeat), ".")))
    same = sum(one.verdict == "same" for one in judged)
    return Report(
        title=("Pipeline ", Code(name), f" for {target}"),
        verdict=verdict,
        good=verdict != "refused.",
        summary=f"{same} of {len(judged)} transforms gave the rows of PostgreSQL on {target}."
        if judged
        else _KEEPS[target],
        pieces=tuple(pieces),
    )


def _told(one: Finding) -> str:
    place = f"line {one.line}: " if one.line else ""
    return f"{one.severity}: {place}{one.message}" + (f" ({one.fix})" if one.fix else "")


def _words(arguments: Any) -> list[str]:
    words = [arguments.spec, "--target", arguments.target]
    words += ["--no-verify"] if arguments.no_verify else []
    return words + (["--output", arguments.output] if arguments.output else [])


RENDER = Command(
    "pipeline",
    "render",
    "the same spec as a project of another engine, every transform compared with PostgreSQL, or of a scheduler",
    "dpe pipeline render orders.yaml --target duckdb --output project",
    _declare,
    _render,
)
