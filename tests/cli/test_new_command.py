"""`ringfence new`: a file that is valid at once, in an empty place and in a set that is there."""

import json
import shutil
from pathlib import Path

import jsonschema
import pytest

from ringfence.cli.main import main

pytestmark = pytest.mark.integration

ROOT = Path(__file__).resolve().parents[2]
NEW_FILES = json.loads((ROOT / "schemas" / "new-files.v1.schema.json").read_text(encoding="utf-8"))
CHECKS = (
    ["validate", "policies"],
    ["lint", "policies"],
    ["fmt", "--check", "policies"],
    ["test", "policies"],
    ["prove", "policies"],
)


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def is_green(capsys: pytest.CaptureFixture[str], *left_out: str) -> None:
    for check in CHECKS:
        capsys.readouterr()
        assert check[0] in left_out or main(check) == 0, (check, capsys.readouterr())


@pytest.mark.usefixtures("place")
def test_from_nothing_to_a_set_of_ones_own(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["new", "test", "first"]) == 0
    assert capsys.readouterr().out == (
        "policies/tests/first.yaml\n.ringfence/schemas/policytest.schema.json\n"
    )
    assert main(["test", "policies"]) == 0
    for what, name in (("policy", "desk"), ("test", "desk"), ("rule", "own-limit")):
        assert main(["new", what, name]) == 0
    assert main(["new", "invariant", "sizes"]) == 0

    is_green(capsys)


@pytest.mark.usefixtures("place")
def test_everything_new_fits_into_a_set(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["init"]) == 0
    # One policy after the other binds what the set has not bound; the last one what there is.
    for number in range(6):
        assert main(["new", "policy", f"more-{number}"]) == 0
        assert main(["new", "test", f"more-{number}"]) == 0
    assert main(["new", "rule", "own-limit"]) == 0
    assert main(["new", "invariant", "order-worth"]) == 0

    # Two limits on the value of one order are what `validate` warns of.
    is_green(capsys, "validate", "lint")


@pytest.mark.usefixtures("place")
@pytest.mark.parametrize("name", ["null", "on"])
def test_a_rule_whose_name_means_something_else_in_yaml_is_quoted(name: str) -> None:
    assert main(["new", "policy", "desk"]) == 0
    assert main(["new", "rule", name]) == 0

    for words in (["validate"], ["lint"], ["fmt", "--check"], ["test"]):
        assert main([*words, f"policies/rules/{name}.yaml"]) == 0


def test_it_takes_owner_and_schema_from_what_is_there(place: Path) -> None:
    shutil.copytree(ROOT / "policies", place / "policies")
    (place / "schemas").mkdir()
    for name in ("policy-editor", "policy-test-editor", "rule"):
        shutil.copy(ROOT / "schemas" / f"{name}.v1.schema.json", place / "schemas")
    (place / ".git").mkdir()

    assert main(["new", "policy", "rates"]) == 0
    assert main(["new", "test", "strategy-taker"]) == 0
    assert main(["new", "rule", "own-limit", "--owner", "@firm/risk"]) == 0

    policy = (place / "policies" / "rates.yaml").read_text(encoding="utf-8")
    assert policy.startswith(
        "# yaml-language-server: $schema=../schemas/policy-editor.v1.schema.json\n"
    )
    assert "owner: crypto-desk@example.com" in policy
    assert "currency: USDT" in policy
    test = (place / "policies" / "tests" / "strategy-taker.yaml").read_text(encoding="utf-8")
    assert "strategy: taker" in test
    assert "strategy-taker/total-exposure: pass" in test
    assert "../../schemas/policy-test-editor.v1.schema.json" in test
    assert 'owner: "@firm/risk"' in (place / "policies/rules/own-limit.yaml").read_text("utf-8")
    assert not (place / ".ringfence").exists()
    assert main(["test", "policies/tests", "--policies", "policies"]) == 0


def test_json_says_what_was_written(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (place / "limits").mkdir()
    assert main(["new", "policy", "desk", "--in", "limits", "--json"]) == 0

    said = json.loads(capsys.readouterr().out)
    jsonschema.validate(said, NEW_FILES)
    assert said["created"] == ["limits/desk.yaml", ".ringfence/schemas/policy.schema.json"]
    assert all((place / path).is_file() for path in said["created"])


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["policy", "Desk"], "no name in kebab case"),
        (["policy", "../desk"], "no name in kebab case"),
        (["rule", "spread"], "the library has a rule `spread` already"),
        (["policy", "taken"], "is there already"),
        (["policy", "desk", "--in", ".."], "does not lie in"),
        (["test", "desk", "--in", "polices"], "`polices` does not exist"),
        (["rule", "own-limit", "--in", "policies/taken.yaml"], "is no directory"),
        (["paper", "desk"], "argument kind: invalid choice"),
    ],
)
def test_what_cannot_be_begun_is_refused(
    words: list[str], said: str, place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["new", "policy", "taken"]) == 0
    before = sorted(place.rglob("*"))

    assert main(["new", *words]) == 2

    assert said in capsys.readouterr().err
    assert sorted(place.rglob("*")) == before


@pytest.mark.usefixtures("place")
def test_policies_that_are_not_valid_are_said_first(capsys: pytest.CaptureFixture[str]) -> None:
    Path("policies").mkdir()
    Path("policies/desk.yaml").write_text("a: [\n", encoding="utf-8")

    assert main(["new", "test", "desk"]) == 1
    assert "error[E102]" in capsys.readouterr().err
