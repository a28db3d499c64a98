"""A project's files as a detector of tools sees them: names and texts, never run, and never too many."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path, PurePosixPath

from data_platform.errors import UsageProblem

_NOT_OURS = frozenset(
    {
        *("node_modules", "venv", "env", "virtualenv", "site-packages", "vendor", "bower_components"),
        *("dist", "build", "target", "__pycache__", "tmp"),
    }
)
_MOST_FILES = 50_000
_DEEPEST = 8
_LARGEST = 1_000_000


@dataclass(frozen=True)
class Tree:
    """The files below `root`; hidden directories and those of packages and builds are left out."""

    root: Path
    app: str | None = None
    """Which application is meant, where a project has several with migrations of their own."""

    @cached_property
    def files(self) -> tuple[PurePosixPath, ...]:
        """Paths from the root, in order; at most 50,000, at most 8 directories deep."""
        return tuple(sorted(path for path, _ in zip(self._walked(), range(_MOST_FILES), strict=False)))

    def _walked(self) -> Iterator[PurePosixPath]:
        for folder, folders, names in os.walk(self.root):
            here = Path(folder).relative_to(self.root)
            deep = len(here.parts) >= _DEEPEST
            folders[:] = (
                [] if deep else sorted(f for f in folders if f not in _NOT_OURS and not f.startswith("."))
            )
            yield from (PurePosixPath(here.as_posix(), name) for name in sorted(names))

    def named(self, pattern: str) -> tuple[PurePosixPath, ...]:
        """Files whose path ends like the pattern: `alembic.ini`, `migrations/*.py`."""
        return tuple(path for path in self.files if path.match(pattern))

    def home(self, files: Iterable[PurePosixPath]) -> PurePosixPath:
        """The one directory that these migrations are in, or below."""
        folders = sorted({file.parent for file in files})
        tops = [one for one in folders if not any(other in one.parents for other in folders)]
        if len(tops) > 1:
            raise UsageProblem(
                f"migrations in {len(tops)} directories: {', '.join(map(str, tops))}",
                expected="one",
                try_="--project with the directory of one of them",
            )
        return tops[0]

    def text(self, path: PurePosixPath) -> str:
        """What a file says; nothing for one that is too long, is not there, or is no UTF-8."""
        try:
            file = self.root / path
            return file.read_text(encoding="utf-8") if file.stat().st_size <= _LARGEST else ""
        except (OSError, UnicodeDecodeError):
            return ""
