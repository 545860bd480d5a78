"""What the gate found, as the one comment of a pull request.

The verdict first, then what is wrong, then what the change does, then everything else folded. Hosts refuse
comments above 65,536 characters: findings and folded parts are cut, with their counts, to stay below 65,000.
Nothing in it depends on the machine or the time, so that a run elsewhere writes the same.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace

from ringfence import __version__
from ringfence.errors import Diagnostic
from ringfence.replay.markdown import (
    MAX_CHARACTERS,
    code_text,
    cut_text,
    escaped_text,
    fold_text,
    table_text,
)
from ringfence.replay.wording import plural
from ringfence.review.gate import GateResult, StepResult, Verdict
from ringfence.review.merge_base import Base

__all__ = ["MARKER", "headline", "render_gate"]

MARKER = "<!-- ringfence -->"
"""The first line, by which the comment is found again and updated."""

_CUTS = (100, 50, 25, 10, 5)
_SIGNS = {
    Verdict.PASSED: "✅",
    Verdict.WAITS: "⏳",
    Verdict.FAILED: "❌",
    Verdict.BROKEN: "❌",
    Verdict.SKIPPED: "➖",
}
_WORDS = {
    Verdict.PASSED: "passed",
    Verdict.WAITS: "waits for approvals",
    Verdict.FAILED: "failed",
    Verdict.BROKEN: "could not run",
    Verdict.SKIPPED: "left out",
}


def headline(result: GateResult) -> str:
    """The verdict in one line of plain text."""
    errors = sum(each.severity == "error" for each in result.findings)
    warnings = len(result.findings) - errors
    counts = [
        plural(number, noun)
        for number, noun in ((errors, "error"), (warnings, "warning"))
        if number
    ]
    told = f": {', '.join(counts)}" if counts else ""
    if result.verdict in (Verdict.FAILED, Verdict.BROKEN):
        names = [each.name for each in result.steps if each.verdict is result.verdict]
        what = "could not run" if result.verdict is Verdict.BROKEN else "failed"
        return f"{_and(names)} {what}{told}"
    return f"{_WORDS[result.verdict]}{told}"


def render_gate(result: GateResult, base: Base | None) -> str:
    """Return GitHub-flavoured Markdown below 65,000 characters.

    Args:
        result: Of all steps.
        base: What the change was compared with.
    """
    for rows in _CUTS:
        text = _document(result, base, rows, result.steps)
        if len(text) <= MAX_CHARACTERS:
            return text
    # What is folded goes first, then what the change does, in two steps; verdict and findings stay.
    bare = [_without(each, details=True) for each in result.steps]
    short = [replace(each, section=each.short_section or each.section) for each in bare]
    none = [_without(each, section=True) for each in bare]
    for steps in (bare, short, none):
        text = _document(result, base, _CUTS[-1], steps)
        if len(text) <= MAX_CHARACTERS:
            break
    return text


def _document(result: GateResult, base: Base | None, rows: int, steps: Sequence[StepResult]) -> str:
    parts = [
        MARKER,
        f"## {_SIGNS[result.verdict]} Ringfence: {_plain(headline(result))}",
        table_text(["", "check", "what it says"], map(_row, steps), "lll"),
        _findings(result.findings, rows),
        *(each.section for each in steps),
        *(
            fold_text(_plain(each.title or each.name), each.details)
            for each in steps
            if each.details
        ),
        _provenance(base),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _row(step: StepResult) -> list[str]:
    return [_SIGNS[step.verdict], code_text(step.name), _told(step.said) or _WORDS[step.verdict]]


def _findings(findings: Sequence[Diagnostic], rows: int) -> str:
    if not findings:
        return ""
    # Errors before warnings; else in the order of the steps.
    listed = sorted(findings, key=lambda each: each.severity != "error")
    body = [_finding(each) for each in listed[:rows]]
    missing = listed[rows:]
    parts = [table_text(["", "where", "what, and how to mend it"], body, "lll")]
    if missing:
        counts = Counter(each.code for each in missing)
        told = ", ".join(f"{number} × {name}" for name, number in sorted(counts.items()))
        parts.append(f"{cut_text(len(missing), 'finding')} By code: {escaped_text(told)}.")
    return "\n\n".join(parts)


def _finding(finding: Diagnostic) -> list[str]:
    sign = "❌" if finding.severity == "error" else "⚠️"
    place = finding.span
    where = f"{code_text(place.path)}:{place.line}" if place is not None else "the policy set"
    text = f"**{escaped_text(finding.code)}** {_told(finding.message)}"
    if finding.why:
        text += f"<br>why: {_told(finding.why)}"
    if finding.fix:
        text += f"<br>fix: {_told(finding.fix)}"
    return [sign, where, text]


def _told(text: str) -> str:
    """A message as Markdown: what stands between two backticks becomes code, all else plain text."""
    parts = text.split("`")
    if len(parts) % 2 == 0:
        return _plain(text)
    return "".join(
        code_text(part) if number % 2 else _plain(part) for number, part in enumerate(parts) if part
    )


def _plain(text: str) -> str:
    """Escaped text, in which a colon that a space follows stays one: it can begin neither link nor emoji."""
    return escaped_text(text).replace("&#58; ", ": ")


def _provenance(base: Base | None) -> str:
    told = [f"ringfence {escaped_text(__version__)}"]
    if base is not None:
        told += [
            f"base {code_text(base.name)} at {code_text(base.short)}",
            f"head {code_text(base.head[:12])}",
        ]
    told.append("the same on a desk: <code>ringfence ci</code>")
    return f"<sub>{' · '.join(told)}</sub>"


def _without(step: StepResult, *, details: bool = False, section: bool = False) -> StepResult:
    left_out = "too long for a comment: it stands in the job summary and in the report"
    if details and step.details:
        return replace(step, details=left_out)
    if section and step.section:
        return replace(step, section=f"_{code_text(step.name)}: {left_out}._")
    return step


def _and(names: Iterable[str]) -> str:
    *others, last = names
    return f"{', '.join(others)} and {last}" if others else last
