"""What every reader of the catalog shares: rows as mappings."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import psycopg

from data_platform.model.database import Deferral, Enabled, Name, Options
from data_platform.sql.stable import stable

Row = Mapping[str, Any]
Connection = psycopg.Connection[Any]

ENABLED: Mapping[str, Enabled] = {"O": "origin", "D": "disabled", "R": "replica", "A": "always"}


_SECRET = re.compile("passw|secret|token|credential", re.IGNORECASE)
"""As in the query `left_out`, which counts them."""


class Query(Protocol):
    """Runs a named query of `postgres/queries`."""

    def __call__(self, name: str, /, **values: Any) -> list[Row]: ...


@dataclass(frozen=True)
class Owners:
    """Whose objects name an owner: all but those of `anonymous` roles, who are whoever loads a model."""

    anonymous: frozenset[str]

    def named(self, owner: str | None) -> str | None:
        """The owner, unless nobody needs to know it."""
        return None if owner in self.anonymous else owner


_EXPRESSIONS = frozenset(
    {
        "expression",
        "default_expression",
        "predicate",
        "using",
        "with_check",
        "where",
        "query",
        "sql",
        "sql_body",
    }
)


def tidy(row: Row) -> Row:
    """The row with every text that is SQL as the server would print it again, without blanks around it."""
    return {key: value if key == "body" else _tidy(key, value) for key, value in row.items()}


def _tidy(key: str, value: Any) -> Any:
    if isinstance(value, str):
        return stable(value).strip() if key in _EXPRESSIONS else stable(value)
    if isinstance(value, dict):
        return {name: _tidy(name, part) for name, part in value.items()}
    if isinstance(value, list):
        return [_tidy(key, part) for part in value]
    return value


def named(row: Row, prefix: str = "") -> Name:
    """The Name in the columns `{prefix}schema` and `{prefix}name`."""
    return Name(row[f"{prefix}schema"], row[f"{prefix}name"])


def maybe_named(row: Row, prefix: str) -> Name | None:
    """The same, None where the name is NULL."""
    return None if row[f"{prefix}name"] is None else named(row, prefix)


def grouped(rows: Iterable[Row], key: str = "table_oid") -> Mapping[int, list[Row]]:
    """Rows by the table that they belong to."""
    groups: dict[int, list[Row]] = defaultdict(list)
    for row in rows:
        groups[row[key]].append(row)
    return groups


def options(texts: Sequence[str] | None, prefix: str = "") -> Options:
    """`{name=value, …}` as sorted pairs."""
    pairs = (text.partition("=") for text in texts or ())
    return tuple(sorted((prefix + name, value) for name, _, value in pairs))


def foreign_options(texts: Sequence[str] | None) -> Options:
    """The options of a server or foreign table without what a model must not show."""
    return tuple((name, value) for name, value in options(texts) if not _SECRET.search(name))


def deferral(row: Row) -> Deferral:
    """What the columns `deferrable` and `deferred` mean."""
    if not row["deferrable"]:
        return "not deferrable"
    return "initially deferred" if row["deferred"] else "initially immediate"
