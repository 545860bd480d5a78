"""How much of every limit is used."""

from typing import Annotated

import msgspec
from litestar.params import QueryParameter

from ringfence.runtime.limit_rows import LimitNow
from ringfence.service.access.rights import Right
from ringfence.service.api.routes import Asking, desk_of, route, seen_accounts
from ringfence.service.api.told import moment, money

__all__ = ["limits"]

_TAG = "policies"
Name = Annotated[str, QueryParameter(max_length=200)]


class LimitBody(msgspec.Struct):
    """One check of one gate in one book, without any order; numbers are text in `unit`, null where unknown.

    `outcome` is `pass`, `breach`, `unknown` (an input is missing or stale), or `each-order` where single orders alone
    are measured. `utilisation` is measure over limit, `headroom` what is left, `peak` the largest utilisation of the
    day. `largest_buy` and `largest_sell` are the largest orders that pass this check alone, in units of `base`.
    """

    policy: str
    gate: str
    rule: str
    level: str
    mode: str
    check: str
    parameters: list[str]
    book: str
    account: str
    symbol: str
    unit: str
    compare: str
    outcome: str
    measure: str | None
    limit: str | None
    utilisation: str | None
    headroom: str | None
    peak: str | None
    peak_ns: int | None
    largest_buy: str | None
    largest_sell: str | None
    base: str
    file: str
    line: int
    override: bool
    ticket: str
    until_ns: int | None


class LimitsBody(msgspec.Struct):
    """Limits as they stood at one moment, the closest to its end first; `total` also counts those cut off."""

    policy_set: str
    currency: str
    at_ns: int
    at: str
    total: int
    limits: list[LimitBody]


@route("get", "/limits", Right.LOOK, summary="How much of every limit is used", tag=_TAG)
def limits(
    request: Asking,
    account: Name = "",
    symbol: Name = "",
    gate: Name = "",
    limit: Annotated[int, QueryParameter(ge=1, le=1000, description="How many at most.")] = 200,
) -> LimitsBody:
    """Measure, limit, utilisation and headroom of every limit now, with the place where it is written; a trader sees
    those of its accounts."""
    found = desk_of(request).limits.now(
        account=account,
        symbol=symbol,
        gate=gate,
        seen=seen_accounts(request.user),
        most=limit,
        largest=True,
    )
    return LimitsBody(
        found.policy_set,
        found.currency,
        found.at_ns,
        moment(found.at_ns),
        found.total,
        [_told(each) for each in found.limits],
    )


def _told(row: LimitNow) -> LimitBody:
    def text(value: float | None) -> str | None:
        return None if value is None else money(value)

    return LimitBody(
        row.policy,
        row.gate,
        row.rule,
        row.level,
        row.mode,
        row.check,
        list(row.parameters),
        row.book,
        row.account,
        row.symbol,
        row.unit,
        row.compare,
        row.outcome,
        text(row.measure),
        text(row.limit),
        text(row.utilisation),
        text(row.headroom),
        text(row.peak),
        row.peak_ns,
        row.largest_buy,
        row.largest_sell,
        row.base,
        row.file,
        row.line,
        row.override,
        row.ticket,
        row.until_ns,
    )
