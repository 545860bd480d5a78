"""Orders sent, what became of them, money and prices, and what the venue says."""

import pytest

from ringfence.runtime.audit_reader import tail
from ringfence.runtime.guard import CentralRiskGuard

pytestmark = pytest.mark.integration


def at_paper(order, **changed):
    return order(venue="paper", price="49990", **changed)


def test_an_order_is_sent_once_however_often_it_is_asked_for(ask, order):
    given, key = at_paper(order), {"idempotency-key": "send once"}
    first = ask("POST", "/v1/orders", json=given, headers=key).json()
    assert first["order"]["state"] == "working"
    refused, recorded = ask.desk.gateways["paper"].refused, ask.desk.log.last
    again = ask("POST", "/v1/orders", json=given, headers=key).json()
    assert again["decision"]["repeated"]
    assert again["order"]["exchange_order_id"] == first["order"]["exchange_order_id"]
    # Nobody tried to get round the guard, and nobody is woken.
    assert ask.desk.gateways["paper"].refused == refused
    ask.desk.log.wait(ask.desk.log.last)
    since = tail(ask.desk.data / "audit", ask.desk.log.last - recorded)
    assert "approval_refused" not in {each.kind for each in since}
    other = ask("POST", "/v1/orders", json={**given, "size": "0.02"}, headers=key)
    assert other.json()["type"].endswith(":idempotency-mismatch")


def test_of_two_requests_for_one_order_both_hear_what_became_of_it_whichever_sends_it(
    ask, order, monkeypatch
):
    given, key, second = at_paper(order), {"idempotency-key": "overtaken"}, []
    evaluate = CentralRiskGuard.evaluate_order

    def overtaken(*asked, **named):
        answer = evaluate(*asked, **named)
        if not answer.repeated:
            second.append(ask("POST", "/v1/orders", json=given, headers=key))
        return answer

    monkeypatch.setattr(CentralRiskGuard, "evaluate_order", overtaken)
    refused = ask.desk.gateways["paper"].refused
    first = ask("POST", "/v1/orders", json=given, headers=key)
    assert first.status_code == second[0].status_code == 200
    assert first.json()["order"] == second[0].json()["order"]
    assert first.json()["order"]["state"] == "working"
    assert ask.desk.gateways["paper"].refused == refused


def test_a_working_order_is_listed_and_cancelled_at_its_venue(ask, order):
    sent = ask("POST", "/v1/orders", json=at_paper(order)).json()["decision"]["id"]
    listed = ask("GET", "/v1/orders?account=alpha&symbol=BTC/USDT&limit=1000").json()
    assert sent in {each["id"] for each in listed["orders"]}
    assert ask("DELETE", f"/v1/orders/{sent}", accounts=("beta",)).status_code == 404
    assert ask("DELETE", f"/v1/orders/{sent}").json() == {"id": sent, "cancelled": True}
    for each in ask.desk.followers:
        each.catch_up()
    assert ask("DELETE", f"/v1/orders/{sent}").status_code == 404


def test_an_order_for_no_venue_of_the_service_is_not_decided(ask, order):
    answer = ask("POST", "/v1/orders", json=order(venue="nowhere", client_order_id="unsent"))
    assert answer.status_code == 409
    assert answer.json()["errors"] == [
        {"detail": "`nowhere` is no venue of this service", "pointer": "/venue"}
    ]
    assert ask.desk.guard.order_of("unsent") == ""


def test_an_order_that_is_rejected_is_not_sent(ask, order):
    told = ask("POST", "/v1/orders", json=at_paper(order, size="100000")).json()
    assert told["decision"]["decision"] == "REJECT"
    assert told["order"] is None


