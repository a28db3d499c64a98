"""A slowly changing dimension: its key, what is followed, from when a row holds, and how a delete is told.

What a history is: per key, what was seen at which time. Two neighbours that say the same are one version, a delete is a
gap. So the table depends on what was seen only, not on the order in which it came. That needs to be remembered
also where it changes nothing: a value seen again at 5, and later another one learnt of at 3, are three versions. The
table `<name>_marks` keeps these times; it exists where the rows themselves say their time, for a run's own time never
goes back.

What does depend on the order, because nothing in the rows decides it:
- two rows of one key and one time: the one that came last wins, in a batch by the order column, else by the batch;
- of an attribute that is not followed only the last value is kept: a delete at the very time of the row that said it
  leaves that value, not the one before;
- a key that a snapshot does not have is closed at the snapshot's time, which says nothing of snapshots before it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

from data_platform.errors import UsageProblem
from data_platform.model.database import Name
from data_platform.sql.text import MAX_IDENTIFIER_BYTES, Sql, identifier, qualified_name

RANGES: Mapping[str, str] = {
    "timestamptz": "tstzrange",
    "timestamp with time zone": "tstzrange",
    "timestamp": "tsrange",
    "timestamp without time zone": "tsrange",
    "date": "daterange",
    "bigint": "int8range",
    "int8": "int8range",
    "integer": "int4range",
    "int": "int4range",
    "int4": "int4range",
    "numeric": "numrange",
}
"""The range over each type that may say from when a row holds."""

NO_EQUALITY = ("json", "xml", "point", "polygon", "txid_snapshot", "pg_snapshot", "pg_node_tree")
"""Types without an operator =, so compared as text."""

NOW = Sql("now()")
"""A run's own time, where nothing else is given."""

TIME = Sql("timestamptz")
_PRECISION = re.compile(r"\s*\([^)]*\)\s*")
FROM, TO, VALID = "valid_from", "valid_to", "valid"
CURRENT = "current_"
"""Before the name of a column that holds, in every version of type 6, what holds last."""


@dataclass(frozen=True, kw_only=True)
class Dimension:
    """A table of `key` and `attributes` (PostgreSQL types by name) whose changes are kept as `type` says.

    Type 1 keeps the last value. Type 2 opens a version when a `tracked` attribute changes (all, if none is named) and
    overwrites the others in every version. Type 6 also holds in every version, as `current_<attribute>`, what holds
    last. `effective` is the stage's column that says from when a row holds; without it a merge's own time does.
    `tombstone` is the stage's boolean that says deleted; `missing` says that a stage is the whole source, so that
    what it does not have is gone. Raises UsageProblem where these do not agree.
    """

    table: Name
    key: Mapping[str, Sql]
    attributes: Mapping[str, Sql]
    type: Literal[1, 2, 6] = 2
    tracked: tuple[str, ...] = ()
    effective: str | None = None
    time: Sql = TIME
    tombstone: str | None = None
    missing: bool = False
    surrogate: str | None = None
    """A column that numbers versions, for facts to refer to."""
    server_version: int = 18

    def __post_init__(self) -> None:
        for what, expected in _disagreements(self):
            raise UsageProblem(what, where=f"dimension {self.table}", expected=expected)

    @property
    def followed(self) -> tuple[str, ...]:
        """Attributes whose change opens a version."""
        if self.type == 1:
            return tuple(self.attributes)
        return tuple(name for name in self.attributes if not self.tracked or name in self.tracked)

    @property
    def overwritten(self) -> tuple[str, ...]:
        """Attributes that every version of a key holds as they were seen last."""
        return tuple(name for name in self.attributes if name not in self.followed)

    @property
    def copies(self) -> Mapping[str, str]:
        """Columns that hold what holds last, and the attribute each is of."""
        found = {name: name for name in self.overwritten}
        if self.type == 6:
            found |= {CURRENT + name: name for name in self.followed}
        return found

    @property
    def remembers(self) -> bool:
        """Whether a row may come late, so that times which change nothing are kept."""
        return self.effective is not None

    @property
    def range(self) -> Sql:
        """The range type of the validity."""
        return Sql(RANGES[plain(self.time)])

    @property
    def marks(self) -> Name:
        """The table of times at which nothing changed."""
        return beside(self.table, "_marks")


