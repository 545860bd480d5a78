"""Standard output for what is laid out by width: how wide it is, on a terminal and where there is none."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console

__all__ = ["output_console"]

# On a narrower terminal lines are broken; what is laid out for it would break words, and cut figures: `1.2…`.
_LEAST_WIDTH = 60
# Wider than any line.
_WHOLE = 1_000_000


def output_console(*, whole: bool = False) -> "Console":
    """Return a console on standard output.

    Args:
        whole: Whether a line is broken or cut on a terminal alone: in a pipe or a file another program reads it.
    """
    from rich.console import Console

    console = Console()
    if whole and not console.is_terminal:
        console.width = _WHOLE
    else:
        console.width = max(console.width, _LEAST_WIDTH)
    return console
