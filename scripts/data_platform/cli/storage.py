"""`dpe storage`: which system should hold the data, and why."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from data_platform.cli.contract import Command, Invocation, Outcome, with_html, with_output
from data_platform.cli.spec import again, read_document

if TYPE_CHECKING:
    from argparse import ArgumentParser

    from data_platform.spec.document import Document
    from data_platform.spec.storage import StorageNeed

NOT_OPTIONS = ("kind", "store", "description")
"""Keys of the spec that are no answers; `--store` is every command's own."""


def _questions() -> dict[str, dict[str, Any]]:
    """The spec's answers as its JSON Schema describes them; read without the environment, for `--help`."""
    from importlib import resources  # noqa: PLC0415

    file = resources.files("data_platform.spec").joinpath("schemas/storage.schema.json")
    properties: dict[str, dict[str, Any]] = json.loads(file.read_text(encoding="utf-8"))["properties"]
    return {key: value for key, value in properties.items() if key not in NOT_OPTIONS}


def _declare_select(parser: ArgumentParser) -> None:
    parser.add_argument(
        "needs", metavar="NEEDS.yaml", nargs="?", help="a spec of kind storage; options override its answers"
    )
    group = parser.add_argument_group("answers")
    for key, question in _questions().items():
        group.add_argument(f"--{key.replace('_', '-')}", **_option(question))
    with_output(parser)
    with_html(parser)


def _option(question: dict[str, Any]) -> dict[str, Any]:
    text = {"help": question["description"].replace("%", "%%")}
    if "enum" in question:
        return {"choices": question["enum"], **text}
    if question["type"] == "array":
        return {"action": "append", "choices": question["items"]["enum"], "metavar": "SYSTEM", **text}
    return {"type": int if question["type"] == "integer" else float, "metavar": "N", **text}


def _select(invocation: Invocation) -> Outcome:
    from data_platform.storage.report import report  # noqa: PLC0415
    from data_platform.storage.result import result  # noqa: PLC0415
    from data_platform.storage.select import select  # noqa: PLC0415

    asked, allowed = _read(invocation)
    selection = select(asked.need)
    return Outcome(
        text=report(asked, selection, _again(invocation)),
        result=result(asked, selection),
        failed=selection.choice.system is None,
        decision=allowed.decision,
    )


def _read(invocation: Invocation) -> tuple[StorageNeed, Invocation]:
    """The need from the file, the options, or both, behind the gate."""
    from data_platform.spec import validate  # noqa: PLC0415
    from data_platform.spec.document import Document  # noqa: PLC0415
    from data_platform.spec.storage import read_storage  # noqa: PLC0415
    from data_platform.storage.defaults import with_defaults  # noqa: PLC0415

    arguments = invocation.arguments
    answers = {key: value for key in _questions() if (value := getattr(arguments, key)) is not None}
    if arguments.needs is None:
        base = {"kind": "storage"} | ({"store": arguments.store} if arguments.store else {})
        document, allowed = Document("command line", "", base | answers, {}), invocation
    else:
        read, allowed = read_document(invocation, arguments.needs)
        document = _with(read, answers)
    validate.check(document, "storage")
    return with_defaults(read_storage(document)), allowed


def _with(document: Document, answers: dict[str, Any]) -> Document:
    """The document with answers of the command line in the place of its own."""
    from dataclasses import replace as changed  # noqa: PLC0415

    return changed(document, data=document.data | answers) if isinstance(document.data, dict) else document


def _again(invocation: Invocation) -> str:
    arguments = invocation.arguments
    options = [(f"--{key.replace('_', '-')}", getattr(arguments, key)) for key in _questions()]
    words = [arguments.needs] if arguments.needs else []
    for option, value in [*options, ("--store", arguments.store)]:
        for each in value if isinstance(value, list) else [] if value is None else [value]:
            words += [option, f"{each:g}" if isinstance(each, float) else str(each)]
    return again(SELECT, invocation, *words)


SELECT = Command(
    "storage",
    "select",
    "rank 13 systems for a need: the choice, when PostgreSQL alone is enough, what would change it",
    "dpe storage select --data relational --queries join --vectors 200000 --dimensions 384",
    _declare_select,
    _select,
)
COMMANDS = (SELECT,)
