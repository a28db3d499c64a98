"""What a need asks of a system: each criterion as an answer or a number, today and years from now."""

from __future__ import annotations

from dataclasses import replace

from data_platform.spec.storage import Need
from data_platform.storage.catalogue import Criterion, Fact, Memory

GROWING = ("volume", "writes", "reads", "documents", "vectors")
"""The criteria whose numbers grow."""
FAR = 100.0
"""Years after which nothing is foretold."""
GB = 1_000_000_000


def settled(need: Need) -> Need:
    """The need with what follows from other answers filled in: texts and vectors are searched, and are records."""
    search = "words" if need.data == "text" and need.search == "none" else need.search
    documents = (need.documents or need.rows) if search != "none" else need.documents
    vectors = need.vectors or (need.rows if need.data == "vectors" else 0)
    rows = max(need.rows, vectors) if need.data == "vectors" else need.rows
    return replace(need, search=search, documents=documents, vectors=vectors, rows=rows)


def asks(need: Need, criterion: Criterion) -> bool:
    """Whether the need's answers make this criterion matter."""
    if criterion.id in ("runs", "one_system"):
        return criterion.id == "one_system" or bool(need.runs)
    asked = need.vectors if criterion.part == "vectors" else demand(need, criterion.id)
    if criterion.part == "search":
        asked = need.search
    return asked not in criterion.silent


def demand(need: Need, criterion: str, year: float = 0) -> float | str:
    """The answer or number that the criterion is about, `year` years from now."""
    growth = _power(1 + need.growth_per_year, year)
    load = _power(1 + need.load_growth_per_year, year)
    match criterion:
        case "record":
            # A record's vector has a limit of its own: the dimensions.
            beside = vector_only_bytes(need) if need.data == "vectors" else 0
            return max(need.largest_bytes, need.row_bytes - beside)
        case "volume":
            return (need.rows * growth + need.added_rows_per_year * year) * need.row_bytes
        case "writes":
            return need.writes_per_second * load
        case "reads":
            return need.reads_per_second * load
        case "latency":
            return need.latency_ms
        case "documents" | "vectors":
            return float(getattr(need, criterion)) * growth
        case _:
            answer: float | str = getattr(need, criterion)
            return answer


def _power(base: float, exponent: float) -> float:
    try:
        return float(base**exponent)
    except OverflowError:
        return float("inf")


def limit(fact: Fact, need: Need, criterion: str) -> float | None:
    """The most that the fact allows, in the criterion's unit; None where it is no number."""
    if fact.memory is None:
        return fact.limit
    memory = fact.memory.share * fact.memory.nodes * need.memory_gb * GB
    return memory // vector_bytes(fact.memory, need) if criterion == "vectors" else memory


def vector_bytes(memory: Memory, need: Need) -> float:
    """Bytes of memory for one vector with its place in the graph."""
    return memory.factor * vector_only_bytes(need) + memory.overhead


def vector_only_bytes(need: Need) -> int:
    """Bytes of a vector in its row: four a dimension."""
    return 4 * need.dimensions


def years_until(need: Need, criterion: str, most: float) -> float | None:
    """Years from now until the demand passes `most`; None if it does not within a lifetime."""

    def over(year: float) -> bool:
        return float(demand(need, criterion, year)) > most

    if over(0):
        return 0.0
    if not over(FAR):
        return None
    low, high = 0.0, FAR
    while high - low > 0.01:
        middle = (low + high) / 2
        low, high = (low, middle) if over(middle) else (middle, high)
    return round(high, 1)
