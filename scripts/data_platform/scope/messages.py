"""The exact words of the protocol, and how text from a file may be repeated."""

from __future__ import annotations

from data_platform.record import TYPE_CHECKING
from data_platform.resources import resource
from data_platform.scope.passwords import without_passwords

if TYPE_CHECKING:
    from collections.abc import Mapping

PREFIX = "[DATA_PLATFORM_ENGINEER] - "

_ECHO_LIMIT = 160


def message(name: str, values: Mapping[str, str] | None = None) -> str:
    """A message of `templates/messages/`, filled. Raises OSError when the package is incomplete."""
    with open(resource("templates", "messages", f"{name}.txt"), encoding="utf-8") as file:  # noqa: PTH123
        text = file.read().rstrip("\n")
    if values is None:
        return text
    from string import Template  # noqa: PLC0415  the gate's own message needs no filling

    return Template(text).substitute(values)


def refusal() -> str:
    """The refusal for a project without a scope."""
    return message("refusal")


def echo(text: str) -> str:
    """Text from a file or a command line to be shown: one short line, no control characters, no password.

    Backticks are dropped too, so that a code span around it holds.
    """
    window = without_passwords(text[: 8 * _ECHO_LIMIT])
    line = " ".join("".join(c if c.isprintable() and c != "`" else " " for c in window).split())
    return line if len(line) <= _ECHO_LIMIT else line[: _ECHO_LIMIT - 1] + "…"
