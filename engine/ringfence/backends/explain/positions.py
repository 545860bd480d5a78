"""Exposures opened up: what each symbol adds, at which size and price (`docs/controls.md`)."""

import math
from collections.abc import Iterator
from dataclasses import dataclass

from ringfence.backends.explain.amounts import Words, plain_number
from ringfence.backends.explain.asked import AskedHolding, Question
from ringfence.backends.explain.explained import Part
from ringfence.language.tickets import mark_of, usable

__all__ = ["Exposures"]


def _worst(holding: AskedHolding, working: str, buy: int = 0, sell: int = 0) -> int:
    up, down = holding.buys + buy, holding.sells + sell
    if working == "gross":
        return max(max(holding.lots, 0) + up, max(-holding.lots, 0) + down)
    return max(abs(holding.lots + up), abs(holding.lots - down))


@dataclass(frozen=True, slots=True)
class Exposures:
    """Parts of the fields that add up exposure, for one question."""

    question: Question
    words: Words

    # What the parts are made of

    def order_price(self) -> float:
        """What the order's own lots are valued at: the larger of mark and valuation price."""
        ticket, held = self.question.ticket, self.question.holding
        mark = held.mark if held is not None and usable(held.mark) else mark_of(ticket.market)
        return max(mark, ticket.valuation_price) if usable(mark) else ticket.valuation_price

    def order_lots(self, working: str) -> tuple[int, int]:
        """The worst case of the order's symbol without the order, and with it."""
        question = self.question
        buy, sell = (question.lots, 0) if question.ticket.side > 0 else (0, question.lots)
        held = question.holding
        if held is None:
            return 0, question.lots
        return _worst(held, working), _worst(held, working, buy, sell)

    def others(self) -> Iterator[tuple[str, AskedHolding]]:
        """All other symbols of the book."""
        if self.question.book is not None:
            for symbol, held in self.question.book.holdings.items():
                if symbol != self.question.symbol:
                    yield symbol, held

    def _held(self, symbol: str, lots: int, held: AskedHolding) -> Part:
        """Lots of a symbol at its mark; a short position is said to be one."""
        return self._part(
            f"{'short' if held.lots < 0 else 'held'} in {symbol}", lots, held.mark, held
        )

    def _part(self, what: str, lots: int, price: float, held: AskedHolding) -> Part:
        instrument = held.instrument
        value = lots * (price * instrument.lot_multiplier) if lots else 0.0
        return Part(what, self.words.valued(lots, price, instrument), value)

    # The parts

    def own(self, working: str) -> list[Part]:
        """What the order's symbol adds: what is there at the mark, what the order adds at its price."""
        before, after = self.order_lots(working)
        symbol, held = self.question.symbol, self.question.holding
        parts = []
        if held is not None and before:
            parts.append(self._held(symbol, before, held))
        instrument = self.question.ticket.instrument
        price, more = self.order_price(), after - before
        value = more * (price * instrument.lot_multiplier)
        what = "this order" if more else "this order (adds nothing to the worst case)"
        parts.append(Part(what, self.words.valued(more, price, instrument), value))
        return parts

    def gross(self, working: str) -> list[Part]:
        """What each symbol adds to the gross exposure, the order's last."""
        parts = []
        for symbol, held in self.others():
            if lots := _worst(held, working):
                parts.append(self._held(symbol, lots, held))
        return parts + self.own(working)

    def correlated(self, threshold: float, least: float) -> tuple[list[Part], list[str]]:
        """What moves with the order's symbol; and what was left out, and why."""
        question, parts, said = self.question, [], []
        side = question.ticket.side
        for symbol, held in self.others():
            low, high = sorted((question.symbol, symbol))
            rho, count = question.case.correlations.get((low, high), (1.0, 0.0))
            told = f"correlation {plain_number(rho)}"
            if not count >= least or not math.isfinite(rho):
                known = (low, high) in question.case.correlations
                told = (
                    f"{plain_number(count)} observations are fewer than {plain_number(least)}, counts as 1"
                    if known
                    else "no known correlation, counts as 1"
                )
                rho = 1.0
            way = side if rho >= threshold else -side if -rho >= threshold else 0
            if not way:
                said.append(
                    f"{symbol} is left out: {told}, below the threshold {plain_number(threshold)}"
                )
                continue
            lots = held.lots + held.buys if way > 0 else held.sells - held.lots
            if lots <= 0:
                name = "long" if way > 0 else "short"
                said.append(f"{symbol} adds nothing: {told}, and the book is not {name} in it")
                continue
            parts.append(self._part(f"held in {symbol} ({told})", lots, held.mark, held))
        return parts + self.own("worst-case"), said

    def net(self) -> tuple[list[Part], list[Part], list[Part]]:
        """Positions at their marks (signed), what works to buy and what works to sell, the order in it."""
        question = self.question
        held_parts, buys, sells = [], [], []
        holdings = question.book.holdings if question.book is not None else {}
        for symbol, held in holdings.items():
            if held.lots:
                held_parts.append(self._held(symbol, held.lots, held))
            if held.buys:
                buys.append(self._part(f"buys in {symbol}", held.buys, held.mark, held))
            if held.sells:
                sells.append(self._part(f"sells in {symbol}", held.sells, held.mark, held))
        instrument, price = question.ticket.instrument, self.order_price()
        value = question.lots * (price * instrument.lot_multiplier)
        order = Part("this order", self.words.valued(question.lots, price, instrument), value)
        (buys if question.ticket.side > 0 else sells).append(order)
        return held_parts, buys, sells

    def worst_case(self, working: str) -> list[str]:
        """How working orders make the worst case of the order's symbol, where any work."""
        held, instrument = self.question.holding, self.question.ticket.instrument
        if held is None or not (held.buys or held.sells):
            return []
        buy, sell = (
            (self.question.lots, 0) if self.question.ticket.side > 0 else (0, self.question.lots)
        )

        def size(lots: int) -> str:
            return self.words.lots(lots, instrument)

        q, up, down = held.lots, held.buys + buy, held.sells + sell
        after = _worst(held, working, buy, sell)
        if working == "gross":
            return [
                f"working: gross: max(max({size(q)}, 0) + {size(up)}, max({size(-q)}, 0) + {size(down)}) "
                f"= {size(after)}, this order included"
            ]
        return [
            f"worst case: max(|{size(q)} + {size(up)}|, |{size(q)} - {size(down)}|) = {size(after)}, "
            "this order included"
        ]

    def counted(self) -> tuple[list[str], bool]:
        """The other symbols that count as positions; and whether the order's does."""
        found = [symbol for symbol, held in self.others() if _worst(held, "worst-case")]
        return found, bool(self.order_lots("worst-case")[1])
