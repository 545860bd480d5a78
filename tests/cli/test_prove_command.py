"""`ringfence prove` as people meet it: what it prints in each form, its exit codes, what it writes."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator

from ringfence.cli.main import main

pytestmark = pytest.mark.smoke

ROOT = Path(__file__).resolve().parents[2]
CLAIM = """\
apiVersion: ringfence/v1
kind: Invariant
metadata: {{name: {name}, version: 1.0.0, description: d}}
spec:
  scope: {{accounts: [beta]}}
  claim: {claim}
  parameters: {{most: {most} USDT}}
"""


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The shipped desk, in a directory of its own, with a cache of its own for proofs."""
    shutil.copytree(ROOT / "policies", tmp_path / "policies")
    cache = tmp_path / "cache"
    cache.mkdir(mode=0o700)
    monkeypatch.setattr("ringfence.review.proof_cache.cache_directory", lambda: cache)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def write_claim(
    folder: Path, name: str, most: str, claim: str = "order.notional <= params.most"
) -> None:
    path = folder / "policies" / "invariants" / f"{name}.yaml"
    path.write_text(CLAIM.format(name=name, claim=claim, most=most), encoding="utf-8")


@pytest.mark.usefixtures("desk")
def test_the_shipped_desk_is_proved_and_known_the_second_time(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["prove"]) == 0
    first = capsys.readouterr().out
    assert main(["prove"]) == 0
    second = capsys.readouterr().out
    assert main(["prove", "--no-cache"]) == 0

    assert "kill-switch-dominates" in first
    assert first.splitlines()[-1].endswith(" proved")
    assert "known from before" not in first
    assert second.count("known from before") == second.count("  proved ")
    assert capsys.readouterr().out == first


def test_what_is_known_needs_no_solver_and_no_compiler(desk: Path) -> None:
    environment = {**os.environ, "RINGFENCE_CACHE_PATH": str(desk / "kept")}
    program = (
        "import sys; from ringfence.cli.main import main; main(['prove']);"
        "print(sorted({'z3', 'numba', 'ruamel'} & set(sys.modules)))"
    )
    (desk / "kept").mkdir(mode=0o700)
    runs = [
        subprocess.run(
            [sys.executable, "-c", program],
            env=environment,
            capture_output=True,
            text=True,
            check=True,
        ).stdout.splitlines()[-1]
        for _ in range(2)
    ]

    assert runs == ["['z3']", "[]"]


