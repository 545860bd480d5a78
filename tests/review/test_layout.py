"""The canonical layout: nothing is lost, nothing means anything else, and a second pass changes nothing."""

import tracemalloc
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given, settings

from ringfence.errors import PolicyError
from ringfence.language.source import load, load_file
from ringfence.review import layout
from ringfence.review.layout import comments_in, format_document
from ringfence.review.layout_files import lay_out
from strategies.untidy_yaml import untidy_documents

pytestmark = pytest.mark.unit

ROOT = Path(__file__).resolve().parents[2]
OURS = (
    "policies",
    "rules",
    "examples",
    "engine/ringfence/replay/mappings",
    "engine/ringfence/language/shipped_invariants",
)
LONG = "a text that goes on and on for the sake of this test, and longer still than one line may be, which is why it is folded"


def laid_out(text: str) -> str:
    return format_document(load(text, "policy.yaml"))


@settings(max_examples=150)
@given(untidy=untidy_documents())
def test_any_document_keeps_its_meaning_and_comments_and_a_second_pass_changes_nothing(
    untidy: tuple[str, list[str]],
) -> None:
    text, comments = untidy
    before = load(text, "policy.yaml")

    made = format_document(before)

    assert load(made, "policy.yaml").data == before.data
    assert Counter(comments) == comments_in(text) == comments_in(made)
    assert laid_out(made) == made


@pytest.mark.parametrize("place", OURS)
def test_our_own_documents_are_laid_out(place: str) -> None:
    found = list(lay_out([ROOT / place]))

    assert found
    assert [str(each.path) for each in found if each.changes or each.findings] == []


@pytest.mark.parametrize(
    ("before", "after"),
    [
        pytest.param("a:\n    b: 1\n", "a:\n  b: 1\n", id="two columns a level"),
        pytest.param("a:\n- 1\n-   b: 2\n    c: 3\n", "a:\n  - 1\n  - b: 2\n    c: 3\n", id="lists"),
        pytest.param("- - 1\n  - 2\n-\n  a: 1\n", "- - 1\n  - 2\n- a: 1\n", id="lists in lists"),
        pytest.param("a: {b: 1,c:  [2,3] }", "a: {b: 1, c: [2, 3]}\n", id="brackets"),
        pytest.param("{a: 1, b: }", "{a: 1, b: null}\n", id="a whole document in brackets"),
        pytest.param("a: {}\nb: [ ]\nc:\n", "a: {}\nb: []\nc:\n", id="nothing in it"),
        pytest.param("---\n'a': 'b'\n...\n", "a: b\n", id="markers and quotes that nothing needs"),
        pytest.param("? a\n: b\n", "a: b\n", id="a question mark"),
        pytest.param("\n\na: 1\n\n\n\nb: 2\n\n\n", "a: 1\n\nb: 2\n", id="empty lines"),
        pytest.param("a:\n\n  b: 1\n", "a:\n  b: 1\n", id="no empty line where a block begins"),
        pytest.param("a: 1\r\n# c\r\nb: 2\r\n", "a: 1\n# c\nb: 2\n", id="line ends"),
        pytest.param("\ufeffa: 1   \n", "a: 1\n", id="byte order mark and blanks at the end"),
        pytest.param("a: &x {b: 1}\nc: *x\n", "a: &x {b: 1}\nc: *x\n", id="anchors"),
        pytest.param("c: [&x 1, *x]\na:\n  &y\n  b: 1\n", "c: [&x 1, *x]\na: &y\n  b: 1\n", id="more anchors"),
        pytest.param("- &x\n  a: 1\n- *x\n", "- &x\n  a: 1\n- *x\n", id="an anchor of an item"),
        pytest.param("a: one\n  two\n", "a: one two\n", id="plain text over two lines"),
        pytest.param("a: >-", 'a: ""\n', id="a block of text without any"),
        pytest.param("a:\tb\t# c\n", "a: b  # c\n", id="tabs between"),
        pytest.param("a: # c\n  # d\n  b # e\n", "# c\n# d\na: b  # e\n", id="comments about one value"),
        pytest.param("a:\n   # none\n\n# c\nb:\n", "a:\n  # none\n\n# c\nb:\n", id="a comment for a value"),
        pytest.param('a: "x\\ty\\u00e9"\n', 'a: "x\\tyé"\n', id="escapes"),
    ],
)  # fmt: skip
def test_layout(before: str, after: str) -> None:
    assert laid_out(before) == after


@pytest.mark.parametrize(
    "text", ["no", "1.0", "00:00", "2026-01-05", "null", "a: b", "a #b", "50_000", "", "x:", " x"]
)
def test_text_that_a_reader_could_take_for_something_else_keeps_its_quotes(text: str) -> None:
    assert laid_out(f"a: '{text}'\n") == f'a: "{text}"\n'


@pytest.mark.parametrize("text", ["a, b", "[x]", "it's", "a|b", "x: y"])
def test_in_brackets_less_can_do_without_quotes(text: str) -> None:
    assert laid_out(f'a: ["{text}"]\n') == f'a: ["{text}"]\n'


def test_quotes_inside_text_choose_the_other_quotes() -> None:
    assert (
        laid_out('a: "say \\"so\\""\nb: \'it\'\'s: "x"\'\n')
        == "a: 'say \"so\"'\nb: 'it''s: \"x\"'\n"
    )


