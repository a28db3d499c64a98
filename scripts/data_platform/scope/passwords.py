"""Passwords in URLs and settings: which lines hold one, and text without them.

To find a line is to blame it, so only what a URL surely means as a password counts there. To hide is another matter:
a password that was not percent-encoded may hold slashes, and then everything up to the last `@` goes.
"""

from __future__ import annotations

from data_platform.record import TYPE_CHECKING
from data_platform.scope.markdown import visible

if TYPE_CHECKING:
    import re
    from collections.abc import Callable

_WINDOW = 2_000  # a hostile line cannot make it long

_SETTING_NAMES = ("password", "passwd", "pwd")
_SETTING = (
    rf"""((?:{"|".join(_SETTING_NAMES)})\s{{0,20}}=\s{{0,20}})('(?:[^'\\]|\\.)*'?|"(?:[^"\\]|\\.)*"?|\S+)"""
)


def lines_with_password(text: str) -> tuple[int, ...]:
    """The lines of running text in which a URL carries a password."""
    if "://" not in text or ("@" not in text and not _has_setting(text)):
        return ()
    return tuple(number for number, line in visible(text) if "://" in line and _blamed(line))


def without_passwords(text: str) -> str:
    """`postgres://user:secret@host` becomes `postgres://user:***@host`, and `password=secret` `password=***`."""
    return _without_settings(_without_users(text, ":/", _to_space))


def _blamed(line: str) -> bool:
    return _without_settings(_without_users(line, "://", _authority)) != line


def _without_users(text: str, sign: str, until: Callable[[str, int], str]) -> str:
    """Hide what stands between `user:` and the last `@` of each piece of text that follows `sign`."""
    kept: list[str] = []
    at = 0
    while (found := text.find(sign, at)) >= 0:
        start = found + len(sign)
        while text[start : start + 1] == "/":
            start += 1
        kept.append(text[at:start])
        at = start
        user, at_sign, _ = until(text, start).rpartition("@")
        name, colon, password = user.partition(":")
        if at_sign and colon and "/" not in name and _is_one(password):
            kept.append(f"{name}:***@")
            at = start + len(user) + 1
    kept.append(text[at:])
    return "".join(kept)


def _authority(text: str, start: int) -> str:
    """`user:password@host` up to a slash or a space."""
    window = text[start : start + _WINDOW]
    for end, character in enumerate(window):
        if character in "/?#|`\"'<>" or character.isspace():
            return window[:end]
    return window


def _to_space(text: str, start: int) -> str:
    window = text[start : start + _WINDOW]
    return "" if window[:1].isspace() or not window else window.split(None, 1)[0]


def _has_setting(text: str) -> bool:
    lower = text.lower()
    return "=" in text and any(name in lower for name in _SETTING_NAMES)


def _without_settings(text: str) -> str:
    if not _has_setting(text):
        return text
    import re  # noqa: PLC0415  the gate does without, where there is nothing to hide

    return re.sub(_SETTING, _hidden, text, flags=re.IGNORECASE)


def _hidden(found: re.Match[str]) -> str:
    return f"{found[1]}***" if _is_one(found[2].strip("'\"")) else found[0]


def _is_one(text: str) -> bool:
    """Not for `$PASSWORD`, `<password>`, `%PASSWORD%` and the like; `%40x` is a percent-encoded one."""
    stands_for_one = text.startswith(("$", "<", "{", "[", "*", "%(", "%{")) or text[:1] == text[-1:] == "%"
    return bool(text) and not stands_for_one
