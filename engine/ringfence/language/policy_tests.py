"""`kind: PolicyTest`: cases merged with their defaults, and a case's plain data made into a `Case`."""

import math
import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from ringfence.errors import Diagnostic, PolicyError, Span
from ringfence.language.gates import to_ns
from ringfence.language.instruments import convert, countable, read_correlation
from ringfence.language.linking import LinkedSet
from ringfence.language.orders import (
    MESSAGE_KINDS,
    Book,
    Case,
    Instrument,
    Market,
    OrderRequest,
    PastOrder,
    Position,
    WorkingOrder,
    to_decimal,
)
from ringfence.language.parameters import parse_duration
from ringfence.language.tickets import mark_of, usable

__all__ = ["merge", "read_case"]

NAN = float("nan")
_NOT_FINITE = re.compile(r"([-+]?)\.?(nan|inf)", re.IGNORECASE)


def merge(base: Any, over: Any) -> Any:
    """Merge mappings key by key, `over` winning; anything else replaces what was there."""
    if isinstance(base, Mapping) and isinstance(over, Mapping):
        keys = [*base, *(key for key in over if key not in base)]
        return {
            key: (
                merge(base[key], over[key])
                if key in base and key in over
                else (over[key] if key in over else base[key])
            )
            for key in keys
        }
    return over


def read_case(
    given: Mapping[str, Any],
    when: Mapping[str, Any],
    linked: LinkedSet,
    span: Span | None = None,
) -> Case:
    """Turn the `given` and `when` of a test, defaults merged in, into a `Case`.

    Raises:
        PolicyError: `E219` for a value that cannot be read or a state that contradicts itself.
    """
    faults: list[str] = []
    desk = linked.desk
    fx = dict(desk.fx)
    instruments = dict(desk.instruments)
    for symbol, each in (given.get("instruments") or {}).items():
        instruments[symbol] = _instrument(symbol, each, faults)
    for pair, rate in (given.get("fx") or {}).items():
        source, _, target = pair.partition("/")
        fx[source, target] = _number(rate)
        if fx[source, target] <= 0:
            faults.append(f"exchange rate `{pair}: {rate}` is not above zero")
    correlations = dict(desk.correlations)
    for pair, rho in (given.get("correlations") or {}).items():
        read = read_correlation(pair, rho)
        if read is None and isinstance(rho, float) and math.isnan(rho):
            # Nobody knows how they move: counted as together, as with a pair that is not named.
            read = read_correlation(pair, 1)
        if read is None:
            faults.append(
                f"correlation `{pair}: {rho}` is not a number from -1 to 1 for two symbols"
            )
        else:
            correlations[read[0]] = read[1]
    clock = _time(given.get("clock", "1970-01-01T00:00:00Z"), faults)
    case = Case(
        order=_order(when, faults),
        clock_ns=clock,
        instruments=instruments,
        market={
            symbol: _market(each or {}, faults)
            for symbol, each in (given.get("market") or {}).items()
        },
        fx=fx,
        books={
            name: _book(name, each or {}, (fx, linked.currency), instruments, faults)
            for name, each in (given.get("books") or {}).items()
        },
        kill_switch=dict((given.get("control") or {}).get("kill_switch") or {}),
        correlations=correlations,
        recent_orders=tuple(_past(each, when, faults) for each in given.get("recent_orders") or ()),
    )
    _price_by_position(case)
    if faults:
        raise PolicyError(
            Diagnostic(
                "E219",
                fault,
                span,
                why="a case describes one possible state of the world",
                fix="mend the `given` of the case",
            )
            for fault in faults
        )
    return case


def _price_by_position(case: Case) -> None:
    """An order without a price, in a market without one, is priced at the mark of what is held."""
    order = case.order
    market = case.market.get(order.symbol)
    if usable(_number(order.price)) or usable(mark_of(market)):
        return
    for name in (f"account/{order.account}", f"strategy/{order.strategy}", "firm"):
        held = case.books[name].positions.get(order.symbol) if name in case.books else None
        if held is not None and usable(held.mark):
            marked = replace(market or Market(), mark=held.mark)
            case.market = {**case.market, order.symbol: marked}
            return


def _number(value: Any) -> float:
    if isinstance(value, float):
        return value
    if isinstance(value, str) and (found := _NOT_FINITE.fullmatch(value.strip())):
        return float(found[1] + found[2])
    number = to_decimal(value)
    return NAN if number is None else float(number)


