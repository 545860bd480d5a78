"""A bar for work whose parts can be counted."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

__all__ = ["Told", "counted_progress"]

Told = Callable[[int, int], None]
"""Told how many parts are done, and how many there are."""


@contextmanager
def counted_progress(what: str) -> Iterator[Told | None]:
    """A bar on standard error, where that is a terminal; None elsewhere.

    Args:
        what: What is being done, such as `proving`.
    """
    if not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

    bar = Progress(
        TextColumn(what),
        BarColumn(),
        MofNCompleteColumn(),
        console=Console(stderr=True),
        transient=True,
    )
    with bar:
        task = bar.add_task("", total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)
