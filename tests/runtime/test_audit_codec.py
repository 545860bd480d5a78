"""Bodies of records: what goes in comes out, bit for bit, and equal bodies are equal bytes."""

import json
import math
import struct
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringfence.errors import AuditError
from ringfence.language.decision import Outcome
from ringfence.runtime.audit_codec import decode, encode, plain, plain_text

pytestmark = pytest.mark.unit

any_float = st.integers(0, 2**64 - 1).map(lambda bits: struct.unpack(">d", bits.to_bytes(8))[0])
keys = st.text(max_size=6) | st.sampled_from(["$float", "$", "$$float", "NaN", '"$'])
values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | any_float
    | st.text(st.characters(), max_size=8)
    | st.sampled_from(["NaN", "$float", "\ud800"]),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(keys, inner, max_size=4),
    max_leaves=20,
)


def bits(value: Any) -> Any:
    """The value with each float as its 64 bits, and with its types, so that == tells all apart."""
    if isinstance(value, float):
        return ("float", struct.pack(">d", value))
    if isinstance(value, dict):
        return {key: bits(each) for key, each in value.items()}
    if isinstance(value, list):
        return [bits(each) for each in value]
    return (type(value).__name__, value)


@given(body=st.dictionaries(keys, values, max_size=5))
def test_a_body_comes_back_bit_for_bit(body: dict[str, Any]) -> None:
    assert bits(decode(encode(body))) == bits(body)


@given(body=st.dictionaries(keys, values, max_size=5))
def test_the_order_of_keys_does_not_matter_and_the_bytes_are_json(body: dict[str, Any]) -> None:
    content = encode(body)

    assert encode(dict(reversed(body.items()))) == content
    assert content.isascii()
    json.loads(content, parse_constant=pytest.fail)
    json.loads(plain_text(body), parse_constant=pytest.fail)


@given(number=st.decimals(allow_nan=False))
def test_a_decimal_is_text_with_all_its_digits(number: Decimal) -> None:
    assert (
        Decimal(decode(encode({"size": number, "f": math.nan}))["size"]).compare_total(number) == 0
    )


def test_what_derives_from_text_and_numbers_is_written_as_these() -> None:
    assert encode({"outcome": Outcome.PASS, "pair": (1, 2)}) == b'{"outcome":"pass","pair":[1,2]}'


def test_other_readers_get_text_in_place_of_nan_and_infinity() -> None:
    assert plain({"a": [math.nan, math.inf, -math.inf, 1.5]}) == {
        "a": ["NaN", "Infinity", "-Infinity", 1.5]
    }


def endless() -> dict[str, Any]:
    body: dict[str, Any] = {}
    body["self"] = body
    return body


@pytest.mark.parametrize(
    "body",
    [{"a": b"bytes"}, {"a": object()}, {"a": {1, 2}}, {("a",): 1}, endless(), ["a"], "a", None],
    ids=["bytes", "object", "set", "tuple as key", "endless", "list", "text", "none"],
)
def test_what_cannot_be_written_is_refused(body: Any) -> None:
    with pytest.raises(AuditError):
        encode(body)
