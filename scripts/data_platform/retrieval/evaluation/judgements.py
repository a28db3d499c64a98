"""Queries with what is relevant to them: from files, or drawn from the documents themselves."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from data_platform.errors import UsageProblem
from data_platform.retrieval.chunking.borders import sentences


@dataclass(frozen=True)
class Query:
    """A question; `grades` are of documents, by address or by what follows # in it."""

    id: str
    text: str
    grades: Mapping[str, float]


def read_queries(queries: Path, qrels: Path) -> list[Query]:
    """Those that have a judgement. Raises UsageProblem with the line of what cannot be read, or if there are none."""
    texts = dict(_texts(queries))
    grades: dict[str, dict[str, float]] = defaultdict(dict)
    for query, document, grade in _judged(qrels):
        grades[query][document] = grade
    found = [
        Query(id_, text, grades[id_])
        for id_, text in texts.items()
        if any(g > 0 for g in grades[id_].values())
    ]
    if not found:
        raise UsageProblem(
            "no query of these has a judgement", where=f"{queries}, {qrels}", expected="the same ids in both"
        )
    return found


def _texts(path: Path) -> Iterable[tuple[str, str]]:
    for number, line in _lines(path):
        try:
            one = json.loads(line)
            yield str(one["id"]), str(one["text"])
        except (ValueError, KeyError, TypeError):
            raise UsageProblem(
                "no query", where=f"{path}:{number}", expected='{"id": …, "text": …}'
            ) from None


def _judged(path: Path) -> Iterable[tuple[str, str, float]]:
    """TREC's four columns (query, anything, document, grade), or JSON lines."""
    for number, line in _lines(path):
        try:
            if line.lstrip().startswith("{"):
                one = json.loads(line)
                yield str(one["query"]), str(one["document"]), float(one.get("grade", 1))
            else:
                query, _, document, grade = line.split()
                yield query, document, float(grade)
        except (ValueError, KeyError, TypeError):
            raise UsageProblem(
                "no judgement", where=f"{path}:{number}", expected="query 0 document grade"
            ) from None


def _lines(path: Path) -> Iterable[tuple[int, str]]:
    if not path.is_file():
        raise UsageProblem("there is no such file", where=str(path))
    with path.open(encoding="utf-8") as lines:
        yield from ((number, line) for number, line in enumerate(lines, 1) if line.strip())


def known_items(sample: Sequence[tuple[str, str, str]]) -> list[Query]:
    """A sentence of each chunk as a question for its document: easier than real questions, and marked so."""
    return [
        Query(f"known-{number}", _sentence(content), {uri: 1.0})
        for number, (content, uri, _) in enumerate(sample)
    ]


def _sentence(content: str) -> str:
    """The longest of the first five."""
    places = list(sentences(content[:2000]))[:5]
    return max((content[a:b].strip(" #\n") for a, b in places), key=len, default=content[:200])


def graded(query: Query, uris: Sequence[str]) -> list[str]:
    """Found documents by the names that the judgements use."""
    return [uri if uri in query.grades else uri.rpartition("#")[2] if "#" in uri else uri for uri in uris]
