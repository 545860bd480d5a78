"""Which limits of the firm can be split over groups, and what a share of them is."""

from pathlib import Path
from typing import Any

import pytest

from ringfence import PolicySet
from ringfence.errors import InputError
from ringfence.language.linking import LinkedSet
from ringfence.runtime.sliced_limits import require_sliceable, sliced
from runtime.firm_desk import FIRM_GATES, firm_policies

pytestmark = pytest.mark.unit

OWN_RULE = """
apiVersion: ringfence/v1
kind: Rule
metadata: {name: own-rule, version: 1.0.0, title: Own, description: a rule of the desk's own, source: [us]}
spec:
  applies_to: all
  on_breach: reject
  code: OWN_RULE
  parameters:
    max: {type: money, limit: true, description: a limit}
USED  checks:
    - {name: one, measure: MEASURE, limit: LIMIT, explain: too much}
  docs: |
    A rule.
"""
WORKING = """    working: {type: choice, allowed: [worst-case, gross], default: worst-case, description: orders}
"""
BASIS = """    basis: {type: choice, allowed: [equity, balance, max], default: equity, description: start}
"""


def linked(folder: Path, gates: str, **own: str) -> LinkedSet:
    folder.mkdir(exist_ok=True)
    if own:
        text = OWN_RULE.replace(
            "USED",
            (WORKING if "exposure" in own["MEASURE"] else "")
            + (BASIS if "day_start" in own["LIMIT"] else ""),
        )
        for name, value in own.items():
            text = text.replace(name, value)
        (folder / "own.yaml").write_text(text)
    return firm_policies(folder, gates).linked


def limits_of(found: LinkedSet, rule: str) -> list[dict[str, Any]]:
    return [
        {name: getattr(value, "amount", value) for name, value in row.values.items()}
        for gate in found.gates
        if gate.level == "firm" and gate.rule.name == rule
        for row in gate.rows
    ]


def test_a_share_scales_what_is_absolute_and_leaves_shares_of_the_capital(tmp_path: Path) -> None:
    gates = """
    - rule: total-exposure@1
      limits: {max: 16_000 USD, max_of_equity: 90%}
      overrides:
        - limits: {max: 20_000 USD}
          scope: {accounts: [main]}
          from: 2026-02-02T08:00:00Z
          until: 2026-02-06T20:00:00Z
          ticket: RISK-1
          reason: a week of more
    - {rule: daily-loss@1, limits: {max_loss: 400 USD, max_loss_ratio: 5%}}
    - {rule: open-orders@1, limits: {max_total: 10}}
    - {rule: order-rate@1, limits: {max_orders: 8/s, max_per_symbol: 4/s}}
    - {rule: order-notional@1, limits: {max: 1_000 USD}}
"""
    whole = linked(tmp_path / "policies", gates)

    part = sliced(whole, 0.25)

    assert [row["max"] for row in limits_of(part, "total-exposure")] == [4_000, 5_000]
    assert [row["max_of_equity"] for row in limits_of(part, "total-exposure")] == [0.9, 0.9]
    assert limits_of(part, "daily-loss")[0]["max_loss"] == 100
    assert limits_of(part, "daily-loss")[0]["max_loss_ratio"] == 0.05
    assert limits_of(part, "open-orders")[0]["max_total"] == 2.5
    rate = {"max_orders": 2, "max_per_symbol": 1, "window": 1.0, "counts": "messages"}
    assert limits_of(part, "order-rate")[0] == rate
    assert limits_of(part, "order-notional")[0]["max"] == 1_000
    assert limits_of(whole, "total-exposure")[0]["max"] == 16_000


