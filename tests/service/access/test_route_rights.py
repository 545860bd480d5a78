"""Every route against every role, through the real doors: middleware and guards run, the routes themselves do not."""

import re
from collections.abc import Iterator
from typing import Any

import pytest
from litestar.response.base import ASGIResponse
from litestar.routes import HTTPRoute
from litestar.testing import TestClient

from ringfence.service.access.cookies import SESSION
from ringfence.service.access.rights import Principal, Role
from ringfence.service.app import make_app
from ringfence.service.desk import Desk
from service.access.people import HTTPS, person
from service.route_rights import OPEN, ROUTES

pytestmark = [pytest.mark.integration, pytest.mark.security]
REACHED = 299
READS = ("GET", "HEAD")


def routes_of(desk: Desk) -> dict[str, Any]:
    """Every route by method and path, with its handler."""
    app = make_app(desk)
    # It is never started, and so never stopped.
    app.state.answers.close()
    found: dict[str, Any] = {}
    for route in app.routes:
        assert isinstance(
            route, HTTPRoute
        ), f"{route.path} is no plain route: put it into the table"
        for method, (handler, _) in route.route_handler_map.items():
            # Litestar answers with the methods that there are, and nothing else.
            if method != "OPTIONS":
                found[f"{method} {route.path_format}"] = handler
    return found


@pytest.fixture(scope="module")
def doors(desk: Desk) -> Iterator[TestClient]:
    """The application, of which no route does anything."""

    async def reached(*_: Any, **__: Any) -> ASGIResponse:
        return ASGIResponse(status_code=REACHED, body=b"")

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(HTTPRoute, "_get_response_for_request", reached)
        with TestClient(make_app(desk), base_url=HTTPS) as client:
            client.follow_redirects = False
            yield client


def asked(doors: TestClient, route: str, **headers: str) -> int:
    """The status of a request to a route, with something in each place of its path."""
    method, path = route.split()
    path = re.sub(r"\{[^}]+\}", "x", path)
    return doors.request(method, path, headers=headers).status_code


def test_options_tell_the_methods_and_nothing_else(desk: Desk) -> None:
    with TestClient(make_app(desk)) as client:
        answer = client.options("/v1/users")
    assert answer.status_code == 204
    assert not answer.content
    assert "access-control-allow-origin" not in answer.headers


def test_every_route_stands_in_the_table(desk: Desk) -> None:
    there = set(routes_of(desk))

    assert (
        sorted(there - ROUTES.keys() - OPEN) == []
    ), "say who gets in: tests/service/route_rights.py"
    assert sorted((ROUTES.keys() | OPEN) - there) == [], "these routes are gone"


def test_every_route_says_what_it_needs(desk: Desk) -> None:
    for route, handler in routes_of(desk).items():
        rights = [each for each in handler.resolve_guards() if hasattr(each, "right")]
        if route in OPEN:
            assert not rights, route
            assert handler.opt.get("open") or route.startswith("GET /schema"), route
        else:
            assert len(rights) == 1, route
            assert not handler.opt.get("open"), route


@pytest.mark.parametrize("role", list(Role))
def test_each_role_gets_where_it_may_and_nowhere_else(
    desk: Desk, doors: TestClient, role: Role
) -> None:
    token = desk.tokens.make(Principal("somebody", role, frozenset({"alpha"})), 600)
    accounts = ["alpha"] if role is Role.TRADER else []
    kept, key = desk.access.api_keys.make(f"doors-{role}", role, accounts, 10**12, "a test")
    try:
        for shown in (token, key.reveal()):
            got = {
                route
                for route in ROUTES
                if asked(doors, route, authorization=f"Bearer {shown}") == REACHED
            }
            assert got == {route for route, roles in ROUTES.items() if role in roles}
            refused = {
                asked(doors, route, authorization=f"Bearer {shown}")
                for route in ROUTES.keys() - got
            }
            assert refused <= {403}
    finally:
        desk.access.api_keys.revoke(kept.id)


@pytest.mark.parametrize("role", [each for each in Role if each is not Role.MARKET_DATA])
def test_a_session_gets_as_far_and_changes_nothing_without_its_form(
    desk: Desk, doors: TestClient, role: Role
) -> None:
    accounts = ("alpha",) if role is Role.TRADER else ()
    user = desk.access.users.find(person(desk, f"doors-{role}", role, accounts))
    assert user is not None
    text = desk.access.sessions.begin(user)
    found = desk.access.sessions.find(text)
    assert found is not None
    cookie = f"__Host-{SESSION}={text}"

    for route, roles in ROUTES.items():
        bare = asked(doors, route, cookie=cookie)
        with_form = {"cookie": cookie, "x-csrf-token": found[1].csrf}
        other = {"cookie": cookie, "x-csrf-token": "0" * 64}
        reads = route.split()[0] in READS
        assert bare == (REACHED if role in roles and reads else 403), route
        assert asked(doors, route, **with_form) == (REACHED if role in roles else 403), route
        if not reads:
            assert asked(doors, route, **other) == 403, route


def test_nobody_gets_in_but_where_it_is_open(desk: Desk, doors: TestClient) -> None:
    expired = desk.tokens.make(Principal("somebody", Role.ADMIN), -3_600)
    good = desk.tokens.make(Principal("somebody", Role.ADMIN), 600)
    shown = [
        {},
        {"authorization": f"Bearer {expired}"},
        {"authorization": f"Bearer {good[:-2]}"},
        {"authorization": f"Basic {good}"},
        {"authorization": good},
        {"authorization": "Bearer rfk_000000000000_" + "0" * 64},
        {"cookie": f"__Host-{SESSION}={'0' * 64}"},
        {"cookie": f"__Host-{SESSION}={good}"},
        {"x-forwarded-user": "admin", "x-remote-user": "admin"},
        {"x-http-method-override": "GET"},
    ]
    for route in ROUTES:
        answers = [asked(doors, route, **headers) for headers in shown]
        desk.access.requests._limiter.storage.reset()
        assert set(answers) == {401}, (route, answers)
    assert {asked(doors, route) for route in OPEN} == {REACHED}
