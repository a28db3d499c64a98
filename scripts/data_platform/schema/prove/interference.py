"""Views and functions: whether what they answer to one tenant depends on the rows of another.

They are asked, the rows of all other tenants are removed, and they are asked again: an answer that is not the same has
told something. Without the setting they must answer as if there were no rows, or not at all. Their text is read for one
thing only: which tables had no row that could have told anything.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial

from data_platform.model.database import Enum, Name
from data_platform.postgres.filling.aside import switch_off, switch_on
from data_platform.schema.prove.callable import Held, Routine, digest, routines
from data_platform.schema.prove.ground import Ground
from data_platform.schema.prove.holdings import Evidence, Holdings
from data_platform.schema.prove.materialized import materialized_in_order, refresh_all
from data_platform.schema.prove.result import Claim
from data_platform.schema.prove.sessions import Identity, Outcome, tried
from data_platform.schema.prove.subjects import Subject
from data_platform.schema.prove.tenancy import Tenancy
from data_platform.sql.text import qualified_name

NOTHING = "without the setting it shows no tenant's rows"
SILENT = "its answer does not depend on another tenant's rows"
UNTOUCHED = "a call does not change another tenant's rows"

TOO_LONG = "57014"
MATERIALIZED = "materialized view"


@dataclass(frozen=True)
class Asking:
    """A tenant that asks, and the settings under which a session is that one."""

    a: str
    settings: Mapping[str, str]


@dataclass(frozen=True)
class _Asked:
    """A view or function with what is asked of it."""

    kind: str
    object: str
    questions: tuple[str, ...]
    reason: str
    """Why it may see more than whoever asks."""
    text: str
    """What it is made of, to see which tables it names."""
    why_not: str | None = None
    volatile: bool = False


def without_setting(ground: Ground, read: Tenancy, subjects: Sequence[Subject]) -> Iterator[Claim]:
    """Each view and function without the setting: as if the tables that policies guard were empty."""
    holdings = Holdings(ground, read)
    asked = tuple(one for one in _all(holdings, None) if one.why_not is None)
    if not asked:
        return
    ask = partial(_answers, ground, asked)
    identities = {subject: Identity(subject.role) for subject in subjects}
    with ground.connection.transaction(force_rollback=True):
        rows = _prepared(holdings)
        before = {subject: ask(identity) for subject, identity in identities.items()}
        with _changed(ground):
            evidence = Evidence(holdings, rows, holdings.clear())
        after = {subject: ask(identity) for subject, identity in identities.items()}
    for subject, identity in identities.items():
        again = partial(ask, identity)
        judge = _Judge(subject, NOTHING, evidence, _Again(again), silent_errors=True)
        yield from judge.claims(asked, before[subject], after[subject])


def noninterference(ground: Ground, read: Tenancy, subject: Subject, asking: Asking) -> Iterator[Claim]:
    """Each view and function asked as one tenant, with and without the rows of all others."""
    holdings = Holdings(ground, read)
    asked = _all(holdings, asking.a)
    if not asked:
        return
    identity = Identity(subject.role, asking.settings)
    ask = partial(_answers, ground, asked, identity)
    with ground.connection.transaction(force_rollback=True):
        rows = _prepared(holdings)
        before = ask()
        with _changed(ground):
            evidence = Evidence(holdings, rows, holdings.keep_only(asking.a))
        after = ask()
    judge = _Judge(subject, SILENT, evidence, _Again(ask), silent_errors=False)
    yield from judge.claims(asked, before, after)
    writers = [one for one in asked if one.volatile]
    yield from _changes(holdings, writers, replace(judge, claim=UNTOUCHED), identity, asking.a)


# --- asking ---


def _all(holdings: Holdings, tenant: str | None) -> tuple[_Asked, ...]:
    ground = holdings.ground
    database = ground.database
    views = [
        _Asked(
            "view",
            str(view.name),
            (digest(qualified_name(view.name)),),
            _view_reason(view.options, view.owner),
            view.query,
        )
        for view in database.views
    ]
    told = "it holds the rows of all tenants, and no policy holds for a materialized view"
    materialized = [
        _Asked(MATERIALIZED, str(view.name), (digest(qualified_name(view.name)),), told, view.query)
        for view in database.materialized_views
    ]
    called = routines(ground.connection)
    held = holdings.values(tenant) if called else ()
    enums = [type_ for type_ in database.types if isinstance(type_, Enum) and type_.labels]
    free: dict[str, str] = {qualified_name(type_.name): type_.labels[0] for type_ in enums}
    return (*views, *materialized, *(_of_routine(routine, held, free) for routine in called))


def _view_reason(options: Sequence[tuple[str, str]], owner: str | None) -> str:
    if ("security_invoker", "true") in options or ("security_invoker", "on") in options:
        return "it reads something that no policy guards"
    return f"it reads as its owner{_named(owner)}, not as whoever asks: set security_invoker"


def _of_routine(routine: Routine, held: Sequence[Held], free: Mapping[str, str]) -> _Asked:
    calls = tuple(routine.calls(held, free)) if routine.why_not is None else ()
    why_not = routine.why_not or (None if calls else "no value of the type of one of its arguments was found")
    reason = "it reads something that no policy guards"
    if routine.definer:
        reason = f"it is SECURITY DEFINER: it reads as its owner{_named(routine.owner)}, not as whoever asks"
    kind = "procedure" if routine.procedure else "function"
    return _Asked(kind, routine.signature, calls, reason, routine.name, why_not, routine.volatile)


def _named(owner: str | None) -> str:
    return f" `{owner}`" if owner and not owner.startswith("dpe_") else ""


def _answers(ground: Ground, asked: Sequence[_Asked], identity: Identity) -> list[tuple[Outcome, ...]]:
    return [
        tuple(tried(ground.connection, identity, question) for question in one.questions) for one in asked
    ]


# --- changing what is there ---


def _prepared(holdings: Holdings) -> dict[Name, int]:
    """No foreign key keeps a tenant's rows, and materialized views hold what is there now: the rows of each table."""
    ground = holdings.ground
    holdings.release()
    with _changed(ground):
        return holdings.rows()


