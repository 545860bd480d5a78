"""Orders, market data and decisions as the API takes and tells them."""

from decimal import Decimal
from hashlib import sha256
from typing import Annotated, Any, Literal

import msgspec

from ringfence.language.decision import GateResult
from ringfence.language.orders import OrderRequest
from ringfence.runtime.asked import MarketData
from ringfence.runtime.guard_decision import GuardDecision
from ringfence.service.access.reasons import LONGEST_REASON, REASON_PATTERN
from ringfence.service.api.numbers import NO_NUMBER, MaybeNumber, Number, text_of, text_or_none
from ringfence.service.api.problems import Problem
from ringfence.service.api.told import moment, money, number

__all__ = [
    "DecisionBody",
    "GateBody",
    "MarketBody",
    "Name",
    "OrderBody",
    "Reason",
    "client_order_id_of",
    "decision_told",
    "market_of",
    "order_of",
    "placed",
]

Name = Annotated[str, msgspec.Meta(max_length=200)]
Reason = Annotated[
    str,
    msgspec.Meta(
        min_length=1,
        max_length=LONGEST_REASON,
        pattern=REASON_PATTERN,
        description="Why; it stands in the audit log, on one line.",
    ),
]
_TIME = "Nanoseconds since 1970, UTC."
Nanoseconds = Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1, description=_TIME)]


class MarketBody(msgspec.Struct, forbid_unknown_fields=True):
    """Market data of one symbol; prices in the quote currency, depths and volume in units of the base."""

    timestamp: Nanoseconds
    bid: MaybeNumber = msgspec.field(default_factory=NO_NUMBER)
    ask: MaybeNumber = msgspec.field(default_factory=NO_NUMBER)
    last: MaybeNumber = msgspec.field(default_factory=NO_NUMBER)
    bid_depth: MaybeNumber = msgspec.field(default_factory=NO_NUMBER)
    ask_depth: MaybeNumber = msgspec.field(default_factory=NO_NUMBER)
    volume: MaybeNumber = msgspec.field(default_factory=NO_NUMBER)


class OrderBody(msgspec.Struct, forbid_unknown_fields=True):
    """An order. `size` is in units of the base, `price` in the quote currency; a market order has none."""

    account: Name
    symbol: Name
    side: Literal["buy", "sell"]
    size: Number
    price: MaybeNumber = msgspec.field(default_factory=NO_NUMBER)
    type: Literal["limit", "market", "stop", "stop_limit"] = "limit"
    strategy: Name = ""
    venue: Name = ""
    client_order_id: Annotated[
        str,
        msgspec.Meta(
            pattern=r"^[ -~]*$",
            max_length=200,
            description="The caller's name for the order: the same order under the same name is decided once.",
        ),
    ] = ""
    reduce_only: bool = False
    market: MarketBody | None = None


class GateBody(msgspec.Struct):
    """What one gate found. Numbers are text in the gate's `unit`; null where unknown."""

    gate: str
    rule: str
    policy: str
    level: str
    mode: str
    outcome: str
    measure: str | None
    limit: str | None
    margin: str | None
    unit: str
    headroom: str | None
    reason: str
    file: str
    line: int | None


class DecisionBody(msgspec.Struct):
    """What was decided; `size` is what may be sent, in units of the base."""

    id: str
    decision: Literal["APPROVE", "REDUCE_SIZE", "REJECT"]
    code: str
    reason: str
    size: str
    policy_set: str
    client_order_id: str
    decided_ns: int
    decided_at: str
    repeated: bool
    gates: list[GateBody] | None = None


def placed(problem: Problem, at: str) -> Problem:
    """A problem of a part, as one of the body: `at` is where the part stands in it, a JSON pointer."""
    faults = [
        msgspec.structs.replace(each, pointer=f"{at}{each.pointer or ''}")
        for each in problem.errors
    ]
    return Problem(problem.kind.name, f"{at}{problem.detail}", fix=problem.fix, errors=faults)


def order_of(data: OrderBody, client_order_id: str = "") -> OrderRequest:
    """The order as the guard takes it.

    Args:
        data: As it came.
        client_order_id: Its name, where it has none of its own.

    Raises:
        Problem: size or price is no number.
    """
    return OrderRequest(
        data.account,
        data.symbol,
        data.side,
        text_of(data.size, "/size"),
        text_or_none(data.price, "/price"),
        type=data.type,
        strategy=data.strategy,
        venue=data.venue,
        client_order_id=data.client_order_id or client_order_id,
        reduce_only=data.reduce_only,
    )


def market_of(data: MarketBody | None, at: str = "/market") -> MarketData | None:
    """Market data as the guard takes it.

    Raises:
        Problem: one of its numbers is none.
    """
    if data is None:
        return None

    def read(name: str) -> float | None:
        text = text_or_none(getattr(data, name), f"{at}/{name}")
        return None if text is None else float(text)

    return MarketData(
        read("bid"),
        read("ask"),
        read("last"),
        data.timestamp,
        read("bid_depth"),
        read("ask_depth"),
        read("volume"),
    )


def client_order_id_of(key: str, person: str) -> str:
    """A client order id for an `Idempotency-Key`: the same for the same, another for everybody else.

    In the form of a UUID, which exchanges take for a name.
    """
    text = sha256(f"{person}\0{key}".encode("utf-8", "surrogatepass")).hexdigest()
    # Version 4 and variant 10, as RFC 9562 places them.
    variant = "89ab"[int(text[16], 16) % 4]
    return f"{text[:8]}-{text[8:12]}-4{text[13:16]}-{variant}{text[17:20]}-{text[20:32]}"


def decision_told(
    answer: GuardDecision, client_order_id: str, *, with_gates: bool = False
) -> DecisionBody:
    """A decision as the API tells it."""
    return DecisionBody(
        answer.id,
        answer.decision.value,
        answer.code,
        answer.reason,
        number(answer.size),
        answer.policy_set,
        client_order_id,
        answer.decided_ns,
        moment(answer.decided_ns),
        answer.repeated,
        [gate_told(each) for each in answer.gates] if with_gates else None,
    )


def gate_told(found: GateResult) -> GateBody:
    """A gate's result as the API tells it."""
    source: Any = found.source
    headroom: Decimal | None = found.headroom
    return GateBody(
        found.gate,
        found.rule,
        found.policy,
        found.level,
        found.mode,
        str(found.outcome),
        money(found.measure),
        money(found.limit),
        money(found.margin),
        found.unit,
        None if headroom is None else number(headroom),
        found.reason,
        "" if source is None else source.path,
        None if source is None else source.line,
    )
