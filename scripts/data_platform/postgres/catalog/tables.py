"""Tables with everything that hangs on them, views and materialized views."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from data_platform.model.database import (
    Column,
    Foreign,
    Generated,
    Identity,
    Index,
    IndexElement,
    MaterializedView,
    Name,
    NotNull,
    Partitioning,
    PartitionOf,
    Policy,
    Rule,
    Statistics,
    Table,
    Trigger,
    View,
)
from data_platform.postgres.catalog.constraints import Constraints, index, statistics
from data_platform.postgres.catalog.programs import policy, rule, trigger
from data_platform.postgres.catalog.rows import Owners, Query, Row, foreign_options, grouped, named, options
from data_platform.postgres.catalog.sequences import settings
from data_platform.sql.naming import default_name
from data_platform.sql.text import tokens_of

_NotNullNames = Mapping[tuple[Name, str], str]
"""Names of NOT NULL constraints by table and column."""
_IDENTITIES: Mapping[str, Identity] = {"a": "always", "d": "by default"}


@dataclass(frozen=True)
class Parts:
    """What hangs on relations, by the relation's oid."""

    columns: Mapping[int, list[Row]]
    constraints: Mapping[int, list[Row]]
    indexes: Mapping[int, list[Row]]
    triggers: Mapping[int, list[Row]]
    policies: Mapping[int, list[Row]]
    rules: Mapping[int, list[Row]]
    statistics: Mapping[int, list[Row]]

    @classmethod
    def read(cls, query: Query, oids: list[int]) -> Parts:
        """Of the relations `oids`."""
        names = ("columns", "constraints", "indexes", "triggers", "policies", "rules", "statistics")
        return cls(*(grouped(query(name, tables=oids)) for name in names))

    def own_indexes(self, oid: int) -> tuple[Index, ...]:
        """Indexes that no constraint owns."""
        return tuple(index(row) for row in self.indexes[oid] if not row["of_constraint"])

    def own_triggers(self, oid: int) -> tuple[Trigger, ...]:
        """Triggers of one relation."""
        return tuple(trigger(row) for row in self.triggers[oid])

    def own_policies(self, oid: int, owners: Owners) -> tuple[Policy, ...]:
        """Policies of one table."""
        return tuple(policy(row, owners) for row in self.policies[oid])

    def own_rules(self, oid: int) -> tuple[Rule, ...]:
        """Rules of one relation."""
        return tuple(rule(row) for row in self.rules[oid])

    def own_statistics(self, oid: int) -> tuple[Statistics, ...]:
        """Extended statistics of one relation."""
        return tuple(statistics(row) for row in self.statistics[oid])


def tables(rows: Iterable[Row], parts: Parts, owners: Owners) -> tuple[Table, ...]:
    """Tables from the rows of the query `tables`."""
    rows = list(rows)
    names = {
        (named(row), column["name"]): column["not_null_name"]
        for row in rows
        for column in parts.columns[row["oid"]]
        if column["not_null_name"] is not None
    }
    return tuple(_table(row, parts, owners, names) for row in rows)


def _table(row: Row, parts: Parts, owners: Owners, not_null_names: _NotNullNames) -> Table:
    oid, name = row["oid"], named(row)
    constraints = Constraints(parts.constraints[oid], {index["oid"]: index for index in parts.indexes[oid]})
    parents = tuple(Name(*parent) for parent in row["parents"] or ())
    return Table(
        name=name,
        columns=tuple(
            _column(name, column, row, _usual_not_null(row, name, parents, column, not_null_names))
            for column in parts.columns[oid]
        ),
        primary_key=constraints.primary_key,
        uniques=constraints.uniques,
        checks=constraints.checks,
        exclusions=constraints.exclusions,
        foreign_keys=constraints.foreign_keys,
        indexes=parts.own_indexes(oid),
        triggers=parts.own_triggers(oid),
        comment=row["comment"],
        partition_by=_partitioning(row) if row["strategy"] else None,
        partition_of=PartitionOf(table=parents[0], bound=row["bound"]) if row["is_partition"] else None,
        inherits=() if row["is_partition"] else parents,
        row_security=row["row_security"],
        policies=parts.own_policies(oid, owners),
        rules=parts.own_rules(oid),
        statistics=parts.own_statistics(oid),
        unlogged=row["unlogged"],
        options=tuple(sorted((*options(row["options"]), *options(row["toast_options"], "toast.")))),
        replica_identity=row["replica_identity"],
        cluster_on=row["cluster_on"],
        access_method=row["access_method"],
        of_type=Name(row["of_schema"], row["of_name"]) if row["of_name"] else None,
        foreign=Foreign(server=row["server"], options=foreign_options(row["server_options"]))
        if row["server"]
        else None,
        owner=owners.named(row["owner"]),
    )


