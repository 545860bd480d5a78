"""Strict YAML: what is read, what is refused, and where everything stands."""

import math
from pathlib import Path
from typing import Any

import pytest

from ringfence.errors import Diagnostic, InputError, PolicyError
from ringfence.language.codes import MAX_FINDINGS
from ringfence.language.source import MAX_BYTES, load, load_file

pytestmark = pytest.mark.unit

POLICY = """\
# limits
metadata: {name: desk, tags: [a, b]}
spec:
  gates:
    - rule: total-exposure@1
      limits:
        max: 0.1

        # a comment after the value
    - rule: leverage@1
docs: |
  first
  second
"""


def refused(text: str | bytes) -> list[Diagnostic]:
    with pytest.raises(PolicyError) as caught:
        load(text, "p.yaml")
    return list(caught.value.diagnostics)


def codes(text: str | bytes) -> list[str]:
    return [each.code for each in refused(text)]


@pytest.mark.parametrize(
    ("written", "value"),
    [
        ("true", True),
        ("False", False),
        ("null", None),
        ("~", None),
        ("", None),
        ("0", 0),
        ("-3", -3),
        ("+3", 3),
        ("50_000", 50_000),
        ("1_000.5", 1000.5),
        (".5", 0.5),
        ("5.", 5.0),
        ("1e5", 1e5),
        (".inf", math.inf),
        ("-.inf", -math.inf),
        ("3%", "3%"),
        ("50_000 USD", "50_000 USD"),
        ("5s", "5s"),
        ("1.2.3", "1.2.3"),
        ("1__0", "1__0"),
        ("1,000", "1,000"),
        ("2026-01-05", "2026-01-05"),
        ("2026-01-05T12:00:00Z", "2026-01-05T12:00:00Z"),
        ("12:30:00", "12:30:00"),
        ("-", None),
        ("nothing", "nothing"),
        ("only", "only"),
        ("'no'", "no"),
        ('"010"', "010"),
        ("'10'", "10"),
        ("=", "="),
    ],
)
def test_scalar_reads_as(written: str, value: Any) -> None:
    if written == "-":
        assert load("a:\n  -\n", "p.yaml").data == {"a": [None]}
        return

    read = load(f"a: {written}\n", "p.yaml").data["a"]

    assert read == value
    assert type(read) is type(value)


def test_nan_is_read_and_marked() -> None:
    document = load("a: .nan", "p.yaml")

    assert math.isnan(document.data["a"])
    assert document.has_nonfinite
    assert not load("a: 1.5", "p.yaml").has_nonfinite


@pytest.mark.parametrize("word", ["no", "No", "NO", "yes", "on", "OFF", "y", "N"])
def test_implicit_boolean_is_refused_as_value_and_as_key(word: str) -> None:
    (value,) = refused(f"a: {word}")
    (key,) = refused(f"{word}: a")

    assert value.code == key.code == "E107"
    assert f'"{word}"' in value.fix


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("a: 010", "E115"),
        ("a: -0777", "E115"),
        ("a: 0_1", "E115"),
        ("a: 0x1F", "E115"),
        ("a: 0o17", "E115"),
        ("a: 0b11", "E115"),
        ("a: 1e400", "E116"),
        ("a: " + "9" * 65, "E116"),
        ("a: " + "9" * 5000, "E116"),
        ("1: a", "E114"),
        ("true: a", "E114"),
        ("null: a", "E114"),
        ("? \n: a", "E114"),
        ("[a]: b", "E114"),
        ("? {a: b}\n: c", "E114"),
        ("x: &x a\n*x : b", "E114"),
        ("a: !!str 3", "E113"),
        ("a: ! b", "E113"),
        ("!x a: b", "E113"),
        ("a: !!python/object/apply:os.system [id]", "E113"),
        ("a: !!map {b: c}", "E113"),
        ("<<: {a: b}", "E112"),
        ("a: *b", "E111"),
        ("a: &a [*a]", "E111"),
        ("a: &a 1\nb: &a 2", "E111"),
        ("a: 1\na: 2", "E108"),
        ('a: 1\n"a": 2', "E108"),
        ("a: 1\n---\nb: 2", "E106"),
        ("a: 1\n...\n---\nb: 2", "E106"),
        ("a:\n\tb: 1", "E105"),
        ("\ta: 1", "E105"),
        ("a:\n  b: 1\n\tc: 2", "E105"),
        ("a: \x00", "E104"),
        ("a: \x1b[31m", "E104"),
        ("a: b\u2028c", "E104"),
        ("a: \ud800", "E104"),
        ("a: b\ufeff", "E104"),
        ('a: "\\0"', "E104"),
        ('a: "\\e[31m"', "E104"),
        ('"\\L": a', "E104"),
        ("", "E103"),
        ("\ufeff", "E103"),
        ("# only a comment\n", "E103"),
        ("---\n", "E103"),
        ("null", "E103"),
        ("a: [1, 2", "E102"),
        ("a: {b: 1", "E102"),
        ("a: b: c", "E102"),
        ("a: 'x", "E102"),
        ("a: @b", "E102"),
        ("a: *", "E102"),
        ('a: "\\q"', "E102"),
        ("a: !%ed%a0%80 b", "E102"),
        ("%YAML 3.0\n---\na: 1", "E102"),
        (b"a: \xff", "E100"),
        ("a: 1".encode("utf-16"), "E100"),
    ],
)
def test_refused_with(text: str | bytes, code: str) -> None:
    assert codes(text) == [code]


