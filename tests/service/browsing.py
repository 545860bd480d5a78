"""The dashboard in a real Chromium: pages opened as somebody, on a desk or a phone, checked while they are used."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import uvicorn

__all__ = ["CLIPPED", "VIEWS", "Browsing", "faults_at_both_widths", "running", "violations"]

CHROMIUM = Path("/usr/bin/chromium")
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
_DESK, _PHONE = {"width": 1440, "height": 900}, {"width": 390, "height": 844}
VIEWS: dict[str, dict[str, Any]] = {
    "desk": {"viewport": _DESK, "color_scheme": "light"},
    "desk dark": {"viewport": _DESK, "color_scheme": "dark"},
    "phone": {"viewport": _PHONE, "color_scheme": "light", "has_touch": True, "is_mobile": True},
    "phone dark": {
        "viewport": _PHONE,
        "color_scheme": "dark",
        "has_touch": True,
        "is_mobile": True,
    },
}
# Also what is wrong by custom only, and the size of targets, which is off by default.
_AXE = {"resultTypes": ["violations"], "rules": {"target-size": {"enabled": True}}}

#: Elements whose text is wider than they are, and that neither scroll nor shorten it on purpose.
CLIPPED = """() => [...document.querySelectorAll('main *')].filter(e => {
  const style = getComputedStyle(e);
  return e.clientWidth > 1 && e.scrollWidth > e.clientWidth + 1
    && !e.closest('svg, .chart, .table-frame, pre, input, select, textarea, .hidden')
    && style.textOverflow !== 'ellipsis' && style.display !== 'inline';
}).map(e => `${e.tagName}.${e.className}: ${e.textContent.trim().slice(0, 60)}`)"""


@contextmanager
def running(app: Any, protocol: Any = "auto") -> Iterator[str]:
    """Serve an application on a free port, in a thread; gives its address."""
    started = threading.Event()

    class Server(uvicorn.Server):
        async def startup(self, sockets: Any = None) -> None:
            await super().startup(sockets)
            started.set()

    config = uvicorn.Config(
        app, host="127.0.0.1", port=0, log_level="warning", access_log=False, ws="none",
        timeout_graceful_shutdown=1, http=protocol,
    )  # fmt: skip
    server = Server(config)
    thread = threading.Thread(target=server.run, name="service under test")
    thread.start()
    try:
        assert started.wait(60), "the server did not start"
        port = server.servers[0].sockets[0].getsockname()[1]
        yield f"http://127.0.0.1:{port}"
    finally:
        server.should_exit = True
        thread.join(30)


def violations(page: Any) -> list[str]:
    """What axe finds wrong with a page: rule, and the elements."""
    from axe_playwright_python.sync_playwright import Axe

    found = Axe().run(page, options=_AXE).response["violations"]
    return [f"{each['id']}: {[node['target'] for node in each['nodes']]}" for each in found]


def faults_at_both_widths(page: Any) -> list[str]:
    """What is wrong with a page that cannot be opened anew, as wide as a desk's screen and as a phone's."""
    found = []
    for size in (_PHONE, _DESK):
        page.set_viewport_size(size)
        found += [*violations(page), *page.evaluate(CLIPPED)]
        if page.evaluate("document.documentElement.scrollWidth > innerWidth"):
            found.append(f"wider than {size['width']} pixels")
    return found


class Browsing:
    """Opens pages; whatever a page says on the console, or asks of another origin, is kept against it."""

    def __init__(self, browser: Any, origin: str, bearer: Any) -> None:
        self.origin = origin
        self._browser, self._bearer = browser, bearer
        self._contexts: list[Any] = []
        self.complaints: list[str] = []
        self.foreign: list[str] = []

    def open(
        self,
        path: str,
        *,
        role: str = "risk-officer",
        accounts: tuple[str, ...] = (),
        view: str = "desk",
        ready: str = "main h1",
        **context: Any,
    ) -> Any:
        """A page of the dashboard, as somebody with a role (nobody, where it is empty)."""
        options = {**VIEWS[view], "timezone_id": "Europe/Berlin", "locale": "en-GB", **context}
        if role:
            options["extra_http_headers"] = self._bearer(role, *accounts)
        opened = self._browser.new_context(base_url=self.origin, **options)
        self._contexts.append(opened)
        opened.set_default_timeout(20_000)
        page = opened.new_page()
        page.on("console", lambda message: self._said(message.type, message.text))
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.on("request", lambda request: self._asked(request.url))
        page.goto(path, wait_until="load")
        page.wait_for_selector(ready)
        return page

    def _said(self, kind: str, text: str) -> None:
        # A page that is denied is told on the console, too: by Chromium, not by the page.
        if kind in ("error", "warning") and not text.startswith("Failed to load resource"):
            self.complaints.append(text)

    def _asked(self, url: str) -> None:
        if urlsplit(url).scheme != "data" and not url.startswith(self.origin + "/"):
            self.foreign.append(url)

    def close(self) -> None:
        """Close every page."""
        for each in self._contexts:
            each.close()
