"""People who use the dashboard, as a browser would, without one."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from litestar.testing import TestClient

from ringfence.service.access.rights import Role
from ringfence.service.app import make_app
from ringfence.service.desk import Desk

PASSWORD = "seven crows on a wire"
HTTPS = "https://desk.example"
SESSION = "__Host-ringfence-session"
FORM = "__Host-ringfence-login"
_FIELD = re.compile(r'name="csrf_token" value="([0-9a-f]{64})"')


@contextmanager
def client_of(desk: Desk, base_url: str = HTTPS) -> Iterator[TestClient]:
    """A browser that follows nothing by itself."""
    with TestClient(make_app(desk), base_url=base_url) as client:
        client.follow_redirects = False
        yield client


def person(desk: Desk, name: str, role: str, accounts: tuple[str, ...] = ()) -> str:
    """Let somebody in, once for all tests."""
    if desk.access.users.find(name) is None:
        given = name, Role(role), list(accounts), PASSWORD, "a test"
        desk.access.users.add(*given, must_change=False)
    return name


def form_text(client: TestClient, page: str = "/login") -> str:
    """What the form of a page carries."""
    found = _FIELD.search(client.get(page, headers={"accept": "text/html"}).text)
    assert found is not None
    return found[1]


def log_in(client: TestClient, name: str, password: str = PASSWORD, to: str = "/") -> Any:
    """Fill in the form and send it."""
    given = {"csrf_token": form_text(client), "name": name, "password": password, "next": to}
    return client.post("/login", data=given)


def session_text(desk: Desk, client: TestClient) -> str:
    """What every form of the session carries."""
    found = desk.access.sessions.find(client.cookies[SESSION])
    assert found is not None
    return found[1].csrf