def test_all_findings_of_a_file_come_at_once() -> None:
    assert codes("a: no\na: 010\nb: [*x, !t y]\nc: [1") == [
        "E107",
        "E108",
        "E115",
        "E111",
        "E113",
        "E102",
    ]


def test_findings_are_bounded() -> None:
    found = codes("- no\n" * 200_000)

    assert len(found) == MAX_FINDINGS + 1
    assert found.count("E117") == 1


@pytest.mark.parametrize("end", ["- [", "- !%ed%a0%80 b", "- *x", "---\n", "- 'x"])
def test_the_finding_beyond_the_bound_can_be_of_any_sort(end: str) -> None:
    found = codes("- no\n" * MAX_FINDINGS + end)

    assert len(found) == MAX_FINDINGS + 1
    assert "E117" in found


def test_control_characters_are_bounded_too() -> None:
    assert len(codes("\x01" * MAX_BYTES)) == MAX_FINDINGS + 1


def test_the_size_bound_counts_bytes() -> None:
    fits = "a: " + "x" * (MAX_BYTES - 3)

    assert load(fits, "p.yaml").data["a"][0] == "x"
    assert codes(fits + "x") == ["E101"]
    assert codes((fits + "x").encode()) == ["E101"]
    assert codes("a: " + "é" * (MAX_BYTES // 2)) == ["E101"]


@pytest.mark.parametrize("opening", ["[", "{a: ", "- ", "? ", "[{a: ", "[? "])
def test_deep_nesting_is_found_without_recursion_trouble(opening: str) -> None:
    found = codes((opening * MAX_BYTES)[:MAX_BYTES])

    assert "E109" in found
    assert set(found) <= {"E109", "E114"}


def test_nesting_up_to_the_bound_is_read() -> None:
    assert load("[" * 64 + "]" * 64, "p.yaml").data is not None
    assert codes("[" * 65 + "]" * 65) == ["E109"]


def test_aliases_cannot_nest_deeper_than_text() -> None:
    lines = ["a0: &a0 [[[[[[[[[[x]]]]]]]]]]"]
    lines += [f"a{n}: &a{n} [[[[[[[[[[*a{n - 1}]]]]]]]]]]" for n in range(1, 8)]

    assert codes("\n".join(lines)) == ["E109"]


def test_alias_bomb_is_refused() -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 40)]

    assert codes("\n".join(lines)) == ["E110"]


def test_alias_gives_data_of_its_own() -> None:
    data = load("a: &a {b: [1]}\nc: *a\nd: [*a]", "p.yaml").data

    assert data["c"] == data["a"] == data["d"][0] == {"b": [1]}
    data["c"]["b"].append(2)
    assert data["a"] == {"b": [1]}


