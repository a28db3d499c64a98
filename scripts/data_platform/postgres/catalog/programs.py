"""What runs in the database: functions, triggers, rules, policies, event triggers."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

from data_platform.model.database import EventTrigger, Function, Policy, Rule, Trigger
from data_platform.postgres.catalog.rows import ENABLED, Owners, Row, deferral, maybe_named, named
from data_platform.sql.text import NotSql, tokens_of

CURRENT_USER = "current_user"
_ROW, _BEFORE, _INSTEAD = 1, 2, 64
_EVENTS: tuple[tuple[int, Literal["insert", "update", "delete", "truncate"]], ...] = (
    (4, "insert"),
    (16, "update"),
    (8, "delete"),
    (32, "truncate"),
)
"""Bits of pg_trigger.tgtype."""
_VOLATILITY = {"v": "volatile", "s": "stable", "i": "immutable"}
_PARALLEL = {"u": "unsafe", "r": "restricted", "s": "safe"}
_BUILT_IN = ("c", "internal")
_USUAL_ROWS, _USUAL_COST = 1000, 100
"""What CREATE FUNCTION assumes; a function in C costs 1."""


def functions(rows: Iterable[Row], owners: Owners) -> tuple[Function, ...]:
    """Functions and procedures from the rows of the query `functions`."""
    return tuple(_function(row, owners) for row in rows)


def _function(row: Row, owners: Owners) -> Function:
    compiled = row["library"] is not None
    cost = 1 if row["language"] in _BUILT_IN else _USUAL_COST
    rows = _USUAL_ROWS if row["returns_set"] else 0
    has_body = not compiled and row["sql_body"] is None
    return Function(
        name=named(row),
        language=row["language"],
        arguments=row["arguments"],
        returns=None if row["kind"] == "p" else row["returns"],
        body=row["body"] if has_body else None,
        sql_body=row["sql_body"],
        link_symbol=(row["library"], row["body"]) if compiled else None,
        procedure=row["kind"] == "p",
        window=row["kind"] == "w",
        volatility=_VOLATILITY[row["volatility"]],  # type: ignore[arg-type]
        strict=row["strict"],
        security_definer=row["security_definer"],
        leakproof=row["leakproof"],
        parallel=_PARALLEL[row["parallel"]],  # type: ignore[arg-type]
        cost=None if row["cost"] == cost else row["cost"],
        rows=None if row["rows"] == rows else row["rows"],
        support=maybe_named(row, "support_"),
        settings=_settings(row["settings"]),
        comment=row["comment"],
        owner=owners.named(row["owner"]),
    )


def _settings(texts: list[str] | None) -> tuple[tuple[str, str], ...]:
    pairs = (text.partition("=") for text in texts or ())
    return tuple(sorted((name, value) for name, _, value in pairs))


def trigger(row: Row) -> Trigger:
    """A trigger from a row of the query `triggers`."""
    bits = row["bits"]
    return Trigger(
        name=row["name"],
        timing="before" if bits & _BEFORE else "instead of" if bits & _INSTEAD else "after",
        events=tuple(event for bit, event in _EVENTS if bits & bit),
        function=named(row, "function_"),
        arguments=tuple(map(_text, row["arguments"].split(b"\0")[: row["argument_count"]])),
        level="row" if bits & _ROW else "statement",
        update_of=tuple(row["update_of"] or ()),
        when=_condition(row["definition"]) if row["definition"] else None,
        old_table=row["old_table"],
        new_table=row["new_table"],
        constraint=row["constraint"],
        from_table=maybe_named(row, "from_"),
        deferral=deferral(row),
        enabled=ENABLED[row["enabled"]],
        comment=row["comment"],
    )


def _text(raw: bytes) -> str:
    """An argument, which is in the encoding of the database: one that is not UTF-8 is taken for a Latin one."""
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return raw.decode("latin-1")


def _condition(definition: str) -> str:
    """What stands in the parentheses after WHEN: only the whole statement can be had from the server."""
    raw, tokens = tokens_of(definition)
    depth = start = 0
    inside = False
    for token in tokens:
        word = raw[token.start : token.end]
        if word == b"WHEN" and not depth and not inside:
            inside = True
        elif word == b"(":
            depth += 1
            if inside and depth == 1:
                start = token.end
        elif word == b")":
            depth -= 1
            if inside and not depth:
                return raw[start : token.start].decode()
    raise NotSql("no condition in a trigger's definition")


def rule(row: Row) -> Rule:
    """A rule from a row of the query `rules`."""
    return Rule(
        name=row["name"],
        sql=row["sql"].strip().removesuffix(";"),
        enabled=ENABLED[row["enabled"]],
        comment=row["comment"],
    )


def policy(row: Row, owners: Owners) -> Policy:
    """A policy from a row of the query `policies`; for an anonymous role it is whoever loads the model."""
    roles = {CURRENT_USER if role in owners.anonymous else role for role in row["roles"]}
    return Policy(
        name=row["name"],
        command=row["command"],
        permissive=row["permissive"],
        roles=tuple(sorted(roles)),
        using=row["using"],
        with_check=row["with_check"],
        comment=row["comment"],
    )


def event_triggers(rows: Iterable[Row], owners: Owners) -> tuple[EventTrigger, ...]:
    """Event triggers from the rows of the query of that name."""
    return tuple(
        EventTrigger(
            name=row["name"],
            event=row["event"],
            function=named(row, "function_"),
            tags=tuple(sorted(row["tags"] or ())),
            enabled=ENABLED[row["enabled"]],
            comment=row["comment"],
            owner=owners.named(row["owner"]),
        )
        for row in rows
    )
