"""`ringfence plan` and `ringfence apply` as a user runs them: real repositories, the shipped desk, real orders cut small."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jsonschema
import pyarrow.parquet as pq
import pytest

from reload.places import Recorder, git, running, save
from ringfence.cli.main import main
from ringfence.reload.directory_source import DirectorySource
from ringfence.runtime.policy_set import PolicySet

pytestmark = [pytest.mark.integration, pytest.mark.needs("git", "git")]

ROOT = Path(__file__).parents[2]
DATA = ROOT / "examples" / "data"
PLAN, APPLY = (
    json.loads((ROOT / "schemas" / f"{name}.v1.schema.json").read_text("utf-8"))
    for name in ("plan", "apply")
)
APPROVALS = """apiVersion: ringfence/v1
kind: Approvals
metadata: {name: approvals, version: 1.0.0, owner: risk@example.com, description: Who approves.}
spec:
  groups:
    risk: [ann, cara@example.com]
  rules:
    - {directions: [LOOSER], needs: {risk: 1}}
"""
OF_ONE_GATE = "    - {policies: [desk], gates: [order-notional], needs: {risk: 2}}\n"
INVARIANT = """apiVersion: ringfence/v1
kind: Invariant
metadata: {name: sizes, version: 1.0.0, owner: risk@example.com, description: Small orders.}
spec: {claim: order.notional <= params.most, parameters: {most: 900_000 USDT}}
"""
WHO = ("--by", "dan", "--reason", "approved in the meeting")


def change(old: str, new: str, name: str = "desk.yaml", top: Path = Path()) -> None:
    path = top / "policies" / name
    text = path.read_text("utf-8")
    assert old in text
    save(path, text.replace(old, new, 1))


def commit(message: str = "a change") -> str:
    git("add", "-A", at=Path())
    git("-c", "user.email=ben@example.com", "commit", "-q", "-m", message, at=Path())
    return git("rev-parse", "HEAD", at=Path())


@pytest.fixture(autouse=True)
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The shipped desk as `main`, and a branch with its order size raised, checked out."""
    top = tmp_path / "desk"
    (top / "policies").mkdir(parents=True)
    for file in sorted((ROOT / "policies").glob("*.yaml")):
        (top / "policies" / file.name).write_text(file.read_text("utf-8"))
    monkeypatch.chdir(top)
    git("init", "-q", "-b", "main", at=top)
    commit("the desk")
    git("checkout", "-q", "-b", "change", at=top)
    change("limits: {max: 200_000 USDT}", "limits: {max: 300_000 USDT}")
    commit()
    return top


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str, str]]:
    def once(*words: str) -> tuple[int, str, str]:
        code = main([str(word) for word in words])
        shown = capsys.readouterr()
        assert "Traceback" not in shown.err
        return code, shown.out, shown.err

    return once


def planned(run: Any, *words: str, code: int = 0) -> dict[str, Any]:
    found, out, err = run("plan", *words, "--json")
    assert found == code, err
    plan: dict[str, Any] = json.loads(out)
    jsonschema.validate(plan, PLAN)
    return plan


# What changes


def test_a_raised_limit_is_looser_and_an_order_shows_it(run: Any) -> None:
    plan = planned(run, "--base", "main")

    assert plan["direction"] == "LOOSER"
    (found,) = plan["changes"]
    assert (found["policy"], found["gate"], found["direction"]) == (
        "desk",
        "order-notional",
        "LOOSER",
    )
    (move,) = found["moves"]
    assert (move["old"], move["new"], move["factor"]) == ("200,000 USDT", "300,000 USDT", 1.5)
    assert move["base"] == move["head"] == {**move["head"], "path": "policies/desk.yaml"}
    witness = found["looser"]
    assert witness["base"]["decision"] != "APPROVE"
    assert float(witness["head"]["size"]) > float(witness["base"]["size"])
    assert plan["base"]["commit"] == git("rev-parse", "main", at=Path())
    # The working tree holds what is committed.
    assert plan["head"]["commit"] == git("rev-parse", "HEAD", at=Path())


def test_the_other_way_round_it_is_tighter(run: Any) -> None:
    plan = planned(run, "--base", "change", "--head", "main")

    assert plan["direction"] == plan["changes"][0]["direction"] == "TIGHTER"
    assert plan["changes"][0]["looser"] is None


