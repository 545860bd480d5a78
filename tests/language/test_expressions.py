"""Expressions: what parses, what is refused and where, units, and the direction in the size."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringfence.errors import Span
from ringfence.language import ir
from ringfence.language.canonical import expression_text
from ringfence.language.fields import FIELDS
from ringfence.language.parser import parse_expression
from ringfence.language.slopes import Slope, slope
from ringfence.language.units import COUNT, DURATION, MONEY, RATIO, choice

pytestmark = pytest.mark.unit

PARAMS = {
    "max": MONEY,
    "share": RATIO,
    "n": COUNT,
    "window": DURATION,
    "working": choice("worst-case", "gross"),
}


def parsed(text: str) -> ir.Node:
    node, findings = parse_expression(text, PARAMS)
    assert findings == []
    assert node is not None
    return node


def codes(text: str) -> list[str]:
    node, findings = parse_expression(text, PARAMS)
    assert node is None
    return [each.code for each in findings]


@pytest.mark.parametrize(
    ("text", "unit"),
    [
        ("order.size * order.price", "money"),
        ("order.notional / order.size", "price"),
        ("book.exposure_after / book.equity", "ratio"),
        ("params.share * book.equity", "money"),
        ("2 * order.notional + params.max", "money"),
        ("max(order.notional, params.max, book.position_after)", "money"),
        ("1 if order.is_buy and market.spread < 3e-2 else 0", "number"),
        ("market.age", "duration"),
        ("book.positions_after + 1", "count"),
        ("abs(-order.notional)", "money"),
        ("0 if params.working == 'gross' else 1", "number"),
        ("1 if 0 < market.spread <= 0.5 else 0", "number"),
    ],
)
def test_unit_of_an_expression(text: str, unit: str) -> None:
    assert parsed(text).unit.kind == unit


@pytest.mark.parametrize(
    "text",
    [
        "().__class__",
        "__import__('os')",
        "9**9**9",
        "order.size.__class__",
        "[x for x in ()]",
        "lambda: 1",
        "f'{order.size}'",
        "order.size[0]",
        "(y := 1)",
        "print(1)",
        "max(*[1])",
        "order.size // 2",
        "order.size % 2",
        "1 in (1, 2)",
        "'text'",
        "None",
        "1j",
        "~1",
    ],
)
def test_anything_outside_the_list_is_refused(text: str) -> None:
    assert set(codes(text)) <= {"E202", "E204"}


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("order.size + order.notional", "E203"),
        ("order.size < order.notional", "E203"),
        ("order.notional and 1", "E203"),
        ("order.is_buy + 1", "E203"),
        ("1 if order.size else 0", "E203"),
        ("order.notionall", "E204"),
        ("params.maxx", "E204"),
        ("params.working == 'net'", "E204"),
        ("market.spread > 3", "E205"),
        ("5 <= book.drawdown", "E205"),
        ("1" * 3000, "E206"),
        ("-" * 200 + "1", "E206"),
        ("(" * 500 + "1" + ")" * 500, "E201"),
        ("book.day_loss", "E207"),
        ("1 +", "E201"),
        ("", "E201"),
        ("a b", "E201"),
        ("max(1)", "E201"),
        ("order.notional # + params.max", "E201"),
        ("ab\u017f(order.notional)", "E201"),
        ("\uff4frder.notional", "E201"),
        ("params.working == 'gro\u202ess'", "E201"),
        ("1e999", "E206"),
        ("\0", "E201"),
    ],
)
def test_each_fault_has_its_code(text: str, code: str) -> None:
    assert code in codes(text)


def test_all_faults_of_an_expression_are_reported_at_their_place() -> None:
    span = Span("rule.yaml", 7, 10, 7, 40)
    _, findings = parse_expression("order.sise + foo.bar + x ** 2", PARAMS, span=span)

    assert [(each.code, each.span.column) for each in findings if each.span] == [
        ("E204", 10),
        ("E204", 23),
        ("E202", 33),
    ]
    assert "order.size" in findings[0].fix


def test_currencies_do_not_add_up() -> None:
    euro = ir.Param("fee", MONEY.__class__("money", money=1, currency="EUR"))

    with pytest.raises(Exception, match="no FX rate"):
        ir.Arithmetic("+", ir.Field("order.notional"), euro)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("params.max", Slope.CONSTANT),
        ("order.notional", Slope.RISING),
        ("-order.notional", Slope.FALLING),
        ("params.max - order.notional", Slope.FALLING),
        ("params.share * book.exposure_after", Slope.EITHER),
        ("2 * order.notional", Slope.RISING),
        ("abs(order.notional - params.max)", Slope.EITHER),
        ("max(order.notional, params.max)", Slope.RISING),
        ("order.notional if order.is_buy else params.max", Slope.RISING),
        ("params.max if order.size > instrument_lot else params.max", Slope.EITHER),
    ],
)
def test_direction_in_the_size(text: str, expected: Slope) -> None:
    text = text.replace("instrument_lot", "instrument.lot_step")
    parameters = {**PARAMS, "working": PARAMS["working"]}
    node, findings = parse_expression(text, parameters)
    assert findings == []
    assert node is not None

    assert slope(node) is expected


def test_canonical_text_parses_to_the_same_tree() -> None:
    text = "max(order.notional,params.max) if not order.is_buy else 2*params.max-order.notional"
    node = parsed(text)

    assert parsed(expression_text(node)) == node


@given(st.text(max_size=200))
def test_any_text_gives_a_tree_or_findings(text: str) -> None:
    node, findings = parse_expression(text, PARAMS)

    assert (node is None) == bool(findings)


@given(
    st.recursive(
        st.sampled_from([*FIELDS, "params.max", "1", "0.5", "'gross'"]),
        lambda part: st.one_of(
            st.tuples(part, st.sampled_from("+-*/<>"), part).map(" ".join).map("({})".format),
            part.map("abs({})".format),
            st.tuples(part, part, part).map(lambda p: f"({p[0]} if {p[1]} else {p[2]})"),
        ),
        max_leaves=12,
    )
)
def test_grammatical_text_never_crashes_the_typing(text: str) -> None:
    node, findings = parse_expression(text, PARAMS)

    assert (node is None) == bool(findings)
