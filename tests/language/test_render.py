"""Findings as text, JSON and annotations."""

import json

import pytest

from ringfence.errors import Diagnostic, Span
from ringfence.language.render import render_github, render_json, render_text

pytestmark = pytest.mark.unit

LINE = "    check: order.notional <= max_order_size"
MISMATCH = Diagnostic(
    "E203",
    "cannot compare USD with lots",
    Span("policies/desk_a/limits.yaml", 14, 30, 14, 44),
    why="`max_order_size` is in lots (rules/size/max_order_size.yaml:6:11), `order.notional` in USD",
    fix="compare `order.quantity`, or give the limit in USD",
)


def text_of(line: str, span: Span) -> list[str]:
    return render_text([Diagnostic("E102", "wrong", span)], lambda _path, _line: line).split("\n")


def test_text_shows_place_line_carets_reason_and_fix() -> None:
    line = "    check: order.notional <= max_order_size"

    text = render_text([MISMATCH], lambda path, number: line if number == 14 else path)

    assert text == (
        "policies/desk_a/limits.yaml:14:30: error[E203]: cannot compare USD with lots\n"
        "  14 |     check: order.notional <= max_order_size\n"
        "                                    ^^^^^^^^^^^^^^\n"
        "  why: `max_order_size` is in lots (rules/size/max_order_size.yaml:6:11),"
        " `order.notional` in USD\n"
        "  fix: compare `order.quantity`, or give the limit in USD\n"
    )


def test_an_empty_line_stands_between_two_findings() -> None:
    text = render_text([MISMATCH, MISMATCH], lambda _path, _line: "")

    assert text.count("\n\n") == 1
    assert text.endswith("in USD\n")


def test_a_finding_without_a_place_has_no_source() -> None:
    found = Diagnostic("E301", "no policies", severity="warning")

    assert render_text([found], lambda _path, _line: "never") == "warning[E301]: no policies\n"
    assert render_github([found]) == "::warning title=E301::no policies\n"
    assert render_json([found])[0]["line"] is None


def test_related_places_are_named() -> None:
    found = Diagnostic("E108", "twice", related=(Span("a.yaml", 2, 3, 2, 4),))

    assert render_text([found], lambda _path, _line: "").endswith("  see: a.yaml:2:3\n")


def test_a_span_over_lines_is_underlined_to_the_end_of_its_first() -> None:
    assert text_of("ab: cd", Span("p", 1, 5, 3, 2))[2].endswith("    ^^")


@pytest.mark.parametrize(
    ("line", "span", "carets"),
    [
        ("a:", Span("p", 1, 3, 1, 3), "  ^"),
        ("a: b", Span("p", 1, 99, 1, 120), "    ^"),
        ("日本: x", Span("p", 1, 5, 1, 6), "      ^"),
        ("日本: x", Span("p", 1, 1, 1, 3), "^^^^"),
        ("\ta: x", Span("p", 1, 5, 1, 6), "    ^"),
    ],
)
def test_carets_stand_below_their_text(line: str, span: Span, carets: str) -> None:
    assert text_of(line, span)[2] == "      " + carets


def test_a_long_line_is_cut_around_the_place() -> None:
    _, shown, carets, *_ = text_of(
        "x" * 500_000 + "HERE" + "y" * 500_000, Span("p", 1, 500_001, 1, 500_005)
    )

    assert len(shown) < 140
    assert shown[carets.index("^") : carets.index("^") + 4] == "HERE"
    assert carets.count("^") == 4


def test_control_characters_never_reach_the_terminal() -> None:
    hostile = "a\x1b[31m\u202eb"
    found = Diagnostic("E104", hostile, Span(hostile, 1, 1, 1, 2), why=hostile, fix=hostile)

    for rendering in (
        render_text([found], lambda _path, _line: hostile),
        render_github([found]),
        json.dumps(render_json([found])),
    ):
        assert "\x1b" not in rendering
        assert "\u202e" not in rendering


def test_colour_is_only_added_on_demand() -> None:
    assert "\x1b[1;31merror[E203]\x1b[0m" in render_text(
        [MISMATCH], lambda _p, _l: LINE, color=True
    )
    assert "\x1b" not in render_text([MISMATCH], lambda _p, _l: LINE)


def test_json_names_every_part() -> None:
    (found,) = render_json([MISMATCH])

    assert found | {"title": ""} == {
        "code": "E203",
        "severity": "error",
        "title": "",
        "message": MISMATCH.message,
        "why": MISMATCH.why,
        "fix": MISMATCH.fix,
        "path": "policies/desk_a/limits.yaml",
        "line": 14,
        "column": 30,
        "end_line": 14,
        "end_column": 44,
        "related": [],
    }


def test_annotations_escape_what_could_end_them() -> None:
    found = Diagnostic(
        "E1,2", "50%\r\n::error::x", Span("a,b:c.yaml", 1, 2, 1, 5), why="w", fix="f"
    )

    assert render_github([found]) == (
        "::error file=a%2Cb%3Ac.yaml,line=1,endLine=1,col=2,endColumn=5,title=E1%2C2"
        "::50%25%0D%0A::error::x%0Awhy: w%0Afix: f\n"
    )


def test_annotations_over_lines_have_no_end_column() -> None:
    found = Diagnostic("E102", "x", Span("p", 1, 2, 3, 1))

    assert "endLine=3,col=2,title" in render_github([found])
