"""A limit as it stands, as plain values."""

from dataclasses import dataclass

__all__ = ["LimitNames", "LimitNow", "LimitsNow"]


@dataclass(frozen=True, slots=True)
class LimitNow:
    """One check of one gate in one book, without any order.

    Attributes:
        policy: `name@version` of the policy.
        rule: `name@version` of the rule.
        level: Whose book: `firm`, `account` or `strategy`.
        mode: `enforce` or `shadow`.
        check: Which check of the rule; it compares the expressions `measured` and `compared`.
        parameters: Names of the limits that the measure is compared with; empty for a constant.
        book: `firm`, `account/NAME` or `strategy/NAME`.
        account, symbol: Of what differs by them; else empty.
        unit: Of measure, limit and headroom: `money` in the view's currency, `ratio`, `count`, `quantity` in
            units of the base, `duration` in seconds, `price`, `state`.
        compare: `<=`, or `>=` for a floor.
        outcome: `pass`, `breach`, `unknown` (an input is missing or stale: new risk is rejected), or `each-order`
            where single orders alone are measured, of which nothing stands.
        measure, limit: None where unknown.
        utilisation: Measure / limit, a pure number; None where unknown, for a floor, for a limit of zero or
            below that is breached, and for `each-order`.
        headroom: What is left of the limit; below zero beyond it.
        peak: Largest utilisation since `LimitsNow.since_ns`, seen at `peak_ns`; None where none was.
        largest_buy, largest_sell: Largest order of one symbol that passes this check alone, in units of the
            base; None where any can, where it is not known, or where that says nothing of the limit.
        base: What units of the base are.
        file, line, column: Where the limit is written; lines and columns count from 1.
        ticket, until_ns: Of the override in force, empty and None without one or without an end.
        override: Whether the limit comes from an override.
    """

    policy: str
    gate: str
    rule: str
    level: str
    mode: str
    check: str
    measured: str
    compared: str
    parameters: tuple[str, ...]
    book: str
    account: str
    symbol: str
    unit: str
    compare: str
    outcome: str
    measure: float | None
    limit: float | None
    utilisation: float | None
    headroom: float | None
    peak: float | None
    peak_ns: int | None
    largest_buy: str | None
    largest_sell: str | None
    base: str
    file: str
    line: int
    column: int
    override: bool
    ticket: str
    until_ns: int | None


@dataclass(frozen=True, slots=True)
class LimitsNow:
    """Limits as they stood at one moment, the closest first.

    Attributes:
        limits: Those that were asked for.
        total: How many there are of these, also where `limits` was cut.
        switches_left: How many kill switches that are beyond were left out.
        policy_set: SHA-256 of the set that decides.
        currency: Of all money.
        at_ns: When; ns since 1970, UTC, as the other times.
        since_ns: From when on peaks count: the trading day's start, or when they were first looked at.
        day_ends_ns: When the trading day is over.
    """

    limits: tuple[LimitNow, ...]
    total: int
    switches_left: int
    policy_set: str
    currency: str
    at_ns: int
    since_ns: int
    day_ends_ns: int


@dataclass(frozen=True, slots=True)
class LimitNames:
    """Names that limits can be asked for by: all accounts, symbols that can be traded, gates."""

    accounts: tuple[str, ...]
    symbols: tuple[str, ...]
    gates: tuple[str, ...]
