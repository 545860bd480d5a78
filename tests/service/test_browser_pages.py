"""The dashboard in a real browser: nothing is loaded from elsewhere, and anybody can read and use it."""

import time
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest

from ringfence.language.orders import OrderRequest
from ringfence.runtime.asked import MarketData
from ringfence.service.access.rights import Role
from service.browsing import CLIPPED, VIEWS, Browsing, faults_at_both_widths, violations

pytestmark = [
    pytest.mark.integration,
    pytest.mark.needs("chromium", "chromium"),
    # Playwright's own program is linked against it.
    pytest.mark.needs("libatomic.so.1", "libatomic1"),
]

PAGES = [
    "/",
    "/login",
    "/decisions",
    f"/decisions?request={'x' * 100}",
    "/limits?orders=1",
    "/policies",
    "/policies/diff?base=active&head=active",
    "/policies/change?what=reload",
    "/policies/change?what=shadow&policy_set=active",
    "/password",
    "/dry-runs",
    "/kill-switch",
    "/kill-switch/change?target=account/alpha&to=halted",
    "/nowhere",
]


@pytest.fixture
def switched_back(desk) -> Iterator[None]:
    yield
    for each in desk.guard.kill_switches:
        if each.state != "active":
            desk.guard.set_kill_switch(each.target, "active", by="test", reason="back as it was")


@pytest.mark.parametrize("view", VIEWS)
@pytest.mark.usefixtures("switched_back")
def test_every_page_is_whole_and_accessible(browsing: Browsing, desk, view: str) -> None:
    desk.guard.set_kill_switch("account/beta", "reducing", by="rita", reason="losses since noon")
    page = browsing.open(PAGES[0], view=view)
    for path in PAGES:
        page.goto(path)
        page.wait_for_selector("main h1", state="attached")

        assert (path, violations(page)) == (path, [])
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), path
        assert (path, page.evaluate(CLIPPED)) == (path, [])


# Beside UTC stands another day and a zone with a long name, so that a time is as wide as it gets.
@pytest.mark.parametrize("width", [320, 360, 769, 961, 1100])
@pytest.mark.usefixtures("switched_back")
def test_nothing_is_pushed_out_of_sight_by_times_and_names(
    browsing: Browsing, desk, width: int
) -> None:
    desk.guard.set_kill_switch("account/beta", "reducing", by="rita", reason="x" * 200)
    first = decided(desk, "4")
    decided(desk, symbol=f"{'Y' * 90}/USDT", strategy="s" * 150)
    about = {"viewport": {"width": width, "height": 800}, "timezone_id": "Asia/Kolkata"}
    page = browsing.open("/", **about)
    pages = ["/decisions", f"/decisions/{first.id}", "/limits", "/policies", "/kill-switch"]
    for path in ["/", *pages, "/kill-switch/change?target=account/beta"]:
        page.goto(path)
        page.wait_for_selector("main h1", state="attached")
        if path.endswith(first.id):
            page.wait_for_selector("#arithmetic")

        assert (path, page.evaluate(_PUSHED_OUT), page.evaluate(CLIPPED)) == (path, [], [])


# Where the content of a cell and of its column's heading begins.
_BEGINS = """() => [...document.querySelectorAll('table.switch-table')].map(table => {
  const left = cell => cell.getBoundingClientRect().left + parseFloat(getComputedStyle(cell).paddingLeft);
  return [table.tHead.rows[0], table.tBodies[0].rows[0]].map(row => [...row.cells].map(c => Math.round(left(c))));
})"""


def test_what_stands_in_a_cell_begins_below_its_heading(browsing: Browsing) -> None:
    page = browsing.open("/kill-switch", view="desk")
    tables = page.evaluate(_BEGINS)
    assert tables
    assert all(headings == cells for headings, cells in tables)
    # Neither a state nor a button lies on the line of its row.
    for tight in page.query_selector_all("table.switch-table td.tight"):
        assert tight.evaluate("cell => parseFloat(getComputedStyle(cell).paddingTop)") > 0


def test_without_javascript_a_page_says_that_it_stands_still(browsing: Browsing) -> None:
    page = browsing.open("/decisions", java_script_enabled=False)
    said = page.locator(".top noscript")

    assert "load the page again" in said.inner_text()
    assert page.locator("main a").count() > 0


@pytest.mark.usefixtures("switched_back")
def test_a_part_that_is_renewed_keeps_the_focus_of_its_table(browsing: Browsing, desk) -> None:
    desk.guard.set_kill_switch("account/beta", "reducing", by="rita", reason="first")
    page = browsing.open("/kill-switch")
    frame = page.locator("#history .table-frame")
    assert frame.get_attribute("aria-label") == "Kill switches that were set, the newest first"
    frame.focus()

    desk.guard.set_kill_switch("account/beta", "halted", by="rita", reason="and then")

    page.wait_for_selector("#history >> text=and then")
    assert page.evaluate("document.activeElement.matches('#history .table-frame')")


