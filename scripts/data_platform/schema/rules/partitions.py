"""Rules about partitioned tables: rows that no partition takes, and indexes that are not on all of them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from data_platform.ddl.clauses import index_sql
from data_platform.model.database import Index, Name, Table
from data_platform.schema.rules.bounds import Gap, gaps, missing_remainders
from data_platform.schema.rules.remedies import drop_index
from data_platform.schema.rules.rule import Hit, on_index, on_table, rule
from data_platform.schema.rules.subject import Subject
from data_platform.sql.naming import default_name
from data_platform.sql.text import qualified_name


def _partitioned(subject: Subject) -> Iterator[tuple[Table, tuple[Table, ...]]]:
    """Every partitioned table, partitions of partitions included, with its partitions."""
    for table in subject.design.database.tables:
        if table.partition_by is not None:
            yield table, subject.partitions.get(table.name, ())


def _bounds(partitions: tuple[Table, ...]) -> list[str]:
    return [table.partition_of.bound for table in partitions if table.partition_of is not None]


def _has_default(partitions: tuple[Table, ...]) -> bool:
    return any(bound.strip().upper() == "DEFAULT" for bound in _bounds(partitions))


def _made(table: Table, suffix: str, bound: str) -> str:
    name = Name(table.name.schema, default_name(table.name.name, "", suffix))
    return f"CREATE TABLE {qualified_name(name)} PARTITION OF {qualified_name(table.name)} {bound};"


@rule(
    "partitioned-without-default",
    "warning",
    "A row for which there is no partition is refused, by an error of whoever inserts it.",
)
def partitioned_without_default(subject: Subject) -> Iterator[Hit]:
    for table, partitions in _partitioned(subject):
        strategy = table.partition_by.strategy if table.partition_by else "hash"
        if not partitions:
            message = f"`{table.name}` has no partition: it can hold no row"
            yield on_table(table, message, "partitions:", "partition_by", remedy=_first(table))
        elif strategy != "hash" and not _has_default(partitions) and not _has_no_end(partitions):
            message = (
                f"`{table.name}` has no DEFAULT partition: rows beyond its {len(partitions)} are refused"
            )
            fix, remedy = "partitions: a partition with bound DEFAULT", _made(table, "default", "DEFAULT")
            hit = on_table(table, message, fix, "partition_by", remedy=remedy)
            # A choice: a DEFAULT partition is read through whenever another is attached.
            yield replace(hit, severity="info")


def _first(table: Table) -> str:
    if table.partition_by is not None and table.partition_by.strategy == "hash":
        return _made(table, "p0", "FOR VALUES WITH (MODULUS 1, REMAINDER 0)")
    return _made(table, "default", "DEFAULT")


def _has_no_end(partitions: tuple[Table, ...]) -> bool:
    text = " ".join(_bounds(partitions)).upper()
    return "(MINVALUE" in text and "(MAXVALUE" in text


@rule(
    "partition-gap",
    "error",
    "Rows between two partitions are refused, or fall into the DEFAULT one where nobody looks for them.",
)
def partition_gap(subject: Subject) -> Iterator[Hit]:
    for table, partitions in _partitioned(subject):
        bounds = _bounds(partitions)
        for modulus, remainder in missing_remainders(bounds):
            bound = f"FOR VALUES WITH (MODULUS {modulus}, REMAINDER {remainder})"
            message = f"no partition of `{table.name}` takes the rows with remainder {remainder} of {modulus}"
            remedy = _made(table, f"p{remainder}", bound)
            yield on_table(table, message, f"partitions: one with bound {bound}", remedy=remedy)
        for number, gap in enumerate(gaps(bounds), 1):
            milder = "info" if _has_default(partitions) else "warning"
            yield replace(_gap(table, gap, number), severity=milder)  # type: ignore[arg-type]


def _gap(table: Table, gap: Gap, number: int) -> Hit:
    if gap.start is None or gap.end is None:
        message = f"the partitions of `{table.name}` leave a gap between two of them"
        return on_table(table, message, "partitions: one for the rows between them")
    message = f"no partition of `{table.name}` takes rows from `{gap.start}` to `{gap.end}`"
    bound = f"FOR VALUES FROM ({gap.start}) TO ({gap.end})"
    remedy = _made(table, f"gap{number}", bound)
    return on_table(table, message, f"partitions: one with bound {bound}", remedy=remedy)


@rule(
    "index-on-partitioned-only",
    "warning",
    "An index made ON ONLY a partitioned table is not valid before each partition has one attached.",
)
def index_on_partitioned_only(subject: Subject) -> Iterator[Hit]:
    for table, partitions in _partitioned(subject):
        for index in table.indexes:
            if index.only:
                bare = [p for p in partitions if not any(_is_alike(own, index) for own in p.indexes)]
                listed = ", ".join(f"`{p.name}`" for p in bare[:3]) + (" …" if len(bare) > 3 else "")
                message = f"`{index.name}` is not valid: " + (
                    f"no index like it on {listed}" if bare else "those of the partitions are not attached"
                )
                fix = "only: false, or an index on each partition and ATTACH PARTITION"
                yield on_index(table, index, message, fix, _completed(table, index, bare))


def _is_alike(own: Index, index: Index) -> bool:
    return replace(own, name=index.name, only=index.only, comment=index.comment) == index


def _completed(table: Table, index: Index, bare: list[Table]) -> str:
    if not bare:
        made = f"{drop_index(table, index.name)} {index_sql(table.name, replace(index, only=False))}"
        return " ".join(made.split()) if "'" not in made and '"' not in made else made
    steps = []
    for partition in bare[:1]:
        name = default_name(partition.name.name, index.name, "idx")
        own = replace(index, name=name, only=False)
        attached = qualified_name(Name(partition.name.schema, name))
        parent = qualified_name(Name(table.name.schema, index.name))
        steps += [str(index_sql(partition.name, own)), f"ALTER INDEX {parent} ATTACH PARTITION {attached};"]
    more = " -- and so for the others" if len(bare) > 1 else ""
    return " ".join(steps) + more
