"""The application of the main port, measured from outside."""

from time import perf_counter
from typing import Any

from litestar import Litestar
from litestar.types import Message, Receive, Scope, Send

from ringfence.service.api_metrics import ApiMetrics

__all__ = ["MeasuredApp"]


class MeasuredApp(Litestar):
    """An application that measures each request, also those that it has no route for.

    Its state holds the desk, and that what is measured. It ends where the answer begins: a stream of events is open for hours.
    """

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """As an ASGI application."""
        if scope["type"] == "http":
            measures: ApiMetrics = self.state["desk"].api_metrics
            await _measured(super().__call__, measures, scope, receive, send)
        else:
            await super().__call__(scope, receive, send)


async def _measured(
    app: Any, measures: ApiMetrics, scope: Scope, receive: Receive, send: Send
) -> None:
    started = perf_counter()

    async def sent(message: Message) -> None:
        if message["type"] == "http.response.start":
            measures.answered(scope, message["status"], perf_counter() - started)
        await send(message)

    measures.begin()
    try:
        await app(scope, receive, sent)
    finally:
        measures.end()
