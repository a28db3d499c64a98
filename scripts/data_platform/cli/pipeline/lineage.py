"""`dpe pipeline lineage`: which columns each column of a target is made of, and how."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from data_platform.cli.contract import Command, Invocation, Outcome, with_fail_on, with_output
from data_platform.cli.pipeline.run import read_spec

if TYPE_CHECKING:
    from argparse import ArgumentParser


def _declare(parser: ArgumentParser) -> None:
    parser.add_argument("spec", metavar="SPEC.yaml", help="a spec of kind pipeline")
    parser.add_argument(
        "--format",
        choices=("mermaid", "json", "openlineage"),
        default="mermaid",
        help="a picture (default), the columns as JSON, or an event of OpenLineage",
    )
    with_output(parser)
    with_fail_on(parser)


def _lineage(invocation: Invocation) -> Outcome:
    from data_platform.pipeline.lineage import lineages  # noqa: PLC0415
    from data_platform.pipeline.lineage_told import findings_of, mermaid, result  # noqa: PLC0415
    from data_platform.pipeline.openlineage import Told  # noqa: PLC0415

    arguments = invocation.arguments
    spec, allowed = read_spec(invocation, arguments.spec)
    found = lineages(spec)
    told = result(spec, found)
    if arguments.format == "mermaid":
        text = mermaid(found)
    else:
        event = told if arguments.format == "json" else Told(spec).job_event()
        text = json.dumps(event, indent=2, ensure_ascii=False)
    return Outcome(text=text, result=told, findings=findings_of(spec, found), decision=allowed.decision)


LINEAGE = Command(
    "pipeline",
    "lineage",
    "which columns every column of a target is made of, and by which expressions",
    "dpe pipeline lineage orders.yaml --format mermaid",
    _declare,
    _lineage,
)
