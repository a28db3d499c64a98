"""The gate: may work start in this project, and on this store? One answer, with the line it rests on."""

from __future__ import annotations

import os
from types import MappingProxyType

from data_platform.record import TYPE_CHECKING, record, replace
from data_platform.scope import section
from data_platform.scope.messages import PREFIX, echo, refusal
from data_platform.scope.names import ROLE, store_key, words
from data_platform.scope.passwords import lines_with_password
from data_platform.scope.search import Document, Search
from data_platform.scope.section import Claim, Scope

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

EXIT_CODES = MappingProxyType(
    {
        "defined": 0,
        "owned": 0,
        "undefined": 3,
        "placeholders": 4,
        "role_inactive": 4,
        "conflict": 4,
        "owned_by_other": 5,
        "unknown": 5,
    }
)
_LISTED = 20


@record
class Decision:
    """What the gate says.

    `message` is what a person reads; `details` holds what the verdict rests on: `row` and `owner`, both
    `lines` of a conflict, `placeholders`, `owned` stores, `leaks` (lines with a password), and `notes` on
    files passed over.
    """

    verdict: str
    message: str
    store: str | None = None
    file: str | None = None
    line: int | None = None
    details: Mapping[str, Any] = MappingProxyType({})

    @property
    def exit_code(self) -> int:
        """As `dpe scope check` exits: 0 to go on, 3, 4 or 5 to refuse."""
        return EXIT_CODES[self.verdict]

    @property
    def refuses(self) -> bool:
        """Whether work must not start."""
        return self.exit_code != 0

    def to_json(self) -> dict[str, Any]:
        """The `scope` object of the envelope."""
        return {
            "verdict": self.verdict,
            "store": self.store,
            "file": self.file,
            "line": self.line,
            "details": dict(self.details),
        }


@record
class Store:
    """A store that the scope lists, with whoever owns it."""

    name: str
    owner: str
    ours: bool
    file: str
    line: int
    engine: str
    connection: str


@record
class Located:
    """A scope, the document that holds it, and how that is shown to the user."""

    scope: Scope
    document: Document
    shown: str


def locate(project: str | os.PathLike[str]) -> tuple[Located | None, tuple[str, ...]]:
    """The nearest scope, and notes on what was passed over on the way. Never raises."""
    search = Search(project)
    for document in search.documents():
        scope = section.read(document.text)
        if scope is not None:
            return Located(scope, document, search.shown(document.path)), tuple(search.notes)
    return None, tuple(search.notes)


def check(project: str | os.PathLike[str], store: str | None = None) -> Decision:
    """Ask the gate. Reads claude.md files and writes nothing; whatever they hold, it answers."""
    located, notes = locate(project)
    if located is None:
        return Decision("undefined", refusal(), _asked(store), details=_details(notes=notes))
    leaks = lines_with_password(located.document.text)
    decision = _of_project(located) or (_defined(located) if store is None else _of_store(located, store))
    return replace(
        decision, store=_asked(store), details={**decision.details, **_details(notes=notes, leaks=leaks)}
    )


def stores(project: str | os.PathLike[str]) -> tuple[Store, ...]:
    """Every store that the nearest scope lists, ours and others', in the file's order."""
    located, _ = locate(project)
    if located is None:
        return ()
    return tuple(
        Store(
            echo(claim.store), echo(claim.owner), claim.ours, located.shown, claim.line,
            echo(claim.engine), echo(claim.connection),
        )
        for claim in located.scope.claims
    )  # fmt: skip


def owned_names(scope: Scope) -> list[str]:
    """Our stores, each under the first of its spellings."""
    spelled: dict[str, str] = {}
    for claim in scope.claims:
        if claim.ours:
            spelled.setdefault(store_key(claim.store), claim.store)
    return list(spelled.values())


def _asked(store: str | None) -> str | None:
    return None if store is None else echo(store)


def _details(**facts: Any) -> dict[str, Any]:
    return {name: list(fact) for name, fact in facts.items() if fact}


