"""`dpe retrieval migrate-model`: another embedding model for a store that is searched meanwhile."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from data_platform.cli.contract import Command, Invocation, Outcome
from data_platform.cli.retrieval.render import read_spec
from data_platform.cli.spec import again

if TYPE_CHECKING:
    from argparse import ArgumentParser

    from data_platform.report.document import Inline
    from data_platform.retrieval.changing import Changed
    from data_platform.spec.retrieval import Retrieval


def _declare(parser: ArgumentParser) -> None:
    parser.add_argument("spec", metavar="SPEC.yaml", help="the retrieval spec with the new model")
    parser.add_argument(
        "--dsn", required=True, metavar="URL|env:NAME|service:NAME", help="the server; it is written to"
    )
    parser.add_argument("--memory", metavar="FILE", help="keeps vectors that were made")
    which = parser.add_mutually_exclusive_group()
    which.add_argument(
        "--switch", action="store_true", help="make the new model the active one, once it is prepared"
    )
    which.add_argument("--rollback", action="store_true", help="make the model before active again")
    which.add_argument("--drop", metavar="MODEL", help="forget a model that is not active, with its vectors")


def _migrate(invocation: Invocation) -> Outcome:
    from data_platform.cli.progress import progress  # noqa: PLC0415
    from data_platform.postgres.connect import resolve_dsn  # noqa: PLC0415
    from data_platform.retrieval import changing  # noqa: PLC0415

    arguments = invocation.arguments
    spec, allowed = read_spec(invocation, arguments.spec)
    conninfo, folder = resolve_dsn(arguments.dsn), Path(arguments.spec).resolve().parent
    memory = Path(arguments.memory) if arguments.memory else invocation.project / ".dpe" / "vectors.sqlite"
    with progress("connecting") as tell:
        if arguments.drop:
            done, what = changing.drop(conninfo, spec, arguments.drop), "dropped"
        elif arguments.rollback:
            done, what = changing.back(conninfo, spec), "rolled back"
        elif arguments.switch:
            done, what = changing.change(conninfo, spec, folder, memory, tell), "switched"
        else:
            done, what = changing.prepare(conninfo, spec, folder, memory, tell), "prepared"
    return Outcome(
        text=_told(spec, done, what, again(MIGRATE_MODEL, invocation, *_words(arguments))),
        result={
            "done": what,
            "embedded": done.embedded,
            "active": done.active,
            "models": [{"name": m.name, "table": m.table, "state": m.state} for m in done.models],
        },
        decision=allowed.decision,
    )


def _told(spec: Retrieval, done: Changed, what: str, repeat: str) -> Any:
    from data_platform.report.document import Bullets, Code, Heading, Report, Table  # noqa: PLC0415

    rows = tuple((Code(m.name), Code(m.table), m.state) for m in done.models)
    after: dict[str, tuple[Inline, ...]] = {
        "prepared": (
            ("Compare the two: ", Code("dpe retrieval evaluate"), " with each spec."),
            (
                "Then ",
                Code(f"{repeat} --switch"),
                ": one short transaction; searches by the old model go on to work.",
            ),
        ),
        "switched": (
            "Clients that read the registry embed with the new model from now on.",
            (
                "Back again: ",
                Code("--rollback"),
                ". When nobody asks the old one any more: ",
                Code("--drop"),
                ".",
            ),
        ),
        "rolled back": ("Clients that read the registry embed with the model before from now on.",),
        "dropped": ("Its vectors and functions are gone.",),
    }
    return Report(
        title=("The active model of ", Code(spec.name), " is ", Code(done.active)),
        verdict=f"{what}.",
        good=True,
        summary=f"{done.embedded:,} chunks were embedded again." if what == "prepared" else "",
        pieces=(Table(("model", "table", "state"), rows), Heading("What to do next"), Bullets(after[what])),
    )


def _words(arguments: Any) -> list[str]:
    from data_platform.postgres.connect import shown  # noqa: PLC0415

    words = [arguments.spec, "--dsn", shown(arguments.dsn)]
    return words + (["--memory", arguments.memory] if arguments.memory else [])


MIGRATE_MODEL = Command(
    "retrieval",
    "migrate-model",
    "another embedding model for a store while searches go on, and back",
    "dpe retrieval migrate-model help.yaml --dsn env:DATABASE_URL",
    _declare,
    _migrate,
)
