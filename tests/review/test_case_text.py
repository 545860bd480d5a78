"""Cases as YAML: read again they are what was meant, and a file keeps every line that it had."""

import math
from pathlib import Path

import pytest

from ringfence.cli.main import main
from ringfence.errors import InputError, PolicyError
from ringfence.language.schema import check
from ringfence.language.source import load, load_file
from ringfence.review.case_text import TestCase, add_cases, case_yaml

pytestmark = pytest.mark.unit

GIVEN = {
    "clock": "2026-01-05T12:00:00Z",
    "market": {"BTC/USD": {"bid": 50000.0, "last": math.nan, "age": "1s"}, "NO/USD": {}},
    "books": {"account/no": {"equity": 1000000.0, "positions": {"BTC/USD": {"size": "-0.1"}}}},
    "control": {"kill_switch": {"firm": "halted"}},
}
WHEN = {"account": "no", "symbol": "BTC/USD", "side": "buy", "size": "1", "price": "50000"}
CASE = TestCase("the firm's limit: 8 million", GIVEN, WHEN, {"decision": "REJECT"}, "one\ntwo")


def named(name: str) -> TestCase:
    return TestCase(name, GIVEN, WHEN, {"decision": "REJECT"})


def test_a_case_reads_as_it_was_meant(tmp_path: Path) -> None:
    path = tmp_path / "new.yaml"

    assert add_cases(path, [CASE], name="found") == [CASE.name]

    document = load_file(path)
    assert check(document, "PolicyTest") == []
    (case,) = document.data["cases"]
    assert case["name"] == CASE.name
    assert case["when"] == WHEN
    assert case["then"] == {"decision": "REJECT"}
    assert math.isnan(case["given"]["market"]["BTC/USD"].pop("last"))
    assert case["given"]["market"] == {"BTC/USD": {"bid": 50000, "age": "1s"}, "NO/USD": {}}
    assert case["given"]["books"] == GIVEN["books"]
    assert case["given"]["clock"] == GIVEN["clock"]


def test_whole_numbers_are_written_without_a_point_and_comments_stand_with_their_case() -> None:
    text = case_yaml(CASE, 2)

    assert "{bid: 50000, last: .nan, age: 1s}" in text
    assert "equity: 1000000," in text
    assert text.splitlines()[1:3] == ["    # one", "    # two"]


@pytest.mark.parametrize("indent", ["", "  ", "      "])
@pytest.mark.parametrize("end", ["", "\n", "\n# the end\n", "\n\ndefaults: {}\n"])
def test_a_file_keeps_its_lines(tmp_path: Path, indent: str, end: str) -> None:
    text = (
        "# ours\napiVersion: ringfence/v1\nkind: PolicyTest\n"
        "metadata: {name: desk, version: 1.0.0}  # here\ncases:\n"
        f"{indent}- name: first  # as it was\n{indent}  when: {{size: '1'}}\n"
        f"{indent}  then: {{decision: APPROVE}}{end}"
    )
    path = tmp_path / "desk.yaml"
    path.write_text(text, encoding="utf-8")

    assert add_cases(path, [named("first"), named("second"), CASE], name="x") == [
        "second",
        CASE.name,
    ]

    after = path.read_text(encoding="utf-8")
    kept = [line for line in after.splitlines() if line in text.splitlines()]
    assert [line for line in kept if line.strip()] == [
        line for line in text.splitlines() if line.strip()
    ]
    names = [each["name"] for each in load(after, "desk.yaml").data["cases"]]
    assert names == ["first", "second", CASE.name]
    assert add_cases(path, [CASE], name="x") == []
    assert path.read_text(encoding="utf-8") == after


@pytest.mark.parametrize(
    "rest",
    [
        "cases: [{name: a, when: {size: '1'}, then: {decision: APPROVE}}]",
        "defaults: {when: {size: '1'}}\ncases:\n  - {name: a, then: {decision: APPROVE}}",
        "policy: {gates: [{rule: kill-switch@1}]}\ncases:\n  - {name: a, then: {decision: APPROVE}}",
    ],
)
def test_a_file_that_would_change_the_case_is_refused(tmp_path: Path, rest: str) -> None:
    path = tmp_path / "desk.yaml"
    text = (
        "apiVersion: ringfence/v1\nkind: PolicyTest\n"
        f"metadata: {{name: desk, version: 1.0.0}}\n{rest}\n"
    )
    path.write_text(text, encoding="utf-8")

    with pytest.raises(InputError) as caught:
        add_cases(path, [CASE], name="x")

    assert caught.value.fix
    assert path.read_text(encoding="utf-8") == text


def test_a_file_of_another_kind_or_in_no_directory_is_refused(tmp_path: Path) -> None:
    policy = tmp_path / "policy.yaml"
    policy.write_text("apiVersion: ringfence/v1\nkind: Policy\nspec: {}\n", encoding="utf-8")

    with pytest.raises(PolicyError):
        add_cases(policy, [CASE], name="x")
    with pytest.raises(InputError, match="cannot be written"):
        add_cases(tmp_path / "no" / "file.yaml", [CASE], name="x")


def test_what_is_written_can_be_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "new.yaml"
    add_cases(path, [CASE], name="found")
    policies = Path(__file__).resolve().parents[2] / "policies"

    assert main(["test", str(path), "--policies", str(policies)]) == 0
    assert "1 passed" in capsys.readouterr().out
