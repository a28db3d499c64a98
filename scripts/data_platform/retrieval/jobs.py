"""The embed-and-load job as a file to run elsewhere, for bodies that one machine takes too long for."""

from __future__ import annotations

import ast
from pathlib import Path
from string import Template

from data_platform import __version__
from data_platform.resources import resource

SPARK = "load_spark.py"


def spark(name: str, spec: str, head: str) -> str:
    """The job for Spark; `spec` is the text of the spec, `head` a comment in Python."""
    template = Template(Path(resource("templates", "retrieval", f"{SPARK}.txt")).read_text(encoding="utf-8"))
    made = template.substitute(name=repr(name), spec=_lines(spec), head=head, version=__version__)
    ast.parse(made)  # a fault of ours is found here and not on the cluster
    return made


def _lines(text: str) -> str:
    """A text as a Python literal, line by line."""
    return "(\n" + "".join(f"    {line!r}\n" for line in text.splitlines(keepends=True)) + ")"
