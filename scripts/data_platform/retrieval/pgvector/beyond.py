"""Beyond one machine: the same vectors in partitions, or spread by Citus."""

from __future__ import annotations

from data_platform.retrieval.design import Design
from data_platform.retrieval.pgvector.names import names_of
from data_platform.retrieval.pgvector.store import File, embeddings, vector_index
from data_platform.spec.retrieval import Retrieval
from data_platform.sql.text import Sql, literal, qualified_name

_LEAST = 2


def beyond(spec: Retrieval, made: Design) -> tuple[File, ...]:
    """Nothing where one machine does."""
    if not made.partitions:
        return ()
    return (partitioned(spec, made), _citus(spec))


def partitioned(spec: Retrieval, made: Design) -> File:
    """By hash of the chunk: each partition has an index of its own, built by itself, and a search asks all of them."""
    names = names_of(spec)
    table = embeddings(spec, made, names, partitions=max(_LEAST, made.partitions))
    index = vector_index(spec, made, names)
    sql = (
        f"-- In the place of the table of vectors in 01_tables.sql.\n{table}\n\n{index};"
        if index
        else str(table)
    )
    return File("beyond/partitioned.sql", Sql(sql))


def _citus(spec: Retrieval) -> File:
    """Chunks and vectors of one document on one machine, so that the join of a search stays there."""
    names = names_of(spec)
    key = literal(spec.tenants.column if spec.tenants else "chunk_id")
    own = literal(spec.tenants.column if spec.tenants else "id")
    lines = [
        "-- After 01_tables.sql, on a coordinator of Citus. Not run here.",
        "CREATE EXTENSION IF NOT EXISTS citus;",
        f"SELECT create_reference_table({literal(str(qualified_name(names.models)))});",
        f"SELECT create_distributed_table({literal(str(qualified_name(names.chunks)))}, {own});",
        f"SELECT create_distributed_table({literal(str(qualified_name(names.embeddings)))}, {key},"
        f" colocate_with => {literal(str(qualified_name(names.chunks)))});",
    ]
    return File("beyond/citus.sql", Sql("\n".join(lines)))
