"""Small policy sets with tests beside them, for tests of what tests show."""

from pathlib import Path

from ringfence.review.test_runner import CaseResult, run_case
from ringfence.review.testing.coverage import Coverage, coverage_of
from ringfence.review.testing.run import Suite, read_suite

POLICY = """apiVersion: ringfence/v1
kind: Policy
metadata: {{name: {name}, version: 1.0.0, owner: risk@example.com, description: A small desk.}}
spec:
  currency: USD
  {scope}
  gates:
{gates}"""

MANDATORY = """    - rule: kill-switch@1
    - rule: data-quality@1
    - rule: daily-loss@1
    - rule: drawdown@1
    - rule: position-count@1
    - rule: total-exposure@1
    - rule: position-size@1
    - rule: correlated-exposure@1
"""

INSTRUMENTS = """apiVersion: ringfence/v1
kind: Instruments
metadata: {name: venue, version: 1.0.0}
spec:
  accounts: [main, other]
  instruments:
    BTC/USD: {lot_step: "0.1", min_size: "0.1", tick_size: "0.01", multiplier: 1, base: BTC, quote: USD}
    ETH/USD: {lot_step: "1", min_size: "1", tick_size: "0.01", multiplier: 1, base: ETH, quote: USD}
"""

TEST = """apiVersion: ringfence/v1
kind: PolicyTest
metadata: {{name: {name}, version: 1.0.0}}
defaults:
  given:
    clock: 2026-01-05T12:00:00Z
    market:
      BTC/USD: {{bid: 100, ask: 100, last: 100, age: 1s, completeness: 100%}}
      ETH/USD: {{bid: 10, ask: 10, last: 10, age: 1s, completeness: 100%}}
    books:
      account/main: {{currency: USD, equity: 100000, day_start_equity: 100000, peak_equity: 100000, positions: {{}}, working: []}}
      account/other: {{currency: USD, equity: 100000, day_start_equity: 100000, peak_equity: 100000, positions: {{}}, working: []}}
  when: {{account: main, symbol: BTC/USD, side: buy, type: limit, size: "1", price: "100"}}
cases:
{cases}"""


def write_desk(
    folder: Path, gate: str, cases: str, *, scope: str = "", also: str = MANDATORY
) -> Path:
    """Write a policy of the mandatory gates, one of a single gate, instruments, and a test with cases."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, gates, its in (("all", also, ""), ("desk", gate, scope)):
        if gates:
            text = POLICY.format(name=name, gates=gates, scope=f"scope: {its}" if its else "")
            (folder / f"{name}.yaml").write_text(text)
    (folder / "instruments.yaml").write_text(INSTRUMENTS)
    (folder / "tests").mkdir(exist_ok=True)
    (folder / "tests" / "desk.yaml").write_text(TEST.format(name="desk", cases=cases))
    return folder


def ran(folder: Path) -> tuple[Suite, list[CaseResult]]:
    """The suite of a directory, and what came of its cases."""
    suite = read_suite([folder])
    return suite, [run_case(each) for each in suite.cases]


def covered(folder: Path) -> Coverage:
    """What the tests of a directory show."""
    suite, results = ran(folder)
    return coverage_of(results, suite.linked, suite.rules)


def uncovered(folder: Path, group: str = "desk@1.0.0") -> list[str]:
    """What no case shows of the policy `desk` and its gates, without the names of gates."""
    return [each.label for each in covered(folder).uncovered if each.group.startswith(group)]