def _of_project(located: Located) -> Decision | None:
    """The refusal that holds for the whole project, if there is one."""
    scope, file = located.scope, located.shown
    if scope.placeholders:
        return _placeholders(located)
    if scope.empty:
        return _refuse(
            "placeholders", located, scope.line, "the Project Scope section is empty.",
            "Fill it in, or let `dpe scope init` write it.",
        )  # fmt: skip
    if scope.roles_line is not None and not scope.active:
        return _refuse(
            "role_inactive", located, scope.roles_line,
            f"Active Roles does not list the {ROLE} of this team.",
            f"If the role is active on this project, add it to that list in {file}.",
        )  # fmt: skip
    return None


def _placeholders(located: Located) -> Decision:
    found = located.scope.placeholders
    shown = [{"line": line, "text": echo(text)} for line, text in found[:_LISTED]]
    listing = "\n".join(f"- line {one['line']}: `{one['text']}`" for one in shown)
    if len(found) > _LISTED:
        listing += "\n- and more"
    return _refuse(
        "placeholders", located, found[0][0], f"the Project Scope still holds unedited values:\n{listing}",
        "Replace each with the project's own value.", placeholders=shown,
    )  # fmt: skip


def _defined(located: Located) -> Decision:
    scope = located.scope
    owned = [echo(name) for name in owned_names(scope)]
    title = f" (`{echo(scope.title)}`)" if scope.title else ""
    older = " Read from `### Domain Ownership` alone, an older convention." if scope.older_convention else ""
    listed = ", ".join(f"`{name}`" for name in owned[:_LISTED]) or "none is listed"
    return Decision(
        "defined",
        f"{PREFIX}Project scope{title}: {located.shown}:{scope.line}.{older}\nOwned data stores: {listed}.",
        file=located.shown,
        line=scope.line,
        details={"owned": owned, "older_convention": scope.older_convention},
    )


def _of_store(located: Located, store: str) -> Decision:
    key = store_key(store)
    claims = [claim for claim in located.scope.claims if key and store_key(claim.store) == key]
    if not claims:
        return _unknown(located, store)
    first = claims[0]
    for other in claims[1:]:
        if _contradict(first, other):
            return _conflict(located, store, first, other)
    if not first.ours:
        return _owned_by_other(located, store, first)
    row = echo(first.row)
    return Decision(
        "owned",
        f"{PREFIX}`{echo(store)}` is owned: {located.shown}:{first.line}: `{row}`",
        file=located.shown,
        line=first.line,
        details={"owner": echo(first.owner), "row": row},
    )


def _contradict(one: Claim, other: Claim) -> bool:
    if one.ours or other.ours:
        return one.ours != other.ours
    shorter, longer = sorted((words(one.owner), words(other.owner)), key=len)
    return longer[: len(shorter)] != shorter  # the same role with and without a person is no contradiction


def _unknown(located: Located, store: str) -> Decision:
    return _refuse(
        "unknown", located, located.scope.line, f"the Project Scope does not list `{echo(store)}`.",
        "Ask who owns it: ownership is never assumed. If it is yours, add it to the scope; if it is another"
        f" team's, write down what you need from it: {_dependency(store)}",
    )  # fmt: skip


def _owned_by_other(located: Located, store: str, claim: Claim) -> Decision:
    owner, row = echo(claim.owner), echo(claim.row)
    return _refuse(
        "owned_by_other", located, claim.line, f"`{echo(store)}` is owned by `{owner}`: `{row}`",
        f"You can write down what you need from it: {_dependency(store)}", owner=owner, row=row,
    )  # fmt: skip


def _conflict(located: Located, store: str, one: Claim, other: Claim) -> Decision:
    lines = [one.line, other.line]
    return _refuse(
        "conflict", located, one.line,
        f"two rows contradict each other about `{echo(store)}`:\n"
        f"- line {one.line}: `{echo(one.row)}`\n- line {other.line}: `{echo(other.row)}`",
        "Ask which is right, and correct the other.", lines=lines, rows=[echo(one.row), echo(other.row)],
    )  # fmt: skip


def _dependency(store: str) -> str:
    quoted = (
        "'" + echo(store).replace("'", " ") + "'"
    )  # to be copied into a shell, so nothing in it may act there
    return f"`dpe scope dependency --theirs {quoted}`"


def _refuse(verdict: str, located: Located, line: int, why: str, try_: str, **details: Any) -> Decision:
    message = f"{PREFIX}I cannot proceed with this request.\n\n{located.shown}:{line}: {why}\n\n{try_}"
    return Decision(verdict, message, file=located.shown, line=line, details=details)
