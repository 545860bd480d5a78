"""The one table of what a rule may read: every input field, its unit, source and missing value.

`ringfence fields`, the reference page, the editor schema, the reference interpreter and the kernel's
code all come from `FIELDS`. A field that `uses` parameters is computed with the gate's own values of
them (`book.correlated_after` with the gate's `threshold`), so a rule that reads it must declare them.
"""

from dataclasses import dataclass
from functools import lru_cache

from ringfence.language.units import (
    BOOLEAN,
    COUNT,
    DURATION,
    MONEY,
    PRICE,
    QUANTITY,
    RATIO,
    STATE,
    Unit,
    choice,
)

__all__ = [
    "COUNTS",
    "FIELDS",
    "MESSAGES",
    "ORDER_TYPES",
    "USED",
    "InputField",
    "UsedParameter",
    "noun_of_count",
]

ORDER_TYPES = ("limit", "market", "stop", "stop_limit")
COUNTS = ("messages", "orders")
"""What a rate may be of: orders and cancels, or orders alone."""
MESSAGES = ("order.rate", "order.messages", "order.symbol_messages")
"""Fields that count what left within a window."""


@dataclass(frozen=True, slots=True)
class UsedParameter:
    """What a parameter must be for a field to be computed with it: its types, and its choices."""

    types: tuple[str, ...]
    allowed: tuple[str, ...] = ()


USED = {
    "allow": UsedParameter(("globs",)),
    "deny": UsedParameter(("globs",)),
    "reference": UsedParameter(("choice",), ("mid", "last", "mark")),
    "window": UsedParameter(("duration",)),
    "required": UsedParameter(
        ("choices",), ("bid", "ask", "last", "mark", "bid_depth", "ask_depth", "volume")
    ),
    "basis": UsedParameter(("choice",), ("equity", "balance", "max")),
    "working": UsedParameter(("choice",), ("worst-case", "gross")),
    "counts": UsedParameter(("choice",), COUNTS),
    "threshold": UsedParameter(("ratio", "multiple")),
    "min_observations": UsedParameter(("count",)),
}
"""Every parameter that some field `uses`."""


@dataclass(frozen=True, slots=True)
class InputField:
    """One input: its name, unit, the level it belongs to, and what the language knows of it.

    `rises` says the value never falls as the order's size grows; `nonnegative` that it is never
    below zero; `portfolio` that it is unknown while a held symbol's mark is stale; `counts_order` that it
    counts the order itself, whatever its size. `counted` is what a count is of, in the plural.
    """

    name: str
    unit: Unit
    level: str
    source: str
    meaning: str
    missing: str
    uses: tuple[str, ...] = ()
    rises: bool = False
    nonnegative: bool = False
    portfolio: bool = False
    counts_order: bool = False
    counted: str = ""


_UNKNOWN = "unknown: the gate does not pass"


def _order(name: str, unit: Unit, meaning: str, **more: object) -> InputField:
    return _field("order", name, unit, "the order", meaning, more)


def _instrument(name: str, unit: Unit, meaning: str, **more: object) -> InputField:
    return _field("instrument", name, unit, "instruments file", meaning, more)


def _market(name: str, unit: Unit, meaning: str, **more: object) -> InputField:
    return _field("market", name, unit, "market data of the order's symbol", meaning, more)


def _book(name: str, unit: Unit, meaning: str, **more: object) -> InputField:
    return _field("book", name, unit, "the ledger, book of the gate's level", meaning, more)


def _field(
    level: str, name: str, unit: Unit, source: str, meaning: str, more: dict[str, object]
) -> InputField:
    values: dict[str, object] = {"source": source, "missing": _UNKNOWN, **more}
    return InputField(
        name=f"{level}.{name}",
        unit=unit,
        level=level,
        meaning=meaning,
        **values,  # type: ignore[arg-type]  # the three keyword sets above hold field names only
    )


