"""Users, API keys, tokens and proposals over HTTP."""

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest
from litestar.testing import TestClient

from ringfence.errors import AuditError, StateError
from ringfence.runtime.audit_verify import verify
from ringfence.runtime.ports import FixedClock
from ringfence.service.access.four_eyes import FourEyes
from ringfence.service.access.records import Records
from ringfence.service.access.rights import Principal, Role
from ringfence.service.access.tries import Requests
from ringfence.service.app import make_app
from ringfence.service.desk import Desk
from runtime.desk import NOON
from service.access.people import HTTPS, PASSWORD, client_of, log_in, person, session_text

pytestmark = [pytest.mark.integration, pytest.mark.security]


@pytest.fixture(scope="module")
def client(desk: Desk) -> Iterator[TestClient]:
    with client_of(desk, HTTPS) as found:
        yield found


@pytest.fixture
def admin(desk: Desk) -> dict[str, str]:
    return shown(desk.tokens.make(Principal("root", Role.ADMIN), 600))


@pytest.fixture
def key(client: TestClient, admin: dict[str, str]) -> Iterator[dict[str, Any]]:
    """A trader's key, as it was told."""
    body = {"name": "bot", "role": "trader", "accounts": ["alpha"], "valid_days": 30}
    made = client.post("/v1/api-keys", json=body, headers=admin)
    assert made.status_code == 201, made.text
    yield made.json()
    client.delete("/v1/api-keys/bot", headers=admin)


def other_digit(digit: str) -> str:
    return "1" if digit == "0" else "0"


def shown(token: str) -> dict[str, str]:
    return {"authorization": f"Bearer {token}"}


# API keys


def test_a_key_is_told_once_works_and_is_kept_as_a_hash(
    desk: Desk, client: TestClient, admin: dict[str, str], key: dict[str, Any], recorded
) -> None:
    secret = key["key"].rpartition("_")[2]

    assert client.get("/v1/proposals", headers=shown(key["key"])).status_code == 200
    listed = client.get("/v1/api-keys", headers=admin)
    file = desk.settings.data / "access" / "api-keys.json"
    for text in (listed.text, file.read_text(), str(recorded()), repr(desk.access.api_keys.all())):
        assert secret not in text
    (told,) = [each for each in listed.json()["api_keys"] if each["name"] == "bot"]
    assert told["used_ns"] > 0
    assert file.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("changed", ["last", "first", "prefix", "case", "short", "long"])
def test_a_changed_key_is_nobodys(client: TestClient, key: dict[str, Any], changed: str) -> None:
    prefix, secret = key["key"].split("_")[1:]
    wrong = {
        "last": f"rfk_{prefix}_{secret[:-1]}{other_digit(secret[-1])}",
        "first": f"rfk_{prefix}_{other_digit(secret[0])}{secret[1:]}",
        "prefix": f"rfk_{'0' * 12}_{secret}",
        "case": f"rfk_{prefix}_{secret.upper()}",
        "short": f"rfk_{prefix}_{secret[:-1]}",
        "long": f"{key['key']}0",
    }[changed]
    assert client.get("/v1/proposals", headers=shown(wrong)).status_code == 401


def test_a_revoked_key_is_refused_at_once(
    client: TestClient, admin: dict[str, str], key: dict[str, Any], recorded
) -> None:
    assert client.delete("/v1/api-keys/bot", headers=admin).status_code == 204
    assert client.get("/v1/proposals", headers=shown(key["key"])).status_code == 401
    assert [kind for kind, _ in recorded()][:1] == ["key-revoked"]


def test_a_key_touches_its_own_accounts_only(client: TestClient, key: dict[str, Any]) -> None:
    order = {"account": "beta", "symbol": "BTC/USDT", "side": "buy", "size": "1"}
    for account in ("beta", "*", "alpha*", "ALPHA"):
        answer = client.post(
            "/v1/evaluate", json={**order, "account": account}, headers=shown(key["key"])
        )
        assert answer.status_code == 403, account


@pytest.mark.parametrize(
    "body",
    [
        {"name": "x", "role": "root"},
        {"name": "x", "role": ["admin"]},
        {"name": "x", "role": "viewer", "valid_days": 0},
        {"name": "x", "role": "viewer", "valid_days": 401},
        {"name": "x", "role": "viewer", "hash": "0"},
    ],
    ids=str,
)
def test_what_is_no_key_is_not_made(
    client: TestClient, admin: dict[str, str], body: dict[str, Any]
) -> None:
    answer = client.post("/v1/api-keys", json=body, headers=admin)
    assert answer.status_code in (400, 422), answer.text
    assert answer.headers["content-type"] == "application/problem+json"


