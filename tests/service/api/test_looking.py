"""What was decided, what limits there are, what switches and policies do."""

import pytest

pytestmark = pytest.mark.integration


@pytest.fixture
def decided(ask, order, marks):
    """Three decisions of `alpha`, one of `beta`."""
    accounts = ("alpha", "alpha", "beta", "alpha")
    market = marks()["marks"][0]["market"]
    asked = [
        order(account=each, size=size, market=market)
        for each, size in zip(accounts, (1e-2, 1000, 1e-2, 1e-2), strict=True)
    ]
    return [ask("POST", "/v1/evaluate", "admin", json=each).json() for each in asked]


def test_decisions_come_newest_first_page_by_page(ask, decided):
    page = ask("GET", "/v1/decisions?limit=2", "viewer").json()
    assert [each["id"] for each in page["decisions"]] == [decided[3]["id"], decided[2]["id"]]
    page = ask("GET", f"/v1/decisions?limit=2&cursor={page['next']}", "viewer").json()
    assert [each["id"] for each in page["decisions"]] == [decided[1]["id"], decided[0]["id"]]


def one_later(moment):
    """A nanosecond after a time that is none of a whole second's last."""
    assert not moment.endswith("999999999Z")
    second, rest = moment[:-1].split(".")
    return f"{second}.{int(rest) + 1:09d}Z"


def test_decisions_are_found_by_what_they_are(ask, decided):
    def ids(query, who="viewer", **others):
        found = ask("GET", f"/v1/decisions?limit=3{query}", who, **others).json()["decisions"]
        return [each["id"] for each in found]

    assert ids("&account=beta")[0] == decided[2]["id"]
    assert ids("&decision=REJECT")[0] == decided[1]["id"]
    assert ids(f"&code={decided[1]['code']}&symbol=BTC/USDT&strategy=taker")[0] == decided[1]["id"]
    assert ids(f"&until={decided[0]['decided_ns'] + 1}")[0] == decided[0]["id"]
    assert ids(f"&from={decided[3]['decided_at'][:26]}Z")[0] == decided[3]["id"]
    assert ids(f"&from={decided[3]['decided_ns'] + 1}") == []
    # As it is told, to the last of its nine digits.
    assert decided[3]["id"] not in ids(f"&until={decided[3]['decided_at']}")
    assert decided[3]["id"] in ids(f"&until={one_later(decided[3]['decided_at'])}")
    assert decided[2]["id"] not in ids("", "trader")
    assert ids("&account=beta", "trader") == []


def test_decisions_are_found_by_the_request_that_brought_them(ask, order):
    def asked(path, name, body):
        return ask("POST", path, json=body, headers={"x-request-id": name}).json()

    bad, sent = order(size="0.0000001"), order(venue="paper", price="49990")
    one = asked("/v1/evaluate", "by-one", order())
    many = asked("/v1/evaluate/batch", "by-many", {"orders": [order(), bad]})["decisions"]
    last = asked("/v1/orders", "by-sending", sent)["decision"]

    for name, made in (("by-one", [one]), ("by-many", many), ("by-sending", [last])):
        ids = [each["id"] for each in made]
        found = ask("GET", f"/v1/decisions?request_id={name}").json()["decisions"]
        assert [each["id"] for each in found] == ids[::-1]
        assert {each["request_id"] for each in found} == {name}
        told = ask("GET", f"/v1/decisions/{ids[0]}").json()
        assert f"request {name}" in told["explanation"].splitlines()
    assert ask("GET", "/v1/decisions?request_id=by-nobody").json()["decisions"] == []
    assert (
        ask("GET", "/v1/decisions?request_id=by-one", accounts=("beta",)).json()["decisions"] == []
    )


def test_a_decision_is_told_with_every_gate_and_in_words(ask, decided):
    told = ask("GET", f"/v1/decisions/{decided[1]['id']}").json()
    assert told["decision"]["asked"] == "1000"
    assert told["market"]["bid"] == 49999.0
    gates = {each["gate"]: each for each in told["gates"]}
    assert float(gates["order-notional"]["measure"]) > float(gates["order-notional"]["limit"])
    assert gates["order-notional"]["file"].endswith(".yaml")
    assert "order-notional" in told["explanation"]
    assert told["record"]["id"] == decided[1]["id"]


