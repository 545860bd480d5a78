"""Rates of orders and cancels: the kernel against the reference, over any past."""

import json
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, note
from hypothesis import strategies as st

from ringfence.backends import numba_kernel, reference
from ringfence.language.linking import LinkedSet, link
from ringfence.language.orders import Case, OrderRequest, PastOrder
from strategies import cases, document_of

pytestmark = pytest.mark.unit

LIMITS = (
    {"max_orders": 3, "window": "1s"},
    {"max_orders": "5/m", "max_per_symbol": "3/m"},
    {"max_per_symbol": 2, "window": "5s", "counts": "orders"},
    {"max_orders": 4, "window": "1m", "counts": "orders"},
    {"max_orders": 4},
)
GATES = [
    {"rule": "order-rate@1", "name": f"{level}-{number}", "level": level, "limits": limits}
    for level in ("firm", "account", "strategy")
    for number, limits in enumerate(LIMITS)
]
TWICE = {"rule": "duplicate-order@1", "limits": {"window": "1m"}}


def _linked() -> LinkedSet:
    policy = {
        "apiVersion": "ringfence/v1",
        "kind": "Policy",
        "metadata": {"name": "rates", "version": "1.0.0", "owner": "me", "description": "Rates."},
        "spec": {"currency": "USD", "gates": [*GATES, TWICE]},
    }
    return link([document_of(policy, "rates.yaml")], check_mandatory=False)


LINKED = _linked()


def _past(order: OrderRequest) -> st.SearchStrategy[PastOrder]:
    return st.builds(
        PastOrder,
        account=st.sampled_from((order.account, "other")),
        symbol=st.sampled_from((order.symbol, "ETH/USD")),
        side=st.sampled_from(("buy", "sell")),
        size=st.just(Decimal(1)),
        price=st.just(order.price if isinstance(order.price, float) else 1.0),
        age=st.sampled_from((0.0, 0.5, 1.0, 4.999999999, 5.0, 59.0, 60.0, 3600.0, float("nan"))),
        strategy=st.sampled_from((order.strategy, "other")),
        message=st.sampled_from(("order", "cancel")),
    )


@st.composite
def pasts(draw: Any) -> Case:
    """A case with many messages before it."""
    case: Case = draw(cases())
    order = replace(case.order, size=draw(st.sampled_from((case.order.size, Decimal(1)))))
    return replace(case, order=order, recent_orders=tuple(draw(st.lists(_past(order)))))


@given(pasts())
def test_kernel_and_reference_count_alike(case: Case) -> None:
    note(json.dumps([repr(each) for each in case.recent_orders]))

    found = numba_kernel.decide(LINKED, case, check_mandatory=False)

    assert repr(found) == repr(reference.decide(LINKED, case, check_mandatory=False))


@given(pasts())
def test_cancels_only_add_and_only_where_they_count(case: Case) -> None:
    gates = reference.decide(LINKED, case, check_mandatory=False).gates
    measures = {each.gate: each.measure for each in gates}
    orders = tuple(each for each in case.recent_orders if each.message == "order")
    without = reference.decide(LINKED, replace(case, recent_orders=orders), check_mandatory=False)

    for each in without.gates:
        before = measures[each.gate]
        if each.gate.endswith("-1"):
            # Of two checks it tells of the one that is nearer to its limit.
            continue
        if before is None or each.measure is None or before != before:
            continue
        alike = each.gate.endswith(("-2", "-3")) or each.gate == "duplicate-order"
        assert each.measure == before if alike else each.measure <= before