def test_what_is_printed_is_dark_on_white_whatever_the_screen_is(browsing: Browsing) -> None:
    page = browsing.open("/limits", view="desk dark")
    ink = "getComputedStyle(document.body).color"
    assert page.evaluate(ink) == "rgb(229, 234, 241)"

    page.emulate_media(media="print", color_scheme="dark")

    assert page.evaluate(ink) == "rgb(23, 32, 43)"
    page.set_viewport_size({"width": 1050, "height": 700})
    assert page.evaluate("document.querySelector('main').clientWidth") == 1050


_PUSHED_OUT = """() => [document.documentElement, ...document.querySelectorAll('.table-frame')].filter(
  e => e.scrollWidth > e.clientWidth + 1).map(
  e => `${e.querySelector('caption')?.textContent}: ${e.scrollWidth} of ${e.clientWidth}`)"""


@pytest.mark.usefixtures("switched_back")
def test_a_kill_switch_is_set_by_keyboard_alone_and_every_open_page_tells(
    browsing: Browsing, desk
) -> None:
    watched = browsing.open("/", role="viewer")
    assert watched.locator(".firm-state").inner_text() == "Active"
    page = browsing.open("/kill-switch")

    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "Skip to the content"
    page.keyboard.press("Enter")
    press_until(page, "halt-firm")
    page.keyboard.press("Enter")
    page.wait_for_selector("#state-halted:checked")
    press_until(page, "state-halted")
    press_until(page, "reason")
    page.keyboard.type("a drill")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    page.wait_for_selector("#confirm")
    assert faults_at_both_widths(page) == []
    assert desk.guard.kill_switch("firm") == "active"
    press_until(page, "Halt now")
    page.keyboard.press("Enter")

    page.wait_for_selector("text=The kill switch is set.")
    assert desk.guard.kill_switch("firm") == "halted"
    # The other page was not loaded again.
    watched.wait_for_selector(".firm-state:has-text('Halted')")
    watched.wait_for_selector("#top-state .badge-bad")
    assert "a drill" in watched.locator(".firm").inner_text()


def press_until(page: Any, wanted: str) -> None:
    """Go on by the Tab key until what is wanted has the focus, by its id or its text."""
    for _ in range(40):
        page.keyboard.press("Tab")
        found = page.evaluate("[document.activeElement.id, document.activeElement.textContent]")
        if wanted in (found[0], found[1].strip()):
            # What has the focus can be seen.
            box = page.evaluate(
                "(() => { const b = document.activeElement.getBoundingClientRect();"
                "return document.activeElement.contains(document.elementFromPoint("
                "b.left + b.width / 2, b.top + b.height / 2)); })()"
            )
            assert box, f"{wanted} is covered"
            return
    raise AssertionError(f"{wanted} cannot be reached by the Tab key")


def test_a_viewer_is_denied_in_words(browsing: Browsing) -> None:
    page = browsing.open("/kill-switch/change", role="viewer")

    assert page.locator("h1").inner_text() == "You may not do this"
    assert "viewer" in page.locator("main").inner_text()
    assert page.locator("main form").count() == 0


@pytest.mark.usefixtures("switched_back")
def test_news_take_the_focus_from_nobody(browsing: Browsing, desk) -> None:
    page = browsing.open("/")
    page.focus("#to-kill-switch")

    desk.guard.set_kill_switch("account/beta", "halted", by="rita", reason="losses since noon")

    page.wait_for_selector(".restricted >> text=account/beta")
    assert page.evaluate("document.activeElement.id") == "to-kill-switch"


def test_what_is_old_is_said_to_be_old(browsing: Browsing) -> None:
    page = browsing.open("/kill-switch")
    page.context.route("**/live/**", lambda route: route.abort())
    page.reload()

    page.wait_for_selector("#link-state:has-text('Connection lost')")
    assert page.evaluate("document.documentElement.classList.contains('stale')")

    page.context.unroute("**/live/**")
    page.wait_for_selector("#link-state", state="hidden")


def test_more_pages_than_a_browser_keeps_connections_leave_the_kill_switch_usable(
    browsing: Browsing,
) -> None:
    page = browsing.open("/kill-switch")
    for path in ("/", "/limits", "/decisions", "/policies", "/dry-runs", "/kill-switch", "/"):
        page.context.new_page().goto(path, wait_until="load")

    page.click("#halt-firm")
    page.wait_for_selector("#state-halted:checked")


