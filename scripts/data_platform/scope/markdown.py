"""As much Markdown as a scope needs: which lines are text, headings, table rows, list items, and plain words.

Read line by line in one pass with string methods; no pattern here can take more than linear time.
"""

from __future__ import annotations

from data_platform.record import TYPE_CHECKING, record

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_CODE_SPAN_REACH = (
    200  # how far from `<!--` a backtick may stand to make it code, so that a huge line stays cheap
)


def visible(text: str) -> Iterator[tuple[int, str]]:
    """Numbered lines (from 1) without fenced code and HTML comments. `text` has `\\n` line ends only."""
    lines = text.split("\n")
    last_close = text.count("\n", 0, text.rfind("-->") + 1) + 1 if "-->" in text else 0
    fence = ""
    in_comment = False
    for number, line in enumerate(lines, 1):
        if fence:
            if _closes(line, fence):
                fence = ""
            continue
        if in_comment:
            in_comment = "-->" not in line
            continue
        if "<!--" in line:
            kept, in_comment = _without_comments(line, closes_later=number < last_close)
            yield number, kept
            continue
        if ("```" in line or "~~~" in line) and (fence := _opened(line)):
            continue
        yield number, line


def _opened(line: str) -> str:
    """The fence that this line opens, or ""."""
    start = line.lstrip(" ")
    if start[:3] not in ("```", "~~~") or len(line) - len(start) > 3:
        return ""
    mark = start[0]
    info = start.lstrip(mark)
    if mark == "`" and "`" in info:
        return ""  # a code span that fills the line
    return mark * (len(start) - len(info))


def _closes(line: str, fence: str) -> bool:
    start = line.strip()
    return start.startswith(fence) and not start.strip(fence[0]) and indent(line) < 4


def _without_comments(line: str, *, closes_later: bool) -> tuple[str, bool]:
    """The line without its comments, and whether the last one goes on in the next line."""
    if line.lstrip(" ").startswith("<!--") and indent(line) < 4:
        # A block of its own: everything up to the end of the closing line is HTML.
        return "", "-->" not in line[line.index("<!--") + 2 :]
    kept: list[str] = []
    at = 0
    while (start := line.find("<!--", at)) >= 0:
        if _in_code_span(line, start):
            kept.append(line[at : start + 4])
            at = start + 4
            continue
        end = line.find("-->", start + 2)
        if end < 0:
            if not closes_later:
                break
            kept.append(line[at:start])
            return "".join(kept), True
        kept.append(line[at:start])
        at = end + 3
    kept.append(line[at:])
    return "".join(kept), False


def _in_code_span(line: str, at: int) -> bool:
    before = line[max(0, at - _CODE_SPAN_REACH) : at]
    return before.count("`") % 2 == 1 and "`" in line[at : at + _CODE_SPAN_REACH]


def indent(line: str) -> int:
    """Columns of white space before the first character; a tab reaches the next multiple of four."""
    columns = 0
    for character in line:
        if character == " ":
            columns += 1
        elif character == "\t":
            columns += 4 - columns % 4
        else:
            break
    return columns


def heading(line: str) -> tuple[int, str] | None:
    """The level and the title, without marks, of the heading that this line is, if it is one."""
    start = line.lstrip(" ")
    rest = start.lstrip("#")
    level = len(start) - len(rest)
    if not 1 <= level <= 6 or len(line) - len(start) > 3 or (rest and rest[0] not in " \t"):
        return None
    title = rest.strip()
    if title.endswith("#"):
        bare = title.rstrip("#")
        title = bare.rstrip() if not bare or bare[-1] in " \t" else title
    return level, title


@record
class Row:
    """A row of a table; `cells` are (column, value): the column in lower case, the value with its markup."""

    line: int
    cells: tuple[tuple[str, str], ...]
    source: str


@record
class Item:
    """A list item as one line, with its wrapped lines; items nested in it follow as a list with commas."""

    line: int
    source: str


@record
class Paragraph:
    """One line of running text."""

    line: int
    source: str


_MARKS = frozenset(">-*_+0123456789")  # what a quote, a rule or a list item can begin with


