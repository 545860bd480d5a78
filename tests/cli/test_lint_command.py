"""`ringfence lint`: its exit codes, its forms, and what `--fix` writes."""

import json
from pathlib import Path

import jsonschema
import pytest

from ringfence.cli.main import main

pytestmark = pytest.mark.unit

ROOT = Path(__file__).resolve().parents[2]
SCHEMA = json.loads((ROOT / "schemas" / "findings.v1.schema.json").read_text(encoding="utf-8"))
POLICY = """\
# yaml-language-server: $schema=https://example.com/policy.json
apiVersion: ringfence/v1
kind: Policy
metadata: {name: desk, version: 1.0.0, owner: risk@example.com, description: What the desk may do.}
spec:
  currency: USD
  gates:
    - rule: order-notional@1
      limits: {max: 200000 USD}
"""
TEST = """\
# yaml-language-server: $schema=https://example.com/policy-test.json
apiVersion: ringfence/v1
kind: PolicyTest
metadata: {name: desk, version: 1.0.0}
cases:
  - name: too large
    then: {decision: REJECT, gates: {order-notional: breach}}
"""


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "policies" / "tests").mkdir(parents=True)
    (tmp_path / "policies" / "desk.yaml").write_text(POLICY, encoding="utf-8")
    (tmp_path / "policies" / "tests" / "desk.yaml").write_text(TEST, encoding="utf-8")
    return tmp_path / "policies"


@pytest.mark.usefixtures("desk")
def test_a_finding_of_taste_is_a_warning_and_ends_with_one(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["lint", "policies"]) == 1
    assert "warning[E456]" in capsys.readouterr().err

    assert main(["lint", "policies", "--json"]) == 1
    said = json.loads(capsys.readouterr().out)
    jsonschema.validate(said, SCHEMA)
    assert (said["valid"], said["written"]) == (False, False)

    assert main(["lint", "policies", "--strict", "--format", "github"]) == 1
    assert capsys.readouterr().out.startswith("::error file=policies/desk.yaml,line=9")


def test_fix_spells_anew_and_nothing_is_left_to_say(
    desk: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["lint", "policies", "--fix"]) == 0

    assert capsys.readouterr().out == (
        "policies/desk.yaml: spelled anew\n2 documents: nothing to say\n"
    )
    written = (desk / "desk.yaml").read_text(encoding="utf-8")
    assert written == POLICY.replace("200000", "200_000")
    assert main(["lint", "policies"]) == 0


def test_fix_writes_through_no_link(desk: Path, tmp_path: Path) -> None:
    other = tmp_path / "elsewhere.yaml"
    other.write_text(POLICY, encoding="utf-8")
    (desk / "desk.yaml").unlink()
    (desk / "desk.yaml").symlink_to(other)

    assert main(["lint", "policies", "--fix"]) == 1
    assert other.read_text(encoding="utf-8") == POLICY


def test_the_settings_and_owners_are_those_of_the_repository(
    desk: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / ".git").mkdir()
    (tmp_path / ".ringfence").mkdir()
    (tmp_path / ".ringfence" / "settings.yaml").write_text(
        "apiVersion: ringfence/v1\nkind: Settings\n"
        "lint: {switched_off: [{code: E456, reason: They come from another system.}]}\n"
    )
    (tmp_path / "CODEOWNERS").write_text("* @example/risk\n", encoding="utf-8")
    monkeypatch.chdir(desk)

    assert main(["lint", "."]) == 1
    shown = capsys.readouterr().err
    assert "E456" not in shown
    assert "nobody knows the owner `risk@example.com`" in shown


def test_a_path_that_is_not_there_is_bad_usage(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["lint", "/no/such/place"]) == 2
    assert "does not exist" in capsys.readouterr().err