def beside(table: Name, suffix: str) -> Name:
    """The name of something that belongs to `table`: cut where it would be too long for PostgreSQL."""
    kept = table.name.encode()[: MAX_IDENTIFIER_BYTES - len(suffix)].decode(errors="ignore")
    return Name(table.schema, kept + suffix)


def comparable(type_: Sql, value: Sql) -> Sql:
    """`value` as something that IS DISTINCT FROM can compare."""
    return Sql(f"{value}::text") if plain(type_).removesuffix("[]") in NO_EQUALITY else value


def plain(type_: Sql) -> str:
    """The type without its precision: `timestamp with time zone` of `timestamp(3) with time zone`."""
    return " ".join(_PRECISION.sub(" ", str(type_).lower()).replace(" []", "[]").split())


def distinct(columns: Mapping[str, Sql], left: str, right: str) -> Sql:
    """Whether two rows differ in a column, where NULL equals NULL; `left` and `right` are aliases of ours."""
    parts = [
        f"{comparable(type_, Sql(f'{left}.{identifier(name)}'))}"
        f" IS DISTINCT FROM {comparable(type_, Sql(f'{right}.{identifier(name)}'))}"
        for name, type_ in columns.items()
    ]
    return Sql(f"({' OR '.join(parts)})" if parts else "false")


def same_key(dimension: Dimension, left: str, right: str) -> Sql:
    """Whether two rows are of one key; keys are never NULL."""
    return Sql(" AND ".join(f"{left}.{identifier(k)} = {right}.{identifier(k)}" for k in dimension.key))


def of_table(dimension: Dimension) -> Sql:
    """The table, quoted."""
    return qualified_name(dimension.table)


def _disagreements(dimension: Dimension) -> Iterator[tuple[str, str]]:
    if not dimension.key:
        yield "there is no key", "the columns that tell one thing from another"
    if dimension.type not in (1, 2, 6):
        yield f"type {dimension.type} is not known", "type 1, 2 or 6"
    if plain(dimension.time) not in RANGES:
        yield f"`{dimension.time}` has no range here", f"one of {', '.join(RANGES)}"
    if unknown := [name for name in dimension.tracked if name not in dimension.attributes]:
        yield f"tracked is not an attribute: {', '.join(unknown)}", ", ".join(dimension.attributes)
    if dimension.type == 1 and dimension.tracked:
        yield "type 1 keeps no versions, so nothing is tracked", "type: 2"
    own = [FROM, TO, VALID, *filter(None, [dimension.surrogate])]
    if dimension.type == 1:
        own = [FROM] if dimension.effective else []
    columns = [*dimension.key, *dimension.attributes, *(n for n in dimension.copies if n.startswith(CURRENT))]
    columns += own
    if twice := sorted({name for name in columns if columns.count(name) > 1}):
        yield f"a column is there twice: {', '.join(twice)}", f"other names than {', '.join(own)}"
    if any(name.startswith("_dpe_") for name in columns):
        yield "names that begin with _dpe_ are ours", "another name"
    if dimension.remembers and (marks := sorted({"at", "gone"} & set(dimension.key))):
        yield (
            f"a column of the key is called {', '.join(marks)}",
            "another name: the table of marks has these",
        )
    if dimension.tombstone in {*dimension.key, *dimension.attributes}:
        yield f"`{dimension.tombstone}` says that a row is gone, so no row has it", "it among no attributes"
    if long := [name for name in columns if len(name.encode()) > MAX_IDENTIFIER_BYTES]:
        yield f"a name has more than {MAX_IDENTIFIER_BYTES} bytes: {', '.join(long)}", "shorter names"