def test_a_decision_of_another_account_is_not_there(ask, decided):
    assert ask("GET", f"/v1/decisions/{decided[2]['id']}").status_code == 404
    assert ask("GET", "/v1/decisions/no-such", "viewer").status_code == 404


def test_limits_are_told_with_how_much_of_them_is_used(ask):
    found = ask("GET", "/v1/limits?account=alpha&symbol=BTC/USDT&gate=total-exposure").json()
    assert found["limits"]
    assert {each["gate"] for each in found["limits"]} == {"total-exposure"}
    assert {each["outcome"] for each in found["limits"]} <= {"pass", "breach", "unknown"}
    ours = ask("GET", "/v1/limits?limit=1000").json()["limits"]
    assert "beta" not in {each["account"] for each in ours}


def test_switches_are_set_in_the_name_of_who_asks(ask):
    path = "/v1/kill-switches/symbol/BTC%2FUSDT"
    body = {"state": "reducing", "reason": "feed in doubt"}
    told = ask("PUT", path, "officer", json=body).json()["switch"]
    assert (told["target"], told["by"]) == ("symbol/BTC/USDT", "a officer")
    ask("PUT", path, "officer", json={**body, "state": "active"})
    history = ask("GET", "/v1/kill-switches/history", "viewer").json()["changes"]
    assert [each["state"] for each in history[:2]] == ["active", "reducing"]
    assert ask("PUT", path, json=body).status_code == 403
    named = ask("PUT", path, "officer", json={**body, "by": "somebody else"})
    assert named.status_code == 422


def test_a_release_can_arm_the_drawdown_of_a_book_anew(ask):
    path, body = "/v1/kill-switches/account/alpha", {"state": "active", "reason": "looked at"}
    guard = ask.client.app.state.desk.guard
    guard._books.ledger.start_peak("account/alpha", 2 * guard.book("account/alpha").equity)

    def drawdown() -> float:
        return float(ask("GET", "/v1/books/account/alpha").json()["drawdown"])

    assert ask("PUT", path, "officer", json=body).status_code == 200
    assert drawdown() == pytest.approx(0.5)
    assert ask("PUT", path, "officer", json={**body, "rearm": True}).status_code == 200
    assert drawdown() == 0.0
    refused = ask(
        "PUT", "/v1/kill-switches/venue/paper", "officer", json={**body, "rearm": True}
    ).json()
    assert "has no drawdown" in refused["detail"]


def test_who_managed_something_is_in_the_log_with_the_name_of_the_request(ask):
    body = {"state": "reducing", "reason": "x"}
    for state in ("reducing", "active"):
        ask(
            "PUT",
            "/v1/kill-switches/venue/paper",
            "officer",
            json={**body, "state": state},
            headers={"x-request-id": f"trace-{state}"},
        )
    ask.client.app.state.hub.look()
    (found,) = ask.client.app.state.hub.recent("request", 1)
    assert found.body == {
        "request": "trace-active",
        "by": "a officer",
        "method": "PUT",
        "path": "/v1/kill-switches/venue/paper",
    }


def test_switches_of_other_accounts_are_not_for_a_trader(ask):
    path = "/v1/kill-switches/account/beta"
    for state in ("halted", "active"):
        ask("PUT", path, "officer", json={"state": state, "reason": "x"})
    for route in ("/v1/kill-switches", "/v1/kill-switches/history"):
        told = ask("GET", route).json()
        shown = {each["target"] for each in told.get("switches", told.get("changes"))}
        assert "account/beta" not in shown
    assert (
        ask(
            "PUT", "/v1/kill-switches/nothing", "officer", json={"state": "halted", "reason": "x"}
        ).status_code
        == 409
    )


def test_the_set_in_force_is_told_in_full(ask):
    active = ask("GET", "/v1/policies/active").json()
    assert active["ok"]
    assert 0 < active["since_ns"] <= active["checked_ns"]
    assert active["since"].startswith("20")
    name = active["policy_set"]
    assert name in {each["policy_set"] for each in ask("GET", "/v1/policies").json()["sets"]}
    told = ask("GET", f"/v1/policies/{name[:10]}", "viewer").json()
    assert told["policy_set"] == name
    assert any(each["gate"] == "daily-loss" for each in told["gates"])
    assert any("kind: Policy" in text for text in told["files"].values())
    assert ask("GET", f"/v1/policies/{name}").status_code == 403
    assert ask("GET", "/v1/policies/0000ffff", "viewer").status_code == 404


