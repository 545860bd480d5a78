"""Orders over HTTP."""

import pytest

pytestmark = pytest.mark.integration


def order(**changed):
    return {
        "account": "alpha",
        "strategy": "taker",
        "symbol": "BTC/USDT",
        "side": "buy",
        "size": "0.01",
        "price": "50000",
        **changed,
    }


def test_a_trader_has_an_order_of_its_own_account_decided(client, bearer):
    answer = client.post("/v1/evaluate", json=order(), headers=bearer("trader", "alpha"))
    assert answer.status_code == 200, answer.text
    assert answer.json()["decision"] == "APPROVE", answer.text


def test_an_order_of_another_account_is_denied(client, bearer):
    answer = client.post("/v1/evaluate", json=order(), headers=bearer("trader", "beta"))
    assert answer.status_code == 403
    assert answer.headers["content-type"] == "application/problem+json"


def test_without_a_token_nothing_is_decided(client):
    assert client.post("/v1/evaluate", json=order()).status_code == 401
