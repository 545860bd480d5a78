"""Which rules may halt a book: those whose measure looks at the book as it is."""

import pytest

from ringfence.language.rules import read_rule
from strategies import own_rule

pytestmark = pytest.mark.unit


def read(measure: str):
    return read_rule(
        own_rule({"on_breach": "halt", "checks": [{"measure": measure, "limit": "0.5"}]})
    )


def test_a_measure_of_the_book_as_it_is_may_halt_it():
    rule, findings = read("book.drawdown")

    assert findings == []
    assert rule.can_halt
    assert rule.on_breach == "halt"


@pytest.mark.parametrize("measure", ["order.notional / book.equity", "market.spread"])
def test_one_order_cannot_halt_a_book_for_all_others(measure):
    _, findings = read(measure)

    assert [each.code for each in findings] == ["E208"]
    assert measure.split(" ")[0] in findings[0].message
