"""Logging in with a browser: what it gets, how it ends, and what does not get in."""

import pytest
from litestar.testing import TestClient

from ringfence.service.access.api_keys import ApiKeys
from ringfence.service.access.login import safe_path
from ringfence.service.desk import Desk
from service.access.people import (
    FORM,
    PASSWORD,
    SESSION,
    client_of,
    form_text,
    log_in,
    person,
    session_text,
)

pytestmark = [pytest.mark.integration, pytest.mark.security]
PAGE = {"accept": "text/html"}


@pytest.fixture
def ann(desk: Desk) -> str:
    return person(desk, "ann", "risk-officer")


@pytest.mark.usefixtures("ann")
def test_whoever_wants_a_page_logs_in_and_gets_it(
    desk: Desk, browser: TestClient, recorded
) -> None:
    asked = browser.get("/", headers=PAGE)
    assert (asked.status_code, asked.headers["location"]) == (303, "/login?next=%2F")

    answer = log_in(browser, " Ann ", to="/limits?gate=drawdown")

    assert (answer.status_code, answer.headers["location"]) == (303, "/limits?gate=drawdown")
    shown = browser.get("/", headers=PAGE)
    assert shown.status_code == 200
    assert "ann" in shown.text
    assert session_text(desk, browser) in shown.text
    assert [kind for kind, _ in recorded()] == ["login"]
    assert recorded()[0][1]["by"] == "ann"


def test_the_cookie_is_out_of_reach_of_scripts_other_sites_and_plain_http(
    browser: TestClient, ann: str
) -> None:
    answer = log_in(browser, ann)
    made = [each for each in answer.headers.get_list("set-cookie") if each.startswith(SESSION)]

    assert len(made) == 1
    words = {each.strip().lower() for each in made[0].split(";")[1:]}
    assert {"httponly", "secure", "samesite=strict", "path=/"} <= words
    assert not any(each.startswith("domain") for each in words)


def test_on_the_machine_itself_it_works_without_tls(desk: Desk, ann: str) -> None:
    with client_of(desk, "http://127.0.0.1:5000") as browser:
        answer = log_in(browser, ann)
        assert answer.status_code == 303
        assert "secure" not in answer.headers["set-cookie"].lower()
        assert browser.get("/", headers=PAGE).status_code == 200
        assert "strict-transport-security" not in answer.headers


def test_by_plain_http_from_elsewhere_nobody_gets_in(desk: Desk, ann: str) -> None:
    with client_of(desk, "http://desk.example") as browser:
        answer = log_in(browser, ann)
    assert answer.status_code == 403
    assert "use https" in answer.text
    assert all("secure" in each.lower() for each in answer.headers.get_list("set-cookie"))


def test_a_login_makes_a_new_session_whatever_the_browser_had(
    desk: Desk, browser: TestClient, ann: str
) -> None:
    log_in(browser, ann)
    first = browser.cookies[SESSION]
    log_in(browser, ann)

    assert browser.cookies[SESSION] != first
    # What a thief had is worth nothing after the next login.
    assert desk.access.sessions.find(first) is None

    browser.cookies.clear()
    browser.cookies.set(SESSION, "a" * 64, domain="desk.example")
    log_in(browser, ann)
    assert desk.access.sessions.find("a" * 64) is None
    assert "a" * 64 not in [each.value for each in browser.cookies.jar if each.name == SESSION]


def test_logging_out_ends_the_session_on_the_server(
    desk: Desk, browser: TestClient, ann: str, recorded
) -> None:
    log_in(browser, ann)
    text = browser.cookies[SESSION]

    answer = browser.post("/logout", data={"csrf_token": session_text(desk, browser)})

    assert (answer.status_code, answer.headers["location"]) == (303, "/login")
    assert desk.access.sessions.find(text) is None
    browser.cookies.set(SESSION, text, domain="desk.example")
    assert browser.get("/", headers=PAGE).status_code == 303
    assert [kind for kind, _ in recorded()][-1] == "logout"


@pytest.mark.parametrize(
    ("name", "password"),
    [
        ("ann", "seven crows on a wall"),
        ("ann", PASSWORD + " "),
        ("ann", ""),
        ("ann", "x" * 5_000),
        ("nobody", PASSWORD),
        ("ann' or 1=1 --", PASSWORD),
        ("ann\x00", PASSWORD),
        ("аnn", PASSWORD),  # Cyrillic on purpose
        ("x" * 1_000, PASSWORD),
    ],
)
@pytest.mark.usefixtures("ann")
def test_a_wrong_name_or_password_is_told_no_more_than_that(
    browser: TestClient, name: str, password: str
) -> None:
    answer = log_in(browser, name, password)

    assert answer.status_code == 403
    assert "This name and password do not fit together." in answer.text
    assert SESSION not in browser.cookies


