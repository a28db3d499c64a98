"""Clean-up that happens: once, whole, and however the block or the process ends, save by SIGKILL."""

from __future__ import annotations

import atexit
import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType


@contextmanager
def afterwards(cleanup: Callable[[], None]) -> Iterator[None]:
    """Call `cleanup` once: when the block ends, however it ends, or else when the interpreter does."""
    owner = os.getpid()
    done = False

    def once() -> None:
        nonlocal done
        if done or os.getpid() != owner:  # a fork of us leaves the block too, but what we made is not its own
            return
        with uninterrupted():
            done = True  # an interpreter that ends also closes the generators that were left open
            atexit.unregister(once)
            cleanup()

    atexit.register(once)
    try:
        yield
    finally:
        once()


@contextmanager
def uninterrupted() -> Iterator[None]:
    """Hold back Ctrl-C and SIGTERM until the block is done, then let the first of them act."""
    if threading.current_thread() is not threading.main_thread():  # only there Python acts on signals
        yield
        return
    held: list[int] = []

    def hold(number: int, _frame: FrameType | None) -> None:
        held.append(number)

    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    for number in before:
        signal.signal(number, hold)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler or signal.SIG_DFL)
        if held:
            signal.raise_signal(held[0])
