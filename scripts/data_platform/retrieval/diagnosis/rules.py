"""What the facts of a database with vectors say against it; each rule a function, each finding with its fix."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

import numpy as np

from data_platform.postgres.vectors.facts import Facts, VectorColumn, VectorIndex
from data_platform.postgres.vectors.settings import VectorType
from data_platform.report.finding import Evidence, Finding, Severity
from data_platform.retrieval.diagnosis.change import change
from data_platform.retrieval.sizing import build_bytes, hnsw_bytes
from data_platform.sql.text import qualified_name

_MB = 1024 * 1024
_FAULTS = (
    ((0, 6, 0), (0, 8, 2), "error", "a parallel HNSW build may write past a buffer (CVE-2026-3172)"),
    ((0, 5, 0), (0, 8, 3), "error", "VACUUM may corrupt an HNSW index"),
    ((0, 5, 0), (0, 8, 4), "warning", "VACUUM of an HNSW index may fail with `hnsw graph not repaired`"),
    ((0, 0, 0), (0, 8, 0), "warning", "there are no iterative scans: a filtered search gives too few rows"),
)
"""(since, mended in, severity, what), from pgvector's change log and advisories."""
SMALL_TABLE = 2_000_000
"""Numbers that a search without an index compares in about two milliseconds."""
_UNIT = 0.002
"""So far from one a normalised vector of halves may be."""
_KEY = re.compile(r"::(halfvec|vector|bit)\((\d+)\)")


def findings(facts: Facts) -> tuple[Finding, ...]:
    """All of them."""
    return tuple(finding for rule in RULES for finding in rule(facts))


def _finding(
    rule: str, severity: Severity, message: str, fix: str, object_: str = "", evidence: Evidence = "measured"
) -> Finding:
    return Finding(
        rule=rule, severity=severity, message=message, fix=fix, object=object_ or None, evidence=evidence
    )


# --- versions ---


def version(facts: Facts) -> Iterator[Finding]:
    """Faults that this version has."""
    own = _numbers(facts.version)
    for since, mended, severity, what in _FAULTS:
        if since <= own < mended:
            fixed = ".".join(map(str, mended))
            yield _finding(
                "pgvector-known-fault",
                severity,  # type: ignore[arg-type]
                f"pgvector {facts.version}: {what}; mended in {fixed}",
                f"install pgvector {fixed} or later, ALTER EXTENSION vector UPDATE, then REINDEX INDEX CONCURRENTLY",
                evidence="documented",
            )


def update(facts: Facts) -> Iterator[Finding]:
    """The library is newer than what the database uses."""
    if facts.available and _numbers(facts.available) > _numbers(facts.version):
        yield _finding(
            "pgvector-not-updated",
            "warning",
            f"the database uses pgvector {facts.version}, the server has {facts.available}",
            "ALTER EXTENSION vector UPDATE",
        )


def _numbers(text: str) -> tuple[int, ...]:
    return tuple(int(one) for one in re.findall(r"\d+", text)[:3])


# --- indexes ---


def invalid(facts: Facts) -> Iterator[Finding]:
    for index in facts.indexes:
        if not index.valid:
            yield _finding(
                "vector-index-invalid",
                "error",
                f"`{index.name}` is left over from a build that failed: it costs writes and answers nothing",
                f"REINDEX INDEX CONCURRENTLY {qualified_name(index.name)}",
                str(index.name),
            )


def build_memory(facts: Facts) -> Iterator[Finding]:
    """A build (the one that was, and the next) that does not fit into maintenance_work_mem is several times slower."""
    for index, column in _pairs(facts):
        # An index of a partitioned table has no size: each partition has its own.
        if index.method != "hnsw" or not _width(index, column) or not index.size_bytes:
            continue
        need = build_bytes(
            max(column.rows, column.live),
            _type(index),
            _width(index, column),
            index.option("m", 16),
            parallel=True,
            non_zero=column.non_zero,
        )
        if need > facts.maintenance_work_mem:
            wanted = round(1.05 * need / _MB) + 16
            yield _finding(
                "vector-build-memory",
                "warning",
                f"building `{index.name}` takes {need / _MB:,.0f} MB, maintenance_work_mem is"
                f" {facts.maintenance_work_mem / _MB:,.0f} MB: the rest of the graph is built on disk, 3 to 4"
                " times slower",
                f"SET maintenance_work_mem = '{wanted}MB' before CREATE INDEX or REINDEX",
                str(index.name),
            )


