"""Findings in the forms that other programs read, and the options that choose one."""

import argparse
import json
from pathlib import Path
from xml.etree import ElementTree

import jsonschema
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ringfence.cli.main import main
from ringfence.cli.output import FORMS, add_format, findings_text, show_findings
from ringfence.errors import Diagnostic, Span
from ringfence.language.codes import CODES

pytestmark = pytest.mark.unit

ROOT = Path(__file__).resolve().parents[2]
FIXTURES = Path(__file__).parent / "fixtures"
SARIF = jsonschema.Draft4Validator(
    json.loads((FIXTURES / "sarif-schema-2.1.0.json").read_text(encoding="utf-8"))
)
FINDINGS = jsonschema.Draft202012Validator(
    json.loads((ROOT / "schemas" / "findings.v1.schema.json").read_text(encoding="utf-8"))
)

GATES = [f"    - rule: {name}@1\n" for name in ("kill-switch", "spread", "spread")]
POLICY = "apiVersion: ringfence/v1\nspec:\n  gates:\n" + "".join(GATES)
TWICE = Diagnostic(
    "E304",
    "two gates are called `spread`",
    Span("policies/desk one.yaml", 6, 7, 6, 21),
    why="a decision names its gates",
    fix="give one a name: `name: spread-2`",
    related=(Span("policies/desk one.yaml", 5, 7, 5, 21),),
)
WARNING = Diagnostic("E301", "nothing is covered", severity="warning", why="so", fix="cover it")


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "policies").mkdir()
    path = tmp_path / "policies" / "desk one.yaml"
    path.write_text(POLICY, encoding="utf-8")
    return path


def sarif_of(*findings: Diagnostic) -> dict:
    log = json.loads(findings_text(findings, "sarif"))
    SARIF.validate(log)
    return log["runs"][0]


def fingerprints(*findings: Diagnostic) -> list[str]:
    results = sarif_of(*findings)["results"]
    return [each["partialFingerprints"]["primaryLocationLineHash"] for each in results]


def moved(finding: Diagnostic, lines: int, path: str = "") -> Diagnostic:
    span = finding.span
    assert span is not None
    place = Span(
        path or span.path,
        span.line + lines,
        span.column,
        span.end_line + lines,
        span.end_column,
    )
    return Diagnostic(finding.code, finding.message, place, finding.why, finding.fix)


@pytest.mark.usefixtures("desk")
def test_sarif_names_the_rule_the_place_and_the_level() -> None:
    run = sarif_of(TWICE, WARNING)

    rules, results = run["tool"]["driver"]["rules"], run["results"]
    assert [(each["id"], each["shortDescription"]["text"]) for each in rules] == [
        ("E304", CODES["E304"]),
        ("E301", CODES["E301"]),
    ]
    assert rules[0]["fullDescription"]["text"] == TWICE.why
    assert rules[0]["help"]["text"] == TWICE.fix
    assert [(each["ruleIndex"], each["level"]) for each in results] == [
        (0, "error"),
        (1, "warning"),
    ]
    assert "locations" not in results[1]
    assert results[0]["locations"][0]["physicalLocation"] == {
        "artifactLocation": {"uri": "policies/desk%20one.yaml", "uriBaseId": "%SRCROOT%"},
        "region": {"startLine": 6, "startColumn": 7, "endLine": 6, "endColumn": 21},
    }
    assert results[0]["relatedLocations"][0]["physicalLocation"]["region"]["startLine"] == 5
    assert results[0]["message"]["text"].splitlines() == [
        TWICE.message,
        f"why: {TWICE.why}",
        f"fix: {TWICE.fix}",
    ]


def test_no_directory_of_the_machine_is_named_for_files_below_the_present_one(desk: Path) -> None:
    inside = moved(TWICE, 0, str(desk))
    outside = moved(TWICE, 0, "/elsewhere/desk.yaml")

    places = [
        each["locations"][0]["physicalLocation"]["artifactLocation"]
        for each in sarif_of(inside, outside)["results"]
    ]

    assert places == [
        {"uri": "policies/desk%20one.yaml", "uriBaseId": "%SRCROOT%"},
        {"uri": "file:///elsewhere/desk.yaml"},
    ]
    assert fingerprints(inside) == fingerprints(TWICE)


def test_a_fingerprint_stays_when_lines_move_and_tells_equal_lines_apart(desk: Path) -> None:
    before = fingerprints(TWICE)
    desk.write_text("# A comment.\n\n" + POLICY, encoding="utf-8")

    assert fingerprints(moved(TWICE, 2)) == before
    first, second = fingerprints(moved(TWICE, 1), moved(TWICE, 2))
    assert first != second


