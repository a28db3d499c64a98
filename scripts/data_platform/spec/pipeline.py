"""Specs of kind `pipeline`: where rows come from, what becomes of them, and into which tables they go."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Literal

from data_platform.model.database import Name
from data_platform.report.finding import Finding
from data_platform.spec.checks import Check, read_checks
from data_platform.spec.document import Document, Path_, SpecProblem
from data_platform.spec.durations import seconds_of
from data_platform.spec.naming import parse_name
from data_platform.spec.pipeline_kept import read_kept
from data_platform.spec.pipeline_patterns import WITHIN, Kept
from data_platform.sql.phrases import query
from data_platform.sql.text import NotSql, Sql, check_identifier, type_name

Pattern = Literal["etl", "elt", "incremental", "snapshot", "scd", "cdc", "events", "cqrs", "views"]
Format = Literal["csv", "parquet", "jsonl"]
Drift = Literal["evolve", "freeze", "ignore", "quarantine"]

TARGET = "target"
"""As a source's dsn: the server that is written to."""
OWN_PREFIX = "_dpe"
"""Of names that a run makes beside the user's."""
_FORMATS: Mapping[str, Format] = {
    ".csv": "csv",
    ".tsv": "csv",
    ".parquet": "parquet",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
}
_NEED_COLUMNS = ("csv", "jsonl")
_SLOT = re.compile(r"[a-z0-9_]{1,63}")


@dataclass(frozen=True, kw_only=True)
class Csv:
    """How a file of separated values is written. `null` is what is NULL where it stands without quotes."""

    delimiter: str = ","
    quote: str = '"'
    header: bool = True
    null: str = ""
    encoding: str = "UTF8"


@dataclass(frozen=True, kw_only=True)
class Cursor:
    """What tells new rows of a table. `lag_seconds` is how far back a value is read again."""

    column: str
    kind: Literal["xid8", "value"] = "value"
    lag_seconds: float = 0.0


@dataclass(frozen=True, kw_only=True)
class Pages:
    """Rows of JSON over HTTP. `records` and `next` are keys into an answer; `parameter` counts pages from `first`."""

    records: tuple[str, ...] = ()
    next: tuple[str, ...] = ()
    parameter: str | None = None
    first: int = 1
    token: str | None = None


@dataclass(frozen=True, kw_only=True)
class Deletes:
    """How a source says that a row is gone: a boolean `column`, or by not having it.

    `at_most` is the share of the target that one run may delete.
    """

    column: str | None = None
    missing: bool = False
    at_most: float = 0.5


@dataclass(frozen=True, kw_only=True)
class Source:
    """Rows from files (`path`), a database (`dsn` and `table` or `query`) or HTTP (`url`): exactly one of the three."""

    name: str
    path: str | None = None
    dsn: str | None = None
    url: str | None = None
    store: str | None = None
    format: Format | None = None
    csv: Csv = field(default_factory=Csv)
    table: Name | None = None
    query: Sql | None = None
    columns: Mapping[str, Sql] = field(default_factory=lambda: MappingProxyType({}))
    """PostgreSQL's type by name. Empty where the source itself says it (Parquet, a database)."""
    cursor: Cursor | None = None
    pages: Pages = field(default_factory=Pages)
    deletes: Deletes | None = None
    slot: str | None = None
    publication: str | None = None
    key: tuple[str, ...] = ()
    sensitive: tuple[str, ...] = ()

    @property
    def is_json(self) -> bool:
        """Whether its rows come as objects of JSON."""
        return self.format == "jsonl" or self.url is not None


@dataclass(frozen=True, kw_only=True)
class Transform:
    """One SELECT over the sources and the transforms before it."""

    name: str
    sql: Sql
    description: str = ""


@dataclass(frozen=True, kw_only=True)
class Target:
    """A table and what its rows are told by. `source` is the name of a source or of a transform."""

    table: Name
    source: str
    key: tuple[str, ...] = ()
    version: str | None = None
    type: Literal[1, 2, 6] = 2
    tracked: tuple[str, ...] = ()
    swap: bool = False
    """snapshot: whether a new table is built beside and takes the name, instead of changing what differs."""


@dataclass(frozen=True, kw_only=True)
class Levels:
    """What a run is held to, in seconds; `loss` is a share of the rows read."""

    freshness: float | None = None
    duration: float | None = None
    loss: float | None = None