def test_a_limit_raised_behind_another_lets_nothing_pass_and_says_what_binds(run: Any) -> None:
    git("checkout", "-q", "main", at=Path())
    second = "    - {rule: order-notional@1, name: second, limits: {max: 100_000 USDT}}\n"
    change("    - rule: venue-rules@1\n", f"    - rule: venue-rules@1\n{second}")
    commit()
    change("limits: {max: 200_000 USDT}", "limits: {max: 300_000 USDT}")

    plan = planned(run, "--base", "main")

    assert plan["direction"] == "EQUAL"
    (found,) = plan["changes"]
    assert found["direction"] == "LOOSER"
    assert "nothing passes that did not before" in found["still"]
    assert plan["head"]["commit"] == ""


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (["--base", "main"], 2),
        (["--base", "change"], 0),
        (["--base", "main", "--check-approvals"], 1),
        (["--base", "main", "--check-approvals", "--approved-by", "ann"], 2),
        (["--base", "no-such-branch"], 1),
        (["--base", "main", "--orders", "none.parquet"], 1),
        (["--base", "main", "--equity", "much"], 1),
        (["--show", "none.json"], 1),
    ],
)
def test_detailed_exit_codes(run: Any, words: list[str], code: int) -> None:
    assert run("plan", *words, "--detailed-exitcode")[0] == code


@pytest.mark.parametrize(
    "words",
    [
        [],
        ["--base", "main", "--show", "plan.json"],
        ["--base", "no-such-branch"],
        ["--base", "main", "--policies", "elsewhere"],
        ["--base", "main", "--orders", "none.parquet"],
        ["--base", "main", "--approvals-from", "none.json"],
        ["--base", "main", "-o", "no/such/place.json"],
    ],
)
def test_bad_usage_is_exit_code_two(run: Any, words: list[str]) -> None:
    assert run("plan", *words)[0] == 2


def test_policies_with_faults_are_findings(run: Any) -> None:
    change("drawdown@1", "drawdwn@1")

    code, _, err = run("plan", "--base", "main")

    assert (code, "policies/desk.yaml:" in err) == (1, True)


def test_the_forms_of_a_plan(run: Any) -> None:
    _, text, _ = run("plan", "--base", "main")
    _, comment, _ = run("plan", "--base", "main", "--format", "markdown")
    _, notes, _ = run("plan", "--base", "main", "--format", "github")

    _, sarif, _ = run("plan", "--base", "main", "--format", "sarif")

    assert [each["ruleId"] for each in json.loads(sarif)["runs"][0]["results"]] == ["E565"]
    assert "LOOSER  desk / order-notional" in text
    assert "max: 200,000 USDT -> 300,000 USDT  x 1.5" in text
    assert comment.startswith("<!-- ringfence-plan -->\n### ▲ This change is looser")
    assert re.match(r"::warning file=policies/desk.yaml,line=\d+,.*title=E565::", notes)


# The dry run


def test_orders_are_replayed_on_both_sides_and_everything_is_written(
    run: Any, tmp_path: Path
) -> None:
    orders = pq.read_table(DATA / "orders.parquet").slice(0, 600)
    pq.write_table(orders, tmp_path / "orders.parquet")
    change("limits: {max: 300_000 USDT}", "limits: {max: 2_000 USDT}")
    out = tmp_path / "out"
    inputs = ["--orders", tmp_path / "orders.parquet", "--marks", DATA / "marks.parquet"]
    inputs += ["--balances", DATA / "balances.csv", "--instruments", DATA / "instruments.yaml"]

    plan = planned(run, "--base", "main", *map(str, inputs), "--out", str(out))

    summary = plan["dry_run"]
    jsonschema.validate(
        summary,
        json.loads((ROOT / "schemas" / "dry-run-summary.v1.schema.json").read_text("utf-8")),
    )
    assert summary["orders"]["replayed"] == 600
    assert [summary["changes"]["mode"], summary["changes_beside"]["mode"]] == [
        "propagated",
        "frozen",
    ]
    assert summary["changes_beside"]["newly_rejected"] > 0
    assert (
        sum(each["orders"] for each in summary["changes"]["by_symbol"])
        == summary["changes"]["orders"]
    )
    assert "measures the book of the firm" in summary["books"]["why"]
    for name in ("plan.html", "plan.md", "report.html", "summary.json", "decisions.parquet"):
        assert (out / name).is_file(), name
    assert (out / "plan.md").read_text("utf-8").count("| frozen |") == 1
    assert "What moves" in (out / "plan.html").read_text("utf-8")


