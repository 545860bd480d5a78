"""Books that are put together from a record know new names, and the limits are bound to them anew."""

from pathlib import Path

import pytest

from ringfence.runtime.asked import Asked, read_order
from ringfence.runtime.derived_books import DerivedBooks
from ringfence.runtime.evaluator import Evaluator, Route
from runtime.desk import order, policies

pytestmark = pytest.mark.unit


def test_a_new_name_is_known_to_the_limits(tmp_path: Path) -> None:
    linked = policies(tmp_path / "policies").linked
    books = DerivedBooks(linked)
    evaluator = Evaluator(linked, books)
    known = len(evaluator._limits.bindings.account_class)

    # One at a time, as the records of a log may name them.
    for number in range(20):
        books.know([f"late-{number}"], [f"late-{number}"], [], [])
        asked = read_order(order("1", account=f"late-{number}", strategy=f"late-{number}"))
        assert isinstance(asked, Asked)
        route = evaluator.route(asked)

        assert isinstance(route, Route)
        assert route.codes[0] < len(evaluator._limits.bindings.account_class)
        assert route.codes[1] < len(evaluator._limits.bindings.strategy_class)
    assert len(evaluator._limits.bindings.account_class) == known + 20