@dataclass(frozen=True, kw_only=True)
class Pipeline:
    """A pipeline spec, typed."""

    store: str
    name: str
    pattern: Pattern = "etl"
    server_version: int = 18
    state_schema: str = "dpe_pipeline"
    sources: tuple[Source, ...] = ()
    transforms: tuple[Transform, ...] = ()
    targets: tuple[Target, ...] = ()
    drift: Drift = "freeze"
    retries: int = 3
    schedule: str | None = None
    levels: Levels = field(default_factory=Levels)
    checks: tuple[Check, ...] = ()
    kept: Kept = field(default_factory=Kept)
    file: str = ""
    sha256: str = ""

    def source(self, name: str) -> Source | None:
        """The source of that name; None for a transform's."""
        return next((one for one in self.sources if one.name == name), None)


def read_pipeline(document: Document) -> Pipeline:
    """The spec in a document that agrees with the schema of kind `pipeline`. SpecProblem with every mistake."""
    reader = _Reader(document)
    read = reader.pipeline(document.data)
    if reader.findings:
        raise SpecProblem(tuple(reader.findings))
    return read


class _Reader:
    """Reads on after a mistake, so that all of them are told at once."""

    def __init__(self, document: Document) -> None:
        self.document = document
        self.findings: list[Finding] = []

    def mistake(self, path: Path_, message: str, fix: str, rule: str = "spec-pipeline") -> None:
        self.findings.append(self.document.error(path, rule, message, fix))

    def pipeline(self, data: Mapping[str, Any]) -> Pipeline:
        sources = tuple(self.each(data, "sources", self.source))
        transforms = tuple(self.each(data, "transforms", self.transform))
        pattern: Pattern = data.get("pattern", "etl")
        names = [one.name for one in (*sources, *transforms)]
        targets = tuple(self.target(path, one, names, pattern) for path, one in _listed(data, "targets"))
        read = Pipeline(
            store=data["store"],
            name=data["name"],
            pattern=pattern,
            server_version=data.get("server_version", 18),
            state_schema=self.name(("state_schema",), data.get("state_schema", Pipeline.state_schema)),
            sources=sources,
            transforms=transforms,
            targets=targets,
            drift=data.get("drift", "freeze"),
            retries=data.get("retries", 3),
            schedule=data.get("schedule"),
            levels=self.levels(data.get("service_levels", {})),
            checks=read_checks(self.document, self.findings.append, dict.fromkeys(names)),
            kept=read_kept(self, data, [one.name for one in sources], pattern),
            file=self.document.file,
            sha256=self.document.sha256,
        )
        self.findings += _disagreements(self.document, read)
        return read

    def each(self, data: Mapping[str, Any], key: str, read: Any) -> Iterator[Any]:
        for path, one in _listed(data, key):
            yield read(path, one)

    def source(self, path: Path_, data: Mapping[str, Any]) -> Source:
        ways = [key for key in ("path", "dsn", "url") if key in data]
        if len(ways) != 1:
            said = "says neither" if not ways else f"says {' and '.join(ways)}"
            self.mistake(
                path, f"a source is files, a database or HTTP; this one {said}", "path: orders/*.csv"
            )
        suffix = "." + data.get("path", "").lower().removesuffix(".gz").rsplit(".", 1)[-1]
        found = data.get("format") or (_FORMATS.get(suffix) if "path" in data else None)
        if "path" in data and not found:
            self.mistake(path, "which format?", "format: csv, parquet or jsonl")
        if (found in _NEED_COLUMNS or "url" in data) and "columns" not in data:
            self.mistake(path, "these rows do not say their types", "columns: {id: bigint, name: text}")
        if "dsn" in data and ("table" in data) == ("query" in data):
            self.mistake(path, "a database needs a table or a query, one of the two", "table: public.orders")
        csv = dict(data.get("csv", {}))
        if suffix == ".tsv":
            csv.setdefault("delimiter", "\t")
        cursor, deletes = data.get("cursor"), data.get("deletes")
        return Source(
            name=self.name((*path, "name"), data["name"]),
            path=data.get("path"),
            dsn=data.get("dsn"),
            url=data.get("url"),
            store=data.get("store"),
            format=found,
            csv=Csv(**csv),
            table=self.table((*path, "table"), data["table"]) if "table" in data else None,
            query=self.query((*path, "query"), data["query"]) if "query" in data else None,
            columns=self.columns((*path, "columns"), data.get("columns", {})),
            cursor=self.cursor((*path, "cursor"), cursor) if cursor else None,
            pages=_pages(data.get("pages", {})),
            deletes=Deletes(**deletes) if deletes else None,
            slot=data.get("slot"),
            publication=data.get("publication"),
            key=tuple(data.get("key", ())),
            sensitive=tuple(data.get("sensitive", ())),
        )

    def cursor(self, path: Path_, data: Mapping[str, Any]) -> Cursor:
        lag = self.duration((*path, "lag"), data["lag"]) if "lag" in data else 0.0
        return Cursor(column=data["column"], kind=data.get("kind", "value"), lag_seconds=lag)

    def transform(self, path: Path_, data: Mapping[str, Any]) -> Transform:
        return Transform(
            name=self.name((*path, "name"), data["name"]),
            sql=self.query((*path, "sql"), data["sql"]),
            description=data.get("description", ""),
        )

    def target(self, path: Path_, data: Mapping[str, Any], names: list[str], pattern: Pattern) -> Target:
        source = data.get("from") or (names[-1] if names else "")
        if source not in names and pattern not in WITHIN:
            listed = ", ".join(names) or "none"
            self.mistake((*path, "from"), f"there is no source or transform `{source}`", f"one of: {listed}")
        key = tuple(data.get("key", ()))
        return Target(
            table=self.table((*path, "table"), data["table"]),
            source=source,
            key=key,
            version=data.get("version"),
            type=data.get("type", 2),
            tracked=tuple(data.get("tracked", ())),
            swap=data.get("swap", False),
        )

    def levels(self, data: Mapping[str, Any]) -> Levels:
        times = {
            key: self.duration(("service_levels", key), data[key])
            for key in ("freshness", "duration")
            if key in data
        }
        return Levels(loss=data.get("loss"), **times)

    def name(self, path: Path_, text: str) -> str:
        try:
            check_identifier(text)
        except NotSql as problem:
            self.mistake(path, f"`{text}`: {problem}", "a name for PostgreSQL", "spec-name")
        if text.startswith(OWN_PREFIX + "_") or "%" in text:
            self.mistake(
                path, f"`{text}`: names of ours begin so, or clients read %", "another name", "spec-name"
            )
        return text

    def table(self, path: Path_, text: str) -> Name:
        try:
            return parse_name(text, "public")
        except (NotSql, ValueError) as problem:
            self.mistake(path, f"`{text}`: {problem}", "schema.table", "spec-name")
            return Name("public", "unknown")

    def query(self, path: Path_, text: str) -> Sql:
        try:
            return query(text)
        except NotSql as problem:
            self.mistake(path, str(problem), "one SELECT", "spec-sql")
            return Sql("SELECT")

    def columns(self, path: Path_, data: Mapping[str, str]) -> Mapping[str, Sql]:
        found = {}
        for name, text in data.items():
            self.name((*path, name), name)
            try:
                found[name] = type_name(text)
            except NotSql as problem:
                self.mistake(
                    (*path, name), f"`{text}`: {problem}", "text, bigint, date, timestamptz …", "spec-type"
                )
        return MappingProxyType(found)

    def duration(self, path: Path_, text: str) -> float:
        found = seconds_of(text)
        if found is None:
            self.mistake(path, f"`{text}` is no duration", "10 minutes, 2 hours, 1 day")
        return found or 0.0