@pytest.mark.usefixtures("desk")
def test_a_fingerprint_changes_with_the_line_and_the_message() -> None:
    other = Diagnostic(TWICE.code, "three gates are called `spread`", TWICE.span)

    assert fingerprints(TWICE) != fingerprints(moved(TWICE, -2))
    assert fingerprints(TWICE) != fingerprints(other)


@pytest.mark.usefixtures("desk")
def test_a_place_in_a_message_is_no_part_of_the_fingerprint() -> None:
    def said(line: int) -> Diagnostic:
        return Diagnostic("E304", f"also bound at desk.yaml:{line}:7, line {line}", TWICE.span)

    assert fingerprints(said(5)) == fingerprints(said(50))


texts = st.text(max_size=20)
spans = st.builds(
    lambda path, line, column, width: Span(path, line, column, line, column + width),
    st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=12),
    st.integers(1, 50),
    st.integers(1, 50),
    st.integers(1, 9),
)
findings = st.builds(
    Diagnostic,
    st.sampled_from(sorted(CODES)),
    texts,
    st.none() | spans,
    texts,
    texts,
    st.sampled_from(["error", "warning", "note"]),
    st.lists(spans, max_size=2).map(tuple),
)


@settings(max_examples=60)
@given(found=st.lists(findings, max_size=4))
def test_any_findings_make_sound_sarif_json_and_junit(found: list[Diagnostic]) -> None:
    run = sarif_of(*found)
    said = json.loads(findings_text(found, "json"))
    listed = ElementTree.fromstring(findings_text(found, "junit"))

    FINDINGS.validate(said)
    assert len(run["results"]) == len(said["findings"]) == len(listed.findall(".//testcase"))
    failures = sum(each.severity == "error" for each in found)
    assert len(listed.findall(".//failure")) == failures
    assert said["valid"] is (failures == 0)


def test_junit_lists_what_failed_what_is_a_warning_and_what_is_sound() -> None:
    text = findings_text([TWICE, WARNING], "junit", checked=["policies"], command="lint")

    (suite,) = ElementTree.fromstring(text)
    assert (suite.get("name"), suite.get("tests"), suite.get("failures")) == (
        "ringfence lint",
        "3",
        "1",
    )
    sound, failed, warned = suite.findall("testcase")
    assert (sound.get("classname"), len(sound)) == ("policies", 0)
    assert (failed.get("file"), failed.get("line")) == ("policies/desk one.yaml", "6")
    assert "fix: give one a name" in failed.findtext("failure", "")
    assert "nothing is covered" in warned.findtext("system-out", "")


@pytest.mark.parametrize(
    ("found", "said"),
    [
        ([TWICE], "\n1 finding\n"),
        ([TWICE, TWICE], "\n2 findings\n"),
        ([WARNING], "\n1 warning\n"),
        ([WARNING, WARNING], "\n2 warnings\n"),
        ([TWICE, WARNING], "\n2 findings, one a warning\n"),
        ([TWICE, WARNING, WARNING], "\n3 findings, 2 of them warnings\n"),
        ([], ""),
    ],
)
def test_text_ends_with_the_count(found: list[Diagnostic], said: str) -> None:
    assert findings_text(found, "text").endswith(said)


def test_text_goes_to_standard_error_and_other_forms_to_standard_output(
    capsys: pytest.CaptureFixture[str],
) -> None:
    show_findings([TWICE], "text")
    assert capsys.readouterr().out == ""
    for form in FORMS.keys() - {"text"}:
        show_findings([TWICE], form)
        shown = capsys.readouterr()
        assert "two gates are called" in shown.out
        assert shown.err == ""


@pytest.mark.parametrize("words", [["--json"], ["--format", "json"]])
def test_json_has_a_short_form(words: list[str]) -> None:
    parser = argparse.ArgumentParser()
    add_format(parser, ("text", "json"))

    assert parser.parse_args(words).format == "json"
    assert parser.parse_args([]).format == "text"
    with pytest.raises(SystemExit):
        parser.parse_args(["--format", "sarif"])


@pytest.mark.parametrize("form", sorted(FORMS.keys() - {"text", "github"}))
def test_a_sound_set_is_reported_in_every_form_that_programs_read(
    form: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["validate", str(ROOT / "policies"), "--format", form]) == 0

    text = capsys.readouterr().out
    if form == "junit":
        assert ElementTree.fromstring(text)[0].get("failures") == "0"
        return
    said = json.loads(text)
    (FINDINGS if form == "json" else SARIF).validate(said)
    assert form != "sarif" or said["runs"][0]["results"] == []
    assert form != "json" or said["sets"][0]["policies"] == 3
