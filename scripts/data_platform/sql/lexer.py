r"""Where psql cuts: the ends of statements, comments, `\`-commands and the rows of COPY, in the bytes of a file.

One regular expression passes over all that may hold a semicolon or a backslash without meaning; Python looks at what is
left.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

_SIMPLE_COMMENT = rb"/\*[^*/]*+(?:(?:\*(?!/)|/(?!\*))[^*/]*+)*+\*/"
_WORD = rb"[A-Za-z_\x80-\xff][A-Za-z0-9_$\x80-\xff]*+"
_FILLER = rb"""
      [^A-Za-z_\x80-\xff0-9'"$\-/;()\\]++
    | [eE]'(?:[^'\\]|\\.)*+(?:'|\\?\Z)
    | %s
    | '[^']*+(?:'|\Z)
    | "[^"]*+(?:"|\Z)
    | [0-9]++
    | \$(?P<tag>(?:[A-Za-z_\x80-\xff][A-Za-z0-9_\x80-\xff]*+)?)\$(?:.*?\$(?P=tag)\$|.*+)
    | \$
    | --[^\r\n]*+
    | -
    | %s
    | /(?!\*)
"""
"""Strings need no care for doubled quotes: 'a''b' is two of them."""

_NESTED_COMMENT = rb"/\*"
_BLOCK_WORDS = rb"(?:begin|case|end)(?![A-Za-z0-9_$\x80-\xff])"


def _jump(word: bytes, events: bytes) -> re.Pattern[bytes]:
    """Matches up to the next event, or to the end."""
    filler = _FILLER % (word, _SIMPLE_COMMENT)
    return re.compile(rb"(?:%s)*+(?P<event>%s)?" % (filler, events), re.VERBOSE | re.DOTALL | re.IGNORECASE)


_PLAIN = _jump(_WORD, rb"[;()\\]|" + _NESTED_COMMENT)
_ROUTINE = _jump(rb"(?!%s)%s" % (_BLOCK_WORDS, _WORD), rb"[;()\\]|%s|%s" % (_NESTED_COMMENT, _BLOCK_WORDS))
"""A function's body may be BEGIN ATOMIC … END, with semicolons; psql counts those words in CREATE FUNCTION only."""

_GAP = rb"(?:\s++|--[^\r\n]*+|%s)" % _SIMPLE_COMMENT
_SPACE = re.compile(rb"%s*+" % _GAP)
_CREATE_ROUTINE = re.compile(
    rb"create%s+(?:or%s+replace%s+)?(?:function|procedure)\b" % (_GAP, _GAP, _GAP), re.IGNORECASE
)
_COMMENT_MARK = re.compile(rb"/\*|\*/")
_COMMAND = re.compile(rb"\\([A-Za-z_]+[+A-Za-z0-9_]*|[!?;.\\]|)")
_ARGUMENTS = re.compile(rb"""(?:[^'"`\\\r\n]++|'(?:[^'\\\n]|\\.|'')*+'?|"[^"\n]*+"?|`[^`\n]*+`?)*+""")
_WHOLE_LINE = re.compile(rb"[^\r\n]*+")
_TO_LINE_END = (b"!", b"copy", b"ef", b"ev", b"sf", b"sv", b"h", b"help")
_SENDERS = ("g", "gx", "gset", "gexec", "gdesc", "watch", "crosstabview", "crosstabview+", "r", "reset", ";")
_END_MARK = re.compile(rb"\\\.[ \t]*\r?(?:\n|\Z)")


@dataclass(frozen=True)
class End:
    r"""Where a statement's text ends, where reading goes on, and the `\`-commands inside, which are not its text."""

    text: int
    resume: int
    ended_by: str
    inside: tuple[tuple[int, int], ...]


def end_of_statement(raw: bytes, start: int) -> End:
    """As psql finds it: the first semicolon outside brackets and outside BEGIN ATOMIC, or a command that sends."""
    jump = _ROUTINE if _CREATE_ROUTINE.match(raw, start) else _PLAIN
    position, brackets, blocks = start, 0, 0
    inside: list[tuple[int, int]] = []
    while True:
        found = jump.match(raw, position)
        event, position = (found["event"] or b"").lower(), found.end()  # type: ignore[index,union-attr]
        if event == b"":
            return End(position, position, "", tuple(inside))
        if event == b";" and brackets == blocks == 0:
            return End(position - 1, position, ";", tuple(inside))
        if event == b"(":
            brackets += 1
        elif event == b")":
            brackets = max(0, brackets - 1)
        elif event == b"/*":
            position = _comment_end(raw, position - 2)
        elif event == b"\\":
            command = position - 1
            end, position = command_end(raw, command)
            name = command_name(raw, command)
            if name in _SENDERS:
                ended_by = raw[command:end].decode(errors="replace").strip()
                return End(command, position, ended_by, tuple(inside))
            inside.append((command, end))
        elif event != b";" and not brackets:
            blocks = _depth(blocks, event)


def _depth(blocks: int, word: bytes) -> int:
    """How many END are open; CASE has one too, but matters only within BEGIN."""
    if word == b"end":
        return max(0, blocks - 1)
    return blocks + 1 if word == b"begin" or blocks else blocks


def after_space(raw: bytes, position: int) -> int:
    """Where the next thing is that is no space and no comment."""
    while True:
        position = _end(_SPACE, raw, position)
        if not raw.startswith(b"/*", position):
            return position
        position = _comment_end(raw, position)


def _comment_end(raw: bytes, start: int) -> int:
    """The end of a comment with comments in it."""
    depth = 0
    for mark in _COMMENT_MARK.finditer(raw, start):
        depth += 1 if mark[0] == b"/*" else -1
        if depth == 0:
            return mark.end()
    return len(raw)


def command_name(raw: bytes, start: int) -> str:
    r"""The name of the `\`-command at `start`, without its backslash; "" when there is none."""
    found = _COMMAND.match(raw, start)
    return found[1].decode() if found else ""


def command_end(raw: bytes, start: int) -> tuple[int, int]:
    r"""Where a `\`-command with its arguments ends, and where reading goes on (`\\` parts it from what follows)."""
    found = _COMMAND.match(raw, start)
    name, after = (found[1], found.end()) if found else (b"", start + 1)
    if name in (b";", b"\\"):
        return after, after
    if name in _TO_LINE_END:
        end = _end(_WHOLE_LINE, raw, after)
        return end, end
    end = _end(_ARGUMENTS, raw, after)
    return end, end + 2 if raw.startswith(b"\\\\", end) else end


def end_of_rows(raw: bytes, start: int) -> tuple[int, int]:
    r"""Where the rows of COPY that begin at `start` end, and where reading goes on, after the line `\.`."""
    position = start
    while not (mark := _END_MARK.match(raw, position)):
        newline = raw.find(b"\n\\.", position)
        if newline < 0:
            return len(raw), len(raw)
        position = newline + 1
    return position, mark.end()


def _end(pattern: re.Pattern[bytes], raw: bytes, position: int) -> int:
    found = pattern.match(raw, position)
    return found.end() if found else position
