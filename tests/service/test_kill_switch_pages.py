"""Kill switches in the dashboard: two steps, who may, what is said, and what two people have to do."""

import re
from collections.abc import Iterator
from dataclasses import replace

import pytest

from ringfence.service.access.four_eyes import FourEyes
from ringfence.service.access.rights import Principal, Role

pytestmark = pytest.mark.integration

HOSTILE = "<script>alert(1)</script>\"'><img src=x onerror=alert(2)>"
OTHER = Principal("another person", Role.RISK_OFFICER)


@pytest.fixture(autouse=True)
def switched_back(desk) -> Iterator[None]:
    yield
    for each in desk.guard.kill_switches:
        if each.state != "active":
            desk.guard.set_kill_switch(each.target, "active", by="test", reason="back as it was")


@pytest.fixture
def asked(client, bearer):
    """Asks as somebody, as a browser does."""

    def ask(method: str, path: str, role: str = "risk-officer", *accounts: str, **data: str):
        headers = {**bearer(role, *accounts), "accept": "text/html"}
        about = {"data": data} if method == "POST" else {}
        return client.request(method, path, headers=headers, follow_redirects=False, **about)

    return ask


def seen_ns(desk, target: str) -> str:
    return str(next((e.at_ns for e in desk.guard.kill_switches if e.target == target), 0))


def test_a_switch_is_set_in_two_steps_and_told_who_set_it_why(asked, desk) -> None:
    first = asked("GET", "/kill-switch/change?target=account/alpha&to=halted")
    second = asked(
        "POST", "/kill-switch/confirm", target="account/alpha", state="halted",
        # As a field of several lines sends it.
        reason="a drill\r\nof the desk",
    )  # fmt: skip
    assert first.status_code == second.status_code == 200
    assert "Halt account/alpha?" in second.text
    assert desk.guard.kill_switch("account/alpha") == "active"

    hidden = dict(re.findall(r'type="hidden" name="(\w+)" value="([^"]*)"', second.text))
    done = asked("POST", "/kill-switch", **hidden)
    assert (done.status_code, done.headers["location"]) == (303, "/kill-switch?done=set")
    assert desk.guard.kill_switch("account/alpha") == "halted"
    text = asked("GET", done.headers["location"]).text
    assert "The kill switch is set." in text
    assert "a drill of the desk" in text
    assert "a risk-officer" in text


def test_a_release_can_let_the_drawdown_count_from_the_present_equity(asked, desk) -> None:
    book = desk.guard.book("account/alpha")
    desk.guard.on_balance("account/alpha", "deposit", 1_000)
    desk.guard._books.ledger.start_peak("account/alpha", 2 * book.equity)
    before, equity = (
        f"{each:,.2f}" for each in (2 * book.equity, desk.guard.book("account/alpha").equity)
    )
    assert 'name="rearm"' in asked("GET", "/kill-switch/change?target=account/alpha").text
    assert 'name="rearm"' not in asked("GET", "/kill-switch/change?target=venue/paper").text

    second = asked(
        "POST", "/kill-switch/confirm", target="account/alpha", state="active", reason="looked at", rearm="yes"
    )  # fmt: skip
    assert before in second.text
    assert equity in second.text
    hidden = dict(re.findall(r'type="hidden" name="(\w+)" value="([^"]*)"', second.text))
    assert asked("POST", "/kill-switch", **hidden).status_code == 303
    assert desk.guard.book("account/alpha").drawdown == 0.0


def test_a_drawdown_that_cannot_count_anew_is_said_before_anything_is_done(asked) -> None:
    answer = asked(
        "POST", "/kill-switch/confirm", target="account/alpha", state="halted", reason="why", rearm="yes"
    )  # fmt: skip

    assert answer.status_code == 400
    assert "stays halted" in answer.text


@pytest.mark.parametrize(
    ("state", "reason", "said"),
    [
        ("", "a drill", "Choose what"),
        ("off", "a drill", "Choose what"),
        ("halted", " ", "no reason is given"),
        ("halted", "a \u202elird", "this is no reason that can be kept"),
    ],
)
def test_what_is_missing_is_asked_for_again(asked, state: str, reason: str, said: str) -> None:
    answer = asked("POST", "/kill-switch/confirm", target="firm", state=state, reason=reason)

    assert answer.status_code == 400
    assert said in answer.text


def test_a_switch_that_somebody_else_set_meanwhile_is_not_set(asked, desk) -> None:
    before = seen_ns(desk, "account/alpha")
    desk.guard.set_kill_switch("account/alpha", "halted", by="rita", reason="she was faster")

    answer = asked(
        "POST", "/kill-switch", target="account/alpha", state="active", reason="release", seen=before
    )  # fmt: skip

    assert answer.status_code == 409
    assert "while you were deciding" in answer.text
    assert "she was faster" in answer.text
    assert desk.guard.kill_switch("account/alpha") == "halted"


def test_what_the_guard_refuses_is_told(asked, desk) -> None:
    seen = seen_ns(desk, "account/alpha")
    answer = asked(
        "POST", "/kill-switch", target="account/alpha", state="off", reason="why", seen=seen
    )

    assert answer.status_code == 409
    assert "`off` is no state of a switch" in answer.text


