"""A local websocket that speaks the part of Kraken's private interface (v2) that following orders needs.

Written from Kraken's documentation: tokens from `GetWebSocketsToken`, one for each connection, the channel
`executions` with its snapshot, heartbeats of the application's own kind. It breaks connections when told to.
"""

import asyncio
import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from aiohttp import WSMsgType, web

from adapters.kraken_server import KrakenServer


class KrakenSocket:
    """The websocket of one `KrakenServer`; all methods may be called from the test's thread."""

    def __init__(self, server: KrakenServer) -> None:
        self.server = server
        self.url = ""
        self.loop = asyncio.new_event_loop()
        self.used_tokens: list[str] = []
        self.subscriptions: list[dict[str, Any]] = []
        self.pings = 0
        self.refuses = self.is_silent = self.drops_at_once = False
        self.connections: set[web.WebSocketResponse] = set()
        self._subscribed: set[web.WebSocketResponse] = set()
        self._sequence = 0
        self._asked = threading.Condition()
        server.listeners.append(self.tell)

    def tell(self, report: dict[str, Any]) -> None:
        """Send a report to who has subscribed."""
        self.loop.call_soon_threadsafe(
            lambda: self.loop.create_task(self._send([report], "update"))
        )

    def wait_for_subscriptions(self, count: int) -> None:
        """Return once so many have been asked for, granted or not."""
        with self._asked:
            assert self._asked.wait_for(lambda: len(self.subscriptions) >= count, 60)

    def drop(self) -> None:
        """Break every connection, and return once that is done."""
        self._run(self._drop())

    def send(self, message: dict[str, Any]) -> None:
        """Send anything to who has subscribed."""
        self._run(self._send_all(message))

    def _run(self, work: Any) -> None:
        asyncio.run_coroutine_threadsafe(work, self.loop).result(30)

    async def _drop(self) -> None:
        for each in list(self.connections):
            transport = each._req.transport if each._req is not None else None
            if transport is not None:
                transport.abort()
        while self.connections:
            await asyncio.sleep(0.001)

    async def _send(self, reports: list[dict[str, Any]], kind: str) -> None:
        self._sequence += 1
        await self._send_all(
            {"channel": "executions", "type": kind, "data": reports, "sequence": self._sequence}
        )

    async def _send_all(self, message: dict[str, Any]) -> None:
        for each in list(self._subscribed):
            if not each.closed:
                await each.send_str(json.dumps(message))

    async def answer(self, request: web.Request) -> web.WebSocketResponse:
        """One connection, until it ends."""
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        self.connections.add(socket)
        try:
            if self.drops_at_once:
                request.transport.abort()
                return socket
            await socket.send_str(json.dumps({"channel": "status", "type": "update", "data": [{}]}))
            async for message in socket:
                if message.type is WSMsgType.TEXT:
                    await self._take(socket, json.loads(message.data))
        finally:
            self.connections.discard(socket)
            self._subscribed.discard(socket)
        return socket

    async def _take(self, socket: web.WebSocketResponse, told: dict[str, Any]) -> None:
        if told["method"] == "ping":
            self.pings += 1
            if not self.is_silent:
                await socket.send_str(json.dumps({"method": "pong"}))
        elif told["method"] == "subscribe":
            await self._subscribe(socket, told)

    async def _subscribe(self, socket: web.WebSocketResponse, told: dict[str, Any]) -> None:
        asked = told["params"]
        with self._asked:
            self.subscriptions.append({k: v for k, v in asked.items() if k != "token"})
            self._asked.notify_all()
        answer: dict[str, Any] = {"method": "subscribe", "req_id": told.get("req_id")}
        token = asked.get("token")
        if self.refuses or token not in self.server.tokens or token in self.used_tokens:
            refusal = {"success": False, "error": "ESession:Invalid session"}
            await socket.send_str(json.dumps(answer | refusal))
            return
        self.used_tokens.append(token)
        result = {"channel": asked["channel"], "snap_orders": asked.get("snap_orders", True)}
        await socket.send_str(json.dumps(answer | {"success": True, "result": result}))
        self._subscribed.add(socket)
        with self.server.lock:
            opened = [
                self.server.execution(txid, "new")
                for txid, order in self.server.orders.items()
                if order["status"] == "open"
            ]
        await self._send(opened, "snapshot")


@contextmanager
def listening(server: KrakenServer) -> Iterator[KrakenSocket]:
    """A websocket on a free port of this machine, for as long as the block runs."""
    state, ready = KrakenSocket(server), threading.Event()
    ended: list[Callable[[], None]] = []

    async def serve() -> None:
        app = web.Application()
        app.router.add_get("/v2", state.answer)
        runner = web.AppRunner(app, shutdown_timeout=0.1)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        state.url = f"ws://127.0.0.1:{runner.addresses[0][1]}/v2"
        done = asyncio.Event()
        ended.append(lambda: state.loop.call_soon_threadsafe(done.set))
        ready.set()
        await done.wait()
        await runner.cleanup()

    thread = threading.Thread(target=state.loop.run_until_complete, args=(serve(),))
    thread.start()
    assert ready.wait(30)
    try:
        yield state
    finally:
        server.listeners.remove(state.tell)
        for end in ended:
            end()
        thread.join()
        state.loop.close()
