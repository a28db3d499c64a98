"""Beyond one machine: the same vectors in partitions, or spread by Citus."""

from __future__ import annotations

from data_platform.retrieval.design import Design
from data_platform.retrieval.pgvector.names import names_of
from data_platform.retrieval.pgvector.store import File, embeddings, vector_index
from data_platform.spec.retrieval import Retrieval
from data_platform.sql.templates import render
from data_platform.sql.text import Sql, qualified_name

_LEAST = 2


def beyond(spec: Retrieval, made: Design) -> tuple[File, ...]:
    """Nothing where one machine does."""
    if not made.partitions:
        return ()
    return (partitioned(spec, made), citus(spec, made))


def partitioned(spec: Retrieval, made: Design) -> File:
    """By hash of the chunk: each partition has an index of its own, built by itself, and a search asks all of them."""
    names = names_of(spec)
    table = embeddings(spec, made, names, partitions=max(_LEAST, made.partitions))
    index = vector_index(spec, made, names)
    sql = f"-- In the place of the table of vectors in 01_tables.sql.\n{table}" + (
        f"\n\n-- Once it is loaded, in the place of that index in 02_indexes.sql:\n{index};" if index else ""
    )
    return File("beyond/partitioned.sql", Sql(sql))


def citus(spec: Retrieval, made: Design) -> File:
    """Chunks with their vectors, spread over machines. Written from Citus' documentation, not run."""
    names = names_of(spec)
    sql = render(
        "retrieval/citus.sql.j2",
        documents=names.documents,
        chunks=names.chunks,
        embeddings=names.embeddings,
        documents_text=str(qualified_name(names.documents)),
        chunks_text=str(qualified_name(names.chunks)),
        embeddings_text=str(qualified_name(names.embeddings)),
        method=made.index.method,
        ef_search=made.search.ef_search,
        secured=spec.tenants is not None and spec.tenants.row_security,
    )
    return File("beyond/citus.sql", sql)
