"""The usual request for a decision is answered on the connection itself: as the application would answer it."""

import json
import socket
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from typing import Any

import httpx
import pytest

from ringfence import MarketData
from ringfence.service.access.opened import Access
from ringfence.service.app import make_app
from ringfence.service.desk import Desk
from ringfence.service.quick_evaluate import MOST_BYTES, QuickAnswer, QuickEvaluate
from ringfence.service.quick_protocol import QuickProtocol
from service.browsing import running

pytestmark = pytest.mark.integration

ORDER = {
    "account": "alpha",
    "strategy": "taker",
    "symbol": "BTC/USDT",
    "side": "buy",
    "type": "limit",
    "size": "0.001",
    "price": "50000",
}
JSON = {"content-type": "application/json"}
# Of each decision its own.
OWN = ("id", "decided_ns", "decided_at", "request_id")


class Noting(QuickEvaluate):
    """Counts what is answered here; may be switched off."""

    answered = 0

    def answer(self, headers: list[tuple[bytes, bytes]], body: bytes) -> QuickAnswer | None:
        found = super().answer(headers, body)
        self.answered += found is not None
        return found


@pytest.fixture(scope="module")
def quick(desk: Desk) -> Noting:
    return Noting(desk)


@pytest.fixture(scope="module")
def address(desk: Desk, quick: Noting) -> Iterator[str]:
    with running(make_app(desk), partial(QuickProtocol, quick)) as found:
        yield found


@pytest.fixture
def asking(address: str, quick: Noting, desk: Desk) -> Iterator[httpx.Client]:
    quick.answered, quick.is_on = 0, True
    # It is due once in half a minute, and then comes first.
    desk.access.takes_upkeep()
    # A fresh price: no reason then tells how old it is.
    desk.guard.on_mark("BTC/USDT", MarketData(49_999, 50_001, 50_000, time.time_ns()))
    with httpx.Client(base_url=address) as opened:
        yield opened


def body(**changed: Any) -> bytes:
    return json.dumps({**ORDER, **changed}).encode()


USUAL = {
    "an order": (body(), {}, "trader"),
    "numbers instead of text": (body(size=0.001, price=5e4), {}, "trader"),
    "of no known symbol": (body(symbol="NO/SUCH"), {}, "trader"),
    "with market data": (body(market={"timestamp": 1, "bid": "1", "ask": None}), {}, "admin"),
    "with a request id": (body(), {"x-request-id": "mine-1"}, "trader"),
    "a name that is too bad": (body(), {"x-request-id": "two words"}, "trader"),
    "with a charset": (body(), {"content-type": "application/json; charset=utf-8"}, "trader"),
    "of an admin": (body(), {}, "admin"),
}
OTHERS = {
    "no JSON": (b"{", {}, "trader"),
    "no Unicode": (body(strategy="\ud800"), {}, "trader"),
    "an empty body": (b"", {}, "trader"),
    "an unknown key": (body(colour="red"), {}, "trader"),
    "a key twice": (body()[:-1] + b', "side": "sell"}', {}, "trader"),
    "a size that is none": (body(size="1e999999"), {}, "trader"),
    "a market price that is none": (body(market={"timestamp": 1, "bid": "x"}), {}, "admin"),
    "market data of a trader": (body(market={"timestamp": 1, "bid": "1"}), {}, "trader"),
    "too long a body": (body(strategy="x" * MOST_BYTES), {}, "trader"),
    "another media type": (body(), {"content-type": "text/plain"}, "trader"),
    "another account": (body(account="beta"), {}, "trader"),
    "a role without the right": (body(), {}, "viewer"),
    "nobody": (body(), {"authorization": ""}, "trader"),
    "a wrong token": (body(), {"authorization": "Bearer x.y.z"}, "trader"),
    "the last of its connection": (body(), {"connection": "close"}, "trader"),
    "a client that waits before its body": (body(), {"expect": "100-continue"}, "trader"),
}


def ask(client: httpx.Client, case: str, bearer: Any) -> httpx.Response:
    content, headers, role = (USUAL | OTHERS)[case]
    sent = {**JSON, **bearer(role, "alpha"), **headers}
    return client.post("/v1/evaluate", content=content, headers=sent)


def shown(answer: Any) -> tuple[Any, ...]:
    """All of an answer but for what is its own."""
    headers = {
        name: "" if name in ("x-request-id", "content-length", "date") else value
        for name, value in answer.headers.items()
    }
    told = answer.json()
    return answer.status_code, headers, {name: told[name] for name in told if name not in OWN}


@pytest.mark.parametrize("case", [*USUAL, *OTHERS])
def test_either_way_gives_the_same_answer(
    asking: httpx.Client, bearer: Any, quick: Noting, case: str
) -> None:
    first = ask(asking, case, bearer)
    was_quick = bool(quick.answered)
    quick.is_on = False
    second = ask(asking, case, bearer)

    assert shown(first) == shown(second)
    assert was_quick == (case in USUAL)
    if case == "with a request id":
        assert first.headers["x-request-id"] == "mine-1"
    if case in USUAL:
        for each in (first, second):
            path = f"/v1/decisions/{each.json()['id']}"
            told = asking.get(path, headers=bearer("admin")).json()["record"]
            assert told["request_id"] == each.headers["x-request-id"]


