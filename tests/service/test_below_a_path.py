"""The service below a path of a proxy, with a real proxy before it: pages, streams, forms and answers of the API."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import pytest
from pydantic import ValidationError

from ringfence.service.access.cookies import SESSION
from ringfence.service.access.rights import Role
from ringfence.service.app import make_app
from ringfence.service.below import Below
from ringfence.service.settings import ServerSettings
from ringfence.service.settings.sections import OWN_PATHS
from service.browsing import CLIPPED, Browsing, running, violations

pytestmark = pytest.mark.integration
ROOT = "/risk"
PASSWORD = "nine herons by the lake"
HOP = {b"connection", b"transfer-encoding", b"host", b"keep-alive"}


class Proxy:
    """Passes on what is below a path, with or without it; what asks for anything else is `astray`."""

    def __init__(self, behind: str, *, cuts: bool) -> None:
        self._behind, self._cuts = behind, cuts
        self.astray: list[str] = []

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            return
        path = scope["raw_path"].decode()
        if not path.startswith(f"{ROOT}/"):
            self.astray.append(path)
            await send({"type": "http.response.start", "status": 404, "headers": []})
            await send({"type": "http.response.body", "body": b""})
            return
        target = path.removeprefix(ROOT) if self._cuts else path
        if scope["query_string"]:
            target += f"?{scope['query_string'].decode()}"
        body, more = b"", True
        while more:
            message = await receive()
            body, more = body + message.get("body", b""), message.get("more_body", False)
        headers = [(name, value) for name, value in scope["headers"] if name not in HOP]
        headers.append((b"host", dict(scope["headers"])[b"host"]))
        asked = {"headers": headers, "content": body, "timeout": 60}
        async with (
            httpx.AsyncClient() as client,
            client.stream(scope["method"], self._behind + target, **asked) as answer,
        ):
            told = [(name.lower(), value) for name, value in answer.headers.raw]
            told = [each for each in told if each[0] not in HOP]
            start = {"type": "http.response.start", "status": answer.status_code, "headers": told}
            await send(start)
            async for chunk in answer.aiter_raw():
                await send({"type": "http.response.body", "body": chunk, "more_body": True})
            await send({"type": "http.response.body", "body": b""})


@contextmanager
def proxied(desk: Any, *, cuts: bool) -> Iterator[tuple[str, Proxy]]:
    with running(Below(make_app(desk), ROOT)) as behind:
        proxy = Proxy(behind, cuts=cuts)
        with running(proxy) as origin:
            yield origin, proxy


@pytest.fixture
def rosa(desk: Any) -> Iterator[str]:
    """Name of a risk officer who logs in with `PASSWORD`."""
    desk.access.users.add("rosa", Role.RISK_OFFICER, [], PASSWORD, by="test", must_change=False)
    yield "rosa"
    desk.access.users.remove("rosa")


@pytest.mark.needs("chromium", "chromium")
@pytest.mark.needs("libatomic.so.1", "libatomic1")
def test_a_person_uses_the_dashboard_below_a_path(
    chromium: Any, desk: Any, bearer: Any, rosa: str
) -> None:
    with proxied(desk, cuts=True) as (origin, proxy):
        browsing = Browsing(chromium, origin, bearer)
        page = browsing.open(f"{ROOT}/limits?orders=1", role="")
        assert page.url == f"{origin}{ROOT}/login?next=%2Flimits%3Forders%3D1"
        page.fill("#name", rosa)
        page.fill("#password", PASSWORD)
        page.click("main button")
        page.wait_for_selector("nav.pages")
        assert page.url == f"{origin}{ROOT}/limits?orders=1"
        for name in ("Overview", "Decisions", "Policies", "Dry runs", "Kill switch"):
            with page.expect_request(f"{origin}{ROOT}/live/**"):
                page.click(f"nav.pages >> text={name}")
            assert page.url.startswith(f"{origin}{ROOT}/")
            assert page.locator("nav.pages [aria-current]").inner_text() == name
        page.click("#reduce-firm")
        page.fill("#reason", "a drill")
        page.click("text=Go on to confirm")
        page.click("text=Set to reducing only")
        page.wait_for_selector("text=The kill switch is set.")
        assert desk.guard.kill_switch("firm") == "reducing"
        desk.guard.set_kill_switch("firm", "active", by="test", reason="back as it was")
        # By the stream of events, through the proxy.
        page.wait_for_selector("#top-state .badge-ok")
        assert (violations(page), page.evaluate(CLIPPED)) == ([], [])
        page.click(".person summary")
        page.click("#to-password")
        page.wait_for_selector("#password-form")
        page.click(".person summary")
        page.click("text=Log out")
        page.wait_for_selector("text=Log in to Ringfence")
        assert page.url == f"{origin}{ROOT}/login"
        browsing.close()
        assert (browsing.complaints, browsing.foreign, proxy.astray) == ([], [], [])


@pytest.mark.parametrize("cuts", [True, False])
def test_addresses_lead_through_the_proxy_whether_it_cuts_its_path_off_or_not(
    desk: Any, bearer: Any, rosa: str, cuts: bool
) -> None:
    with (
        proxied(desk, cuts=cuts) as (origin, proxy),
        httpx.Client(base_url=origin, timeout=60) as client,
    ):
        client.headers["accept"] = "text/html"
        sent = client.get(f"{ROOT}/")
        assert sent.headers["location"] == f"{ROOT}/login?next=%2F"
        text = client.get(sent.headers["location"]).text
        form = text.partition('name="csrf_token" value="')[2][:64]
        given = {"csrf_token": form, "name": rosa, "password": PASSWORD, "next": "//evil.example"}
        answer = client.post(f"{ROOT}/login", data=given)
        assert answer.headers["location"] == f"{ROOT}/"
        # A second service below another path of this host keeps its own.
        assert f"{SESSION}.risk" in client.cookies
        assert client.get(f"{ROOT}/").status_code == 200
        part = client.get(f"{ROOT}/decisions/x", headers={"hx-request": "true", "cookie": ""})
        assert part.headers["hx-redirect"].startswith(f"{ROOT}/login?next=")
        described = client.get(f"{ROOT}/schema/openapi.json").json()
        assert described["servers"] == [{"url": ROOT}]
        job = client.post(f"{ROOT}/v1/audit/verify", headers=bearer("risk-officer"))
        assert job.headers["location"].startswith(f"{ROOT}/v1/audit/verify/")
        where = job.headers["location"]
        assert client.get(where, headers=bearer("viewer")).status_code == 200
        order = {"account": "alpha", "symbol": "BTC/USDT", "side": "buy", "size": "0.001"}
        decided = client.post(
            f"{ROOT}/v1/evaluate", json={**order, "price": "1"}, headers=bearer("trader", "alpha")
        )
        assert decided.status_code == 200
        assert proxy.astray == []


def test_a_path_of_the_service_itself_cannot_be_what_it_is_below(client: Any) -> None:
    own = {route.path.split("/")[1] for route in client.app.routes} - {""}
    assert own == OWN_PATHS
    for path in ("/limits", "/v1/x"):
        with pytest.raises(ValidationError, match="is a path of the service itself"):
            ServerSettings(root_path=path)
    assert ServerSettings(root_path="/desks/eu-1").root_path == "/desks/eu-1"
    for path in ("/risk/", "risk", "/a b", "//evil.example", "/a\n"):
        with pytest.raises(ValidationError):
            ServerSettings(root_path=path)