@pytest.mark.parametrize("role", ["viewer", "trader"])
@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/kill-switch/change"),
        ("POST", "/kill-switch/confirm"),
        ("POST", "/kill-switch"),
        ("POST", "/kill-switch/proposals/x/confirm"),
        ("POST", "/kill-switch/proposals/x/withdraw"),
    ],
)
def test_nobody_but_who_manages_sets_a_switch(
    asked, desk, role: str, method: str, path: str
) -> None:
    desk.guard.set_kill_switch("firm", "halted", by="rita", reason="a drill")

    answer = asked(
        method, path, role, "alpha", target="firm", state="active", reason="let me", seen="0"
    )

    assert answer.status_code == 403
    assert "You may not do this" in answer.text
    assert desk.guard.kill_switch("firm") == "halted"


@pytest.mark.parametrize("role", ["viewer", "trader"])
def test_who_may_not_set_a_switch_is_shown_no_form_for_it(asked, role: str) -> None:
    text = asked("GET", "/kill-switch", role, "alpha").text

    # The one form that is left logs out.
    assert re.findall(r'<form[^>]*action="([^"]*)"', text) == ["/logout"]
    assert "/kill-switch/change" not in text


def test_a_trader_sees_the_switches_of_its_own_accounts_alone(asked, desk) -> None:
    desk.guard.set_kill_switch("account/beta", "reducing", by="rita", reason="not his business")

    trader, viewer = asked("GET", "/kill-switch", "trader", "alpha"), asked("GET", "/kill-switch")

    assert "not his business" in viewer.text
    assert "beta" not in trader.text
    assert "not his business" not in trader.text
    assert "1 restricted" in viewer.text
    assert "1 restricted" not in trader.text


def test_hostile_text_is_shown_and_never_run(asked, desk) -> None:
    desk.guard.set_kill_switch("account/alpha", "reducing", by=HOSTILE, reason=HOSTILE)

    pages = [
        asked("GET", "/kill-switch").text,
        asked("GET", "/kill-switch/change?target=account/alpha").text,
        asked("GET", "/").text,
        asked(
            "POST", "/kill-switch/confirm", target="account/alpha", state="active", reason=HOSTILE
        ).text,
        asked("GET", f"/kill-switch/change?target={HOSTILE}").text,
        asked("GET", f"/kill-switch?done={HOSTILE}").text,
    ]

    for text in pages:
        assert "<script>alert" not in text
        assert "<img src=x" not in text
    assert "&lt;script&gt;" in pages[0]


def test_a_target_that_is_not_known_has_no_page(asked) -> None:
    assert asked("GET", "/kill-switch/change?target=account/nobody").status_code == 404


@pytest.fixture
def two_people(desk, tmp_path, monkeypatch) -> FourEyes:
    about = desk.access.four_eyes
    four_eyes = FourEyes(
        desk.guard,
        desk.reloader,
        desk.access.records,
        desk.clock,
        actions=frozenset({"kill-switch-release"}),
        valid_ns=3_600_000_000_000,
        folder=tmp_path,
        store=desk.data / "policies",
        hands=desk.access.users.hands,
    )
    assert about is not four_eyes
    monkeypatch.setattr(desk, "access", replace(desk.access, four_eyes=four_eyes))
    return four_eyes


def test_a_release_that_takes_two_people_waits_for_the_second(asked, desk, two_people) -> None:
    desk.guard.set_kill_switch("account/alpha", "halted", by="rita", reason="a drill")
    about = {"target": "account/alpha", "state": "active", "reason": "over"}

    said = asked("POST", "/kill-switch/confirm", **about).text
    proposed = asked("POST", "/kill-switch", **about, seen=seen_ns(desk, "account/alpha"))

    assert "This takes two people" in said
    assert proposed.headers["location"] == "/kill-switch?done=proposed"
    assert desk.guard.kill_switch("account/alpha") == "halted"
    (waiting,) = two_people.pending()
    own = asked("GET", "/kill-switch").text
    assert "Another person has to confirm it." in own
    assert f"/kill-switch/proposals/{waiting.id}/confirm" not in own
    assert asked("POST", f"/kill-switch/proposals/{waiting.id}/confirm").status_code == 403
    others = asked("GET", "/kill-switch", "admin").text
    assert f"/kill-switch/proposals/{waiting.id}/confirm" in others

    confirmed = asked("POST", f"/kill-switch/proposals/{waiting.id}/confirm", "admin")

    assert confirmed.headers["location"] == "/kill-switch?done=confirmed"
    assert desk.guard.kill_switch("account/alpha") == "active"


def test_a_proposal_can_be_withdrawn(asked, desk, two_people) -> None:
    desk.guard.set_kill_switch("account/alpha", "halted", by="rita", reason="a drill")
    two_people.set_kill_switch(OTHER, "account/alpha", "active", "over")
    (waiting,) = two_people.pending()

    answer = asked("POST", f"/kill-switch/proposals/{waiting.id}/withdraw")

    assert answer.headers["location"] == "/kill-switch?done=withdrawn"
    assert two_people.pending() == ()
    assert asked("POST", f"/kill-switch/proposals/{waiting.id}/confirm").status_code == 404
