"""Suggested cases: confirmed, only those that add something, and written as a test that reads well."""

import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from review.small_desks import ran, write_desk
from ringfence.language import schema
from ringfence.language.source import load, load_file
from ringfence.review import boundaries
from ringfence.review.layout import format_document
from ringfence.review.testing.cases import cases_of_file
from ringfence.review.testing.coverage import coverage_of
from ringfence.review.testing.document import render_test_document
from ringfence.review.testing.run import read_suite
from ringfence.review.testing.search import search
from ringfence.review.testing.suggestions import states_of, suggest

pytestmark = pytest.mark.unit

ROOT = Path(__file__).parents[2]
GATE = "    - {rule: order-notional@1, limits: {max: 100 USD}}\n"
WITHIN = '  - {name: within, when: {size: "0.5"}, then: {decision: APPROVE}}\n'


@dataclass(frozen=True)
class Proposal:
    name: str
    size: str
    then: Mapping[str, Any]
    given: Mapping[str, Any] = field(default_factory=dict)

    @property
    def when(self) -> Mapping[str, Any]:
        order = {"account": "main", "symbol": "BTC/USD", "side": "buy", "type": "limit"}
        return {**order, "size": self.size, "price": "100"}


def given(folder: Path) -> Mapping[str, Any]:
    """The state that the tests of a small desk start from."""
    data = load_file(folder / "tests" / "desk.yaml").data
    return dict(data["defaults"]["given"])


def test_what_is_confirmed_and_adds_something_is_kept(tmp_path: Path) -> None:
    desk = write_desk(tmp_path, GATE, WITHIN)
    suite, results = ran(desk)
    assert suite.linked is not None
    state = given(desk)
    proposals = [
        Proposal("at the limit", "1", {"decision": "APPROVE"}, state),
        Proposal("at the limit, again", "1", {"decision": "APPROVE"}, state),
        Proposal("at the limit", "0.9", {"decision": "APPROVE"}, state),
        Proposal("mistaken", "1.1", {"decision": "APPROVE"}, state),
        Proposal("seen already", "0.5", {"decision": "APPROVE"}, state),
    ]
    asked: list[str] = []

    def propose(_linked: object, gate: Any, _row: object) -> list[Proposal]:
        asked.append(gate.label)
        return proposals if gate.policy.name == "desk" else []

    found = suggest(suite.linked, results, propose)

    assert [(each.name, each.when["size"]) for each in found.cases] == [
        ("at the limit", "1"),
        ("at the limit (2)", "0.9"),
    ]
    assert found.doubted == 1
    left = [each.label for each in found.uncovered if each.group.startswith("desk")]
    assert left == ["breaching", "`max: 100 USD` deciding", "`max: 100 USD`, one step outside"]
    assert "desk@1.0.0/order-notional" in asked


def test_a_gate_that_is_seen_whole_is_not_asked_for(tmp_path: Path) -> None:
    cases = "".join(
        f'  - {{name: of {size}, when: {{size: "{size}"}}, then: {{decision: {decision}}}}}\n'
        for size, decision in (("0.9", "APPROVE"), ("1", "APPROVE"), ("1.1", "REJECT"))
    )
    suite, results = ran(write_desk(tmp_path, GATE, cases))
    assert suite.linked is not None
    asked: list[str] = []

    def propose(_linked: object, gate: Any, _row: object) -> list[Proposal]:
        asked.append(gate.policy.name)
        return []

    suggest(suite.linked, results, propose)
    assert "all" in asked
    assert "desk" not in asked


def test_written_cases_show_what_they_did(tmp_path: Path) -> None:
    desk = write_desk(tmp_path, GATE, WITHIN)
    suite, results = ran(desk)
    assert suite.linked is not None
    proposals = [
        Proposal("at the limit", "1", {"decision": "APPROVE"}, given(desk)),
        Proposal("beyond", "1.1", {"decision": "REJECT", "code": "ORDER_NOTIONAL"}, given(desk)),
    ]
    found = suggest(
        suite.linked, results, lambda _, gate, __: proposals if gate.policy.name == "desk" else []
    )
    before = coverage_of(results, suite.linked, ())
    (desk / "tests" / "more.yaml").write_text(
        render_test_document("more", "Suggested.", found.cases)
    )

    again, ran_again = ran(desk)
    assert coverage_of(ran_again, again.linked, ()).covered == before.covered + 4
    text = (desk / "tests" / "more.yaml").read_text()
    assert text.splitlines()[-6:] == [
        "cases:",
        "  - name: at the limit",
        "    then: {decision: APPROVE}",
        "  - name: beyond",
        '    when: {size: "1.1"}',
        "    then: {decision: REJECT, code: ORDER_NOTIONAL}",
    ]