def _listed(data: Mapping[str, Any], key: str) -> Iterator[tuple[Path_, Any]]:
    for number, one in enumerate(data.get(key, ())):
        yield (key, str(number)), one


def _pages(data: Mapping[str, Any]) -> Pages:
    def keys(name: str) -> tuple[str, ...]:
        return tuple(part for part in data.get(name, "").split(".") if part)

    rest = {key: data[key] for key in ("parameter", "first", "token") if key in data}
    return Pages(records=keys("records"), next=keys("next"), **rest)


# --- what must agree across the spec ---


def _disagreements(document: Document, spec: Pipeline) -> Iterator[Finding]:
    yield from _twice(document, spec)
    yield from _check_mistakes(document, spec)
    if spec.pattern == "cdc":
        yield from _stream_mistakes(document, spec)
    for number, target in enumerate(spec.targets):
        yield from _target_mistakes(document, spec, ("targets", str(number)), target)
    for number, source in enumerate(spec.sources):
        path = ("sources", str(number))
        yield from _source_mistakes(document, spec, path, source)
        if spec.pattern in WITHIN:
            yield from _within_mistakes(document, spec, path, source)


def _twice(document: Document, spec: Pipeline) -> Iterator[Finding]:
    seen: set[str] = set()
    named = [(("sources", str(n), "name"), one.name) for n, one in enumerate(spec.sources)]
    named += [(("transforms", str(n), "name"), one.name) for n, one in enumerate(spec.transforms)]
    for path, name in named:
        if name in seen:
            yield document.error(path, "spec-duplicate", f"`{name}` is here twice", "rename one")
        seen.add(name)
    tables: set[Name] = set()
    for number, target in enumerate(spec.targets):
        if target.table in tables:
            path = ("targets", str(number), "table")
            yield document.error(
                path, "spec-duplicate", f"`{target.table}` is written twice", "one target a table"
            )
        tables.add(target.table)


