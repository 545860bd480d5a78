"""The pages of policies: history, failures with their findings, what differs, and going back with a reason."""

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from litestar.testing import TestClient

from ringfence import OrderRequest
from ringfence.runtime.credentials import API_SECRET_KEY, JWT_SECRET_KEY, load_credentials
from ringfence.runtime.policy_set import PolicySet
from ringfence.service.access.rights import Principal, Role
from ringfence.service.app import make_app
from ringfence.service.dashboard.policies import stored_sets
from ringfence.service.desk import Desk, open_desk
from ringfence.service.settings import ServiceSettings
from service.access.people import client_of, log_in, person, session_text

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Policies that a test may write to, without their tests."""
    place = tmp_path_factory.mktemp("own") / "policies"
    shutil.copytree("policies", place, ignore=shutil.ignore_patterns("tests", "invariants"))
    return place


@pytest.fixture(scope="module")
def own(folder: Path) -> Iterator[Desk]:
    """A desk of its own: one set was in force before that of today."""
    settings = ServiceSettings(
        environment="testing", policies=folder, data=folder.parent / "service"
    )
    credentials = load_credentials(
        (API_SECRET_KEY, JWT_SECRET_KEY), {"RINGFENCE_ENVIRONMENT": "testing"}
    )
    desk = open_desk(settings, credentials)
    write(folder, text_of(folder).replace("200_000 USDT, max_loss", "150_000 USDT, max_loss"))
    assert desk.reloader.reload(by="ann", reason="a tighter day").ok
    yield desk
    desk.close()


@pytest.fixture(scope="module")
def asking(own: Desk) -> Iterator[TestClient]:
    with TestClient(make_app(own)) as client:
        yield client


@pytest.fixture
def officer(own: Desk) -> dict[str, str]:
    return headers(own, "risk-officer")


def headers(desk: Desk, role: str, name: str = "") -> dict[str, str]:
    who = Principal(name or f"a {role}", Role(role), frozenset({"alpha"}))
    token = desk.tokens.make(who, 3600)
    return {"authorization": f"Bearer {token}", "accept": "text/html"}


def text_of(folder: Path) -> str:
    return (folder / "desk.yaml").read_text()


def write(folder: Path, text: str) -> None:
    beside = folder / ".desk"
    beside.write_text(text)
    beside.rename(folder / "desk.yaml")


def earlier(desk: Desk) -> str:
    """The set that was in force first."""
    (found,) = (each.sha256 for each in stored_sets(desk) if each.sha256 != desk.guard.policy_set)
    return found


def test_history_and_sets_are_shown(asking: TestClient, own: Desk, officer: Any) -> None:
    text = asking.get("/policies", headers=officer).text

    assert own.guard.policy_set[:12] in text
    assert earlier(own)[:12] in text
    assert "Follows its source" in text
    assert "In force" in text
    assert "No set runs in the shadow" in text
    assert "Go back" in text


def test_who_only_looks_is_offered_nothing_to_change(asking: TestClient, own: Desk) -> None:
    text = asking.get("/policies", headers=headers(own, "viewer")).text

    assert "Compare" in text
    assert "Go back" not in text
    assert "Look at the source now" not in text


def test_a_trader_sees_no_set(asking: TestClient, own: Desk) -> None:
    trader = headers(own, "trader")

    text = asking.get("/policies", headers=trader).text

    assert own.guard.policy_set[:12] in text
    assert "Compare" not in text
    assert asking.get("/policies/diff", headers=trader).status_code == 403


def test_what_differs_is_shown_at_once_and_its_direction_once_it_is_proved(
    asking: TestClient, own: Desk, officer: Any
) -> None:
    address = f"/policies/diff?base={earlier(own)}&head=active"

    text = asking.get(address, headers=officer).text

    assert "200,000 USDT" in text
    assert "150,000 USDT" in text
    assert "-25.0%" in text
    assert "Being proved" in text
    assert "hx-get" in text
    (job,) = asking.app.state.jobs.all("plan")
    assert asking.app.state.jobs.wait(job, 120)
    part = asking.get(address.replace("/diff?", "/diff/part?"), headers=officer).text
    assert "Tightened" in part
    assert "Being proved" not in part
    assert "hx-get" not in part
    assert "An order that gets less than before" in part
    assert "desk.yaml:" in part


def test_a_set_differs_in_nothing_from_itself(asking: TestClient, officer: Any) -> None:
    text = asking.get("/policies/diff?base=active&head=active", headers=officer).text

    assert "The same" in text
    assert "No limit, scope or gate differs" in text


def test_a_set_that_is_not_there_is_told(asking: TestClient, officer: Any) -> None:
    assert asking.get("/policies/diff?base=ffff", headers=officer).status_code == 404
    answer = asking.get("/policies/change?what=nothing", headers=officer)
    assert answer.status_code == 404


def test_going_back_asks_and_takes_a_reason(asking: TestClient, own: Desk, officer: Any) -> None:
    wanted, now = earlier(own), own.guard.policy_set
    asked = asking.get(f"/policies/change?what=rollback&policy_set={wanted}", headers=officer).text
    assert "I have seen below what differs" in asked
    assert "150,000 USDT" in asked
    given = {"what": "rollback", "policy_set": wanted, "seen": now}

    without = asking.post("/policies/change", data={**given, "reason": " "}, headers=officer)
    stale = asking.post(
        "/policies/change", data={**given, "seen": wanted, "reason": "as <agreed>"}, headers=officer
    )
    viewer = asking.post(
        "/policies/change", data={**given, "reason": "x"}, headers=headers(own, "viewer")
    )

    assert (without.status_code, stale.status_code, viewer.status_code) == (409, 409, 403)
    assert "no reason is given" in without.text
    assert "while you were deciding" in stale.text
    assert "as &lt;agreed&gt;</textarea>" in stale.text
    assert own.guard.policy_set == now

    done = asking.post(
        "/policies/change",
        data={**given, "reason": "too tight"},
        headers=officer,
        follow_redirects=False,
    )
    assert (done.status_code, own.guard.policy_set) == (303, wanted)
    text = asking.get(done.headers["location"], headers=officer).text
    assert "Held by a person" in text
    assert "too tight" in text
    assert "Follow the source again" in text

    after = asking.post(
        "/policies/change",
        data={"what": "unpin", "reason": "enough"},
        headers=officer,
        follow_redirects=False,
    )
    assert after.status_code == 303
    assert own.reloader.reload(by="ann", reason="now").ok
    assert own.guard.policy_set == now


def test_going_back_takes_two_people_where_that_is_set(
    asking: TestClient, own: Desk, officer: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(own.access.four_eyes, "_actions", frozenset({"rollback"}))
    now = own.guard.policy_set
    given = {"what": "rollback", "policy_set": earlier(own), "seen": now, "reason": "too tight"}

    asking.post("/policies/change", data=given, headers=officer)

    assert own.guard.policy_set == now
    (proposal,) = own.access.four_eyes.pending()
    mine = asking.get("/policies", headers=officer).text
    assert "wants to go back to" in mine
    assert f"confirm-{proposal.id}" not in mine
    other = headers(own, "risk-officer", "bob")
    assert f"confirm-{proposal.id}" in asking.get("/policies", headers=other).text
    asking.post(f"/policies/proposals/{proposal.id}/withdraw", headers=other)
    assert own.access.four_eyes.pending() == ()


def test_going_back_that_fails_is_not_told_as_done(
    asking: TestClient, own: Desk, officer: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(own.access.four_eyes, "_actions", frozenset({"rollback"}))
    now, wanted = own.guard.policy_set, earlier(own)
    given = {"what": "rollback", "policy_set": wanted, "seen": now, "reason": "too tight"}
    asking.post("/policies/change", data=given, headers=officer)
    (proposal,) = own.access.four_eyes.pending()
    # What is kept of the set is damaged before a second person confirms.
    stored = [each for each in own.data.glob("policies/**/*") if wanted in each.name]
    kept = {each: each.read_bytes() for each in stored if each.is_file()}
    assert kept
    for each in kept:
        each.write_bytes(b"damaged")
    try:
        answer = asking.post(
            f"/policies/proposals/{proposal.id}/confirm",
            headers=headers(own, "risk-officer", "bob"),
            follow_redirects=False,
        )
    finally:
        for each, content in kept.items():
            each.write_bytes(content)

    assert (answer.status_code, own.guard.policy_set) == (409, now)
    assert "It is confirmed and done" not in answer.text


def test_a_shadow_says_how_often_it_differs(
    asking: TestClient, own: Desk, officer: Any, folder: Path
) -> None:
    own.guard.shadow(PolicySet.load(folder))
    said = "It decided every order as the set in force did"
    try:
        text = asking.get("/policies", headers=officer).text
        assert "Decisions compared" in text
        assert said not in text
        own.guard.evaluate_order(OrderRequest("alpha", "BTC/USDT", "buy", "0.001", "50000"))
        assert said in asking.get("/policies", headers=officer).text
    finally:
        own.guard.shadow(None)


def test_a_source_that_fails_is_told_with_its_findings(
    asking: TestClient, own: Desk, officer: Any, folder: Path
) -> None:
    good = text_of(folder)
    write(folder, good.replace("max_drawdown", "max_drawdwn"))
    try:
        answer = asking.post(
            "/policies/change", data={"what": "reload", "reason": "look"}, headers=officer
        )
        text = asking.get("/policies", headers=officer).text
    finally:
        write(folder, good)
        own.reloader.reload(by="ann", reason="mended")

    assert answer.status_code == 409
    assert "E210" in text
    assert "desk.yaml:" in text
    assert "did you mean `max_drawdown`?" in text
    assert "the last good one stays in force" in text
    assert "E210" not in asking.get("/policies", headers=officer).text.partition("What happened")[0]


def test_every_form_carries_what_the_session_needs(own: Desk) -> None:
    person(own, "olga", "risk-officer")
    with client_of(own) as browser:
        log_in(browser, "olga")
        text = session_text(own, browser)
        for path in ("/policies/change?what=reload", "/dry-runs", "/policies"):
            shown = browser.get(path, headers={"accept": "text/html"}).text
            assert shown.count('<form method="post"') == shown.count(f'value="{text}"'), path

        refused = browser.post("/policies/change", data={"what": "reload", "reason": "look"})
        done = browser.post(
            "/policies/change", data={"what": "reload", "reason": "look", "csrf_token": text}
        )

    assert (refused.status_code, done.status_code) == (403, 303)


def test_a_set_runs_in_the_shadow_from_the_page_and_is_ended_there(
    asking: TestClient, own: Desk, officer: Any
) -> None:
    wanted = earlier(own)
    listed = asking.get("/policies", headers=officer).text
    assert f"shadow-{wanted[:12]}" in listed
    asked = asking.get(f"/policies/change?what=shadow&policy_set={wanted}", headers=officer).text
    assert "decides nothing" in asked
    assert "What differs" in asked
    given = {"what": "shadow", "policy_set": wanted}
    silent = asking.post("/policies/change", data=given, headers=officer)
    assert (silent.status_code, own.guard.shadow_set) == (409, "")
    assert "no reason is given" in silent.text

    given["reason"] = "would the old limits have held"
    done = asking.post("/policies/change", data=given, headers=officer)

    assert "The set runs in the shadow." in done.text
    assert own.guard.shadow_set == wanted
    assert "end-shadow" in done.text
    assert own.reloader.history[-1]["by"] == "a risk-officer"
    assert own.reloader.history[-1]["reason"] == given["reason"]
    viewer = headers(own, "viewer")
    assert "end-shadow" not in asking.get("/policies", headers=viewer).text
    assert asking.get("/policies/change?what=unshadow", headers=viewer).status_code == 403
    refused = asking.post("/policies/change", data={**given, "what": "unshadow"}, headers=viewer)
    assert refused.status_code == 403
    assert own.guard.shadow_set == wanted

    over = {"what": "unshadow", "reason": "seen enough"}
    assert "No set runs" in asking.post("/policies/change", data=over, headers=officer).text
    assert own.guard.shadow_set == ""


def test_a_set_that_is_not_there_does_not_run_in_the_shadow(
    asking: TestClient, own: Desk, officer: Any
) -> None:
    given = {"what": "shadow", "policy_set": "ffff0000", "reason": "x y z"}
    assert asking.post("/policies/change", data=given, headers=officer).status_code == 404
    assert own.guard.shadow_set == ""
