"""The files that make a store, in the order in which they are run: tables, load, indexes, functions, row security."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

from data_platform.model.database import Name
from data_platform.postgres.vectors.settings import OPERATORS, VectorType, operator_class
from data_platform.retrieval.design import Design
from data_platform.retrieval.pgvector.names import Names, names_of
from data_platform.spec.retrieval import Filter, Retrieval
from data_platform.sql.templates import render
from data_platform.sql.text import Sql, body, identifier, joined, qualified_name

_MOST_IN_STATISTICS = 8
"""PostgreSQL's own limit of columns."""


@dataclass(frozen=True)
class File:
    """One of them. Without `transaction` its statements run one by one, outside any."""

    name: str
    sql: Sql
    transaction: bool = True


def files(spec: Retrieval, made: Design, there: Collection[str] = ()) -> tuple[File, ...]:
    """All of them but indexes that are `there`. `dpe retrieval load` comes after the first, the indexes after that:
    6 times quicker than before.
    """
    names = names_of(spec)
    found = [File("01_tables.sql", Sql(f"{tables(spec, names)}\n\n{embeddings(spec, made, names)}"))]
    found.append(File("02_indexes.sql", indexes(spec, made, names, there), transaction=False))
    found.append(File("03_search.sql", functions(spec, made, names)))
    return (*found, *security(spec, names.documents, names.chunks, names.embeddings))


def down(spec: Retrieval) -> Sql:
    """What takes all of it away again."""
    return Sql(f"DROP SCHEMA {identifier(spec.name)} CASCADE;")


def tables(spec: Retrieval, names: Names) -> Sql:
    """Models, documents, chunks."""
    return render(
        "retrieval/tables.sql.j2",
        schema=names.schema,
        models=names.models,
        documents=names.documents,
        chunks=names.chunks,
        tenant=spec.tenants,
        filters=spec.filters,
        language=spec.hybrid.language if spec.hybrid else None,
    )


def column_type(spec: Retrieval) -> Sql:
    """Of the vectors in the table and of a question: those that are not zero alone, where most of them are."""
    return Sql("sparsevec" if spec.model.non_zero else "vector")


def embeddings(spec: Retrieval, made: Design, names: Names, *, partitions: int = 0) -> Sql:
    """The table of one model's vectors."""
    parts = [
        {"name": Name(names.schema, f"{names.embeddings.name}_{number}"), "of": partitions, "number": number}
        for number in range(partitions)
    ]
    return render(
        "retrieval/embeddings.sql.j2",
        table=names.embeddings,
        chunks=names.chunks,
        tenant=spec.tenants,
        filters=spec.filters,
        type=column_type(spec),
        dimensions=spec.model.dimensions,
        plain=made.plain and not partitions,
        partitions=parts,
    )


# --- indexes ---


def indexes(
    spec: Retrieval, made: Design, names: Names, there: Collection[str] = (), *, words: bool = True
) -> Sql:
    """Of vectors and filters, and of the chunks' `words`, which all models share, but for those that are `there`.
    CONCURRENTLY, so that a store that is in use stays so.
    """
    table = qualified_name(names.embeddings)
    lines = [f"SET maintenance_work_mem = '{made.maintenance_mb}MB';"]
    lines.append(f"SET max_parallel_maintenance_workers = {made.workers};")
    lines += _vector_index(spec, made, names) if names.index.name not in there else []
    for one in _filters(spec):
        using = "USING gin " if _is_array(one) else ""
        name = f"{names.embeddings.name[:40]}_{one.name[:18]}"
        if name not in there:
            lines.append(
                f"CREATE INDEX CONCURRENTLY {identifier(name)} ON {table} {using}({identifier(one.name)});"
            )
    if spec.hybrid and words and "chunks_search" not in there:
        lines.append(
            f"CREATE INDEX CONCURRENTLY chunks_search ON {qualified_name(names.chunks)} USING gin (search);"
        )
    together = [one.name for one in _filters(spec) if not _is_array(one)]
    if 1 < len(together) <= _MOST_IN_STATISTICS:
        lines.append(
            f"CREATE STATISTICS IF NOT EXISTS {qualified_name(names.statistics)} (dependencies, mcv)"
            f" ON {joined(', ', map(identifier, together))} FROM {table};"
        )
    lines += ["RESET maintenance_work_mem;", "RESET max_parallel_maintenance_workers;"]
    lines.append(f"ANALYZE {table};")
    return Sql("\n".join(lines))


