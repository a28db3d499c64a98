"""References with the databases that their SQL blocks run in."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from data_platform.postgres.server import Server

from .blocks import read_blocks
from .play import Document, open_document


@pytest.fixture(scope="module")
def document(server: Server) -> Iterator[Callable[[Path], Document]]:
    """`document(path)` opens a Markdown file, and closes the one before: two may make roles of the same name."""
    opened: dict[Path, Document] = {}
    with ExitStack() as stack:

        def open_at(path: Path) -> Document:
            if path not in opened:
                stack.close()
                opened.clear()
                opened[path] = stack.enter_context(open_document(server, read_blocks(path)))
            return opened[path]

        yield open_at
