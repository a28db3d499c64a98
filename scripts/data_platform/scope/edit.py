"""`scope init`: the section of the answers, written into the project's claude.md, the rest left alone."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from data_platform.scope import section
from data_platform.scope.answers import Answers, CannotWrite, role_of
from data_platform.scope.decision import Located, locate
from data_platform.scope.names import ROLE, store_key
from data_platform.scope.search import FILE_LIMIT, claude_files, decode

_CONTEXT = 3  # lines around a change, as diffs show them


class Change(NamedTuple):
    """A file before and after, as bytes. `exists` is False for a file that is still to be made."""

    path: Path
    exists: bool
    before: bytes
    after: bytes

    @property
    def changes(self) -> bool:
        """Whether there is anything to write."""
        return self.before != self.after or not self.exists

    def diff(self, name: str) -> str:
        """The change as a unified diff, without control characters of the file."""
        return _diff(name, _lines(_text(self.before)), _lines(_text(self.after))) if self.changes else ""


def rendered(answers: Answers) -> str:
    """The section in the shape that the gate reads, with Data Stores."""
    ours = [store.name for store in answers.stores if store.owner is None]
    title = f"## Project Scope: {_cell(answers.project)}" if answers.project else "## Project Scope"
    parts = [
        title + "\n",
        _table(
            "Team Context",
            ("Field", "Value", "Notes"),
            [
                ("**Team**", f"`{_cell(answers.team)}`", "Lowercase, used in branch names"),
                ("**Ticket System**", f"`{answers.ticket_system}`", ""),
                ("**Main Branch**", f"`{_cell(answers.main_branch)}`", ""),
            ],
        ),
        _table(
            "Domain Ownership",
            ("Domain", "Owner Role", "Owner Name/Team", "Notes"),
            [(domain.name, domain.role, domain.owner, "") for domain in answers.domains],
        ),
        _table(
            "Active Roles on This Project",
            ("Role", "Person/Team", "Scope"),
            [(ROLE, answers.owner, ", ".join(ours)), *answers.roles],
        ),
        _table(
            "Data Stores",
            ("Store", "Engine", "Owner Role", "Owner", "Connection"),
            [
                (store.name, store.engine, role_of(store), store.owner or answers.owner, store.connection)
                for store in answers.stores
            ],
        ),
    ]
    return "\n".join(part for part in parts if part)


def _table(title: str, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    if not rows:
        return ""
    lines = [columns, ["-" * len(column) for column in columns], *rows]
    return f"### {title}\n\n" + "".join(f"| {' | '.join(map(_cell, line))} |\n" for line in lines)


def _cell(value: str) -> str:
    """A value as it may stand in a cell. Raises `CannotWrite` for line ends and other control characters."""
    if not value.isprintable():
        raise CannotWrite(f"{value!r} holds control characters", "one line of plain text")
    return value.replace("\\|", "|").replace("|", "\\|")


def plan(project: Path, answers: Answers, *, force: bool) -> Change:
    """What `scope init` would write. Reads files, writes none.

    Raises `CannotWrite` when another scope is there and `force` is not given, when the file is no text file,
    or when the gate would not read the result as the answers say.
    """
    located, _ = locate(project)
    here = located if located is not None and _belongs_here(located) else None
    path = _target(project, here)
    before = _bytes(path)
    wanted = rendered(answers)
    after = _with_section(before, wanted, here)
    change = Change(path, path.exists(), before, after)
    if here is not None and change.changes and not force:
        raise CannotWrite(
            f"{here.shown}:{here.scope.line} already holds another scope",
            "read it, look at the diff with --force --dry-run, then --force to replace it",
        )
    _verify(after, wanted, answers)
    return change


def _belongs_here(located: Located) -> bool:
    """Not a parent directory's file, nor one from elsewhere that this project's imports."""
    return located.document.level == 0 and not located.shown.startswith("..")


def _target(project: Path, here: Located | None) -> Path:
    if here is not None:
        return Path(here.document.path)
    shared = [path for path in map(Path, claude_files(str(project))) if "local" not in path.name.lower()]
    path = shared[0] if shared else project / "CLAUDE.md"
    if path.exists() and not path.is_file():
        raise CannotWrite(f"{path} is not a file", "move it away")
    if path.is_symlink() and not path.exists():
        raise CannotWrite(f"{path} is a symbolic link to nothing", "remove it, or make the file it points to")
    return path


def _bytes(path: Path) -> bytes:
    if not path.exists():
        return b""
    data = path.read_bytes()
    if data[:2] in (b"\xff\xfe", b"\xfe\xff") or b"\x00" in data or len(data) > FILE_LIMIT:
        raise CannotWrite(f"{path} is not a text file in UTF-8", "save it as UTF-8")
    return data


def _text(data: bytes) -> str:
    """Bytes as text that goes back to the same bytes."""
    return data.decode("utf-8", errors="surrogateescape")


def _lines(text: str) -> list[str]:
    """Lines with their ends, which may be `\\n`, `\\r\\n` or `\\r`."""
    return re.findall(r"[^\r\n]*(?:\r\n|\r|\n)|[^\r\n]+", text)


def _with_section(before: bytes, wanted: str, here: Located | None) -> bytes:
    lines = _lines(_text(before))
    line_end = lines[0][len(lines[0].rstrip("\r\n")) :] if lines else ""
    written = [line + (line_end or "\n") for line in wanted.splitlines()]
    if here is None or here.scope.older_convention:
        after = _appended(lines, written)
    else:
        start, end = here.scope.line - 1, min(here.scope.ends, len(lines))
        while end > start + 1 and not lines[end - 1].strip():
            end -= 1  # the empty lines before the next heading stay
        if end == len(lines) and not lines[-1].endswith(("\r", "\n")):
            written[-1] = written[-1].rstrip("\r\n")
        after = lines[:start] + written + lines[end:]
    return "".join(after).encode("utf-8", errors="surrogateescape")


def _appended(lines: list[str], written: list[str]) -> list[str]:
    """At the end after an empty line; a file without a final line end stays without one."""
    if not lines or lines == ["\ufeff"]:
        return lines + written
    line_end = written[0][len(written[0].rstrip("\r\n")) :]
    if not lines[-1].endswith(("\r", "\n")):
        return [*lines, line_end, line_end, *written[:-1], written[-1].rstrip("\r\n")]
    return [*lines, *([] if not lines[-1].strip() else [line_end]), *written]


def _verify(after: bytes, wanted: str, answers: Answers) -> None:
    """The file must say to the gate what the section alone says, and that is what the answers say."""
    alone, together = section.read(wanted), section.read(decode(after))
    if alone is None or alone.placeholders:
        raise CannotWrite("an answer still looks like a template's `[value]`", "the project's own value")
    if together is None:
        raise CannotWrite("the file ends inside code or a comment, which would hide the section", "close it")
    if _facts(together) != _facts(alone):
        raise CannotWrite("the file has a second Project Scope section", "make the two one by hand first")

    for store in answers.stores:
        key = store_key(store.name)
        read_as = {claim.ours for claim in alone.claims if key and store_key(claim.store) == key}
        if read_as != {store.owner is None}:
            raise CannotWrite(
                f"{store.name!r} would not be read back as one store with one owner",
                "a name without commas, parentheses and dashes, and unlike the other names",
            )


def _facts(scope: section.Scope) -> list[tuple[str, str, bool]]:
    return [(claim.store, claim.owner, claim.ours) for claim in scope.claims]


def _diff(name: str, before: list[str], after: list[str]) -> str:
    """One hunk from the first changed line to the last: a section is in one place."""
    head = 0
    while head < min(len(before), len(after)) and before[head] == after[head]:
        head += 1
    tail = 0
    while tail < min(len(before), len(after)) - head and before[-1 - tail] == after[-1 - tail]:
        tail += 1
    start = max(0, head - _CONTEXT)
    ending = before[len(before) - tail :][:_CONTEXT]
    old, new = before[head : len(before) - tail], after[head : len(after) - tail]
    context = before[start:head]
    spans = f"-{_span(start, context, old, ending)} +{_span(start, context, new, ending)}"
    lines = [f"--- {name}", f"+++ {name}", f"@@ {spans} @@"]
    for mark, group in ((" ", context), ("-", old), ("+", new), (" ", ending)):
        lines += [mark + _shown(line) for line in group]
    return "\n".join(lines) + "\n"


def _span(start: int, *groups: list[str]) -> str:
    count = sum(map(len, groups))
    return f"{start + 1 if count else start},{count}"


def _shown(line: str) -> str:
    bare = line.rstrip("\r\n").replace("\t", "    ")
    return "".join(character if character.isprintable() else "�" for character in bare)
