"""Operations that cannot be, told all at once; what may only follow from another one says so."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from data_platform.model.database import Database
from data_platform.report.finding import Finding
from data_platform.spec.change import Operation
from data_platform.spec.document import Document, Path_, SpecProblem

_QUOTED = re.compile(r"[`\"]([^`\"]+)[`\"]")
"""Names in a message of ours or of the server."""


@dataclass
class Mistakes:
    """Findings by operation, in their order."""

    document: Document
    found: dict[Path_, Finding] = field(default_factory=dict)
    _missing: dict[str, Operation] = field(default_factory=dict)
    """Names that may not be there because an operation failed."""

    def add(self, operation: Operation, message: str, now: Database, key: str | None = None) -> None:
        """An operation failed; `key` is where in its body, `now` is the database without it."""
        path = (*operation.path, key) if key is not None and key in operation.body else operation.path
        named = {name.rpartition(".")[2] for name in _QUOTED.findall(message.partition("\n")[0])}
        cause = next((self._missing[name] for name in sorted(named) if name in self._missing), None)
        if cause is not None:
            line = self.document.mark(cause.path).line
            message += f"; it may be for want of `{cause.name}` in line {line}, which failed"
        self.found[operation.path] = self.document.error(
            path, "spec-operation", message, "dpe spec example change"
        )
        known = named | {table.name.name for table in now.tables}
        self._missing |= {word: operation for word in _words(operation.body) if word not in known}

    def tell(self) -> None:
        """Raises SpecProblem if there are any."""
        if self.found:
            raise SpecProblem(tuple(self.found.values()))


def _words(body: Any) -> Iterator[str]:
    """Whatever text a body has, the last part of a name with a schema."""
    if isinstance(body, dict):
        body = [*body, *body.values()]
    if isinstance(body, list):
        for one in body:
            yield from _words(one)
    elif isinstance(body, str):
        yield body.rpartition(".")[2]