def test_keys_have_an_order_and_their_comments_go_with_them() -> None:
    before = """\
# yaml-language-server: $schema=policy.json
kind: Policy
# What it holds.
spec:
  gates:
  - limits: {max: 1 USD} # the limit
    own: 1
    # Which rule.
    rule: spread@1
  currency: USD # of the desk
# Who answers for it.
metadata: {name: desk}
apiVersion: ringfence/v1
"""

    assert laid_out(before) == """\
# yaml-language-server: $schema=policy.json
apiVersion: ringfence/v1
kind: Policy
# Who answers for it.
metadata: {name: desk}
# What it holds.
spec:
  currency: USD  # of the desk
  gates:
    # Which rule.
    - rule: spread@1
      limits: {max: 1 USD}  # the limit
      own: 1
"""


def test_where_there_are_anchors_no_key_moves() -> None:
    text = "kind: &kind Policy\napiVersion: *kind\n"

    assert laid_out(text) == text


def test_brackets_with_comments_are_opened() -> None:
    assert laid_out("a: {b: 1, # one\n  # two\n  c: [2]\n  # three\n}\n") == (
        "a:\n  b: 1  # one\n  # two\n  c: [2]\n  # three\n"
    )
    assert laid_out("a: [ # none\n]\n- b\n".replace("- b\n", "")) == "# none\na: []\n"


def test_brackets_that_do_not_fit_are_opened_where_something_is_nested_in_them() -> None:
    inner = "{name: " + "x" * 60 + "}"

    assert laid_out(f"a: {{b: {inner}, c: {inner}}}\n") == f"a:\n  b: {inner}\n  c: {inner}\n"
    assert laid_out(f"- {{b: {inner}, c: {inner}}}  # why\n") == (
        f"# why\n- b: {inner}\n  c: {inner}\n"
    )


def test_brackets_that_do_not_fit_and_hold_nothing_nested_go_over_several_lines() -> None:
    names = [f"name-{number:03}" for number in range(24)]

    text = laid_out(f"a: [{', '.join(names)}]  # all\n- b\n".replace("- b\n", ""))

    lines = text.splitlines()
    assert lines[0] == "a:"
    assert [line[:3] for line in lines[1:]] == ["  [", "   ", "   "]
    assert all(len(line) <= 120 for line in lines)
    assert lines[-1].endswith("name-023]  # all")
    assert laid_out(f"- {{{', '.join(f'{each}: 1' for each in names)}}}\n").startswith(
        "- {name-000: 1, "
    )


@pytest.mark.parametrize(
    "block",
    [
        "|\n  one\n\n    two\n",
        "|-\n  one\n",
        "|2\n    deep\n  shallow\n",
        ">\n  one\n  two\n\n  three\n    four\n",
        ">-  # why\n  one\n",
    ],
)
def test_blocks_of_text_stay(block: str) -> None:
    assert laid_out(f"a: {block}b: 1\n") == f"a: {block}b: 1\n"


def test_blocks_of_text_go_where_their_key_goes() -> None:
    assert laid_out("a:\n     b: |\n         one\n           two\n") == (
        "a:\n  b: |\n    one\n      two\n"
    )


@pytest.mark.parametrize("block", ["|+\n  one\n\n", ">+\n  one\n\n", ">2\n    deep\n", "|\n\n"])
def test_a_block_whose_lines_cannot_be_laid_out_becomes_quoted_text(block: str) -> None:
    data = load(f"a: {block}", "policy.yaml").data

    text = laid_out(f"a: {block}")

    assert text.startswith('a: "')
    assert load(text, "policy.yaml").data == data


def test_long_text_over_several_lines_is_folded() -> None:
    text = laid_out(f'a: "{LONG}\n  {LONG}"\n')

    assert text.startswith("a: >-\n  a text")
    assert max(map(len, text.splitlines())) <= 100


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        (lambda text: text.replace("1", "2"), "a value would change"),
        (lambda text: text.replace("1", "'1'"), "a value would change"),
        (lambda text: text.replace("- 1", "- 1\n  - 1"), "a value would change"),
        (lambda text: text.replace("# c", "# d"), "a comment would be lost"),
        (lambda text: text.replace("a:", "  a:\n b:"), "it could no longer be read"),
    ],
)
def test_a_printer_that_errs_is_not_believed(
    changed: object, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    printed = layout.print_layout
    monkeypatch.setattr(layout, "print_layout", lambda tree: changed(printed(tree)))

    with pytest.raises(PolicyError, match=f"E450: .*{said}"):
        laid_out("a:\n- 1 # c\n")


def test_a_printer_that_is_never_done_is_not_believed(monkeypatch: pytest.MonkeyPatch) -> None:
    printed, ends = layout.print_layout, iter(["\n", ""])
    monkeypatch.setattr(layout, "print_layout", lambda tree: printed(tree) + next(ends))

    with pytest.raises(PolicyError, match=r"E450: .*it would change again the next time"):
        laid_out("a:\n- 1 # c\n")


def test_numbers_that_are_none_stay_what_they_are() -> None:
    text = (ROOT / "rules" / "spread.yaml").read_text(encoding="utf-8")
    assert ".nan" in text

    untidy = text.replace("\n  ", "\n     ")

    assert laid_out(untidy.replace("\n     ", "\n  ")) == text
    assert load_file(ROOT / "rules" / "spread.yaml").has_nonfinite


@pytest.mark.performance
def test_a_long_line_takes_no_more_memory_than_its_items_do() -> None:
    document = load("a: [" + ", ".join(["1"] * 6_000) + "]\n", "policy.yaml")

    tracemalloc.start()
    try:
        format_document(document)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()

    assert peak < 25_000_000