def test_an_unknown_name_takes_the_same_work_as_a_wrong_password(
    desk: Desk, browser: TestClient, ann: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    hasher = desk.access.users._passwords._hasher
    parameters = []
    verify = type(hasher).verify
    monkeypatch.setattr(
        type(hasher),
        "verify",
        lambda self, kept, text: parameters.append(kept.split("$")[:4]) or verify(self, kept, text),
    )

    for name in (ann, "nobody"):
        log_in(browser, name, "seven crows on a wall")

    assert parameters[0] == parameters[1]
    assert parameters[0][1] == "argon2id"


def test_nothing_that_was_typed_is_recorded(browser: TestClient, ann: str, recorded) -> None:
    log_in(browser, ann, "a-typed-secret-word")
    log_in(browser, "a-typed-secret-word", "x")

    assert [kind for kind, _ in recorded()] == ["login-failed", "login-failed"]
    assert [body["by"] for _, body in recorded()] == ["ann", ""]
    assert "a-typed-secret-word" not in str(recorded())


def test_whoever_guesses_is_locked_out_and_told_when_to_come_again(
    browser: TestClient, ann: str, recorded
) -> None:
    for _ in range(5):
        assert log_in(browser, ann, "seven crows on a wall").status_code == 403
    answer = log_in(browser, ann)  # the right password, too late

    assert answer.status_code == 429
    assert 0 < int(answer.headers["retry-after"]) <= 900
    assert SESSION not in browser.cookies
    failures = [body for kind, body in recorded() if kind == "login-failed"]
    assert [body["locks_out"] for body in failures] == [False] * 4 + [True]
    assert [kind for kind, _ in recorded()][-1] == "locked-out"


def test_a_login_that_succeeds_forgets_the_tries(browser: TestClient, ann: str) -> None:
    for _ in range(2):
        for _ in range(4):
            log_in(browser, ann, "seven crows on a wall")
        assert log_in(browser, ann).status_code == 303


def test_one_address_cannot_try_the_password_of_everybody(browser: TestClient) -> None:
    answers = [log_in(browser, f"user-{number}", "password").status_code for number in range(21)]

    assert answers == [403] * 20 + [429]


@pytest.mark.parametrize("sent", ["", "f" * 64, "no text", None])
def test_the_login_form_is_taken_from_its_own_page_only(
    browser: TestClient, ann: str, sent: str | None
) -> None:
    form_text(browser)
    given = {"name": ann, "password": PASSWORD}

    answer = browser.post("/login", data=given if sent is None else {**given, "csrf_token": sent})

    assert answer.status_code == 403
    assert SESSION not in browser.cookies


def test_a_form_without_its_cookie_is_not_taken(browser: TestClient, ann: str) -> None:
    text = form_text(browser)
    browser.cookies.clear()
    given = {"name": ann, "password": PASSWORD, "csrf_token": text}

    assert browser.post("/login", data=given).status_code == 403
    browser.cookies.set(FORM, "", domain="desk.example")
    assert browser.post("/login", data={**given, "csrf_token": ""}).status_code == 403


@pytest.mark.parametrize(
    ("wanted", "taken"),
    [
        ("/decisions?id=1&x=%2F", "/decisions?id=1&x=%2F"),
        ("https://evil.example/", "/"),
        ("//evil.example", "/"),
        ("///evil.example", "/"),
        ("/\\evil.example", "/"),
        ("\\\\evil.example", "/"),
        ("/\t/evil.example", "/"),
        ("/\n/evil.example", "/"),
        ("javascript:alert(1)", "/"),
        ("http:evil.example", "/"),
        ("evil.example", "/"),
        ("", "/"),
        ("/login?next=/login", "/"),
        ("/logout", "/"),
        ("/é", "/"),
        ("/" + "a" * 5_000, "/"),
    ],
)
def test_a_login_leads_to_this_service_only(wanted: str, taken: str) -> None:
    assert safe_path(wanted) == taken


def test_the_page_wanted_is_written_into_the_form_escaped(browser: TestClient) -> None:
    answer = browser.get('/login?next=/"><script>alert(1)</script>')

    assert answer.status_code == 200
    assert "<script>alert" not in answer.text


# Sessions


def test_another_password_or_a_disabled_user_ends_every_session(
    desk: Desk, browser: TestClient
) -> None:
    name = person(desk, "dora", "viewer")
    for change in ({"password": "eight crows on a wire"}, {"enabled": False}):
        user = desk.access.users.change(name, password=PASSWORD, enabled=True)
        text = desk.access.sessions.begin(user)
        assert desk.access.sessions.find(text) is not None
        desk.access.users.change(name, **change)
        assert desk.access.sessions.find(text) is None
    assert log_in(browser, name, "eight crows on a wire").status_code == 403


def test_a_new_role_holds_at_once(desk: Desk) -> None:
    user = desk.access.users.change(person(desk, "evan", "viewer"), role="viewer", accounts=[])
    text = desk.access.sessions.begin(user)
    desk.access.users.change("evan", role="trader", accounts=["beta"])

    found = desk.access.sessions.find(text)
    assert found is not None
    assert (found[0].role, found[0].accounts) == ("trader", {"beta"})


@pytest.mark.parametrize("changed", ["", "0" * 64, "short", "ф" * 64, "' or '1'='1"])
def test_a_changed_cookie_is_nobodys(browser: TestClient, ann: str, changed: str) -> None:
    log_in(browser, ann)
    browser.cookies.clear()

    cookie = f"{SESSION}={changed}".encode()
    answer = browser.get("/", headers={**PAGE, "cookie": cookie})
    assert answer.status_code == 303


def test_two_cookies_of_one_name_are_nobodys(browser: TestClient, ann: str) -> None:
    log_in(browser, ann)
    mine = browser.cookies[SESSION]
    browser.cookies.clear()

    one = browser.get("/", headers={**PAGE, "cookie": f"a=b; {SESSION}={mine}"})
    two = browser.get("/", headers={**PAGE, "cookie": f"{SESSION}={'0' * 64}; {SESSION}={mine}"})
    assert (one.status_code, two.status_code) == (200, 303)


def test_a_cookie_without_its_prefix_is_not_looked_at_by_tls(browser: TestClient, ann: str) -> None:
    # A site beside this one can set cookies for both, but none with the prefix.
    log_in(browser, ann)
    mine = browser.cookies[SESSION]
    browser.cookies.clear()

    answer = browser.get("/", headers={**PAGE, "cookie": f"ringfence-session={mine}"})
    assert answer.status_code == 303


def test_where_a_token_is_shown_the_cookie_is_not_looked_at(browser: TestClient, ann: str) -> None:
    log_in(browser, ann)

    wrong = browser.get("/v1/proposals", headers={"authorization": "Bearer nonsense"})
    assert wrong.status_code == 401


# Forms of the session


def test_a_form_of_another_site_or_session_is_not_taken(desk: Desk, ann: str, recorded) -> None:
    with client_of(desk) as first, client_of(desk) as second:
        for each in (first, second):
            log_in(each, ann)
        other = session_text(desk, second)
        sent = [
            {},
            {"csrf_token": ""},
            {"csrf_token": other},
            {"csrf_token": other[::-1]},
            {"csrf_token": [session_text(desk, first), other]},
        ]
        answers = [first.post("/logout", data=each) for each in sent]
        in_json = first.post("/logout", json={"csrf_token": session_text(desk, first)})
        in_query = first.post(f"/logout?csrf_token={session_text(desk, first)}")
        wrong_header = first.post(
            "/logout",
            data={"csrf_token": session_text(desk, first)},
            headers={"x-csrf-token": other},
        )

        for each in (*answers, in_json, in_query, wrong_header):
            assert each.status_code == 403, each.text
        assert desk.access.sessions.find(first.cookies[SESSION]) is not None
    denied = [body for kind, body in recorded() if kind == "denied"]
    assert denied[0]["by"] == "ann"
    assert denied[0]["route"] == "/logout"


def test_the_header_does_as_well_as_the_field(desk: Desk, browser: TestClient, ann: str) -> None:
    log_in(browser, ann)
    text = session_text(desk, browser)

    answer = browser.post("/logout", headers={"x-csrf-token": text})
    assert answer.status_code == 303


def test_a_session_may_use_the_api_but_not_change_anything_without_its_form(
    desk: Desk, browser: TestClient
) -> None:
    log_in(browser, person(desk, "ada", "admin"))
    body = {"name": "bot-x", "role": "viewer"}

    assert browser.get("/v1/api-keys").status_code == 200
    assert browser.post("/v1/api-keys", json=body).status_code == 403
    made = browser.post(
        "/v1/api-keys", json=body, headers={"x-csrf-token": session_text(desk, browser)}
    )
    assert made.status_code == 201
    keys: ApiKeys = desk.access.api_keys
    keys.revoke("bot-x")


def test_every_answer_says_what_a_browser_may_do_with_it(browser: TestClient) -> None:
    for path, method in (
        ("/login", "GET"),
        ("/v1/proposals", "GET"),
        ("/no/such", "GET"),
        ("/login", "PUT"),
    ):
        answer = browser.request(method, path)
        said = answer.headers
        assert said["x-content-type-options"] == "nosniff", path
        assert said["x-frame-options"] == "DENY"
        assert "frame-ancestors 'none'" in said["content-security-policy"]
        assert "unsafe" not in said["content-security-policy"]
        assert said["referrer-policy"] == "same-origin"
        assert said["cache-control"] == "no-store"
        assert said["strict-transport-security"].startswith("max-age=63072000")