def _vector_index(spec: Retrieval, made: Design, names: Names) -> list[str]:
    """With the mean before it where its bits are of the difference from that."""
    index = vector_index(spec, made, names, "CONCURRENTLY ")
    if index is None:
        return []
    if not _centre(made, names):
        return [f"{index};"]
    mean = render(
        "retrieval/mean.sql.j2",
        called=str(qualified_name(names.mean)),
        table=names.embeddings,
        dimensions=spec.model.dimensions,
    )
    measured = body(f"\n{mean}\n")
    # One that an index is made of cannot be dropped; one that is left of a run that was stopped can.
    return [f"DROP FUNCTION IF EXISTS {qualified_name(names.mean)}();", f"DO {measured};", f"{index};"]


def vector_index(spec: Retrieval, made: Design, names: Names, how: str = "") -> Sql | None:
    """CREATE INDEX of the vectors; None where there is none."""
    index = made.index
    if index.method == "none":
        return None
    key = _key(index.type, Sql("embedding"), spec.model.dimensions, _centre(made, names))
    wrapped = key if index.type in ("vector", "sparsevec") else f"({key})"
    options = (
        f"m = {index.m}, ef_construction = {index.ef_construction}"
        if index.method == "hnsw"
        else f"lists = {index.lists}"
    )
    return Sql(
        f"CREATE INDEX {how}{identifier(names.index.name)} ON {qualified_name(names.embeddings)}"
        f" USING {index.method} ({wrapped} {operator_class(index.type, spec.model.distance)}) WITH ({options})"
    )


def _centre(made: Design, names: Names) -> Sql:
    """What is taken from a vector before its bits are: nothing, or the mean."""
    centred = made.index.type == "bit" and made.index.centred
    return Sql(f" - {qualified_name(names.mean)}()") if centred else Sql("")


def _key(type_: VectorType, value: Sql, dimensions: int, centre: Sql) -> Sql:
    match type_:
        case "vector" | "sparsevec":  # as the column is
            return value
        case "halfvec":
            return Sql(f"{value}::halfvec({dimensions})")
        case "bit":
            return Sql(f"binary_quantize({value}{centre})::bit({dimensions})")


# --- functions ---


def functions(spec: Retrieval, made: Design, names: Names) -> Sql:
    """Search by meaning, and by meaning and words."""
    counted = made.index.method != "none" and _filters(spec)
    found = [_estimate(spec, names)] if counted else []
    found.append(_search(spec, made, names))
    if spec.hybrid:
        found.append(_hybrid(spec, names))
    return Sql("\n\n".join(found))


def _filters(spec: Retrieval) -> Sequence[Filter]:
    """The tenant is one more, and the first."""
    tenant = [Filter(name=spec.tenants.column, type=spec.tenants.type)] if spec.tenants else []
    return [*tenant, *spec.filters]


def _estimate(spec: Retrieval, names: Names) -> Sql:
    given, own = _filters(spec), identifier(names.estimate.name)
    asked = [Sql(f"{own}.{identifier(f.name)}") for f in given]
    if _secured(spec):  # what passes depends on who asks, too
        asked += [Sql("current_setting('app.tenant', true)"), Sql("current_user")]
    return _function(
        "retrieval/estimate",
        function=names.estimate,
        table=names.embeddings,
        table_text=str(qualified_name(names.embeddings)),
        arguments=given,
        given=asked,
        condition=_condition(names.estimate, given),
    )


def _search(spec: Retrieval, made: Design, names: Names) -> Sql:
    given = _filters(spec)
    own, index, width = identifier(names.search.name), made.index, spec.model.dimensions
    values = [Sql(f"{own}.{identifier(f.name)}") for f in given]
    query, k = Sql(f"{own}.query"), Sql(f"{own}.k")
    operator, centre = OPERATORS[spec.model.distance], _centre(made, names)
    secured = _secured(spec)
    return _function(
        "retrieval/search",
        function=names.search,
        table=names.embeddings,
        chunks=names.chunks,
        arguments=given,
        method=index.method,
        ef_search=made.search.ef_search,
        probes=made.search.probes,
        prefilter_rows=made.prefilter_rows,
        counted=bool(given),
        alone=[] if index.method == "none" else _alone(names.search, given, secured),
        asked=_several(values, given, secured),
        unsure=_unsure(values, given, secured),
        estimate=names.estimate,
        estimated=values,
        condition=_condition(names.search, given),
        operator=Sql(operator),
        type=column_type(spec),
        query=query,
        k=k,
        indexed=_key(index.type, Sql("e.embedding"), width, centre),
        index_operator=Sql("<~>" if index.type == "bit" else operator),
        index_query=_key(index.type, query, width, centre),
        pool=Sql(f"greatest({k}, {made.search.rerank})") if made.search.rerank else k,
    )


