"""Measured settings back into the text of a spec, everything else as it stands."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

_KEY = "settings:"
_NOTE = "  # measured by dpe retrieval tune"


def with_settings(text: str, settings: Mapping[str, Any]) -> str:
    """The spec with `settings:` replaced, or added at its end; comments and order of the rest stay."""
    given = ", ".join(f"{name}: {json.dumps(value)}" for name, value in settings.items() if value is not None)
    line = f"settings: {{{given}}}{_NOTE}\n"
    lines = text.splitlines(keepends=True)
    start = next((n for n, one in enumerate(lines) if one.startswith(_KEY)), None)
    if start is None:
        end = "" if not text or text.endswith("\n") else "\n"
        return f"{text}{end}{line}"
    stop = start + 1
    while stop < len(lines) and (lines[stop].startswith((" ", "\t")) or not lines[stop].strip()):
        stop += 1
    while stop > start + 1 and not lines[stop - 1].strip():
        stop -= 1
    return "".join([*lines[:start], line, *lines[stop:]])
