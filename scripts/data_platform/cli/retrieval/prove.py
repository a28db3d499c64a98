"""`dpe retrieval prove`: the whole way on a throwaway server: store, load, load again, indexes, evaluation."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from data_platform.cli.contract import Command, Invocation, Outcome, with_fail_on, with_html, with_output
from data_platform.cli.retrieval.evaluate import judged_queries
from data_platform.cli.retrieval.render import read_spec
from data_platform.cli.spec import again
from data_platform.errors import UsageProblem

if TYPE_CHECKING:
    from argparse import ArgumentParser


def _declare(parser: ArgumentParser) -> None:
    parser.add_argument("spec", metavar="SPEC.yaml", help="a spec of kind retrieval, with sources")
    parser.add_argument(
        "--queries", metavar="FILE", help="JSON lines with id and text (default: the spec's judgements)"
    )
    parser.add_argument("--qrels", metavar="FILE", help="what is relevant to them")
    parser.add_argument(
        "--sample", type=int, default=200, metavar="N", help="questions at most (default: 200)"
    )
    parser.add_argument("--clients", type=int, default=4, metavar="N", help="at once (default: 4)")
    parser.add_argument("--memory", metavar="FILE", help="keeps vectors that were made")
    with_fail_on(parser)
    with_output(parser)
    with_html(parser)


def _prove(invocation: Invocation) -> Outcome:
    from data_platform.cli.progress import progress  # noqa: PLC0415
    from data_platform.postgres.server import embedded_server  # noqa: PLC0415
    from data_platform.retrieval.evaluation.run import Extent  # noqa: PLC0415
    from data_platform.retrieval.evaluation.told import findings, report, result  # noqa: PLC0415
    from data_platform.retrieval.proof import prove  # noqa: PLC0415

    arguments = invocation.arguments
    spec, allowed = read_spec(invocation, arguments.spec)
    if not spec.sources:
        raise UsageProblem(
            "the spec has no sources", where=arguments.spec, expected="sources: [{path: docs/**/*.md}]"
        )
    folder = Path(arguments.spec).resolve().parent
    memory = Path(arguments.memory) if arguments.memory else invocation.project / ".dpe" / "vectors.sqlite"
    queries = judged_queries(arguments, spec, folder)
    with (
        progress("starting PostgreSQL") as tell,
        embedded_server(settings={"shared_buffers": "512MB"}) as server,
    ):
        proof = prove(
            server, spec, folder, memory, queries, Extent(arguments.sample, arguments.clients), tell
        )
    words = [
        arguments.spec,
        *(["--queries", arguments.queries, "--qrels", arguments.qrels] if arguments.queries else []),
    ]
    told = report(spec, proof.evaluation, again(PROVE, invocation, *words), before=proof.steps)
    failed = proof.again != 0
    return Outcome(
        text=told,
        result={"loaded": proof.loaded, "changed_by_second_load": proof.again, **result(proof.evaluation)},
        findings=findings(spec, proof.evaluation),
        failed=failed,
        decision=allowed.decision,
    )


PROVE = Command(
    "retrieval",
    "prove",
    "the whole way on a throwaway server: store, load, load again, indexes, evaluation",
    "dpe retrieval prove help.yaml",
    _declare,
    _prove,
)
