"""Documents from the rows of a parquet file. A document's address is that of its row, whatever the file is called:
programs that write such files name them anew each time.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import date, datetime
from decimal import Decimal
from importlib import import_module
from pathlib import Path
from typing import Any

from data_platform.errors import EnvironmentProblem, UsageProblem
from data_platform.retrieval.chunking.document import Document
from data_platform.spec.retrieval import Source

_PLAIN = (str, bool, int, float, date, Decimal, type(None))
_ROWS = 1000


def columns_of(source: Source) -> dict[str, str]:
    """Which column is the uri, the text, the title, and each filter."""
    return {"uri": "uri", "text": "text", "title": "title", **source.fields}


def parquet(path: Path, source: Source) -> Iterator[Document]:
    """The documents of one file, some rows at a time. UsageProblem for a file or row that is none."""
    library = _library(path)
    try:
        with library.ParquetFile(path) as file:
            columns = chosen(columns_of(source), file.schema_arrow.names, str(path))
            for batch in file.iter_batches(_ROWS, columns=columns):
                for row in batch.to_pylist():
                    yield of_row(row, source, str(path))
    except (OSError, ValueError) as error:
        raise UsageProblem(f"no parquet file that can be read: {error}", where=str(path)) from None


def chosen(names: Mapping[str, str], there: list[str], where: str) -> list[str]:
    """Those columns that are read; the title may be missing, UsageProblem for another."""
    missing = [name for key, name in names.items() if name not in there and key != "title"]
    if missing:
        raise UsageProblem(
            f"there is no column `{missing[0]}`",
            where=where,
            expected=f"columns {', '.join(there)}" if there else "columns uri and text",
            try_="fields: {uri: …, text: …}",
        )
    return [name for name in dict.fromkeys(names.values()) if name in there]


def of_row(row: Mapping[str, Any], source: Source, where: str) -> Document:
    """The document of one row. Its values must be such that every reader of parquet gives the same ones."""
    names = columns_of(source)
    uri, text = row[names["uri"]], row[names["text"]]
    if not isinstance(uri, str) or not uri:
        raise UsageProblem(f"`{names['uri']}` is no address", where=where, expected="a text in each row")
    if not isinstance(text, str):
        raise UsageProblem(f"`{names['text']}` is no text", where=f"{where}, {uri}")
    others = {key: row[name] for key, name in names.items() if key not in ("uri", "text", "title")}
    for key, value in others.items():
        _refuse(key, value, f"{where}, {uri}")
    return Document(
        uri=uri,
        text=text,
        title=str(row.get(names["title"]) or ""),
        metadata={**source.metadata, **others},
    )


def _refuse(key: str, value: Any, where: str) -> None:
    each = value if isinstance(value, list) else [value]
    wrong = next((one for one in each if not isinstance(one, _PLAIN) or isinstance(one, datetime)), None)
    if wrong is not None:
        raise UsageProblem(
            f"`{key}` is of type {type(wrong).__name__}",
            where=where,
            expected="text, a number, a date, or a list of them",
            try_="write it as text into the file",
        )


def _library(path: Path) -> Any:
    try:
        return import_module("pyarrow.parquet")
    except ImportError:
        raise EnvironmentProblem(
            "no package to read .parquet files",
            where=str(path),
            expected="pyarrow",
            try_="dpe setup --extra vectors",
        ) from None