_ALL = (
    _order(
        "size", QUANTITY, "size of the order, in units of the base", rises=True, nonnegative=True
    ),
    _order("price", PRICE, "limit price; the trigger price of a stop"),
    _order(
        "valuation_price",
        PRICE,
        "price the order is valued at: buys max(limit, ask), sells max(limit, bid); without bid "
        "and ask the mark; a stop's trigger price",
        nonnegative=True,
    ),
    _order(
        "notional",
        MONEY,
        "size x valuation price x multiplier x FX",
        rises=True,
        nonnegative=True,
    ),
    _order("is_buy", BOOLEAN, "the order buys"),
    _order("type", choice(*ORDER_TYPES), "type of the order"),
    _order("reduce_only", BOOLEAN, "the order carries the reduce-only flag"),
    _order(
        "risk_reducing",
        BOOLEAN,
        "the only possible result is a smaller position, at the level of the gate's book",
    ),
    _order("full_close", BOOLEAN, "the order closes the whole position of the gate's book"),
    _order(
        "on_tick",
        BOOLEAN,
        "the limit price is a multiple of the tick size; a market order is sent without one",
    ),
    _order("on_lot_step", BOOLEAN, "the size is a multiple of the lot step"),
    _order(
        "permitted",
        BOOLEAN,
        "the symbol matches `allow` and does not match `deny`",
        uses=("allow", "deny"),
    ),
    _order(
        "price_deviation",
        RATIO,
        "distance of the order's price from the reference price, as a share of it; with a window, "
        "from the farthest reference seen in the window",
        uses=("reference", "window"),
        nonnegative=True,
    ),
    _order(
        "rate",
        COUNT,
        "orders that left for this gate's book within the window, this one included",
        uses=("window",),
        nonnegative=True,
        counts_order=True,
        counted="orders",
    ),
    _order(
        "messages",
        COUNT,
        "orders and cancels that left for this gate's book within the window, this order included; by "
        "`counts` orders alone",
        uses=("window", "counts"),
        nonnegative=True,
        counts_order=True,
        counted="messages",
    ),
    _order(
        "symbol_messages",
        COUNT,
        "of the order's symbol, orders and cancels that left for this gate's book within the window, this "
        "order included; by `counts` orders alone",
        uses=("window", "counts"),
        nonnegative=True,
        counts_order=True,
        counted="messages",
    ),
    _order(
        "duplicates",
        COUNT,
        "earlier orders of the same account, side, symbol, size and price within the window",
        uses=("window",),
        nonnegative=True,
        counted="orders",
    ),
    _instrument("lot_step", QUANTITY, "smallest step of a size", nonnegative=True),
    _instrument("min_size", QUANTITY, "smallest size", missing="one lot step", nonnegative=True),
    _instrument("max_size", QUANTITY, "largest size", missing="no maximum", nonnegative=True),
    _instrument("min_notional", MONEY, "smallest notional", missing="no minimum", nonnegative=True),
    _instrument(
        "full_close_exempt",
        BOOLEAN,
        "the venue exempts a full close from the minimum notional",
        missing="no",
    ),
    _market("bid", PRICE, "best bid", nonnegative=True),
    _market("ask", PRICE, "best ask", nonnegative=True),
    _market("last", PRICE, "last trade", nonnegative=True),
    _market(
        "mark",
        PRICE,
        "mark price; without one, the middle of bid and ask, then the last trade",
        nonnegative=True,
    ),
    _market("mid", PRICE, "middle of bid and ask", nonnegative=True),
    _market("age", DURATION, "age of the market data", nonnegative=True),
    _market(
        "skew",
        DURATION,
        "how far the market data's time lies in the future",
        nonnegative=True,
    ),
    _market(
        "completeness",
        RATIO,
        "share of the required fields that are present and sane",
        uses=("required",),
        nonnegative=True,
    ),
    _market("crossed", BOOLEAN, "the bid lies above the ask", missing="no (completeness sees it)"),
    _market("spread", RATIO, "(ask - bid) / mid"),
    _market(
        "opposite_depth",
        QUANTITY,
        "size resting on the side that the order would take",
        nonnegative=True,
    ),
    _market("volume", QUANTITY, "recent traded volume", nonnegative=True),
    _book("equity", MONEY, "cash and positions at their marks", portfolio=True),
    _book(
        "day_start_equity",
        MONEY,
        "equity at the day's reset; by `basis` the balance, or the larger of both",
        uses=("basis",),
    ),
    _book(
        "day_loss",
        MONEY,
        "max(0, day's start - (equity - deposits since)); a profit is never a loss",
        uses=("basis",),
        nonnegative=True,
        portfolio=True,
    ),
    _book(
        "day_loss_ratio",
        RATIO,
        "day loss / day's start",
        missing="unknown, also when the day started at or below zero",
        uses=("basis",),
        nonnegative=True,
        portfolio=True,
    ),
    _book(
        "drawdown",
        RATIO,
        "1 - NAV / peak NAV; deposits and withdrawals change units, not NAV",
        nonnegative=True,
        portfolio=True,
    ),
    _book(
        "positions_after",
        COUNT,
        "symbols held or with working opening orders, the order's included",
        rises=True,
        nonnegative=True,
        counted="symbols",
    ),
    _book(
        "exposure_after",
        MONEY,
        "gross exposure over all symbols at their worst case, the order included",
        uses=("working",),
        rises=True,
        nonnegative=True,
        portfolio=True,
    ),
    _book(
        "net_exposure_after",
        MONEY,
        "absolute net exposure at its worst case, the order included",
        uses=("working",),
        rises=True,
        nonnegative=True,
        portfolio=True,
    ),
    _book(
        "position_after",
        MONEY,
        "exposure in the order's symbol at its worst case, the order included",
        uses=("working",),
        rises=True,
        nonnegative=True,
        portfolio=True,
    ),
    _book(
        "correlated_after",
        MONEY,
        "exposure over the symbols that move with the order's, the order included; fewer than "
        "`min_observations` count as fully correlated",
        uses=("threshold", "min_observations"),
        rises=True,
        nonnegative=True,
        portfolio=True,
    ),
    _book(
        "open_orders_after",
        COUNT,
        "working orders, this one included",
        nonnegative=True,
        counts_order=True,
        counted="orders",
    ),
    _book(
        "open_orders_symbol_after",
        COUNT,
        "working orders in the order's symbol, this one included",
        nonnegative=True,
        counts_order=True,
        counted="orders",
    ),
    InputField(
        "control.kill_state",
        STATE,
        "control",
        "kill switches of the firm, account, strategy, venue and symbol",
        "the strictest state that touches the order: active 0, reducing 1, halted 2",
        "active",
        nonnegative=True,
    ),
)

FIELDS: dict[str, InputField] = {field.name: field for field in _ALL}


def noun_of_count(names: tuple[str, ...], value: float) -> str:
    """What these fields count, as it is said after `value`: `order`, `orders`; empty where it is not of one kind."""
    things = _counted(names)
    return things.removesuffix("s") if value == 1 else things


@lru_cache(maxsize=256)
def _counted(names: tuple[str, ...]) -> str:
    read = (FIELDS.get(name) for name in names)
    things = {each.counted for each in read if each is not None and each.counted}
    return things.pop() if len(things) == 1 else ""
