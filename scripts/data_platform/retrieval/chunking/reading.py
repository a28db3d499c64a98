"""Documents from files: text, Markdown, HTML, PDF, source code, JSON lines and parquet."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from typing import Any

from data_platform.errors import EnvironmentProblem, UsageProblem
from data_platform.retrieval.chunking.document import Document, whole_characters
from data_platform.retrieval.chunking.tables import parquet
from data_platform.spec.retrieval import Source

_SUFFIXES = {
    **dict.fromkeys((".md", ".markdown", ".mdx"), "markdown"),
    **dict.fromkeys((".txt", ".rst", ".log", ".text", ""), "text"),
    **dict.fromkeys((".html", ".htm", ".xhtml"), "html"),
    ".pdf": "pdf",
    **dict.fromkeys((".jsonl", ".ndjson"), "jsonl"),
    **dict.fromkeys(
        (
            ".py",
            ".js",
            ".ts",
            ".tsx",
            ".jsx",
            ".java",
            ".go",
            ".rs",
            ".c",
            ".h",
            ".cpp",
            ".cs",
            ".rb",
            ".php",
            ".sql",
        ),
        "code",
    ),
}
_KINDS = {**_SUFFIXES, ".parquet": "parquet"}
"""Of files that are named; in a folder parquet files may be anything, so there `format: parquet` has to say it."""
_MEDIA = {
    "markdown": "text/markdown",
    "text": "text/plain",
    "html": "text/html",
    "pdf": "application/pdf",
    "code": "text/plain",
    "jsonl": "application/json",
    "parquet": "text/plain",
}
_BLOCKS = frozenset(
    (
        *(
            "address",
            "article",
            "aside",
            "blockquote",
            "br",
            "dd",
            "div",
            "dl",
            "dt",
            "fieldset",
            "figcaption",
        ),
        *(
            "figure",
            "footer",
            "form",
            "h1",
            "h2",
            "h3",
            "h4",
            "h5",
            "h6",
            "header",
            "hr",
            "li",
            "main",
            "nav",
            "ol",
        ),
        *("p", "pre", "section", "table", "tbody", "td", "tfoot", "th", "thead", "tr", "ul"),
    )
)
_UNREAD = frozenset(("script", "style", "template", "noscript", "head", "svg"))


Tell = Callable[[str, float], None]


def documents(
    sources: Iterable[Source], folder: Path, tell: Tell = lambda what, share: None
) -> Iterator[Document]:
    """The documents of the sources, whose paths are relative to `folder`, in the order of their names.

    Raises UsageProblem for a source without files, before anything is read, and for a file that cannot be read.
    """
    files = [(path, source) for source in sources for path in files_of(source, folder)]
    for number, (path, source) in enumerate(files):
        uri = address(path, folder)
        tell(f"{uri}, {number + 1:,} of {len(files):,} files", number / len(files))
        for document in read(path, source, uri):
            _refuse_address(document.uri)
            yield document


def _refuse_address(uri: str) -> None:
    if "\0" in uri or whole_characters(uri) != uri:
        raise UsageProblem(
            "this address is no text that a database takes",
            where=repr(uri),
            expected="UTF-8 without NUL",
            try_="rename the file, or another id",
        )


def kind_of(path: Path) -> str | None:
    """What its suffix says."""
    return _KINDS.get(path.suffix.lower())


def files_of(source: Source, folder: Path) -> list[Path]:
    """The files of one source. UsageProblem where there are none."""
    suffixes = (".parquet",) if source.format == "parquet" else _SUFFIXES
    found = _paths(source.path, folder, suffixes)
    if not found:
        raise UsageProblem(
            "there is no such file", where=source.path, expected=f"a file or pattern below {folder}"
        )
    return found


def read(path: Path, source: Source, uri: str) -> Iterator[Document]:
    """The documents of one file; JSON lines have one a line."""
    kind = source.format or kind_of(path)
    if kind is None:
        raise UsageProblem(
            f"what is in a {path.suffix} file?",
            where=str(path),
            expected=", ".join(_MEDIA),
            try_="format: text",
        )
    if kind == "jsonl":
        yield from _lines(path, source, uri)
        return
    if kind == "parquet":
        yield from parquet(path, source)
        return
    made = _READERS.get(kind, _plain)(path, uri)
    metadata = {**source.metadata}
    yield replace(made, text=whole_characters(made.text), media_type=_MEDIA[kind], metadata=metadata)


def _paths(pattern: str, folder: Path, suffixes: Collection[str]) -> list[Path]:
    if Path(pattern).is_absolute():
        return [Path(pattern)] if Path(pattern).is_file() else []
    exact = folder / pattern
    if exact.is_file():
        return [exact]
    if exact.is_dir():
        return sorted(p for p in exact.rglob("*") if p.is_file() and p.suffix.lower() in suffixes)
    return sorted(p for p in folder.glob(pattern) if p.is_file())


def address(path: Path, folder: Path) -> str:
    """A file's address: its path, relative to `folder` where it is below it."""
    try:
        return path.resolve().relative_to(folder.resolve()).as_posix()
    except ValueError:
        return path.as_posix()


# --- one reader a format ---


def _text(path: Path) -> str:
    raw = path.read_bytes()
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise UsageProblem(
            f"byte {error.start + 1:,} is no UTF-8",
            where=str(path),
            try_="convert the file: iconv -f … -t utf-8",
        ) from None


def _plain(path: Path, uri: str) -> Document:
    text = _text(path)
    return Document(uri=uri, text=text, title=_first_words(text) or path.name)


