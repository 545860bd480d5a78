"""Ports: sockets that are bound before anything else is opened, and servers on them."""

import asyncio
import contextlib
import logging
import os
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import uvicorn

from ringfence.errors import InputError, reason_of
from ringfence.service.below import Below
from ringfence.service.bounded_protocol import BoundedProtocol
from ringfence.service.settings import ServerSettings

__all__ = ["Ports", "SideServers", "TlsFiles", "bind", "make_server", "new_loop"]

_log = logging.getLogger(__name__)
_BACKLOG = 2048
_LOOK_S = 10.0


class _Server(uvicorn.Server):
    """A server that leaves the process's signals to whoever runs it."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


class Ports:
    """The three sockets of the service; a port of 0 becomes a free one.

    Raises:
        InputError: one cannot be had; says which, and what to do.
    """

    def __init__(self, server: ServerSettings) -> None:
        self._bound: list[socket.socket] = []
        try:
            self.main = self._bind(server.host, server.port, "port")
            self.metrics = self._bind(server.host, server.metrics_port, "metrics-port")
            self.health = self._bind(server.host, server.health_port, "health-port")
        except InputError:
            self.close()
            raise
        self.numbers = tuple(each.getsockname()[1] for each in self._bound)
        """Of the main port, of metrics, of health."""

    def close(self) -> None:
        """Give them back."""
        for each in self._bound:
            each.close()

    def _bind(self, host: str, port: int, flag: str) -> socket.socket:
        found = bind(host, port, flag)
        self._bound.append(found)
        return found


def bind(host: str, port: int, flag: str) -> socket.socket:
    """A socket that listens.

    Args:
        host, port: Where; a port of 0 for any.
        flag: The command's option for it, without dashes.

    Raises:
        InputError: the address is none, or the port is in use or reserved.
    """
    try:
        family, _, _, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        found = socket.socket(family, socket.SOCK_STREAM)
    except OSError as error:
        raise InputError(
            f"`{host}` is no address to listen on: {reason_of(error)}",
            "set `server.host`, for example to 127.0.0.1",
        ) from None
    try:
        found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        found.bind(address)
        found.listen(_BACKLOG)
        found.setblocking(False)
    except OSError as error:
        found.close()
        raise InputError(
            f"port {port} of {host} cannot be had: {reason_of(error)}",
            f"end what uses it, or give another with --{flag}",
        ) from None
    return found


def new_loop() -> asyncio.AbstractEventLoop:
    """The quicker loop, where it is installed."""
    try:
        import uvloop
    except ImportError:
        return asyncio.new_event_loop()
    return uvloop.new_event_loop()


def make_server(
    app: Any,
    about: ServerSettings,
    *,
    is_main: bool = True,
    log_requests: bool = False,
    protocol: Any = BoundedProtocol,
) -> uvicorn.Server:
    """A server for an application; `serve(sockets=[...])` runs it.

    Args:
        app: ASGI.
        about: The settings.
        is_main: Whether it is that of API and dashboard: with TLS, behind proxies.
        log_requests: Whether each request is a line of the log.
        protocol: What uvicorn makes for each connection; its own where nothing is said.

    Raises:
        InputError: the files for TLS cannot be used.
    """
    if is_main and about.root_path:
        app = Below(app, about.root_path)
    tls: dict[str, Any] = {}
    if is_main and about.tls_certificate and about.tls_key:
        tls = {"ssl_certfile": about.tls_certificate, "ssl_keyfile": about.tls_key}
    config = uvicorn.Config(
        app,
        http=protocol,
        log_config=None,
        access_log=log_requests,
        # Connections are counted; what is above gets 503 at once rather than an answer that is late.
        limit_concurrency=about.most_connections if is_main else None,
        timeout_keep_alive=max(1, about.keep_alive // 1_000_000_000),
        timeout_graceful_shutdown=max(1, about.stop_within // 1_000_000_000) if is_main else 1,
        proxy_headers=is_main and bool(about.trusted_proxies),
        forwarded_allow_ips=list(about.trusted_proxies),
        server_header=False,
        lifespan="auto",
        ws="none",
        **tls,
    )
    try:
        config.load()
    except OSError as error:
        # ssl.SSLError is one, too.
        raise InputError(
            f"the certificate or its key cannot be used: {error.strerror or error}",
            "name PEM files that belong together in `server.tls_certificate` and `server.tls_key`",
        ) from None
    return _Server(config)


class TlsFiles:
    """Takes over a certificate that was renewed, for connections from then on."""

    def __init__(self, server: uvicorn.Server, about: ServerSettings) -> None:
        self._context = server.config.ssl
        self._certificate, self._key = about.tls_certificate, about.tls_key
        self._seen = self._stamps()

    async def watch(self) -> None:
        """Look from time to time, for as long as the service runs."""
        while self._context is not None:
            await asyncio.sleep(_LOOK_S)
            self.look()

    def look(self) -> None:
        """Look once; files that do not belong together yet are tried again."""
        stamps = self._stamps()
        if self._context is None or stamps == self._seen or None in stamps:
            return
        try:
            # In a context of their own first: files that do not fit would leave the one in use without a key.
            for context in (ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), self._context):
                context.load_cert_chain(self._certificate or "", self._key)
        except OSError as error:
            _log.warning("the renewed certificate cannot be used yet: %s", error.strerror or error)
            return
        self._seen = stamps
        _log.info("the renewed certificate is in use")

    def _stamps(self) -> list[tuple[int, int, int] | None]:
        return [_stamp(each) for each in (self._certificate, self._key) if each]


def _stamp(path: Path) -> tuple[int, int, int] | None:
    try:
        about = os.stat(path)
    except OSError:
        return None
    return about.st_mtime_ns, about.st_ino, about.st_size


class SideServers:
    """Servers in a thread with a loop of its own, so that they answer while the main loop is busy."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._servers: list[tuple[uvicorn.Server, asyncio.Future[None]]] = []
        self._thread = threading.Thread(target=self._run, name="ringfence-side", daemon=True)
        self._thread.start()

    def serve(self, server: uvicorn.Server, bound: socket.socket) -> None:
        """Serve from now on; returns once it does."""
        self._call(lambda: self._start(server, bound))

    def close(self) -> None:
        """Stop all of them."""
        self._call(self._stop)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_forever()

    def _call(self, act: Callable[[], Any]) -> None:
        asyncio.run_coroutine_threadsafe(act(), self._loop).result()

    async def _start(self, server: uvicorn.Server, bound: socket.socket) -> None:
        running = asyncio.ensure_future(server.serve(sockets=[bound]))
        self._servers.append((server, running))
        while not server.started and not running.done():
            await asyncio.sleep(0.005)

    async def _stop(self) -> None:
        for server, _ in self._servers:
            server.should_exit = True
        await asyncio.gather(*(running for _, running in self._servers), return_exceptions=True)
