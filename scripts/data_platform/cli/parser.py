"""Command lines read with argparse: the common options, the command's own, and a help with an example."""

from __future__ import annotations

import argparse
import re
from collections.abc import Sequence
from functools import partial
from types import SimpleNamespace
from typing import NoReturn

from data_platform.cli.contract import Command
from data_platform.errors import UsageProblem


class Parser(argparse.ArgumentParser):
    """argparse, but a mistake is a `UsageProblem` that says which --help to read."""

    def error(self, message: str) -> NoReturn:
        """Raise instead of printing and exiting."""
        raise UsageProblem(message, try_=f"{self.prog} --help")


def parser_of(command: Command) -> Parser:
    """The argument parser of one command."""
    parser = Parser(
        prog=f"dpe {command.name}",
        description=command.summary,
        epilog=f"example:\n  {command.example}",
        formatter_class=partial(argparse.RawDescriptionHelpFormatter, width=100),
        allow_abbrev=False,
    )
    common = parser.add_argument_group("common options")
    common.add_argument("--project", metavar="DIR", default=".", help="the user's project (default: here)")
    common.add_argument("--json", action="store_true", help="one JSON document on stdout")
    if command.gated:
        common.add_argument("--store", metavar="NAME", help="the data store this is for; it must be owned")
    command.declare(parser)
    return parser


def parse(command: Command, argv: Sequence[str]) -> SimpleNamespace:
    """The arguments. Raises `UsageProblem`; `--help` prints and raises `SystemExit`."""
    if command.passthrough and not {"-h", "--help"}.intersection(argv):
        argv = ["--", *argv]
    parser = parser_of(command)
    arguments, unknown = parser.parse_known_args(argv, SimpleNamespace())
    if unknown:
        parser.error(f"unrecognized arguments: {_without_values(unknown)}")
    return arguments


def _without_values(words: Sequence[str]) -> str:
    """The options among these words, without the values beside them, which may be passwords."""
    options = [found[0] for word in words if (found := re.match(r"--?[A-Za-z][A-Za-z0-9-]*", word))]
    values = len(words) - len(options)
    return ", ".join([*options, *([f"{values} more"] if values else [])])
