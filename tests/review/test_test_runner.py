"""Policy tests: what a case asks of the policy in its own file."""

from pathlib import Path

import pytest

from ringfence.language.source import load_file
from ringfence.review.test_runner import BACKENDS, run_file

pytestmark = pytest.mark.unit

FILE = """
apiVersion: ringfence/v1
kind: PolicyTest
metadata: {name: switch, version: 1.0.0}
defaults:
  given:
    clock: 2026-01-05T12:00:00Z
    instruments:
      BTC/USD: {lot_step: "0.0001", tick_size: "0.1", base: BTC, quote: USD}
    market:
      BTC/USD: {bid: 50000, ask: 50000, last: 50000, age: 1s, completeness: 100%}
    books:
      account/main: {currency: USD, equity: 100000, positions: {}, working: []}
  when: {account: main, symbol: BTC/USD, side: buy, type: limit, size: "1", price: "50000"}
policy:
  gates:
    - {rule: total-exposure@1, limits: {max: 100_000 USD}}
cases:
  - name: no switch
    then: {decision: APPROVE, gates: {total-exposure: pass}}
  - name: the firm is halted
    given: {control: {kill_switch: {firm: halted}}}
    then: {decision: REJECT, code: KILL_SWITCH, gates: {kill-switch: breach, total-exposure: pass}}
"""


def test_a_case_that_throws_a_kill_switch_meets_that_gate_in_any_policy(tmp_path: Path) -> None:
    (tmp_path / "switch.yaml").write_text(FILE)

    results = run_file(load_file(tmp_path / "switch.yaml"), None, tuple(BACKENDS))

    assert [each.problems for each in results] == [[], []]
    decisions = [each.decision for each in results]
    assert [[gate.gate for gate in each.gates] for each in decisions if each] == [
        ["total-exposure"],
        ["total-exposure", "kill-switch"],
    ]


@pytest.mark.parametrize(
    ("name", "meant"),
    [("total-exposre", "total-exposure"), ("test@1.0.0/total-exposure", "test/total-exposure")],
)
def test_a_gate_that_does_not_bind_is_told_with_the_one_that_was_meant(
    tmp_path: Path, name: str, meant: str
) -> None:
    text = FILE.replace(
        "{total-exposure: pass}}\n  - name: the firm", f"{{{name}: pass}}}}\n  - name: the firm"
    )
    (tmp_path / "switch.yaml").write_text(text)

    failed, _ = run_file(load_file(tmp_path / "switch.yaml"), None)
    assert failed.problems == [
        f"expected gate {name}: pass, but no such gate binds the order, did you mean `{meant}`?"
    ]
