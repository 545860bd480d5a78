"""The page of limits in a real browser: live, and used with the keyboard."""

import time
from typing import Any

import pytest

from ringfence import MarketData
from ringfence.service.desk import Desk
from service.browsing import Browsing

pytestmark = [
    pytest.mark.integration,
    pytest.mark.needs("chromium", "chromium"),
    pytest.mark.needs("libatomic.so.1", "libatomic1"),
]


def test_a_position_shows_without_reloading(browsing: Browsing, desk: Desk) -> None:
    now = time.time_ns()
    desk.guard.on_mark("ETH/USDT", MarketData(2_999, 3_001, 3_000, now))
    page: Any = browsing.open("/limits?account=beta&gate=position-count", ready="#limits-rows tr")
    row = page.locator("#limits-rows tr", has_text="account/beta")
    assert row.locator(".use-text").inner_text() == "0.0%"

    desk.guard.on_direct_fill("beta", "taker", "ETH/USDT", "buy", "1", 3_000.0)
    try:
        page.locator("#limits-rows .use-text", has_text="10.0%").wait_for()
        assert "1 symbol\nof 10 symbols" in row.inner_text()
    finally:
        desk.guard.on_direct_fill("beta", "taker", "ETH/USDT", "sell", "1", 3_000.0)


def test_filters_are_used_with_the_keyboard(browsing: Browsing) -> None:
    page: Any = browsing.open("/limits", ready="#limits-rows tr")

    page.focus("#limits-account")
    page.keyboard.type("beta")
    page.keyboard.press("Tab")
    page.focus("#limits-filters button")
    page.keyboard.press("Enter")
    page.wait_for_url("**/limits?account=beta**")

    assert page.locator("#limits-account").input_value() == "beta"
    assert page.locator("#limits-rows", has_text="account/alpha").count() == 0
