"""Slots: one for each rule; what is compiled for each of them."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from ringfence.backends.numba_kernel.expressions import expression_text
from ringfence.errors import PolicyError
from ringfence.language import ir
from ringfence.language.linking import LinkedSet
from ringfence.language.rule_library import load_rule_library
from ringfence.language.rules import Check, Rule, walk

__all__ = ["LEVELS", "Slot", "slots_of"]

LEVELS = ("firm", "account", "strategy")

# Text of each field: `x` lots, `pos` the position after at its worst case, `red` whether the order only
# reduces, `b` the book of the gate's level, <name> a parameter as the field reads it.
_FIELDS = {
    "order.size": "(x * units / scale)",
    "order.price": "fin(price)",
    "order.valuation_price": "fin(value)",
    "order.notional": "money_of(quanta_up(x * lot_value))",
    "order.is_buy": "(1.0 if side > 0 else 0.0)",
    "order.type": "float(kind)",
    "order.reduce_only": "(1.0 if reduce_only else 0.0)",
    "order.risk_reducing": "(1.0 if red else 0.0)",
    "order.full_close": "(1.0 if red and x == abs(q) else 0.0)",
    "order.on_tick": "on_tick(price, kind, sym, s)",
    "order.on_lot_step": "1.0",
    "order.permitted": "float(P.permits[int(<allow,deny>), s])",
    "order.price_deviation": "price_deviation(sym, s, price, value, <reference>)",
    "order.rate": "(messages(B, b, now, <window>, -1, 1.0) + 1.0)",
    "order.messages": "(messages(B, b, now, <window>, -1, <counts>) + 1.0)",
    "order.symbol_messages": "(messages(B, b, now, <window>, s, <counts>) + 1.0)",
    "order.duplicates": "equal_orders(B, account, s, side, lots, price, now, <window>)",
    "instrument.lot_step": "(units / scale)",
    "instrument.min_size": "sym[s, MIN_SIZE]",
    "instrument.max_size": "sym[s, MAX_SIZE]",
    "instrument.min_notional": "fin(sym[s, MIN_NOTIONAL])",
    "instrument.full_close_exempt": "sym[s, FULL_CLOSE_EXEMPT]",
    "market.bid": "fin(sym[s, BID])",
    "market.ask": "fin(sym[s, ASK])",
    "market.last": "fin(sym[s, LAST])",
    "market.mark": "fin(sym[s, SYM_MARK])",
    "market.mid": "fin(reference_price(sym, s, 0.0))",
    "market.age": "fin(max(0.0, age) if age == age else NAN)",
    "market.skew": "fin(max(0.0, -age) if age == age else NAN)",
    "market.completeness": "completeness(sym, s, <required>)",
    "market.crossed": "crossed(sym, s)",
    "market.spread": "share_of(sym[s, ASK] - sym[s, BID], reference_price(sym, s, 0.0))",
    "market.opposite_depth": "nonnegative(sym[s, ASK_DEPTH if side > 0 else BID_DEPTH])",
    "market.volume": "nonnegative(sym[s, VOLUME])",
    "book.equity": "(NAN if stale else fin(B.book[b, EQUITY]))",
    "book.day_start_equity": "(fin(day_start(B, b, <basis>)) if has else NAN)",
    "book.day_loss": "(NAN if stale else day_loss(B, b, <basis>))",
    "book.day_loss_ratio": "(NAN if stale else fin(day_loss_ratio(B, b, <basis>)))",
    "book.drawdown": "(NAN if stale else drawdown(B, b))",
    "book.positions_after": "(positions_after(B, b, s, x) if has else NAN)",
    "book.exposure_after": (
        "money(exposure_after(B, b, s, pos if <working> == 0.0 else "
        "position_after(B, b, s, side, x, value, True), <working> != 0.0), stale)"
    ),
    "book.net_exposure_after": (
        "(NAN if stale else "
        "net_exposure_after(B, b, s, side, x, value, <working> != 0.0) / QUANTA)"
    ),
    "book.position_after": (
        "money(counted(pos if <working> == 0.0 else "
        "position_after(B, b, s, side, x, value, True)), stale)"
    ),
    "book.correlated_after": (
        "money(counted(pos + correlated_others(B, b, s, side, "
        "P.moves[int(<threshold,min_observations>)])), stale)"
    ),
    "book.open_orders_after": "(orders_after(B, b, s, False) if has else NAN)",
    "book.open_orders_symbol_after": "(orders_after(B, b, s, True) if has else NAN)",
    "control.kill_state": "kill",
}
_WINDOW_DEVIATION = (
    "(price_deviation(sym, s, price, value, <reference>) if <window> != <window> else "
    "window_deviation(B, s, int(<reference>), price if usable(price) else value, "
    "reference_price(sym, s, <reference>), now, <window>))"
)
_PARAMETER = re.compile(r"<([a-z_,]+)>")
ParameterText = Callable[[int], str]


@dataclass(slots=True)
class Slot:
    """One rule: its checks as text, and where its parameters stand in a row.

    `columns` maps what the code reads to a column of `Bindings.params`: a parameter's name for its value
    in an expression, a tuple of names for what a field makes of them. `reduces` where a gate of it
    may ask for a smaller size.
    """

    rule: Rule
    reduces: bool = False
    columns: dict[str | tuple[str, ...], int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for check in self.rule.checks:
            for node in (*walk(check.measure), *walk(check.limit)):
                if isinstance(node, ir.Param):
                    self._column(node.name)
                elif isinstance(node, ir.Field):
                    for names in self._field_params(node.name):
                        self._column(names)

    def _column(self, key: str | tuple[str, ...]) -> int:
        return self.columns.setdefault(key, 1 + len(self.columns))

    def _field_params(self, name: str) -> list[tuple[str, ...]]:
        return [tuple(names.split(",")) for names in _PARAMETER.findall(self._template(name))]

    def _template(self, name: str) -> str:
        if name == "order.price_deviation" and "window" in self.rule.parameters.parameters:
            return _WINDOW_DEVIATION
        return _FIELDS[name]

    def _field_text(self, template: str, read: ParameterText) -> str:
        def column(found: re.Match[str]) -> str:
            return read(self.columns[tuple(found[1].split(","))])

        return _PARAMETER.sub(column, template)

    @property
    def fields(self) -> frozenset[str]:
        """Names of the fields that its checks read."""
        return frozenset(
            node.name
            for check in self.rule.checks
            for node in (*walk(check.measure), *walk(check.limit))
            if isinstance(node, ir.Field)
        )

    def check_texts(
        self,
        check: Check,
        other: Mapping[str, str],
        read: ParameterText = "P.params[row, {}]".format,
    ) -> tuple[str, str]:
        """Texts of a check's measure and limit.

        Args:
            check: One of the rule's.
            other: Text of the fields that are read in another way.
            read: Gives the text that reads a parameter, from its column.
        """

        def field(name: str) -> str:
            return self._field_text(other.get(name, self._template(name)), read)

        def param(name: str) -> str:
            return read(self.columns[name])

        return (
            expression_text(check.measure, field, param),
            expression_text(check.limit, field, param),
        )


def slots_of(linked: LinkedSet) -> tuple[Slot, ...]:
    """The slots of a policy set: every rule of the library, and its own.

    The whole library is compiled together, so that policies which use only its rules share one kernel:
    a gate that is added or dropped compiles nothing.
    """
    rules = {rule.key: rule for rule in (*_library(), *linked.rules)}
    return tuple(Slot(rules[key], rules[key].can_reduce) for key in sorted(rules))


def _library() -> list[Rule]:
    try:
        return load_rule_library()
    except PolicyError:
        # A rule with faults is nobody's in this set: it linked.
        return []