_NOT_STAGED: Mapping[str, str] = {
    "cdc": "a change that is set aside is missing in every later state of its row",
    **dict.fromkeys(
        WITHIN, "rows of the store's own tables are there already, and nobody can set them aside"
    ),
}
"""Why rows are not looked at before they are written, by the patterns in which they are not."""


def _check_mistakes(document: Document, spec: Pipeline) -> Iterator[Finding]:
    for number, check in enumerate(spec.checks):
        path = ("checks", str(number), "on")
        if check.staged is not None and spec.pattern in _NOT_STAGED:
            fix = f"on: what the run writes ({', '.join(_checked(spec))}), or dpe quality check"
            yield document.error(path, "spec-check", _NOT_STAGED[spec.pattern], fix)
        elif check.staged is None and not _is_checked(spec, check.table):
            staged = [*(one.name for one in spec.sources), *(one.name for one in spec.transforms)]
            known, names = "no target, source or transform of", [*staged, *_checked(spec)]
            if spec.pattern in _NOT_STAGED:
                known, names = "nothing that is written by", _checked(spec)
            message = f"`{check.table}` is {known} this pipeline"
            yield document.error(path, "spec-check", message, f"one of: {', '.join(names)}")


def _is_checked(spec: Pipeline, table: Name) -> bool:
    """Whether a run writes that table, or keeps it."""
    kept = {one.name for one in spec.kept.views} | {one.view for one in spec.kept.summaries}
    return (
        table in kept
        or any(table == one.table for one in spec.targets)
        or any(table.schema == one.name for one in spec.kept.projections)
    )


def _checked(spec: Pipeline) -> list[str]:
    """What a check may be on, as a person is told."""
    tables = {one.table for one in spec.targets} | {one.name for one in spec.kept.views}
    tables |= {one.view for one in spec.kept.summaries}
    return [*map(str, sorted(tables)), *(f"tables of {one.name}" for one in spec.kept.projections)]


def _target_mistakes(document: Document, spec: Pipeline, path: Path_, target: Target) -> Iterator[Finding]:
    if not target.key and spec.pattern in ("scd", "cdc"):
        yield document.error(path, "spec-pipeline", f"{spec.pattern} tells rows by a key", "key: [id]")
    if target.swap and spec.pattern != "snapshot":
        message = "only a table that is the whole of its source can be exchanged for a new one"
        yield document.error((*path, "swap"), "spec-pipeline", message, "pattern: snapshot")
    if target.version and not target.key:
        message = "`version` says which of two rows of a key wins, and there is no key"
        yield document.error((*path, "version"), "spec-pipeline", message, "key: [id]")
    source = spec.source(target.source)
    if source is None or not source.columns:
        return
    wanted = {
        "key": target.key,
        "tracked": target.tracked,
        "version": (target.version,) if target.version else (),
    }
    for key, names in wanted.items():
        for name in names:
            if name not in source.columns:
                listed = ", ".join(source.columns)
                message = f"`{source.name}` has no column `{name}`"
                yield document.error((*path, key), "spec-pipeline", message, f"one of: {listed}")