_SEEN = """seen => {
  Object.defineProperty(document, "hidden", { value: !seen, configurable: true });
  document.dispatchEvent(new Event("visibilitychange"));
}"""


@pytest.mark.usefixtures("switched_back")
def test_a_page_that_nobody_sees_keeps_no_connection_and_is_current_once_it_is_seen(
    browsing: Browsing, desk
) -> None:
    page = browsing.open("/")
    with page.expect_event("requestfailed", lambda request: "/live/overview" in request.url):
        page.evaluate(_SEEN, False)
    desk.guard.set_kill_switch("firm", "halted", by="rita", reason="a drill")
    page.wait_for_timeout(1500)
    assert page.locator(".firm-state").inner_text() == "Active"

    with page.expect_request("**/live/overview?since=*"):
        page.evaluate(_SEEN, True)
    page.wait_for_selector(".firm-state:has-text('Halted')")


PASSWORD = "correct horse battery staple 9"


@pytest.fixture
def officer(desk) -> Iterator[str]:
    """Name of a risk officer who logs in with `PASSWORD`."""
    desk.access.users.add("rita", Role.RISK_OFFICER, [], PASSWORD, by="test", must_change=False)
    yield "rita"
    desk.access.users.remove("rita")


@pytest.mark.usefixtures("switched_back")
def test_a_person_logs_in_sets_a_switch_and_logs_out(
    browsing: Browsing, desk, officer: str
) -> None:
    page = browsing.open("/kill-switch/change?target=account/alpha&to=reducing", role="")
    assert "/login?next=" in page.url

    log_in(page, officer, "a wrong password")
    page.wait_for_selector("[role=alert] >> text=do not fit together")
    log_in(page, officer, PASSWORD)
    # Where they wanted to go before the login, which is a form of their session.
    page.fill("#reason", "a drill")
    page.click("text=Go on to confirm")
    page.click("text=Set to reducing only")
    page.wait_for_selector("text=The kill switch is set.")
    assert desk.guard.kill_switch("account/alpha") == "reducing"
    (switch,) = [each for each in desk.guard.kill_switches if each.target == "account/alpha"]
    assert switch.by == officer

    page.click(".person summary")
    page.click("text=Log out")
    page.wait_for_selector("text=Log in to Ringfence")
    page.goto("/")
    assert "/login" in page.url


def test_a_session_that_ended_is_told_for_as_long_as_the_page_is_open(
    browsing: Browsing, desk, officer: str
) -> None:
    page = browsing.open("/kill-switch", role="", ready="main h1")
    log_in(page, officer, PASSWORD)
    page.wait_for_selector("#halt-firm")
    desk.access.sessions.end_all(officer)

    page.wait_for_selector("#link-state:has-text('You are logged out')")
    # Longer than the silence after which a connection counts as lost.
    page.wait_for_timeout(7_000)
    assert page.locator("#link-state").inner_text().startswith("You are logged out")


def log_in(page: Any, name: str, password: str) -> None:
    """Fill in the login's form and send it."""
    page.fill("#name", name)
    page.fill("#password", password)
    page.click("main button")


def decided(desk, size: str = "0.01", symbol: str = "BTC/USDT", strategy: str = "taker") -> Any:
    """An order that is decided."""
    market = MarketData(49_999.0, 50_001.0, 50_000.0, time.time_ns())
    order = OrderRequest(
        "alpha", symbol, "buy", Decimal(size), Decimal(50_000), strategy=strategy, venue="paper"
    )
    found = desk.guard.evaluate_order(order, market)
    if found.size:
        desk.guard.on_cancel(found.id)
    return found


def test_decisions_come_in_by_themselves_and_one_opens_up(browsing: Browsing, desk) -> None:
    page = browsing.open("/decisions?account=alpha")
    page.wait_for_selector("#pause:visible")
    with page.expect_request("**/live/decisions*"):
        page.reload()

    first = decided(desk, "20")
    page.wait_for_selector(f"#decision-rows tr:first-child a[href='/decisions/{first.id}']")
    page.click("#pause")
    second = decided(desk)
    page.wait_for_selector("#pause:has-text('Resume (1 new)')")
    assert page.locator(f"a[href='/decisions/{second.id}']").count() == 0
    page.click("#pause")
    page.wait_for_selector(f"#decision-rows tr:first-child a[href='/decisions/{second.id}']")

    page.click(f"a[href='/decisions/{first.id}']")
    page.wait_for_selector("#arithmetic >> text=bit for bit")
    assert page.locator("#arithmetic details[open] summary").first.inner_text().startswith("Breach")
    assert faults_at_both_widths(page) == []