def test_pages_of_orders_go_on_where_the_last_one_ended(ask, order):
    for k in range(3):
        ask("POST", "/v1/evaluate", json=order(client_order_id=f"page-{k}"))
    found, cursor = [], ""
    while True:
        page = ask("GET", f"/v1/orders?limit=2{cursor}").json()
        found += [each["id"] for each in page["orders"]]
        if page["next"] is None:
            break
        cursor = f"&cursor={page['next']}"
        # What a page ended with may end meanwhile.
        ask("POST", "/v1/cancels", "admin", json={"order_id": found[-1]})
    assert len(found) == len(set(found)) >= 3
    theirs = ask("GET", "/v1/orders", accounts=("beta",)).json()["orders"]
    assert {each["account"] for each in theirs} <= {"beta"}


def test_fills_are_counted_once_for_each_size_and_ends_release_the_rest(ask, approved):
    fill = {"order_id": approved, "cumulative_size": "0.004", "price": 50_000, "fee": "-0.1"}
    assert ask("POST", "/v1/fills", json=fill).json()["new_size"] == "0.00400"
    assert float(ask("POST", "/v1/fills", json=fill).json()["new_size"]) == 0
    assert ask("POST", "/v1/expiries", json={"order_id": approved}).json()["released"]
    assert not ask("POST", "/v1/cancels", json={"order_id": approved}).json()["released"]


def test_what_cannot_have_happened_is_refused(ask, approved):
    fill = {"order_id": approved, "cumulative_size": "0.004", "price": "50000"}
    assert ask("POST", "/v1/fills", json=fill).status_code == 200
    told = ask("POST", "/v1/fills", json={**fill, "price": "40000"})
    assert told.json()["type"].endswith(":conflict"), told.text


@pytest.mark.parametrize("path", ["fills", "cancels", "expiries"])
def test_orders_of_other_accounts_are_not_known(ask, approved, path):
    body = {"order_id": approved}
    if path == "fills":
        body |= {"cumulative_size": "0.001", "price": "1"}
    assert ask("POST", f"/v1/{path}", accounts=("beta",), json=body).status_code == 404


def test_nobody_tells_the_end_of_an_order_that_its_venue_tells_of(ask, order):
    answer = ask("POST", "/v1/orders", json=at_paper(order)).json()
    assert answer["order"] is not None, answer
    sent = answer["decision"]["id"]
    told = ask("POST", "/v1/cancels", json={"order_id": sent})
    assert told.status_code == 409, told.text
    assert ask("POST", "/v1/cancels", "admin", json={"order_id": sent}).json()["released"]


def test_money_is_moved_once_for_each_key(ask):
    def cash():
        return float(ask("GET", "/v1/books/account/beta", "viewer").json()["cash"])

    before, key = cash(), {"idempotency-key": "a deposit"}
    body = {"book": "account/beta", "kind": "deposit", "amount": "12.5"}
    for replayed in (None, "true"):
        answer = ask("POST", "/v1/balances", "officer", json=body, headers=key)
        assert answer.json() == {"taken": 1}
        assert answer.headers.get("idempotency-replayed") == replayed
    assert cash() == before + 12.5
    other = ask("POST", "/v1/balances", "officer", json={**body, "amount": 1}, headers=key)
    assert other.json()["type"].endswith(":idempotency-mismatch")


def test_what_was_refused_may_be_tried_again_under_its_key(ask):
    body, key = {"book": "account/no", "kind": "deposit", "amount": 1}, {"idempotency-key": "again"}
    for _ in range(2):
        answer = ask("POST", "/v1/balances", "officer", json=body, headers=key)
        assert answer.json()["type"].endswith(":conflict")


def test_marks_name_the_one_that_is_refused(ask, marks):
    given = marks()["marks"] + marks("NO/SUCH")["marks"]
    told = ask("POST", "/v1/marks", "market-data", json={"marks": given}).json()
    assert told["detail"].startswith("/marks/1: ")
    bad = marks(bid="x")
    assert (
        ask("POST", "/v1/marks", "market-data", json=bad).json()["errors"][0]["pointer"]
        == "/marks/0/market/bid"
    )