def memory(facts: Facts) -> Iterator[Finding]:
    """A search reads pages all over an index."""
    size = sum(index.size_bytes for index in facts.indexes if index.method == "hnsw")
    if size > facts.shared_buffers:
        yield _finding(
            "vector-index-exceeds-cache",
            "info",
            f"the HNSW indexes have {size / _MB:,.0f} MB, shared_buffers {facts.shared_buffers / _MB:,.0f} MB: searches"
            " wait for the operating system's cache or the disk",
            "a larger shared_buffers, halfvec, or pg_prewarm after a restart",
        )


def bloat(facts: Facts) -> Iterator[Finding]:
    """Deleted rows stay in the graph until a vacuum, and are walked through."""
    for index, column in _pairs(facts):
        if column.dead > 0.2 * max(column.live, 1) and column.dead > 1000:
            yield _finding(
                "vector-dead-rows",
                "warning",
                f"{column.dead:,} dead rows beside {column.live:,} live ones in `{column.table}`: searches"
                " walk through them,"
                " and an index scan may end before it has enough living ones",
                f"VACUUM {qualified_name(column.table)}; for `{index.name}` REINDEX INDEX CONCURRENTLY where"
                " half are gone",
                str(column.table),
            )
        width = _width(index, column)
        if (
            index.method == "hnsw"
            and index.valid
            and width
            and column.live > 1000
            and index.predicate is None
        ):
            m = index.option("m", 16)
            expected = hnsw_bytes(column.live, _type(index), width, m, column.non_zero)
            if index.size_bytes > 1.5 * expected:
                yield _finding(
                    "vector-index-bloat",
                    "warning",
                    f"`{index.name}` has {index.size_bytes / _MB:,.0f} MB; freshly built it would have"
                    f" {expected / _MB:,.0f} MB",
                    f"REINDEX INDEX CONCURRENTLY {qualified_name(index.name)}",
                    str(index.name),
                )


def needless(facts: Facts) -> Iterator[Finding]:
    for index, column in _pairs(facts):
        if 0 < column.live * column.compared < SMALL_TABLE and index.valid:
            yield _finding(
                "vector-index-needless",
                "info",
                f"`{column.table}` has {column.live:,} rows: reading all of them takes about a millisecond and"
                " misses nothing",
                f"DROP INDEX CONCURRENTLY {qualified_name(index.name)}, if searches do without it",
                str(index.name),
            )


def ivfflat(facts: Facts) -> Iterator[Finding]:
    """Lists are made from the rows that were there when the index was built."""
    for index, column in _pairs(facts):
        lists = index.option("lists", 100)
        if index.method == "ivfflat" and column.live and not 0.2 < lists / max(column.live / 1000, 1) < 5:
            right = max(1, round(column.live / 1000))
            yield _finding(
                "ivfflat-lists",
                "warning",
                f"`{index.name}` has {lists:,} lists for {column.live:,} rows; its lists are those of the rows"
                " at the build",
                f"build it again with lists = {right}, once the rows are there",
                str(index.name),
                "documented",
            )


def doubled(facts: Facts) -> Iterator[Finding]:
    seen: dict[tuple[object, ...], VectorIndex] = {}
    for index in facts.indexes:
        key = (index.table, index.key, index.operator, index.predicate)
        if key in seen and index.valid:
            yield _finding(
                "vector-index-twice",
                "warning",
                f"`{index.name}` and `{seen[key].name}` are over the same: each write pays for both",
                f"DROP INDEX CONCURRENTLY {qualified_name(index.name)}",
                str(index.name),
            )
        seen.setdefault(key, index)


# --- vectors ---


def missing_index(facts: Facts) -> Iterator[Finding]:
    for column in facts.columns:
        if not _operators(facts, column) and column.live * column.compared > 50 * SMALL_TABLE:
            yield _finding(
                "vector-index-missing",
                "warning",
                f"`{column.table}` has {column.live:,} vectors and no index over them: each search reads all",
                "dpe retrieval tune on these vectors, then its CREATE INDEX CONCURRENTLY",
                str(column.table),
            )


def zero(facts: Facts) -> Iterator[Finding]:
    """Where no index serves another distance only: of inner products and Euclidean distances zero is as good as any."""
    for column in facts.columns:
        count = int((column.lengths == 0).sum())
        operators = _operators(facts, column)
        norm = "vector_norm" if column.type == "vector" else "l2_norm"
        if count and (not operators or "<=>" in operators):
            yield _finding(
                "vector-zero",
                "error",
                f"{count} of {column.sampled:,} sampled vectors of `{column.table}.{column.column}` are zero:"
                " they have no cosine"
                " distance, an index leaves them out, and no search finds them",
                f"embed these rows again: SELECT … WHERE {norm}({column.column}) = 0",
                f"{column.table}.{column.column}",
            )


