"""Checks of data, as specs of kinds `quality` and `pipeline` say them: what must hold, how much may not, what then."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from data_platform.model.database import Name
from data_platform.report.finding import Finding, Severity
from data_platform.spec.document import Document, Path_
from data_platform.spec.durations import seconds_of
from data_platform.spec.naming import parse_name
from data_platform.sql.phrases import condition, query
from data_platform.sql.text import NotSql, Sql, check_identifier, literal, type_name

Kind = Literal[
    "not_null",
    "format",
    "type",
    "range",
    "set",
    "condition",
    "unique",
    "reference",
    "rows",
    "freshness",
    "reconcile",
    "drift",
    "sql",
]
Format = Literal["email", "date", "timestamp", "uuid", "url"]
Action = Literal["fail", "warn", "quarantine"]

ROW_WISE: frozenset[Kind] = frozenset({"not_null", "format", "type", "range", "set", "condition"})
"""Checks that look at one row at a time, and so share a scan."""
_NEED_HISTORY: frozenset[Kind] = frozenset({"drift"})
_KEYS: Mapping[Kind, tuple[frozenset[str], frozenset[str]]] = {
    "not_null": (frozenset({"columns"}), frozenset()),
    "format": (frozenset({"columns"}), frozenset({"format", "pattern"})),
    "type": (frozenset({"columns", "type"}), frozenset()),
    "range": (frozenset({"columns"}), frozenset({"min", "max", "above", "below"})),
    "set": (frozenset({"columns", "values"}), frozenset()),
    "condition": (frozenset({"condition"}), frozenset()),
    "unique": (frozenset({"columns"}), frozenset()),
    "reference": (frozenset({"columns", "to"}), frozenset()),
    "rows": (frozenset(), frozenset({"min", "max", "change"})),
    "freshness": (frozenset({"columns", "within"}), frozenset()),
    "reconcile": (frozenset({"measure", "to"}), frozenset({"ratio", "change"})),
    "drift": (frozenset({"measure", "change"}), frozenset()),
    "sql": (frozenset({"sql"}), frozenset()),
}
"""By kind: keys that it needs, and keys that it may have beside those of every check."""
_COMMON = frozenset({"on", "check", "name", "description", "severity", "tolerance", "where", "action"})
_NEEDS_ONE: Mapping[Kind, frozenset[str]] = {
    "format": frozenset({"format", "pattern"}),
    "range": frozenset({"min", "max", "above", "below"}),
    "rows": frozenset({"min", "max", "change"}),
}
EXAMPLES: Mapping[str, str] = {
    "columns": "columns: [email]",
    "type": "type: numeric(12, 2)",
    "values": "values: [new, paid]",
    "condition": "condition: shipped_at >= ordered_at",
    "to": "to: {table: sales.customers}",
    "within": "within: 2 hours",
    "measure": "measure: sum(total)",
    "change": "change: 0.2",
    "sql": "sql: SELECT … gives the rows that are wrong",
}


@dataclass(frozen=True, kw_only=True)
class Tolerance:
    """How many rows may fail, as a number and as a share of those looked at; both bind where both are given."""

    rows: int | None = None
    share: float | None = None

    def allows(self, failing: int, rows: int) -> bool:
        """Whether so many failing of so many rows are allowed. Without a tolerance none is."""
        if self.rows is None and self.share is None:
            return failing == 0
        by_number = self.rows is None or failing <= self.rows
        return by_number and (self.share is None or failing <= self.share * rows)


@dataclass(frozen=True, kw_only=True)
class Other:
    """The other side of a reference or a reconciliation: a table here, or where `dsn` says, which is of `store`."""

    table: Name
    columns: tuple[str, ...] = ()
    measure: Sql | None = None
    where: Sql | None = None
    dsn: str | None = None
    store: str | None = None


@dataclass(frozen=True, kw_only=True)
class Bounds:
    """Literals that the server reads by the column's type; `above` and `below` exclude their own."""

    min: str | None = None
    max: str | None = None
    above: str | None = None
    below: str | None = None


