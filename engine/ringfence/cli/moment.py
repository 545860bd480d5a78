"""`--now`, the time by which a command judges windows and reviews, and `--timeout`, how long it waits."""

import argparse
from typing import TYPE_CHECKING

from ringfence.errors import InputError

if TYPE_CHECKING:
    from ringfence.runtime.ports import Clock

__all__ = ["add_now", "now_given", "seconds_given"]

_LONGEST = 86_400


def add_now(parser: argparse.ArgumentParser) -> None:
    """Add `--now` to a command."""
    parser.add_argument(
        "--now",
        metavar="TIME",
        help="the time by which windows and reviews are judged, such as 2026-01-31T08:00:00Z; now where not given",
    )


def now_given(given: argparse.Namespace, clock: "Clock | None" = None) -> int:
    """The time that was given, or the clock's, in ns since 1970.

    Raises:
        InputError: what was given is no time, or lies outside of 1970 to 2262.
    """
    if given.now is None:
        from ringfence.runtime.ports import SYSTEM_CLOCK

        return (clock or SYSTEM_CLOCK).now_ns()
    from ringfence.language.gates import ALWAYS, to_ns

    try:
        moment = to_ns(given.now)
    except ValueError as error:
        raise InputError(str(error), fix="write --now 2026-01-31T08:00:00Z") from None
    if not 0 <= moment < ALWAYS[1]:
        raise InputError(
            f"`{given.now}` lies outside of 1970 to 2262", fix="name a time in between"
        )
    return moment


def seconds_given(given: argparse.Namespace) -> float:
    """The seconds of `--timeout`.

    Raises:
        InputError: they are none, or more than a day's.
    """
    seconds = float(given.timeout)
    if not 0 < seconds <= _LONGEST:
        raise InputError(f"`--timeout {seconds:g}` is no number of seconds", fix="give 10, or 0.5")
    return seconds
