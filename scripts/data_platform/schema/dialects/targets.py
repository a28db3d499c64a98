"""What each target can hold: one entry a database, a fact looked up and not a branch somewhere."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

from data_platform.model.database import Action

Dialect: TypeAlias = Literal["mysql", "sqlite", "duckdb", "bigquery", "snowflake", "spark"]
Keys: TypeAlias = Literal["enforced", "declared", "none"]
"""Whether a constraint holds, is only information for the planner, or has no form at all."""


@dataclass(frozen=True, kw_only=True)
class Target:
    """One database, in the version that is meant."""

    name: Dialect
    title: str
    max_name: int = 255
    schemas: bool = True
    folds_upper: bool = False
    """Unquoted names are upper case, and names are told apart by case."""
    keys: Keys = "enforced"
    uniques: Keys = "enforced"
    foreign_keys: Keys = "enforced"
    checks: bool = True
    not_null: bool = True
    """NOT NULL holds; in Spark's file tables it is taken down and not enforced (tried on Spark 4.3 with Parquet)."""
    actions: frozenset[Action] = frozenset({"no action", "restrict"})
    deferrable_keys: bool = False
    late_keys: bool = True
    """A foreign key can be added after both tables are there."""
    early_keys: bool = False
    """A foreign key can name a table that is not there yet."""
    keys_across_schemas: bool = True
    same_key_types: bool = False
    """Both sides of a foreign key must have one type."""
    indexes: bool = True
    partial_indexes: bool = False
    expression_indexes: bool = False
    generated: frozenset[Literal["stored", "virtual"]] = frozenset()
    rules_on_generated: bool = True
    """NOT NULL, CHECK and keys may rest on a generated column."""
    volatile_checks: bool = False
    """A CHECK or a generated column may ask for the time."""
    defaults: Literal["expressions", "constants"] = "expressions"
    comments: Literal["inline", "statement", "options", "none"] = "inline"
    comment_limits: tuple[int, int] | None = None
    """Characters, of a column or an index and of a table."""
    enum_types: bool = False
    index_names: Literal["table", "schema", "with tables"] = "schema"
    """Within what the name of an index must be the only one."""
    before: tuple[str, ...] = ()
    """Statements that must come first in every session."""


_ALL_ACTIONS: frozenset[Action] = frozenset({"no action", "restrict", "cascade", "set null", "set default"})

TARGETS: dict[Dialect, Target] = {
    target.name: target
    for target in (
        Target(
            name="mysql",
            title="MySQL 8.0.16 or MariaDB 10.11, InnoDB",
            max_name=64,
            # SET DEFAULT is read by both, and refused or ignored by InnoDB.
            actions=_ALL_ACTIONS - {"set default"},
            same_key_types=True,
            generated=frozenset({"stored", "virtual"}),
            comment_limits=(1024, 2048),
            index_names="table",
            before=(
                "SET NAMES utf8mb4",
                "SET sql_mode = 'STRICT_ALL_TABLES,ERROR_FOR_DIVISION_BY_ZERO,NO_ZERO_DATE,NO_ZERO_IN_DATE,"
                "NO_ENGINE_SUBSTITUTION'",
            ),
        ),
        Target(
            name="sqlite",
            title="SQLite 3.38",
            schemas=False,
            actions=_ALL_ACTIONS,
            deferrable_keys=True,
            late_keys=False,
            early_keys=True,
            partial_indexes=True,
            expression_indexes=True,
            generated=frozenset({"stored", "virtual"}),
            comments="none",
            index_names="with tables",
            before=("PRAGMA foreign_keys = ON",),
        ),
        Target(
            name="duckdb",
            title="DuckDB 1.3",
            late_keys=False,
            keys_across_schemas=False,
            same_key_types=True,
            expression_indexes=True,
            generated=frozenset({"virtual"}),
            rules_on_generated=False,
            volatile_checks=True,
            comments="statement",
            enum_types=True,
        ),
        Target(
            name="bigquery",
            title="BigQuery",
            max_name=300,
            keys="declared",
            uniques="none",
            foreign_keys="declared",
            checks=False,
            indexes=False,
            comments="options",
            comment_limits=(1024, 16384),
        ),
        Target(
            name="snowflake",
            title="Snowflake",
            folds_upper=True,
            keys="declared",
            uniques="declared",
            foreign_keys="declared",
            checks=False,
            actions=_ALL_ACTIONS,
            indexes=False,
            generated=frozenset({"virtual"}),
        ),
        Target(
            name="spark",
            title="Apache Spark 3.4",
            keys="none",
            uniques="none",
            foreign_keys="none",
            checks=False,
            not_null=False,
            indexes=False,
            defaults="constants",
        ),
    )
}
