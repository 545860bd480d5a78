"""What the tests of access share: fresh counts of tries, a browser, and what the log took."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from litestar.testing import TestClient

from ringfence.runtime.audit_reader import tail
from ringfence.service.access.tries import LoginTries, Requests
from ringfence.service.desk import Desk
from service.access.people import client_of
from service.access.two_people import QUICK


@pytest.fixture(autouse=True)
def uncounted(request: pytest.FixtureRequest) -> None:
    """No test is locked out by another's tries."""
    if "desk" in request.fixturenames:
        desk: Desk = request.getfixturevalue("desk")
        desk.access.users._passwords = QUICK
        desk.access.logins = LoginTries(desk.settings.access, desk.clock)
        desk.access.requests = Requests(desk.settings.access, desk.clock)
        desk.access.records._windows.clear()


@pytest.fixture
def browser(desk: Desk) -> Iterator[TestClient]:
    """Somebody's browser, by TLS."""
    with client_of(desk) as client:
        yield client


@pytest.fixture
def recorded(desk: Desk) -> Callable[[], list[tuple[str, dict[str, Any]]]]:
    """What was recorded about access since the test began."""
    begin = desk.log.last

    def told() -> list[tuple[str, dict[str, Any]]]:
        desk.log.wait(desk.log.last)
        records = tail(desk.data / "audit", max(1, desk.log.last - begin))
        return [
            (each.kind.removeprefix("access-"), each.body)
            for each in records
            if each.sequence > begin and each.kind.startswith("access-")
        ]

    return told
