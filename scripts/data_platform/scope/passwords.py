"""Passwords in URLs: which lines hold one, and text without them."""

from __future__ import annotations

from data_platform.scope.markdown import visible

_STANDS_FOR_ONE = "$<{[*%"  # `postgres://u:$PASSWORD@host` and the like hold no password


def lines_with_password(text: str) -> tuple[int, ...]:
    """The lines of running text in which a URL carries a password."""
    if "://" not in text or "@" not in text:
        return ()
    return tuple(
        number for number, line in visible(text) if "://" in line and without_passwords(line) != line
    )


def without_passwords(text: str) -> str:
    """`postgres://user:secret@host` becomes `postgres://user:***@host`. One pass, whatever the text."""
    kept: list[str] = []
    at = 0
    while (found := text.find("://", at)) >= 0:
        start = found + 3
        kept.append(text[at:start])
        at = start
        authority = _authority(text, start)
        user, at_sign, _ = authority.rpartition("@")
        name, colon, password = user.partition(":")
        if at_sign and colon and password and password[0] not in _STANDS_FOR_ONE:
            kept.append(f"{name}:***@")
            at = start + len(user) + 1
    kept.append(text[at:])
    return "".join(kept)


def _authority(text: str, start: int) -> str:
    """`user:password@host` up to a slash or a space; a hostile line cannot make it long."""
    window = text[start : start + 2_000]
    for end, character in enumerate(window):
        if character in "/?#|`\"'<>" or character.isspace():
            return window[:end]
    return window
