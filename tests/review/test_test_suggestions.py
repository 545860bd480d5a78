"""Suggested cases: confirmed, only those that add something, and written as a test that reads well."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from review.small_desks import ran, write_desk
from ringfence.language import schema
from ringfence.language.source import load, load_file
from ringfence.review.layout import format_document
from ringfence.review.testing.cases import cases_of_file
from ringfence.review.testing.coverage import coverage_of
from ringfence.review.testing.document import render_test_document
from ringfence.review.testing.run import read_suite
from ringfence.review.testing.suggestions import suggest

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
