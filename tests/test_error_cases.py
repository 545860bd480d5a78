"""One folder per error code: a file that earns it, and exactly what the user then reads.

A file that would be too large to keep is described in `generated.json` instead: a text before, a text
to repeat, and how often. `RINGFENCE_REWRITE_EXPECTED=1` writes the expected texts anew, for review.

A folder may hold more files of the same policy set; those of mistakes (E4) also the set as it was
(`previous/`), the time (`now`) and the desk's settings (`settings.yaml`).
"""

import json
import os
import re
from contextlib import chdir
from pathlib import Path

import pytest

import ringfence
from ringfence.errors import Diagnostic, PolicyError
from ringfence.language.codes import CODES
from ringfence.language.gates import to_ns
from ringfence.language.invariant_library import invariants_for
from ringfence.language.linking import LinkedSet, link
from ringfence.language.render import render_text
from ringfence.language.rules import read_rule
from ringfence.language.schema import check, kind_of
from ringfence.language.source import Document, load
from ringfence.language.yaml_findings import LINE_BREAK
from ringfence.review.approval_rules import DEFAULT_RULES, approval_findings
from ringfence.review.directed_changes import review_of
from ringfence.review.layout_files import lay_out, not_canonical
from ringfence.review.lint import lint
from ringfence.review.lost_checks import lost_invariants
from ringfence.review.mistakes import Context, Settings, find_mistakes
from ringfence.review.mistakes.previous import Previous, previous_of
from ringfence.review.mistakes.settings import load_settings
from ringfence.review.plan import Given, Side, make_plan
from ringfence.review.plan_findings import plan_findings
from ringfence.review.proof_words import findings_of
from ringfence.review.proofs import Question, prove
from ringfence.review.test_runner import run_case, run_file
from ringfence.review.testing.cases import cases_of_rule
from ringfence.review.testing.coverage import coverage_of
from ringfence.review.testing.findings import (
    failed_cases,
    survivors,
    too_few_noticed,
    too_little_covered,
    uncovered_items,
)
from ringfence.review.testing.mutation import mutate
from ringfence.review.testing.run import Suite
from ringfence.runtime.ports import SeededRandom

pytestmark = pytest.mark.unit

CASES = Path(__file__).parent / "cases" / "errors"
FOLDERS = sorted(folder.name for folder in CASES.iterdir() if folder.is_dir())
OWN = ("policy.yaml", "settings.yaml")


def content_of(folder: Path) -> bytes:
    recipe = folder / "generated.json"
    if not recipe.exists():
        return (folder / "policy.yaml").read_bytes()
    parts = json.loads(recipe.read_text(encoding="utf-8"))
    return (parts.get("before", "") + parts["repeat"] * parts["times"]).encode()


def style(folder: Path) -> list[Diagnostic]:
    """What `fmt --check` and `lint` say of the files in a folder, as far as the folder is about it."""
    with chdir(folder):
        files = list(lay_out([Path("policy.yaml")]))
        findings = lint(sorted(Path().glob("*.yaml")), Path()).findings
    findings += [found for file in files for found in file.findings]
    findings += [not_canonical(file) for file in files if file.changes]
    return [each for each in findings if each.code == folder.name]


def planned(folder: Path) -> list[Diagnostic]:
    sides = [
        Side(
            link(
                [load(path.read_bytes(), path.name) for path in sorted(place.glob("*.yaml"))],
                check_mandatory=False,
            ),
            "policy.yaml",
        )
        for place in (folder / "previous", folder)
    ]
    review = review_of(sides[0].linked, sides[1].linked, check_mandatory=False)
    checks = list(lost_invariants(sides[0].linked, sides[1].linked))
    given = Given(DEFAULT_RULES)
    return plan_findings(make_plan(sides[0], sides[1], given, review=review, checks=checks))


