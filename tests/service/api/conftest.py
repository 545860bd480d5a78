"""One application for all tests of the API; each leaves its switches and policies as they were."""

import time
from collections.abc import Iterator
from typing import Any

import pytest
from litestar.testing import TestClient

from ringfence.service.access.rights import Principal, Role
from ringfence.service.app import make_app
from ringfence.service.desk import Desk
from service.desks import desk_in


class Asking:
    """Somebody who asks: `trader`, `officer`, `admin`, `viewer`, or nobody."""

    def __init__(self, client: TestClient, desk: Desk) -> None:
        self.client, self.desk = client, desk

    def __call__(
        self,
        method: str,
        path: str,
        who: str = "trader",
        accounts: tuple[str, ...] = ("alpha",),
        **given: Any,
    ) -> Any:
        headers = dict(given.pop("headers", {}))
        if who:
            role = Role.RISK_OFFICER if who == "officer" else Role(who)
            principal = Principal(f"a {who}", role, frozenset(accounts))
            headers["authorization"] = f"Bearer {self.desk.tokens.make(principal, 3600)}"
        return self.client.request(method, path, headers=headers, **given)


def quote(**changed: Any) -> dict[str, Any]:
    """Market data of now."""
    return {"timestamp": time.time_ns(), "bid": "49999", "ask": 50001, "last": "50000", **changed}


@pytest.fixture(scope="session")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    """A desk of the API's own: what it fills and books is in nobody else's way."""
    with desk_in(tmp_path_factory.mktemp("api")) as opened:
        yield opened


@pytest.fixture(scope="session")
def ask(desk: Desk) -> Iterator[Asking]:
    """Asks the application without a port."""
    with TestClient(make_app(desk)) as client:
        yield Asking(client, desk)


@pytest.fixture
def order():
    """An order that is approved."""

    def made(**changed: Any) -> dict[str, Any]:
        return {
            "account": "alpha",
            "strategy": "taker",
            "symbol": "BTC/USDT",
            "side": "buy",
            "size": "0.01",
            "price": "50000",
            **changed,
        }

    return made


@pytest.fixture
def approved(ask, order):
    """The id of an approved order of `alpha`."""
    return ask("POST", "/v1/evaluate", json=order()).json()["id"]


@pytest.fixture
def marks():
    """Marks of now."""

    def made(symbol: str = "BTC/USDT", **changed: Any) -> dict[str, Any]:
        return {"marks": [{"symbol": symbol, "market": quote(**changed)}]}

    return made
