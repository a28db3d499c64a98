"""The sources of a spec as units of work: what there is to read, and what is kept once it was."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any

from data_platform.errors import UsageProblem
from data_platform.pipeline.reading import files, http, jsonl
from data_platform.postgres.connect import resolve_dsn
from data_platform.postgres.pipelines import reading
from data_platform.postgres.pipelines.sessions import Passing
from data_platform.postgres.pipelines.staging import Stream
from data_platform.spec.pipeline import TARGET, Source
from data_platform.sql.text import Sql

CURSOR = "cursor"
"""The unit of a source that is read by a cursor."""
WHOLE = "all"
"""The unit of one that is read from its beginning each time."""


@dataclass(frozen=True)
class Place:
    """Where a run works: the target's address, the folder of the spec, and the part of a cursor that is asked for.

    `addresses` stand in for those of the spec's sources, by name: a proof has servers of its own.
    """

    conninfo: str = field(repr=False)
    base: Path
    since: str | None = None
    until: str | None = None
    addresses: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}), repr=False)
    resnapshot: bool = False
    """Whether the tables of cdc are to be copied anew, and the collections of cqrs filled anew."""

    reload: bool = False
    """Whether what was read before is read again."""

    allow_empty: bool = False
    """Whether a source that gives no row may leave a target without one."""

    drop_removed: bool = False
    """Whether projections and collections that the spec names no more are let go."""

    @property
    def is_backfill(self) -> bool:
        return self.since is not None or self.until is not None

    def address(self, source: Source) -> str:
        """The conninfo of a source's server."""
        if source.name in self.addresses:
            return self.addresses[source.name]
        assert source.dsn is not None
        return self.conninfo if source.dsn == TARGET else resolve_dsn(source.dsn)


@dataclass(frozen=True)
class Unit:
    """One transaction's worth of a source. `position` is what its checkpoint holds afterwards.

    `path` is the file, for a source of files; `condition` the part of a table.
    """

    source: Source
    name: str
    position: Mapping[str, Any]
    path: Path | None = None
    condition: Sql = reading.EVERYTHING
    stamp: files.Stamp | None = None
    """Of the file before it was looked at."""

    def refuse_changed(self) -> None:
        """Passing where the file was written to while it was read: its rows may be neither the old nor the new ones."""
        if self.path is not None and self.stamp is not None and files.stamp(self.path) != self.stamp:
            raise Passing(
                "this file changed while it was read",
                where=str(self.path),
                try_="write it whole under another name, and rename it; then the same command again",
            )


def new_units(source: Source, place: Place, known: Mapping[str, Any], *, repeats: bool) -> Iterator[Unit]:
    """What of the source is not in the target yet. `repeats`: rows have a key, so a file may be read again.

    UsageProblem for a file that was loaded and is another one now, where rows have no key.
    """
    if source.path is not None:
        yield from _new_files(source, place, known, repeats=repeats)
    elif source.cursor is not None and source.table is not None:
        if place.is_backfill and not repeats:
            raise UsageProblem(
                f"--since and --until read rows of `{source.name}` again; without a key they would be there twice",
                try_="key: in the target",
            )
        yield from _window(source, place, known.get(CURSOR), repeats=repeats)
    elif repeats:
        yield Unit(source, WHOLE, {})
    else:
        raise UsageProblem(
            f"`{source.name}` gives all of its rows each time; without a key they would be there twice",
            expected="a `key:` in the target, or a cursor",
            try_="pattern: snapshot, where the table becomes what the source has",
        )


def whole(source: Source, place: Place) -> tuple[Unit, ...]:
    """Everything that the source has, now. UsageProblem where it is files and there are none."""
    if source.path is None:
        return (Unit(source, WHOLE, {}),)
    found = files.files_of(source, place.base)
    if not found:
        raise UsageProblem(
            f"there is no file for `{source.name}`",
            where=str(place.base / source.path),
            expected="at least one: a whole that is empty would empty the target",
        )
    return tuple(_file(source, one) for one in found)


def _file(source: Source, found: files.Found) -> Unit:
    stamp = files.stamp(found.path)
    return Unit(source, found.name, {"sha256": files.digest(found.path)}, found.path, stamp=stamp)


