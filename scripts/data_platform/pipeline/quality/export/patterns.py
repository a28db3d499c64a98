"""The formats as regular expressions of Python, for tools that have nothing else. Of dates they see the shape only."""

from __future__ import annotations

from collections.abc import Mapping

_SPACE = r" \t\n\r\f\v"
PATTERNS: Mapping[str, str] = {
    "email": rf"^[^@{_SPACE}]+@[^@{_SPACE}]+\.[^@{_SPACE}]+$",
    "url": rf"^[Hh][Tt][Tt][Pp][Ss]?://[^/?#{_SPACE}][^{_SPACE}]*$",
    "uuid": r"^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$",
    "date": r"^[0-9]{4}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])$",
    "timestamp": r"^[0-9]{4}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])",
}
