"""Other engines that decide the same: eight gates as their users write them. Each is imported only when it is made."""

import json
from collections.abc import Callable
from typing import Any

from benchmarks.eight_ifs import Book, Order

__all__ = ["ENGINES", "Decides"]

#: Whether an order passes; each call brings the next order.
Decides = Callable[[Order, Book], bool]

# In words that rule-engine, CEL and Zen share.
_CONDITIONS = (
    "kill == 0",
    "age <= 120.0",
    "day_start - equity <= 0.05 * day_start",
    "(peak - equity) / peak <= 0.1",
    "positions + 1 <= 10",
    "exposure + notional <= 0.45 * equity",
    "position + notional <= 0.1 * equity",
    "correlated + notional <= 0.2 * equity",
)
_FIELDS = tuple(Book.__dataclass_fields__)


def _facts(order: Order, book: Book) -> dict[str, Any]:
    facts = {name: getattr(book, name) for name in _FIELDS}
    facts["notional"] = order.size * order.price
    return facts


def _every(found: list[Any]) -> bool:
    # A list: each gate is asked, for a trader is told of all that an order breaks.
    return all(found)


def _rule_engine() -> Decides:
    from rule_engine import Rule

    rules = [Rule(text) for text in _CONDITIONS]

    def decides(order: Order, book: Book) -> bool:
        facts = _facts(order, book)
        return _every([rule.matches(facts) for rule in rules])

    return decides


def _zen() -> Decides:
    import zen

    rules = [zen.compile_expression(text) for text in _CONDITIONS]

    def decides(order: Order, book: Book) -> bool:
        facts = _facts(order, book)
        return _every([rule.evaluate(facts) for rule in rules])

    return decides


def _cel() -> Decides:
    import celpy

    environment = celpy.Environment()
    rules = [environment.program(environment.compile(text)) for text in _CONDITIONS]

    def decides(order: Order, book: Book) -> bool:
        facts = celpy.json_to_cel(_facts(order, book))
        return _every([bool(rule.evaluate(facts)) for rule in rules])

    return decides


def _json_logic() -> Decides:
    from json_logic import jsonLogic

    def at_most(left: Any, right: Any) -> Any:
        return {"<=": [left, right]}

    def var(name: str) -> Any:
        return {"var": name}

    def share_of(share: float, name: str) -> Any:
        return {"*": [share, var(name)]}

    rules = [
        {"==": [var("kill"), 0]},
        at_most(var("age"), 120.0),
        at_most({"-": [var("day_start"), var("equity")]}, share_of(0.05, "day_start")),
        at_most({"/": [{"-": [var("peak"), var("equity")]}, var("peak")]}, 0.1),
        at_most({"+": [var("positions"), 1]}, 10),
        *(
            at_most({"+": [var(name), var("notional")]}, share_of(share, "equity"))
            for name, share in (("exposure", 0.45), ("position", 0.1), ("correlated", 0.2))
        ),
    ]
    # As they come from a file.
    rules = json.loads(json.dumps(rules))

    def decides(order: Order, book: Book) -> bool:
        facts = _facts(order, book)
        return _every([jsonLogic(rule, facts) for rule in rules])

    return decides


def _business_rules() -> Decides:
    from business_rules import run_all
    from business_rules.actions import BaseActions, rule_action
    from business_rules.variables import BaseVariables, numeric_rule_variable

    # Its conditions compare a variable with a constant, so what is measured is Python.
    class Measures(BaseVariables):  # type: ignore[misc]
        def __init__(self, order: Order, book: Book) -> None:
            self.book, self.notional = book, order.size * order.price

        @numeric_rule_variable  # type: ignore[untyped-decorator]
        def kill(self) -> float:
            return self.book.kill

        @numeric_rule_variable  # type: ignore[untyped-decorator]
        def age(self) -> float:
            return self.book.age

        @numeric_rule_variable  # type: ignore[untyped-decorator]
        def daily_loss(self) -> float:
            return (self.book.day_start - self.book.equity) / self.book.day_start

        @numeric_rule_variable  # type: ignore[untyped-decorator]
        def drawdown(self) -> float:
            return (self.book.peak - self.book.equity) / self.book.peak

        @numeric_rule_variable  # type: ignore[untyped-decorator]
        def positions(self) -> float:
            return self.book.positions + 1

        @numeric_rule_variable  # type: ignore[untyped-decorator]
        def total_exposure(self) -> float:
            return (self.book.exposure + self.notional) / self.book.equity

        @numeric_rule_variable  # type: ignore[untyped-decorator]
        def position_size(self) -> float:
            return (self.book.position + self.notional) / self.book.equity

        @numeric_rule_variable  # type: ignore[untyped-decorator]
        def correlated(self) -> float:
            return (self.book.correlated + self.notional) / self.book.equity

    class Actions(BaseActions):  # type: ignore[misc]
        def __init__(self) -> None:
            self.rejected = False

        @rule_action()  # type: ignore[untyped-decorator]
        def reject(self) -> None:
            self.rejected = True

    limits = {
        "kill": 0,
        "age": 120.0,
        "daily_loss": 0.05,
        "drawdown": 0.1,
        "positions": 10,
        "total_exposure": 0.45,
        "position_size": 0.1,
        "correlated": 0.2,
    }
    rules = [
        {
            "conditions": {"all": [{"name": name, "operator": "greater_than", "value": limit}]},
            "actions": [{"name": "reject", "params": {}}],
        }
        for name, limit in limits.items()
    ]

    def decides(order: Order, book: Book) -> bool:
        actions = Actions()
        run_all(
            rule_list=rules,
            defined_variables=Measures(order, book),
            defined_actions=actions,
            stop_on_first_trigger=False,
        )
        return not actions.rejected

    return decides


#: By their names at PyPI.
ENGINES: dict[str, Callable[[], Decides]] = {
    "rule-engine": _rule_engine,
    "zen-engine": _zen,
    "cel-python": _cel,
    "json-logic-qubit": _json_logic,
    "business-rules": _business_rules,
}