@contextmanager
def _changed(ground: Ground) -> Iterator[None]:
    """Rows are changed by the owner, with triggers and row-level security set aside."""
    switch_off(ground.connection, ground.switches)
    yield
    if ground.database.materialized_views:
        refresh_all(ground.connection, materialized_in_order(ground.connection))
    switch_on(ground.connection, ground.switches)


# --- judging ---


class _Again:
    """The answers asked for once more, when they are first needed: some are never twice the same."""

    def __init__(self, ask: partial[list[tuple[Outcome, ...]]]) -> None:
        self._ask = ask
        self._answers: list[tuple[Outcome, ...]] | None = None

    def at(self, number: int) -> tuple[Outcome, ...]:
        if self._answers is None:
            self._answers = self._ask()
        return self._answers[number]


@dataclass(frozen=True)
class _Judge:
    """What the answers before and after say about one promise, kept to one subject."""

    subject: Subject
    claim: str
    evidence: Evidence
    again: _Again
    silent_errors: bool

    def claims(
        self,
        asked: Sequence[_Asked],
        before: Sequence[tuple[Outcome, ...]],
        after: Sequence[tuple[Outcome, ...]],
    ) -> Iterator[Claim]:
        for number, one in enumerate(asked):
            made = self.made(one)
            if one.why_not is not None:
                yield replace(made, state="not checked", detail=f"not called: {one.why_not}")
                continue
            claim = self._judged(made, one, before[number], after[number], partial(self.again.at, number))
            yield (
                self.supported(claim, one)
                if claim.state == "proven" and not _denied(before[number])
                else claim
            )

    def made(self, one: _Asked) -> Claim:
        return Claim(
            kind=one.kind,
            object=one.object,
            claim=self.claim,
            state="proven",
            detail="the same answers" if len(one.questions) > 1 else "the same answer",
            role=self.subject.shown,
        )

    def supported(self, claim: Claim, one: _Asked) -> Claim:
        """The claim, if there were rows that could have shown the opposite."""
        gap = self.evidence.gap(one.text)
        return replace(claim, state="not checked", detail=gap) if gap else claim

    def _judged(
        self,
        made: Claim,
        one: _Asked,
        before: Sequence[Outcome],
        after: Sequence[Outcome],
        again: partial[tuple[Outcome, ...]],
    ) -> Claim:
        if _denied(before):
            return replace(made, detail=f"it may not be used ({before[0].sqlstate})")
        if any(outcome.sqlstate == TOO_LONG for outcome in (*before, *after)):
            return replace(made, state="not checked", detail="it takes too long")
        differing = [
            number
            for number, (first, second) in enumerate(zip(before, after, strict=True))
            if first.said != second.said and not (self.silent_errors and first.sqlstate)
        ]
        if differing:
            number = differing[0]
            if again()[number].said != before[number].said:
                return replace(made, state="not checked", detail="it never answers the same twice")
            return replace(made, state="failed", detail=self._reason(one))
        if all(outcome.sqlstate for outcome in before) and not self.silent_errors:
            return replace(made, state="not checked", detail=f"every call fails: `{before[0].message}`")
        return made

    def _reason(self, one: _Asked) -> str:
        open_ = self.evidence.unguarded(one.text)
        if open_ and one.kind != MATERIALIZED:
            return f"it reads `{open_[0]}`, which has no row-level security"
        return one.reason


def _denied(outcomes: Sequence[Outcome]) -> bool:
    return all(outcome.denied for outcome in outcomes)


def _changes(
    holdings: Holdings, writers: Sequence[_Asked], judge: _Judge, identity: Identity, tenant: str
) -> Iterator[Claim]:
    """Functions that may write: other tenants' rows must be the same after the call."""
    connection = holdings.ground.connection
    look = (*holdings.ground.unforced, holdings.content(tenant))
    before = tried(connection, Identity(), "SELECT 1", look=look).after if writers else ()
    for one in writers:
        made = replace(judge.made(one), detail="they stayed as they were")
        outcomes = [tried(connection, identity, question, look=look) for question in one.questions]
        if any(outcome.sqlstate is None and outcome.after != before for outcome in outcomes):
            yield replace(made, state="failed", detail=one.reason.replace("reads", "writes"))
        elif any(outcome.sqlstate is None for outcome in outcomes):
            yield judge.supported(made, one)