def _time(value: Any, faults: list[str]) -> int:
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    try:
        return to_ns(str(value))
    except ValueError as error:
        faults.append(str(error))
        return 0


def _order(when: Mapping[str, Any], faults: list[str]) -> OrderRequest:
    stamp = when.get("timestamp")
    return OrderRequest(
        account=str(when.get("account") or ""),
        symbol=str(when.get("symbol") or ""),
        side=str(when.get("side") or ""),
        size=when.get("size"),
        price=when["stop_price"] if when.get("stop_price") is not None else when.get("price"),
        type=str(when.get("type") or "limit"),
        strategy=str(when.get("strategy") or ""),
        venue=str(when.get("venue") or ""),
        reduce_only=bool(when.get("reduce_only", False)),
        client_order_id=str(when.get("client_order_id") or ""),
        timestamp=None if stamp is None else _time(stamp, faults),
    )


def _instrument(symbol: str, given: Mapping[str, Any], faults: list[str]) -> Instrument:
    base, _, quote = symbol.partition("/")
    step = to_decimal(given.get("lot_step", "0.00000001"))
    if step is None or step <= 0 or not countable(step):
        told = "beyond any size" if step and step > 0 else "not above zero"
        faults.append(f"lot step `{given.get('lot_step')}` of `{symbol}` is {told}")
        step = to_decimal("0.00000001")
    for name in ("min_size", "max_size", "tick_size", "min_notional", "multiplier"):
        number, value = to_decimal(given.get(name)), given.get(name)
        missing = value is None or (isinstance(value, float) and math.isnan(value))
        if missing:
            continue
        if number is not None and not countable(number):
            faults.append(f"`{name}` of `{symbol}` is `{value}`: beyond any size, price or rate")
        elif number is None or number < 0 or (name == "multiplier" and not number):
            kind = "above zero" if name == "multiplier" else "of zero or more"
            faults.append(f"`{name}` of `{symbol}` is `{value}`, and no number {kind}")
    plain = Instrument(symbol)
    return Instrument(
        symbol=symbol,
        lot_step=step or plain.lot_step,
        min_size=to_decimal(given.get("min_size")),
        max_size=to_decimal(given.get("max_size")),
        tick_size=to_decimal(given.get("tick_size")),
        multiplier=_number(given.get("multiplier", 1)),
        base=str(given.get("base") or base),
        quote=str(given.get("quote") or quote),
        min_notional=_number(given.get("min_notional") or 0),
        full_close_exempt=bool(given.get("full_close_exempt", False)),
    )


def _market(given: Mapping[str, Any], faults: list[str]) -> Market:
    depth = given.get("depth")
    return Market(
        **{name: _number(given.get(name)) for name in ("bid", "ask", "last", "mark", "volume")},
        age=_seconds(given.get("age"), faults),
        completeness=_share("completeness", given.get("completeness"), faults),
        bid_depth=_number(given.get("bid_depth", depth)),
        ask_depth=_number(given.get("ask_depth", depth)),
        history=tuple(_past_quote(each, faults) for each in given.get("recent") or ()),
    )


def _past_quote(given: Mapping[str, Any], faults: list[str]) -> Market:
    age = _seconds(given.get("age"), faults)
    if not 0 <= age < float("inf"):
        faults.append(f"an earlier quote has the age `{given.get('age')}`: it lies in the past")
    bid, ask, last, mark = (_number(given.get(name)) for name in ("bid", "ask", "last", "mark"))
    return Market(bid, ask, last, mark, age)


def _seconds(value: Any, faults: list[str]) -> float:
    if value is None or isinstance(value, int | float):
        return _number(value)
    text = str(value).strip()
    try:
        return -parse_duration(text[1:]) if text.startswith("-") else parse_duration(text)
    except ValueError as error:
        faults.append(str(error))
        return NAN


def _share(name: str, value: Any, faults: list[str]) -> float:
    share = _number(value)
    if isinstance(value, str) and value.strip().endswith("%"):
        share = _number(value.strip()[:-1]) / 100
    if share > 1:
        faults.append(f"`{name}: {value}` is a share above 100%: write `95%` or `0.95`")
    return share


