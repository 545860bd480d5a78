"""People change their own passwords, and have to where somebody else knows the one they have."""

from collections.abc import Iterator
from typing import Any

import pytest
from litestar.testing import TestClient

from ringfence.errors import AuditError
from ringfence.service.access.rights import Principal, Role
from ringfence.service.desk import Desk
from service.access.people import PASSWORD, SESSION, client_of, log_in, person, session_text

pytestmark = [pytest.mark.integration, pytest.mark.security]
PAGE = {"accept": "text/html"}
OTHER = "eleven rooks in a field"


@pytest.fixture
def olga(desk: Desk) -> str:
    name = person(desk, "olga", "risk-officer")
    desk.access.users.change(name, password=PASSWORD, must_change=False)
    return name


@pytest.fixture
def new(desk: Desk) -> Iterator[str]:
    """Somebody whom an admin has let in just now."""
    desk.access.users.add("newt", Role.RISK_OFFICER, [], PASSWORD, "an admin")
    yield "newt"
    desk.access.users.remove("newt")


def change(desk: Desk, browser: TestClient, **given: str) -> Any:
    """Fill in the form of the page and send it."""
    form = {"current": PASSWORD, "password": OTHER, "again": OTHER, "next": "/limits", **given}
    return browser.post("/password", data={"csrf_token": session_text(desk, browser), **form})


def test_somebody_changes_their_password_and_goes_on_while_others_are_logged_out(
    desk: Desk, browser: TestClient, olga: str, recorded
) -> None:
    with client_of(desk) as elsewhere:
        log_in(elsewhere, olga)
        log_in(browser, olga)
        before = browser.cookies[SESSION]
        assert "/password" in browser.get("/", headers=PAGE).text

        answer = change(desk, browser)

        assert (answer.status_code, answer.headers["location"]) == (303, "/password?done=changed")
        assert "was changed" in browser.get(answer.headers["location"], headers=PAGE).text
        assert browser.cookies[SESSION] != before
        assert desk.access.sessions.find(before) is None
        assert elsewhere.get("/v1/proposals").status_code == 401
        assert log_in(elsewhere, olga).status_code == 403
        assert log_in(elsewhere, olga, OTHER).status_code == 303
    (told,) = (body for kind, body in recorded() if kind == "password-changed")
    assert (told["by"], told["user"]) == (olga, olga)
    assert PASSWORD not in str(recorded())
    assert OTHER not in str(recorded())


@pytest.mark.parametrize(
    ("given", "status", "said"),
    [
        ({"current": "seven crows on a wall"}, 403, "not the password that you have"),
        ({"current": ""}, 403, "not the password that you have"),
        ({"current": "x" * 5_000}, 403, "not the password that you have"),
        ({"again": "eleven rooks in a barn"}, 422, "not the same"),
        ({"password": "short", "again": "short"}, 422, "fewer than 15 letters"),
        ({"password": PASSWORD, "again": PASSWORD}, 422, "take another one"),
        ({"password": "x" * 300, "again": "x" * 300}, 422, "more than 256 letters"),
    ],
)
def test_what_will_not_do_changes_nothing(
    desk: Desk, browser: TestClient, olga: str, given: dict[str, str], status: int, said: str
) -> None:
    log_in(browser, olga)

    answer = change(desk, browser, **given)

    assert answer.status_code == status
    assert said in answer.text
    assert desk.access.users.check(olga, PASSWORD) is not None
    assert browser.get("/v1/proposals").status_code == 200


def test_a_form_of_another_page_changes_nothing(desk: Desk, browser: TestClient, olga: str) -> None:
    log_in(browser, olga)
    form = {"current": PASSWORD, "password": OTHER, "again": OTHER}

    assert browser.post("/password", data=form).status_code == 403
    assert desk.access.users.check(olga, PASSWORD) is not None


def test_whoever_found_an_open_session_cannot_guess_the_password(
    desk: Desk, browser: TestClient, olga: str, recorded
) -> None:
    log_in(browser, olga)
    answers = [change(desk, browser, current=f"seven crows {k}") for k in range(5)]
    last = change(desk, browser)  # the right one, too late

    assert [each.status_code for each in answers] == [403] * 5
    assert last.status_code == 429
    assert 0 < int(last.headers["retry-after"]) <= 900
    assert log_in(browser, olga).status_code == 429
    failures = [body for kind, body in recorded() if kind == "password-refused"]
    assert [body["locks_out"] for body in failures] == [False] * 4 + [True]
    assert "locked-out" in [kind for kind, _ in recorded()]


