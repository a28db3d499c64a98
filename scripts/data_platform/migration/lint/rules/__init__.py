"""Every rule, and which of them are asked about which kind of statement."""

from __future__ import annotations

from functools import lru_cache

from data_platform.migration.lint.rules import clients, constraints, data, indexes, rewrites, style, waiting
from data_platform.migration.lint.rules.rule import Rule

_ROOMS = (rewrites, constraints, indexes, waiting, clients, data, style)

RULES: tuple[Rule, ...] = tuple(
    found for room in _ROOMS for found in vars(room).values() if isinstance(found, Rule)
)

OF_FILES = {
    "syntax-error": "PostgreSQL's grammar does not read this; the rest of the file is looked at all the same.",
    "psql-command-not-read": "What psql does by itself is no SQL, and what it includes or runs is not looked at.",
    "dynamic-sql-not-read": "SQL that is put together while it runs cannot be looked at before.",
    "suppression-without-reason": "A finding is left out only where somebody says why.",
    "suppression-unused": "A comment that answers for nothing hides what comes next.",
}
"""What is said of a file rather than of a statement, by name, with the reason."""


@lru_cache(maxsize=4096)
def asked(kind: str, commands: frozenset[int], *, work: bool, locks: bool) -> tuple[Rule, ...]:
    """The rules that look at a statement of this kind, with these commands, that does work or takes locks."""
    return tuple(rule for rule in RULES if rule.concerns(kind, commands, work=work, locks=locks))
