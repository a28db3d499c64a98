"""`dpe spec`: the schema and an example of each kind, and whether a file agrees with its kind."""

from __future__ import annotations

from typing import TYPE_CHECKING

from data_platform.cli.contract import Command, Invocation, Outcome, with_output

if TYPE_CHECKING:
    from argparse import ArgumentParser

    from data_platform.model.design import Design
    from data_platform.spec.document import Document

_KEPT = ("views", "summaries", "projections", "collections")
KINDS = ("model", "storage", "change", "retrieval", "pipeline", "quality")


def read_document(invocation: Invocation, path: str) -> tuple[Document, Invocation]:
    """The spec at `path`, once the gate has agreed to the store that it names; nothing else of it is looked at before.

    Raises UsageProblem or SpecProblem for a file that is no spec, Refused for a store that is not ours.
    """
    from pathlib import Path  # noqa: PLC0415

    from data_platform.spec import document  # noqa: PLC0415

    read = document.read(Path(path))
    store = read.data.get("store") if isinstance(read.data, dict) else None
    return read, invocation.require_store(store if isinstance(store, str) else None)


def read_design(invocation: Invocation, path: str) -> tuple[Design, Invocation]:
    """The design in the model spec at `path`, behind the same gate."""
    from data_platform.spec import validate  # noqa: PLC0415
    from data_platform.spec.model import read_model  # noqa: PLC0415

    document, allowed = read_document(invocation, path)
    validate.check(document, "model")
    return read_model(document), allowed


def _declare_kind(parser: ArgumentParser) -> None:
    parser.add_argument("kind", choices=KINDS)
    with_output(parser)


def _schema(invocation: Invocation) -> Outcome:
    import json  # noqa: PLC0415

    from data_platform.spec.validate import schema_text  # noqa: PLC0415

    text = schema_text(invocation.arguments.kind)
    return Outcome(text=text, result=json.loads(text))


def _example(invocation: Invocation) -> Outcome:
    from data_platform.spec.validate import example_text  # noqa: PLC0415

    text = example_text(invocation.arguments.kind)
    return Outcome(text=text, result={"kind": invocation.arguments.kind, "example": text})


def _declare_check(parser: ArgumentParser) -> None:
    parser.add_argument("file", metavar="FILE.yaml")


def _check(invocation: Invocation) -> Outcome:
    from data_platform.spec import validate  # noqa: PLC0415
    from data_platform.spec.model import read_model  # noqa: PLC0415

    document, allowed = read_document(invocation, invocation.arguments.file)
    kind = validate.check(document)
    if kind == "storage":
        return _checked_storage(document, allowed)
    if kind == "change":
        return _checked_change(document, allowed)
    if kind == "retrieval":
        return _checked_retrieval(document, allowed)
    if kind == "pipeline":
        return _checked_pipeline(document, allowed)
    if kind == "quality":
        return _checked_quality(document, allowed)
    design = read_model(document)
    counts = _counts(design)
    listed = ", ".join(f"{number} {name.replace('_', ' ')}" for name, number in counts.items())
    return Outcome(
        text=f"{design.file} is a valid model for {design.store}: {listed}.",
        result={"kind": "model", "store": design.store, "sha256": design.sha256, **counts},
        decision=allowed.decision,
    )


def _counts(design: Design) -> dict[str, int]:
    """How many there are of what every model has, and of the rest where there are some."""
    database = design.database
    rest = ("views", "materialized_views", "functions", "sequences", "roles", "grants", "publications", "raw")
    return {
        "tables": len(database.tables),
        "types": len(database.types),
        "indexes": sum(len(table.indexes) for table in database.tables),
        **{name: len(getattr(database, name)) for name in rest if getattr(database, name)},
        "access_patterns": len(design.access_patterns),
    }


