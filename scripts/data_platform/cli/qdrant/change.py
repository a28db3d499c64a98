"""`dpe qdrant apply`, `alias`, `snapshot` and `restore`: the verbs that change what a server has."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from data_platform.cli.contract import Command, Invocation, Outcome
from data_platform.cli.qdrant.read import declare_server, words_of
from data_platform.cli.retrieval.render import read_spec
from data_platform.cli.spec import again
from data_platform.errors import UsageProblem

if TYPE_CHECKING:
    from argparse import ArgumentParser

    from data_platform.qdrant.rest import Rest
    from data_platform.spec.retrieval import Retrieval

Done = tuple[str, dict[str, Any]]


def _run(
    command: Command,
    invocation: Invocation,
    work: Callable[[Retrieval, Rest], Done],
    *,
    after: str = "Again: ",
) -> Outcome:
    """`command` is what the report says to run `after` this."""
    from data_platform.qdrant.rest import rest  # noqa: PLC0415
    from data_platform.report.document import Code, Paragraph, Report  # noqa: PLC0415

    arguments = invocation.arguments
    spec, allowed = read_spec(invocation, arguments.spec)
    said, result = work(spec, rest(arguments.url, arguments.key))
    return Outcome(
        text=Report(
            title=(said, " on ", Code(arguments.url)),
            verdict="done.",
            good=True,
            pieces=(Paragraph((after, Code(again(command, invocation, *words_of(arguments))), ".")),),
        ),
        result=result,
        decision=allowed.decision,
    )


def _declare_apply(parser: ArgumentParser) -> None:
    declare_server(parser, required=True)


def _apply(invocation: Invocation) -> Outcome:
    def work(spec: Retrieval, server: Rest) -> Done:
        from data_platform.retrieval.design import design  # noqa: PLC0415
        from data_platform.retrieval.qdrant.changes import change  # noqa: PLC0415

        planned = change(spec, design(spec), server.server())
        for call in planned.calls:
            server.call(call)
        more = "; load it, then dpe qdrant alias" if planned.because else ""
        return f"{len(planned.calls)} calls{more}", {"collection": planned.to, "calls": len(planned.calls)}

    return _run(APPLY, invocation, work)


def _declare_alias(parser: ArgumentParser) -> None:
    declare_server(parser, required=True)
    parser.add_argument("--to", required=True, metavar="COLLECTION", help="what the spec's name is to mean")


def _alias(invocation: Invocation) -> Outcome:
    to = invocation.arguments.to

    def work(spec: Retrieval, server: Rest) -> Done:
        from data_platform.qdrant.calls import Call  # noqa: PLC0415
        from data_platform.retrieval.qdrant.collection import alias_swap  # noqa: PLC0415

        there = server.server()
        if to not in there.collections:
            raise UsageProblem(
                f"there is no collection `{to}`", expected=", ".join(there.collections) or "one"
            )
        before = there.current(spec.name)
        server.call(
            Call("POST", "/collections/aliases", alias_swap(spec.name, to, existing=before is not None))
        )
        return f"{spec.name} is {to} now", {"alias": spec.name, "collection": to, "before": before}

    return _run(ALIAS, invocation, work)


def _snapshot(invocation: Invocation) -> Outcome:
    def work(spec: Retrieval, server: Rest) -> Done:
        from data_platform.qdrant.calls import Call, path_of  # noqa: PLC0415

        name = current(spec, server)
        made = server.call(Call("POST", path_of(name, "/snapshots?wait=true")))
        return f"snapshot {made['name']}", {"collection": name, "snapshot": made}

    return _run(SNAPSHOT, invocation, work)


def _declare_restore(parser: ArgumentParser) -> None:
    declare_server(parser, required=True)
    parser.add_argument(
        "--from", required=True, dest="location", metavar="URL", help="of the snapshot, as the server sees it"
    )
    parser.add_argument(
        "--into",
        required=True,
        dest="to",
        metavar="COLLECTION",
        help="a new collection; an existing one is not overwritten",
    )


def _restore(invocation: Invocation) -> Outcome:
    location, into = invocation.arguments.location, invocation.arguments.to

    def work(spec: Retrieval, server: Rest) -> Done:
        from data_platform.qdrant.calls import Call, path_of  # noqa: PLC0415

        if into in server.server().collections:
            raise UsageProblem(
                f"the collection `{into}` is there", expected="a new name", try_="then dpe qdrant alias --to"
            )
        body = {"location": location, "priority": "snapshot"}
        server.call(Call("PUT", path_of(into, "/snapshots/recover?wait=true"), body))
        count = server.call(Call("POST", path_of(into, "/points/count"), {"exact": True}))["count"]
        return f"{count:,} points restored into {into}", {"collection": into, "points": count}

    return _run(ALIAS, invocation, work, after="Once it is right, applications find it with: ")


def current(spec: Retrieval, server: Rest) -> str:
    """The collection behind the spec's alias. UsageProblem where there is none."""
    found = server.server().current(spec.name)
    if found is None:
        raise UsageProblem(f"there is no alias `{spec.name}`", try_="dpe qdrant apply")
    return found


APPLY = Command(
    "qdrant",
    "apply",
    "make the calls of the plan; again, nothing is done",
    "dpe qdrant apply help.yaml --url http://localhost:6333 --key env:QDRANT_KEY",
    _declare_apply,
    _apply,
)
ALIAS = Command(
    "qdrant",
    "alias",
    "make the spec's name mean another collection, in one step",
    "dpe qdrant alias help.yaml --url http://localhost:6333 --to help_v2",
    _declare_alias,
    _alias,
)
SNAPSHOT = Command(
    "qdrant",
    "snapshot",
    "a snapshot of the collection behind the alias",
    "dpe qdrant snapshot help.yaml --url http://localhost:6333",
    _declare_apply,
    _snapshot,
)
RESTORE = Command(
    "qdrant",
    "restore",
    "a snapshot into a new collection, counted afterwards",
    "dpe qdrant restore help.yaml --url http://localhost:6333 --from URL --into help_v2",
    _declare_restore,
    _restore,
)
