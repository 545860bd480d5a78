"""Limits of the whole firm, for one of several groups: those in absolute numbers times its share.

A measure of the firm's book is at most the sum of the groups' own, and a limit at least the sum of what the
groups are held to. Which measures and limits that is true of is written down here; all others are refused.
"""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from ringfence.backends.numba_kernel.limits import moving_together
from ringfence.errors import InputError
from ringfence.language import ir
from ringfence.language.changed_limits import with_rows
from ringfence.language.fields import MESSAGES
from ringfence.language.gates import Gate, LimitRow
from ringfence.language.linking import LinkedSet
from ringfence.language.parameters import Money, Value
from ringfence.language.rules import Check, walk

__all__ = ["is_sliced", "loss_gates", "require_sliceable", "sliced"]

_FIRM = "firm"
_SUMMED = {
    "book.exposure_after",
    "book.position_after",
    "book.correlated_after",
    "book.net_exposure_after",
    "book.positions_after",
    "book.open_orders_after",
    "book.open_orders_symbol_after",
    "book.day_loss",
    *MESSAGES,
}
"""Measures of a book that no sum of books falls short of, for all orders or for those that raise risk."""
_RISEN_BY_CLOSING = {
    "book.net_exposure_after",
    "book.open_orders_after",
    "book.open_orders_symbol_after",
    *MESSAGES,
}
"""An order that reduces risk can raise them; a gate that exempts it would not see that."""
_SHARES = {"book.day_loss_ratio", "book.drawdown"}
"""Shares of the book's own capital: they need no share of the limit."""
_LOSSES = {"book.day_loss", "book.day_loss_ratio", "book.drawdown"}
_CORRELATED = "book.correlated_after"
_DRAWDOWN = "book.drawdown"
_EQUITY = "equity"
_SCALED = ("money", "count", "quantity")
_OF_CAPITAL = ("ratio", "multiple")


def sliced(linked: LinkedSet, share: float) -> LinkedSet:
    """The same policy set with absolute limits of the firm's book times `share`; its name stays.

    Only limits change, and those are data: nothing is compiled.
    """
    return with_rows(linked, lambda gate, row: _sliced_row(gate, row, share))


def _sliced_row(gate: Gate, row: LimitRow, share: float) -> LimitRow:
    names = {_scaled_by(check) for check in gate.rule.checks} - {""}
    if gate.level != _FIRM or not names:
        return row
    values: dict[str, Value] = dict(row.values)
    for name in names & values.keys():
        value = values[name]
        if isinstance(value, Money):
            values[name] = Money(value.amount * share, value.currency)
        elif isinstance(value, int | float):
            values[name] = value * share
    return replace(row, values=values)


def is_sliced(gate: Gate) -> bool:
    """Whether a gate measures the firm's book, so that a larger slice gives it more room."""
    return gate.level == _FIRM and any(_of_book(check) for check in gate.rule.checks)


def loss_gates(linked: LinkedSet) -> frozenset[str]:
    """Labels of the firm's gates that stop it for what it lost."""
    return frozenset(
        gate.label
        for gate in linked.gates
        if gate.level == _FIRM
        and gate.mode == "enforce"
        and any(_field(check.measure) in _LOSSES for check in gate.rule.checks)
    )


def require_sliceable(linked: LinkedSet) -> None:
    """Whether every gate of the firm holds for the firm where it holds in each group with its slice.

    Raises:
        InputError: one does not; the message names it and says why.
    """
    for gate in linked.gates:
        if gate.level != _FIRM:
            continue
        for why in _faults(linked, gate):
            raise InputError(
                f"the firm's gate `{gate.label}` cannot be split over groups: {why}",
                fix="give it to accounts or strategies, or let all guards share one set of books",
            )