def _alone(function: Name, given: Sequence[Filter], secured: bool) -> list[dict[str, Sql]]:
    """Each filter that may be the only one, with what rows must meet then. Where row security leaves a tenant's rows
    only, that is the tenant, which the server adds. Not arrays: how many rows hold one depends on the array, and so
    does the plan.
    """
    own = identifier(function.name)
    values = joined(", ", [Sql(f"{own}.{identifier(f.name)}") for f in given])
    if secured:
        return [{"given": Sql(f"num_nonnulls({values}) = 0"), "passing": Sql("true")}]
    return [
        {
            "given": Sql(f"num_nonnulls({values}) = 1 AND {own}.{identifier(f.name)} IS NOT NULL"),
            "passing": _meets(own, f),
        }
        for f in given
        if not _is_array(f)
    ]


def _several(values: Sequence[Sql], given: Sequence[Filter], secured: bool) -> Sql:
    """Whether more is asked than what `_alone` has answered."""
    if not given:
        return Sql("false")
    arrays = [Sql(f"{v} IS NOT NULL") for v, f in zip(values, given, strict=True) if _is_array(f)]
    more = Sql(f"num_nonnulls({joined(', ', values)}) > {0 if secured else 1}")
    return joined(" OR ", [more] if secured else [more, *arrays])


def _unsure(values: Sequence[Sql], given: Sequence[Filter], secured: bool) -> Sql | None:
    """When statistics may not say how many rows pass; None for never. They know one column, and several together that
    are no arrays; but of what row security adds they know the values only as the server plans.
    """
    arrays = [v for v, f in zip(values, given, strict=True) if _is_array(f)]
    if secured:
        return Sql("true")
    more = Sql(f"num_nonnulls({joined(', ', values)}) > 1")
    if len(values) - len(arrays) > _MOST_IN_STATISTICS:
        return more
    return Sql(f"{more} AND num_nonnulls({joined(', ', arrays)}) > 0") if arrays else None


def _secured(spec: Retrieval) -> bool:
    return spec.tenants is not None and spec.tenants.row_security


def _is_array(one: Filter) -> bool:
    return one.type.rstrip().endswith("[]")


def _meets(own: Sql, one: Filter) -> Sql:
    column = identifier(one.name)
    return Sql(f"e.{column} {'&&' if _is_array(one) else '='} {own}.{column}")


def _function(template: str, **values: Any) -> Sql:
    """Its body is a template of its own: quoted so that no name in it can end it."""
    source = render(f"{template}_body.sql.j2", **values)
    return render(f"{template}.sql.j2", source=f"\n{source}\n", **values)


def _condition(function: Name, given: Sequence[Filter]) -> Sql:
    """What rows must meet. A parameter that is NULL says nothing: it is folded away when the statement is planned."""
    own = identifier(function.name)
    parts = [Sql(f"({own}.{identifier(f.name)} IS NULL OR {_meets(own, f)})") for f in given]
    return joined(" AND ", parts) if parts else Sql("true")


def _hybrid(spec: Retrieval, names: Names) -> Sql:
    assert spec.hybrid is not None
    given, own = _filters(spec), identifier(names.hybrid.name)
    passed = [Sql(f"{own}.query"), Sql(f"{own}.pool"), *(Sql(f"{own}.{identifier(f.name)}") for f in given)]
    return _function(
        "retrieval/hybrid",
        function=names.hybrid,
        search=names.search,
        chunks=names.chunks,
        documents=names.documents,
        arguments=given,
        weight=spec.hybrid.weight,
        language=spec.hybrid.language,
        words=Sql(f"{own}.words"),
        condition=_condition(names.hybrid, given),
        passed=passed,
        type=column_type(spec),
        weight_given=Sql(f"{own}.weight"),
        pool=Sql(f"{own}.pool"),
        k=Sql(f"{own}.k"),
    )


def secured_table(spec: Retrieval) -> Name | None:
    """That whose row security is on once the last file has run; None where the spec has none."""
    return names_of(spec).embeddings if _secured(spec) else None


def security(spec: Retrieval, *tables: Name) -> tuple[File, ...]:
    """Row security of these tables; nothing where the spec has none."""
    if spec.tenants is None or not spec.tenants.row_security:
        return ()
    sql = render(
        "retrieval/security.sql.j2", tables=tables, column=spec.tenants.column, type=spec.tenants.type
    )
    return (File("04_row_security.sql", sql),)