@dataclass(frozen=True, kw_only=True)
class Check:
    """One check. `on` is a table; in a pipeline it may be a source or a transform, which has no schema: `staged`."""

    kind: Kind
    name: str
    table: Name
    staged: str | None = None
    description: str = ""
    severity: Severity = "error"
    action: Action = "fail"
    columns: tuple[str, ...] = ()
    where: Sql | None = None
    tolerance: Tolerance = field(default_factory=Tolerance)
    format: Format | None = None
    pattern: str | None = None
    type: Sql | None = None
    bounds: Bounds = field(default_factory=Bounds)
    values: tuple[str, ...] = ()
    condition: Sql | None = None
    to: Other | None = None
    within_seconds: float = 0.0
    measure: Sql | None = None
    ratio: float = 1.0
    change: float | None = None
    query: Sql | None = None
    line: int | None = None

    @property
    def needs_history(self) -> bool:
        return self.kind in _NEED_HISTORY or (self.kind == "rows" and self.change is not None)


def read_checks(
    document: Document, told: Callable[[Finding], None], staged: Mapping[str, object] | None = None
) -> tuple[Check, ...]:
    """The checks of a document that agrees with its schema; mistakes are told one by one.

    `staged` are the sources and transforms of a pipeline.
    """
    reader = _Reader(document, told, staged)
    found = tuple(
        reader.check(("checks", str(number)), data)
        for number, data in enumerate(document.data.get("checks", ()))
    )
    names: set[str] = set()
    for number, check in enumerate(found):
        if check.name in names:
            path = ("checks", str(number))
            told(document.error(path, "spec-duplicate", f"`{check.name}` is here twice", "name: another one"))
        names.add(check.name)
    return found


