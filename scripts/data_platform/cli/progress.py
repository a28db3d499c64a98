"""One line of progress on a terminal's stderr; silence where nobody watches."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn


@contextmanager
def progress(first: str) -> Iterator[Callable[[str, float], None]]:
    """Gives a function to call with what is being done and the share done, 0 … 1. The line is gone at the end."""
    console = Console(stderr=True)
    if not console.is_terminal:
        yield lambda _what, _share: None
        return
    columns = (TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task(first, total=1.0)

        def step(what: str, share: float) -> None:
            # A table's name is the user's text: not markup.
            bar.update(task, description=what.replace("[", r"\["), completed=share)

        yield step
