"""Statements as parts of files: with semicolons, as strings of other languages, without lines that tools read."""

from __future__ import annotations

import re
from collections.abc import Iterable

from data_platform.sql.text import Sql, identifier, parse, tokens_of

_ORDER = re.compile(
    r"^[ \t]*(?:disable_ddl|(?:--|/\*)[ \t]*(?://|[-+@]|\w[\w-]*[ \t]*[:=]|liquibase|changeset|rollback|precondition"
    r"|comment|valid|ignore|property|empty|no-|disable_ddl))",
    re.IGNORECASE | re.MULTILINE,
)
"""Lines that some tool reads as an order, wherever in a statement they stand."""


def terminated(statement: Sql) -> str:
    """The statement with its semicolon, on a line of its own after a comment that lasts to the end of its line."""
    raw, tokens = tokens_of(statement)
    comment = bool(tokens) and raw[tokens[-1].start : tokens[-1].start + 2] == b"--"
    return f"{statement}\n;" if comment else f"{statement};"


def script(statements: Iterable[Sql]) -> str:
    """Statements that any reader of SQL takes apart at their semicolons."""
    return "\n".join(terminated(plain(statement)) for statement in statements)


def file(lines: Iterable[str], statements: Iterable[Sql]) -> str:
    """A file of SQL: lines above it, an empty one, and its statements."""
    return f"{commented('--', lines)}\n{script(statements)}".strip("\n") + "\n"


def commented(mark: str, lines: Iterable[str]) -> str:
    """Lines as comments, each with its line end."""
    return "".join(f"{mark} {line}".rstrip() + "\n" for line in lines)


def plain(statement: Sql) -> Sql:
    """The same statement without lines that a tool would read as an order, and without carriage returns.

    A string constant that holds such a line is written on one line, with escapes; a comment is left out.
    """
    if not _ORDER.search(statement) and "\r" not in statement:
        return statement
    raw, tokens = tokens_of(statement)
    pieces: list[bytes] = []
    done = 0
    for token in tokens:
        word = raw[token.start : token.end].decode()
        made = _replaced(word)
        if made != word:
            pieces += [raw[done : token.start], made.encode()]
            done = token.end
    rest = b"".join([*pieces, raw[done:]]).decode()
    return Sql(rest)


def _replaced(word: str) -> str:
    """A token in a form that no tool reads as an order."""
    if not _ORDER.search(word) and "\r" not in word:
        return word
    if word.startswith(("--", "/*")):
        return "\n" if "\n" in word else " "
    if word.endswith('"'):
        return identifier(
            parse(f"SELECT 1 AS {word}").stmts[0].stmt.select_stmt.target_list[0].res_target.name
        )
    if word.endswith(("'", "$")):
        constant = parse(f"SELECT {word}").stmts[0].stmt.select_stmt.target_list[0].res_target.val
        return _on_one_line(constant.a_const.sval.sval)
    return word


def _on_one_line(value: str) -> str:
    """A string constant without line ends in it."""
    for character, written in (("\\", "\\\\"), ("'", "\\'"), ("\n", "\\n"), ("\r", "\\r")):
        value = value.replace(character, written)
    return f"E'{value}'"


_ESCAPED = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]")
"""What an editor would hide or change, and what ends a line in JavaScript only."""


def python(text: str) -> str:
    """A string of Python: in three quotes and its lines as they are, where there are several."""
    escaped = _hidden(text.replace("\\", "\\\\")).replace('"', '\\"')
    if "\n" not in text:
        return f'"{escaped}"'
    lines = _hidden(text.replace("\\", "\\\\")).replace('"""', '\\"\\"\\"')
    return f'"""\n{lines}\n"""'


def javascript(text: str) -> str:
    """A template string of JavaScript, in which nothing is filled in."""
    escaped = _hidden(text.replace("\\", "\\\\")).replace("`", "\\`").replace("${", "\\${")
    return f"`{escaped}`"


def ruby(text: str, indent: str) -> str:
    """A string of Ruby at the end of a line: its lines as they are, or one line where Ruby would change them."""
    if "\n" not in text or _ESCAPED.search(text):
        escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("#", "\\#").replace("\n", "\\n")
        return f'"{_hidden(escaped)}"'
    tag, number = "SQL", 1
    while re.search(rf"^[ \t]*{tag}$", text, re.MULTILINE):
        number += 1
        tag = f"SQL{number}"
    return f"<<-'{tag}'\n{text}\n{indent}{tag}"


def _hidden(text: str) -> str:
    return _ESCAPED.sub(lambda found: f"\\u{ord(found[0]):04x}", text)