@pytest.mark.parametrize(
    ("said", "until"),
    [((), "until its next trading day starts"), (("--halts-until", "end"), "nobody releases it")],
)
def test_a_plan_says_how_long_halted_books_stay_so_and_may_be_told(
    said: tuple[str, ...], until: str, run: Any, tmp_path: Path
) -> None:
    orders = pq.read_table(DATA / "orders.parquet").slice(0, 20)
    pq.write_table(orders, tmp_path / "orders.parquet")
    change("max_drawdown: 10%}", "max_drawdown: 10%}\n      on_breach: halt")

    given = ["--orders", str(tmp_path / "orders.parquet"), "--equity", "6000000", *said]
    plan = planned(run, "--base", "main", *given)

    (told,) = [each for each in plan["dry_run"]["assumptions"] if "a gate halts" in each]
    assert until in told


# Approvals


def test_the_rules_of_the_base_judge_a_change_of_the_rules(run: Any) -> None:
    git("checkout", "-q", "main", at=Path())
    Path(".ringfence").mkdir()
    Path(".ringfence/approvals.yaml").write_text(APPROVALS)
    commit("rules")
    git("checkout", "-q", "-b", "waived", at=Path())
    Path(".ringfence/approvals.yaml").write_text(APPROVALS.replace("risk: 1", "anyone: 1"))
    commit("rules that anyone fulfils")

    plan = planned(run, "--base", "main", "--check-approvals", "--approved-by", "zoe", code=1)

    approvals = plan["approvals"]
    assert approvals["rules_changed"]
    assert approvals["source"] == "main:.ringfence/approvals.yaml"
    assert [(each["group"], each["missing"]) for each in approvals["needs"]] == [("risk", 1)]
    assert plan["changes"] == []


def test_reviews_count_for_the_head_commit_and_authors_do_not(run: Any, tmp_path: Path) -> None:
    head = git("rev-parse", "HEAD", at=Path())
    reviews = [
        {
            "user": {"login": name},
            "state": "APPROVED",
            "commit_id": sha,
            "submitted_at": f"2026-01-05T12:0{k}:00Z",
        }
        for k, (name, sha) in enumerate((("ann", head), ("cara", "0" * 40), ("ben", head)))
    ]
    (tmp_path / "reviews.json").write_text(json.dumps(reviews))

    plan = planned(
        run, "--base", "main", "--approvals-from", str(tmp_path / "reviews.json"), "--author", "Ben"
    )

    (need,) = plan["approvals"]["needs"]
    assert (need["group"], need["given"]) == ("anyone", ["ann"])
    assert plan["approvals"]["authors"] == ["ben@example.com", "Ben"]
    assert {each["person"]: each["why"] for each in plan["approvals"]["left_out"]} == {
        "cara": f"approved {'0' * 12}, not {head[:12]}",
        "ben": "made the change",
    }


def test_who_wrote_a_commit_with_its_author_does_not_approve_it(run: Any) -> None:
    change("max_positions: 10", "max_positions: 12")
    commit(
        "Two wrote it\n\nTicket: RISK-1\nCo-authored-by: Cara <cara@example.com>\n"
        "co-authored-by: Ann <7+Ann@users.noreply.github.com>"
    )

    given = [
        word for name in ("cara@example.com", "ann", "zoe") for word in ("--approved-by", name)
    ]
    approvals = planned(run, "--base", "main", *given)["approvals"]

    assert [each["person"] for each in approvals["left_out"]] == ["cara@example.com", "ann"]
    assert [each["given"] for each in approvals["needs"]] == [["zoe"]]


