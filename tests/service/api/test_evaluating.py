"""Orders decided over HTTP: one, many, and what would be decided."""

import json

import pytest

from ringfence.runtime.audit_reader import AuditReader

pytestmark = pytest.mark.integration


def test_an_order_is_decided_and_told_with_numbers_as_text_and_times_in_both_forms(ask, order):
    told = ask("POST", "/v1/evaluate", json=order()).json()
    assert (told["decision"], told["size"], told["code"]) == ("APPROVE", "0.01000", "")
    assert told["decided_at"].endswith("Z")
    assert told["decided_ns"] > 10**18
    assert told["gates"] is None


def test_every_gate_is_told_where_it_is_asked_for(ask, order):
    told = ask("POST", "/v1/evaluate?gates=true", json=order()).json()
    gates = {each["gate"]: each for each in told["gates"]}
    assert gates["kill-switch"]["outcome"] == "pass"
    assert float(gates["total-exposure"]["margin"]) > 0


@pytest.mark.parametrize("size", ["0.123456789012345678901", '"0.123456789012345678901"'])
def test_no_digit_of_a_size_is_lost(ask, order, size):
    body = json.dumps(order(size=0)).replace('"size": 0', f'"size": {size}')
    answer = ask(
        "POST", "/v1/evaluate", content=body, headers={"content-type": "application/json"}
    ).json()
    assert answer["code"] == "SIZE_OFF_STEP"
    row = ask("GET", f"/v1/decisions/{answer['id']}").json()["decision"]
    assert row["asked"] == "0.123456789012345678901"


def test_the_same_key_with_the_same_order_decides_it_once(ask, order):
    given, key = order(), {"idempotency-key": "evaluate once"}
    first = ask("POST", "/v1/evaluate", json=given, headers=key).json()
    again = ask("POST", "/v1/evaluate", json=given, headers=key).json()
    assert not first["repeated"]
    assert again["repeated"]
    assert again["id"] == first["id"]
    assert again["client_order_id"] == first["client_order_id"]
    another = ask("POST", "/v1/evaluate", json=given | {"size": "0.02"}, headers=key)
    assert another.status_code == 409
    assert another.json()["type"] == "urn:ringfence:problem:idempotency-mismatch"


def test_the_same_key_of_another_person_is_another_key(ask, order):
    given, key = order(), {"idempotency-key": "mine"}
    ours = ask("POST", "/v1/evaluate", json=given, headers=key).json()
    theirs = ask("POST", "/v1/evaluate", "admin", json=given, headers=key).json()
    assert ours["id"] != theirs["id"]


def test_a_batch_is_decided_in_its_order_each_with_what_came_before(ask, order):
    orders = [order(client_order_id=f"batch-{k}") for k in range(2)]
    lines = "\n".join(map(json.dumps, [*orders, orders[0]]))
    answer = ask(
        "POST",
        "/v1/evaluate/batch",
        content=lines,
        headers={"content-type": "application/x-ndjson"},
    )
    first, second, third = answer.json()["decisions"]
    assert first["id"] == third["id"] != second["id"]
    assert third["repeated"]


def test_a_batch_with_a_fault_decides_nothing_and_names_the_place(ask, order):
    orders = [order(client_order_id="never"), order(size="no")]
    answer = ask("POST", "/v1/evaluate/batch", json={"orders": orders})
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["pointer"] == "/orders/1/size"
    assert ask.desk.guard.order_of("never") == ""


def test_a_batch_with_an_order_of_another_account_decides_nothing(ask, order):
    orders = [
        order(client_order_id="not-yet"),
        order(account="beta"),
    ]
    assert ask("POST", "/v1/evaluate/batch", json={"orders": orders}).status_code == 403
    assert ask.desk.guard.order_of("not-yet") == ""


def test_previews_reserve_nothing_and_record_nothing(ask, order):
    before = len(ask.desk.guard.working_orders())
    last = ask("GET", "/v1/audit/head").json()["sequence"]
    told = ask("POST", "/v1/preview", json=order()).json()
    assert (told["decision"], told["id"]) == ("APPROVE", "")
    assert {each["outcome"] for each in told["gates"]} == {"pass"}
    assert len(ask.desk.guard.working_orders()) == before
    # Others, such as the reloader, may have recorded something meanwhile.
    ask.desk.log.wait(ask.desk.log.last)
    recorded = AuditReader(ask.desk.data / "audit", after=last).poll()
    assert "decision" not in {each.kind for each in recorded}


def test_previews_say_what_is_then_decided(ask, order):
    asked = [
        order(**changed)
        for changed in (
            {},
            {"size": "1000"},
            {"symbol": "NO/SUCH"},
            {"size": "0.000001"},
            {"side": "sell", "price": "1"},
            {"price": None, "type": "market"},
            {"size": "0"},
            {"strategy": "unknown"},
            {"reduce_only": True},
        )
    ]
    many = ask("POST", "/v1/preview/batch", json={"orders": asked}).json()
    for each, decision, size, code in zip(
        asked, many["decision"], many["size"], many["code"], strict=True
    ):
        one = ask("POST", "/v1/preview", json=each).json()
        real = ask("POST", "/v1/evaluate", json=each).json()
        assert (
            (decision, code) == (one["decision"], one["code"]) == (real["decision"], real["code"])
        )
        assert float(size) == float(one["size"]) == float(real["size"])
        ask.desk.guard.on_cancel(real["id"]) if real["decision"] != "REJECT" else None


def test_a_closed_switch_is_previewed_with_its_code(ask, order):
    ask(
        "PUT", "/v1/kill-switches/account/alpha", "officer", json={"state": "halted", "reason": "x"}
    )
    given = order()
    assert ask("POST", "/v1/preview", json=given).json()["code"] == "KILL_SWITCH"
    many = ask("POST", "/v1/preview/batch", json={"orders": [given]}).json()
    assert (many["decision"], many["size"], many["code"]) == (["REJECT"], ["0"], ["KILL_SWITCH"])
    ask(
        "PUT", "/v1/kill-switches/account/alpha", "officer", json={"state": "active", "reason": "x"}
    )