def _book(
    name: str,
    given: Mapping[str, Any],
    money: tuple[dict[tuple[str, str], float], str],
    instruments: Mapping[str, Instrument],
    faults: list[str],
) -> Book:
    positions = {
        symbol: Position(
            size=_size(f"{name}: position in {symbol}", each.get("size"), faults),
            entry_price=_number(each.get("entry_price")),
            mark=_number(each.get("mark")),
        )
        for symbol, each in (given.get("positions") or {}).items()
    }
    working = [
        WorkingOrder(
            order_id=str(each.get("order_id", "")),
            symbol=str(each.get("symbol", "")),
            side=str(each.get("side", "")),
            size=_size(f"{name}: working order {each.get('order_id')}", each.get("size"), faults),
            price=_number(each.get("price")),
        )
        for each in given.get("working") or ()
    ]
    flow = given.get("day_flow")
    book = Book(
        equity=_number(given.get("equity")),
        day_start_equity=_number(given.get("day_start_equity")),
        day_start_balance=_number(given.get("day_start_balance")),
        peak_equity=_number(given.get("peak_equity")),
        deposits=(
            _number(flow)
            if flow is not None
            else _number(given.get("deposits") or 0) - _number(given.get("withdrawals") or 0)
        ),
        positions=positions,
        working=working,
    )
    if 0 < book.peak_equity < book.equity:
        # The peak includes the present: a higher equity is the new peak. One that is not above zero is none.
        book.peak_equity = book.equity
    _convert(book, str(given.get("currency") or ""), money)
    _contradictions(name, given, book, (instruments, money[0]), faults)
    return book


def _convert(book: Book, currency: str, money: tuple[dict[tuple[str, str], float], str]) -> None:
    """Money of the book in the policy set's currency; without a rate it is unknown."""
    rate = convert(money[0], currency, money[1])
    factor = NAN if rate is None else rate
    if factor == 1.0:
        return
    for name in ("equity", "day_start_equity", "day_start_balance", "peak_equity", "deposits"):
        setattr(book, name, getattr(book, name) * factor)


def _contradictions(
    name: str,
    given: Mapping[str, Any],
    book: Book,
    known: tuple[Mapping[str, Instrument], Mapping[tuple[str, str], float]],
    faults: list[str],
) -> None:
    ids = [order.order_id for order in book.working]
    faults.extend(
        f"{name}: two working orders are called `{each}`"
        for each in dict.fromkeys(ids)
        if ids.count(each) > 1
    )
    for order in book.working:
        if order.side not in ("buy", "sell"):
            faults.append(f"{name}: working order `{order.order_id}` has no side")
        if order.size <= 0:
            faults.append(f"{name}: working order `{order.order_id}` has no size above zero")
    cash = given.get("cash")
    if cash is not None and given.get("equity") is not None:
        currency = str(given.get("currency") or "")
        value = sum(
            float(position.size) * position.mark * _worth_of_one(symbol, currency, *known)
            for symbol, position in book.positions.items()
        )
        equity = _number(given["equity"])
        if abs(_number(cash) + value - equity) > 1e-6 * max(1.0, abs(equity)):
            faults.append(
                f"{name}: cash {cash} and positions worth {value:,.10g} are not equity "
                f"{equity:,.10g}"
            )


def _worth_of_one(
    symbol: str,
    currency: str,
    instruments: Mapping[str, Instrument],
    fx: Mapping[tuple[str, str], float],
) -> float:
    """Money in `currency` of one unit at price 1; NaN without a rate."""
    instrument = instruments.get(symbol) or Instrument(symbol)
    rate = convert(fx, instrument.quote, currency)
    return NAN if rate is None else instrument.multiplier * rate


def _size(what: str, value: Any, faults: list[str]) -> Any:
    number = to_decimal(value)
    if number is None:
        faults.append(f"{what}: size `{value}` is not a number")
        return to_decimal(0)
    return number


def _past(given: Mapping[str, Any], when: Mapping[str, Any], faults: list[str]) -> PastOrder:
    whole = {**when, **given}
    message = str(given.get("message") or MESSAGE_KINDS[0])
    if message not in MESSAGE_KINDS:
        faults.append(f"recent order: message `{message}` is none of {', '.join(MESSAGE_KINDS)}")
    return PastOrder(
        account=str(whole.get("account") or ""),
        symbol=str(whole.get("symbol") or ""),
        side=str(whole.get("side") or ""),
        size=_size("recent order", whole.get("size"), faults),
        price=_number(whole.get("price")),
        age=_seconds(given.get("age", 0), faults),
        strategy=str(whole.get("strategy") or ""),
        venue=str(whole.get("venue") or ""),
        message=message,
    )