def _new_files(source: Source, place: Place, known: Mapping[str, Any], *, repeats: bool) -> Iterator[Unit]:
    listed = files.files_of(source, place.base)
    names = {one.name for one in listed}
    moved = {known[name]["sha256"]: name for name in known if name not in names}
    for one in listed:
        unit = _file(source, one)
        now, before = unit.position["sha256"], known.get(one.name)
        if before is not None and before["sha256"] == now:
            continue
        if before is None and now in moved and not repeats:
            raise UsageProblem(
                f"this file was loaded as {moved[now]}, which is there no more; without a key its rows would be"
                " there twice",
                where=str(one.path),
                expected="files that keep their names, or a `key:` in the target",
                try_="give it its old name; or put it where the source does not look",
            )
        if before is not None and not repeats:
            raise UsageProblem(
                "this file was loaded and holds something else now; without a key its rows would be there twice",
                where=str(one.path),
                expected="files that do not change once they are there, or a `key:` in the target",
                try_="write the new rows to a new file",
            )
        yield unit


def _window(
    source: Source, place: Place, known: Mapping[str, Any] | None, *, repeats: bool
) -> Iterator[Unit]:
    assert source.cursor is not None
    assert source.table is not None
    _of_postgres(source, place, "a cursor is")
    if place.is_backfill:
        condition = reading.between(
            place.address(source), source.table, source.cursor.column, place.since, place.until
        )
        yield Unit(source, f"{place.since or ''}..{place.until or ''}", {}, condition=condition)
        return
    after = known["after"] if known else None
    cursor = source.cursor
    found = reading.window(
        place.address(source),
        source.table,
        cursor.column,
        cursor.kind,
        after,
        cursor.lag_seconds,
        keyed=repeats,
    )
    if found.until != after or cursor.kind == "value":
        yield Unit(source, CURSOR, {"after": found.until}, condition=found.condition)


@contextmanager
def opened(unit: Unit, place: Place) -> Iterator[tuple[Stream, dict[str, Sql]]]:
    """The unit as a stream, and the types of the columns that it is known to have."""
    source = unit.source
    columns = columns_of(source, place, unit.path)
    if unit.path is not None:
        yield files.stream_of(source, unit.path), columns
    elif source.url is not None:
        with http.lines_of(source, place.addresses.get(source.name, source.url)) as path:
            yield jsonl.stream(source, lambda: files.blocks_of(path)), columns
    elif source.name not in place.addresses and _is_mysql(source):
        from data_platform.pipeline.reading import mysql  # noqa: PLC0415  an extra

        yield mysql.stream(source), columns
    else:
        found = reading.columns_of(place.address(source), source.table, source.query)
        there = {name: type_ for name, type_ in columns.items() if name in found}
        extract = reading.Extract(
            place.address(source), source.table, source.query, there, found, unit.condition
        )
        yield reading.stream(extract), columns


def columns_of(source: Source, place: Place, path: Path | None) -> dict[str, Sql]:
    """The types of the columns that rows of a source are to have; no row is read. `path` is the file."""
    if source.columns:
        return dict(source.columns)
    if path is not None:
        from data_platform.pipeline.reading import parquet  # noqa: PLC0415  an extra

        return parquet.columns_of(path)
    if source.name not in place.addresses and _is_mysql(source):
        from data_platform.pipeline.reading import mysql  # noqa: PLC0415  an extra

        return mysql.columns_of(source)
    return reading.columns_of(place.address(source), source.table, source.query)


def _is_mysql(source: Source) -> bool:
    dsn = source.dsn or ""
    return dsn.startswith("env:") and os.environ.get(dsn[4:], "").startswith(("mysql://", "mariadb://"))


def _of_postgres(source: Source, place: Place, what: str) -> None:
    if source.name not in place.addresses and _is_mysql(source):
        raise UsageProblem(
            f"{what} read from PostgreSQL only", where=f"source `{source.name}`", try_="pattern: snapshot"
        )


def keys(source: Source, place: Place, key: tuple[str, ...]) -> Stream:
    """The keys that a database source has now."""
    _of_postgres(source, place, "keys are")
    found = reading.columns_of(place.address(source), source.table, source.query)
    columns = {name: source.columns.get(name, type_) for name, type_ in found.items()}
    extract = reading.Extract(place.address(source), source.table, source.query, columns, found)
    return reading.key_stream(extract, key)