def _usual_not_null(
    row: Row, table: Name, parents: tuple[Name, ...], column: Row, names: _NotNullNames
) -> str:
    """What PostgreSQL would call the column's NOT NULL: where the column is a parent's, as there."""
    follows = row["is_partition"] or column["inherited"]
    given = (names.get((parent, column["name"])) for parent in parents) if follows else ()
    return next(filter(None, given), default_name(table.name, column["name"], "not_null"))


def _column(table: Name, row: Row, table_row: Row, usual_not_null: str) -> Column:
    generated = row["generated"]
    sequence_name = Name(row["sequence_schema"], row["sequence_name"]) if row["sequence_name"] else None
    usual = Name(table.schema, default_name(table.name, row["name"], "seq"))
    return Column(
        name=row["name"],
        type=row["type"],
        nullable=not row["not_null"],
        default=None if generated else row["expression"],
        identity=_IDENTITIES.get(row["identity"]),
        generated=Generated(expression=row["expression"], stored=generated == "s") if generated else None,
        collation=row["collation"],
        comment=row["comment"],
        sequence=settings(row) if sequence_name else None,
        sequence_name=None if sequence_name == usual else sequence_name,
        not_null=_not_null(row, usual_not_null),
        storage=row["storage"],
        compression=row["compression"],
        statistics=row["statistics"],
        options=options(row["fdw_options"] if table_row["kind"] == "f" else row["options"]),
        inherited=row["inherited"] and not table_row["is_partition"],
    )


def _not_null(row: Row, usual: str) -> NotNull | None:
    name = row["not_null_name"]
    if name is None:
        return None
    found = NotNull(
        name=None if name == usual else name,
        no_inherit=row["not_null_no_inherit"],
        validated=row["not_null_validated"],
    )
    return None if found == NotNull() else found


def _partitioning(row: Row) -> Partitioning:
    expressions = iter(_listed(row["key_expressions"]) if row["key_expressions"] else ())
    return Partitioning(strategy=row["strategy"], key=tuple(_key(part, expressions) for part in row["key"]))


def _key(part: Row, expressions: Iterator[str]) -> IndexElement:
    column = part["column"]
    return IndexElement(
        column=column,
        expression=None if column is not None else next(expressions),
        collation=part["collation"] if part["collation"] != "default" else None,
        opclass=part["opclass"],
    )


def _listed(text: str) -> Iterator[str]:
    """The expressions in a comma-separated list of them."""
    raw, tokens = tokens_of(text)
    depth = start = 0
    for token in tokens:
        word = raw[token.start : token.end]
        depth += {b"(": 1, b"[": 1, b")": -1, b"]": -1}.get(word, 0)
        if word == b"," and not depth:
            yield raw[start : token.start].decode().strip()
            start = token.end
    yield raw[start:].decode().strip()


def views(rows: Iterable[Row], parts: Parts, owners: Owners) -> tuple[View, ...]:
    """Plain views from the rows of the query `views`."""
    return tuple(
        View(
            name=named(row),
            query=_query(row["query"]),
            options=options(row["options"]),
            defaults=tuple(sorted((row["defaults"] or {}).items())),
            column_comments=tuple(sorted((row["column_comments"] or {}).items())),
            triggers=parts.own_triggers(row["oid"]),
            rules=parts.own_rules(row["oid"]),
            comment=row["comment"],
            owner=owners.named(row["owner"]),
        )
        for row in rows
        if row["kind"] == "v"
    )


def materialized_views(rows: Iterable[Row], parts: Parts, owners: Owners) -> tuple[MaterializedView, ...]:
    """Materialized views from the rows of the query `views`."""
    return tuple(
        MaterializedView(
            name=named(row),
            query=_query(row["query"]),
            populated=row["populated"],
            options=options(row["options"]),
            indexes=parts.own_indexes(row["oid"]),
            statistics=parts.own_statistics(row["oid"]),
            column_comments=tuple(sorted((row["column_comments"] or {}).items())),
            cluster_on=row["cluster_on"],
            access_method=row["access_method"],
            comment=row["comment"],
            owner=owners.named(row["owner"]),
        )
        for row in rows
        if row["kind"] == "m"
    )


def _query(text: str) -> str:
    return text.strip().removesuffix(";")
