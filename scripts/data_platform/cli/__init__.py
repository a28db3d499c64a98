"""The command line: `dpe NOUN VERB`. Finds the command, runs it, and turns every ending into an exit code.

Only the module of the noun that was asked for is imported, and `--help` for all of them comes from the table here.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from data_platform.cli.contract import FAULT, Answer, Command, execute
from data_platform.errors import UsageProblem
from data_platform.record import TYPE_CHECKING, record

if TYPE_CHECKING:
    from types import FrameType


@record
class Noun:
    """A noun's summary and verbs; its commands are in the module of the same name. No verbs: the noun is the command."""

    summary: str
    verbs: tuple[str, ...] = ()


NOUNS = {
    "scope": Noun(
        "who owns what in the project: the gate before all work", ("check", "init", "dependency", "message")
    ),
    "spec": Noun("the YAML that says what is wanted", ("schema", "example", "check")),
    "schema": Noun(
        "a data model as PostgreSQL DDL, proven on a real server", ("render", "diagram", "lint", "prove")
    ),
    "demo": Noun("the whole way, from a scope to a proven schema, on the example project"),
    "doctor": Noun("what is there, what is missing, and the command that mends it"),
    "setup": Noun("build the environment ahead of its first use"),
    "test": Noun("run the package's own tests"),
}

_HELP = """\
usage: dpe NOUN VERB [arguments]

Data Platform Engineer: schemas, migrations and pipelines that ran on a real PostgreSQL before you see them.

{nouns}

`dpe NOUN --help` lists a noun's verbs, `dpe NOUN VERB --help` a verb's arguments.

exit codes: 0 done; 1 done, and something is against it; 2 usage; 3 no scope; 4 scope unclear; 5 store not owned;
            6 environment; 70 a fault in dpe itself; 130 interrupted

example:
  dpe scope check --store "Customer DB"
"""


class Terminated(KeyboardInterrupt):
    """SIGTERM, raised like Ctrl-C so that servers are stopped and half-written files removed."""


def entry_point() -> None:
    """The installed `dpe`."""
    sys.exit(main())


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command line (default: this process's); returns the exit code and raises nothing."""
    words = list(sys.argv[1:] if argv is None else argv)
    _speak_utf8()
    try:
        with _termination_as_exception():
            code = _dispatch(words)
            sys.stdout.flush()
            return code
    except SystemExit as done:  # argparse, after --help
        return done.code if isinstance(done.code, int) else 0
    except BrokenPipeError:
        return _reader_went_away()
    except KeyboardInterrupt as interruption:
        sys.stderr.write(f"dpe: interrupted{': ' if interruption.args else ''}{interruption}\n")
        return 130
    except Exception as fault:
        return _fault(words, fault)


def _dispatch(words: list[str]) -> int:
    match words:
        case [] | ["-h" | "--help" | "help", *_]:
            sys.stdout.write(_HELP.format(nouns=_listing()))
            return 0
        case ["--version", *_]:
            from data_platform import __version__  # noqa: PLC0415

            sys.stdout.write(f"dpe {__version__}\n")
            return 0
        case [noun, "-h" | "--help"] if noun in NOUNS and NOUNS[noun].verbs:
            sys.stdout.write(_noun_help(noun))
            return 0
    try:
        command, rest = find(words)
    except UsageProblem as problem:
        return Answer(" ".join(words[:1]), as_json="--json" in words).fail(problem)
    return execute(command, rest)


def find(words: Sequence[str]) -> tuple[Command, list[str]]:
    """The command that these words begin with, and the words after it.

    Raises `UsageProblem`, with the nearest name, when there is none.
    """
    noun, *rest = words
    if noun not in NOUNS:
        raise UsageProblem(
            f"there is no noun {noun!r}", expected=", ".join(NOUNS), try_=_nearest(noun, NOUNS, "dpe")
        )
    verbs = NOUNS[noun].verbs
    if not verbs:
        return commands(noun)[0], rest
    if not rest or rest[0] not in verbs:
        what = f"there is no verb {rest[0]!r} of {noun}" if rest else f"{noun} needs a verb"
        near = _nearest(rest[0] if rest else "", verbs, f"dpe {noun}")
        raise UsageProblem(what, expected=", ".join(verbs), try_=near)
    return next(command for command in commands(noun) if command.verb == rest[0]), rest[1:]


def commands(noun: str) -> tuple[Command, ...]:
    """The commands of one noun; imports its module."""
    from importlib import import_module  # noqa: PLC0415

    declared: tuple[Command, ...] = import_module(f"data_platform.cli.{noun}").COMMANDS
    return declared


def _nearest(word: str, names: Sequence[str] | dict[str, Noun], prefix: str) -> str:
    import difflib  # noqa: PLC0415

    near = difflib.get_close_matches(word, list(names), n=1, cutoff=0.5)
    return f"{prefix} {near[0]}" if near else f"{prefix} --help"


def _listing() -> str:
    return "\n".join(
        f"  {name:<8} {noun.summary}" + (f"\n{'':11}{' | '.join(noun.verbs)}" if noun.verbs else "")
        for name, noun in NOUNS.items()
    )


def _noun_help(noun: str) -> str:
    declared = commands(noun)
    lines = [f"  {command.verb:<12} {command.summary}" for command in declared]
    head = f"usage: dpe {noun} VERB [arguments]\n\n{NOUNS[noun].summary}\n\n"
    return head + "\n".join(lines) + f"\n\nexample:\n  {declared[0].example}\n"


def _speak_utf8() -> None:
    """The protocol's text has emoji; a terminal that cannot show one gets a mark instead of a traceback."""
    for stream in (sys.stdout, sys.stderr):
        if (stream.encoding or "").lower() not in ("utf-8", "utf8") and hasattr(stream, "reconfigure"):
            stream.reconfigure(encoding="utf-8", errors="replace")


@contextmanager
def _termination_as_exception() -> Iterator[None]:
    def raise_it(number: int, frame: FrameType | None) -> None:
        raise Terminated("SIGTERM")

    try:
        before = signal.signal(signal.SIGTERM, raise_it)
    except ValueError:  # not the main thread: whoever started us handles signals
        yield
        return
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _reader_went_away() -> int:
    """`dpe … | head`: nothing is wrong, and Python must not complain when it closes stdout."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 0


def _fault(words: list[str], fault: Exception) -> int:
    if os.environ.get("DPE_DEBUG") == "1":
        import traceback  # noqa: PLC0415

        traceback.print_exception(fault)
    text = f"a fault in dpe itself: {type(fault).__name__}: {fault}\n  try: the same with DPE_DEBUG=1 to see where"
    name = " ".join(word for word in words[:2] if not word.startswith("-"))
    return Answer(name, as_json="--json" in words).fail_with(FAULT, text, lambda: ())