def _stream_mistakes(document: Document, spec: Pipeline) -> Iterator[Finding]:
    """What a change stream has no use for, or can be only one of."""

    def wrong(path: Path_, message: str, fix: str) -> Finding:
        return document.error(path, "spec-pipeline", message, fix)

    if spec.transforms:
        message = "cdc keeps the source's tables as they are; SQL would see the changes of a batch only"
        yield wrong(
            ("transforms",), message, "a second pipeline, or a view, over the tables that this one keeps"
        )
    if spec.drift not in ("freeze", "evolve", "ignore"):
        message = "a change in quarantine is missing in every later state of its row"
        yield wrong(("drift",), message, "drift: freeze, evolve or ignore")
    for name in ("dsn", "slot", "publication"):
        if len({getattr(source, name) for source in spec.sources}) > 1:
            message = (
                f"the sources of a change stream are in one database and have one slot; their `{name}` differ"
            )
            yield wrong(("sources",), message, "a pipeline for each")
    slot = next((source.slot for source in spec.sources if source.slot), spec.name)
    if not _SLOT.fullmatch(slot):
        yield wrong(("name",), f"`{slot}` is no name of a slot", "slot: of a-z, 0-9 and _ in the source")
    for number, source in enumerate(spec.sources):
        if source.cursor or source.deletes:
            yield wrong(
                ("sources", str(number)),
                "the change stream has its own order and its deletes",
                "no cursor:, no deletes:",
            )
    for number, target in enumerate(spec.targets):
        if target.version:
            yield wrong(("targets", str(number), "version"), "the change stream is in order", "no version:")


def _source_mistakes(document: Document, spec: Pipeline, path: Path_, source: Source) -> Iterator[Finding]:
    if source.cursor and (source.dsn is None or source.table is None):
        message = "a cursor is of a database's table; files and pages are told by what they hold"
        yield document.error((*path, "cursor"), "spec-pipeline", message, "table: and dsn:, or no cursor")
    if spec.pattern == "cdc" and source.table is None:
        yield document.error(path, "spec-pipeline", "cdc follows tables of a PostgreSQL", "dsn: and table:")
    named = [source.deletes.column] if source.deletes and source.deletes.column else []
    for name in (*named, *source.sensitive):
        if source.columns and name not in source.columns:
            message = f"`{source.name}` has no column `{name}`"
            yield document.error(path, "spec-pipeline", message, f"one of: {', '.join(source.columns)}")
    keyed = all(target.key for target in spec.targets if target.source == source.name)
    if source.deletes and source.deletes.missing and spec.pattern in ("incremental", "elt", "scd"):
        yield from _part_mistakes(document, spec, (*path, "deletes"), source)
    if source.deletes and not keyed:
        message = "a deleted row is told by a key, and the target has none"
        yield document.error((*path, "deletes"), "spec-pipeline", message, "key: [id] in the target")


def _part_mistakes(document: Document, spec: Pipeline, path: Path_, source: Source) -> Iterator[Finding]:
    """What a batch does not have is gone only where the batch is the whole, or keys can be asked for."""
    if spec.pattern == "scd" and source.cursor:
        message = "a cursor reads a part, and what a part does not have would be closed in the history"
        yield document.error(path, "spec-pipeline", message, "no cursor:, or deletes: {column: …}")
    elif spec.pattern != "scd" and source.path is not None:
        message = "what one file does not have may be in another"
        yield document.error(path, "spec-pipeline", message, "pattern: snapshot, or deletes: {column: …}")


def _within_mistakes(document: Document, spec: Pipeline, path: Path_, source: Source) -> Iterator[Finding]:
    """What is kept by triggers and read within a statement is of tables that are there."""
    if source.dsn != TARGET or source.table is None:
        message = f"{spec.pattern} works on tables of the store itself"
        yield document.error(path, "spec-pipeline", message, "dsn: target, and table:")
    same = [one.name for one in spec.sources if one.table == source.table and one.table is not None]
    if spec.pattern == "cqrs" and len(same) > 1 and source.name == same[1]:
        message = f"`{same[0]}` and `{same[1]}` are the table {source.table}; an outbox tells each change of it once"
        yield document.error(
            path, "spec-pipeline", message, f"one source; handlers of `{same[0]}.upsert` for both"
        )
    if spec.pattern == "cqrs" and not source.key:
        yield document.error(path, "spec-pipeline", "an outbox tells rows by a key", "key: [id]")
    for name in source.key:
        if source.columns and name not in source.columns:
            message = f"`{source.name}` has no column `{name}`"
            yield document.error(
                (*path, "key"), "spec-pipeline", message, f"one of: {', '.join(source.columns)}"
            )
    for number, one in enumerate(spec.kept.collections):
        for name in (one.column, *one.payload) if one.source == source.name and source.columns else ():
            if name not in source.columns:
                message = f"`{source.name}` has no column `{name}`"
                where = ("collections", str(number))
                yield document.error(where, "spec-pipeline", message, f"one of: {', '.join(source.columns)}")
