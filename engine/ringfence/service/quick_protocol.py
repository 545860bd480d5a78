"""HTTP on a connection, where the usual request for a decision is answered as soon as its last byte is there.

A server makes an object, a task and four calls of functions that wait for every request, so that an answer may take its
time. This one takes none: it is there before the call that brought the request returns. All other requests go the server's
own way, with what was read of them.
"""

from typing import Any

from ringfence.service.access.headers import always
from ringfence.service.bounded_protocol import BoundedProtocol
from ringfence.service.quick_evaluate import MOST_BYTES, PATH, QuickAnswer, QuickEvaluate

__all__ = ["QuickProtocol"]

_PATH = PATH.encode("ascii")


class QuickProtocol(BoundedProtocol):
    """A connection of the main port.

    Args:
        quick: Answers the usual request.
        given: What uvicorn gives a protocol.
    """

    def __init__(self, quick: QuickEvaluate, **given: Any) -> None:
        super().__init__(**given)
        self._quick = quick
        self._is_quick = False
        self._body = b""
        self._dated: Any = None
        self._head = b""

    def on_message_begin(self) -> None:
        """A request begins. What the application is told of it is put together once it is to be told."""
        self.begins()
        self.url, self.headers, self.expect_100_continue = b"", [], False

    def on_headers_complete(self) -> None:
        """The headers are there; whether the body is waited for here."""
        self._is_quick = self._may_be_quick()
        if self._is_quick:
            self._body = b""
        else:
            self._begin()

    def on_body(self, body: bytes) -> None:
        """A part of the body is there."""
        if not self._is_quick:
            super().on_body(body)
            return
        self.goes_on()
        self._body += body
        if len(self._body) > MOST_BYTES:
            self._leave()

    def on_message_complete(self) -> None:
        """The whole request is there."""
        if self._is_quick:
            answer = self._quick.answer(self.headers, self._body)
            if answer is not None:
                self.is_whole()
                self._is_quick = False
                self._send(answer)
                return
            self._leave()
        super().on_message_complete()

    def shutdown(self) -> None:
        """The server stops; a request whose body is on its way is answered first."""
        if self._is_quick:
            self._leave()
        super().shutdown()

    def _may_be_quick(self) -> bool:
        """Whether nothing but the body can make the request an unusual one."""
        parser = self.parser
        return (
            self.url == _PATH
            and self._quick.is_on
            and parser.get_method() == b"POST"
            and parser.get_http_version() == "1.1"
            and parser.should_keep_alive()
            and not parser.should_upgrade()
            and not self.expect_100_continue
            and not self._is_answering()
            and not self.config.access_log
            and not self.flow.write_paused
            and not self._is_full()
        )

    def _is_answering(self) -> bool:
        """Whether an earlier request of this connection waits for its answer."""
        cycle: Any = self.cycle
        return cycle is not None and not cycle.response_complete

    def _is_full(self) -> bool:
        most = self.limit_concurrency
        return most is not None and (len(self.connections) >= most or len(self.tasks) >= most)

    def _leave(self) -> None:
        """Let the request go the server's own way."""
        self._is_quick, body = False, self._body
        self._begin()
        super().on_body(body)

    def _begin(self) -> None:
        """What the server does with a request whose headers are there."""
        read = self.url, self.headers, self.expect_100_continue
        super().on_message_begin()
        self.url, headers, self.expect_100_continue = read
        # The same list, which the application is told of.
        self.headers += headers
        super().on_headers_complete()

    def _send(self, answer: QuickAnswer) -> None:
        # The server renews them every second, for the date.
        dated = self.server_state.default_headers
        if dated is not self._dated:
            said = always(self.scheme or "", behind_proxy=self._quick.behind_proxy)
            lines = [*dated, (b"content-type", b"application/json"), *said]
            self._dated = dated
            self._head = b"HTTP/1.1 200 OK\r\n" + b"".join(b"%b: %b\r\n" % each for each in lines)
        self.transport.write(
            b"%bx-request-id: %b\r\ncontent-length: %d\r\n\r\n%b"
            % (self._head, answer.request_id.encode("ascii"), len(answer.body), answer.body)
        )
        self.on_response_complete()