def test_the_shipped_desk_needs_no_more_than_what_is_suggested_at_its_limits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("desk", "firm", "strategy-taker", "instruments", "tests/desk"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        shutil.copy(ROOT / "policies" / f"{name}.yaml", tmp_path / f"{name}.yaml")
    suite, results = ran(tmp_path)
    assert suite.linked is not None
    # The search alone: what it finds needs no solver.
    monkeypatch.setattr(boundaries, "boundary_cases", lambda *_: [])

    found = suggest(suite.linked, results)
    (tmp_path / "tests" / "more.yaml").write_text(
        render_test_document("more", "More.", found.cases)
    )

    again, ran_again = ran(tmp_path)
    assert [each.problems for each in ran_again if not each.passed] == []
    left = coverage_of(ran_again, again.linked, ()).uncovered
    assert {each.kind for each in left} == {"scope"}
    assert found.doubted == 0
    names = [each.name for each in found.cases]
    assert "desk/daily-loss exactly at max_loss 200_000 USDT" in names
    assert len(set(names)) == len(names)


OVERRIDE = """    - rule: order-notional@1
      limits: {max: 100 USD}
      overrides:
        - {limits: {max: 200 USD}, until: 2026-01-01T00:00:00Z, ticket: RISK-1}
        - {limits: {max: 300 USD}, from: 2027-01-01T00:00:00Z, ticket: RISK-2}
"""


@pytest.mark.parametrize(
    "gate",
    [
        OVERRIDE,
        "    - {rule: order-rate@1, limits: {max_orders: 3/s}}\n",
        "    - {rule: open-orders@1, limits: {max_per_symbol: 2, max_total: 5}}\n",
        "    - {rule: depth@1, limits: {max_share: 10%}}\n",
        "    - {rule: spread@1, limits: {max_spread: 2%}}\n",
        "    - {rule: leverage@1, limits: {max_leverage: 2x}}\n",
        "    - {rule: net-exposure@1, limits: {max: 1_000 USD, max_of_equity: 5%}}\n",
    ],
)
def test_limits_of_all_kinds_are_found_by_search(gate: str, tmp_path: Path) -> None:
    desk = write_desk(tmp_path, gate, WITHIN)
    if "depth" in gate:
        test = desk / "tests" / "desk.yaml"
        test.write_text(test.read_text().replace("age: 1s,", "age: 1s, depth: 1000,", 1))
    suite, results = ran(desk)
    assert suite.linked is not None
    assert [each.problems for each in results if not each.passed] == []
    states = states_of(results)

    found = suggest(
        suite.linked,
        results,
        lambda linked, gate, row: (
            search(linked, gate, row, states) if gate.policy.name == "desk" else []
        ),
    )

    left = [each.label for each in found.uncovered if each.group.startswith("desk")]
    assert [each for each in left if "override" not in each or "one step" in each] == []


def test_the_solver_is_asked_for_what_no_search_finds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk = write_desk(
        tmp_path,
        "    - {rule: instrument-permission@1, limits: {allow: [BTC/USD]}}\n" + GATE,
        WITHIN,
    )
    suite, results = ran(desk)
    assert suite.linked is not None
    ether = {"account": "main", "symbol": "ETH/USD", "side": "buy", "type": "limit", "size": "1"}
    asked: list[str] = []

    @dataclass(frozen=True)
    class Solved:
        name: str
        given: Mapping[str, Any]
        when: Mapping[str, Any]
        then: Mapping[str, Any]

    def solve(_linked: object, gate: Any, _row: object) -> list[Solved]:
        asked.append(gate.name)
        then = {"decision": "REJECT", "code": "INSTRUMENT_PERMISSION"}
        return [Solved("ether", given(desk), {**ether, "price": "10"}, then)]

    monkeypatch.setattr(boundaries, "boundary_cases", solve)
    found = suggest(suite.linked, results)

    assert "instrument-permission" in asked
    assert "order-notional" not in asked
    assert "ether" in [each.name for each in found.cases]


@pytest.mark.parametrize("name", sorted(each.name for each in (ROOT / "policies/tests").iterdir()))
def test_the_shipped_tests_say_the_same_when_they_are_written_anew(name: str) -> None:
    suite = read_suite([ROOT / "policies"])
    cases = [each for each in suite.cases if Path(each.span.path).name == name]

    text = render_test_document("anew", "Written anew.", cases)

    document = load(text, "anew.yaml")
    assert schema.check(document, "PolicyTest") == []
    assert format_document(document) == text
    again = cases_of_file(document, cases[0].linked)
    assert [(each.name, each.given, each.when, each.expected) for each in again] == [
        (each.name, each.given, each.when, each.expected) for each in cases
    ]