def test_an_invariant_that_is_dropped_is_approved_as_a_looser_limit_is(run: Any) -> None:
    git("checkout", "-q", "main", at=Path())
    Path(".ringfence").mkdir()
    Path(".ringfence/approvals.yaml").write_text(APPROVALS)
    Path("policies/sizes.yaml").write_text(INVARIANT)
    commit("rules, and an invariant")
    git("checkout", "-q", "-b", "unproved", at=Path())
    Path("policies/sizes.yaml").unlink()
    change("version: ", "version: 9", "firm.yaml")
    commit("nothing proves the sizes any more")

    plan = planned(run, "--base", "main", "--check-approvals", "--approved-by", "zoe", code=1)
    file = saved(run, "--base", "main", "--approved-by", "zoe")

    assert {each["direction"] for each in plan["changes"]} == {"EQUAL"}
    (check,) = plan["checks"]
    assert (check["what"], check["kind"], check["name"]) == ("invariant", "removed", "sizes")
    assert check["base"] == {"path": "policies/sizes.yaml", "line": 4, "column": 15}
    assert [(each["group"], each["missing"]) for each in plan["approvals"]["needs"]] == [
        ("risk", 1)
    ]
    _, told, _ = run("plan", "--base", "main")
    assert "  invariant `sizes` is removed: order.notional <= params.most\n" in told
    _, notes, _ = run("plan", "--base", "main", "--format", "github")
    assert "title=E567::invariant `sizes` is removed" in notes
    refused = applied(run, file, "--pointer", "active.json", code=1)
    assert refused["missing"] == ["1 of risk, 0 of 1 given"]
    applied(run, file, "--pointer", "active.json", "--approved-by", "ann", code=0)


def test_checks_alone_are_something_that_changes(run: Any) -> None:
    git("checkout", "-q", "main", at=Path())
    Path("policies/sizes.yaml").write_text(INVARIANT)
    commit("an invariant")
    git("checkout", "-q", "-b", "unproved", at=Path())
    Path("policies/sizes.yaml").unlink()
    commit("none")

    code, told, _ = run("plan", "--base", "main", "--detailed-exitcode")

    assert code == 2
    assert told.startswith("No limit changes: both sides are the same policy set, and 1 check is")


def test_rules_with_faults_are_findings(run: Any) -> None:
    git("checkout", "-q", "main", at=Path())
    Path(".ringfence").mkdir()
    Path(".ringfence/approvals.yaml").write_text(APPROVALS.replace("risk: 1", "rsik: 1"))
    commit("rules")

    code, _, err = run("plan", "--base", "main", "--head", "change")

    assert (code, "main:.ringfence/approvals.yaml:8:" in err, "E560" in err) == (1, True, True)


def test_rules_that_nothing_could_be_judged_by_are_findings_of_the_change_that_makes_them(
    run: Any,
) -> None:
    git("checkout", "-q", "main", at=Path())
    Path(".ringfence").mkdir()
    Path(".ringfence/approvals.yaml").write_text(APPROVALS)
    commit("rules")
    git("checkout", "-q", "-b", "worse", at=Path())
    Path(".ringfence/approvals.yaml").write_text(APPROVALS.replace("risk: 1", "rsik: 1"))
    commit("a slip")

    for head in ((), ("--head", "worse")):
        code, _, err = run("plan", "--base", "main", *head)
        assert (code, ".ringfence/approvals.yaml:8:" in err, "E560" in err) == (1, True, True)


def test_the_rules_can_be_validated_by_themselves(run: Any, tmp_path: Path) -> None:
    path = tmp_path / "approvals.yaml"
    path.write_text(APPROVALS)
    assert run("validate", path)[0] == 0
    path.write_text(APPROVALS.replace("risk: 1", "risk: 9"))
    code, _, err = run("validate", path)
    assert (code, "E561" in err) == (1, True)


# Saved plans, and applying them


def saved(run: Any, *words: str) -> str:
    assert run("plan", *words, "-o", "plan.json")[0] == 0
    return "plan.json"


def applied(run: Any, *words: str, code: int) -> dict[str, Any]:
    found, out, err = run("apply", *words, *WHO, "--json")
    assert found == code, err + out
    outcome: dict[str, Any] = json.loads(out)
    jsonschema.validate(outcome, APPLY)
    return outcome


