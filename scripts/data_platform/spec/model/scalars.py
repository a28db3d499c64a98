"""Texts that a spec may hold as numbers or truths, and which of them are the same after a round."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from data_platform.spec.document import resolve


def as_sql(value: Any) -> str:
    """A number, a truth or a text as SQL."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)


def natural(text: str, as_text: Callable[[Any], str] = as_sql) -> Any:
    """The number or truth that reads back as `text`, or `text` itself: 0 for "0", but "1.50" stays text."""
    if text == "on" and as_text(True) == "on":
        return True
    if text == "off" and as_text(False) == "off":
        return False
    value = resolve(text)
    same = isinstance(value, bool | int | float) and as_text(value) == text
    return value if same else text
