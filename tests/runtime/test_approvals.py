"""Approvals: what is signed is every field, and nothing else passes."""

import copy
import dataclasses
import hmac
import pickle
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.approved_orders import FIELDS, KEY, NOW_NS, approval
from ringfence.errors import ApprovalError, InputError
from ringfence.runtime.approvals import Approval, Signer, snapshot

pytestmark = pytest.mark.security

SIGNER = Signer(KEY)
TEXTS = [name for name, value in FIELDS.items() if isinstance(value, str)]
amounts = st.decimals(min_value="1e-12", max_value="1e12", allow_nan=False, allow_infinity=False)
moments = st.integers(0, 2**63 - 1)
# Colons, digits and commas are what the signed text itself is made of.
texts = st.text(max_size=12) | st.text(":,0123456789", max_size=12)
values: dict[str, st.SearchStrategy[Any]] = {
    **dict.fromkeys(TEXTS, texts),
    "size": amounts,
    "price": st.none() | amounts,
    "reduce_only": st.booleans(),
    "issued_ns": moments,
    "expires_ns": moments,
}


def code_of(given_approval: Any, signer: Signer = SIGNER, now_ns: int = NOW_NS) -> str:
    try:
        signer.check(given_approval, now_ns=now_ns)
    except ApprovalError as error:
        return error.code
    return ""


def test_an_approval_passes_until_it_ends() -> None:
    signed = approval()

    assert code_of(signed) == ""
    assert code_of(signed, now_ns=signed.expires_ns - 1) == ""
    assert code_of(signed, now_ns=signed.expires_ns) == "EXPIRED"


def test_it_is_frozen_and_passes_as_a_copy_or_from_a_pickle() -> None:
    signed = approval()

    with pytest.raises(dataclasses.FrozenInstanceError):
        signed.size = Decimal(9)  # type: ignore[misc]
    assert code_of(copy.deepcopy(signed)) == ""
    assert code_of(pickle.loads(pickle.dumps(signed))) == ""
    assert snapshot(signed) == signed


@given(fields=st.fixed_dictionaries(values))
def test_what_was_signed_passes(fields: dict[str, Any]) -> None:
    signed = SIGNER.sign(**fields)

    assert code_of(signed, now_ns=0) == ("" if signed.expires_ns > 0 else "EXPIRED")


@given(fields=st.fixed_dictionaries(values), other=st.fixed_dictionaries(values), data=st.data())
def test_each_field_that_is_altered_is_found(
    fields: dict[str, Any], other: dict[str, Any], data: st.DataObject
) -> None:
    name = data.draw(st.sampled_from(sorted(fields)))
    signed = SIGNER.sign(**fields)
    altered = dataclasses.replace(signed, **{name: other[name]})

    same = repr(getattr(signed, name)) == repr(other[name])
    assert code_of(altered, now_ns=-1) == ("" if same else "FORGED")


@given(first=st.fixed_dictionaries(values), second=st.fixed_dictionaries(values))
def test_no_two_approvals_share_a_signature(first: dict[str, Any], second: dict[str, Any]) -> None:
    assert (first == second) or SIGNER.sign(**first).signature != SIGNER.sign(**second).signature


def test_what_moves_from_one_text_to_the_next_is_another_approval() -> None:
    first = approval(account="ab", strategy="c")
    second = approval(account="a", strategy="bc")

    assert first.signature != second.signature
    assert code_of(dataclasses.replace(first, account="a", strategy="bc")) == "FORGED"


@given(signature=st.text(st.characters(exclude_categories=()), max_size=70))
def test_no_made_up_signature_passes(signature: str) -> None:
    assert code_of(dataclasses.replace(approval(), signature=signature)) == "FORGED"


def test_another_key_signs_nothing_that_counts_here() -> None:
    assert code_of(approval(key=b"x" * 32)) == "FORGED"


class Loose(Approval):
    """Looks like an approval and may do anything."""


class OddText(str):
    """Equals every text."""

    def __eq__(self, other: object) -> bool:
        return True

    __hash__ = str.__hash__


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("account", OddText("main")),
        ("account", None),
        ("account", b"main"),
        ("size", 0.4),
        ("size", Decimal("NaN")),
        ("size", Decimal("sNaN")),
        ("size", Decimal("Infinity")),
        ("size", Decimal(0)),
        ("size", Decimal(-1)),
        ("price", Decimal("NaN")),
        ("price", 50_000),
        ("reduce_only", 0),
        ("issued_ns", True),
        ("expires_ns", 2**63),
        pytest.param("expires_ns", 10**5000, id="unprintable"),
        ("expires_ns", -1),
        ("signature", None),
        ("signature", OddText("f")),
    ],
)
def test_a_field_of_another_type_is_never_signed_and_never_passes(name: str, value: object) -> None:
    assert code_of(dataclasses.replace(approval(), **{name: value})) == "FORGED"
    if name != "signature":
        with pytest.raises(InputError, match=f"`{name}`"):
            approval(**{name: value})


@pytest.mark.parametrize(
    "given_approval",
    [None, "approval", object(), Loose(**vars(approval())), FIELDS, object.__new__(Approval)],
)
def test_what_is_no_plain_approval_is_forged(given_approval: object) -> None:
    assert code_of(given_approval) == "FORGED"


def test_a_short_key_is_refused() -> None:
    with pytest.raises(InputError, match="31 bytes"):
        Signer(b"k" * 31)


def test_the_key_is_never_shown() -> None:
    assert KEY.decode() not in repr(SIGNER) + str(SIGNER)
    with pytest.raises(TypeError, match="never written"):
        pickle.dumps(SIGNER)
    with pytest.raises(TypeError, match="never written"):
        copy.copy(SIGNER)


@pytest.mark.parametrize("length", [32, 64, 65, 200])
def test_the_signature_is_hmac_sha256_of_what_stands_in_the_approval(length: int) -> None:
    key = bytes(range(200))[:length]

    signed = Signer(key).sign(**FIELDS)

    names = ("approval_id", "account", "strategy", "venue", "symbol", "side", "type")
    names += ("client_order_id", "policy_set")
    told = [str(FIELDS[name]) for name in names]
    text = ":".join(
        [
            "ringfence-approval/1",
            str(signed.size),
            str(signed.price),
            str(signed.reduce_only),
            str(signed.issued_ns),
            str(signed.expires_ns),
            ",".join(str(len(each)) for each in told),
            "".join(told),
        ]
    )
    assert signed.signature == hmac.digest(key, text.encode(), "sha256").hex()
