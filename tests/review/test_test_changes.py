"""`--changed-from`: which cases a change since a Git revision can touch, and which it cannot."""

import shutil
import subprocess
from pathlib import Path

import pytest

from review.small_desks import MANDATORY, TEST, write_desk
from ringfence import _resources
from ringfence.errors import InputError
from ringfence.review.testing.changes import Selection, select_changed
from ringfence.review.testing.run import read_suite

pytestmark = [pytest.mark.unit, pytest.mark.needs("git", "git")]

GATE = "    - {rule: order-notional@1, limits: {max: 1000 USD}}\n"
CASES = """  - {name: bitcoin, then: {decision: APPROVE}}
  - {name: ether, when: {symbol: ETH/USD, price: "10"}, then: {decision: APPROVE}}
"""
OWN = TEST.format(name="own", cases="  - {name: own, then: {decision: APPROVE}}\n").replace(
    "cases:\n", "policy: {gates: [{rule: order-notional@1, limits: {max: 500 USD}}]}\ncases:\n"
)
OWN = OWN.replace(
    "    market:",
    '    instruments: {BTC/USD: {lot_step: "0.1", base: BTC, quote: USD}}\n    market:',
)
UNTOUCHED = "nothing that changed binds their orders"
SAME = "neither the file nor what it tests changed"


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A repository with a policy of all symbols and one of bitcoin alone, committed."""
    folder = write_desk(tmp_path / "policies", GATE, CASES, scope="{symbols: [BTC/USD]}")
    (folder / "tests" / "own.yaml").write_text(OWN)
    monkeypatch.chdir(tmp_path)
    git("init", "-q", "-b", "main")
    commit()
    return folder


def git(*words: str) -> None:
    author = ["-c", "user.name=a", "-c", "user.email=a@example.com"]
    subprocess.run(["git", *author, *words], check=True)


def commit() -> None:
    git("add", ".")
    git("commit", "-q", "-m", ".")


def edit(file: Path, before: str, after: str) -> None:
    text = file.read_text()
    assert before in text
    file.write_text(text.replace(before, after))


def chosen(*paths: str) -> Selection:
    where = [Path(each) for each in paths or ("policies",)]
    return select_changed(read_suite(where), "main", where)


def names(selection: Selection) -> list[str]:
    return [each.name for each in selection.cases]


def reasons(selection: Selection) -> list[tuple[str, int, str]]:
    return [(each.path, each.cases, each.why) for each in selection.left_out]


@pytest.mark.usefixtures("desk")
def test_without_a_change_everything_is_left_out() -> None:
    found = chosen()

    assert names(found) == []
    assert reasons(found) == [
        ("policies/tests/desk.yaml", 2, SAME),
        ("policies/tests/own.yaml", 1, SAME),
    ]
    assert found.changes == ()


def test_comments_and_layout_are_no_change(desk: Path) -> None:
    edit(desk / "desk.yaml", "  gates:\n", "  # looked at\n  gates:\n\n")

    assert names(chosen()) == []


def test_a_changed_policy_touches_the_cases_whose_orders_it_binds(desk: Path) -> None:
    edit(desk / "desk.yaml", "1000 USD", "900 USD")

    found = chosen()
    assert names(found) == ["bitcoin"]
    assert reasons(found) == [
        ("policies/tests/desk.yaml", 1, UNTOUCHED),
        ("policies/tests/own.yaml", 1, SAME),
    ]
    assert found.changes == ("policies/desk.yaml",)


def test_orders_that_a_policy_bound_before_are_touched_too(desk: Path) -> None:
    edit(desk / "desk.yaml", "symbols: [BTC/USD]", "symbols: [ETH/USD]")

    assert names(chosen()) == ["bitcoin", "ether"]


def test_a_policy_that_goes_touches_what_it_bound(desk: Path) -> None:
    (desk / "desk.yaml").unlink()

    assert names(chosen()) == ["bitcoin"]


def test_a_policy_that_comes_touches_what_it_binds(desk: Path) -> None:
    new = (desk / "desk.yaml").read_text().replace("name: desk", "name: new")
    (desk / "new.yaml").write_text(new.replace("BTC/USD", "ETH/USD"))

    assert names(chosen()) == ["ether"]


def test_a_changed_test_file_is_run_whole(desk: Path) -> None:
    edit(desk / "tests" / "own.yaml", "name: own,", "name: mine,")

    assert names(chosen()) == ["mine"]


@pytest.mark.parametrize(
    ("file", "before", "after"),
    [
        ("instruments.yaml", '"0.1", tick_size', '"0.01", tick_size'),
        ("all.yaml", "currency: USD", "currency: EUR"),
    ],
)
def test_instruments_and_another_currency_touch_every_case_of_the_set(
    file: str, before: str, after: str, desk: Path
) -> None:
    if after.endswith("EUR"):
        for name in ("all.yaml", "desk.yaml"):
            edit(desk / name, "USD", "EUR")
        edit(desk / "instruments.yaml", "base: BTC, quote: USD", "base: BTC, quote: EUR")
    else:
        edit(desk / file, before, after)

    assert "ether" in names(chosen())
    assert "own" not in names(chosen())


def test_where_the_set_did_not_link_before_every_case_of_it_is_run(desk: Path) -> None:
    good = (desk / "desk.yaml").read_text()
    (desk / "desk.yaml").write_text(good.replace("order-notional@1", "order-notinal@1"))
    commit()
    (desk / "desk.yaml").write_text(good)

    assert names(chosen()) == ["bitcoin", "ether"]


def test_a_file_that_could_not_be_read_before_touches_every_case_of_the_set(desk: Path) -> None:
    good = (desk / "desk.yaml").read_text()
    (desk / "desk.yaml").write_text("\tno: yaml\n")
    commit()
    (desk / "desk.yaml").write_text(good)

    assert names(chosen()) == ["bitcoin", "ether"]


@pytest.mark.usefixtures("desk")
def test_a_changed_rule_touches_its_own_cases_and_the_gates_that_use_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    rules = Path("rules")
    shutil.copytree(str(_resources.bundled("rules")), rules)
    monkeypatch.setenv("RINGFENCE_RULES_PATH", str(rules.resolve()))
    commit()
    edit(rules / "order-notional.yaml", "explain: The order", "explain: This order")

    found = chosen("policies", "rules")
    assert {each.span.path for each in found.cases if each.rule} == {"rules/order-notional.yaml"}
    assert [each.name for each in found.cases if not each.rule] == ["bitcoin", "own"]
    left = {each.path: each.why for each in found.left_out}
    assert left["rules/drawdown.yaml"] == "the rule did not change"


@pytest.mark.usefixtures("desk")
def test_a_set_that_is_new_is_run_whole() -> None:
    new = write_desk(Path("other"), GATE, CASES, also=MANDATORY)

    assert len(chosen(str(new)).cases) == 2


def test_policies_beside_the_tests_are_looked_at(desk: Path) -> None:
    edit(desk / "desk.yaml", "1000 USD", "900 USD")
    tests = [desk.relative_to(Path.cwd()) / "tests" / "desk.yaml"]
    policies = Path("policies")

    found = select_changed(read_suite(tests, policies), "main", tests, policies)
    assert names(found) == ["bitcoin"]


def test_a_revision_that_is_none_is_said(desk: Path) -> None:
    with pytest.raises(InputError, match="`nothing` is no revision"):
        select_changed(read_suite([desk]), "nothing", [Path("policies")])
