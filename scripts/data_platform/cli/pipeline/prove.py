"""`dpe pipeline prove`: killed, doubled, torn and drifted on a throwaway server, compared with an uninterrupted run."""

from __future__ import annotations

from typing import TYPE_CHECKING

from data_platform.cli.contract import Command, Invocation, Outcome, with_html
from data_platform.cli.pipeline.run import read_spec
from data_platform.cli.spec import again
from data_platform.errors import UsageProblem

if TYPE_CHECKING:
    from argparse import ArgumentParser

_MOST_KILLS, _MOST_ROWS = 1_000, 1_000_000


def _declare(parser: ArgumentParser) -> None:
    parser.add_argument("spec", metavar="SPEC.yaml", help="a spec of kind pipeline")
    parser.add_argument("--kills", type=int, default=20, metavar="N", help="of the client (default: 20)")
    parser.add_argument(
        "--rows", type=int, default=2_000, metavar="N", help="made for each source (default: 2000)"
    )
    parser.add_argument("--seed", type=int, default=1, metavar="N", help="of rows and moments (default: 1)")
    with_html(parser)


def _prove(invocation: Invocation) -> Outcome:
    from data_platform.cli.progress import progress  # noqa: PLC0415
    from data_platform.pipeline.prove.prove import prove  # noqa: PLC0415
    from data_platform.pipeline.prove.told import report, result  # noqa: PLC0415
    from data_platform.postgres.server import open_server  # noqa: PLC0415

    arguments = invocation.arguments
    if not 0 <= arguments.kills <= _MOST_KILLS:
        raise UsageProblem(f"--kills {arguments.kills}", expected=f"0 to {_MOST_KILLS:,}")
    if not 50 <= arguments.rows <= _MOST_ROWS:
        raise UsageProblem(f"--rows {arguments.rows}", expected=f"50 to {_MOST_ROWS:,}")
    spec, allowed = read_spec(invocation, arguments.spec)
    with progress("a server") as tell, open_server(None) as server:
        proof = prove(
            server, spec, kills=arguments.kills, rows=arguments.rows, seed=arguments.seed, tell=tell
        )
    words = [arguments.spec, "--kills", str(arguments.kills), "--rows", str(arguments.rows)]
    repeat = again(PROVE, invocation, *words, "--seed", str(arguments.seed))
    return Outcome(
        text=report(spec, proof, repeat),
        result=result(proof),
        failed=not proof.good,
        decision=allowed.decision,
    )


PROVE = Command(
    "pipeline",
    "prove",
    "run it on made-up rows: killed, doubled, torn, drifted, two at once; nothing may be lost or doubled",
    "dpe pipeline prove orders.yaml --kills 20",
    _declare,
    _prove,
)