class Blocks:
    """Feed it the lines between two headings; it gathers `found`."""

    def __init__(self) -> None:
        self.found: list[Row | Item | Paragraph] = []
        self._columns: list[str] | None = None
        self._item: list[str] | None = None
        self._item_line = 0
        self._item_indent = 0
        self._in_list = False
        self._in_paragraph = False
        self._after_blank = True

    def read(self, lines: Iterable[tuple[int, str]]) -> list[Row | Item | Paragraph]:
        """All blocks of these lines, in order."""
        for number, line in lines:
            self._take(number, line)
        self._end_item()
        return self.found

    def _take(self, number: int, line: str) -> None:
        text = line.strip()
        if not text:
            self._columns = None
            self._in_paragraph = False
            self._after_blank = True
            return
        columns = indent(line) if line[0] in " \t" else 0
        blank_before, self._after_blank = self._after_blank, False
        if columns >= 4 and not self._in_list and not self._in_paragraph:
            return  # indented code
        marked = text[0] in _MARKS
        if marked and (text[0] == ">" or _is_rule(text)):
            self._end_list()
        elif marked and (content := _item_content(text)) is not None:
            self._start_item(number, columns, content)
        elif "|" in text and (text[0] == "|" or self._item is None):
            self._end_list()
            self._row(number, text)
        elif self._item is not None and (columns or not blank_before):
            self._item.append(text)
        else:
            self._end_list()
            self._in_paragraph = True
            self.found.append(Paragraph(number, text))

    def _start_item(self, number: int, columns: int, content: str) -> None:
        self._columns = None
        self._in_paragraph = False
        if self._item is not None and columns > self._item_indent:
            glue = "" if self._item[-1].endswith((":", ",")) else ", "
            self._item.append(glue + content)
            return
        self._end_item()
        self._item = [content]
        self._item_line = number
        self._item_indent = columns
        self._in_list = True

    def _end_item(self) -> None:
        if self._item is not None:
            self.found.append(Item(self._item_line, " ".join(self._item)))
            self._item = None

    def _end_list(self) -> None:
        self._end_item()
        self._in_list = False
        self._in_paragraph = False

    def _row(self, number: int, text: str) -> None:
        cells = split_row(text)
        if self._columns is None:
            self._columns = [" ".join(plain(cell).lower().split()) for cell in cells]
        elif not _is_delimiter(cells):
            named = self._columns + [""] * (len(cells) - len(self._columns))
            self.found.append(Row(number, tuple(zip(named, cells, strict=False)), text))


def _item_content(text: str) -> str | None:
    """What follows the mark of a list item and its checkbox, or None."""
    mark = text.split(None, 1)[0]
    numbered = mark[-1] in ".)" and mark[:-1].isdecimal() and len(mark) < 11
    if mark not in ("-", "*", "+") and not numbered:
        return None
    rest = text[len(mark) :].strip()
    return rest[3:].strip() if rest[:4].lower() in ("[ ] ", "[x] ") else rest


def _is_rule(text: str) -> bool:
    mark = text[0]
    return mark in "-*_" and len(text) >= 3 and text.count(mark) >= 3 and not text.replace(mark, "").strip()


def _is_delimiter(cells: list[str]) -> bool:
    return any(cells) and all(not cell.strip(":-") for cell in cells) and any("-" in cell for cell in cells)


def split_row(text: str) -> list[str]:
    """The cells of a table row; `\\|` is a pipe, not a border."""
    whole = text.replace("\\|", "\x00")
    whole = whole.removeprefix("|")
    if whole.endswith("|"):
        whole = whole[:-1]
    return [cell.strip().replace("\x00", "|") for cell in whole.split("|")]


def plain(text: str) -> str:
    """The words that a reader sees: without emphasis, code marks, targets of links, and what is struck out."""
    if "~~" in text:
        text = "".join(text.split("~~")[::2])
    if "[" in text:
        text = _links_as_text(text)
    for mark in ("**", "__", "`"):
        if mark in text:
            text = text.replace(mark, "")
    if len(text) > 2 and text[0] == text[-1] and text[0] in "*_":
        text = text[1:-1]
    return text.strip()


def _links_as_text(text: str) -> str:
    kept: list[str] = []
    at = 0
    while (middle := text.find("](", at)) >= 0:
        start = text.rfind("[", at, middle)
        end = text.find(")", middle)
        if end < 0:
            break
        if start < 0:
            kept.append(text[at : end + 1])
        else:
            kept += [text[at:start].removesuffix("!"), text[start + 1 : middle]]
        at = end + 1
    kept.append(text[at:])
    return "".join(kept)
