"""Views and functions: whether what they answer to one tenant depends on the rows of another.

Nothing is read into their text. They are asked, another tenant's rows are removed, and they are asked again: an answer
that is not the same has told something. Without the setting they must answer as if there were no rows, or not at all.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial

from data_platform.model.database import Enum, Name
from data_platform.schema.prove.aside import switch_off, switch_on
from data_platform.schema.prove.callable import Held, Routine, digest, routines
from data_platform.schema.prove.filling import materialized_in_order, refresh_all
from data_platform.schema.prove.ground import Ground
from data_platform.schema.prove.result import Claim
from data_platform.schema.prove.sessions import Identity, Outcome, tried
from data_platform.schema.prove.subjects import Subject
from data_platform.schema.prove.tenancy import Guarded, Tenancy
from data_platform.sql.text import identifier, literal, qualified_name

NOTHING = "without the setting it shows no tenant's rows"
SILENT = "its answer does not depend on another tenant's rows"
UNTOUCHED = "a call does not change another tenant's rows"

TOO_LONG = "57014"


@dataclass(frozen=True)
class Tenants:
    """Two tenants, and the settings under which a session is the first."""

    a: str
    b: str
    settings: Mapping[str, str]


@dataclass(frozen=True)
class _Asked:
    """A view or function with what is asked of it."""

    kind: str
    object: str
    questions: tuple[str, ...]
    reason: str
    """Why it may see more than whoever asks."""
    why_not: str | None = None
    volatile: bool = False


def without_setting(ground: Ground, read: Tenancy, subjects: Sequence[Subject]) -> Iterator[Claim]:
    """Each view and function without the setting: as if the tables that policies guard were empty."""
    asked = tuple(one for one in _all(ground, read, None) if one.why_not is None)
    if not asked:
        return
    ask = partial(_answers, ground, asked)
    identities = {subject: Identity(subject.role) for subject in subjects}
    with ground.connection.transaction(force_rollback=True):
        _prepare(ground, read)
        before = {subject: ask(identity) for subject, identity in identities.items()}
        with _changed(ground):
            tables = ", ".join(qualified_name(guard.table.name) for guard in read.guarded)
            ground.connection.execute(f"TRUNCATE {tables}".encode())
        after = {subject: ask(identity) for subject, identity in identities.items()}
    for subject, identity in identities.items():
        again = partial(ask, identity)
        yield from _judged(
            asked, subject, NOTHING, before[subject], after[subject], _Again(again), silent_errors=True
        )


def noninterference(ground: Ground, read: Tenancy, subject: Subject, tenants: Tenants) -> Iterator[Claim]:
    """Each view and function asked as the first tenant, with and without the rows of the second."""
    asked = _all(ground, read, tenants)
    if not asked:
        return
    identity = Identity(subject.role, tenants.settings)
    ask = partial(_answers, ground, asked, identity)
    with ground.connection.transaction(force_rollback=True):
        _prepare(ground, read)
        before = ask()
        with _changed(ground):
            _remove(ground, read, tenants.b)
        after = ask()
    yield from _judged(asked, subject, SILENT, before, after, _Again(ask), silent_errors=False)
    yield from _changes(ground, read, asked, subject, identity, tenants)


# --- asking ---


def _all(ground: Ground, read: Tenancy, tenants: Tenants | None) -> tuple[_Asked, ...]:
    database = ground.database
    views = [
        _Asked(
            "view",
            str(view.name),
            (digest(qualified_name(view.name)),),
            _view_reason(view.options, view.owner),
        )
        for view in database.views
    ]
    told = "it holds the rows of all tenants, and no policy holds for a materialized view"
    materialized = [
        _Asked("materialized view", str(view.name), (digest(qualified_name(view.name)),), told)
        for view in database.materialized_views
    ]
    called = routines(ground.connection)
    held = _held(ground, read, tenants) if called else ()
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
    return _Asked(kind, routine.signature, calls, reason, why_not, routine.volatile)


def _named(owner: str | None) -> str:
    return f" `{owner}`" if owner and not owner.startswith("dpe_") else ""


def _held(ground: Ground, read: Tenancy, tenants: Tenants | None) -> tuple[Held, ...]:
    """The values of one row of each guarded table, of the tenant whose rows are not to be seen."""
    found: list[Held] = []
    with ground.connection.transaction(force_rollback=True):
        for statement in ground.unforced:
            ground.connection.execute(statement.encode())
        for guard in read.guarded:
            found += _row_of(ground, read, guard, tenants)
    return tuple(found)


def _row_of(ground: Ground, read: Tenancy, guard: Guarded, tenants: Tenants | None) -> Iterator[Held]:
    table, first = guard.table, read.first(guard)
    listed = ", ".join(f"{identifier(column.name)}::text" for column in table.columns)
    where = f" WHERE {identifier(first.column)}::text = {literal(tenants.b)}" if first and tenants else ""
    query = f"SELECT {listed} FROM {qualified_name(table.name)}{where} LIMIT 1"  # noqa: S608 - quoted names
    row = ground.connection.execute(query.encode()).fetchone()
    keys = table.primary_key.columns if table.primary_key else ()
    for column, value in zip(table.columns, row or (), strict=False):
        if value is not None:
            is_tenant = first is not None and column.name == first.column
            is_key = column.name in keys and not is_tenant
            yield Held(table.name.name, column.name, column.type, value, is_key, is_tenant)


def _answers(ground: Ground, asked: Sequence[_Asked], identity: Identity) -> list[tuple[Outcome, ...]]:
    return [
        tuple(tried(ground.connection, identity, question) for question in one.questions) for one in asked
    ]


# --- changing what is there ---


def _prepare(ground: Ground, read: Tenancy) -> None:
    """Foreign keys to guarded tables go, so that rows can; materialized views hold what is there now."""
    guarded = {guard.table.name for guard in read.guarded}
    for table in ground.database.tables:
        for key in table.foreign_keys if table.holds_rows else ():
            if key.target in guarded:
                sql = f"ALTER TABLE {qualified_name(table.name)} DROP CONSTRAINT {identifier(key.name)}"
                ground.connection.execute(sql.encode())
    with _changed(ground):
        pass


@contextmanager
def _changed(ground: Ground) -> Iterator[None]:
    """Rows are changed by the owner, with triggers and row-level security set aside."""
    switch_off(ground.connection, ground.switches)
    yield
    if ground.database.materialized_views:
        refresh_all(ground.connection, materialized_in_order(ground.connection))
    switch_on(ground.connection, ground.switches)


def _remove(ground: Ground, read: Tenancy, tenant: str) -> None:
    """A tenant's rows: those that hold it, then those that refer to a row that is gone."""
    guards = {guard.table.name: guard for guard in read.guarded}
    for name in ground.generator.order():
        if name in guards:
            for sql in _removals(read, guards[name], guards, tenant):
                ground.connection.execute(sql.encode())