def test_the_limits_that_bind_are_told_with_their_places(ask):
    told = ask("GET", "/v1/policies/effective?account=alpha&symbol=BTC/USDT").json()
    daily = [each for each in told["limits"] if each["gate"] == "daily-loss"]
    assert "%" in {each["value"][-1:] for each in daily}
    assert ".yaml:" in daily[0]["place"]
    at = "/v1/policies/effective?account=alpha&symbol=BTC/USDT&at=2020-01-01T00:00:00Z"
    assert ask("GET", at).status_code == 200
    assert ask("GET", "/v1/policies/effective?account=beta&symbol=BTC/USDT").status_code == 403


def test_what_differs_is_told_and_kept(ask):
    for _ in range(2):
        told = ask("GET", "/v1/policies/diff?base=active", "viewer").json()
        assert (told["direction"], told["changes"]) == ("EQUAL", [])
    assert len(ask.client.app.state.jobs.all("plan")) == 1


def test_reload_shadow_and_going_back_say_who_and_why(ask):
    name = ask.desk.guard.policy_set
    why = {"reason": "to see"}
    looked = ask("POST", "/v1/policies/reload", "officer", json=why).json()
    assert (looked["result"], looked["by"]) == ("current", "a officer")
    beside = ask("POST", "/v1/policies/shadow", "officer", json={**why, "policy_set": name})
    assert beside.json()["result"] == "shadow"
    assert ask("GET", "/v1/policies/active").json()["shadow"] == name
    ask("POST", "/v1/policies/shadow", "officer", json={**why, "policy_set": None})
    back = ask("POST", "/v1/policies/rollback", "officer", json={**why, "policy_set": name[:12]})
    assert back.json()["outcome"]["result"] == "rolled-back"
    assert ask("GET", "/v1/policies/active").json()["pinned"] == name
    assert ask("POST", "/v1/policies/unpin", "officer", json=why).json()["ok"]
    results = {each["result"] for each in ask("GET", "/v1/policies/history").json()["outcomes"]}
    assert {"rolled-back", "unpinned", "shadow"} <= results
    nobody = ask("POST", "/v1/policies/rollback", "officer", json={**why, "policy_set": "0000ffff"})
    assert nobody.status_code == 404


def test_the_log_is_told_with_its_copies(ask):
    head = ask("GET", "/v1/audit/head").json()
    assert head["sequence"] > 0
    assert head["sinks"][0]["sink"] == "duckdb"


def test_a_reason_is_as_long_as_the_description_says(ask):
    def answer(length):
        body = {"state": "active", "reason": "x" * length}
        return ask("PUT", "/v1/kill-switches/symbol/ETH/USDT", "risk-officer", json=body)

    assert answer(500).status_code == 200
    assert answer(501).status_code == 422
    assert answer(501).json()["errors"][0]["pointer"] == "/reason"


@pytest.mark.parametrize("reason", [" \n", "a\0b", "a\x1b[2Jb", "a \u202elird", "\u2067a"])
def test_a_reason_that_does_not_read_as_it_stands_there_is_refused(ask, reason):
    for method, path, more in (
        ("PUT", "/v1/kill-switches/symbol/ETH/USDT", {"state": "active"}),
        ("POST", "/v1/policies/reload", {}),
        ("POST", "/v1/policies/rollback", {"policy_set": "0" * 64}),
        ("POST", "/v1/reconciliations/beta/acceptance", {}),
    ):
        answer = ask(method, path, "risk-officer", json={"reason": reason, **more})
        assert answer.status_code == 422, answer.text
        (fault,) = answer.json()["errors"]
        assert fault["pointer"] == "/reason"
        assert fault["detail"].startswith("expected plain text")


def test_lines_of_a_reason_become_one(ask):
    body = {"state": "active", "reason": " the feed\r\nis well \u2028again\n"}
    told = ask("PUT", "/v1/kill-switches/symbol/ETH/USDT", "risk-officer", json=body).json()
    assert told["switch"]["reason"] == "the feed is well again"
    body = {"reason": "try\nagain"}
    assert (
        ask("POST", "/v1/policies/reload", "risk-officer", json=body).json()["reason"]
        == "try again"
    )
