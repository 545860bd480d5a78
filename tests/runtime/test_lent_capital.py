"""Capital lent between the firm books of two groups takes no loss along: one firm-wide book sees the same."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringfence.errors import LedgerError
from ringfence.language.orders import Instrument
from ringfence.runtime.ledger import Ledger

pytestmark = pytest.mark.unit

NOON = 1_767_614_400_000_000_000
DAY = 86_400_000_000_000
TOTAL = 100_000
LIMIT = 0.05
# One millionth for each event, rounded against the group that it happens to.
NEAR = 1e-3

moves = st.one_of(
    st.tuples(
        st.just("trade"), st.integers(0, 1), st.integers(1, 30), st.integers(80, 120), st.booleans()
    ),
    st.tuples(st.just("mark"), st.integers(60, 140)),
    st.tuples(st.just("lend"), st.integers(0, 1), st.integers(1, 40_000)),
    st.tuples(st.just("give"), st.integers(0, 1), st.floats(0.01, 0.99)),
    st.tuples(st.just("day")),
)


def ledger(capital: int) -> Ledger:
    made = Ledger({"BTC": Instrument("BTC", quote="USD")}, "USD")
    made.advance(NOON)
    made.open("firm", capital)
    made.open("account/a", 1_000_000)
    made.mark("BTC", NOON, 100.0, 100.0, 100.0)
    return made


@given(events=st.lists(moves, max_size=40))
def test_sums_over_groups_are_what_one_book_of_the_firm_shows(events: list[tuple]) -> None:
    groups, whole = [ledger(30_000), ledger(20_000)], ledger(TOTAL)
    free, day = TOTAL - 50_000, NOON
    for kind, *rest in events:
        if kind == "trade":
            g, size, price, buys = rest
            for each in (groups[g], whole):
                each.fill_direct("a", "", "BTC", "buy" if buys else "sell", size, price, 1)
        elif kind == "mark":
            day += 1
            for each in (*groups, whole):
                each.mark("BTC", day, *[float(rest[0])] * 3)
        elif kind == "lend":
            amount = min(rest[1], free)
            free -= amount
            groups[rest[0]].shift_capital(amount)
        elif kind == "give":
            equity = groups[rest[0]].book("firm").equity
            amount = int(max(0.0, equity) * rest[1])
            free += amount
            groups[rest[0]].shift_capital(-amount)
        else:
            day += DAY
            for each in (*groups, whole):
                each.advance(day)

        books, firm = [each.book("firm") for each in groups], whole.book("firm")
        assert sum(each.equity for each in books) + free == pytest.approx(firm.equity, abs=NEAR)
        assert sum(each.day_start_equity for each in books) + free == pytest.approx(
            firm.day_start_equity, abs=NEAR
        )
        assert sum(each.peak_equity for each in books) + free >= firm.peak_equity - NEAR
        assert sum(each.day_loss for each in books) >= firm.day_loss - NEAR
        if all(each.day_loss <= LIMIT * each.day_start_equity for each in books):
            assert firm.day_loss <= LIMIT * firm.day_start_equity + NEAR
        if all(each.equity >= (1 - LIMIT) * each.peak_equity for each in books):
            assert firm.drawdown <= LIMIT + NEAR


def test_lent_capital_moves_equity_peak_and_the_day_s_start_alike() -> None:
    made = ledger(10_000)
    made.fill_direct("a", "", "BTC", "buy", 10, 300)

    made.shift_capital(-3_000)

    book = made.book("firm")
    assert (book.equity, book.peak_equity, book.day_start_equity) == (5_000, 7_000, 7_000)
    assert (book.day_loss, book.deposits) == (2_000, 0)
    made.shift_capital(3_000)
    assert made.book("firm").peak_equity == 10_000


def test_the_book_of_a_whole_firm_lends_nothing() -> None:
    made = Ledger({}, "USD")
    made.open("account/a", 1_000)
    with pytest.raises(LedgerError, match="follows its accounts"):
        made.shift_capital(1)