@pytest.mark.security
def test_no_plan_is_saved_that_leaves_out_orders_until_a_later_time(run: Any) -> None:
    given = ("--base", "main", "-o", "plan.json")

    code, _, err = run("plan", *given, "--now", "2200-01-01")

    assert (code, Path("plan.json").exists()) == (2, False)
    assert "says nothing of the orders until then" in err
    assert planned(run, *given, "--now", "2026-01-01")["direction"] == "LOOSER"


def test_a_saved_plan_is_shown_again_as_it_was(run: Any) -> None:
    text = run("plan", "--base", "main", "-o", "plan.json", "--format", "markdown")[1]

    assert run("plan", "--show", "plan.json", "--format", "markdown")[1] == text
    assert planned(run, "--show", "plan.json")["direction"] == "LOOSER"


@pytest.mark.parametrize(
    ("words", "option"),
    [
        (["--show", "plan.json", "--orders", "x.csv"], "--orders"),
        (["--base", "main", "--halts-until", "end"], "--halts-until"),
        (["--show", "plan.json", "--out", "x"], "--out"),
        (["--show", "plan.json", "-o", "x"], "-o"),
        (["--show", "plan.json", "--approved-by", "ann"], "--approved-by"),
        (["--show", "plan.json", "--approvals", "x.yaml"], "--approvals"),
        (["--base", "main", "--marks", "x.csv"], "--marks"),
        (["--base", "main", "--marks-mapping", "x"], "--marks-mapping"),
        (["--base", "main", "--equity", "0"], "--equity"),
    ],
)
def test_an_option_that_would_change_nothing_is_refused(
    words: list[str], option: str, run: Any
) -> None:
    code, out, err = run("plan", *words)

    assert (code, out) == (2, "")
    assert f"`{option}`" in err
    assert "\n  fix: " in err
    # There 2 says that something changes.
    assert run("plan", *words, "--detailed-exitcode")[0] == 1


@pytest.mark.parametrize(
    ("file", "reason"),
    [
        ("rules.yaml", "there are no rules of approvals `rules.yaml`"),
        ("policies", "is a directory"),
        (".", "is a directory"),
        ("../rules.yaml", "`../rules.yaml` names no file from the repository's top"),
        ("/rules.yaml", "`/rules.yaml` names no file from the repository's top"),
    ],
)
def test_rules_of_approvals_that_are_named_have_to_be_there(
    file: str, reason: str, run: Any
) -> None:
    code, out, err = run("plan", "--base", "main", "--approvals", file)

    assert (code, out) == (2, "")
    assert reason in err


def test_the_pointer_takes_a_plan_once_approved_and_only_from_its_base(run: Any) -> None:
    plan = saved(run, "--base", "main")
    pointer = ("--pointer", "active.json")
    waiting = applied(run, plan, *pointer, code=1)
    assert (waiting["result"], waiting["missing"]) == ("refused", ["1 of anyone, 0 of 1 given"])
    assert not Path("active.json").exists()

    done = applied(run, plan, *pointer, "--approved-by", "ann", code=0)
    assert (done["result"], done["before"]) == ("applied", "")
    active = json.loads(Path("active.json").read_text())
    assert active["policy_set"] == PolicySet.load("policies").sha256
    assert active["commit"] == git("rev-parse", "change", at=Path())
    assert (active["by"], active["reason"]) == (WHO[1], WHO[3])
    assert applied(run, plan, *pointer, code=0)["result"] == "already"

    # A plan of another base: what is active has moved on from it.
    git("checkout", "-q", "-b", "late", "main", at=Path())
    change("max_positions: 10", "max_positions: 8")
    commit()
    late = saved(run, "--base", "main", "--approved-by", "ann")
    refused = applied(run, late, *pointer, code=1)
    assert (refused["result"], refused["before"]) == ("refused", active["policy_set"])
    assert [(each["gate"], each["old"], each["new"]) for each in refused["moved"]] == [
        ("order-notional", "200,000 USDT", "300,000 USDT")
    ]
    _, told, _ = run("apply", late, *pointer, *WHO)
    assert "desk/order-notional: limit max 200,000 USDT -> 300,000 USDT" in told


