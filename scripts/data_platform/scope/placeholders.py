"""Values of a template that nobody has edited: `[in brackets]`, `[e.g., ...]`, a menu left whole."""

from __future__ import annotations

from itertools import islice

from data_platform.record import TYPE_CHECKING
from data_platform.scope.markdown import Item, Paragraph, Row, plain
from data_platform.scope.names import ROLE

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_MENU = frozenset({"linear", "github", "none"})
_SEPARATORS = ",;:/|(@—–&"
_REACH = 300  # a placeholder is a phrase; looking further would make a hostile line slow
_LIMIT = 50
_TRIED = 10_000  # brackets in one value


def link_names(text: str) -> frozenset[str]:
    """The names that `[name]: target` lines define, lower case; `[name]` is then a link."""
    if "]:" not in text:
        return frozenset()
    return frozenset(
        line[1 : line.index("]:")].lower() for line in text.split("\n") if line[:1] == "[" and "]:" in line
    )


def unedited(
    titles: Iterable[tuple[int, str]], blocks: Iterable[Row | Item | Paragraph], links: frozenset[str]
) -> tuple[tuple[int, str], ...]:
    """(line, text) of every placeholder in order, up to a limit that no person would read beyond."""
    found: list[tuple[int, str]] = []
    for line, value, is_remark in _values(titles, blocks):
        if "[" in value:
            brackets = islice(_brackets(value, links, whole_only=is_remark), _LIMIT)
            found += ((line, text) for text in brackets)
        if not is_remark and (menu := _menu(value)):
            found.append((line, menu))
        if len(found) >= _LIMIT:
            break
    return tuple(found[:_LIMIT])


def _values(
    titles: Iterable[tuple[int, str]], blocks: Iterable[Row | Item | Paragraph]
) -> Iterator[tuple[int, str, bool]]:
    """(line, value, whether it is a remark, in which brackets may well be meant)."""
    for line, title in titles:
        yield line, title, False
    for block in blocks:
        if isinstance(block, Row):
            for column, value in block.cells:
                if value:
                    yield block.line, value, column.startswith(("note", "comment", "description"))
            if borders := _menu_over_cells(block):
                yield block.line, borders, False
        else:
            yield block.line, block.source, isinstance(block, Paragraph)


def _menu_over_cells(row: Row) -> str:
    """A menu whose unescaped pipes were read as borders of cells."""
    options = [plain(value).lower() for _, value in row.cells]
    for at in range(len(options) - 2):
        if set(options[at : at + 3]) == _MENU:
            return " | ".join(options[at : at + 3])
    return ""


def _menu(value: str) -> str:
    if "/" not in value and "|" not in value:
        return ""
    _, colon, after = value.partition(":")
    shown = plain(after if colon else value)
    options = {option.strip().lower() for option in shown.replace("|", "/").split("/")}
    return shown if options >= _MENU else ""


def _brackets(value: str, links: frozenset[str], *, whole_only: bool) -> Iterator[str]:
    at = -1
    for _ in range(_TRIED):
        at = value.find("[", at + 1)
        if at < 0:
            return
        end = value.find("]", at, at + _REACH)
        if end < 0:
            continue
        inner = value[at + 1 : end]
        if not _is_link_or_mark(value, at, end, inner, links) and (
            inner.lower().lstrip().startswith("e.g") or _stands_alone(value, at, end, whole_only=whole_only)
        ):
            yield value[at : end + 1]
        at = end


def _is_link_or_mark(value: str, at: int, end: int, inner: str, links: frozenset[str]) -> bool:
    """A link, an image, a footnote, a checkbox, an escaped bracket, or a suffix such as `int[]`."""
    before = value[at - 1] if at else " "
    return (
        value[end + 1 : end + 2] in ("(", "[")
        or before in "!\\]"
        or before.isalnum()
        or before == "_"
        or inner.startswith("^")
        or inner.strip().lower() in ("", "x", "-")
        or inner.lower() in links
    )


def _stands_alone(value: str, at: int, end: int, *, whole_only: bool) -> bool:
    """Whether the brackets are the value, or begin a part of it, rather than adding to words."""
    if whole_only:
        around = value[max(0, at - _REACH) : at] + value[end + 1 : end + _REACH]
        return not any(c.isalnum() for c in around)
    before = value[max(0, at - _REACH) : at].replace(ROLE, ",")
    start = max(before.rfind(separator) for separator in _SEPARATORS)
    return not any(c.isalnum() for c in before[max(start, before.rfind(" - ")) + 1 :])
