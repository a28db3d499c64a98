"""Where environments are kept, and which of them belongs to this Python and this pyproject.toml."""

from __future__ import annotations

import hashlib
import os
import sys
from collections.abc import Iterable
from pathlib import Path

from data_platform.environment.requirements import Project, missing


def home() -> Path:
    """`$DPE_HOME`, else a directory of ours in the user's cache. Does not create it."""
    if chosen := os.environ.get("DPE_HOME"):
        return Path(chosen).expanduser().absolute()
    return _cache() / "data-platform-engineer"


def _cache() -> Path:
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local")
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches"
    return Path(os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache"))  # noqa: PTH111  never raises


def directory(project: Project, extras: Iterable[str]) -> Path:
    """The environment's place; another Python, another pyproject.toml or another extra is another place."""
    digest = hashlib.sha256("\n".join([project.digest, *sorted(extras)]).encode()).hexdigest()
    return home() / f"{sys.implementation.cache_tag}-{digest[:12]}"


def python_in(environment: Path) -> Path:
    """The environment's interpreter."""
    return environment / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python")


def packages_in(environment: Path) -> Path:
    """The environment's site-packages."""
    version = f"python{sys.version_info[0]}.{sys.version_info[1]}"
    return environment / ("Lib" if sys.platform == "win32" else f"lib/{version}") / "site-packages"


def is_ready(environment: Path, project: Project, extras: Iterable[str]) -> bool:
    """Whether the environment is there and has everything."""
    if not python_in(environment).exists():  # also when the Python that it was made from is gone
        return False
    return not missing(project.wants(extras), [str(packages_in(environment))])


def remembered_extras(project: Project) -> tuple[str, ...]:
    """The extras of earlier `dpe setup --extra`, as far as the project still has them."""
    try:
        names = _extras_file().read_text(encoding="utf-8").split()
    except (OSError, UnicodeDecodeError):
        return ()
    return tuple(sorted(set(names) & set(project.extras)))


def remember_extras(extras: Iterable[str]) -> None:
    """Let later environments have these extras. Raises OSError."""
    aside = _extras_file().with_suffix(f".{os.getpid()}")
    aside.write_text("\n".join(sorted(extras)) + "\n", encoding="utf-8")
    aside.replace(_extras_file())


def _extras_file() -> Path:
    return home() / "extras"
