"""Order states from Kraken's websocket (v2, channel `executions`), by way of ccxt's.

It says that something happened to an order, and where the order stands. What a fill cost is asked of the
trade history: only there are the numbers those that a later question gives again.
"""

import asyncio
import contextlib
import threading
from collections.abc import Callable, Coroutine
from typing import Any

from ringfence.adapters.exchange_kraken.orders import STATES
from ringfence.language.orders import to_decimal
from ringfence.runtime.exchanges import OrderAck, OrderState

__all__ = ["KrakenStream"]

_FIRST_WAIT_S, _LONGEST_WAIT_S = 0.5, 30.0
_PING_MS = 6_000
_STREAM_STATES = {**STATES, "new": STATES["open"], "filled": STATES["closed"]}
_STREAM_STATES |= {"pending_new": STATES["open"], "partially_filled": STATES["open"]}


class _RefusedError(Exception):
    """Kraken took the connection, and not the subscription."""


class KrakenStream:
    """Fulfils `Watch`: a thread of its own with a connection that is made again whenever it breaks."""

    def __init__(
        self,
        url: str,
        token: Callable[[], str],
        our_name: Callable[[Any], str],
        tell: Callable[[OrderAck | None], None],
        *,
        first_wait_s: float = _FIRST_WAIT_S,
        ping_ms: int = _PING_MS,
    ) -> None:
        """Begin to connect; returns at once.

        Args:
            url: The private websocket, `wss://ws-auth.kraken.com/v2`.
            token: Gives a token for a connection, by a signed request.
            our_name: Our client order id for Kraken's.
            tell: As `Exchange.watch` takes it.
            first_wait_s: From a failure to the next try, twice as long each time, up to 30 s.
            ping_ms: How often the connection is tried; twice without an answer, and it counts as broken.
        """
        self._url, self._token, self._our_name, self._tell = url, token, our_name, tell
        self._first_wait_s, self._ping_ms = first_wait_s, ping_ms
        self._is_up = self._is_closing = False
        # Kraken tells an order's client order id when the order begins, and not always when it ends.
        self._names: dict[str, str] = {}
        self._loop = asyncio.new_event_loop()
        self._work: asyncio.Task[None] | None = None
        self._thread = threading.Thread(target=self._run, name="kraken-stream", daemon=True)
        self._thread.start()

    @property
    def is_up(self) -> bool:
        """As `Watch.is_up`."""
        return self._is_up

    def close(self) -> None:
        """As `Watch.close`; waits for a request that is under way."""
        self._is_closing = True
        with contextlib.suppress(RuntimeError):  # The loop has ended.
            self._loop.call_soon_threadsafe(self._stop)
        self._thread.join()

    def _stop(self) -> None:
        if self._work is not None:
            self._work.cancel()

    def _run(self) -> None:
        with asyncio.Runner(loop_factory=lambda: self._loop) as runner:

            async def work() -> None:
                self._work = asyncio.current_task()
                if not self._is_closing:
                    await self._connect_always()

            with contextlib.suppress(asyncio.CancelledError):
                runner.run(work())

    async def _connect_always(self) -> None:
        wait_s = self._first_wait_s
        while True:
            was_up = await self._connect()
            if was_up:
                wait_s = self._first_wait_s
            await asyncio.sleep(wait_s)
            wait_s = min(2 * wait_s, _LONGEST_WAIT_S)

    async def _connect(self) -> bool:
        """Connect once, and stay until the connection breaks; whether it ever was up."""
        was_up = False

        def up() -> None:
            nonlocal was_up
            was_up = self._is_up = True
            # The open ones are told again with their names.
            self._names.clear()
            # What happened while there was no connection has to be asked for.
            self._tell(None)

        exchange = _socket(self._url, self._ping_ms, self._ask_token, self._take, up)
        try:
            await exchange.follow()
        finally:
            self._is_up = False
            with contextlib.suppress(Exception):
                await exchange.close()
            if was_up:
                self._tell(None)
        return was_up

    async def _ask_token(self) -> str:
        # In a thread: the signed requests of one key go out one after another, with growing nonces.
        return await asyncio.get_running_loop().run_in_executor(None, self._token)

    def _take(self, report: Any) -> None:
        told = report if isinstance(report, dict) else {}
        txid = str(told.get("order_id", ""))
        name = told.get("cl_ord_id") or self._names.get(txid)
        state = _STREAM_STATES.get(str(told.get("order_status")))
        filled = to_decimal(told.get("cum_qty"))
        if name and state in (None, OrderState.WORKING):
            self._names[txid] = str(name)
        elif name:
            self._names.pop(txid, None)
        if state is None or not name or filled is None:
            # It says too little of the order: what it is about has to be asked for.
            self._tell(None)
            return
        size = to_decimal(told.get("order_qty")) or filled
        reason = str(told.get("reason") or "")
        self._tell(OrderAck(self._our_name(name), txid, state, size, filled, reason))


def _socket(
    url: str,
    ping_ms: int,
    token: Callable[[], Coroutine[Any, Any, str]],
    take: Callable[[Any], None],
    up: Callable[[], None],
) -> Any:
    # Half a second to load: only who is told of orders this way needs it.
    import ccxt.pro

    class Socket(ccxt.pro.kraken):  # type: ignore[misc]  # ccxt has no types
        """ccxt's websocket, with tokens from outside, and every report handed on as it comes.

        ccxt would collect reports until its caller asks again, and take every report of a message for what
        the first one is.
        """

        ended: asyncio.Future[None]
        is_subscribed = False

        async def load_markets(self, reload: bool = False, params: Any = None) -> Any:
            """No pairs are needed: reports name their symbol."""
            del reload, params
            return {}

        async def authenticate(self, params: Any = None) -> str:
            """A new token for each connection."""
            del params
            return await token()

        def handle_message(self, client: Any, message: Any) -> None:
            told = message if isinstance(message, dict) else {}
            if told.get("channel") == "executions":
                for report in told.get("data") or ():
                    take(report)
                return
            if told.get("method") == "subscribe":
                if told.get("success"):
                    self.is_subscribed = True
                    up()
                else:
                    self.give_up()
            super().handle_message(client, message)

        def give_up(self) -> None:
            if not self.ended.done():
                self.ended.set_exception(_RefusedError())

        async def follow(self) -> None:
            """Stay connected; returns once that has ended."""
            loop = asyncio.get_running_loop()
            self.ended = loop.create_future()
            # It subscribes, and ends once the connection breaks: no report gets as far as ccxt.
            watching = asyncio.ensure_future(self.watch_orders())
            no_answer = loop.call_later(
                _LONGEST_WAIT_S, lambda: None if self.is_subscribed else self.give_up()
            )
            try:
                await asyncio.wait({self.ended, watching}, return_when=asyncio.FIRST_COMPLETED)
            finally:
                no_answer.cancel()
                watching.cancel()
                self.ended.cancel()
                await asyncio.gather(watching, self.ended, return_exceptions=True)

    socket = Socket({"streaming": {"keepAlive": ping_ms}, "enableRateLimit": False})
    socket.urls["api"]["ws"]["privateV2"] = url
    return socket
