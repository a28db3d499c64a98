"""`dpe doctor`: what is there, what is missing, and the command that mends it. Changes nothing."""

from __future__ import annotations

from data_platform.cli.contract import Command, Invocation, Outcome
from data_platform.record import TYPE_CHECKING, record

if TYPE_CHECKING:
    from argparse import ArgumentParser
    from collections.abc import Iterator
    from pathlib import Path

    from data_platform.environment import State

_SPACE_NEEDED = 500_000_000  # bytes: the packages with their server, and a proof's database beside them


@record
class Check:
    """One thing that was looked at. `mend` is the command that helps; what is not `needed` is advice."""

    what: str
    ok: bool
    found: str
    mend: str = ""
    needed: bool = True


def _declare(parser: ArgumentParser) -> None:
    """Nothing beyond the common options."""


def _run(invocation: Invocation) -> Outcome:
    from data_platform.environment import look  # noqa: PLC0415

    state = look()
    servers = list(_servers(state))
    checks = [
        _python(),
        _environment(state),
        *_packages(state),
        _server(servers),
        *_disk(state),
        _uv(),
        *_account(),
        _terminal(),
    ]
    lacking = [check for check in checks if check.needed and not check.ok]
    return Outcome(
        text=_text(checks, lacking),
        result={
            "python": str(state.python) if state.python else None,
            "server_versions": sorted({version for version, _ in servers}),
            "extensions": sorted({name for _, names in servers for name in names}),
            "checks": [vars(check) for check in checks],
        },
        exit_code=6 if lacking else None,
    )


def _text(checks: list[Check], lacking: list[Check]) -> str:
    verdict = (
        "everything that dpe needs is there" if not lacking else f"{len(lacking)} needed thing(s) missing"
    )
    lines = [f"# dpe doctor: {verdict}", "", "| | what | found |", "|---|---|---|"]
    for check in checks:
        mark = "ok" if check.ok else ("**missing**" if check.needed else "note")
        lines.append(f"| {mark} | {check.what} | {check.found} |")
    mends = list(dict.fromkeys(check.mend for check in checks if check.mend and not check.ok))
    if mends:
        lines += ["", "## What mends it", "", "```sh", *mends, "```"]
    return "\n".join(lines)


def _launch(*words: str) -> str:
    """A command line that starts dpe as this process was started."""
    import shlex  # noqa: PLC0415
    import sys  # noqa: PLC0415
    from pathlib import Path  # noqa: PLC0415

    script = Path(sys.argv[0])
    start = [sys.executable, str(script)] if script.name == "dpe.py" else ["dpe"]
    return shlex.join([*start, *words])


def _python() -> Check:
    import platform  # noqa: PLC0415
    import sys  # noqa: PLC0415

    return Check("Python 3.11 or newer", True, f"{platform.python_version()} at `{sys.executable}`")


def _environment(state: State) -> Check:
    if state.python is None:
        return Check("environment", False, f"not built yet; it would be `{state.place}`", _launch("setup"))
    return Check("environment", True, f"`{state.python}`")


def _packages(state: State) -> Iterator[Check]:
    for requirement, version in state.versions:
        yield Check(
            f"`{requirement}`", requirement not in state.lacking, version or "not installed", needed=False
        )


def _servers(state: State) -> Iterator[tuple[str, list[str]]]:
    """The version and the extensions of each embedded PostgreSQL."""
    for directory in state.directories:
        for server in sorted(directory.glob("*/pginstall*/bin/postgres")):
            version = _version(server)
            if version:
                controls = server.parents[1].glob("share/**/extension/*.control")
                yield version, [control.stem for control in controls]


def _version(server: Path) -> str:
    """What `postgres --version` says, or "" when it does not run on this machine."""
    import subprocess  # noqa: PLC0415

    try:
        done = subprocess.run(
            [str(server), "--version"], capture_output=True, text=True, timeout=10, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.split()[-1] if done.returncode == 0 and done.stdout.split() else ""


def _server(servers: list[tuple[str, list[str]]]) -> Check:
    if not servers:
        return Check(
            "embedded PostgreSQL",
            False,
            "none that runs here",
            _launch("setup"),
        )
    shown = "; ".join(f"{version} with {len(names)} extensions" for version, names in servers)
    return Check("embedded PostgreSQL", True, shown)


def _disk(state: State) -> Iterator[Check]:
    import os  # noqa: PLC0415
    import shutil  # noqa: PLC0415

    from data_platform.environment import home  # noqa: PLC0415

    place = home()
    existing = next(path for path in (place, *place.parents) if path.exists())
    needed = state.python is None
    elsewhere = f"DPE_HOME=/a/writable/directory {_launch('setup')}"
    writable = existing.is_dir() and os.access(existing, os.W_OK | os.X_OK)
    yield Check(
        "cache directory",
        writable,
        f"`{place}`{'' if writable else ', not writable'}",
        elsewhere,
        needed=needed,
    )
    free = shutil.disk_usage(existing).free
    enough = free >= _SPACE_NEEDED
    yield Check("free disk", enough, f"{free / 1e9:.1f} GB (0.5 GB are needed)", elsewhere, needed=needed)


def _uv() -> Check:
    import shutil  # noqa: PLC0415

    path = shutil.which("uv")
    return Check(
        "uv",
        path is not None,
        f"`{path}`" if path else "not on PATH; pip is used, which is slower",
        needed=False,
    )


def _account() -> Iterator[Check]:
    """Root is worth a word: PostgreSQL refuses to run as root."""
    import os  # noqa: PLC0415

    if not hasattr(os, "geteuid") or os.geteuid() != 0:
        return
    import pwd  # noqa: PLC0415

    try:
        pwd.getpwnam("nobody")
    except KeyError:
        yield Check(
            "an account for the server",
            False,
            "this is root, and there is no account `nobody`",
            "useradd nobody",
        )
    else:
        yield Check("an account for the server", True, "this is root; the embedded server runs as `nobody`")


def _terminal() -> Check:
    import sys  # noqa: PLC0415

    shown = "yes: progress is shown" if sys.stderr.isatty() else "no: progress is not shown"
    return Check("terminal", True, shown, needed=False)


COMMANDS = (
    Command(
        noun="doctor",
        verb=None,
        summary="what is there, what is missing, and the command that mends it",
        example="dpe doctor --json",
        declare=_declare,
        run=_run,
        gated=False,
        needs_environment=False,
    ),
)
