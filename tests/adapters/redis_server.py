"""Real Redis servers for tests: started on a free port, killed, paused and restarted; and a proxy that loses answers."""

import contextlib
import queue
import random
import signal
import socket
import subprocess
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import redis

from ringfence.adapters.state_redis import RedisSettings
from ringfence.errors import StateError
from ringfence.runtime.credentials import Secret

PASSWORD = "correct horse battery staple"


def free_port() -> int:
    """A port that nothing listens on, and that the system gives to no outgoing connection meanwhile."""
    while True:
        # Not what two processes of tests, seeded alike, would draw alike.
        port = random.SystemRandom().randrange(20_000, 32_000)
        with socket.socket() as found, contextlib.suppress(OSError):
            found.bind(("127.0.0.1", port))
            return port


class RedisServer:
    """One server with its own directory; `options` are those of its command line, without `--`."""

    def __init__(self, folder: Path, *, password: str = PASSWORD, **options: Any) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.password = password
        self.folder = folder
        self.options: dict[str, Any] = {
            "bind": "127.0.0.1",
            "dir": folder,
            "save": "",
            "repl-diskless-sync-delay": 0,
            "repl-timeout": 5,
        } | {name.replace("_", "-"): value for name, value in options.items()}
        self._choose_ports()
        if password:
            self.options |= {"requirepass": password, "masterauth": password}
        self.process: subprocess.Popen[str] | None = None
        self._was_there = False

    def _choose_ports(self) -> None:
        self.port = self.options["port"] = free_port()
        if "cluster-enabled" in self.options:
            self.options["cluster-port"] = free_port()

    def start(self) -> "RedisServer":
        """Start it, and return once it takes connections."""
        for _ in range(5):
            words = self._words()
            self.process = subprocess.Popen(words, stdout=subprocess.PIPE, text=True)
            ready: queue.Queue[bool] = queue.Queue()
            threading.Thread(target=_drain, args=(self.process, ready), daemon=True).start()
            if ready.get(timeout=30):
                self._was_there = True
                return self
            if self._was_there:
                break
            # Somebody else may have taken a port since it was found free.
            self._choose_ports()
        raise AssertionError(f"the server did not start: {words}")

    def _words(self) -> list[str]:
        words = ["redis-server"]
        for name, value in self.options.items():
            words += [f"--{name}", *(value if isinstance(value, tuple) else (str(value),))]
        return words

    def stop(self, how: signal.Signals = signal.SIGTERM) -> None:
        """End it, kindly or not."""
        process, self.process = self.process, None
        if process is not None:
            process.send_signal(signal.SIGCONT)
            process.send_signal(how)
            process.wait(timeout=30)

    def kill(self) -> None:
        """As a loss of the machine would."""
        self.stop(signal.SIGKILL)

    @contextlib.contextmanager
    def paused(self) -> Iterator[None]:
        """It holds its connections and answers nothing."""
        assert self.process is not None
        self.process.send_signal(signal.SIGSTOP)
        try:
            yield
        finally:
            self.process.send_signal(signal.SIGCONT)

    def ask(self, *words: Any) -> Any:
        """A command of an administrator."""
        with redis.Redis(
            port=self.port, password=self.password or None, decode_responses=True
        ) as client:
            return client.execute_command(*words)

    def settings(self, **options: Any) -> RedisSettings:
        """How a guard reaches it; patient, for a test must not fail on a busy machine."""
        given: dict[str, Any] = {
            "url": f"redis://127.0.0.1:{self.port}/0",
            "password": Secret(self.password) if self.password else None,
            "timeout_ms": 5_000,
        }
        return RedisSettings(**(given | options))


def _drain(process: "subprocess.Popen[str]", ready: "queue.Queue[bool]") -> None:
    assert process.stdout is not None
    for line in process.stdout:
        if "Ready to accept connections" in line:
            ready.put(True)
    process.stdout.close()
    ready.put(False)


def wait_until(holds: Callable[[], Any], what: str) -> None:
    """Ask until it holds, and no error is raised; the pause between two looks is no part of what is tested."""
    pause = threading.Event()
    for _ in range(3_000):
        with contextlib.suppress(redis.RedisError, StateError):
            if holds():
                return
        pause.wait(0.01)
    raise AssertionError(f"never came: {what}")


class Proxy:
    """A TCP proxy before a server; its `target` may change, as behind a virtual address.

    `lose_answers`: the next connections pass requests on, and are closed when the first answer comes.
    `hold_answers`: the same, and stay open.
    """

    def __init__(self, target: int) -> None:
        self.target = target
        self.lose_answers = self.hold_answers = False
        self.lost = 0
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        self._open: set[socket.socket] = set()
        threading.Thread(target=self._accept, daemon=True).start()

    def cut(self) -> None:
        """Close every connection."""
        for each in list(self._open):
            _close(each)
        self._open.clear()

    def close(self) -> None:
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
                server = socket.create_connection(("127.0.0.1", self.target), timeout=30)
            except OSError:
                client.close()
                continue
            server.settimeout(None)
            self._open |= {client, server}
            for source, sink, answers in ((client, server, False), (server, client, True)):
                threading.Thread(
                    target=self._pass_on, args=(source, sink, answers), daemon=True
                ).start()

    def _pass_on(self, source: socket.socket, sink: socket.socket, answers: bool) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(65_536):
                if answers and self.hold_answers:
                    self.lost += 1
                    continue
                if answers and self.lose_answers:
                    self.lost += 1
                    break
                sink.sendall(data)
        _close(source)
        _close(sink)


def _close(each: socket.socket) -> None:
    with contextlib.suppress(OSError):
        each.shutdown(socket.SHUT_RDWR)
    each.close()
