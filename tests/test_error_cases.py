"""One folder per error code: a file that earns it, and exactly what the user then reads.

A file that would be too large to keep is described in `generated.json` instead: a text before, a text
to repeat, and how often. `RINGFENCE_REWRITE_EXPECTED=1` writes the expected texts anew, for review.
"""

import json
import os
import re
from pathlib import Path

import pytest

import ringfence
from ringfence.errors import Diagnostic, PolicyError
from ringfence.language.codes import CODES
from ringfence.language.linking import link
from ringfence.language.render import render_text
from ringfence.language.schema import check, kind_of
from ringfence.language.source import load
from ringfence.language.yaml_findings import LINE_BREAK
from ringfence.review.approval_rules import approval_findings
from ringfence.review.test_runner import run_file

pytestmark = pytest.mark.unit

CASES = Path(__file__).parent / "cases" / "errors"
FOLDERS = sorted(folder.name for folder in CASES.iterdir() if folder.is_dir())


def content_of(folder: Path) -> bytes:
    recipe = folder / "generated.json"
    if not recipe.exists():
        return (folder / "policy.yaml").read_bytes()
    parts = json.loads(recipe.read_text(encoding="utf-8"))
    return (parts.get("before", "") + parts["repeat"] * parts["times"]).encode()


def diagnose(folder: Path) -> list[Diagnostic]:
    try:
        document = load(content_of(folder), "policy.yaml")
        kind, findings = kind_of(document)
        if kind is None or folder.name.startswith("E1"):
            return check(document, kind) if kind is not None else findings
        if kind == "Approvals":
            return approval_findings(document)
        more = [load(path.read_bytes(), path.name) for path in sorted(folder.glob("second.yaml"))]
        link([document, *more], check_mandatory=folder.name == "E301")
        if kind == "PolicyTest":
            return [each for result in run_file(document, None) for each in result.diagnostics]
    except PolicyError as error:
        return list(error.diagnostics)
    return []


def rendered(folder: Path) -> str:
    def read_line(path: str, number: int) -> str:
        second = folder / path
        content = second.read_bytes() if path == "second.yaml" else content_of(folder)
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
        for module in (package / folder).glob("*.py")
        for code in re.findall(r'"(E\d\d\d)"', module.read_text(encoding="utf-8"))
    }

    assert used == set(CODES)
