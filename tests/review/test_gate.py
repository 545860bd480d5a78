"""The gate: every step runs, the worst verdict counts, no finding is told twice."""

import json
import re
from pathlib import Path

import jsonschema
import pytest
from markdown_it import MarkdownIt

from ringfence._resources import bundled
from ringfence.errors import Diagnostic, InputError, PolicyError, Span
from ringfence.review.gate import EXIT_CODES, GateResult, StepResult, Verdict, run_steps
from ringfence.review.gate_json import gate_json
from ringfence.review.gate_markdown import MARKER, headline, render_gate
from ringfence.review.merge_base import Base

pytestmark = pytest.mark.unit

BASE = Base("origin/main", "a" * 40, "b" * 40)
HOSTILE = "`</code>|<img src=x> @everyone [a](http://b) www.c.de\n# x`"


def finding(
    number: int = 1, message: str = "`desk` has a fault", severity: str = "error"
) -> Diagnostic:
    span = Span("policies/desk.yaml", number, 1, number, 5)
    return Diagnostic("E400", message, span, why="it matters", fix="mend `it`", severity=severity)


def gate(*steps: StepResult) -> GateResult:
    return GateResult(steps)


def step(verdict: Verdict, *findings: Diagnostic, **more: str) -> StepResult:
    return StepResult(verdict, "what it says", findings, name=more.pop("name", "test"), **more)


def test_every_step_runs_whatever_the_ones_before_found() -> None:
    def fails(given: int) -> StepResult:
        raise PolicyError([finding(given)])

    def breaks(_: int) -> StepResult:
        raise InputError("no orders", fix="name some")

    def passes(_: int) -> StepResult:
        return StepResult(Verdict.PASSED, "fine")

    begun: list[str] = []
    result = run_steps({"a": fails, "b": breaks, "c": passes}, 7, begun.append)

    assert begun == ["a", "b", "c"]
    assert [(each.name, each.verdict, each.said) for each in result.steps] == [
        ("a", Verdict.FAILED, "the policies cannot be read"),
        ("b", Verdict.BROKEN, "no orders; name some"),
        ("c", Verdict.PASSED, "fine"),
    ]
    assert [each.span and each.span.line for each in result.findings] == [7]
    assert all(each.seconds >= 0 for each in result.steps)


def test_a_finding_is_told_by_the_first_step_that_has_it() -> None:
    def fails(_: None) -> StepResult:
        raise PolicyError([finding(1)])

    def finds(_: None) -> StepResult:
        return StepResult(Verdict.FAILED, "two", (finding(1), finding(2)))

    result = run_steps({"a": fails, "b": fails, "c": finds}, None)

    assert [each.verdict for each in result.steps] == [
        Verdict.FAILED,
        Verdict.SKIPPED,
        Verdict.FAILED,
    ]
    assert result.steps[1].said == "the findings above stand in the way"
    assert [each.span and each.span.line for each in result.findings] == [1, 2]


@pytest.mark.parametrize(
    ("verdicts", "whole", "code"),
    [
        ([Verdict.PASSED, Verdict.SKIPPED], Verdict.PASSED, 0),
        ([Verdict.PASSED, Verdict.WAITS], Verdict.WAITS, 1),
        ([Verdict.WAITS, Verdict.FAILED], Verdict.FAILED, 1),
        ([Verdict.BROKEN, Verdict.FAILED], Verdict.BROKEN, 2),
    ],
)
def test_the_worst_verdict_counts(verdicts: list[Verdict], whole: Verdict, code: int) -> None:
    result = gate(*map(step, verdicts))

    assert result.verdict is whole
    assert EXIT_CODES[result.verdict] == code


@pytest.mark.parametrize(
    ("result", "line"),
    [
        (gate(step(Verdict.PASSED)), "passed"),
        (gate(step(Verdict.PASSED, finding(severity="warning"))), "passed: 1 warning"),
        (gate(step(Verdict.WAITS)), "waits for approvals"),
        (
            gate(step(Verdict.FAILED, finding(1), finding(2)), step(Verdict.WAITS, name="plan")),
            "test failed: 2 errors",
        ),
        (
            gate(*(step(Verdict.FAILED, name=name) for name in ("fmt", "lint", "test"))),
            "fmt, lint and test failed",
        ),
        (gate(step(Verdict.BROKEN), step(Verdict.FAILED)), "test could not run"),
    ],
)
def test_the_verdict_is_one_line(result: GateResult, line: str) -> None:
    assert headline(result) == line