@pytest.mark.usefixtures("asking")
def test_requests_that_are_sent_at_once_are_answered_in_their_order(
    address: str, bearer: Any, quick: Noting
) -> None:
    """Usual ones and others, behind each other on one connection."""
    paths = ["/v1/evaluate", "/v1/decisions", "/v1/evaluate", "/v1/evaluate", "/v1/decisions"]
    sent = b""
    for number, path in enumerate(paths):
        head = {**JSON, **bearer("admin"), "host": "x", "x-request-id": f"number-{number}"}
        content = body() if path == "/v1/evaluate" else b""
        head["content-length"] = str(len(content))
        method = "POST" if content else "GET"
        lines = [f"{method} {path} HTTP/1.1", *(f"{name}: {value}" for name, value in head.items())]
        sent += "\r\n".join(lines).encode() + b"\r\n\r\n" + content

    given = b""
    with socket.create_connection(("127.0.0.1", httpx.URL(address).port or 0), 10) as connection:
        # In two parts that end within a request.
        for part in (sent[: len(sent) // 2], sent[len(sent) // 2 :]):
            connection.sendall(part)
        while given.count(b"x-request-id: number-") < len(paths):
            more = connection.recv(65_536)
            assert more
            given += more

    places = [given.index(f"x-request-id: number-{number}".encode()) for number in range(5)]
    assert places == sorted(places)
    assert quick.answered >= 1


@pytest.mark.parametrize(("blanks", "answered"), [(0, 1), (2 * MOST_BYTES, 0)])
def test_bodies_that_come_in_pieces_are_read_whole_and_too_long_ones_by_the_application(
    asking: httpx.Client, bearer: Any, quick: Noting, blanks: int, answered: int
) -> None:
    content = body() + b" " * blanks
    pieces = (content[at : at + 100] for at in range(0, len(content), 100))
    headers = {**JSON, **bearer("trader", "alpha")}
    answer = asking.post("/v1/evaluate", content=pieces, headers=headers)

    assert answer.json()["decision"] in ("APPROVE", "REDUCE_SIZE", "REJECT")
    assert quick.answered == answered


def test_behind_a_proxy_with_tls_either_way_tells_browsers_to_come_by_it(
    desk: Desk, bearer: Any
) -> None:
    server = desk.settings.server.model_copy(update={"behind_proxy": True})
    settings = desk.settings.model_copy(update={"server": server})
    there = replace(desk, settings=settings)
    quick = Noting(there)
    # What is due comes first, and is answered by the application.
    desk.access.takes_upkeep()
    said = []
    with running(make_app(there), partial(QuickProtocol, quick)) as found, httpx.Client(
        base_url=found
    ) as client:  # fmt: skip
        for is_on in (True, False):
            quick.is_on = is_on
            said.append(ask(client, "an order", bearer).headers["strict-transport-security"])

    assert quick.answered == 1
    assert said == ["max-age=63072000; includeSubDomains"] * 2


def test_what_is_answered_at_once_is_measured_as_everything_else(
    asking: httpx.Client, bearer: Any, desk: Desk
) -> None:
    def counted() -> int:
        labels = {"method": "POST", "route": "/v1/evaluate", "status": "2xx"}
        found = next(
            each for each in desk.api_metrics.metrics() if each.name.endswith("request_seconds")
        )
        return sum(sum(each.value.counts) for each in found.samples if each.labels == labels)

    before = counted()
    ask(asking, "an order", bearer)
    assert counted() == before + 1


@pytest.mark.usefixtures("asking")
def test_many_connections_at_once_get_their_own_answers(address: str, bearer: Any) -> None:
    wrong: list[str] = []

    def work(name: str) -> None:
        headers = {**JSON, **bearer("trader", "alpha")}
        with httpx.Client(base_url=address) as client:
            for number in range(20):
                own = f"{name}-{number}"
                found = client.post(
                    "/v1/evaluate", content=body(client_order_id=own), headers=headers
                )
                if found.json()["client_order_id"] != own:
                    wrong.append(own)

    threads = [threading.Thread(target=work, args=(f"conn{each}",)) for each in range(4)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert wrong == []


def test_who_asks_in_the_usual_way_alone_keeps_nothing_from_being_written_and_recorded(
    asking: httpx.Client, bearer: Any, desk: Desk, quick: Noting, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept: list[int] = []
    monkeypatch.setattr(Access, "keep_up", lambda _: kept.append(quick.answered))
    for _ in range(2):
        desk.access._kept_up_at -= 60.0
        for _ in range(3):
            assert ask(asking, "an order", bearer).status_code == 200
    # Once in its time, by a request that the application answers; the others are answered at once.
    assert kept == [0, 2]
    assert quick.answered == 4