class _Reader:
    """Reads on after a mistake, so that all of them are told at once."""

    def __init__(
        self, document: Document, told: Callable[[Finding], None], staged: Mapping[str, object] | None
    ) -> None:
        self.document = document
        self.told = told
        self.in_pipeline = staged is not None
        self.staged = staged or {}
        self.made: dict[str, int] = {}

    def default_name(self, *parts: str) -> str:
        """What is checked, numbered where several look at the same."""
        name = " ".join(parts)
        number = self.made[name] = self.made.get(name, 0) + 1
        return name if number == 1 else f"{name} {number}"

    def mistake(self, path: Path_, message: str, fix: str, rule: str = "spec-check") -> None:
        self.told(self.document.error(path, rule, message, fix))

    def check(self, path: Path_, data: Mapping[str, Any]) -> Check:
        kind: Kind = data["check"]
        for message, fix in _misfits(kind, data):
            self.mistake(path, message, fix)
        on, severity = data["on"], data.get("severity", "error")
        columns = tuple(data.get("columns", ()))
        check = Check(
            kind=kind,
            name=data.get("name") or self.default_name(on, kind, *columns),
            table=Name("", on) if on in self.staged else self.table((*path, "on"), on),
            staged=on if on in self.staged else None,
            description=data.get("description", ""),
            severity=severity,
            action=data.get("action", "fail" if severity == "error" else "warn"),
            columns=columns,
            where=self.sql(condition, path, data, "where"),
            tolerance=Tolerance(**data.get("tolerance", {})),
            format=data.get("format"),
            pattern=data.get("pattern"),
            type=self.sql(type_name, path, data, "type"),
            bounds=Bounds(**{key: _value(data[key]) for key in _NEEDS_ONE["range"] if key in data}),
            values=tuple(_value(value) for value in data.get("values", ())),
            condition=self.sql(condition, path, data, "condition"),
            to=self.other((*path, "to"), data["to"], columns) if "to" in data else None,
            within_seconds=self.duration((*path, "within"), data["within"]) if "within" in data else 0.0,
            measure=self.sql(condition, path, data, "measure"),
            ratio=float(data.get("ratio", 1.0)),
            change=data.get("change"),
            query=self.sql(query, path, data, "sql"),
            line=self.document.mark(path).line,
        )
        self.agrees(path, check)
        return check

    def agrees(self, path: Path_, check: Check) -> None:
        """What the keys of one check must not say together."""
        if check.kind == "reconcile" and check.to and check.to.measure is None:
            self.mistake((*path, "to"), "what is measured there?", "to: {table: …, measure: sum(total)}")
        if check.kind == "freshness" and len(check.columns) > 1:
            self.mistake((*path, "columns"), "freshness is of one column", "columns: [updated_at]")
        if check.action == "quarantine" and not (check.staged and check.kind in (*ROW_WISE, "reference")):
            message = (
                "only rows of a pipeline's source or transform go into quarantine, by a check of each row"
            )
            self.mistake((*path, "action"), message, "action: fail or warn")
        if self.in_pipeline:
            self.in_a_run(path, check)

    def in_a_run(self, path: Path_, check: Check) -> None:
        if check.needs_history:
            self.mistake(path, "a run keeps no history of checks", "a spec of kind quality")
        if check.to and check.to.dsn:
            self.mistake((*path, "to"), "a run asks no third server", "a spec of kind quality")
        if check.staged and check.kind in ("sql", "reconcile"):
            self.mistake(
                path, f"{check.kind} is of a target's table", "on: a target, or a check of kind condition"
            )

    def other(self, path: Path_, data: Mapping[str, Any], own: tuple[str, ...]) -> Other:
        if "dsn" in data and "store" not in data:
            self.mistake(path, "whose data is it? The gate has to be asked", "store: as claude.md names it")
        columns = tuple(data.get("columns", own))
        if len(columns) != len(own) and own:
            self.mistake(path, f"{len(own)} columns refer to {len(columns)}", "as many columns there as here")
        return Other(
            table=self.table((*path, "table"), data["table"]),
            columns=columns,
            measure=self.sql(condition, path, data, "measure"),
            where=self.sql(condition, path, data, "where"),
            dsn=data.get("dsn"),
            store=data.get("store"),
        )

    def table(self, path: Path_, text: str) -> Name:
        try:
            return parse_name(text, "public")
        except (NotSql, ValueError) as problem:
            self.mistake(path, f"`{text}`: {problem}", "schema.table", "spec-name")
            return Name("public", "unknown")

    def sql(self, read: Callable[[str], Sql], path: Path_, data: Mapping[str, Any], key: str) -> Sql | None:
        if key not in data:
            return None
        try:
            return read(data[key])
        except NotSql as problem:
            self.mistake((*path, key), f"`{data[key]}`: {problem}", EXAMPLES.get(key, "one expression"))
            return Sql("true")

    def duration(self, path: Path_, text: str) -> float:
        found = seconds_of(text)
        if found is None:
            self.mistake(path, f"`{text}` is no duration", "10 minutes, 2 hours, 1 day")
        return found or 0.0


def _misfits(kind: Kind, data: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    needed, allowed = _KEYS[kind]
    for key in sorted(needed - data.keys()):
        yield f"a check of kind {kind} needs `{key}:`", EXAMPLES.get(key, f"{key}: …")
    for key in sorted(data.keys() - needed - allowed - _COMMON):
        yield f"a check of kind {kind} has no `{key}:`", ", ".join(sorted(needed | allowed)) or "remove it"
    one = _NEEDS_ONE.get(kind)
    if one and not one & data.keys():
        yield f"a check of kind {kind} needs one of {', '.join(sorted(one))}", f"{min(one)}: …"
    for name in data.get("columns", ()):
        try:
            check_identifier(name)
            literal(name)
        except NotSql as problem:
            yield f"`{name}`: {problem}", "a column's name"


def _value(value: str | float | bool) -> str:
    """As PostgreSQL reads it, whatever the column's type."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return value if isinstance(value, str) else repr(value)
