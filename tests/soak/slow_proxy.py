"""A TCP proxy that can be slow, or away: what a network and a server behind it may be."""

import contextlib
import socket
import threading
import time


class SlowProxy:
    """Passes connections on to a port of this machine.

    Attributes:
        delay_s: Every piece waits for so long, either way.
        away: Connections are closed at once.
    """

    def __init__(self, target: int) -> None:
        self.target, self.delay_s, self.away = target, 0.0, False
        self._open: set[socket.socket] = set()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        threading.Thread(target=self._accept, daemon=True).start()

    def leave(self) -> None:
        """Close every connection, and each one that comes."""
        self.away = True
        self.cut()

    def cut(self) -> None:
        """Close every connection."""
        for each in list(self._open):
            self._end(each)

    def close(self) -> None:
        """End it."""
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self.cut()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            try:
                if self.away:
                    raise OSError
                server = socket.create_connection(("127.0.0.1", self.target), timeout=5)
                server.settimeout(None)
            except OSError:
                client.close()
                continue
            for each in (client, server):
                each.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._open |= {client, server}
            for source, sink in ((client, server), (server, client)):
                threading.Thread(target=self._pass_on, args=(source, sink), daemon=True).start()

    def _pass_on(self, source: socket.socket, sink: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(65_536):
                if self.delay_s:
                    time.sleep(self.delay_s)
                sink.sendall(data)
        for each in (source, sink):
            self._end(each)

    def _end(self, each: socket.socket) -> None:
        self._open.discard(each)
        with contextlib.suppress(OSError):
            each.shutdown(socket.SHUT_RDWR)
        each.close()
