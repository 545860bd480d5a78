"""Which books a change of policies can touch: the orders of all others are decided as before, and need no replay.

An account's orders are decided by its own book alone where no gate measures a book that accounts share. Then an
account whose gates are the same on both sides decides the same, and what it decides is seen by nobody else.
"""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import product
from typing import Any

from ringfence.language import ir
from ringfence.language.canonical import canonical_rule, expression_text
from ringfence.language.fields import MESSAGES
from ringfence.language.gates import Gate, LimitRow, canonical_value
from ringfence.language.linking import Bound, LinkedSet
from ringfence.language.rules import walk

__all__ = ["ChangedBooks", "changed_books"]

# A switch's measure: 0 while no switch is pulled, as in a replay, whatever the book holds.
_SWITCH = "(0.0 if ((control.kill_state <= 1.0) and order.risk_reducing) else control.kill_state)"
# What an order's own fields, the market's, the instrument's say is the same whatever the books hold.
_SHARED = ("book.", "order.risk_reducing", "order.full_close", "order.duplicates", *MESSAGES)


@dataclass(frozen=True, slots=True)
class ChangedBooks:
    """What a replay of a change has to replay.

    Attributes:
        accounts: Whose orders; None for all of them.
        why: Why all, in words; empty where it is not all.
    """

    accounts: frozenset[str] | None
    why: str = ""


def changed_books(
    base: LinkedSet,
    head: LinkedSet,
    accounts: Sequence[str],
    strategies: Sequence[str],
    venues: Sequence[str],
    symbols: Sequence[str],
) -> ChangedBooks:
    """Return the accounts whose orders a change can touch; the names are all that the orders have."""
    if why := _shared_by_all(base, head):
        return ChangedBooks(None, why)
    names = (accounts, strategies, venues, symbols)
    sides = (base, head)
    classes = [_classes(sides, place, each) for place, each in enumerate(names)]
    forms = [_Forms(), _Forms()]
    touched: set[str] = set()
    for masks, members in classes[0].items():
        for others in product(*(each for each in classes[1:])):
            bound = [
                form.of(side.bind_masks([masks[k], *(other[k] for other in others)]))
                for k, (side, form) in enumerate(zip(sides, forms, strict=True))
            ]
            if bound[0] != bound[1]:
                touched.update(members)
                break
    return ChangedBooks(frozenset(touched))


def _shared_by_all(base: LinkedSet, head: LinkedSet) -> str:
    """Why an order may depend on the orders of any account; empty where it does not."""
    desks = [each.desk.canonical() for each in (base, head)]
    for each in desks:
        # Who trades is declared for checks alone.
        each.pop("universe")
    if desks[0] != desks[1]:
        return "instruments, rates or correlations are not the same"
    if base.currency != head.currency:
        return "the currency is not the same"
    days = [next((each.day for each in side.policies if each.day), None) for side in (base, head)]
    if days[0] != days[1]:
        return "the trading day is not the same"
    for gate in (*base.gates, *head.gates):
        if gate.level != "account" and _measures_a_book(gate):
            return f"`{gate.name}` measures the book of the {gate.level}, which all accounts move"
    return ""


def _measures_a_book(gate: Gate) -> bool:
    measures = [each.measure for each in gate.rule.checks]
    if gate.applies_to == "all" and [expression_text(each) for each in measures] == [_SWITCH]:
        return False
    nodes = (
        node
        for check in gate.rule.checks
        for side in (check.measure, check.limit)
        for node in walk(side)
    )
    fields = (node.name for node in nodes if isinstance(node, ir.Field))
    # Whether an order adds risk is a question to the book.
    return gate.applies_to != "all" or any(name.startswith(_SHARED) for name in fields)


def _classes(
    sides: Sequence[LinkedSet], dimension: int, names: Sequence[str]
) -> dict[tuple[int, ...], list[str]]:
    """Names by which scopes of either side hold them: those of one class face the same gates."""
    found: dict[tuple[int, ...], list[str]] = {}
    for name in names:
        found.setdefault(tuple(side.mask(dimension, name) for side in sides), []).append(name)
    return found


class _Forms:
    """Bound gates as text, each gate and row written once."""

    def __init__(self) -> None:
        self._texts: dict[int, str] = {}
        self._lists: dict[int, tuple[str, ...]] = {}

    def of(self, bound: tuple[Bound, ...]) -> tuple[str, ...]:
        # The set keeps its lists, so that one place in memory is one list.
        found = self._lists.get(id(bound))
        if found is None:
            found = self._lists[id(bound)] = tuple(
                text
                for each in bound
                for text in (
                    self._text(each.gate, partial(_gate, each.gate)),
                    *(self._text(row, partial(_row, row)) for row in each.rows),
                )
            )
        return found

    def _text(self, thing: object, written: Callable[[], Any]) -> str:
        found = self._texts.get(id(thing))
        if found is None:
            found = self._texts[id(thing)] = json.dumps(written(), sort_keys=True, default=str)
        return found


def _gate(gate: Gate) -> list[Any]:
    rule = canonical_rule(gate.rule)
    breach = (gate.on_breach, gate.confirm_ticks)
    return [gate.name, rule, gate.level, gate.mode, breach, gate.applies_to]


def _row(row: LimitRow) -> list[Any]:
    values = {name: canonical_value(value) for name, value in row.values.items()}
    return [values, row.from_ns, row.until_ns]