def _removals(read: Tenancy, guard: Guarded, guards: Mapping[Name, Guarded], tenant: str) -> Iterator[str]:
    table, first, main = qualified_name(guard.table.name), read.first(guard), read.main
    if first is not None:
        if main is not None and first.setting == main.setting:
            yield f"DELETE FROM {table} WHERE {identifier(first.column)}::text = {literal(tenant)}"  # noqa: S608
        return
    for key in guard.table.foreign_keys:
        if key.target in guards:
            pairs = list(zip(key.columns, key.target_columns, strict=True))
            same = " AND ".join(f"p.{identifier(there)} = c.{identifier(here)}" for here, there in pairs)
            given = " AND ".join(f"c.{identifier(here)} IS NOT NULL" for here, _ in pairs)
            yield (
                f"DELETE FROM {table} AS c WHERE {given} AND NOT EXISTS "  # noqa: S608 - quoted names
                f"(SELECT FROM {qualified_name(key.target)} AS p WHERE {same})"
            )


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


def _judged(
    asked: Sequence[_Asked],
    subject: Subject,
    claim: str,
    before: Sequence[tuple[Outcome, ...]],
    after: Sequence[tuple[Outcome, ...]],
    again: _Again,
    *,
    silent_errors: bool,
) -> Iterator[Claim]:
    for number, one in enumerate(asked):
        made = _claim(one, claim, subject)
        if one.why_not is not None:
            yield replace(made, state="not checked", detail=f"not called: {one.why_not}")
            continue
        yield _one(made, one, before[number], after[number], partial(again.at, number), silent_errors)


def _one(
    made: Claim,
    one: _Asked,
    before: Sequence[Outcome],
    after: Sequence[Outcome],
    again: partial[tuple[Outcome, ...]],
    silent_errors: bool,
) -> Claim:
    if all(outcome.denied for outcome in before):
        return replace(made, detail=f"it may not be used ({before[0].sqlstate})")
    if any(outcome.sqlstate == TOO_LONG for outcome in (*before, *after)):
        return replace(made, state="not checked", detail="it takes too long")
    differing = [
        number
        for number, (first, second) in enumerate(zip(before, after, strict=True))
        if first.said != second.said and not (silent_errors and first.sqlstate)
    ]
    if differing:
        number = differing[0]
        if again()[number].said != before[number].said:
            return replace(made, state="not checked", detail="it never answers the same twice")
        return replace(made, state="failed", detail=one.reason)
    if all(outcome.sqlstate for outcome in before) and not silent_errors:
        return replace(made, state="not checked", detail=f"every call fails: `{before[0].message}`")
    return made


def _claim(one: _Asked, claim: str, subject: Subject) -> Claim:
    calls = f"{len(one.questions)} calls" if len(one.questions) > 1 else "the same answer"
    return Claim(
        kind=one.kind,
        object=one.object,
        claim=claim,
        state="proven",
        detail="the same answers" if len(one.questions) > 1 else calls,
        role=subject.shown,
    )


def _changes(
    ground: Ground,
    read: Tenancy,
    asked: Sequence[_Asked],
    subject: Subject,
    identity: Identity,
    tenants: Tenants,
) -> Iterator[Claim]:
    """Functions that may write: another tenant's rows must be the same after the call."""
    look = (*ground.unforced, _content(read, tenants.b))
    before: tuple[object, ...] | None = None
    for one in asked:
        if not one.volatile:
            continue
        if before is None:
            before = tried(ground.connection, Identity(), "SELECT 1", look=look).after
        made = replace(_claim(one, UNTOUCHED, subject), detail="they stayed as they were")
        outcomes = [tried(ground.connection, identity, question, look=look) for question in one.questions]
        if any(outcome.sqlstate is None and outcome.after != before for outcome in outcomes):
            yield replace(made, state="failed", detail=one.reason.replace("reads", "writes"))
        elif any(outcome.sqlstate is None for outcome in outcomes):
            yield made


def _content(read: Tenancy, tenant: str) -> str:
    """A query for a hash of all rows of a tenant."""
    main = read.main
    parts = []
    for guard in read.guarded:
        first = read.first(guard)
        if first is not None and main is not None and first.setting == main.setting:
            parts.append(
                f"(SELECT count(*)::text || coalesce(sum(hashtextextended(t::text, 0))::text, '')"  # noqa: S608
                f" FROM {qualified_name(guard.table.name)} AS t"
                f" WHERE t.{identifier(first.column)}::text = {literal(tenant)})"
            )
    return f"SELECT {', '.join(parts) or '0'}"