def test_a_new_name_takes_no_policy_and_no_gate_out_of_the_rules(run: Any) -> None:
    git("checkout", "-q", "main", at=Path())
    Path(".ringfence").mkdir()
    Path(".ringfence/approvals.yaml").write_text(APPROVALS + OF_ONE_GATE)
    commit()
    git("checkout", "-q", "-b", "renamed", at=Path())
    change("name: desk", "name: crypto")
    change("rule: order-notional@1", "name: value\n      rule: order-notional@1")
    change("limits: {max: 200_000 USDT}", "limits: {max: 300_000 USDT}")
    commit()

    plan = planned(run, "--base", "main")
    file = saved(run, "--base", "main")

    assert {each["policy"] for each in plan["changes"]} == {"crypto"}
    needs = {each["group"]: each["needed"] for each in plan["approvals"]["needs"]}
    assert needs == {"risk": 2}
    refused = applied(run, file, "--pointer", "active.json", "--approved-by", "ann", code=1)
    assert refused["missing"] == ["1 of risk, 1 of 2 given"]


@pytest.mark.parametrize("named", [(), ("--approvals", "rulse.yaml")])
def test_a_plan_is_applied_by_the_rules_that_it_was_judged_by(
    named: tuple[str, ...], run: Any
) -> None:
    git("checkout", "-q", "main", at=Path())
    Path("rules.yaml").write_text(APPROVALS)
    commit("rules")
    git("rebase", "-q", "main", "change", at=Path())
    rules = ("--approvals", "rules.yaml")
    plan = saved(run, "--base", "main", *rules)
    to = ("--pointer", "active.json", "--approved-by", "zoe")

    code, _, said = run("apply", plan, *to, *WHO, *named)

    assert code == 2
    assert "judged by main:rules.yaml, and not by built-in rules" in said
    assert applied(run, plan, *to, *rules, code=1)["missing"] == ["1 of risk, 0 of 1 given"]


def test_a_plan_whose_files_have_changed_is_refused_and_says_where(run: Any) -> None:
    plan = saved(run, "--base", "main", "--approved-by", "ann")
    change("limits: {max: 300_000 USDT}", "limits: {max: 900_000 USDT}")

    refused = applied(run, plan, "--pointer", "active.json", code=1)

    assert "make policy set" in refused["why"]
    assert [(each["old"], each["new"]) for each in refused["moved"]] == [
        ("300,000 USDT", "900,000 USDT")
    ]
    # At its commit it is what it was.
    assert (
        applied(run, plan, "--pointer", "active.json", "--head", "git:change", code=0)["result"]
        == "applied"
    )


def test_a_running_guard_takes_the_plan_and_nothing_else(run: Any, tmp_path: Path) -> None:
    deployed = tmp_path / "deployed"
    git("worktree", "add", "-q", str(deployed), "main", at=Path())
    store = tmp_path / "store"
    plan = saved(run, "--base", "main", "--approved-by", "ann")
    where = ("--store", str(store))
    with running(DirectorySource(deployed / "policies"), store, guard=Recorder()) as found:
        before = found.next("accepted").policy_set

        done = applied(run, plan, *where, code=0)

        head = PolicySet.load("policies").sha256
        assert (done["result"], done["before"], done["answer"]["result"]) == (
            "applied",
            before,
            "applied",
        )
        assert found.guard.policy_set == head
        assert applied(run, plan, *where, code=0)["result"] == "already"

        # Another set is put in force: the plan is of what was.
        change("max_positions: 10", "max_positions: 7", top=deployed)
        found.next("accepted")
        refused = applied(run, plan, *where, code=1)
        assert [(each["gate"], each["old"], each["new"]) for each in refused["moved"]] == [
            ("position-count", "10", "7")
        ]


def test_what_cannot_be_applied_is_bad_usage(run: Any, tmp_path: Path) -> None:
    plan = saved(run, "--base", "main")

    assert run("apply", plan, "--pointer", "active.json")[0] == 2
    assert run("apply", plan, *WHO)[0] == 2
    assert run("apply", "none.json", "--pointer", "active.json", *WHO)[0] == 2
    code, _, err = run("apply", plan, "--store", str(tmp_path / "store"), *WHO)
    assert (code, "no reloader runs" in err) == (2, True)