def test_the_comment_says_the_verdict_first_and_then_what_is_wrong() -> None:
    result = gate(
        step(Verdict.PASSED, finding(9, severity="warning"), name="validate"),
        step(Verdict.FAILED, finding(3), details="All of it.", title="4 cases"),
        step(Verdict.PASSED, name="plan", section="### The plan"),
    )

    lines = render_gate(result, BASE).splitlines()

    assert lines[:2] == [MARKER, ""]
    assert lines[2] == "## ❌ Ringfence: test failed: 1 error, 1 warning"
    text = "\n".join(lines)
    assert "| ❌ | <code>test</code> | what it says |" in text
    error, warning = text.index("desk.yaml</code>:3 "), text.index("desk.yaml</code>:9 ")
    assert text.index("| check |") < error < warning < text.index("### The plan")
    assert text.index("### The plan") < text.index("<details><summary>4 cases</summary>")
    assert (
        "**E400** <code>desk</code> has a fault<br>why: it matters<br>fix: mend <code>it</code>"
        in text
    )
    assert "base <code>origin/main</code> at <code>aaaaaaaaaaaa</code>" in lines[-1]


def test_without_a_base_the_comment_names_none() -> None:
    text = render_gate(gate(step(Verdict.PASSED)), None)

    assert "base" not in text
    assert "ringfence ci" in text


@pytest.mark.security
def test_names_can_do_nothing_in_a_comment() -> None:
    span = Span(HOSTILE, 1, 1, 1, 2)
    hostile = Diagnostic("E400", HOSTILE, span, why=HOSTILE, fix=f"`{HOSTILE}")
    result = gate(
        StepResult(Verdict.FAILED, HOSTILE, (hostile,), name=HOSTILE, title=HOSTILE, details="x")
    )

    text = render_gate(result, Base(HOSTILE, "a" * 40, "b" * 40))

    html = MarkdownIt("gfm-like", {"html": True, "linkify": False}).render(text)
    tags = {each.lower() for each in re.findall(r"</?([a-zA-Z]+\d?)", html)}
    assert tags <= {"h2", "table", "thead", "tbody", "tr", "th", "td", "code", "strong", "br", "details", "summary", "p", "sub"}  # fmt: skip
    assert "@everyone" not in text
    assert "http://" not in text


def test_many_findings_are_cut_with_their_counts() -> None:
    found = [finding(n, f"`{'x' * 60}` {n} " + "y" * 400) for n in range(2_000)]

    text = render_gate(gate(step(Verdict.FAILED, *found)), BASE)

    assert len(text) <= 65_000
    shown = text.count("**E400**")
    assert shown >= 5
    assert f"... and {2_000 - shown:,} more findings, not listed here." in text
    assert f"By code: {2_000 - shown} " in text


@pytest.mark.parametrize("part", ["details", "section"])
def test_parts_that_are_too_long_say_where_they_are(part: str) -> None:
    long = step(Verdict.PASSED, name="plan", **{part: "long " * 20_000})

    text = render_gate(gate(step(Verdict.FAILED, finding()), long), BASE)

    assert len(text) <= 65_000
    assert "too long for a comment: it stands in" in text
    assert "**E400**" in text


def test_a_plan_that_is_too_long_stands_there_with_its_tables_cut_further() -> None:
    long = step(
        Verdict.PASSED, name="plan", section="long " * 20_000, short_section="### The plan, cut"
    )

    text = render_gate(gate(step(Verdict.FAILED, finding()), long), BASE)

    assert len(text) <= 65_000
    assert "### The plan, cut" in text
    assert "too long for a comment" not in text


def test_the_data_fits_its_schema() -> None:
    schema = json.loads(bundled("schemas").joinpath("ci-result.v1.schema.json").read_text("utf-8"))
    result = gate(step(Verdict.FAILED, finding()), step(Verdict.SKIPPED, name="plan"))

    for base in (BASE, None):
        jsonschema.validate(gate_json(result, base), schema)
    assert gate_json(result, BASE)["verdict"] == "failed"


def test_the_marker_is_the_one_that_the_action_looks_for() -> None:
    action = Path(__file__).parents[2] / ".github/actions/ringfence/comment.py"

    assert f'MARKER = "{MARKER}"' in action.read_text(encoding="utf-8")
