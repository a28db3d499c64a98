"""A rendered store, for a program and for a person."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from data_platform.report.document import Block, Bullets, Code, Heading, Paragraph, Report, Table
from data_platform.retrieval.design import Design
from data_platform.retrieval.jobs import SPARK
from data_platform.retrieval.pgvector.names import names_of
from data_platform.spec.retrieval import Retrieval
from data_platform.sql.text import identifier, qualified_name

_MB = 1024 * 1024


def result(spec: Retrieval, made: Design) -> dict[str, Any]:
    """The `result` of the JSON envelope."""
    return {
        "target": spec.target,
        "settings": {
            "type": made.index.type,
            "index": made.index.method,
            "m": made.index.m,
            "ef_construction": made.index.ef_construction,
            "ef_search": made.search.ef_search,
            "rerank": made.search.rerank or None,
            "prefilter_rows": made.prefilter_rows,
        },
        "sizes": {
            "rows": spec.needs.rows_in_a_year,
            "table_bytes": made.heap_bytes,
            "index_bytes": made.index_bytes,
            "maintenance_work_mem_mb": made.maintenance_mb,
            "one_machine_rows": made.one_machine_rows,
        },
        "choices": [asdict(one) for one in made.choices],
    }


def report(
    spec: Retrieval, made: Design, files: Mapping[str, str], proven: str, repeat: str, wrote: bool
) -> Report:
    """What is chosen and why, how large it gets, how to go on; the files themselves where none was written."""
    rows = tuple((one.what, one.chosen, one.why, one.evidence) for one in made.choices)
    shown = (
        ()
        if wrote
        else tuple(
            piece
            for name, text in files.items()
            for piece in (Heading(Code(name)), Block(text, "python" if name.endswith(".py") else "sql"))
        )
    )
    guessed = [one.what for one in made.choices if one.evidence == "assumed"]
    return Report(
        title=("A store for ", Code(spec.name), f": {made.index}"),
        verdict="runs.",
        good=True,
        summary=f"{proven} "
        + (f"Not measured yet: {', '.join(guessed)}." if guessed else "All of it was measured."),
        pieces=(
            Heading("What was chosen"),
            Table(("what", "chosen", "why", "evidence"), rows),
            Heading("How large it gets"),
            Paragraph(_sizes(spec, made)),
            *_beyond(made),
            *_job(files),
            Heading("What to do next"),
            Bullets(_next(spec)),
            *shown,
            Paragraph(("Repeat: ", Code(repeat), ".")),
        ),
    )


def _sizes(spec: Retrieval, made: Design) -> str:
    index = (
        f", the index {made.index_bytes / _MB:,.1f} MB, {made.maintenance_mb:,} MB of maintenance_work_mem to build it"
        if made.index_bytes
        else ""
    )
    return (
        f"With {spec.needs.rows_in_a_year:,} rows: the table of vectors with its key {made.heap_bytes / _MB:,.1f} MB"
        f"{index}. Computed from how PostgreSQL and pgvector lay out pages, which was checked against a server."
    )


def _beyond(made: Design) -> tuple[Paragraph, ...]:
    if not made.partitions:
        return ()
    return (
        Paragraph(
            (
                "That is more than one machine holds in memory. ",
                Code("beyond/partitioned.sql"),
                f" splits the vectors into {made.partitions} partitions, each with an index of its own; ",
                Code("beyond/citus.sql"),
                " spreads them over machines (not run here: Citus is no part of this server).",
            )
        ),
    )


def _job(files: Mapping[str, str]) -> tuple[Paragraph, ...]:
    if SPARK not in files:
        return ()
    said = " loads the same documents with Spark, on many machines. It was not run here; what it needs is said in it."
    return (Paragraph((Code(SPARK), said)),)


def _next(spec: Retrieval) -> tuple[Any, ...]:
    names = names_of(spec)
    filters = "".join(f", {identifier(one.name)} => …" for one in spec.filters[:1])
    return (
        (
            "Run ",
            Code("01_tables.sql"),
            ", load with ",
            Code("dpe retrieval load"),
            ", then the rest in order.",
        ),
        ("Search: ", Code(f"SELECT * FROM {qualified_name(names.search)}($1, 10{filters})"), "."),  # noqa: S608
        (
            "Measure: ",
            Code("dpe retrieval evaluate"),
            ", and choose the settings: ",
            Code("dpe retrieval tune"),
            ".",
        ),
    )
