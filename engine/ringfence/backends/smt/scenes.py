"""Scenes worth trying: a plain market first, then those at which some limit of the question turns."""

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from decimal import ROUND_HALF_EVEN, Decimal
from itertools import pairwise

from ringfence.backends.smt.abstract import Key
from ringfence.backends.smt.gates import BoundGate
from ringfence.backends.smt.scene import LEVELS, Capital, Held, Past, Scene
from ringfence.backends.smt.setting import Setting
from ringfence.language import ir
from ringfence.language.fields import MESSAGES
from ringfence.language.instruments import Instrument
from ringfence.language.orders import Market
from ringfence.language.rules import walk
from ringfence.language.tickets import mark_of, usable

__all__ = ["scenes"]

NAN = math.nan
OTHER_MARK = 100.0
_FILLERS = 120
_PRICED = ("order.price_deviation", "order.price", "order.valuation_price")
_SHARES = ("order.price_deviation", "market.spread")
_QUOTES = ("bid", "ask", "last", "mark")
_LOOKING_BACK = ("order.duplicates", *MESSAGES)
# Whose the messages of others are: of the same account, of the same strategy.
_NOT_BOTH = ((True, False), (False, True), (False, False))


@dataclass(frozen=True, slots=True)
class _Numbers:
    """The numbers in the limits of a question, by what they measure; ratios are those of prices."""

    money: tuple[float, ...]
    ratios: tuple[float, ...]
    prices: tuple[float, ...]


def scenes(
    setting: Setting,
    keys: Sequence[Key],
    gates: Iterable[BoundGate],
    varied: frozenset[str] | None = None,
) -> Iterator[Scene]:
    """Scenes for a question, the plainest first.

    Args:
        setting: Who orders what.
        keys: The fields that the question reads, with what they are computed with.
        gates: The gates whose limits the question is about.
        varied: The fields that unusual markets are made for; None for all that are read.
    """
    instrument = setting.instrument
    if instrument is None:
        return
    numbers = _numbers(gates)
    names = {key.name for key in keys}
    others = _others(setting, keys)
    capital = _capital(numbers.money)

    def scene(name: str, price: float, market: Market, order_type: str = "limit") -> Scene:
        mark = mark_of(market)
        # Without a market the book's own mark is the price, so that an empty book makes no difference.
        value = mark if usable(mark) else price if usable(price) else NAN
        return Scene(
            symbol=setting.symbol,
            instrument=instrument,
            market=market,
            order_type=order_type,
            price=price,
            marks=dict.fromkeys(LEVELS, value),
            others=dict.fromkeys(LEVELS, others),
            capital=dict.fromkeys(LEVELS, capital),
            past=_past(keys),
            fillers=_FILLERS if "book.positions_after" in names else 0,
            name=name,
        )

    names = names if varied is None else set(varied)
    prices = _round_prices(instrument, numbers.prices)
    usual = prices[0]
    for price in prices:
        yield scene("plain", price, _quotes(price))
    if names & set(_PRICED):
        for price in _prices_away(usual, numbers.ratios, instrument):
            yield scene("price away", price, _quotes(usual))
        windows = {key.uses[1] for key in keys if key.name == "order.price_deviation"}
        for window in sorted(each for each in windows if each is not None):
            for off in (sign * each for each in _offsets(numbers.ratios) for sign in (1, -1)):
                # Measured from the earlier price, which is lower for a distance that is larger.
                earlier = replace(_quotes(usual * (1 + off)), age=window)
                market = replace(_quotes(usual), history=(earlier,))
                yield scene("price moved", usual, market)
    if "market.spread" in names:
        for width in _offsets(numbers.ratios):
            market = Market(usual * (1 - width / 2), usual * (1 + width / 2), usual)
            yield scene("spread", usual, market)
    yield scene("market order", NAN, _quotes(usual), "market")
    if any(name.startswith("market.") for name in names) or names & set(_PRICED):
        yield scene("crossed", usual, Market(usual * 1.01, usual * 0.99, usual))
        for missing in _QUOTES[:3]:
            yield scene(f"no {missing}", usual, _without(_quotes(usual), missing))
        yield scene("mark alone", usual, Market(mark=usual))
        yield scene("no quotes", usual, Market())
        yield scene("stop order", usual, _quotes(usual), "stop")


def _numbers(gates: Iterable[BoundGate]) -> _Numbers:
    found: dict[str, set[float]] = {"money": set(), "ratio": set(), "price": set()}
    for gate in gates:
        shares = any(
            isinstance(node, ir.Field) and node.name in _SHARES
            for check in gate.checks
            for node in walk(check.measure)
        )
        for name, parameter in gate.gate.rule.parameters.parameters.items():
            value = gate.numeric.get(name, NAN)
            kind = "ratio" if parameter.type == "multiple" else parameter.type
            if kind == "ratio" and not shares:
                continue
            if kind in found and math.isfinite(value):
                found[kind].add(value)
    return _Numbers(*(tuple(sorted(found[kind])) for kind in ("money", "ratio", "price")))


