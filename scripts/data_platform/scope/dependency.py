"""What we need from a data store that is not ours, in the protocol's Cross-Data Dependency Template."""

from __future__ import annotations

import os
from typing import NamedTuple

from data_platform.scope.decision import locate, owned_names, stores
from data_platform.scope.messages import echo, message
from data_platform.scope.names import ROLE, store_key

_PROMPTS = {
    "project": "[Project Name]",
    "context": "[Which of your systems needs this data]",
    "data": "[What data, format, freshness requirements]",
    "pattern": "[API? CDC? Batch export? Shared view?]",
}
_QUESTIONS = ("[Is this data available?]", "[What's the access pattern?]")


class Need(NamedTuple):
    """What was said about it. None and () are taken from the scope, or stay open."""

    theirs: str
    owner: str | None = None
    ours: tuple[str, ...] = ()
    project: str | None = None
    context: str | None = None
    data: str | None = None
    pattern: str | None = None
    questions: tuple[str, ...] = ()


def fill(project: str | os.PathLike[str], need: Need) -> tuple[str, tuple[str, ...]]:
    """The filled template, and the names of what is still open in it (shown there as prompts in brackets)."""
    listed = stores(project)
    located, _ = locate(project)
    theirs = next((s for s in listed if not s.ours and store_key(s.name) == store_key(need.theirs)), None)
    owner = need.owner or (theirs.owner if theirs else None)
    ours = need.ours or tuple(owned_names(located.scope) if located else ())
    said = {
        "project": need.project or (located.scope.title if located else ""),
        "context": need.context,
        "data": need.data,
        "pattern": need.pattern,
    }
    values = {name: echo(value) if value else _PROMPTS[name] for name, value in said.items()}
    text = message(
        "dependency",
        values
        | {
            "ours": ", ".join(map(echo, ours)) or "Your Data Stores",
            "to": f"{ROLE} ({echo(need.theirs)})"
            + (f", owner: {echo(owner)}" if owner else " or Data Owner"),
            "questions": "\n".join(
                f"{number}. {question}"
                for number, question in enumerate(map(echo, need.questions or _QUESTIONS), 1)
            ),
        },
    )
    still_open = [name for name, value in said.items() if not value]
    return text, tuple(still_open + ([] if need.questions else ["questions"]) + ([] if ours else ["ours"]))
