"""Approvals: what the guard hands out for an order that may leave, and what the gateway asks for.

An approval is bound to one order by an HMAC-SHA256 over all of its fields. The text that is signed gives
each value its length, so no two approvals share one text, whatever their names contain.
"""

import hmac
from dataclasses import dataclass, fields
from decimal import Decimal
from operator import itemgetter
from typing import Any

from ringfence.errors import ApprovalError, InputError

__all__ = ["MIN_KEY_BYTES", "Approval", "Signer", "snapshot"]

# As long as the hash: a shorter key would be what is easiest to guess.
MIN_KEY_BYTES = 32
_PURPOSE = "ringfence-approval/1"
_TEXTS = (
    "approval_id",
    "account",
    "strategy",
    "venue",
    "symbol",
    "side",
    "type",
    "client_order_id",
    "policy_set",
)
_texts_of = itemgetter(*_TEXTS)


# No slots: an approval is made by filling its dictionary, which takes a tenth of the time.
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


class Signer:
    """Signs approvals and checks them; guard and gateway hold the same key, and nobody else does."""

    __slots__ = ("_key",)

    def __init__(self, key: bytes) -> None:
        """Hold the key.

        Raises:
            InputError: it is shorter than `MIN_KEY_BYTES`.
        """
        if len(key) < MIN_KEY_BYTES:
            raise InputError(
                f"a key of {len(key)} bytes cannot sign approvals",
                f"give {MIN_KEY_BYTES} random bytes or more",
            )
        self._key = bytes(key)

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
        # One dictionary, and no field set twice: this is on the way of every order.
        values = {
            "approval_id": approval_id,
            "account": account,
            "strategy": strategy,
            "venue": venue,
            "symbol": symbol,
            "side": side,
            "type": type,
            "size": size,
            "price": price,
            "reduce_only": reduce_only,
            "client_order_id": client_order_id,
            "policy_set": policy_set,
            "issued_ns": issued_ns,
            "expires_ns": expires_ns,
        }
        wrong = _first_wrong(values)
        if wrong:
            raise InputError(f"no approval can be signed: `{wrong}` is not as it must be")
        values["signature"] = self._signature(values)
        return _approval(values)

    def check(self, approval: Approval, *, now_ns: int) -> None:
        """Pass where this signer's key signed exactly these fields and `now_ns` is before their end.

        Raises:
            ApprovalError: `FORGED` (any field is not as it was signed, or another key signed) or `EXPIRED`.
        """
        values = _read_once(approval)
        # Bytes: for texts beyond ASCII the comparison raises.
        told = values["signature"].encode("utf-8", "surrogatepass")
        if not hmac.compare_digest(told, self._signature(values).encode()):
            raise ApprovalError("FORGED", "the signature is not that of these fields")
        if now_ns >= values["expires_ns"]:
            raise ApprovalError("EXPIRED", f"it ended {now_ns - values['expires_ns']} ns ago")

    def _signature(self, values: dict[str, Any]) -> str:
        return hmac.digest(self._key, _signed_text(values), "sha256").hex()


def snapshot(approval: Approval) -> Approval:
    """A copy whose fields have the plain types of `Approval`, each read once.

    What is checked and what is used are then the same values, whatever the given object does later.

    Raises:
        ApprovalError: `FORGED`: it is no plain approval.
    """
    return _approval(_read_once(approval))


def _read_once(approval: Approval) -> dict[str, Any]:
    # A subclass may answer differently each time it is asked; no guard hands one out.
    if type(approval) is not Approval:
        raise ApprovalError("FORGED", "it is no approval of the guard")
    values = dict(approval.__dict__)
    if values.keys() != _FIELDS:
        raise ApprovalError("FORGED", "its fields are not those of an approval")
    wrong = _first_wrong(values) or ("signature" if type(values["signature"]) is not str else "")
    if wrong:
        raise ApprovalError("FORGED", f"`{wrong}` is not as it must be")
    return values


def _approval(values: dict[str, Any]) -> Approval:
    made = object.__new__(Approval)
    made.__dict__.update(values)
    return made


def _first_wrong(values: dict[str, Any]) -> str:
    # Exact types: a subclass of str or int may compare or print as it likes.
    for name in _TEXTS:
        if type(values[name]) is not str:
            return name
    if not _is_amount(values["size"]):
        return "size"
    if values["price"] is not None and not _is_amount(values["price"]):
        return "price"
    if type(values["reduce_only"]) is not bool:
        return "reduce_only"
    for name in ("issued_ns", "expires_ns"):
        moment = values[name]
        if type(moment) is not int or not 0 <= moment < 2**63:
            return name
    return ""


def _is_amount(value: object) -> bool:
    return type(value) is Decimal and value.is_finite() and value > 0


def _signed_text(values: dict[str, Any]) -> bytes:
    # One expression and no loop: this is on the way of every order.
    a, b, c, d, e, f, g, h, i = _texts_of(values)
    price = values["price"]
    # Digits and exponent as given: rounding them to a common form could make two sizes one. No text of a
    # number holds a colon, so numbers need no lengths.
    signed = (
        f"{_PURPOSE}:{values['size']!s}:{'' if price is None else str(price)}:{values['reduce_only']}"
        f":{values['issued_ns']}:{values['expires_ns']}"
        f":{len(a)},{len(b)},{len(c)},{len(d)},{len(e)},{len(f)},{len(g)},{len(h)},{len(i)}"
        f":{a}{b}{c}{d}{e}{f}{g}{h}{i}"
    )
    return signed.encode("utf-8", "surrogatepass")