def test_what_cannot_be_recorded_changes_no_password(
    desk: Desk, browser: TestClient, olga: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    log_in(browser, olga)

    def fail(*_: Any) -> None:
        raise AuditError("the log is full", "make room")

    with monkeypatch.context() as patched:
        patched.setattr(desk.access.records, "changed", fail)
        assert change(desk, browser).status_code == 503
    assert desk.access.users.check(olga, PASSWORD) is not None


def test_the_api_changes_it_too(desk: Desk, browser: TestClient, olga: str) -> None:
    log_in(browser, olga)
    body = {"current": PASSWORD, "password": OTHER}
    assert browser.post("/v1/password", json=body).status_code == 403
    form = {"x-csrf-token": session_text(desk, browser)}
    wrong = browser.post("/v1/password", json={**body, "current": "x"}, headers=form)
    assert (wrong.status_code, wrong.json()["type"]) == (403, "urn:ringfence:problem:forbidden")

    assert browser.post("/v1/password", json=body, headers=form).status_code == 204

    assert browser.get("/v1/proposals").status_code == 200
    assert desk.access.users.check(olga, OTHER) is not None
    token = desk.tokens.make(Principal(olga, Role.RISK_OFFICER), 600)
    by_token = {"authorization": f"Bearer {token}"}
    back = {"current": OTHER, "password": PASSWORD}
    assert browser.post("/v1/password", json=back, headers=by_token).status_code == 204


def test_machines_have_no_password_and_nobody_gets_one_by_a_name(
    desk: Desk, browser: TestClient
) -> None:
    kept, key = desk.access.api_keys.make("pw-bot", Role.VIEWER, [], 10**12, "a test")
    stranger = desk.tokens.make(Principal("a stranger", Role.VIEWER), 600)
    body = {"current": PASSWORD, "password": OTHER}
    for shown, said in ((key.reveal(), "an API key has no"), (stranger, "not the password")):
        headers = {"authorization": f"Bearer {shown}"}
        answer = browser.post("/v1/password", json=body, headers=headers)
        assert answer.status_code == 403
        assert said in answer.text
    desk.access.api_keys.revoke(kept.id)


def test_nothing_is_open_to_somebody_whose_password_another_has_set(
    desk: Desk, browser: TestClient, new: str, recorded
) -> None:
    assert log_in(browser, new, to="/limits?gate=drawdown").status_code == 303
    led = browser.get("/limits?gate=drawdown", headers=PAGE)
    assert led.status_code == 303
    assert led.headers["location"] == "/password?next=%2Flimits%3Fgate%3Ddrawdown"
    part = browser.get("/decisions", headers={"hx-request": "true"})
    assert part.headers["hx-redirect"].startswith("/password?")
    form = {"x-csrf-token": session_text(desk, browser)}
    refused = browser.post("/v1/proposals/x/confirm", headers=form)
    assert refused.status_code == 403
    assert "change your password first" in refused.json()["detail"]
    shown = browser.get(led.headers["location"], headers=PAGE)
    assert "Choose a password of your own" in shown.text
    # Nothing of the desk is shown meanwhile.
    assert "top-state" not in shown.text
    assert "denied" not in [kind for kind, _ in recorded()]

    answer = change(desk, browser, next="/limits?gate=drawdown")

    assert (answer.status_code, answer.headers["location"]) == (303, "/limits?gate=drawdown")
    assert browser.get("/limits", headers=PAGE).status_code == 200
    assert browser.post("/v1/proposals/x/confirm", headers=form).status_code == 403  # an old form
    form = {"x-csrf-token": session_text(desk, browser)}
    assert browser.post("/v1/proposals/x/confirm", headers=form).status_code == 404


def test_somebody_who_must_change_the_password_may_log_out(
    desk: Desk, browser: TestClient, new: str
) -> None:
    log_in(browser, new)
    answer = browser.post("/logout", data={"csrf_token": session_text(desk, browser)})
    assert (answer.status_code, answer.headers["location"]) == (303, "/login")


def test_a_password_that_an_admin_sets_anew_has_to_be_changed_again(
    desk: Desk, browser: TestClient, olga: str
) -> None:
    admin = {"authorization": f"Bearer {desk.tokens.make(Principal('root', Role.ADMIN), 600)}"}
    answer = browser.patch(f"/v1/users/{olga}", json={"password": OTHER}, headers=admin)
    assert answer.json()["must_change"] is True
    log_in(browser, olga, OTHER)
    assert browser.get("/", headers=PAGE).headers["location"] == "/password?next=%2F"


def test_nobody_sets_their_own_without_knowing_it(desk: Desk, browser: TestClient) -> None:
    name = person(desk, "ada", "admin")
    admin = {"authorization": f"Bearer {desk.tokens.make(Principal(name, Role.ADMIN), 600)}"}
    answer = browser.patch(f"/v1/users/{name}", json={"password": OTHER}, headers=admin)
    assert answer.status_code in (409, 422)
    assert "/v1/password" in answer.text
    assert desk.access.users.check(name, PASSWORD) is not None


def test_a_password_that_was_changed_meanwhile_is_not_changed_again(
    desk: Desk, olga: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    users = desk.access.users
    check = users.check

    def raced(name: str, password: str) -> Any:
        found = check(name, password)
        users.change(name, password="nine wrens under a roof")
        return found

    monkeypatch.setattr(users, "check", raced)
    assert users.change_own(olga, PASSWORD, OTHER) is None
    assert check(olga, OTHER) is None
