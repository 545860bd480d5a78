"""The usual request for a decision is answered before the framework: as the whole application would answer it."""

import json
import time
from typing import Any

import pytest
from litestar.testing import TestClient

from ringfence import MarketData
from ringfence.service.desk import Desk
from ringfence.service.quick_evaluate import QuickEvaluate

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


def body(**changed: Any) -> bytes:
    return json.dumps({**ORDER, **changed}).encode()


USUAL = {
    "an order": (body(), {}, "trader"),
    "numbers instead of text": (body(size=0.001, price=5e4), {}, "trader"),
    "of no known symbol": (body(symbol="NO/SUCH"), {}, "trader"),
    "with market data": (body(market={"timestamp": 1, "bid": "1", "ask": None}), {}, "admin"),
    "with a request id": (body(), {"x-request-id": "mine-1"}, "trader"),
    "with a charset": (body(), {"content-type": "application/json; charset=utf-8"}, "trader"),
    "of an admin": (body(), {}, "admin"),
}
OTHERS = {
    "no JSON": (b"{", {}, "trader"),
    "an empty body": (b"", {}, "trader"),
    "an unknown key": (body(colour="red"), {}, "trader"),
    "a key twice": (body()[:-1] + b', "side": "sell"}', {}, "trader"),
    "a size that is none": (body(size="1e999999"), {}, "trader"),
    "a market price that is none": (body(market={"timestamp": 1, "bid": "x"}), {}, "admin"),
    "market data of a trader": (body(market={"timestamp": 1, "bid": "1"}), {}, "trader"),
    "too long a body": (body(strategy="x" * 9_000), {}, "trader"),
    "another media type": (body(), {"content-type": "text/plain"}, "trader"),
    "another account": (body(account="beta"), {}, "trader"),
    "a role without the right": (body(), {}, "viewer"),
    "nobody": (body(), {"authorization": ""}, "trader"),
    "a wrong token": (body(), {"authorization": "Bearer x.y.z"}, "trader"),
    "a name that is too bad": (body(), {"x-request-id": "two words"}, "trader"),
}


def asked(client: TestClient, case: tuple[bytes, dict[str, str], str], bearer: Any) -> Any:
    content, headers, role = case
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


@pytest.fixture
def quick(client: TestClient, desk: Desk) -> QuickEvaluate:
    client.get("/health")
    found: QuickEvaluate = client.app.state["quick"]
    # A fresh price: no reason then tells how old it is.
    desk.guard.on_mark("BTC/USDT", MarketData(49_999, 50_001, 50_000, time.time_ns()))
    return found


@pytest.mark.parametrize("case", [*USUAL, *OTHERS])
def test_either_way_gives_the_same_answer(
    client: TestClient,
    bearer: Any,
    quick: QuickEvaluate,
    monkeypatch: pytest.MonkeyPatch,
    case: str,
) -> None:
    first = asked(client, (USUAL | OTHERS)[case], bearer)
    monkeypatch.setattr(quick, "_is_quick", False)
    second = asked(client, (USUAL | OTHERS)[case], bearer)

    assert shown(first) == shown(second)
    if case == "with a request id":
        assert first.headers["x-request-id"] == "mine-1"


@pytest.mark.parametrize("case", [*USUAL, *OTHERS])
def test_only_the_usual_request_is_answered_before_the_framework(
    client: TestClient,
    bearer: Any,
    quick: QuickEvaluate,
    monkeypatch: pytest.MonkeyPatch,
    case: str,
) -> None:
    went_on = []
    app = quick._app

    async def counted(*given: Any) -> None:
        went_on.append(case)
        await app(*given)

    monkeypatch.setattr(quick, "_app", counted)
    asked(client, (USUAL | OTHERS)[case], bearer)

    # A name that is not taken over is no reason to go on.
    assert bool(went_on) == (case in OTHERS and case != "a name that is too bad")