def test_a_slice_keeps_the_name_of_its_set_and_the_limits_of_accounts(tmp_path: Path) -> None:
    whole = linked(tmp_path / "policies", FIRM_GATES)

    part = sliced(whole, 0.5)

    assert part.sha256 == whole.sha256
    bound = part.bind("main", "", "", "BTC/USD")
    assert [each.gate.label for each in bound] == [
        each.gate.label for each in whole.bind("main", "", "", "BTC/USD")
    ]
    own = [each.gate for each in bound if each.gate.level == "account"]
    assert own == [each.gate for each in whole.bind("main", "", "", "BTC/USD")][: len(own)]
    assert all(gate in part.gates for gate in (each.gate for each in bound))


@pytest.mark.parametrize(
    ("gates", "why"),
    [
        ("    - {rule: net-exposure@1, limits: {max: 9_000 USD}}", "applies_to: all"),
        ("    - {rule: daily-loss@1, limits: {max_loss: 9 USD}, on_breach: halt}", "halts"),
        ("    - {rule: daily-loss@1, limits: {max_loss: 9 USD, basis: max}}", "basis: equity"),
        ("    - {rule: drawdown@1, limits: {max_drawdown: 150%}}", "above 100 %"),
    ],
)
def test_a_gate_that_no_sum_of_groups_holds_is_refused(
    tmp_path: Path, gates: str, why: str
) -> None:
    with pytest.raises(InputError, match=why) as refused:
        require_sliceable(linked(tmp_path / "policies", gates))
    assert "firm@1.0.0/" in str(refused.value)


@pytest.mark.parametrize(
    ("measure", "limit", "ok"),
    [
        ("book.exposure_after", "params.max", True),
        ("book.equity", "params.max", False),
        ("book.exposure_after * 2", "params.max", False),
        ("book.exposure_after", "params.max + book.equity", False),
        ("order.notional", "params.max", True),
        ("order.notional", "book.day_start_equity", False),
    ],
)
def test_rules_of_the_desk_are_held_to_the_same(
    tmp_path: Path, measure: str, limit: str, ok: bool
) -> None:
    gates = "    - {rule: own-rule@1, limits: {max: 9_000 USD}}"
    found = linked(tmp_path / "policies", gates, MEASURE=measure, LIMIT=limit)
    if ok:
        require_sliceable(found)
        return
    with pytest.raises(InputError, match="measures more than a sum"):
        require_sliceable(found)


@pytest.mark.parametrize(
    ("pairs", "ok"),
    [
        ({}, True),
        ({("A", "B"): 0.9, ("B", "C"): 0.9, ("A", "C"): 0.8}, True),
        ({("A", "B"): 0.9, ("B", "C"): 0.9, ("A", "C"): 0.1}, False),
        ({("A", "B"): 0.9, ("B", "C"): -0.9, ("A", "C"): -0.8}, True),
        ({("A", "B"): 0.9, ("B", "C"): -0.9, ("A", "C"): 0.8}, False),
        ({("A", "B"): 0.9, ("B", "C"): 0.0, ("A", "C"): 0.0}, True),
    ],
)
def test_correlated_exposure_is_split_only_where_moving_together_makes_classes(
    tmp_path: Path, pairs: dict[tuple[str, str], float], ok: bool
) -> None:
    gates = "    - {rule: correlated-exposure@1, limits: {threshold: 0.7, max: 9_000 USD}}"
    found = linked(tmp_path / "policies", gates)
    found.desk.instruments = dict.fromkeys("ABC", found.desk.instruments["BTC/USD"])
    found.desk.correlations = {pair: (rho, 100.0) for pair, rho in pairs.items()}
    if ok:
        require_sliceable(found)
        return
    with pytest.raises(InputError, match="both move with"):
        require_sliceable(found)


def test_the_accounts_gates_may_be_of_any_kind(tmp_path: Path) -> None:
    policy_set = firm_policies(
        tmp_path / "policies",
        more="\n    - {rule: net-exposure@1, limits: {max: 9_000 USD}}\n",
    )
    assert isinstance(policy_set, PolicySet)
    require_sliceable(policy_set.linked)
