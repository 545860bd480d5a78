"""The rules of alerts: complete, on metrics that there are, each fired and kept still by Prometheus's own tests."""

import re
import shlex
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from ringfence.cli.main import build_parser
from ringfence.runtime.metric_table import METRICS

ROOT = Path(__file__).resolve().parents[2]
PROMETHEUS = ROOT / "docker" / "prometheus"
RULE_FILES = sorted((PROMETHEUS / "rules").glob("*.yml"))
TEST_FILES = sorted((PROMETHEUS / "tests").glob("*.yml"))
RUNBOOKS = ROOT / "docs" / "runbooks"
RULES: dict[str, dict[str, Any]] = {
    rule["alert"]: rule
    for path in RULE_FILES
    for group in yaml.safe_load(path.read_text(encoding="utf-8"))["groups"]
    for rule in group["rules"]
}
NAME = re.compile(r"\b(?:ringfence|process|python)(?:_[a-z]+)+\b|\bup\b")
WANTED = {
    "RingfenceAuditLagHigh",
    "RingfenceAuditStopped",
    "RingfenceBypassAttempted",
    "RingfenceCacheUnreachable",
    "RingfenceCpuHigh",
    "RingfenceDatabaseUnreachable",
    "RingfenceDown",
    "RingfenceDrawdownNearLimit",
    "RingfenceHealthFailing",
    "RingfenceKillSwitchActive",
    "RingfenceLatencyHigh",
    "RingfenceMemoryHigh",
    "RingfencePolicySetStale",
    "RingfenceReconciliationDifference",
    "RingfenceRejectionRateHigh",
    "RingfenceReloadFailed",
}


def shown_names() -> set[str]:
    """Names as a scrape has them."""
    found = {"up"}
    for each in METRICS.values():
        ends = {"counter": ("_total",), "gauge": ("",), "histogram": ("_bucket", "_sum", "_count")}
        found |= {each.name + end for end in ends[each.kind]}
    return found


@pytest.mark.unit
def test_there_is_an_alert_for_everything_that_somebody_must_know() -> None:
    assert RULES.keys() >= WANTED


@pytest.mark.unit
@pytest.mark.parametrize("name", RULES)
def test_an_alert_says_how_bad_it_is_what_it_is_and_what_to_do(name: str) -> None:
    rule = RULES[name]
    assert rule["labels"]["severity"] in ("critical", "warning")
    told = rule["annotations"]
    assert told.keys() == {"summary", "description", "runbook_url"}
    runbook = ROOT / told["runbook_url"]
    assert runbook.parent == RUNBOOKS
    page = runbook.read_text(encoding="utf-8")
    assert f"`{name}`" in page
    headings = re.findall(r"^## (.*)$", page, re.MULTILINE)
    assert headings == [
        "What it means",
        "What the desk feels",
        "How to look",
        "How to mend it",
        "How to test the alert",
    ]


@pytest.mark.unit
@pytest.mark.parametrize("name", RULES)
def test_an_alert_looks_at_metrics_that_there_are(name: str) -> None:
    expression = re.sub(r'"[^"]*"', "", RULES[name]["expr"])
    labels = {label for each in METRICS.values() for label in each.labels}
    used = set(NAME.findall(expression)) - labels
    assert used
    assert used <= shown_names()


@pytest.mark.unit
def test_each_alert_says_why_its_threshold_is_what_it_is() -> None:
    for path in RULE_FILES:
        for text in path.read_text(encoding="utf-8").split("- alert: ")[1:]:
            name, *lines = text.splitlines()
            assert lines[0].strip().startswith("#"), name


@pytest.mark.unit
def test_each_runbook_is_of_an_alert_and_in_the_list() -> None:
    pages = {path.name for path in RUNBOOKS.glob("*.md")} - {"README.md"}
    assert pages == {Path(rule["annotations"]["runbook_url"]).name for rule in RULES.values()}
    listed = (RUNBOOKS / "README.md").read_text(encoding="utf-8")
    for name, rule in RULES.items():
        assert f"| `{name}` | " in listed
        assert f"({Path(rule['annotations']['runbook_url']).name})" in listed


@pytest.mark.unit
def test_commands_of_a_runbook_are_whole_and_say_which_directory() -> None:
    pages = "\n".join(path.read_text("utf-8") for path in RUNBOOKS.glob("*.md"))
    commands = re.findall(r"`ringfence ((?:audit|reload) [^`]+)`", pages)

    assert len(commands) >= 8
    for command in commands:
        words = shlex.split(command)
        given = build_parser(words[0]).parse_args(words)
        assert "--postgres" in words or {Path("DATA/audit"), Path("DATA/policies")} & set(
            vars(given).values()
        ), command


@pytest.mark.unit
def test_each_alert_fires_in_one_test_and_does_not_in_another() -> None:
    fires, keeps_still = set(), set()
    for path in TEST_FILES:
        for test in yaml.safe_load(path.read_text(encoding="utf-8"))["tests"]:
            for case in test["alert_rule_test"]:
                (fires if case["exp_alerts"] else keeps_still).add(case["alertname"])
    assert fires == keeps_still == RULES.keys()


@pytest.mark.integration
@pytest.mark.needs("promtool", "prometheus")
def test_prometheus_finds_the_rules_right_and_sees_them_fire() -> None:
    for words in (
        ["check", "rules", *RULE_FILES],
        ["check", "config", PROMETHEUS / "prometheus.yml"],
        ["test", "rules", *TEST_FILES],
    ):
        done = subprocess.run(["promtool", *words], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
