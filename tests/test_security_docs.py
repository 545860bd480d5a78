"""The threat model tells the truth: each threat has a test, and each test that it names exists."""

import re
from pathlib import Path

import pytest

pytestmark = [pytest.mark.unit, pytest.mark.security]

ROOT = Path(__file__).resolve().parents[1]
PAGE = (ROOT / "docs" / "security.md").read_text("utf-8")
NAMED = re.compile(r"`(tests/[\w/]+\.py)::(test_\w+)`")
# Tables of threats have three columns, and the third one names tests.
THREATS = [
    [cell.strip() for cell in line.strip("|").split("|")]
    for table in re.findall(r"\| threat \|.*\n\|[ -|]+\n((?:\|.*\n)+)", PAGE)
    for line in table.splitlines()
]


def test_every_test_that_is_named_exists() -> None:
    missing = []
    for path, name in NAMED.findall(PAGE):
        file = ROOT / path
        text = file.read_text("utf-8") if file.is_file() else ""
        if not re.search(rf"^def {name}\(", text, re.MULTILINE):
            missing.append(f"{path}::{name}")

    assert missing == []


def test_every_threat_has_something_in_its_way_and_a_test_that_shows_it() -> None:
    assert len(THREATS) > 40
    assert [row for row in THREATS if len(row) != 3 or not row[1] or not NAMED.search(row[2])] == []


@pytest.mark.parametrize(
    "words",
    [
        "sent without being decided", "approval is forged", "used twice", "YAML that expands", "kill switch",
        "record is changed", "forges lines of a log", "shows in a log", "package with known faults",
        "out of its container", "runs in a page",
    ],
)  # fmt: skip
def test_what_is_attacked_first_is_there(words: str) -> None:
    assert any(words in row[0] for row in THREATS), words
