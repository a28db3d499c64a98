"""Which files may hold the scope, nearest first, and their text.

From the project upward to the repository's root: CLAUDE.md in any letter case, what it imports, and after all
of those AGENTS.md. Reading never waits and never raises: what cannot be read is a note.
"""

# ruff: noqa: PTH111, PTH113, PTH116, PTH118, PTH120, PTH123, PTH208
# os.path and not pathlib: importing pathlib would cost the gate a tenth of its time.

from __future__ import annotations

import os
import stat

from data_platform.record import TYPE_CHECKING, record
from data_platform.scope.markdown import visible

if TYPE_CHECKING:
    from collections.abc import Iterator

FILE_LIMIT = 16_000_000
_IMPORT_DEPTH = 5
_IMPORTS_PER_FILE = 200
_FILES = 100


@record
class Document:
    """A file's text with `\\n` line ends, and the directory level (0 = the project) that led to it."""

    path: str
    text: str
    level: int


class Search:
    """One search. Iterate over `documents()`; afterwards `notes` says what was passed over, and why."""

    def __init__(self, project: str | os.PathLike[str]) -> None:
        self.project = os.path.realpath(project)
        self.notes: list[str] = []
        self._depths: dict[str, int] = {}  # the smallest in which each file was reached
        self._imported: dict[str, list[str]] = {}

    def documents(self) -> Iterator[Document]:
        """Every document in the order in which they count."""
        levels = list(enumerate(_upward(self.project)))
        for level, directory in levels:
            for path in claude_files(directory):
                yield from self._with_imports(path, level)
        for level, directory in levels:
            for path in _named(directory, ("agents.md",)):
                yield from self._with_imports(path, level)

    def _with_imports(self, path: str, level: int) -> Iterator[Document]:
        """The file, then what it imports, the nearest first: so each is reached on its shortest way.

        A file that an earlier one reached on a longer way is not shown again, but followed further.
        """
        queue, queued = [(path, 0)], {path}
        for file, depth in queue:
            real = os.path.realpath(file)
            known = self._depths.get(real)
            if len(self._depths) >= _FILES if known is None else known <= depth:
                continue
            self._depths[real] = depth
            if known is None:
                text = self._text(file)
                if text is not None:
                    yield Document(file, text, level)
                self._imported[real] = _imports(file, text or "")
            if depth < _IMPORT_DEPTH:
                new = [imported for imported in dict.fromkeys(self._imported[real]) if imported not in queued]
                queued.update(new)
                queue += [(imported, depth + 1) for imported in new]

    def _text(self, path: str) -> str | None:
        try:
            data = _read(path)
        except OSError as fault:
            self.notes.append(f"{self.shown(path)} could not be read: {fault.strerror or fault}")
            return None
        if data is None:
            self.notes.append(f"{self.shown(path)} is not a file")
            return None
        if len(data) > FILE_LIMIT:
            self.notes.append(f"{self.shown(path)} was read up to {FILE_LIMIT:,} bytes")
            data = data[:FILE_LIMIT]
        return decode(data)

    def shown(self, path: str) -> str:
        """The path as seen from the project."""
        try:
            return os.path.relpath(path, self.project)
        except ValueError:  # another drive on Windows
            return path


def decode(data: bytes) -> str:
    """Text with `\\n` line ends; bytes that are not UTF-8 become replacement characters."""
    encoding = "utf-16" if data[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8"
    text = data.decode(encoding, errors="replace").removeprefix("\ufeff")
    return text.replace("\r\n", "\n").replace("\r", "\n") if "\r" in text else text


def claude_files(directory: str) -> list[str]:
    """The CLAUDE.md files of one directory, in the order in which they count."""
    shared = _named(directory, ("claude.md",))
    nested = _named(os.path.join(directory, ".claude"), ("claude.md",))
    return shared + nested + _named(directory, ("claude.local.md",))


def _named(directory: str, wanted: tuple[str, ...]) -> list[str]:
    """Files of these names in any letter case; capitals first, as `CLAUDE.md` is the usual spelling."""
    try:
        entries = os.listdir(directory)
    except OSError:
        return []
    return [os.path.join(directory, name) for name in sorted(entries) if name.lower() in wanted]


def _upward(directory: str) -> Iterator[str]:
    while True:
        yield directory
        parent = os.path.dirname(directory)
        if os.path.lexists(os.path.join(directory, ".git")) or parent == directory:
            return
        directory = parent


def _read(path: str) -> bytes | None:
    """At most a byte over the limit, or None for anything but a regular file (a FIFO would wait for ever)."""
    if not stat.S_ISREG(os.stat(path).st_mode):
        return None
    handle = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
    with open(handle, "rb") as file:
        if not stat.S_ISREG(os.fstat(handle).st_mode):
            return None
        return file.read(FILE_LIMIT + 1)


def _imports(path: str, text: str) -> list[str]:
    """The existing files that `@path` in running text names."""
    if "@" not in text:
        return []
    found: list[str] = []
    base = os.path.dirname(path)
    for _, line in visible(text):
        if "@" not in line:
            continue
        for words in line.split("`")[::2]:  # every other piece is a code span
            for word in words.split():
                if word[0] == "@" and len(word) > 1 and len(found) < _IMPORTS_PER_FILE:
                    found.append(word[1:].rstrip(".,;:!?)\"'"))
    candidates = (
        os.path.join(base, os.path.expanduser(name))
        for name in dict.fromkeys(found)
        if name and "\0" not in name
    )
    return [candidate for candidate in candidates if _is_file(candidate)]


def _is_file(path: str) -> bool:
    try:
        return os.path.isfile(path)
    except ValueError:  # a NUL byte in the name
        return False