# Users


def test_a_user_is_added_changed_and_removed(
    desk: Desk, client: TestClient, admin: dict[str, str], recorded
) -> None:
    body = {"name": "tess", "role": "trader", "accounts": ["alpha"], "password": PASSWORD}
    added = client.post("/v1/users", json=body, headers=admin)
    assert added.status_code == 201, added.text
    assert "password" not in added.text
    with client_of(desk) as browser:
        assert log_in(browser, "tess").status_code == 303
        changed = client.patch("/v1/users/tess", json={"role": "viewer"}, headers=admin)
        assert changed.json()["accounts"] == []
        off = client.patch("/v1/users/tess", json={"enabled": False}, headers=admin)
        assert off.json()["enabled"] is False
        assert browser.get("/v1/proposals").status_code == 401
    assert client.delete("/v1/users/tess", headers=admin).status_code == 204
    kinds = [kind for kind, _ in recorded()]
    assert kinds == ["user-added", "login", "user-changed", "user-changed", "user-removed"]
    assert PASSWORD not in str(recorded())
    assert {body["by"] for kind, body in recorded() if kind != "login"} == {"root"}


def test_what_will_not_do_is_a_problem_that_says_why(
    client: TestClient, admin: dict[str, str]
) -> None:
    short = {"name": "x", "role": "viewer", "password": "too short"}
    refused = [
        (client.post("/v1/users", json=short, headers=admin), "fewer than 15"),
        (client.patch("/v1/users/nobody", json={}, headers=admin), "no such user"),
        (client.delete("/v1/api-keys/nothing", headers=admin), "no such key"),
    ]
    for answer, why in refused:
        assert answer.status_code in (404, 409, 422), answer.text
        assert answer.headers["content-type"] == "application/problem+json"
        assert why in answer.text
        assert "too short" not in answer.text


def test_a_disabled_user_is_out_with_tokens_too(
    desk: Desk, client: TestClient, admin: dict[str, str]
) -> None:
    name = person(desk, "uma", "risk-officer")
    # As an issuer may write it, too.
    tokens = [
        shown(desk.tokens.make(Principal(each, Role.RISK_OFFICER), 600)) for each in (name, "Uma")
    ]
    for token in tokens:
        assert client.get("/v1/proposals", headers=token).status_code == 200

    client.patch(f"/v1/users/{name}", json={"enabled": False}, headers=admin)

    for token in tokens:
        assert client.get("/v1/proposals", headers=token).status_code == 401
    client.patch(f"/v1/users/{name}", json={"enabled": True}, headers=admin)


def test_somebody_who_can_manage_users_stays(desk: Desk) -> None:
    users = desk.access.users
    admins = [each.name for each in users.all() if each.role is Role.ADMIN and each.enabled]
    person(desk, "last-admin", "admin")
    for each in admins:
        users.change(each, enabled=False)
    for change in ({"enabled": False}, {"role": Role.VIEWER}):
        with pytest.raises(Exception, match="nobody could manage users"):
            users.change("last-admin", **change)
    with pytest.raises(Exception, match="nobody could manage users"):
        users.remove("last-admin")
    for each in admins:
        users.change(each, enabled=True)


