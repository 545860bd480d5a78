"""Pull requests, good and bad ones, through the whole gate: the verdict, and the comment word for word."""

import os
import re
from pathlib import Path

import pytest
from markdown_it import MarkdownIt

from review.pull_requests import CASES, NAMES, arguments, build, read
from ringfence.cli.main import main

pytestmark = [pytest.mark.integration, pytest.mark.needs("git", "git")]

EXIT_CODES = {"passed": 0, "waits": 1, "failed": 1}
# What the solver shows as an example is one of many; commits and the hashes of policy sets say that files are
# what they are, which the rest of the comment says in words.
UNSETTLED = {
    r"(?m)(?:^\*\*An order that gets [^\n]*\n\n(?:- [^\n]*\n)+\n?"
    r"(?:<details><summary>its books and prices</summary>\n\n[^\n]*\n\n</details>\n\n?)?)+": (
        "(orders that show it)\n\n"
    ),
    r"(does not hold: ).*?(<br>why: ).*?(<br>fix: )": r"\1(an order)\2(its figures)\3",
    r"(?m)^  (refuted +\S+).*\n(?:    .*\n)+": r"  \1 (an order)\n",
    r"\b[0-9a-f]{12}\b": "(hash)",
    r"ringfence \d+\.\d+\.\d+": "ringfence (version)",
}


def settled(comment: str) -> str:
    for pattern, instead in UNSETTLED.items():
        comment = re.sub(pattern, instead, comment)
    return comment


@pytest.mark.parametrize("name", NAMES)
def test_a_pull_request_gets_its_verdict_and_its_comment(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    case = read(name)
    build(case, tmp_path / "desk")
    monkeypatch.chdir(tmp_path / "desk")

    code = main(["ci", "--base", "main", "--comment", "../comment.md", *arguments(case)])

    said = capsys.readouterr()
    comment = settled((tmp_path / "comment.md").read_text(encoding="utf-8"))
    golden = CASES / name / "comment.md"
    if os.environ.get("RINGFENCE_REWRITE_EXPECTED"):
        golden.write_text(comment, encoding="utf-8")
    expected = case["expect"]
    assert code == EXIT_CODES[expected["verdict"]], said
    # A good one raises no finding at all, not even a warning.
    found = re.findall(r"\*\*(E\d{3})\*\*", comment)
    assert sorted(set(found)) == expected.get("codes", []), said
    assert [text for text in expected.get("says", ()) if text not in comment] == []
    if "step" in expected:
        assert re.search(rf"[❌⏳] \| <code>{expected['step']}</code>", comment)
    assert comment == golden.read_text(encoding="utf-8")


def test_the_example_in_the_documents_is_one_of_them() -> None:
    example = CASES.parents[2] / "docs" / "examples" / "gate-comment.md"
    golden = CASES / "a-raise-that-is-acknowledged" / "comment.md"

    assert settled(example.read_text(encoding="utf-8")) == golden.read_text(encoding="utf-8")


def test_there_are_thirty_of_them_and_both_kinds() -> None:
    verdicts = [read(name)["expect"]["verdict"] for name in NAMES]

    assert len(verdicts) >= 30
    assert verdicts.count("passed") >= 12
    assert verdicts.count("failed") + verdicts.count("waits") >= 15


@pytest.mark.parametrize("name", NAMES)
def test_a_comment_is_inert_and_whole(name: str) -> None:
    text = (CASES / name / "comment.md").read_text(encoding="utf-8")
    html = MarkdownIt("gfm-like", {"html": True, "linkify": False}).render(text)

    assert text.startswith("<!-- ringfence -->\n\n## ")
    assert len(text) < 65_000
    assert html.count("<details>") == html.count("</details>")
    assert set(re.findall(r"<(a|img|script)\b", html)) == set()