def _checked_storage(document: Document, allowed: Invocation) -> Outcome:
    from data_platform.spec.storage import ANSWERS, read_storage  # noqa: PLC0415

    asked = read_storage(document)
    counts = {"answers": len(asked.answered), "defaults": len(ANSWERS) - len(asked.answered)}
    owner = f" for {asked.store}" if asked.store else ""
    return Outcome(
        text=f"{asked.file} is a valid storage need{owner}: {counts['answers']} answers, "
        f"{counts['defaults']} defaults.",
        result={"kind": "storage", "store": asked.store, "sha256": asked.sha256, **counts},
        decision=allowed.decision,
    )


def _checked_change(document: Document, allowed: Invocation) -> Outcome:
    from data_platform.spec.backfill import read_backfills  # noqa: PLC0415
    from data_platform.spec.change import read_change  # noqa: PLC0415

    read_backfills(document)
    change = read_change(document)
    count = len(change.operations)
    return Outcome(
        text=f"{document.file} is a valid change for {change.store}: {count} operation{'s' if count != 1 else ''}.",
        result={"kind": "change", "store": change.store, "sha256": document.sha256, "operations": count},
        decision=allowed.decision,
    )


def _checked_retrieval(document: Document, allowed: Invocation) -> Outcome:
    from data_platform.spec.retrieval import read_retrieval  # noqa: PLC0415

    spec = read_retrieval(document)
    return Outcome(
        text=f"{document.file} is a valid retrieval spec for {spec.store}: {spec.model.dimensions} dimensions, "
        f"{len(spec.filters)} filters.",
        result={
            "kind": "retrieval",
            "store": spec.store,
            "sha256": document.sha256,
            "filters": len(spec.filters),
        },
        decision=allowed.decision,
    )


def _checked_pipeline(document: Document, allowed: Invocation) -> Outcome:
    from data_platform.spec.pipeline import read_pipeline  # noqa: PLC0415

    spec = read_pipeline(document)
    for one in spec.kept.collections:
        allowed.require_other(one.store)
    counts = {name: len(getattr(spec, name)) for name in ("sources", "transforms", "targets")}
    kept = {name: len(getattr(spec.kept, name)) for name in _KEPT}
    counts |= {name: number for name, number in kept.items() if number}
    listed = ", ".join(f"{number} {name}" for name, number in counts.items() if number)
    return Outcome(
        text=f"{document.file} is a valid pipeline ({spec.pattern}) into {spec.store}: {listed or 'nothing'}.",
        result={
            "kind": "pipeline",
            "store": spec.store,
            "sha256": document.sha256,
            "pattern": spec.pattern,
            **counts,
        },
        decision=allowed.decision,
    )


def _checked_quality(document: Document, allowed: Invocation) -> Outcome:
    from data_platform.spec.quality import read_quality  # noqa: PLC0415

    spec = read_quality(document)
    return Outcome(
        text=f"{document.file} is a valid quality spec for {spec.store}: {len(spec.checks)} checks.",
        result={
            "kind": "quality",
            "store": spec.store,
            "sha256": document.sha256,
            "checks": len(spec.checks),
        },
        decision=allowed.decision,
    )


def again(command: Command, invocation: Invocation, *words: str) -> str:
    """The command line that repeats this one, for reports and file headers."""
    import shlex  # noqa: PLC0415

    project = invocation.arguments.project
    where = [] if project == "." else ["--project", project]
    return shlex.join(["dpe", *command.name.split(), *words, *where])


COMMANDS = (
    Command(
        "spec",
        "schema",
        "print the JSON Schema of a kind of spec",
        "dpe spec schema model",
        _declare_kind,
        _schema,
    ),
    Command(
        "spec",
        "example",
        "print a commented example that validates",
        "dpe spec example model",
        _declare_kind,
        _example,
    ),
    Command(
        "spec",
        "check",
        "validate a spec: all errors at once, each with its place",
        "dpe spec check model.yaml",
        _declare_check,
        _check,
    ),
)
