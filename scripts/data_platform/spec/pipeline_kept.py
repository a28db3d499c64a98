"""Reading what a spec says of the patterns `views`, `events` and `cqrs`, and what is wrong with it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from graphlib import CycleError, TopologicalSorter
from itertools import pairwise
from types import MappingProxyType
from typing import Any, Protocol

from data_platform.model.database import Name
from data_platform.spec.document import Path_
from data_platform.spec.pipeline_patterns import (
    CHANGES,
    ERASED,
    MADE,
    WRITES,
    CollectionSpec,
    EventsSpec,
    EventType,
    Function,
    Kept,
    ProjectionSpec,
    SummarySpec,
    UpcasterSpec,
    View,
)
from data_platform.sql.phrases import closed, condition
from data_platform.sql.text import NotSql, Sql, parse

_MEASURE = re.compile(r"(count|sum|avg|min|max)(?:\((.+)\))?", re.DOTALL)


class Reader(Protocol):
    """What reads a spec on after a mistake."""

    def mistake(self, path: Path_, message: str, fix: str, rule: str = ...) -> None: ...
    def name(self, path: Path_, text: str) -> str: ...
    def table(self, path: Path_, text: str) -> Name: ...
    def query(self, path: Path_, text: str) -> Sql: ...
    def columns(self, path: Path_, data: Mapping[str, str]) -> Mapping[str, Sql]: ...


def read_kept(reader: Reader, data: Mapping[str, Any], sources: Sequence[str], pattern: str) -> Kept:
    """What the spec says of them; its mistakes are told to the reader."""
    _refuse_strangers(reader, data, pattern)
    events = _events(reader, data["events"]) if "events" in data else None
    types = _types(events, sources, pattern)
    summaries = [_summary(reader, path, one, sources) for path, one in _listed(data, "summaries")]
    projections = [_projection(reader, path, one, types) for path, one in _listed(data, "projections")]
    collections = [_collection(reader, path, one, sources) for path, one in _listed(data, "collections")]
    outbox = _outbox(reader, data, sources) if pattern == "cqrs" else ""
    views = [_view(reader, path, one) for path, one in _listed(data, "views")]
    for key, names in (
        ("views", [str(one.name) for one in views] + [str(one.view) for one in summaries]),
        ("projections", [one.name for one in projections] + [one.name for one in collections]),
    ):
        for name in sorted({name for name in names if names.count(name) > 1}):
            reader.mistake((key,), f"`{name}` is here twice", "rename one", "spec-duplicate")
    return Kept(
        views=_in_order(reader, views),
        summaries=tuple(summaries),
        events=events,
        projections=tuple(projections),
        collections=tuple(collections),
        outbox=outbox,
        rebuild=data.get("changed") == "rebuild",
    )


_OF = {
    "views": ("views",),
    "summaries": ("views",),
    "changed": ("views",),
    "events": ("events",),
    "projections": ("events", "cqrs"),
    "collections": ("cqrs",),
    "outbox": ("cqrs",),
    "targets": ("etl", "elt", "incremental", "snapshot", "scd", "cdc"),
    "transforms": ("etl", "elt", "incremental", "snapshot", "scd", "cdc"),
}
"""The patterns that a part of a spec means something to."""
_NEEDED = {
    "views": ("views", "summaries"),
    "events": ("events", "projections"),
    "cqrs": ("projections", "collections"),
}
"""What a pattern is about: of events both, else one of them."""


def _refuse_strangers(reader: Reader, data: Mapping[str, Any], pattern: str) -> None:
    for key, patterns in _OF.items():
        if key in data and pattern not in patterns:
            reader.mistake(
                (key,), f"`{key}` means nothing to the pattern {pattern}", f"pattern: {patterns[0]}"
            )
    needed = _NEEDED.get(pattern, ())
    found = [key for key in needed if data.get(key)]
    if needed and (not found or (pattern == "events" and len(found) < len(needed))):
        listed = " and ".join(needed) if pattern == "events" else " or ".join(needed)
        reader.mistake(("pattern",), f"the pattern {pattern} keeps nothing here", f"{listed}:")


def _listed(data: Mapping[str, Any], key: str) -> Iterator[tuple[Path_, Any]]:
    for number, one in enumerate(data.get(key, ())):
        yield (key, str(number)), one


def _outbox(reader: Reader, data: Mapping[str, Any], sources: Iterable[str]) -> str:
    """Its schema; triggers and functions are called by it and by the sources, and must not be cut off."""
    schema: str = data.get("outbox", f"{data['name']}_outbox")
    reader.name(("outbox",) if "outbox" in data else ("name",), f"{schema}_statement")
    for number, source in enumerate(sources):
        reader.name(("sources", str(number), "name"), f"into_outbox_{source}")
    return schema


# --- views ---


def _view(reader: Reader, path: Path_, data: Mapping[str, Any]) -> View:
    return View(
        name=reader.table((*path, "name"), data["name"]),
        sql=reader.query((*path, "sql"), data["sql"]),
        unique=tuple(data["unique"]),
    )


def _in_order(reader: Reader, views: Sequence[View]) -> tuple[View, ...]:
    """Each after those of the spec that it reads."""
    known = {one.name: one for one in views}
    try:
        order = [*TopologicalSorter({one.name: one.reads & known.keys() for one in views}).static_order()]
    except CycleError as found:
        listed = " → ".join(str(name) for name in found.args[1])
        reader.mistake(("views",), f"views read each other: {listed}", "one that the others read from")
        return tuple(views)
    return tuple(known[name] for name in order)


def _summary(reader: Reader, path: Path_, data: Mapping[str, Any], sources: Sequence[str]) -> SummarySpec:
    source = data["from"]
    if source not in sources:
        reader.mistake(
            (*path, "from"), f"there is no source `{source}`", f"one of: {', '.join(sources) or 'none'}"
        )
    measures: dict[str, tuple[Function, str | None]] = {}
    for name, text in data["measures"].items():
        found = _MEASURE.fullmatch(text.strip())
        if found is None:
            reader.mistake(
                (*path, "measures", name), f"`{text}` is no measure", "count, sum(total), min(at) …"
            )
        else:
            function: Any = found[1]
            measures[reader.name((*path, "measures", name), name)] = (function, found[2])
    return SummarySpec(
        view=reader.table((*path, "view"), data["view"]),
        source=source,
        groups=tuple(data["groups"]),
        measures=MappingProxyType(measures),
        where=_phrase(reader, (*path, "where"), data.get("where", "true")),
        verify=data.get("verify", False),
    )


def _phrase(reader: Reader, path: Path_, text: str) -> Sql:
    try:
        return Sql(f"({closed(condition(text))})")
    except NotSql as problem:
        reader.mistake(path, str(problem), "one expression in SQL", "spec-sql")
        return Sql("true")


# --- events and projections ---


def _events(reader: Reader, data: Mapping[str, Any]) -> EventsSpec:
    types = {}
    for type_, one in data["types"].items():
        path = ("events", "types", type_, "payload")
        payload = reader.columns(path, one.get("payload", {}))
        types[type_] = EventType(payload=payload, subject=one.get("subject", False))
    upcasters: list[UpcasterSpec] = []
    for number, one in enumerate(data.get("upcasters", ())):
        where = ("events", "upcasters", str(number))
        if one["type"] not in types:
            reader.mistake(
                (*where, "type"), f"there is no type `{one['type']}`", f"one of: {', '.join(types)}"
            )
        sql = _phrase(reader, (*where, "sql"), one["sql"])
        upcaster = UpcasterSpec(type=one["type"], since=one["since"], sql=sql)
        reader.name((*where, "type"), upcaster.function)
        if any((one.type, one.since) == (upcaster.type, upcaster.since) for one in upcasters):
            reader.mistake(
                where, f"`{upcaster.type}` {upcaster.since} has two upcasters", "one", "spec-duplicate"
            )
        upcasters.append(upcaster)
    for type_ in types:
        _refuse_gap(reader, type_, sorted(one.since for one in upcasters if one.type == type_))
    return EventsSpec(
        schema=reader.name(("events", "schema"), data["schema"]),
        types=MappingProxyType(types),
        upcasters=tuple(upcasters),
    )


def _refuse_gap(reader: Reader, type_: str, versions: Sequence[int]) -> None:
    """An event that none of them takes would stay as it is, and never become one of the newest version."""
    for one, following in pairwise(versions):
        if following > one + 1:
            reader.mistake(
                ("events", "upcasters"),
                f"no upcaster of `{type_}` takes version {one + 1}, which that of {one} makes",
                f"one with since: {one + 1}",
            )


def _types(events: EventsSpec | None, sources: Iterable[str], pattern: str) -> tuple[str, ...]:
    """What a handler may be of."""
    if pattern == "cqrs":
        return tuple(f"{source}.{change}" for source in sources for change in (*CHANGES, "upsert"))
    return (*(events.types if events else ()), ERASED)


def _projection(reader: Reader, path: Path_, data: Mapping[str, Any], types: Sequence[str]) -> ProjectionSpec:
    tables = [
        _statement(
            reader, (*path, "tables", str(number)), text, MADE, "CREATE TABLE, INDEX, VIEW, SEQUENCE or GRANT"
        )
        for number, text in enumerate(data["tables"])
    ]
    handlers: dict[str, Sql] = {}
    for type_, text in data["handlers"].items():
        where = (*path, "handlers", type_)
        if type_ not in types:
            reader.mistake(where, f"there is no event `{type_}`", f"one of: {', '.join(types)}")
        statement = _statement(reader, where, text, WRITES, "one INSERT, UPDATE, DELETE or MERGE")
        for known in _meant(type_):
            if known in handlers:
                reader.mistake(where, f"`{known}` has two handlers", "one", "spec-duplicate")
            handlers[known] = statement
    return ProjectionSpec(
        name=reader.name((*path, "name"), data["name"]),
        tables=tuple(tables),
        handlers=MappingProxyType(handlers),
    )


def _collection(
    reader: Reader, path: Path_, data: Mapping[str, Any], sources: Sequence[str]
) -> CollectionSpec:
    source, vector = data["from"], data["vector"]
    if source not in sources:
        reader.mistake(
            (*path, "from"), f"there is no source `{source}`", f"one of: {', '.join(sources) or 'none'}"
        )
    if vector["column"] in data.get("payload", ()):
        reader.mistake((*path, "payload"), "the vector is in the point anyway", "the other columns")
    return CollectionSpec(
        name=reader.name((*path, "name"), data["name"]),
        store=data["store"],
        url=data["url"],
        api_key=data.get("api_key"),
        collection=data["collection"],
        source=source,
        column=vector["column"],
        dimensions=vector["dimensions"],
        distance=vector.get("distance", "cosine"),
        vector=vector.get("name", ""),
        payload=tuple(data.get("payload", ())),
    )


def _meant(type_: str) -> tuple[str, ...]:
    source, dot, change = type_.rpartition(".")
    return (f"{source}.insert", f"{source}.update") if dot and change == "upsert" else (type_,)


def _statement(reader: Reader, path: Path_, text: str, kinds: Sequence[str], expected: str) -> Sql:
    try:
        found = parse(text).stmts
    except NotSql as problem:
        reader.mistake(path, str(problem), expected, "spec-sql")
        return Sql(text)
    if len(found) != 1 or found[0].stmt.WhichOneof("node") not in kinds:
        reader.mistake(path, "another statement", expected, "spec-sql")
        return Sql(text)
    begin, length = found[0].stmt_location, found[0].stmt_len
    # Up to its semicolon, behind which there may be a comment.
    return Sql(text.encode()[begin : begin + length if length else None].decode().strip())
