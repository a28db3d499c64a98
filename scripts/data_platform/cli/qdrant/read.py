"""`dpe qdrant plan` and `audit`: what a server lacks, and what is wrong with what it has. Both only read."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from data_platform.cli.contract import Command, Invocation, Outcome, with_fail_on, with_files
from data_platform.cli.retrieval.render import read_spec
from data_platform.cli.spec import again

if TYPE_CHECKING:
    from argparse import ArgumentParser

    from data_platform.retrieval.qdrant.changes import Change
    from data_platform.retrieval.qdrant.engine import Found
    from data_platform.spec.retrieval import Retrieval


def declare_server(parser: ArgumentParser, *, required: bool) -> None:
    """The spec, and where Qdrant is."""
    parser.add_argument("spec", metavar="SPEC.yaml", help="a spec of kind retrieval")
    parser.add_argument("--url", required=required, metavar="URL", help="of Qdrant: http://host:6333")
    parser.add_argument("--key", metavar="env:NAME", help="the variable that holds its API key")


def _declare_plan(parser: ArgumentParser) -> None:
    declare_server(parser, required=False)
    with_files(parser)


def _plan(invocation: Invocation) -> Outcome:
    from pathlib import Path  # noqa: PLC0415

    from data_platform.cli.progress import progress  # noqa: PLC0415
    from data_platform.qdrant.calls import Server  # noqa: PLC0415
    from data_platform.qdrant.rest import rest  # noqa: PLC0415
    from data_platform.retrieval.design import design  # noqa: PLC0415
    from data_platform.retrieval.qdrant.changes import change  # noqa: PLC0415
    from data_platform.retrieval.qdrant.collection import collection  # noqa: PLC0415
    from data_platform.retrieval.qdrant.engine import tried  # noqa: PLC0415

    arguments = invocation.arguments
    spec, allowed = read_spec(invocation, arguments.spec)
    made = design(spec)
    server = rest(arguments.url, arguments.key).server() if arguments.url else Server()
    planned = change(spec, made, server)
    with progress("on the engine"):
        found = tried(spec, collection(spec, made)) if not arguments.url else ()
    files = {f"{n:02}_{call.method.lower()}.json": _file(call) for n, call in enumerate(planned.calls, 1)}
    written: tuple[str, ...] = ()
    if arguments.output:
        written = invocation.write({Path(arguments.output) / name: text for name, text in files.items()})
    return Outcome(
        text=_report(spec, planned, found, again(PLAN, invocation, *words_of(arguments))),
        result=_result(planned, found),
        artifacts=written,
        decision=allowed.decision,
    )


def _file(call: Any) -> str:
    return json.dumps({"method": call.method, "path": call.path, "body": call.body}, indent=2) + "\n"


def _result(planned: Change, found: tuple[Found, ...]) -> dict[str, Any]:
    return {
        "collection": planned.to,
        "new_because": list(planned.because),
        "calls": [{"method": c.method, "path": c.path, "body": c.body, "why": c.why} for c in planned.calls],
        "engine": [
            {"selectivity": f.share, "recall": round(f.recall, 4), "rows": f.rows, "wanted": f.wanted}
            for f in found
        ],
    }


def _report(spec: Retrieval, planned: Change, found: tuple[Found, ...], repeat: str) -> Any:
    from data_platform.report.document import Block, Bullets, Code, Heading, Paragraph, Report, Table  # noqa: PLC0415

    pieces: list[Any] = []
    if planned.because:
        pieces += [
            Paragraph("A new collection, as this cannot be changed in place:"),
            Bullets(tuple(Code(one) for one in planned.because)),
            Paragraph(("Load it, then switch: ", Code("dpe qdrant alias"), ".")),
        ]
    for call in planned.calls:
        pieces += [Heading(Code(f"{call.method} {call.path}")), Paragraph(call.why)]
        pieces += [Block(json.dumps(call.body, indent=2), "json")] if call.body else []
    if found:
        rows = tuple((f"{f.share:.1%}", f"{f.recall:.3f}", f"{f.rows} of {f.wanted}") for f in found)
        pieces += [
            Heading("On the engine in this process"),
            Table(("rows that pass", "recall", "fewest rows"), rows, frozenset({1})),
            Paragraph(
                "Made-up vectors around 50 centres: it shows that the configuration works, not the recall of yours."
                " Aliases, shards and replicas were not run: they are the server's."
            ),
        ]
    pieces.append(Paragraph(("Repeat: ", Code(repeat), ".")))
    count = len(planned.calls)
    return Report(
        title=(f"{count} calls bring Qdrant to ", Code(spec.name))
        if count
        else (Code(spec.name), " is as the spec says"),
        verdict="planned." if count else "nothing to do.",
        good=True,
        pieces=tuple(pieces),
    )


def words_of(arguments: Any) -> list[str]:
    """The command line again; the key is the name of a variable."""
    from data_platform.postgres.connect import shown  # noqa: PLC0415

    words = [arguments.spec]
    given = vars(arguments)
    for option, name in (("--dsn", "dsn"), ("--url", "url"), ("--key", "key"), ("--to", "to")):
        value = given.get(name)
        words += [option, shown(value) if name == "dsn" else value] if value else []
    return words


def _declare_audit(parser: ArgumentParser) -> None:
    declare_server(parser, required=True)
    with_fail_on(parser)


def _audit(invocation: Invocation) -> Outcome:
    from data_platform.qdrant.rest import rest  # noqa: PLC0415
    from data_platform.report.document import Code, Heading, Paragraph, Report, Table, words  # noqa: PLC0415
    from data_platform.report.finding import in_order  # noqa: PLC0415
    from data_platform.retrieval.design import design  # noqa: PLC0415
    from data_platform.retrieval.qdrant.audit import findings  # noqa: PLC0415

    arguments = invocation.arguments
    spec, allowed = read_spec(invocation, arguments.spec)
    told = in_order(list(findings(spec, design(spec), rest(arguments.url, arguments.key).server())))
    rows = tuple((one.severity, words(one.message), words(one.fix or "")) for one in told)
    wrong = any(one.severity != "info" for one in told)
    table = (Heading("Findings"), Table(("severity", "what", "fix"), rows)) if rows else ()
    return Outcome(
        text=Report(
            title=(f"{len(told)} findings about ", Code(spec.name)),
            verdict="findings." if wrong else "well.",
            good=not wrong,
            pieces=(
                *table,
                Paragraph(("Repeat: ", Code(again(AUDIT, invocation, *words_of(arguments))), ".")),
            ),
        ),
        findings=told,
        decision=allowed.decision,
    )


PLAN = Command(
    "qdrant",
    "plan",
    "the calls that bring a Qdrant server to what a spec says; without --url, from nothing, tried on the engine here",
    "dpe qdrant plan help.yaml --url http://localhost:6333",
    _declare_plan,
    _plan,
)
AUDIT = Command(
    "qdrant",
    "audit",
    "what is wrong with a collection: against the spec, unindexed filters, points without a graph",
    "dpe qdrant audit help.yaml --url http://localhost:6333",
    _declare_audit,
    _audit,
)
