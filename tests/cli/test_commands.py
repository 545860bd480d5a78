"""The commands as a user meets them: what they print, where, and with which exit code."""

import json
from pathlib import Path

import pytest

from ringfence.cli.main import main

pytestmark = pytest.mark.smoke

ROOT = Path(__file__).resolve().parents[2]
POLICIES = str(ROOT / "policies")


def test_the_shipped_policies_are_valid(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["validate", POLICIES]) == 0
    assert "valid" in capsys.readouterr().out


def test_findings_are_shown_with_their_place_and_exit_code_one(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    policy = tmp_path / "desk.yaml"
    policy.write_text("apiVersion: ringfence/v1\nkind: Policy\nspec: {gates: [{rule: no@1}]}\n")

    assert main(["validate", str(tmp_path)]) == 1
    assert "desk.yaml:1:1: error[E152]" in capsys.readouterr().err
    assert main(["validate", str(tmp_path), "--json"]) == 1
    assert json.loads(capsys.readouterr().out)["valid"] is False
    assert main(["validate", str(tmp_path), "--format", "github"]) == 1
    assert capsys.readouterr().out.startswith("::error file=")


@pytest.mark.parametrize(
    "arguments",
    [
        ["validate", "/no/such/place"],
        ["test", "/no/such/place"],
        ["rules", "no-such-rule"],
        ["effective", "--account", "a", "--symbol", "b", "--policies", POLICIES, "--at", "soon"],
        ["no-such-command"],
        ["validate"],
    ],
)
def test_bad_usage_is_one_line_and_exit_code_two(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments) == 2
    shown = capsys.readouterr()
    assert "Traceback" not in shown.err + shown.out
    assert shown.err


def test_shipped_policy_tests_pass(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["test", f"{POLICIES}/tests", "--policies", POLICIES]) == 0
    assert " passed, 0 failed" in capsys.readouterr().out


def test_a_failing_case_prints_given_expected_and_got(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    test = tmp_path / "test.yaml"
    test.write_text(
        "apiVersion: ringfence/v1\nkind: PolicyTest\nmetadata: {name: lone, version: 1.0.0}\n"
        "policy: {gates: [{rule: kill-switch@1}]}\n"
        "cases:\n"
        "  - name: no such instrument\n"
        "    when: {account: a, symbol: X/Y, side: buy, type: limit, size: 1, price: 1}\n"
        "    then: {decision: APPROVE}\n"
    )

    assert main(["test", str(test)]) == 1
    shown = capsys.readouterr().out
    assert "expected APPROVE, got REJECT (UNKNOWN_INSTRUMENT" in shown
    assert "given:" in shown
    assert "0 passed, 1 failed" in shown
    assert main(["test", str(test), "--json"]) == 1
    assert json.loads(capsys.readouterr().out)["failed"] == 1


def test_effective_names_file_and_line(capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["effective", "--account", "alpha", "--symbol", "BTC/USDT", "--policies", POLICIES]

    assert main(arguments) == 0
    shown = capsys.readouterr().out
    assert "total-exposure" in shown
    assert ".yaml:" in shown
    assert "no two enforced limits are of one kind" in shown
    assert main([*arguments, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["limits"]


EFFECTIVE = """\
apiVersion: ringfence/v1
kind: Policy
metadata: {name: desk, version: 1.0.0, owner: risk, description: test}
spec:
  gates:
    - {rule: kill-switch@1}
    - {rule: data-quality@1}
    - {rule: daily-loss@1, limits: {max_loss_ratio: 1.23456789%}}
    - {rule: drawdown@1}
    - {rule: position-count@1, limits: {max_positions: 1234567}}
    - {rule: total-exposure@1, limits: {max: 100_000 USD}}
    - {rule: position-size@1, limits: {max: 50_000 USD}}
    - {rule: position-size@1, name: closer, mode: shadow, limits: {max: 1_000 USD}}
    - {rule: correlated-exposure@1}
    - {rule: order-rate@1, limits: {max_orders: 10/s}}
    - {rule: leverage@1, limits: {max_leverage: 2.5x}}
    - {rule: instrument-permission@1, limits: {allow: ["BTC/*", "ETH/*"], deny: ["*/EUR"]}}
"""


def test_effective_shows_each_number_whole_and_what_else_a_gate_looks_at(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    desk = tmp_path / "desk.yaml"
    desk.write_text(EFFECTIVE, encoding="utf-8")
    arguments = ["effective", "--account", "a", "--symbol", "BTC/USD", "--policies", str(desk)]

    assert main([*arguments, "--json"]) == 0
    shown = json.loads(capsys.readouterr().out)
    found = {(each["gate"], each["parameter"]): each for each in shown["limits"]}

    assert {key: found[key]["value"] for key in found if key[0] in ("order-rate", "leverage")} == {
        ("order-rate", "max_orders"): "10",
        ("order-rate", "window"): "1s",
        ("leverage", "max_leverage"): "2.5x",
    }
    assert found["daily-loss", "max_loss_ratio"]["value"] == "1.23456789%"
    assert found["position-count", "max_positions"]["value"] == "1234567"
    assert found["instrument-permission", "allow"]["value"] == "BTC/*, ETH/*"
    # What only records binds nothing.
    assert found["position-size", "max"]["tightest"]
    assert not found["closer", "max"]["tightest"]
    assert (shown["missing"], shown["other_policies"]) == ([], [])


def test_effective_calls_no_limit_tighter_than_one_of_another_measure(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    desk = tmp_path / "desk.yaml"
    more = """\
    - {rule: order-rate@1, name: slow, limits: {max_orders: 50/min}}
    - {rule: order-rate@1, name: slower, limits: {max_orders: 40/min}}
    - {rule: price-collar@1, name: mid, limits: {max_deviation: 2%, reference: mid}}
    - {rule: price-collar@1, name: last, limits: {max_deviation: 1%, reference: last}}
"""
    desk.write_text(EFFECTIVE + more, encoding="utf-8")
    arguments = ["effective", "--account", "a", "--symbol", "BTC/USD", "--policies", str(desk)]

    assert main([*arguments, "--json"]) == 0
    tightest = {
        each["gate"]: each["tightest"]
        for each in json.loads(capsys.readouterr().out)["limits"]
        if each["parameter"] in ("max_orders", "max_deviation")
    }

    # Neither window holds the other: 40 in a minute may all fall into one second.
    assert tightest == {
        "order-rate": True,
        "slow": False,
        "slower": True,
        "mid": True,
        "last": True,
    }


def test_effective_marks_the_tightest_only_where_several_are_of_one_kind(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    desk = tmp_path / "desk.yaml"
    more = (
        "    - {rule: position-size@1, name: wider, limits: {max: 60_000 USD, max_of_equity: 9%}}\n"
    )
    desk.write_text(EFFECTIVE + more, encoding="utf-8")

    assert (
        main(["effective", "--account", "a", "--symbol", "BTC/USD", "--policies", str(desk)]) == 0
    )

    shown = capsys.readouterr().out
    marked = [line.split()[0] for line in shown.splitlines() if "tightest" in line]
    assert marked == ["position-size"]
    assert "  (tightest of 2)" in shown
    assert "of one kind" not in shown


def test_effective_says_where_no_order_would_pass_and_what_binds_others(
    capsys: pytest.CaptureFixture[str],
) -> None:
    arguments = ["effective", "--symbol", "BTC/USDT", "--policies", POLICIES, "--account"]

    assert main([*arguments, "nobody"]) == 0
    assert "every order is rejected, for no enforced gate is there of: data-quality" in (
        capsys.readouterr().out
    )
    assert main([*arguments, "alpha"]) == 0
    shown = capsys.readouterr().out
    assert "rejected" not in shown
    assert "also bound by: strategy-taker@" in shown
    assert main([*arguments, "alpha", "--strategy", "taker"]) == 0
    assert "also bound" not in capsys.readouterr().out


@pytest.mark.parametrize("form", [[], ["--json"]])
def test_effective_ends_with_1_where_nothing_binds(form: list[str], tmp_path: Path) -> None:
    (tmp_path / "desk.yaml").write_text(
        "apiVersion: ringfence/v1\nkind: Policy\n"
        "metadata: {name: desk, version: 1.0.0, owner: risk, description: A desk.}\n"
        "spec: {scope: {accounts: [main]}, gates: [{rule: kill-switch@1}, {rule: data-quality@1}, "
        "{rule: daily-loss@1}, {rule: drawdown@1}, {rule: position-count@1}, {rule: total-exposure@1}, "
        "{rule: position-size@1}, {rule: correlated-exposure@1}]}\n"
    )
    arguments = ["effective", "--symbol", "A", "--policies", str(tmp_path), *form, "--account"]

    assert main([*arguments, "nobody"]) == 1
    assert main([*arguments, "main"]) == 0


def test_effective_says_that_nobody_knows_the_symbol(capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["effective", "--account", "alpha", "--policies", POLICIES, "--symbol"]

    assert main([*arguments, "BTC-USDT"]) == 0
    assert (
        "every order is rejected, for `BTC-USDT` is no known instrument, did you mean `BTC/USDT`?"
        in capsys.readouterr().out
    )


RAISE = """\
      limits: {max: 4_000_000 USDT, max_of_equity: 95%}
      overrides:
        - limits: {max: 4_500_000 USDT}
          from: 2026-02-02T08:00:00Z
          until: 2026-02-06T20:00:00Z
          ticket: RISK-142
"""


def test_an_override_is_named_only_where_it_changes_the_limit(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = (ROOT / "policies" / "desk.yaml").read_text(encoding="utf-8")
    desk = tmp_path / "desk.yaml"
    desk.write_text(text.replace(f"{RAISE.splitlines()[0]}\n", RAISE), encoding="utf-8")
    arguments = ["effective", "--account", "alpha", "--symbol", "BTC/USDT", "--policies", str(desk)]

    assert main([*arguments, "--at", "2026-02-03T12:00:00Z", "--json"]) == 0
    limits = {
        each["parameter"]: each
        for each in json.loads(capsys.readouterr().out)["limits"]
        if (each["gate"], each["level"]) == ("total-exposure", "account")
    }

    assert (limits["max"]["override"], limits["max"]["ticket"]) == (True, "RISK-142")
    assert (limits["max_of_equity"]["override"], limits["max_of_equity"]["ticket"]) == (False, "")


def test_the_policy_inside_a_test_is_validated_too(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "test.yaml").write_text(
        "apiVersion: ringfence/v1\nkind: PolicyTest\nmetadata: {name: lone, version: 1.0.0}\n"
        "policy: {gates: [{rule: kill-swich@1}]}\n"
        "cases: [{name: any, then: {decision: REJECT}}]\n"
    )

    assert main(["validate", str(tmp_path)]) == 1
    assert "test.yaml:4:25: error[E214]" in capsys.readouterr().err


def test_cases_run_against_the_rule_in_the_file_and_not_the_librarys(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = (ROOT / "rules" / "order-notional.yaml").read_text(encoding="utf-8")
    copy = tmp_path / "order-notional.yaml"
    copy.write_text(text.replace("limit: params.max\n", "limit: params.max * 2\n"))

    assert main(["test", str(copy)]) == 1
    assert "a cent above the limit" in capsys.readouterr().out
