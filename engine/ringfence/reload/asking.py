"""Asking a running reloader, and waiting for what comes of it."""

import threading
import time
from pathlib import Path
from typing import Any

from ringfence.errors import InputError, reason_of
from ringfence.reload.control import Control, Request

__all__ = ["ask", "running_control"]

_LOOK_SECONDS = 0.05


def running_control(store: Path) -> Control:
    """The way to the reloader that runs on a policy store.

    Raises:
        InputError: none runs there, or this user may not look into the directory.
    """
    control = Control(store)
    # Says so where this user may not look into the directory.
    control.status()
    if not control.is_held:
        raise InputError(
            f"no reloader runs on `{store}`",
            fix="name the policy store of a guard that is running",
        )
    return control


def ask(control: Control, request: Request, seconds: float) -> dict[str, Any]:
    """Put a request where the reloader finds it, and return its answer.

    Raises:
        InputError: the directory cannot be used, or there is no answer in time.
    """
    try:
        control.ask(request)
        return _answer(control, request, seconds)
    except OSError as error:
        raise InputError(
            f"`{control.directory}` cannot be used: {reason_of(error)}",
            fix="run as the user that the guard runs as",
        ) from None


def _answer(control: Control, request: Request, seconds: float) -> dict[str, Any]:
    pause, until = threading.Event(), time.monotonic() + seconds
    try:
        while time.monotonic() < until:
            if (answer := control.answer_to(request)) is not None:
                return answer
            pause.wait(_LOOK_SECONDS)
    except BaseException:
        control.withdraw(request)
        raise
    control.withdraw(request)
    raise InputError(
        f"no answer within {seconds:g} s",
        fix="see `ringfence reload status`; give --timeout more where a set has to be compiled",
    )
