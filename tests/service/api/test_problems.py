"""What goes wrong is answered with problem details, and with nothing of the inside."""

import json

import pytest

from ringfence.errors import AuditError, ExchangeError, StateError
from ringfence.service.api.problems import KINDS, status_of

pytestmark = pytest.mark.integration
JSON = {"content-type": "application/json"}


def problem(answer, name):
    told = answer.json()
    assert answer.headers["content-type"] == "application/problem+json", told
    assert told["type"] == f"urn:ringfence:problem:{name}", told
    assert told["status"] == answer.status_code == KINDS[name].status
    assert told["request_id"] == answer.headers["x-request-id"] != ""
    assert told["fix"]
    assert told["detail"]
    assert "jSON" not in told["detail"]
    assert told["title"]
    return told


@pytest.mark.parametrize(
    ("body", "name", "pointer"),
    [
        (b"{", "malformed-json", None),
        (b"[" * 50_000, "malformed-json", None),
        (b'{"account": NaN}', "malformed-json", None),
        (b'{"account": "\xff"}', "malformed-json", None),
        (b"[]", "invalid-body", ""),
        (b"{}", "invalid-body", ""),
        (b'{"account": "a", "account": "b"}', "invalid-body", None),
        (b'{"account": 1}', "invalid-body", "/account"),
        (b'{"account":"alpha","symbol":"B","side":"up","size":1}', "invalid-body", "/side"),
        (b'{"account":"alpha","symbol":"B","side":"buy","size":true}', "invalid-body", "/size"),
        (b'{"account":"alpha","symbol":"B","side":"buy","size":null}', "invalid-body", "/size"),
        (b'{"account":"alpha","symbol":"B","side":"buy","size":1e999999}', "invalid-body", "/size"),
        (b'{"account":"alpha","symbol":"B","side":"buy","size":"NaN"}', "invalid-body", "/size"),
        (b'{"account":"alpha","symbol":"B","side":"buy","size":"1_0"}', "invalid-body", "/size"),
        (
            b'{"account":"alpha","symbol":"B","side":"buy","size":"1","market":{"timestamp":-1}}',
            "invalid-body",
            "/market/timestamp",
        ),
        (
            b'{"account":"alpha","symbol":"B","side":"buy","size":' + b"9" * 5_000 + b"}",
            "invalid-body",
            "/size",
        ),
    ],
)
def test_a_body_that_cannot_be_read_is_answered_with_its_place(ask, body, name, pointer):
    told = problem(ask("POST", "/v1/evaluate", content=body, headers=JSON), name)
    if pointer:
        assert told["errors"][0]["pointer"] == pointer


def test_a_key_that_stands_twice_is_found_at_any_depth(ask, order):
    body = json.dumps(order(market={"bid": 1, "ask": 1})).replace('"bid"', '"ask"')
    told = problem(ask("POST", "/v1/evaluate", content=body, headers=JSON), "invalid-body")
    assert "`ask` stands twice" in told["detail"]


def test_another_media_type_is_not_guessed_at(ask):
    problem(ask("POST", "/v1/evaluate", content=b"{}"), "unsupported-media-type")
    told = ask("POST", "/v1/evaluate", content=b"{}", headers={"content-type": "text/plain"})
    problem(told, "unsupported-media-type")


def test_a_body_that_is_too_large_is_refused(ask):
    body = b" " * (ask.desk.settings.server.max_body + 1)
    problem(ask("POST", "/v1/evaluate", content=body, headers=JSON), "body-too-large")


def test_nobody_is_told_who_is_needed(ask):
    answer = ask("GET", "/v1/books", "")
    problem(answer, "unauthenticated")
    assert "Bearer" in answer.headers["www-authenticate"]


def test_a_role_that_may_not_is_forbidden(ask):
    problem(ask("POST", "/v1/policies/reload", json={"reason": "x"}), "forbidden")


def test_a_method_that_is_not_taken_names_those_that_are(ask):
    answer = ask("PUT", "/v1/evaluate")
    problem(answer, "method-not-allowed")
    assert "POST" in answer.headers["allow"]


def test_what_is_not_there_is_not_found(ask):
    problem(ask("GET", "/v1/nothing"), "not-found")
    problem(ask("GET", "/v1/books/account/nobody", "viewer"), "not-found")


@pytest.mark.parametrize(
    "query", ["limit=0", "limit=100000", "cursor=x", "decision=MAYBE", "from=yesterday"]
)
def test_a_parameter_that_cannot_be_used_is_named(ask, query):
    told = problem(ask("GET", f"/v1/decisions?{query}"), "invalid-parameter")
    assert told["errors"][0]["parameter"]


def test_a_failure_inside_tells_nothing_of_it(ask, monkeypatch):
    def broken(*_):
        raise RuntimeError("the secret of the inside")

    monkeypatch.setattr(type(ask.desk.guard), "books", property(broken))
    answer = ask("GET", "/v1/books")
    problem(answer, "internal")
    assert "secret" not in answer.text
    assert "Traceback" not in answer.text


@pytest.mark.parametrize(
    ("error", "traced"), [(RuntimeError("x"), True), (StateError("the store is away"), False)]
)
def test_only_what_nobody_foresaw_is_logged_with_its_trace(ask, monkeypatch, caplog, error, traced):
    def broken(*_):
        raise error

    monkeypatch.setattr(type(ask.desk.guard), "books", property(broken))
    assert ask("GET", "/v1/books").status_code >= 500
    (record,) = (each for each in caplog.records if each.name.endswith("request_faults"))
    assert bool(record.exc_info) == traced


@pytest.mark.parametrize(
    ("error", "status"),
    [(StateError("x"), 503), (AuditError("x"), 503), (ExchangeError("UNREACHABLE", "x"), 502)],
)
def test_what_others_fail_at_is_no_fault_of_who_asks(error, status):
    assert status_of(error) == status


@pytest.mark.parametrize(("given", "taken"), [("trace-1", True), ("no words", False), ("", False)])
def test_a_request_keeps_its_name_where_it_is_one(ask, given, taken):
    answer = ask("GET", "/v1/books", headers={"x-request-id": given})
    assert (answer.headers["x-request-id"] == given) is taken
    assert answer.headers["x-request-id"]


@pytest.mark.parametrize("key", ["", "ä", "x" * 201])
def test_a_key_that_is_none_is_refused(ask, order, key):
    headers = {"idempotency-key": key.encode("utf-8")}
    problem(ask("POST", "/v1/evaluate", json=order(), headers=headers), "invalid-parameter")
