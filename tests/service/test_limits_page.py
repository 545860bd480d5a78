"""The page of limits: what it shows to whom, and in which order."""

import re
import time
from pathlib import Path
from typing import Any

import pytest

from ringfence import MarketData
from ringfence.service.desk import Desk

pytestmark = pytest.mark.integration

ROW = re.compile(r'<th scope="row" class="limit-name"><strong>([^<]+)</strong>')


@pytest.fixture
def priced(desk: Desk) -> Desk:
    """The desk with fresh prices, looked at now."""
    now = time.time_ns()
    desk.guard.on_mark("BTC/USDT", MarketData(49_999, 50_001, 50_000, now))
    desk.guard.on_mark("ETH/USDT", MarketData(2_999, 3_001, 3_000, now))
    desk.limits.sample()
    return desk


def rows(client: Any, headers: dict[str, str], query: str = "") -> tuple[str, list[str]]:
    answer = client.get(f"/limits{query}", headers={**headers, "accept": "text/html"})
    assert answer.status_code == 200, answer.text
    return answer.text, ROW.findall(answer.text)


@pytest.mark.usefixtures("priced")
def test_each_limit_stands_with_its_number_and_where_it_is_written(
    client: Any, bearer: Any
) -> None:
    text, names = rows(
        client, bearer("viewer"), "?account=alpha&symbol=BTC/USDT&gate=position-size"
    )

    assert names == ["position-size", "position-size"]
    line = next(
        number
        for number, line in enumerate(Path("policies/desk.yaml").read_text().splitlines(), 1)
        if "1_500_000 USDT" in line
    )
    assert f"policies/desk.yaml:{line}" in text
    assert "of 1,500,000 USDT" in text
    assert re.search(r"buy [0-9.]+ BTC", text)
    assert "as of <time" in text


@pytest.mark.usefixtures("priced")
def test_limits_of_single_orders_are_shown_where_they_are_asked_for(
    client: Any, bearer: Any
) -> None:
    without = rows(client, bearer("viewer"))[1]
    text, names = rows(client, bearer("viewer"), "?orders=1")

    assert "venue-rules" not in without
    assert "venue-rules" in names
    assert "Each order" in text


@pytest.mark.usefixtures("priced")
def test_a_trader_sees_its_own_accounts_and_what_binds_all(client: Any, bearer: Any) -> None:
    text, _ = rows(client, bearer("trader", "beta"))

    assert "account/beta" in text
    assert "firm" in text
    assert "alpha" not in text
    assert rows(client, bearer("trader", "beta"), "?account=alpha&gate=position-size")[1] == []


def test_what_is_beyond_its_limit_comes_first(client: Any, bearer: Any, priced: Desk) -> None:
    priced.guard.set_kill_switch("account/alpha", "halted", by="a test", reason="to see it")
    try:
        priced.limits.sample()
        text, names = rows(client, bearer("viewer"), "?account=alpha")
    finally:
        priced.guard.set_kill_switch("account/alpha", "active", by="a test", reason="seen")

    assert names[0] == "kill-switch"
    assert "Breached" in text
    assert "halted" in text


def test_in_a_halt_switches_hide_no_other_limit(
    client: Any, bearer: Any, priced: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ringfence.service.dashboard.limits._MOST_SWITCHES", 1)
    before = rows(client, bearer("viewer"))[1]
    priced.guard.set_kill_switch("firm", "halted", by="a test", reason="to see it")
    try:
        priced.limits.sample()
        text, names = rows(client, bearer("viewer"))
        link = re.search(r'id="more-switches" href="([^"]+)">([0-9]+) more kill switch', text)
        every = rows(client, bearer("viewer"), link.group(1))[1] if link else []
    finally:
        priced.guard.set_kill_switch("firm", "active", by="a test", reason="seen")

    assert names.count("kill-switch") == 1
    assert set(names) == set(before)
    assert link
    assert every == ["kill-switch"] * (1 + int(link.group(2)))


@pytest.mark.usefixtures("priced")
def test_where_nothing_binds_it_says_so(client: Any, bearer: Any) -> None:
    text, names = rows(client, bearer("viewer"), "?gate=nothing")

    assert names == []
    assert "No limit binds this" in text
    assert "0 limits" in text


def test_without_a_login_nothing_is_shown(client: Any) -> None:
    assert client.get("/limits", follow_redirects=False).status_code == 401
    assert client.get("/live/limits", follow_redirects=False).status_code == 401