def _faults(linked: LinkedSet, gate: Gate) -> Iterator[str]:
    if gate.on_breach == "halt" and any(_of_book(check) for check in gate.rule.checks):
        # A group's own loss would halt the firm.
        yield "it halts the firm, and would do so for what one group lost"
    scaled = {_scaled_by(check) for check in gate.rule.checks} - {""}
    for check in gate.rule.checks:
        if not _of_book(check):
            if scaled & _params(check):
                yield f"its check `{check.name}` and another one share a limit"
            continue
        field = _field(check.measure)
        parameter = _param(check.limit)
        kind = gate.rule.parameters.parameters[parameter].type if parameter else ""
        if field in _SHARES:
            if kind not in _OF_CAPITAL:
                yield f"its check `{check.name}` compares with something else than a ratio"
            elif field == _DRAWDOWN and any(
                _number(row.values.get(parameter)) > 1.0 for row in gate.rows
            ):
                yield f"`{parameter}` is above 100 %"
        elif not _scaled_by(check) and not _of_equity(gate, check):
            yield f"its check `{check.name}` measures more than a sum over books"
        if field in _LOSSES and any(
            row.values.get("basis", _EQUITY) != _EQUITY for row in gate.rows
        ):
            # What is realised hangs on whose positions are netted.
            yield "balances of groups do not add up to the firm's; say `basis: equity`"
        if field in _RISEN_BY_CLOSING and gate.applies_to != "all":
            yield "orders that reduce risk are exempt and can raise what it measures; say `applies_to: all`"
        if field == _CORRELATED:
            pair = _odd_pair(linked, gate)
            if pair:
                yield f"`{pair[0]}` and `{pair[2]}` both move with `{pair[1]}`, and not with each other"


def _of_book(check: Check) -> bool:
    """Whether it looks at the firm's book."""
    return any(
        isinstance(node, ir.Field) and (node.name.startswith("book.") or node.name in MESSAGES)
        for node in _nodes(check)
    )


def _scaled_by(check: Check) -> str:
    """The parameter that is an absolute limit of a sum over books; empty where there is none."""
    name = _param(check.limit)
    if check.compare != "<=" or _field(check.measure) not in _SUMMED or not name:
        return ""
    return name if check.limit.unit.kind in _SCALED else ""


def _of_equity(gate: Gate, check: Check) -> bool:
    """Whether the limit is a ratio of the book's equity."""
    limit = check.limit
    if (
        check.compare != "<="
        or _field(check.measure) not in _SUMMED
        or not isinstance(limit, ir.Arithmetic)
        or limit.op != "*"
    ):
        return False
    for one, other in ((limit.left, limit.right), (limit.right, limit.left)):
        name = _param(one)
        if name and _field(other) == "book.equity":
            return gate.rule.parameters.parameters[name].type in _OF_CAPITAL
    return False


def _nodes(check: Check) -> list[ir.Node]:
    return [*walk(check.measure), *walk(check.limit)]


def _params(check: Check) -> set[str]:
    return {node.name for node in _nodes(check) if isinstance(node, ir.Param)}


def _field(node: ir.Node) -> str:
    return node.name if isinstance(node, ir.Field) else ""


def _param(node: ir.Node) -> str:
    return node.name if isinstance(node, ir.Param) else ""


def _number(value: Value | None) -> float:
    return float(value) if isinstance(value, int | float) else 0.0


def _odd_pair(linked: LinkedSet, gate: Gate) -> tuple[str, str, str] | None:
    """Three symbols, of which two move with the one between and not with each other; None where there are none.

    Only where moving together makes classes does a gate that looks at each order's own symbol bound what every
    other symbol of its class would find.
    """
    symbols = list(linked.desk.instruments)
    for row in gate.rows:
        threshold, least = _number(row.values["threshold"]), _number(row.values["min_observations"])
        table = moving_together(symbols, linked.desk.correlations, threshold, least)
        for between, ways in enumerate(table):
            near = np.flatnonzero(ways)
            wanted = np.outer(ways[near], ways[near])
            np.fill_diagonal(wanted, 0)
            odd = np.argwhere(table[np.ix_(near, near)] != wanted)
            if len(odd):
                one, other = near[odd[0]]
                return symbols[one], symbols[between], symbols[other]
    return None