def test_a_byte_order_mark_shifts_no_column() -> None:
    with_mark = load(b"\xef\xbb\xbfa: 1", "p.yaml")

    assert with_mark.data == {"a": 1}
    assert with_mark.key_span("a").column == 1


def test_values_keys_and_items_have_places() -> None:
    document = load(POLICY, "p.yaml")
    at = ("spec", "gates", 0, "limits", "max")

    assert str(document.span(*at)) == "p.yaml:7:14"
    assert document.span(*at).end_column == 17
    assert str(document.key_span(*at)) == "p.yaml:7:9"
    assert document.key_span(*at).end_column == 12
    assert str(document.span("metadata", "tags", 1)) == "p.yaml:2:34"
    assert str(document.key_span("spec", "gates", 1)) == "p.yaml:10:7"


def test_a_block_ends_where_its_text_ends() -> None:
    document = load(POLICY, "p.yaml")
    gate = document.span("spec", "gates", 0)
    docs = document.span("docs")

    assert (gate.line, gate.column, gate.end_line, gate.end_column) == (5, 7, 7, 17)
    assert (docs.line, docs.end_line, docs.end_column) == (11, 13, 9)


def test_a_missing_path_is_its_deepest_existing_part() -> None:
    document = load(POLICY, "p.yaml")

    assert document.span("metadata", "nope", 3) == document.span("metadata")
    assert document.key_span("spec", "gates", 99) == document.key_span("spec", "gates")
    assert document.span("nope") == document.span()


@pytest.mark.parametrize("line_end", ["\n", "\r\n", "\r"])
def test_lines_count_the_same_with_every_line_end(line_end: str) -> None:
    document = load(POLICY.replace("\n", line_end), "p.yaml")

    assert document.span("spec", "gates", 0, "limits", "max").line == 7
    assert document.line(7) == "        max: 0.1"
    assert document.line(0) == document.line(99) == ""


def test_columns_count_characters() -> None:
    assert load("é𝄞: [ü, x]", "p.yaml").span("é𝄞", 1).column == 9


def test_numbers_keep_the_text_they_were_written_as() -> None:
    document = load("a: 0.10\nb: 50_000\nc: '1.50'\nd: [1e-8]", "p.yaml")

    assert document.text_of("a") == "0.10"
    assert document.text_of("b") == "50_000"
    assert document.text_of("c") == "1.50"
    assert document.text_of("d", 0) == "1e-8"


@pytest.mark.parametrize("path", [("d",), ("nope",), ("a", 0), (), ("d", 5), ("d", -1)])
def test_text_of_something_else_is_a_key_error(path: tuple[str | int, ...]) -> None:
    with pytest.raises(KeyError):
        load("a: 1\nd: [2]", "p.yaml").text_of(*path)


def test_an_unclosed_list_points_back_at_its_start() -> None:
    (found,) = refused("a: [1,\n  b: c: d]")

    assert [str(span) for span in found.related] == ["p.yaml:1:4"]


def test_a_file_is_read_under_the_name_it_is_shown_by(tmp_path: Path) -> None:
    file = tmp_path / "p.yaml"
    file.write_text("a: 1", encoding="utf-8")

    assert load_file(file).path == str(file)
    assert load_file(file, "shown.yaml").span("a").path == "shown.yaml"


def test_what_is_no_file_is_bad_input(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="does not exist"):
        load_file(tmp_path / "none.yaml")
    (tmp_path / "link.yaml").symlink_to("nowhere.yaml")
    with pytest.raises(InputError, match="is a link that leads nowhere"):
        load_file(tmp_path / "link.yaml")
    with pytest.raises(InputError, match="is not a file"):
        load_file(tmp_path)


def test_a_huge_file_is_not_read_whole(tmp_path: Path) -> None:
    file = tmp_path / "p.yaml"
    with file.open("wb") as handle:
        handle.truncate(1 << 40)

    with pytest.raises(PolicyError) as caught:
        load_file(file)

    assert caught.value.diagnostics[0].code == "E101"
