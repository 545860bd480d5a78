"""Signals that end a command: its temporary files go first, as they do after Ctrl-C."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["Ended", "tidily"]

# Those that sort sources into temporary files, or write large results beside their target. Others have
# processes of their own, which would inherit what is set here.
_COMMANDS = ("ci", "correlations", "dry-run", "explain", "plan", "suggest")
_SIGNALS = (signal.SIGTERM, signal.SIGHUP)


class Ended(KeyboardInterrupt):
    """A signal other than that of Ctrl-C came.

    Attributes:
        number: Which one.
    """

    def __init__(self, number: int) -> None:
        super().__init__()
        self.number = number


@contextmanager
def tidily(command: str) -> Iterator[None]:
    """Let SIGTERM, and SIGHUP of a terminal that is closed, end a command as Ctrl-C would; `nohup` is heeded."""
    if command not in _COMMANDS or threading.current_thread() is not threading.main_thread():
        yield
        return

    def end(number: int, _frame: object) -> None:
        raise Ended(number)

    mine = [each for each in _SIGNALS if signal.getsignal(each) is signal.SIG_DFL]
    for each in mine:
        signal.signal(each, end)
    try:
        yield
    finally:
        for each in mine:
            signal.signal(each, signal.SIG_DFL)
