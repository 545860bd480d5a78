"""Streams of events that keep a page current; see `static/js/live.js` for what each event does there."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Iterable
from typing import Any

from litestar.response import ServerSentEvent, ServerSentEventMessage

from ringfence.service.desk import Desk

__all__ = ["WATCHES", "Told", "again", "longest_s", "message", "repeated", "stream"]

# A browser keeps six connections to a service, over all its windows: where as many pages are open, the next one, or a form,
# waits until a stream ends. Of several workers another may answer then, whose numbers are others.
_LONGEST_S, _LONGEST_OF_ONE_S = 10.0, 300.0
#: Options of the routes that stream: an open page asks for them by itself.
WATCHES = {"watches": True}
Told = tuple[str, Any]
"""Name of an event, and what it holds."""


def longest_s(desk: Desk) -> float:
    """After so many seconds a stream ends, and the browser asks again."""
    return _LONGEST_S if desk.settings.server.workers == 1 else _LONGEST_OF_ONE_S


def message(name: str, about: Any) -> ServerSentEventMessage:
    """An event; what it holds is JSON, so that no text can end it early."""
    return ServerSentEventMessage(json.dumps(about, separators=(",", ":")), event=name)


def again() -> ServerSentEventMessage:
    """The last event of a stream that ends by plan: nothing is wrong, ask again."""
    return message("again", {})


def stream(events: AsyncIterator[ServerSentEventMessage]) -> ServerSentEvent:
    """The answer that streams events."""
    return ServerSentEvent(events, headers={"cache-control": "no-store"})


async def repeated(
    desk: Desk,
    make: Callable[[], Iterable[Told]],
    *,
    every_s: float,
    holds: Callable[[], bool],
) -> AsyncIterator[ServerSentEventMessage]:
    """What `make` tells, again and again, until the service stops or it was long enough.

    Args:
        desk: Whose service it is.
        make: Is called in a thread; what it gives twice in a row is sent once.
        every_s: Seconds between two looks.
        holds: Whether who looks may still come in; who may not is told nothing more.
    """
    sent: dict[str, str] = {}
    loop = asyncio.get_running_loop()
    end = loop.time() + longest_s(desk)
    while desk.phase != "stopping" and loop.time() < end and holds():
        for name, about in await asyncio.to_thread(lambda: list(make())):
            event = message(name, about)
            if sent.get(name) != event.data:
                sent[name] = str(event.data)
                yield event
        yield message("beat", {})
        await asyncio.sleep(every_s)
    yield again()