def diagnose(folder: Path) -> list[Diagnostic]:
    if folder.name in ("E565", "E566", "E567"):
        return planned(folder)
    if "E450" <= folder.name < "E500":
        return style(folder)
    try:
        document = load(content_of(folder), "policy.yaml")
        kind, findings = kind_of(document)
        if kind is None or folder.name.startswith("E1"):
            return check(document, kind) if kind is not None else findings
        if "E501" <= folder.name <= "E504":
            return left_unseen(document, folder.name)
        if kind == "Approvals":
            return approval_findings(document)
        others = [each for each in sorted(folder.glob("*.yaml")) if each.name not in OWN]
        more = [load(path.read_bytes(), path.name) for path in others]
        linked = link([document, *more], check_mandatory=folder.name == "E301")
        _, found = invariants_for(linked)
        if found:
            return found
        if "E530" <= folder.name < "E560":
            return failed_proofs(linked)
        if kind == "PolicyTest":
            results = run_file(document, None)
            invalid = [each for result in results for each in result.diagnostics]
            return invalid or failed_cases(results)
    except PolicyError as error:
        return list(error.diagnostics)
    return mistakes_in(folder, linked) if "E400" <= folder.name < "E450" else []


def left_unseen(document: Document, code: str) -> list[Diagnostic]:
    """What a rule's own cases do not show, or do not notice."""
    rule, _ = read_rule(document)
    assert rule is not None
    suite = Suite(None, None, (rule,), tuple(cases_of_rule(rule)), {})
    if code in ("E501", "E502"):
        coverage = coverage_of(map(run_case, suite.cases), None, suite.rules)
        return uncovered_items(coverage) if code == "E501" else too_little_covered(coverage, 100)
    mutation = mutate(suite, random=SeededRandom(0), at_most=100)
    return survivors(mutation) if code == "E503" else too_few_noticed(mutation, 100)


def failed_proofs(linked: LinkedSet) -> list[Diagnostic]:
    invariants, _ = invariants_for(linked)
    question = Question(linked, invariants, timeout_s=1, check_mandatory=False)
    return findings_of(prove(question), linked)


def mistakes_in(folder: Path, linked: LinkedSet) -> list[Diagnostic]:
    now = folder / "now"
    with chdir(folder):
        settings = settings_of(Path("settings.yaml"))
        before = Previous(None)
        if Path("previous").is_dir():
            before = previous_of("./previous", Path(), linked)
    at = now.read_text(encoding="utf-8").strip() if now.exists() else "2026-01-15"
    context = Context(linked, to_ns(at), before.linked, settings)
    return [*before.findings, *find_mistakes(context)]


def settings_of(path: Path) -> Settings:
    return load_settings(path) if path.exists() else Settings()


def rendered(folder: Path) -> str:
    def read_line(path: str, number: int) -> str:
        content = content_of(folder) if path == "policy.yaml" else (folder / path).read_bytes()
        lines = LINE_BREAK.split(content.decode("utf-8", "replace"))
        return lines[number - 1] if number <= len(lines) else ""

    return render_text(diagnose(folder), read_line)


@pytest.mark.parametrize("code", FOLDERS)
def test_error_reads_as_expected(code: str) -> None:
    folder = CASES / code
    expected = folder / "expected.txt"
    if os.environ.get("RINGFENCE_REWRITE_EXPECTED"):
        expected.write_text(rendered(folder), encoding="utf-8")

    assert rendered(folder) == expected.read_text(encoding="utf-8")


@pytest.mark.parametrize("code", FOLDERS)
def test_case_earns_its_code(code: str) -> None:
    assert code in {each.code for each in diagnose(CASES / code)}


@pytest.mark.parametrize("code", FOLDERS)
def test_every_finding_has_place_reason_and_fix(code: str) -> None:
    for each in diagnose(CASES / code):
        assert each.span is not None
        assert each.why
        assert each.fix
        assert not each.message.endswith(".")
        assert each.message[0] == "`" or each.message[0].islower()


def test_registry_and_folders_name_the_same_codes() -> None:
    assert sorted(CODES) == FOLDERS


def test_codes_in_the_source_are_registered() -> None:
    package = Path(ringfence.__file__).parent
    used = {
        code
        for folder in ("language", "review")
        for module in (package / folder).rglob("*.py")
        for code in re.findall(r'"(E\d\d\d)"', module.read_text(encoding="utf-8"))
    }

    assert used == set(CODES)