def _between(values: Sequence[float]) -> list[float]:
    """Each value, what lies between neighbours, and what lies just to either side."""
    found: list[float] = []
    for low, high in pairwise(values):
        found.append((low + high) / 2)
    return [*found, *values, *(value * near for value in values for near in (1.001, 0.999))]


def _offsets(ratios: Sequence[float]) -> list[float]:
    return [each for each in dict.fromkeys(_between(ratios)) if 0 < each < 100]


def _prices_away(usual: float, ratios: Sequence[float], instrument: Instrument) -> Iterator[float]:
    """Prices as far from the usual one as limits say, one tick to either side, and halfway between."""
    tick = float(instrument.tick_size or Decimal("1e-8"))
    halfway = [(low + high) / 2 for low, high in pairwise(ratios)]
    found = [usual * (1 + sign * off) for off in halfway for sign in (1, -1)]
    for off in ratios:
        for at in (usual * (1 + off), usual * (1 - off)):
            found += [at, at + tick, at - tick]
    for price in found:
        if 0 < price < 100 * usual:
            yield _on_tick(price, instrument)


def _round_prices(instrument: Instrument, wanted: Sequence[float]) -> list[float]:
    """Prices at which a lot is worth about 1, 0.01 and 100 of the currency, and those that limits name."""
    found = []
    unit = instrument.lot_multiplier
    for worth in (0, -2, 2):
        power = worth - math.floor(math.log10(unit)) if unit > 0 else worth
        found.append(_on_tick(10.0**power, instrument))
    found += [_on_tick(price, instrument) for price in _between(wanted)]
    return list(dict.fromkeys(price for price in found if price > 0))


def _on_tick(price: float, instrument: Instrument) -> float:
    """The price in whole ticks, and in no more digits than a person would write."""
    step = instrument.tick_size or Decimal("1e-8")
    number = Decimal(f"{price:.12g}")
    return float((number / step).to_integral_value(ROUND_HALF_EVEN) * step)


def _quotes(price: float) -> Market:
    return Market(bid=price, ask=price, last=price)


def _without(market: Market, name: str) -> Market:
    setattr(market, name, NAN)
    return market


def _others(setting: Setting, keys: Sequence[Key]) -> tuple[Held, ...]:
    """Another symbol that moves on its own, and those that move with the order's, as gates tell them apart."""
    names = {key.name for key in keys}
    if not any(name.startswith("book.") for name in names):
        return ()
    settings = {key.uses for key in keys if key.name == "book.correlated_after"}
    shapes: list[tuple[float, float]] = [(0.0, math.inf)]
    if settings:
        thresholds = sorted({threshold for threshold, _ in settings})
        observations = sorted({least for _, least in settings})
        shapes.append((1.0, math.inf))
        shapes += [(each, math.inf) for each in thresholds if each not in (0.0, 1.0)]
        shapes += [(0.0, least - 1) for least in observations if least >= 1]
        if len(settings) > 1:
            shapes += [(-each, math.inf) for each in thresholds if each > 0]
    shapes = list(dict.fromkeys(shapes))
    return tuple(
        Held(name, Instrument(name).lot_multiplier, OTHER_MARK, rho, count)
        for name, (rho, count) in zip(setting.neighbours(len(shapes)), shapes, strict=True)
    )


def _capital(money: Sequence[float]) -> Capital:
    """Round amounts, from what fits the limits to what makes them small."""
    largest = max(money, default=0.0)
    base = 10.0 ** math.ceil(math.log10(largest)) if largest > 1 else 100_000.0
    if base > 1e12:
        base = 1e12
    amounts = (base, base * 10, base / 10, base * 100, NAN)
    return Capital(amounts, amounts, amounts)


def _past(keys: Sequence[Key]) -> tuple[Past, ...]:
    """Orders and cancels in each stretch between the windows that are counted, as far as they are told apart."""
    counting = [key for key in keys if key.name in _LOOKING_BACK and key.uses[0]]
    windows = sorted({float(key.uses[0]) for key in counting})
    by_symbol = {key.name == "order.symbol_messages" for key in counting}
    with_cancels = {"messages" in key.uses for key in counting}
    kinds = [
        *((True, True, False, True), (True, True, True, True)),
        *((account, strategy, False, True) for account, strategy in _NOT_BOTH),
    ]
    if len(by_symbol) > 1:
        kinds += [(*whose, False, False) for whose in ((True, True), *_NOT_BOTH)]
    cancels = [False, True] if len(with_cancels) > 1 else [False]
    found = []
    low = 0.0
    for high in windows:
        age = (low + high) / 2
        found += [
            Past(age, account, strategy, equal, symbol, cancel)
            for cancel in cancels
            for account, strategy, equal, symbol in kinds
            if not (cancel and equal)
        ]
        low = high
    return tuple(found)
