"""The record of a decision, put together as text, is the JSON of the same body."""

import base64
import json
import math
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringfence.runtime.asked import Asked
from ringfence.runtime.audit_codec import decode, encode
from ringfence.runtime.decision_record import decision_record, route_texts

pytestmark = pytest.mark.unit

texts = st.text(st.characters(), max_size=12) | st.sampled_from(
    ['"', "\\", "$float", "\ud800", '"$']
)
amounts = st.decimals(min_value="1e-9", max_value="1e12", allow_nan=False, allow_infinity=False)
datas = st.none() | st.fixed_dictionaries(
    {"bid": st.floats() | st.none(), "timestamp": st.integers(0, 2**63 - 1)}
)


@given(
    names=st.tuples(texts, texts, texts, texts),
    head=st.tuples(
        texts,
        st.sampled_from(["APPROVE", "REDUCE_SIZE", "REJECT"]),
        texts,
        texts,
        amounts.map(str),
        st.just("5f" * 32),
        st.integers(0, 2**63 - 1),
    ),
    size=amounts,
    price=st.none() | amounts,
    reduce_only=st.booleans(),
    client=texts,
    gates=st.lists(texts, max_size=3),
    found=st.binary(max_size=60),
    market=datas,
    beside=st.fixed_dictionaries({}, optional={"lease": datas, "shadow": datas, "slice": datas}),
    request_id=st.just("") | st.from_regex(r"[A-Za-z0-9._:\-]{1,100}", fullmatch=True),
)
def test_it_is_the_json_of_the_body(
    names: tuple[str, str, str, str],
    head: tuple[str, str, str, str, str, str, int],
    size: Decimal,
    price: Decimal | None,
    reduce_only: bool,
    client: str,
    gates: list[str],
    found: bytes,
    market: Any,
    beside: dict[str, Any],
    request_id: str,
) -> None:
    asked = Asked(*names, 1, "buy", 0, "limit", size, math.nan, price, reduce_only, client)
    columns = list(range(len(gates)))

    route = route_texts(names, gates, columns)
    text = decision_record(head, asked, route, found, '{"books":[]}', market, beside, request_id)

    account, strategy, venue, symbol = names
    name, decision, code, reason, allowed, policy_set, decided_ns = head
    body = {
        "id": name,
        "decision": decision,
        "code": code,
        "reason": reason,
        "size": allowed,
        "policy_set": policy_set,
        "decided_ns": decided_ns,
        "inputs": {
            "order": {
                "account": account,
                "strategy": strategy,
                "venue": venue,
                "symbol": symbol,
                "side": "buy",
                "type": "limit",
                "size": str(size),
                "price": None if price is None else str(price),
                "reduce_only": reduce_only,
                "client_order_id": client,
            },
            "market": market,
        },
        "gates": {
            "names": gates,
            "columns": columns,
            "found": base64.b64encode(found).decode(),
        },
        "evidence": {"books": []},
        **beside,
        **({"request_id": request_id} if request_id else {}),
    }
    assert text == encode(body)
    assert json.loads(text).keys() == decode(text).keys() == body.keys()
