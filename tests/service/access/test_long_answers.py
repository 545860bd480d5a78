"""Answers that go on for long: they end with the right to hear them."""

import time
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest

from ringfence.service.access import authentication
from ringfence.service.access.rights import Principal, Role
from ringfence.service.desk import Desk
from service.access.people import person

pytestmark = [pytest.mark.integration, pytest.mark.security]

DAY_NS = 86_400 * 1_000_000_000


def by_token(desk: Desk, at: str) -> tuple[dict[str, str], Callable[[], object]]:
    name = person(desk, f"left-by-token{at}", "viewer")
    token = desk.tokens.make(Principal(name, Role.VIEWER), 600)
    shown = {"authorization": f"Bearer {token}"}
    return shown, lambda: desk.access.users.change(name, enabled=False)


def by_key(desk: Desk, at: str) -> tuple[dict[str, str], Callable[[], object]]:
    name = f"left-by-key{at}"
    _, key = desk.access.api_keys.make(name, Role.VIEWER, [], DAY_NS, "root")
    shown = {"authorization": f"Bearer {key.reveal()}"}
    return shown, lambda: desk.access.api_keys.revoke(name)


def by_session(desk: Desk, at: str) -> tuple[dict[str, str], Callable[[], object]]:
    user = desk.access.users.find(person(desk, f"left-by-session{at}", "viewer"))
    assert user is not None
    text = desk.access.sessions.begin(user)
    return {"cookie": f"ringfence-session={text}"}, lambda: desk.access.sessions.end(text)


def in_another_role(desk: Desk, at: str) -> tuple[dict[str, str], Callable[[], object]]:
    name = person(desk, f"other-role{at}", "viewer")
    user = desk.access.users.find(name)
    assert user is not None
    shown = {"cookie": f"ringfence-session={desk.access.sessions.begin(user)}"}
    return shown, lambda: desk.access.users.change(name, role=Role.TRADER, accounts=["beta"])


@pytest.fixture
def looks_always(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(authentication, "_LOOK_SECONDS", 0.0)


@pytest.fixture
def streams(origin: str) -> Iterator[httpx.Client]:
    # Shorter than the pause after which an idle stream says that it lives.
    with httpx.Client(base_url=origin, timeout=10) as opened:
        yield opened


@pytest.mark.usefixtures("looks_always")
@pytest.mark.parametrize("path", ["/v1/events/decisions", "/live/decisions", "/live/overview"])
@pytest.mark.parametrize("comes", [by_token, by_key, by_session, in_another_role])
def test_who_may_no_longer_come_in_hears_no_more(
    desk: Desk, streams: httpx.Client, bearer: Any, comes: Any, path: str
) -> None:
    shown, leaves = comes(desk, path.replace("/", "-"))
    with streams.stream("GET", path, headers=shown) as answer:
        assert answer.status_code == 200
        lines = answer.iter_lines()
        next(lines)
        leaves()
        order = {"account": "alpha", "symbol": "BTC/USDT", "side": "buy", "size": "1", "price": "1"}
        asked = streams.post("/v1/evaluate", headers=bearer("trader", "alpha"), json=order)
        # It ends, and what was decided since is not in it.
        until = time.monotonic() + 30
        for line in lines:
            assert asked.json()["id"] not in line
            assert time.monotonic() < until, "the stream goes on"


@pytest.mark.parametrize("path", ["overview", "limits", "decisions", "policies", "kill-switch"])
def test_a_page_that_is_left_open_does_not_keep_its_session(
    desk: Desk, streams: httpx.Client, path: str
) -> None:
    user = desk.access.users.find(person(desk, f"idle-{path}", "viewer"))
    assert user is not None
    text = desk.access.sessions.begin(user)
    shown = {"cookie": f"ringfence-session={text}"}
    desk.access.sessions.write_uses()
    with streams.stream("GET", f"/live/{path}", headers=shown) as answer:
        next(answer.iter_lines())
    assert desk.access.sessions._seen == {}

    assert streams.get(f"/{path}".replace("overview", ""), headers=shown).status_code == 200
    assert len(desk.access.sessions._seen) == 1
