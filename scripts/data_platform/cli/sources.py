"""A database that the command line names: a model, SQL files, or a live server; behind the gate in each case."""

from __future__ import annotations

from typing import TYPE_CHECKING

from data_platform.cli.contract import Invocation
from data_platform.cli.spec import read_design
from data_platform.errors import UsageProblem

if TYPE_CHECKING:
    from data_platform.postgres.sources import Source

METAVAR = "MODEL.yaml|FILE.sql|DIR|URL|env:NAME|service:NAME"


def read_source(invocation: Invocation, source: str) -> tuple[Source, Invocation]:
    """What the argument names, read as far as no server is needed, and the invocation with the gate's decision.

    Raises UsageProblem where nobody says whose database it is, Refused for a store that is not ours.
    """
    from data_platform.postgres import sources  # noqa: PLC0415

    if sources.is_model(source):
        return read_design(invocation, source)
    if invocation.arguments.store is None:
        from data_platform.postgres.connect import shown  # noqa: PLC0415

        raise UsageProblem(
            f"whose database is {shown(source)}?",
            expected="--store NAME, a store that the project's scope owns",
        )
    return (source if sources.is_live(source) else sources.scripts([source])), invocation
