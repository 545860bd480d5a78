"""A case of an override moved out of it: to before it starts, to after it ends, to another order."""

from collections.abc import Iterator, Mapping
from typing import Any

from ringfence.backends.smt.setting import iso_time
from ringfence.language.gates import ALWAYS, Gate, LimitRow
from ringfence.language.linking import LinkedSet

__all__ = ["moved_cases"]

_MICROSECOND = 1_000
_NAMES = ("account", "strategy", "venue", "symbol")


def moved_cases(
    linked: LinkedSet,
    gate: Gate,
    row: LimitRow,
    given: Mapping[str, Any],
    when: Mapping[str, Any],
) -> Iterator[tuple[str, dict[str, Any], dict[str, Any]]]:
    """The case just before the override, at its end, and with an order that it leaves out.

    Args:
        linked: The policy set.
        gate: The gate.
        row: The override.
        given: What is given in a case in which it is in force.
        when: The order of that case.

    Returns:
        What was moved, in words, with `given` and `when`.
    """
    if row.from_ns > ALWAYS[0]:
        clock = iso_time(row.from_ns - _MICROSECOND)
        yield "just before it starts", {**given, "clock": clock}, dict(when)
    if row.until_ns < ALWAYS[1]:
        yield "as it ends", {**given, "clock": iso_time(row.until_ns)}, dict(when)
    desk = linked.desk
    for name, known in (
        ("account", desk.accounts),
        ("strategy", ("", *desk.strategies)),
        ("venue", ("", *desk.venues)),
    ):
        for other in known:
            order = {**when, name: other}
            if not _binds_without(linked, gate, row, order):
                continue
            if not other:
                del order[name]
            yield f"with another {name}", _renamed(given, name, when, other), order
            return


def _binds_without(linked: LinkedSet, gate: Gate, row: LimitRow, order: Mapping[str, Any]) -> bool:
    """Whether the gate binds an order, and the override does not."""
    bounds = linked.bind(*(str(order.get(name) or "") for name in _NAMES))
    return any(bound.gate is gate and row not in bound.rows for bound in bounds)


def _renamed(
    given: Mapping[str, Any], name: str, when: Mapping[str, Any], other: str
) -> dict[str, Any]:
    """The books with that of the order under its new owner's name."""
    before = f"{name}/{when.get(name) or ''}"
    books = {
        (f"{name}/{other}" if key == before else key): book
        for key, book in (given.get("books") or {}).items()
        if other or key != before
    }
    return {**given, "books": books}
