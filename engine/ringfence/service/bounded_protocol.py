"""HTTP on a connection, with bounds on what comes before anybody is asked for a token.

The server itself reads a head of any length, the slower the longer it is, and waits for a request without end. So one
stranger could hold up whoever sends orders, or keep all connections to themselves.
"""

import asyncio
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

__all__ = ["LONGEST_HEAD", "BoundedProtocol"]

#: Bytes of a request's line and headers, and of headers after a body, beside those of the first piece that came: a
#: quarter of a megabyte at most.
LONGEST_HEAD = 64 << 10
# A head has to be there after so many seconds, and a body has to go on coming.
_PATIENCE_SECONDS = 30.0


class BoundedProtocol(HttpToolsProtocol):
    """A connection that is ended where a head is too long, or a request does not come.

    Args:
        given: What uvicorn gives a protocol.
    """

    def __init__(self, **given: Any) -> None:
        super().__init__(**given)
        self._is_coming = True
        self._has_body = False
        self._head_bytes = 0
        self._patience: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Somebody connects, and has to ask for something."""
        super().connection_made(transport)
        self._wait()

    def connection_lost(self, exc: Exception | None) -> None:
        """The connection has ended."""
        self._wait_no_more()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """A piece is there. What is no body counts, but for the piece that begins a request."""
        self._head_bytes += len(data)
        self._has_body = False
        super().data_received(data)
        if self._head_bytes > LONGEST_HEAD:
            self._refuse()
        elif not self._is_coming:
            self._wait_no_more()
        elif self._has_body or self._patience is None:
            self._wait_no_more()
            self._wait()

    def on_message_begin(self) -> None:
        """A request begins."""
        self.begins()
        super().on_message_begin()

    def on_body(self, body: bytes) -> None:
        """A part of the body is there."""
        self.goes_on()
        super().on_body(body)

    def on_message_complete(self) -> None:
        """The whole request is there."""
        self.is_whole()
        super().on_message_complete()

    def begins(self) -> None:
        """Take note that a request begins."""
        self._is_coming, self._head_bytes = True, 0

    def goes_on(self) -> None:
        """Take note of a part of a body."""
        self._has_body, self._head_bytes = True, 0

    def is_whole(self) -> None:
        """Take note that a request is there."""
        self._is_coming = False

    def _refuse(self) -> None:
        if self.transport.is_closing():
            return
        self.logger.warning("the head of a request is too long")
        cycle: Any = self.cycle
        if cycle is None or cycle.response_complete:
            self.send_400_response("The head of the request is too long.")
        else:
            # In the midst of an answer nothing else can be said.
            self.transport.close()

    def _wait(self) -> None:
        if not self.transport.is_closing():
            self._patience = self.loop.call_later(_PATIENCE_SECONDS, self._give_up)

    def _wait_no_more(self) -> None:
        if self._patience is not None:
            self._patience.cancel()
            self._patience = None

    def _give_up(self) -> None:
        self._patience = None
        if self.flow.read_paused:
            # It is the service that is slow.
            self._wait()
        else:
            self.transport.close()