def _first_words(text: str) -> str:
    line = next((line for line in text[:4000].splitlines() if line.strip()), "")
    return line.strip().lstrip("#").strip()[:200]


def _html(path: Path, uri: str) -> Document:
    """The words of the page. White space is what a browser makes of it: one space, and a line for each block."""
    parser = _package("selectolax.lexbor", "selectolax", path).LexborHTMLParser(_text(path))
    written = _Page()
    if parser.body is not None:
        written.walk(parser.body)
    title = parser.css_first("title")
    words = title.text().strip() if title is not None else ""
    return Document(uri=uri, text=written.text(), title=words or path.name, headings=tuple(written.headings))


class _Page:
    """The text of a page as it grows."""

    def __init__(self) -> None:
        self.parts: list[str] = []
        self.length = 0
        self.headings: list[tuple[int, int, str]] = []

    def text(self) -> str:
        return "".join(self.parts)

    def walk(self, top: Any) -> None:
        """The nodes in order, without recursion: pages are nested deeper than a stack."""
        stack: list[tuple[Any, bool]] = [(top, False)]
        while stack:
            node, done = stack.pop()
            tag = node.tag or ""
            if tag == "-text":
                self.words(node.text_content or "", verbatim=_in_pre(node))
            elif done:
                self.line()
            elif tag not in _UNREAD and not tag.startswith("_"):
                self._open(node, tag)
                if tag in _BLOCKS:
                    stack.append((node, True))
                stack += [(child, False) for child in reversed(list(node.iter(include_text=True)))]

    def _open(self, node: Any, tag: str) -> None:
        if tag in _BLOCKS:
            self.line()
        if len(tag) == 2 and tag[0] == "h" and tag[1] in "123456":
            words = " ".join((node.text() or "").split())
            self.headings.append((self.length, int(tag[1]), words))

    def words(self, text: str, *, verbatim: bool) -> None:
        if verbatim:
            self._add(text)
            return
        said = " ".join(text.split())
        if said:
            open_line = self.parts and not self.parts[-1].endswith(("\n", " "))
            self._add(
                (" " if open_line and text[0].isspace() else "") + said + (" " if text[-1].isspace() else "")
            )
        elif text and self.parts and not self.parts[-1].endswith(("\n", " ")):
            self._add(" ")

    def line(self) -> None:
        if self.parts and not self.parts[-1].endswith("\n"):
            self._add("\n")

    def _add(self, text: str) -> None:
        self.parts.append(text)
        self.length += len(text)


def _in_pre(node: Any) -> bool:
    above = node.parent
    while above is not None:
        if above.tag == "pre":
            return True
        above = above.parent
    return False


def _pdf(path: Path, uri: str) -> Document:
    """Page by page; each page is a heading of level 1."""
    pypdf = _package("pypdf", "pypdf", path)
    try:
        pages = [page.extract_text() or "" for page in pypdf.PdfReader(path).pages]
    except Exception as error:  # the library has a dozen classes for broken files, and lets others through
        raise UsageProblem(f"no PDF that can be read: {error}", where=str(path)) from None
    if not any(page.strip() for page in pages):
        raise UsageProblem(
            "there is no text in this PDF", where=str(path), try_="recognise its pages (OCR) first"
        )
    offset, headings = 0, []
    for number, page in enumerate(pages, 1):
        headings.append((offset, 1, f"page {number}"))
        offset += len(page) + 2
    return Document(uri=uri, text="\n\n".join(pages), title=path.stem, headings=tuple(headings))


def _lines(path: Path, source: Source, uri: str) -> Iterator[Document]:
    """`fields` says which key is the id, the text, the title; the others are filters."""
    names = {"id": "id", "text": "text", "title": "title", **source.fields}
    # By \n alone: JSON may hold the other ends of lines that Unicode has.
    for number, line in enumerate(_text(path).split("\n"), 1):
        if line.strip():
            yield _of_line(_parsed(line, f"{path}:{number}"), names, source, f"{path}:{number}", uri)


def _parsed(line: str, where: str) -> Mapping[str, Any]:
    try:
        found = json.loads(line, parse_constant=_no_number)
    except ValueError as error:
        raise UsageProblem(f"no JSON: {error}", where=where) from None
    if not isinstance(found, dict):
        raise UsageProblem("no JSON object", where=where, expected='{"id": …, "text": …}')
    return found


def _no_number(word: str) -> float:
    raise ValueError(f"{word} is no number of JSON")


def _of_line(
    found: Mapping[str, Any], names: Mapping[str, str], source: Source, where: str, uri: str
) -> Document:
    for name in ("id", "text"):
        if not isinstance(found.get(names[name]), str | int) or found[names[name]] == "":
            raise UsageProblem(
                f"there is no `{names[name]}` in this line",
                where=where,
                expected=f"the {name} of a document",
                try_="fields: {id: …, text: …}",
            )
    others = {
        name: found.get(key) for name, key in source.fields.items() if name not in ("id", "text", "title")
    }
    return Document(
        uri=f"{uri}#{found[names['id']]}",
        text=whole_characters(str(found[names["text"]])),
        title=str(found.get(names["title"]) or ""),
        media_type="application/json",
        metadata={**source.metadata, **others},
    )


def _package(module: str, package: str, path: Path) -> Any:
    try:
        return import_module(module)
    except ImportError:
        raise EnvironmentProblem(
            f"no package to read {path.suffix} files",
            where=str(path),
            expected=package,
            try_="dpe setup --extra documents",
        ) from None


_READERS: dict[str, Callable[[Path, str], Document]] = {"html": _html, "pdf": _pdf}
