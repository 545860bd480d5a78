"""Real Prometheus and Alertmanager, on loopback, with the shipped configuration but for addresses and the pace."""

import json
import os
import queue
import socketserver
import subprocess
import threading
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import yaml

from adapters.redis_server import free_port

DOCKER = Path(__file__).resolve().parents[2] / "docker"


def ask(address: str) -> Any:
    """The JSON that an address answers."""
    with urllib.request.urlopen(address, timeout=30) as answer:
        return json.load(answer)


def wait_until(holds: Callable[[], Any], what: str) -> Any:
    """Ask until there is an answer; the pause between two looks is no part of what is tested."""
    pause, seen = threading.Event(), "nothing"
    for _ in range(1_200):
        with suppress(OSError, urllib.error.URLError):
            seen = holds()
            if seen:
                return seen
        pause.wait(0.05)
    raise AssertionError(f"never came: {what}, but {seen}")


@contextmanager
def program(*words: object, environ: dict[str, str] | None = None) -> Iterator[None]:
    """A server that runs until the end of the block."""
    process = subprocess.Popen(
        list(map(str, words)),
        env={**os.environ, **(environ or {})},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        yield
    finally:
        process.terminate()
        process.wait(30)


class Mailbox:
    """A mail server that takes whatever it is sent, without encryption; `got` holds the letters as text."""

    def __init__(self) -> None:
        self.got: queue.Queue[str] = queue.Queue()
        mailbox = self

        class Handler(socketserver.StreamRequestHandler):
            def handle(self) -> None:
                self.wfile.write(b"220 mail\r\n")
                letter: list[str] | None = None
                for line in self.rfile:
                    text = line.decode().rstrip("\r\n")
                    if letter is not None and text != ".":
                        letter.append(text)
                        continue
                    answer = "250 ok"
                    if letter is not None:
                        mailbox.got.put("\n".join(letter))
                        letter = None
                    elif text.upper() == "DATA":
                        answer, letter = "354 go on", []
                    elif text.upper() == "QUIT":
                        answer = "221 bye"
                    self.wfile.write(f"{answer}\r\n".encode())

        self._server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.place = f"127.0.0.1:{self._server.server_address[1]}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def wait_for(self, words: str) -> str:
        """The first letter that holds the words."""
        while True:
            letter = self.got.get(timeout=60)
            if words in letter:
                return letter

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


class Inbox:
    """A server that alerts are posted to, as a webhook and as Slack; `got` holds path, headers and body."""

    def __init__(self) -> None:
        self.got: queue.Queue[tuple[str, dict[str, str], Any]] = queue.Queue()
        self._kept: list[tuple[str, dict[str, str], Any]] = []
        inbox = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                headers = {name.lower(): value for name, value in self.headers.items()}
                inbox.got.put((self.path, headers, json.loads(body)))
                self.send_response(200)
                self.end_headers()
                self.wfile.write(b"ok")

            def log_message(self, *_: Any) -> None:
                return

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.address = f"http://127.0.0.1:{self._server.server_address[1]}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def wait_for(self, fits: Callable[[str, Any], bool]) -> tuple[str, dict[str, str], Any]:
        """The first message, of those that came or will come, that fits by its path and body."""
        for each in self._kept:
            if fits(each[0], each[2]):
                return each
        while True:
            found = self.got.get(timeout=60)
            self._kept.append(found)
            if fits(found[0], found[2]):
                return found

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


@contextmanager
def alertmanager(folder: Path, environ: dict[str, str]) -> Iterator[str]:
    """Alertmanager by the shipped script; gives its address."""
    port = free_port()
    address = f"http://127.0.0.1:{port}"
    with program(
        "sh", DOCKER / "alertmanager" / "start",
        f"--web.listen-address=127.0.0.1:{port}", f"--storage.path={folder}", "--cluster.listen-address=",
        environ={
            "ALERTMANAGER": "prometheus-alertmanager",
            "ALERT_CONFIG": str(folder / "alertmanager.yml"),
            "ALERT_SECRETS": str(folder),
            **environ,
        },
    ):  # fmt: skip
        wait_until(lambda: ask(f"{address}/api/v2/status"), "Alertmanager")
        yield address


class Prometheus:
    """A server that runs, asked by its API."""

    def __init__(self, address: str) -> None:
        self.address = address

    def query(self, expression: str) -> list[dict[str, Any]]:
        """Series with their values now; raises where the expression is wrong."""
        words = urllib.parse.urlencode({"query": expression})
        try:
            answer = ask(f"{self.address}/api/v1/query?{words}")
        except urllib.error.HTTPError as error:
            if error.code == 503:
                # It is about to start.
                raise
            raise AssertionError((expression, error.read().decode())) from None
        found: list[dict[str, Any]] = answer["data"]["result"]
        return found

    def get(self, what: str) -> Any:
        """`data` of an answer of its API."""
        return ask(f"{self.address}/api/v1/{what}")["data"]


@contextmanager
def prometheus(folder: Path, services: list[str], alerts: str) -> Iterator[Prometheus]:
    """Prometheus with the shipped configuration and rules, each second; addresses are `http://...`."""
    port = free_port()
    config = yaml.safe_load((DOCKER / "prometheus" / "prometheus.yml").read_text(encoding="utf-8"))
    config["global"] |= {
        "scrape_interval": "1s",
        "evaluation_interval": "1s",
        "scrape_timeout": "1s",
    }
    config["rule_files"] = [str(DOCKER / "prometheus" / "rules" / "*.yml")]
    places = {
        "ringfence:8000": [each.removeprefix("http://") for each in services],
        "alertmanager:9093": [alerts.removeprefix("http://")],
        "localhost:9090": [f"127.0.0.1:{port}"],
    }
    jobs = config["scrape_configs"] + config["alerting"]["alertmanagers"]
    for job in jobs:
        for group in job["static_configs"]:
            group["targets"] = [place for each in group["targets"] for place in places[each]]
    path = folder / "prometheus.yml"
    path.write_text(yaml.safe_dump(config), encoding="utf-8")
    with program(
        "prometheus", f"--config.file={path}", f"--storage.tsdb.path={folder / 'data'}",
        f"--web.listen-address=127.0.0.1:{port}",
    ):  # fmt: skip
        started = Prometheus(f"http://127.0.0.1:{port}")
        wait_until(
            lambda: len(started.query('up{job="ringfence"} == 1')) == len(services), "scrapes"
        )
        yield started
