"""Values that cannot be meant."""

import pytest

from review.mistakes.mistaken_sets import DESK, WEEK, codes, notional, override, policy
from ringfence.language.linking import link
from ringfence.language.source import load
from ringfence.review.mistakes import Context, find_mistakes

pytestmark = pytest.mark.unit


@pytest.mark.parametrize(
    ("gate", "found"),
    [
        ("{rule: drawdown@1, limits: {max_drawdown: 10%}}", []),
        ("{rule: drawdown@1, limits: {max_drawdown: 0.1%}}", ["E423"]),
        ("{rule: drawdown@1, limits: {max_drawdown: 0.1 %}}", ["E423"]),
        ("{rule: drawdown@1, limits: {max_drawdown: 10 bps}}", []),
        ("{rule: drawdown@1, limits: {max_drawdown: 0.1}}", []),
        ("{rule: drawdown@1, limits: {max_drawdown: 0.5%}}", []),
        ("{rule: drawdown@1, limits: {max_drawdown: 2%}}", []),
        ("{rule: daily-loss@1, limits: {max_loss_ratio: 0.03%}}", ["E423"]),
        ("{rule: daily-loss@1, limits: {max_loss_ratio: 0.5%}}", []),
        ("{rule: price-collar@1, limits: {max_deviation: 0.5%}}", []),
        ("{rule: spread@1, limits: {max_spread: 0.05%}}", []),
        ("{rule: correlated-exposure@1, limits: {threshold: 0.7%, max_of_equity: 30%}}", ["E423"]),
        ("{rule: drawdown@1, limits: {max_drawdown: 99.9%}}", []),
        ("{rule: drawdown@1, limits: {max_drawdown: 100%}}", ["E434"]),
        ("{rule: daily-loss@1, limits: {max_loss_ratio: 300%}}", ["E434"]),
        ("{rule: spread@1, limits: {max_spread: 200%}}", ["E433"]),
        ("{rule: spread@1, limits: {max_spread: 199%}}", []),
        ("{rule: data-quality@1, limits: {min_completeness: 0%}}", ["E433"]),
        ("{rule: data-quality@1, limits: {min_completeness: 100%}}", []),
        ("{rule: total-exposure@1, limits: {max: 0 USD}}", ["E424w"]),
        ("{rule: total-exposure@1, limits: {max_of_equity: 0%}}", ["E424w"]),
        ("{rule: position-count@1, limits: {max_positions: 0}}", ["E424w"]),
        ("{rule: order-rate@1, limits: {max_orders: 0, window: 1s}}", ["E424w"]),
        ("{rule: daily-loss@1, limits: {max_loss: 0 USD}}", []),
        ("{rule: price-collar@1, limits: {max_deviation: 0%}}", []),
        ("{rule: order-notional@1}", ["E424w"]),
        ("{rule: open-orders@1}", ["E424w"]),
        ("{rule: kill-switch@1}", []),
        ("{rule: venue-rules@1}", []),
        ("{rule: leverage@1, limits: {max_leverage: 3x}}", []),
    ],
)
def test_values_that_cannot_be_meant(gate: str, found: list[str]) -> None:
    assert codes(policy(f"    - {gate}\n")) == found


def test_a_freeze_that_gives_its_reason_is_meant() -> None:
    frozen = f"{WEEK}; ticket: R-1"

    assert codes(override(frozen, "0 USD")) == ["E424w"]
    assert codes(override(f"{frozen}; reason: under investigation", "0 USD")) == []


BAND = """\
apiVersion: ringfence/v1
kind: Rule
metadata: {name: band, version: 1.0.0, title: band, description: A rule., source: [own]}
spec:
  parameters:
    least: {type: money, limit: true, description: Least.}
    most: {type: money, limit: true, description: Most.}
  checks:
    - {name: least, measure: order.notional, compare: ">=", limit: params.least, explain: Too little.}
    - {name: most, measure: order.notional, limit: params.most, explain: Too much.}
  docs: A band.
"""


def test_a_floor_above_a_ceiling_of_one_measure_is_found_whatever_they_are_called() -> None:
    def bound(least: str, most: str) -> str:
        return policy(f"    - {{rule: band@1, limits: {{least: {least}, most: {most}}}}}\n")

    assert codes(BAND, bound("100 USD", "200 USD")) == []
    assert codes(BAND, bound("200 USD", "200 USD")) == []
    assert codes(BAND, bound("200 USD", "100 USD")) == ["E422"]
    assert codes(BAND, bound("160 EUR", "190 USD")) == ["E422"]


@pytest.mark.parametrize(
    ("sizes", "found"),
    [
        ('min_size: "1", max_size: "1"', []),
        ('min_size: "2", max_size: "1"', ["E422"]),
        ('min_size: "0.1", max_size: "0.05"', ["E422"]),
    ],
)
def test_an_instrument_that_no_size_fits(sizes: str, found: list[str]) -> None:
    desk = DESK.replace('min_size: "0.1"', sizes, 1).replace("name: venue", "name: other")
    documents = [load(desk, "desk.yaml"), load(notional("1e6 USD"), "policy.yaml")]

    mistakes = find_mistakes(Context(link(documents, check_mandatory=False), 0))

    assert [each.code for each in mistakes] == found