def mixed_lengths(facts: Facts) -> Iterator[Finding]:
    """Normalised vectors among others: most likely of two models or two ways to call one."""
    for column in facts.columns:
        lengths = column.lengths[column.lengths > 0]
        if len(lengths) < 20:
            continue
        away = np.abs(lengths - 1)
        unit, beside = float((away < _UNIT).mean()), float(((away >= _UNIT) & (away < 10 * _UNIT)).mean())
        # Lengths that lie around one by nature are not at one more often than beside it.
        if 0.02 < unit < 0.98 and unit > beside:
            yield _finding(
                "vector-normalisation-mixed",
                "warning" if _operators(facts, column) == {"<=>"} else "error",
                f"{unit:.0%} of the sampled vectors of `{column.table}.{column.column}` have length 1, the"
                " others have not:"
                " with <#> and <-> they are not comparable, with <=> they may still be of two models",
                "normalise all of them: UPDATE … SET embedding = l2_normalize(embedding), or embed again by one model",
                f"{column.table}.{column.column}",
            )


def mixed_dimensions(facts: Facts) -> Iterator[Finding]:
    for column in facts.columns:
        if len(column.sizes) > 1:
            yield _finding(
                "vector-dimensions-mixed",
                "error",
                f"`{column.table}.{column.column}` holds vectors of {', '.join(map(str, column.sizes))}"
                " dimensions: of several"
                " models, and no search can compare them",
                "a column or table for each model, with its dimension in the type",
                f"{column.table}.{column.column}",
            )
        elif column.dimensions is None and column.sampled:
            yield _finding(
                "vector-dimension-unchecked",
                "info",
                f"`{column.table}.{column.column}` takes vectors of any dimension",
                f"ALTER TABLE … ALTER COLUMN {column.column} TYPE {column.type}({column.sizes[0]})",
                f"{column.table}.{column.column}",
            )


def model_swapped(facts: Facts) -> Iterator[Finding]:
    """Two models of one dimension give no error."""
    for column in facts.columns:
        found = change(column.parts)
        if found is not None:
            yield _finding(
                "vector-model-changed",
                "warning",
                f"the first {found.after / found.parts:.0%} of the rows of `{column.table}.{column.column}` and the"
                f" others look like vectors of two models: how they lie is alike by {found.across:.2f}, within each by"
                f" {found.within:.2f}; contents of quite another kind may look so too",
                "compare the models' fingerprints (dpe retrieval load keeps them); embed the older rows again",
                f"{column.table}.{column.column}",
            )


def updates(facts: Facts) -> Iterator[Finding]:
    """An update of another column of an indexed row puts its vector into the graph again."""
    indexed = {index.table for index in facts.indexes}
    for column in facts.columns:
        cold = column.updates - column.hot_updates
        if column.table in indexed and cold > max(1000, column.live):
            yield _finding(
                "vector-updated-with-the-row",
                "warning",
                f"{cold:,} updates of rows of `{column.table}` have put their vectors into the index again",
                "keep what changes often in another table than the vector",
                str(column.table),
            )


def literals(facts: Facts) -> Iterator[Finding]:
    for one in facts.asked or ():
        text = one.text.lstrip().upper()
        if text.startswith("INSERT") and "VECTOR" in text and one.calls > 1000:
            yield _finding(
                "vector-load-row-by-row",
                "info",
                f"{one.calls:,} single INSERTs of vectors, {one.mean_ms:.2f} ms each",
                "binary COPY, and the index after it: 10 to 40 times as many rows a second",
            )


# --- what belongs together ---


def _pairs(facts: Facts) -> Iterator[tuple[VectorIndex, VectorColumn]]:
    for index in facts.indexes:
        yield from ((index, column) for column in facts.columns if _over(index, column))


def _over(index: VectorIndex, column: VectorColumn) -> bool:
    return index.table == column.table and column.column in index.columns


def _operators(facts: Facts, column: VectorColumn) -> set[str]:
    """That the indexes over a column serve; none where there is no index."""
    return {index.operator for index in facts.indexes if _over(index, column)}


def _width(index: VectorIndex, column: VectorColumn) -> int:
    found = _KEY.search(index.key)
    return int(found[2]) if found else column.dimensions or (column.sizes[0] if column.sizes else 0)


def _type(index: VectorIndex) -> VectorType:
    kinds: tuple[VectorType, ...] = ("halfvec", "bit", "sparsevec")
    return next((one for one in kinds if one in index.type or f"::{one}" in index.key), "vector")


RULES: tuple[Callable[[Facts], Iterator[Finding]], ...] = (
    version,
    update,
    invalid,
    build_memory,
    memory,
    bloat,
    needless,
    ivfflat,
    doubled,
    missing_index,
    zero,
    mixed_lengths,
    mixed_dimensions,
    model_swapped,
    updates,
    literals,
)