def test_what_cannot_be_recorded_gives_nobody_rights_but_takes_them(
    desk: Desk, client: TestClient, admin: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    name = person(desk, "wilma", "trader", ("alpha",))

    def fail(*_: Any) -> None:
        raise AuditError("the log is full", "make room")

    with monkeypatch.context() as patched:
        patched.setattr(desk.access.records, "changed", fail)
        added = {"name": "xena", "role": "viewer", "password": PASSWORD}
        key = {"name": "unrecorded", "role": "viewer"}
        answers = [
            client.post("/v1/users", json=added, headers=admin),
            client.post("/v1/api-keys", json=key, headers=admin),
            client.patch(f"/v1/users/{name}", json={"role": "admin"}, headers=admin),
            client.patch(f"/v1/users/{name}", json={"enabled": False}, headers=admin),
        ]
    assert {each.status_code for each in answers} == {503}
    assert desk.access.users.find("xena") is None
    assert "unrecorded" not in [each.name for each in desk.access.api_keys.all()]
    wilma = desk.access.users.find(name)
    assert wilma is not None
    assert (wilma.role, wilma.enabled) == (Role.TRADER, False)


# Tokens


def test_a_revoked_token_is_refused_at_once(
    desk: Desk, client: TestClient, admin: dict[str, str], recorded
) -> None:
    issued = desk.tokens.issue(Principal("vic", Role.VIEWER), 600)
    other = desk.tokens.issue(Principal("vic", Role.VIEWER), 600)
    assert client.get("/v1/proposals", headers=shown(issued.text)).status_code == 200

    assert client.delete(f"/v1/tokens/{issued.id}", headers=admin).status_code == 204

    assert client.get("/v1/proposals", headers=shown(issued.text)).status_code == 401
    assert client.get("/v1/proposals", headers=shown(other.text)).status_code == 200
    assert recorded()[0][0] == "token-revoked"


# What is shown, and how often


def test_two_tokens_in_one_request_are_refused(desk: Desk, admin: dict[str, str]) -> None:
    # A client that sends two headers of one name cannot be made of the usual parts.
    app, good = make_app(desk), admin["authorization"].encode()
    # It is never started, and so never stopped.
    app.state.answers.close()
    for values in ([b"Bearer nonsense", good], [good, b"Bearer nonsense"], [good, good]):
        answer = AsgiAnswer()
        scope = {
            "type": "http",
            "asgi": {"version": "3.0"},
            "http_version": "1.1",
            "method": "GET",
            "scheme": "https",
            "path": "/v1/users",
            "raw_path": b"/v1/users",
            "query_string": b"",
            "root_path": "",
            "headers": [(b"host", b"desk.example"), *((b"authorization", each) for each in values)],
            "client": ("192.0.2.1", 5),
            "server": ("desk.example", 443),
            "state": {},
        }
        asyncio.run(app(scope, answer.receive, answer.send))
        assert answer.status == 400


class AsgiAnswer:
    """What an application sends."""

    status = 0

    async def receive(self) -> dict[str, Any]:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(self, message: dict[str, Any]) -> None:
        self.status = message.get("status", self.status)


@pytest.mark.parametrize(
    "value",
    [
        "Bearer",
        "Bearer ",
        "bearer\t{}",
        "Bearer  {}",
        "Basic {}",
        "{}",
        "Bearer {},x",
        "Bearer " + "x" * 20_000,
    ],
)
def test_a_token_that_is_shown_wrongly_is_nobodys(
    client: TestClient, admin: dict[str, str], value: str
) -> None:
    token = admin["authorization"].partition(" ")[2]
    headers = {"authorization": value.replace("{}", token)}
    answer = client.get("/v1/users", headers=headers)
    assert (answer.status_code, answer.headers["www-authenticate"]) == (401, "Bearer")


def test_what_is_refused_too_often_is_not_even_looked_into(
    desk: Desk,
    client: TestClient,
    admin: dict[str, str],
    recorded,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # All within one minute, however slow the machine.
    clock = FixedClock(NOON)
    monkeypatch.setattr(desk.access, "requests", Requests(desk.settings.access, clock))
    monkeypatch.setattr(desk.access, "records", Records(desk.log, clock))
    answers = [client.get("/v1/users", headers=shown("x")).status_code for _ in range(310)]

    assert answers == [401] * 300 + [429] * 10
    # Who shows something that holds is not held up by it, wherever they sit.
    assert client.get("/v1/users", headers=admin).status_code == 200
    # And nobody fills the log.
    assert len(recorded()) == 60


def test_requests_of_one_are_counted_apart_from_those_of_others(
    desk: Desk, client: TestClient, admin: dict[str, str]
) -> None:
    settings = desk.settings.access.model_copy(update={"requests_per_minute": 3})
    desk.access.requests = Requests(settings, FixedClock(NOON))
    answers = [client.get("/v1/users", headers=admin) for _ in range(4)]

    assert [each.status_code for each in answers] == [200, 200, 200, 429]
    assert 0 < int(answers[-1].headers["retry-after"]) <= 60
    other = shown(desk.tokens.make(Principal("other", Role.ADMIN), 600))
    assert client.get("/v1/users", headers=other).status_code == 200


def test_who_is_denied_is_recorded_with_the_route_and_nothing_of_the_token(
    desk: Desk, client: TestClient, recorded
) -> None:
    token = desk.tokens.make(Principal("vic", Role.VIEWER), 600)
    client.delete("/v1/users/some-name", headers=shown(token))
    client.get("/v1/users", headers=shown(token + "x"))
    client.get("/v1/users")

    assert [(kind, body["by"], body["status"]) for kind, body in recorded()] == [
        ("denied", "vic", 403),
        ("denied", "", 401),
    ]
    assert recorded()[0][1]["route"] == "/v1/users/{name}"
    assert token[-20:] not in str(recorded())


# Proposals


def test_a_proposal_is_confirmed_over_http_by_another_person(
    desk: Desk, client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    four_eyes: FourEyes = desk.access.four_eyes
    monkeypatch.setattr(four_eyes, "_actions", frozenset({"kill-switch-release"}))
    desk.guard.set_kill_switch("strategy/taker", "halted", by="ann", reason="drill")
    ann, bob = (Principal(name, Role.RISK_OFFICER) for name in ("ann", "bob"))
    as_ann, as_bob = (shown(desk.tokens.make(each, 600)) for each in (ann, bob))
    asked = [
        four_eyes.set_kill_switch(ann, "strategy/taker", "active", "drill is over")
        for _ in range(2)
    ]
    first, second = (each.id for each in asked if each is not None)

    listed = client.get("/v1/proposals", headers=as_bob).json()["proposals"]
    assert [each["id"] for each in listed] == [first, second]
    assert client.post(f"/v1/proposals/{first}/confirm", headers=as_ann).status_code == 403
    assert desk.guard.kill_switch("strategy/taker") == "halted"
    done = client.post(f"/v1/proposals/{first}/confirm", headers=as_bob)
    assert (done.status_code, done.json()["result"]) == (200, "released")
    assert desk.guard.kill_switch("strategy/taker") == "active"
    assert client.post(f"/v1/proposals/{first}/confirm", headers=as_bob).status_code == 404
    # The other one was made for a switch that was set anew since.
    assert client.post(f"/v1/proposals/{second}/confirm", headers=as_bob).status_code == 409

    desk.guard.set_kill_switch("strategy/taker", "halted", by="ann", reason="drill")
    third = four_eyes.set_kill_switch(ann, "strategy/taker", "active", "drill is over")
    assert third is not None
    assert client.delete(f"/v1/proposals/{third.id}", headers=as_ann).status_code == 204
    assert client.get("/v1/proposals", headers=as_bob).json()["proposals"] == []
    monkeypatch.setattr(four_eyes, "_actions", frozenset())
    four_eyes.set_kill_switch(ann, "strategy/taker", "active", "drill is over")


@pytest.mark.parametrize("how", ["added", "password set", "by a key"])
def test_an_admin_is_no_second_person_to_whom_they_let_in(
    desk: Desk,
    client: TestClient,
    admin: dict[str, str],
    monkeypatch: pytest.MonkeyPatch,
    how: str,
) -> None:
    four_eyes: FourEyes = desk.access.four_eyes
    monkeypatch.setattr(four_eyes, "_actions", frozenset({"kill-switch-release"}))
    name, given = how.replace(" ", "-"), admin
    if how == "by a key":
        key = {"name": "letting-in", "role": "admin", "valid_days": 1}
        given = shown(client.post("/v1/api-keys", json=key, headers=admin).json()["key"])
    if how == "password set":
        desk.access.users.add(name, Role.RISK_OFFICER, [], "nine wrens under a roof", "a test")
        changed = client.patch(f"/v1/users/{name}", json={"password": PASSWORD}, headers=given)
    else:
        body = {"name": name, "role": "risk-officer", "password": PASSWORD}
        changed = client.post("/v1/users", json=body, headers=given)
    assert changed.is_success, changed.text
    desk.guard.set_kill_switch("strategy/taker", "halted", by="root", reason="drill")
    root = Principal("root", Role.ADMIN)
    asked = four_eyes.set_kill_switch(root, "strategy/taker", "active", "drill is over")
    assert asked is not None

    as_them = {"current": PASSWORD, "password": "eleven geese above a lake"}
    with client_of(desk) as browser:
        log_in(browser, name)
        headers = {"x-csrf-token": session_text(desk, browser)}
        assert browser.post("/v1/password", json=as_them, headers=headers).status_code == 204
        headers = {"x-csrf-token": session_text(desk, browser)}
        answer = browser.post(f"/v1/proposals/{asked.id}/confirm", headers=headers)

    assert answer.status_code == 403
    assert "set the password of one of the two" in answer.json()["detail"]
    assert desk.guard.kill_switch("strategy/taker") == "halted"
    four_eyes.withdraw(root, asked.id)
    monkeypatch.setattr(four_eyes, "_actions", frozenset())
    four_eyes.set_kill_switch(root, "strategy/taker", "active", "drill is over")


def test_a_file_that_cannot_be_read_lets_nobody_in(
    desk: Desk, client: TestClient, key: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_: str) -> None:
        raise StateError("it is damaged", "mend it")

    monkeypatch.setattr(desk.access.api_keys, "read", fail)
    answer = client.get("/v1/proposals", headers=shown(key["key"]))
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "5")


def test_the_log_with_all_these_records_is_whole(desk: Desk) -> None:
    desk.log.wait(desk.log.last)

    assert verify(desk.data / "audit").findings == []
