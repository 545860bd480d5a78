"""The pages of policies and dry runs in a real browser: what is proved or done shows without reloading."""

from typing import Any

import pytest

from ringfence.runtime.policy_set import PolicySet
from ringfence.service.desk import Desk
from ringfence.service.dry_runs import data_folder
from ringfence.service.policy_sets import stores
from service.browsing import CLIPPED, Browsing, faults_at_both_widths, violations
from service.test_dry_run_pages import ORDERS

pytestmark = [
    pytest.mark.integration,
    pytest.mark.needs("chromium", "chromium"),
    pytest.mark.needs("libatomic.so.1", "libatomic1"),
]
_SLOW_MS = 120_000


def test_a_direction_shows_once_it_is_proved(browsing: Browsing, desk: Desk) -> None:
    other = PolicySet.load("examples/tightened")
    stores(desk)[0].put(other, {"at_ns": desk.clock.now_ns(), "by": "a test"})
    page: Any = browsing.open(f"/policies/diff?base=active&head={other.sha256}", view="phone")

    page.locator(".diff-whole .badge", has_text="Tightened").wait_for(timeout=_SLOW_MS)

    assert page.locator("text=Being proved").count() == 0
    assert violations(page) == []
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert page.evaluate(CLIPPED) == []
    page.goto(f"/policies/change?what=rollback&policy_set={other.sha256}")
    assert violations(page) == []
    page.get_by_role("button", name="Go back to").click()
    # Neither the reason nor the word that it was looked at is there: the browser does not send it.
    assert page.url.endswith(other.sha256)


def test_a_dry_run_tells_how_far_it_is(browsing: Browsing, desk: Desk) -> None:
    folder = data_folder(desk)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "three-orders.csv").write_text(ORDERS)
    page: Any = browsing.open("/dry-runs")

    page.select_option("#dry-orders", "three-orders.csv")
    page.fill("#dry-equity", "6000000")
    page.focus("#dry-run-form button")
    page.keyboard.press("Enter")
    page.wait_for_url("**/dry-runs/*")
    page.locator("#dry-run .badge", has_text="Done").wait_for(timeout=_SLOW_MS)

    assert page.locator("#dry-run-report").get_attribute("href").endswith("/report")
    assert faults_at_both_widths(page) == []
