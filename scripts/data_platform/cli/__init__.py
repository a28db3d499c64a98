"""The command line: `dpe NOUN VERB`. Finds the command, runs it, and turns every ending into an exit code.

Only the module of the noun that was asked for is imported; the help for all nouns is from the table here.
"""

from __future__ import annotations

import os
import sys

from data_platform.cli.answer import Answer
from data_platform.cli.contract import Command, execute
from data_platform.record import TYPE_CHECKING, record

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from types import FrameType

FAULT = 70  # the one exit code outside the contract: a fault in dpe itself


@record
class Noun:
    """A noun, whose commands are in the module of the same name. Without verbs it is a command itself."""

    summary: str
    verbs: tuple[str, ...] = ()


NOUNS = {
    "scope": Noun(
        "who owns what in the project: the gate before all work", ("check", "init", "dependency", "message")
    ),
    "spec": Noun("the YAML that says what is wanted", ("schema", "example", "check")),
    "schema": Noun(
        "a data model as PostgreSQL DDL, proven on a real server",
        ("import", "render", "diff", "diagram", "lint", "prove"),
    ),
    "migration": Noun(
        "migrations that keep clients working", ("plan", "render", "lint", "prove", "backfill")
    ),
    "pipeline": Noun(
        "rows from files, databases and HTTP into tables, exactly once",
        ("lineage", "prove", "render", "replay", "run", "status"),
    ),
    "quality": Noun("whether rows are what they should be", ("check", "profile", "export")),
    "retrieval": Noun(
        "vectors and documents that are found again, by measurement",
        ("render", "chunk", "load", "evaluate", "tune", "diagnose", "migrate-model", "search", "prove"),
    ),
    "qdrant": Noun(
        "collections of a Qdrant server, from the same spec",
        ("plan", "apply", "load", "copy", "alias", "audit", "snapshot", "restore"),
    ),
    "storage": Noun("which system should hold the data, and why", ("select",)),
    "demo": Noun("the whole way, from a scope to a proven schema and pipeline, on the example project"),
    "doctor": Noun("what is there, what is missing, and the command that mends it"),
    "setup": Noun("build the environment ahead of its first use"),
    "test": Noun("run the package's own tests"),
}

_HELP = """\
usage: dpe NOUN VERB [arguments]

Data Platform Engineer: schemas, migrations and pipelines that ran on a real PostgreSQL before you see them.

{nouns}

`dpe NOUN --help` lists a noun's verbs, `dpe NOUN VERB --help` a verb's arguments.

exit codes: 0 done; 1 done, and something is against it; 2 usage; 3 no scope; 4 scope unclear;
            5 store not owned; 6 environment; 70 a fault in dpe itself; 130 interrupted

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
    command = find(words)
    if isinstance(command, str):
        return _not_found(words, command)
    rest = words[len(command.name.split()) :]
    return execute(command, rest) if command.quick else _terminable(lambda: execute(command, rest))


def find(words: Sequence[str]) -> Command | str:
    """The command that these words begin with, or what is wrong with them."""
    noun, *rest = words
    if noun not in NOUNS:
        return f"there is no noun {noun!r}"
    if not NOUNS[noun].verbs:
        return commands(noun)[0]
    if not rest:
        return f"{noun} needs a verb"
    if rest[0] not in NOUNS[noun].verbs:
        return f"there is no verb {rest[0]!r} of {noun}"
    return next(command for command in commands(noun) if command.verb == rest[0])


def commands(noun: str) -> tuple[Command, ...]:
    """The commands of one noun; imports its module."""
    from importlib import import_module  # noqa: PLC0415

    declared: tuple[Command, ...] = import_module(f"data_platform.cli.{noun}").COMMANDS
    return declared


def _not_found(words: list[str], what: str) -> int:
    from data_platform.errors import UsageProblem  # noqa: PLC0415

    noun, *rest = words
    known = noun in NOUNS
    names: Iterable[str] = NOUNS[noun].verbs if known else NOUNS
    near = _nearest((rest or [""])[0] if known else noun, names)
    try_ = " ".join(["dpe", *([noun] if known else []), near])
    answer = Answer(noun if known else "", as_json="--json" in words)
    return answer.fail(UsageProblem(what, expected=", ".join(names), try_=try_))


def _nearest(word: str, names: Iterable[str]) -> str:
    import difflib  # noqa: PLC0415

    return next(iter(difflib.get_close_matches(word, list(names), n=1, cutoff=0.5)), "--help")


def _listing() -> str:
    return "\n".join(
        f"  {name:<9} {noun.summary}" + (f"\n{'':12}{' | '.join(noun.verbs)}" if noun.verbs else "")
        for name, noun in NOUNS.items()
    )


def _noun_help(noun: str) -> str:
    declared = commands(noun)
    lines = [f"  {command.verb:<12} {command.summary}" for command in declared]
    head = f"usage: dpe {noun} VERB [arguments]\n\n{NOUNS[noun].summary}\n\n"
    return head + "\n".join(lines) + f"\n\nexample:\n  {declared[0].example}\n"


def _speak_utf8() -> None:
    """The protocol's text has emoji, and file names hold any bytes: a mark is better than a traceback."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(encoding="utf-8", errors="replace")


def _terminable(work: Callable[[], int]) -> int:
    """Do work that cleans up after itself when it is told to stop."""
    import signal  # noqa: PLC0415  the gate has nothing to clean up and does without

    def stop(number: int, frame: FrameType | None) -> None:
        raise Terminated("SIGTERM")

    try:
        before = signal.signal(signal.SIGTERM, stop)
    except ValueError:  # not the main thread: whoever started us handles signals
        return work()
    try:
        return work()
    finally:
        signal.signal(signal.SIGTERM, before)


def _reader_went_away() -> int:
    """`dpe … | head`: nothing is wrong, and Python must not complain when it closes stdout."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 0


def _fault(words: list[str], fault: Exception) -> int:
    """What no command foresaw: what the system refused is the environment's, the rest a fault of ours."""
    from data_platform.errors import EnvironmentProblem, Problem  # noqa: PLC0415

    if os.environ.get("DPE_DEBUG") == "1":
        import traceback  # noqa: PLC0415

        traceback.print_exception(fault)
    answer = Answer(
        " ".join(word for word in words[:2] if not word.startswith("-")), as_json="--json" in words
    )
    if isinstance(fault, OSError):
        file = str(fault.filename) if fault.filename else None
        return answer.fail(EnvironmentProblem(fault.strerror or str(fault), where=file))
    what = f"a fault in dpe itself: {type(fault).__name__}: {fault}"
    return answer.fail(Problem(what, try_="the same with DPE_DEBUG=1 to see where"), code=FAULT)
