"""Approvals: what the guard hands out for an order that may leave, and what the gateway asks for.

An approval is bound to one order by an HMAC-SHA256 over all of its fields. The text that is signed gives
each value its length, so no two approvals share one text, whatever their names contain.
"""

import hashlib
import hmac
from collections.abc import Sequence
from dataclasses import dataclass, fields
from decimal import Decimal
from operator import itemgetter
from typing import Any

from ringfence.errors import ApprovalError, InputError

__all__ = [
    "MIN_KEY_BYTES",
    "REFUSED",
    "Approval",
    "Key",
    "Signer",
    "signed_approval",
    "signed_text",
    "snapshot",
]

# As long as the hash: a shorter key would be what is easiest to guess.
MIN_KEY_BYTES = 32
#: Why an approval may not be honoured: codes of `ApprovalError`.
REFUSED = (
    "ALTERED",
    "ENDED",
    "EXPIRED",
    "FOREIGN",
    "FORGED",
    "REGISTER_DOWN",
    "REPLAYED",
    "SWITCHED",
)
_PURPOSE = "ringfence-approval/1"
_ZERO = Decimal(0)
_TOO_LATE = 2**63
_BLOCK_BYTES = 64  # of SHA-256


# No slots: an approval is made by giving it its dictionary, which takes a tenth of the time.
@dataclass(frozen=True)
class Approval:
    """Leave to send one order, once.

    Attributes:
        approval_id: A name that no other approval has; the gateway honours it once.
        side: `buy` or `sell`.
        type: `limit`, `market`, `stop` or `stop_limit`.
        size: What may be sent, in units of the base.
        price: Limit price (the trigger price of a stop); None for a market order.
        policy_set: SHA-256 of the policy set that decided.
        issued_ns, expires_ns: Nanoseconds since 1970 UTC; at `expires_ns` it is void.
        signature: HMAC-SHA256 of all the others, in hex.
    """

    approval_id: str
    account: str
    strategy: str
    venue: str
    symbol: str
    side: str
    type: str
    size: Decimal
    price: Decimal | None
    reduce_only: bool
    client_order_id: str
    policy_set: str
    issued_ns: int
    expires_ns: int
    signature: str


_FIELDS = {each.name for each in fields(Approval)}
_SIGNED = tuple(each.name for each in fields(Approval) if each.name != "signature")
_signed_values = itemgetter(*_SIGNED)
# Types of the fields that are signed, in their order, with a price and without one.
_KINDS: dict[str, type] = {
    "size": Decimal,
    "reduce_only": bool,
    "issued_ns": int,
    "expires_ns": int,
}
_PRICED, _UNPRICED = (
    tuple(price if name == "price" else _KINDS.get(name, str) for name in _SIGNED)
    for price in (Decimal, type(None))
)


class Key:
    """A key of HMAC-SHA256; `blocks` are what the inner and the outer hash begin with, 64 bytes each."""

    __slots__ = ("_inner", "_outer", "blocks")

    def __init__(self, key: bytes) -> None:
        if len(key) < MIN_KEY_BYTES:
            raise InputError(
                f"a key of {len(key)} bytes cannot sign approvals",
                f"give {MIN_KEY_BYTES} random bytes or more",
            )
        # HMAC as RFC 2104 has it, with both keyed blocks hashed once: the library's takes three times as long.
        short = hashlib.sha256(key).digest() if len(key) > _BLOCK_BYTES else bytes(key)
        block = short.ljust(_BLOCK_BYTES, b"\0")
        self.blocks = bytes(byte ^ 0x36 for byte in block), bytes(byte ^ 0x5C for byte in block)
        self._inner, self._outer = map(hashlib.sha256, self.blocks)

    def signature(self, text: bytes) -> str:
        """Of a text, in hex."""
        inner, outer = self._inner.copy(), self._outer.copy()
        inner.update(text)
        outer.update(inner.digest())
        return outer.hexdigest()


