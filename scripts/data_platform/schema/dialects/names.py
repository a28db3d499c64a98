"""Names in the target: quoted by sqlglot, told apart as it tells them apart, refused where it cannot hold them."""

from __future__ import annotations

import re
from hashlib import sha256

from sqlglot import exp

from data_platform.model.database import Name
from data_platform.schema.dialects.targets import Target
from data_platform.schema.dialects.writing import write

_PLAIN = re.compile(r"[a-z_][a-z0-9_]*\Z")
_WAREHOUSE = re.compile(r"[\w -]+\Z")
"""What BigQuery and Spark take in every place where a name can stand."""
_HASH = 8


class Names:
    """The names of one target, and which are taken already."""

    def __init__(self, target: Target) -> None:
        self._target = target
        self._taken: set[tuple[str, ...]] = set()
        self._quoted: dict[str, str] = {}

    def node(self, name: str) -> exp.Identifier:
        """`name` as a quoted identifier."""
        folded = name.upper() if self._target.folds_upper and _PLAIN.match(name) else name
        return exp.to_identifier(folded, quoted=True)

    def quoted(self, name: str) -> str:
        """`name` as text."""
        if name not in self._quoted:
            self._quoted[name] = write(self.node(name), self._target.name)
        return self._quoted[name]

    def relation_node(self, name: Name) -> exp.Table:
        """A table, view, type or sequence. What is in the schema public is not qualified."""
        if name.schema == "public":
            return exp.Table(this=self.node(name.name))
        if not self._target.schemas:
            return exp.Table(this=self.node(self.flat(name)))
        return exp.Table(this=self.node(name.name), db=self.node(name.schema))

    def relation(self, name: Name) -> str:
        """The same, as text."""
        return write(self.relation_node(name), self._target.name)

    def flat(self, name: Name) -> str:
        """The name in a target without schemas."""
        alone = name.schema == "public" or self._target.schemas
        return name.name if alone else f"{name.schema}_{name.name}"

    def problem(self, name: str) -> str | None:
        """Why the target cannot hold this name, or None."""
        if not name.isprintable():
            return "its name holds an invisible character, which cannot be written as an escape here"
        if len(name) > self._target.max_name:
            return f"its name is longer than {self._target.max_name} characters"
        check = _PROBLEMS.get(self._target.name)
        return check(name) if check else None

    def claim(self, name: str, *scope: str) -> bool:
        """Take a name within a scope; False if another object has it, as the target compares names."""
        key = (*scope, self.node(name).name if self._target.folds_upper else name.casefold())
        if key in self._taken:
            return False
        self._taken.add(key)
        return True

    def fresh(self, name: str, *scope: str) -> str:
        """`name`, or the nearest free one that is short enough, taken."""
        short = _shortened(name, self._target.max_name)
        number = 1
        candidate = short
        while not self.claim(candidate, *scope):
            number += 1
            candidate = f"{short[: self._target.max_name - 4]}_{number}"
        return candidate


def _shortened(name: str, limit: int) -> str:
    if len(name) <= limit:
        return name
    return f"{name[: limit - _HASH - 1]}_{sha256(name.encode()).hexdigest()[:_HASH]}"


def _mysql(name: str) -> str | None:
    if name.endswith(" "):
        return "a name cannot end with a space in MySQL"
    return "a name cannot hold characters above U+FFFF in MySQL" if max(name) > "\uffff" else None


def _sqlite(name: str) -> str | None:
    reserved = name.lower().startswith("sqlite_")
    return "names that begin with `sqlite_` belong to SQLite" if reserved else None


def _warehouse(name: str) -> str | None:
    fine = _WAREHOUSE.match(name)
    return None if fine else "its name holds characters other than letters, digits, spaces, `_` and `-`"


_PROBLEMS = {"mysql": _mysql, "sqlite": _sqlite, "bigquery": _warehouse, "spark": _warehouse}
