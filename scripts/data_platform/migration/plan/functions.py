"""Functions and procedures: new ones first, replaced ones once the columns are there that they name.

CREATE OR REPLACE keeps owner, grants and whatever calls the function. It is refused where the type of the result, a
name of an argument or a default that callers rely on changes; then the function is dropped and made again, with the
views and policies over it, in one transaction.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from data_platform.ddl.functions import checks_body, function_pieces
from data_platform.ddl.small import function_kind, function_signature
from data_platform.migration.plan.access import with_rights
from data_platform.migration.plan.dependents import Aside, aside, references_of
from data_platform.migration.plan.making import makes, needs, repeatable
from data_platform.migration.plan.pair import Changes, Pair, changes
from data_platform.migration.plan.signatures import arguments_of, signature_of
from data_platform.migration.plan.step import Refusal, Step
from data_platform.migration.plan.text import slug, spoken
from data_platform.model.database import Database, Function
from data_platform.sql.references import Reference, References
from data_platform.sql.text import Sql

_UNCHECKED = Sql("SET LOCAL check_function_bodies = off")


def steps(pair: Pair) -> Iterator[Step]:
    """New functions but those with SQL-standard bodies."""
    for function in _found(pair).added:
        if function.sql_body is None:
            yield _added(function)


def gone(pair: Pair) -> Iterator[Step]:
    """Functions that are gone, for the end of all: nothing may call them any more."""
    for function in _found(pair).removed:
        yield _removed(pair, function)


def late(pair: Pair) -> Iterator[Step | Refusal]:
    """Those whose columns PostgreSQL looks up, or whose callers run them as soon as they are replaced."""
    found = _found(pair)
    for function in found.added:
        if function.sql_body is not None:
            yield _added(function)
    for old, new in found.changed:
        if _form(old) != _form(new):
            yield _replaced(pair, old, new) if _can_be_replaced(old, new) else _again(pair, old, new)


def _found(pair: Pair) -> Changes[Function]:
    return changes(pair.before.functions, pair.after.functions, key=signature_of)


def _form(function: Function) -> Function:
    return replace(function, comment=None, owner=None)


def _reference(function: Function) -> References:
    return (Reference("function", function.name.schema, function.name.name),)


def _made(function: Function) -> tuple[Sql, ...]:
    """CREATE OR REPLACE with its comment; what its body names may come later."""
    created = repeatable(function_pieces(function, frozenset()))
    return (_UNCHECKED, *created) if checks_body(function) else created


def _drop(function: Function) -> Sql:
    return Sql(f"DROP {function_kind(function).upper()} IF EXISTS {function_signature(function)}")


def _slug(verb: str, function: Function) -> str:
    return slug(verb, function_kind(function), function.name)


def _added(function: Function) -> Step:
    pieces = list(function_pieces(function, frozenset()))
    return Step(
        name=_slug("create", function),
        phase="expand",
        reason="Nobody calls it yet."
        + (" Its body may name what comes later, so it is not looked into." if checks_body(function) else ""),
        up=_made(function),
        down=(_drop(function),),
        makes=makes(pieces),
        needs=needs(pieces),
    )


def _removed(pair: Pair, function: Function) -> Step:
    return Step(
        name=_slug("drop", function),
        phase="contract",
        reason="The new application does not call it.",
        up=(_drop(function),),
        down=_with_rights(pair.before, function, _made(function)),
        ends_old=True,
        drops=_reference(function),
        frees=needs(function_pieces(function, frozenset())),
    )


def _with_rights(database: Database, function: Function, made: tuple[Sql, ...]) -> tuple[Sql, ...]:
    return with_rights(database, function_kind(function), function_signature(function), function, made)


# --- changed ---


def _can_be_replaced(old: Function, new: Function) -> bool:
    """What CREATE OR REPLACE accepts; the input types are the same already."""
    if (old.procedure, old.window, old.returns) != (new.procedure, new.window, new.returns):
        return False
    before, after = arguments_of(old.arguments), arguments_of(new.arguments)
    if len(before) != len(after):
        return False
    return all(
        (one.type, one.input, one.output) == (other.type, other.input, other.output)
        and (one.name == other.name or (one.name == "" and one.input and not one.output))
        and (other.has_default or not one.has_default)
        for one, other in zip(before, after, strict=True)
    )


def _replaced(pair: Pair, old: Function, new: Function) -> Step:
    back = _can_be_replaced(new, old)
    gone: Aside = Aside() if back else aside(pair.after, pair.before, _reference(new))
    return Step(
        name=_slug("replace", new),
        phase="expand",
        reason="CREATE OR REPLACE keeps grants and callers; from its commit on both applications run the new body.",
        up=_made(new),
        down=_made(old)
        if back
        else (*gone.drops, _drop(new), *_with_rights(pair.before, old, _made(old)), *gone.makes),
        makes=_reference(new),
        needs=needs(function_pieces(new, frozenset())),
        frees=needs(function_pieces(old, frozenset())),
    )


def _again(pair: Pair, old: Function, new: Function) -> Step | Refusal:
    name = spoken(new.name)
    user = next(_lasting_users(pair.before, old), None)
    if user is not None:
        return Refusal(
            what=f"{function_kind(new)} {name}",
            why=f"what it returns, or a name of an argument, changes, and {user} calls it",
            fix="make a function of another name, change what calls the old one to it, and drop the old one later",
        )
    wider = _returns_more(old, new)
    forth = aside(pair.before, pair.after, _reference(old))
    back = aside(pair.after, pair.before, _reference(new))
    return Step(
        name=_slug("remake", new),
        phase="expand" if wider else "contract",
        reason="CREATE OR REPLACE refuses to change what it returns or how its arguments are called, so it is "
        "dropped and made "
        "again in one transaction, with its grants and what depends on it.",
        up=(*forth.drops, _drop(old), *_with_rights(pair.after, new, _made(new)), *forth.makes),
        down=(*back.drops, _drop(new), *_with_rights(pair.before, old, _made(old)), *back.makes),
        ends_old=not wider,
        needs=needs(function_pieces(new, frozenset())),
        frees=needs(function_pieces(old, frozenset())),
    )


def _returns_more(old: Function, new: Function) -> bool:
    """Whether rows that it returns only get more columns, and callers can say the same arguments."""
    before, after = arguments_of(old.arguments), arguments_of(new.arguments)
    if [a for a in before if a.input] != [a for a in after if a.input] or old.returns is None:
        return False
    columns, wanted = _columns(old), _columns(new)
    return bool(columns) and wanted[: len(columns)] == columns


def _columns(function: Function) -> list[object]:
    """The columns of RETURNS TABLE, or the arguments of output."""
    text = function.returns or ""
    if text.upper().startswith("TABLE("):
        return [(argument.name, argument.type) for argument in arguments_of(text[len("TABLE(") : -1])]
    return [(one.name, one.type) for one in arguments_of(function.arguments) if one.output]


def _lasting_users(database: Database, function: Function) -> Iterator[str]:
    """What calls it and is not made again with it: defaults, checks, indexes, generated columns, triggers."""
    wanted = _reference(function)[0]
    for table in database.tables:
        for what, references in references_of(table):
            if wanted in references:
                yield what