class Signer:
    """Signs approvals and checks them; guard and gateway hold the same key, and nobody else does.

    Attributes:
        key: The one that signs.
    """

    __slots__ = ("_keys", "key")

    def __init__(self, key: bytes, previous: Sequence[bytes] = ()) -> None:
        """Hold the key that signs, and those that came before and are still believed.

        Raises:
            InputError: one is shorter than `MIN_KEY_BYTES`.
        """
        self.renew(key, previous)

    def renew(self, key: bytes, previous: Sequence[bytes] = ()) -> None:
        """Sign with another key from now on, while others ask for signatures; as `Signer` takes them.

        Raises:
            InputError: as `Signer`; the keys are then those from before.
        """
        keys = tuple(Key(each) for each in (key, *previous))
        # What was signed before this is known by whoever checks it, at every moment.
        self._keys: tuple[Key, ...] = keys
        self.key: Key = keys[0]

    def __repr__(self) -> str:
        return "Signer(***)"

    def __reduce__(self) -> Any:
        raise TypeError("a signer holds a key and is never written anywhere")

    def sign(
        self,
        *,
        approval_id: str,
        account: str,
        strategy: str,
        venue: str,
        symbol: str,
        side: str,
        type: str,
        size: Decimal,
        price: Decimal | None,
        reduce_only: bool,
        client_order_id: str,
        policy_set: str,
        issued_ns: int,
        expires_ns: int,
    ) -> Approval:
        """An approval of these fields. Whoever calls this has decided that the order may leave.

        Raises:
            InputError: a field has another type than `Approval` says, or a number is not finite or not
                above zero.
        """
        # No field is named twice, and none looked at alone: this is on the way of every order.
        values = (
            approval_id,
            account,
            strategy,
            venue,
            symbol,
            side,
            type,
            size,
            price,
            reduce_only,
            client_order_id,
            policy_set,
            issued_ns,
            expires_ns,
        )
        try:
            text = signed_text(values)
        except _UnsoundError as error:
            raise InputError(f"no approval can be signed: `{error}` is not as it must be") from None
        return signed_approval(values, self._keys[0].signature(text))

    def check(self, approval: Approval, *, now_ns: int) -> None:
        """Pass where a key of this signer signed exactly these fields and `now_ns` is before their end.

        Raises:
            ApprovalError: `FORGED` (any field is not as it was signed, or another key signed) or `EXPIRED`.
        """
        values, text = _read_once(approval)
        # Bytes: for texts beyond ASCII the comparison raises.
        told = values["signature"].encode("utf-8", "surrogatepass")
        if not any(hmac.compare_digest(told, key.signature(text).encode()) for key in self._keys):
            raise ApprovalError("FORGED", "the signature is not that of these fields")
        if now_ns >= values["expires_ns"]:
            raise ApprovalError("EXPIRED", f"it ended {now_ns - values['expires_ns']} ns ago")


def snapshot(approval: Approval) -> Approval:
    """A copy whose fields have the plain types of `Approval`, each read once.

    What is checked and what is used are then the same values, whatever the given object does later.

    Raises:
        ApprovalError: `FORGED`: it is no plain approval.
    """
    return _approval(_read_once(approval)[0])


def signed_approval(values: tuple[Any, ...], signature: str) -> Approval:
    """The approval of these values, all that are signed in the order of its fields, with their signature."""
    fields = dict(zip(_SIGNED, values, strict=True))
    fields["signature"] = signature
    return _approval(fields)


def _approval(values: dict[str, Any]) -> Approval:
    """The approval whose dictionary this is from now on."""
    made = _new(Approval)
    _set(made, "__dict__", values)
    return made


def _read_once(approval: Approval) -> tuple[dict[str, Any], bytes]:
    """Its fields, and the text that is signed of them."""
    # A subclass may answer differently each time it is asked; no guard hands one out.
    if type(approval) is not Approval:
        raise ApprovalError("FORGED", "it is no approval of the guard")
    values = dict(approval.__dict__)
    if values.keys() != _FIELDS:
        raise ApprovalError("FORGED", "its fields are not those of an approval")
    try:
        text = signed_text(_signed_values(values))
    except _UnsoundError as error:
        raise ApprovalError("FORGED", f"`{error}` is not as it must be") from None
    if type(values["signature"]) is not str:
        raise ApprovalError("FORGED", "`signature` is not as it must be")
    return values, text


class _UnsoundError(Exception):
    """The name of a field that is not of its type."""


_new, _set = object.__new__, object.__setattr__


def _first_wrong(values: tuple[Any, ...]) -> str:
    for name, value in zip(_SIGNED, values, strict=True):
        if name == "size" or (name == "price" and value is not None):
            sound = type(value) is Decimal and value.is_finite() and value > _ZERO
        elif name.endswith("_ns"):
            sound = type(value) is int and 0 <= value < _TOO_LATE
        else:
            sound = type(value) is (bool if name == "reduce_only" else str) or name == "price"
        if not sound:
            return name
    return ""


def signed_text(values: tuple[Any, ...]) -> bytes:
    """The text that is signed, of all fields but the signature in their order.

    Raises:
        _UnsoundError: one is not of its type.
    """
    # Exact types: a subclass of str or int may compare or print as it likes.
    kinds = tuple(map(type, values))
    if kinds != _PRICED and kinds != _UNPRICED:
        raise _UnsoundError(_first_wrong(values))
    (
        approval_id,
        account,
        strategy,
        venue,
        symbol,
        side,
        kind,
        size,
        price,
        reduce_only,
        client_order_id,
        policy_set,
        issued_ns,
        expires_ns,
    ) = values
    if not (
        size.is_finite()
        and size > _ZERO
        and (price is None or (price.is_finite() and price > _ZERO))
        and 0 <= issued_ns < _TOO_LATE
        and 0 <= expires_ns < _TOO_LATE
    ):
        raise _UnsoundError(_first_wrong(values))
    # Digits and exponent as given: rounding them to a common form could make two sizes one. No text of a
    # number holds a colon, so numbers need no lengths.
    signed = (
        f"{_PURPOSE}:{size!s}:{'' if price is None else str(price)}:{reduce_only}"
        f":{issued_ns}:{expires_ns}"
        f":{len(approval_id)},{len(account)},{len(strategy)},{len(venue)},{len(symbol)},{len(side)}"
        f",{len(kind)},{len(client_order_id)},{len(policy_set)}"
        f":{approval_id}{account}{strategy}{venue}{symbol}{side}{kind}{client_order_id}{policy_set}"
    )
    return signed.encode("utf-8", "surrogatepass")
