"""What the verbs of `dpe schema` share: the argument that names a model."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from argparse import ArgumentParser


def declare_model(parser: ArgumentParser) -> None:
    """MODEL.yaml."""
    parser.add_argument("model", metavar="MODEL.yaml", help="a spec of kind model")
