"""Decisions in the dashboard: listed, searched, explained; who sees which."""

import re
import time
from decimal import Decimal

import pytest

from ringfence.language.orders import OrderRequest
from ringfence.runtime.asked import MarketData

pytestmark = pytest.mark.integration

HOSTILE = "<script>alert(1)</script>\"'><img src=x onerror=alert(2)>"


def decided(
    desk, *, account: str = "alpha", size: str = "0.01", client: str = "", price="50000", request=""
):
    """An order that is decided; 100 of these are too many."""
    at = time.time_ns()
    market = MarketData(49_999.0, 50_001.0, 50_000.0, at)
    order = OrderRequest(
        account, "BTC/USDT", "buy", Decimal(size), Decimal(price),
        strategy="taker", venue="paper", client_order_id=client,
    )  # fmt: skip
    found = desk.guard.evaluate_order(order, market, request_id=request)
    desk.guard.on_cancel(found.id) if found.size else None
    return found


@pytest.fixture
def asked(client, bearer):
    """Asks for a page as somebody, as a browser does."""

    def ask(path: str, role: str = "risk-officer", *accounts: str, **headers: str):
        about = {**bearer(role, *accounts), "accept": "text/html", **headers}
        return client.get(path, headers=about, follow_redirects=False)

    return ask


def names(text: str) -> list[str]:
    """Ids of the decisions that a page lists."""
    return re.findall(r'href="/decisions/([\w-]+)" id="row-', text)


def test_the_newest_decision_comes_first_with_its_units_and_zone(asked, desk) -> None:
    first, second = decided(desk), decided(desk, size="20")

    text = asked("/decisions").text

    assert names(text)[:2] == [second.id, first.id]
    row = text.split(f'/decisions/{second.id}"', 1)[1].split("</tr>", 1)[0]
    assert re.search(r"\d\d:\d\d:\d\d\.\d{3} UTC", row)
    assert '20 <span class="unit">BTC</span>' in row
    assert '50,000 <span class="unit">USDT</span>' in row
    assert "ORDER_NOTIONAL" in row


def test_decisions_are_searched_by_all_that_is_asked(asked, desk) -> None:
    good = decided(desk, client="search-me-1")
    bad = decided(desk, account="beta", size="20", client="search-me-2")

    assert names(asked("/decisions?order=search-me-2").text) == [bad.id]
    assert names(asked("/decisions?order=search-me-1&decision=REJECT").text) == []
    assert (
        names(asked("/decisions?account=beta&code=ORDER_NOTIONAL&strategy=taker").text)[0] == bad.id
    )
    assert names(asked("/decisions?symbol=BTC/USDT&from=2001-01-01T00:00").text)[:2] == [
        bad.id,
        good.id,
    ]
    assert names(asked("/decisions?until=2001-01-01T00:00").text) == []


def test_a_decision_is_found_by_its_request_and_names_it(asked, desk) -> None:
    plain, found = decided(desk), decided(desk, request="trace:1")

    assert names(asked("/decisions?request=trace:1").text) == [found.id]
    assert 'href="/decisions?request=trace%3A1"' in asked(f"/decisions/{found.id}").text
    assert "?request=" not in asked(f"/decisions/{plain.id}").text


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("from=yesterday", "`yesterday` is no time"),
        ("before=x", "this is no page of the list"),
        (f"code={'x' * 201}", "more than 200 letters"),
    ],
)
def test_what_cannot_be_searched_is_said(asked, query: str, said: str) -> None:
    answer = asked(f"/decisions?{query}")

    assert said in answer.text
    assert "data-live" not in answer.text
    if not query.startswith("before"):
        assert asked(f"/live/decisions?{query}").status_code == 400


def test_older_decisions_stand_on_the_pages_after(asked, desk) -> None:
    made = [decided(desk, client=f"page-{n}").id for n in range(45)][::-1]

    first = asked("/decisions?account=alpha").text
    (older,) = re.findall(r'rel="next" href="([^"]+)"', first)
    second = asked(older.replace("&amp;", "&")).text

    assert names(first) == made[:40]
    assert names(second)[:5] == made[40:]
    assert "data-live" not in second
    assert 'href="/decisions?account=alpha"' in second


def test_one_decision_is_explained_with_the_arithmetic_of_each_gate(asked, desk) -> None:
    found = decided(desk, size="20")

    page = asked(f"/decisions/{found.id}")
    part = asked(f"/decisions/{found.id}/arithmetic", **{"hx-request": "true"})
    alone = asked(f"/decisions/{found.id}/arithmetic")

    assert page.status_code == part.status_code == alone.status_code == 200
    assert found.reason in page.text.replace("&lt;", "<")
    assert f'hx-get="/decisions/{found.id}/arithmetic"' in page.text
    assert "<html" not in part.text
    assert "<html" in alone.text
    for text in (part.text, alone.text):
        assert "notional = 20 BTC x 50,001 USDT = 1,000,020 USDT" in text
        assert "1,000,020 USDT" in text
        assert "-800,020 USDT" in text
        assert "500.0%" in text
        assert re.search(
            r"position-count.*?>1 symbol<.*?>10 symbols<.*?>9 symbols<", text, re.DOTALL
        )
        assert "bit for bit" in text
        # Of a floor, what is above it is left: nothing is used up.
        assert re.search(r"data-quality.*?5%", text, re.DOTALL)


def test_what_no_gate_was_asked_about_says_why(asked, desk) -> None:
    found = decided(desk, account="nobody")

    text = asked(f"/decisions/{found.id}/arithmetic", **{"hx-request": "true"}).text

    assert "The decision cannot be opened up further" in text
    assert "UNKNOWN_ACCOUNT" in text or "no gate was asked" in text


def test_a_trader_sees_decisions_of_its_own_accounts_alone(asked, desk) -> None:
    own, other = decided(desk), decided(desk, account="beta")

    listed = names(asked("/decisions", "trader", "alpha").text)

    assert own.id in listed
    assert other.id not in listed
    assert names(asked("/decisions?account=beta", "trader", "alpha").text) == []
    assert asked(f"/decisions/{own.id}", "trader", "alpha").status_code == 200
    assert asked(f"/decisions/{other.id}", "trader", "alpha").status_code == 404
    assert asked(f"/decisions/{other.id}/arithmetic", "trader", "alpha").status_code == 404


def test_positions_of_the_firm_are_opened_to_those_who_may_see_them(asked, desk) -> None:
    found = decided(desk)
    path, htmx = f"/decisions/{found.id}/arithmetic", {"hx-request": "true"}

    trader, viewer = asked(path, "trader", "alpha", **htmx).text, asked(path, "viewer", **htmx).text

    assert "a risk officer can open it" in trader
    assert "a risk officer can open it" not in viewer


def test_hostile_names_are_shown_and_never_run(asked, desk) -> None:
    found = decided(desk, account=HOSTILE, client=HOSTILE)

    pages = [
        asked("/decisions").text,
        asked(f"/decisions/{found.id}").text,
        asked(f"/decisions/{found.id}/arithmetic").text,
        asked(f"/decisions?account={HOSTILE}&code={HOSTILE}").text,
        asked(f"/decisions?from={HOSTILE}").text,
    ]

    for text in pages:
        assert "<script>alert" not in text
        assert "<img src=x" not in text
    assert "&lt;script&gt;alert(1)" in pages[0]


def test_a_decision_that_was_never_made_has_no_page(asked) -> None:
    assert asked("/decisions/0000-1").status_code == 404