def test_a_claim_that_is_broken_is_shown_with_an_order_and_kept_as_a_test(
    desk: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_claim(desk, "beta-orders", "100_000")

    assert main(["prove", "--write-tests", "policies/tests/found.yaml"]) == 1
    shown = capsys.readouterr().out
    assert "  refuted  beta-orders" in shown
    assert "APPROVE" in shown
    assert "says the interpreter and the kernel" in shown
    assert "      order.notional = " in shown
    assert "params.most = 100,000 USDT" in shown
    assert "then: {decision: REJECT}" in shown
    assert "policies/tests/found.yaml: 1 case added" in shown
    found = ["test", "policies/tests/found.yaml", "--policies", "policies"]
    assert main(found) == 1
    assert main(["prove", "--write-tests", "policies/tests/found.yaml"]) == 1
    assert "0 cases added" in capsys.readouterr().out

    desk_file = desk / "policies" / "desk.yaml"
    text = desk_file.read_text(encoding="utf-8")
    assert "max: 200_000 USDT" in text
    desk_file.write_text(text.replace("max: 200_000 USDT", "max: 100_000 USDT"), encoding="utf-8")

    assert main(["prove"]) == 0
    assert main(found) == 0


def test_every_form_says_what_failed(desk: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_claim(desk, "beta-orders", "100_000")

    assert main(["prove", "--format", "github"]) == 1
    github = capsys.readouterr().out
    assert main(["prove", "--format", "sarif"]) == 1
    sarif = json.loads(capsys.readouterr().out)
    assert main(["prove", "--format", "junit"]) == 1
    junit = capsys.readouterr().out
    assert main(["prove", "--json"]) == 1
    told = json.loads(capsys.readouterr().out)

    assert github.startswith("::error file=policies/invariants/beta-orders.yaml,line=6,")
    assert [each["ruleId"] for each in sarif["runs"][0]["results"]] == ["E530"]
    assert 'failures="1"' in junit
    assert "kill-switch-dominates" in junit
    schema = json.loads((ROOT / "schemas" / "proof.v1.schema.json").read_text(encoding="utf-8"))
    assert [e.message for e in Draft202012Validator(schema).iter_errors(told)] == []
    (failed,) = [each for each in told["proofs"] if each["status"] != "proved"]
    assert failed["counterexample"]["confirmed_by"] == ["reference", "numba"]
    assert failed["counterexample"]["values"]["order.notional"]["unit"] == "money"
    assert [each["code"] for each in told["findings"]] == ["E530"]
    assert told["valid"] is False


def test_what_is_unknown_fails_unless_that_is_allowed(
    desk: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_claim(desk, "odd", "1", "order.notional <= 2 * order.size * order.valuation_price")
    quick = ["prove", "--timeout", "0.2"]

    assert main(quick) == 1
    shown = capsys.readouterr().out
    assert "  unknown  odd" in shown
    assert "to blame: `((2.0 * order.size) * order.valuation_price)`" in shown
    assert "policies/invariants/odd.yaml:6:" in shown
    assert main([*quick, "--allow-unknown", "--format", "github"]) == 0
    assert capsys.readouterr().out.startswith("::warning file=policies/invariants/odd.yaml")


def test_more_invariants_may_lie_elsewhere(desk: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (desk / "elsewhere.yaml").write_text(
        CLAIM.format(name="more", claim="order.notional <= params.most", most="200_000")
    )

    assert main(["prove", "--invariants", "elsewhere.yaml"]) == 0
    assert "  proved   more" in capsys.readouterr().out


@pytest.mark.needs("git", "git")
def test_a_change_may_claim_to_be_as_strict_as_its_base(
    desk: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    # One policy is enough: the shipped desk's take ten times as long to compare.
    for each in ("firm.yaml", "strategy-taker.yaml"):
        (desk / "policies" / each).unlink()
    (desk / "policies" / "invariants" / "firm-exposure.yaml").unlink()
    author = ["-c", "user.name=a", "-c", "user.email=a@example.com"]
    for words in (["init", "-q", "-b", "main"], ["add", "."], ["commit", "-q", "-m", "."]):
        subprocess.run(["git", *author, *words], cwd=desk, check=True)
    path = desk / "policies" / "desk.yaml"
    text = path.read_text(encoding="utf-8")
    strict = ["prove", "--base", "main", "--claim-strict"]

    path.write_text(text.replace("max: 200_000 USDT", "max: 150_000 USDT"), encoding="utf-8")
    assert main(strict) == 0
    assert "  proved   as-strict-as-base" in capsys.readouterr().out
    path.write_text(text.replace("max: 200_000 USDT", "max: 250_000 USDT"), encoding="utf-8")
    assert main(["prove", "--base", "git:main:policies", "--claim-strict"]) == 1
    shown = capsys.readouterr().out
    assert "  refuted  as-strict-as-base" in shown
    assert "where the base says REJECT" in shown
    # The desk's own claim about this limit is broken as well.
    assert "  refuted  alpha-orders" in shown


@pytest.mark.parametrize(
    "words",
    [
        ["--claim-strict"],
        ["--timeout", "0"],
        ["--timeout", "nan"],
        ["--invariants", "nowhere"],
        ["nowhere"],
        ["policies/tests"],
        ["--base", "nowhere"],
    ],
)
@pytest.mark.usefixtures("desk")
def test_bad_usage_is_told_with_its_fix(
    words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["prove", *words]) == 2
    assert "fix:" in capsys.readouterr().err


@pytest.mark.parametrize("folder", ["policies/invariants", "elsewhere"])
def test_a_claim_that_cannot_be_read_is_found(
    desk: Path, folder: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (desk / folder).mkdir(exist_ok=True)
    (desk / folder / "bad.yaml").write_text(
        CLAIM.format(name="bad", claim="order.notional", most="1"), encoding="utf-8"
    )

    assert main(["prove", "--invariants", folder]) == 1
    assert "E533" in capsys.readouterr().err
