"""A desk that is open in this process, on the shipped policies, with the clock of the machine."""

from collections.abc import Iterator
from typing import Any

import pytest
from litestar.testing import TestClient

from ringfence.service.access.rights import Principal, Role
from ringfence.service.app import make_app
from ringfence.service.desk import Desk
from service.browsing import CHROMIUM, FLAGS, Browsing, running
from service.desks import desk_in, mark_all


@pytest.fixture(scope="session")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    """An open desk with money and a price."""
    with desk_in(tmp_path_factory.mktemp("service")) as opened:
        yield opened


@pytest.fixture(autouse=True)
def fresh_prices(request: pytest.FixtureRequest) -> None:
    """Prices of now: what an earlier test has left in the books can be valued."""
    if "desk" in request.fixturenames:
        found = request.getfixturevalue("desk")
        if isinstance(found, Desk) and found.phase != "stopping":
            mark_all(found)


@pytest.fixture
def client(desk: Desk) -> Iterator[TestClient]:
    """Asks the application without a port."""
    with TestClient(make_app(desk)) as asking:
        yield asking


@pytest.fixture
def bearer(desk: Desk):
    """Headers of somebody with a role."""

    def made(role: str, *accounts: str) -> dict[str, str]:
        token = desk.tokens.make(Principal(f"a {role}", Role(role), frozenset(accounts)), 3600)
        return {"authorization": f"Bearer {token}"}

    return made


@pytest.fixture(scope="session")
def origin(desk: Desk) -> Iterator[str]:
    """Address of the application on a port of its own."""
    with running(make_app(desk)) as address:
        yield address


# Not for the whole session: while it runs, no other test can start an event loop in this thread.
@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    """A browser."""
    sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    with sync_api.sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=str(CHROMIUM), args=FLAGS)
        yield started
        started.close()


@pytest.fixture
def browsing(chromium: Any, origin: str, bearer: Any) -> Iterator[Browsing]:
    """Opens pages. In the end no page may have complained, or asked anything of another origin."""
    opened = Browsing(chromium, origin, bearer)
    yield opened
    opened.close()
    assert opened.complaints == []
    assert opened.foreign == []