def test_traders_tell_no_prices_neither_alone_nor_with_an_order(ask, order, marks):
    given = order(
        client_order_id="with prices", venue="paper", market=marks(bid=1)["marks"][0]["market"]
    )
    for path, body in (
        ("/v1/marks", marks(bid=1)),
        ("/v1/evaluate", given),
        ("/v1/evaluate?gates=true", given),
        ("/v1/orders", given),
        ("/v1/evaluate/batch", {"orders": [order(), given]}),
    ):
        answer = ask("POST", path, json=body)
        assert answer.status_code == 403, path
        assert "the role trader may not tell prices" in answer.json()["detail"]
    assert ask.desk.guard.order_of("with prices") == ""


@pytest.mark.parametrize("who", ["officer", "admin", "market-data"])
def test_prices_are_told_by_feeds_and_by_those_who_answer_for_limits(ask, marks, who):
    assert ask("POST", "/v1/marks", who, (), json=marks()).json() == {"taken": 1}


def test_traders_tell_prices_where_the_settings_let_them(ask, order, marks, monkeypatch):
    access = ask.desk.settings.access.model_copy(update={"traders_tell_prices": True})
    settings = ask.desk.settings.model_copy(update={"access": access})
    monkeypatch.setattr(ask.desk, "settings", settings)
    assert ask("POST", "/v1/marks", json=marks()).json() == {"taken": 1}
    given = order(market=marks(last=50_007)["marks"][0]["market"])
    told = ask("POST", "/v1/evaluate", json=given).json()
    assert told["decision"] == "APPROVE"
    record = ask("GET", f"/v1/decisions/{told['id']}").json()
    assert record["market"]["last"] == 50_007
    assert ask("POST", "/v1/marks", "viewer", json=marks()).status_code == 403


def test_a_trade_made_elsewhere_moves_the_book(ask, marks):
    ask("POST", "/v1/marks", "market-data", json=marks("ETH/USDT", bid=2000, ask=2001, last=2000))
    fill = {"account": "beta", "symbol": "ETH/USDT", "side": "buy", "size": "0.5", "price": "2000"}
    assert ask("POST", "/v1/fills/direct", json=fill).status_code == 403
    assert ask("POST", "/v1/fills/direct", "officer", json=fill).json() == {"taken": 1}
    book = ask("GET", "/v1/books/account/beta", "viewer").json()
    (position,) = (each for each in book["positions"] if each["symbol"] == "ETH/USDT")
    assert float(position["size"]) == 0.5


def test_traders_see_the_books_of_their_accounts_alone(ask):
    assert ask("GET", "/v1/books").json() == {"books": ["account/alpha"]}
    assert "firm" in ask("GET", "/v1/books", "viewer").json()["books"]
    for name in ("firm", "account/beta", "strategy/taker"):
        assert ask("GET", f"/v1/books/{name}").status_code == 404


def test_an_account_that_differs_from_its_venue_waits_until_somebody_accepts_it(ask):
    body = {"account": "beta", "positions": {"BTC/USDT": "3"}, "cash": "1", "cash_tolerance": 2}
    found = ask("POST", "/v1/reconciliations", "officer", json=body).json()["differences"]
    assert {"position", "cash"} <= {each["kind"] for each in found}
    assert "beta" in ask("GET", "/v1/kill-switches", "viewer").json()["unreconciled"]
    path, why = "/v1/reconciliations/beta/acceptance", {"reason": "looked into"}
    assert ask("POST", path, "officer", json=why).json()["by"] == "a officer"
    assert ask("POST", path, "officer", json=why).status_code == 409


def test_an_account_is_compared_with_its_exchange(ask):
    asked = {"account": "alpha", "venue": "paper"}
    answer = ask("POST", "/v1/reconciliations", "officer", json=asked)
    assert answer.json()["account"] == "alpha"
    if answer.json()["differences"]:
        ask("POST", "/v1/reconciliations/alpha/acceptance", "officer", json={"reason": "known"})
    for body in ({"account": "alpha", "venue": "no"}, {"account": "nobody"}):
        assert ask("POST", "/v1/reconciliations", "officer", json=body).status_code == 404
