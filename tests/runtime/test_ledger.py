"""Books that were computed by hand, and what the ledger refuses or reports."""

import math
from collections.abc import Callable
from decimal import Decimal

import pytest
from numba import njit

from ringfence.backends.numba_kernel import layout
from ringfence.backends.numba_kernel.jit_books import is_stale
from ringfence.backends.numba_kernel.jit_layout import books_at
from ringfence.backends.reference import decide
from ringfence.errors import InputError, LedgerError
from ringfence.language.gates import to_ns
from ringfence.language.linking import link
from ringfence.language.orders import Case, Instrument, Market, OrderRequest
from ringfence.language.source import load
from ringfence.runtime.book_view import BookView
from ringfence.runtime.ledger import Ledger

pytestmark = pytest.mark.unit


def instrument(symbol: str, lot_step: str = "0.1", **rules: object) -> Instrument:
    return Instrument(symbol, lot_step=Decimal(lot_step), quote="USD", **rules)  # type: ignore[arg-type]


INSTRUMENTS = {
    "BTC": instrument("BTC"),
    "ETH": instrument("ETH"),
    "FUT": instrument("FUT", "1", multiplier=50.0),
    "EURO": Instrument("EURO", lot_step=Decimal("0.1"), quote="EUR"),
    "YEN": Instrument("YEN", lot_step=Decimal(1), quote="JPY"),
    "DUST": instrument("DUST", "1"),
}


@pytest.fixture
def ledger() -> Ledger:
    made = Ledger(INSTRUMENTS, "USD", fx={("EUR", "USD"): 1.25})
    made.open("account/main", 10_000)
    return made


def buy(ledger: Ledger, size: str, price: float, fee: float = 0, symbol: str = "BTC") -> None:
    ledger.fill_direct("main", "trend", symbol, "buy", size, price, fee)


def sell(ledger: Ledger, size: str, price: float, fee: float = 0, symbol: str = "BTC") -> None:
    ledger.fill_direct("main", "trend", symbol, "sell", size, price, fee)


def quote(ledger: Ledger, price: float, symbol: str = "BTC", ts: int = 0) -> None:
    ledger.mark(symbol, ts, price, price, price)


def main(ledger: Ledger) -> BookView:
    return ledger.book("account/main")


# Positions


def test_a_long_position_pays_cash_and_is_worth_its_mark(ledger: Ledger) -> None:
    buy(ledger, "2", 100, fee=1)
    quote(ledger, 110)

    book = main(ledger)

    assert (book.cash, book.equity, book.balance) == (9_799, 10_019, 9_999)
    assert (book.realised, book.unrealised, book.fees) == (0, 20, 1)
    assert (book.positions["BTC"].lots, book.positions["BTC"].size) == (20, 2)
    assert (book.positions["BTC"].entry_price, book.positions["BTC"].mark) == (100, 110)


def test_an_average_cost_stays_when_a_part_is_sold(ledger: Ledger) -> None:
    buy(ledger, "1", 100)
    buy(ledger, "3", 120)
    sell(ledger, "2", 130)

    book = main(ledger)

    assert book.positions["BTC"].entry_price == 115
    assert book.realised == 30
    # Nothing but fills has priced it: the first one's price stands until there is market data.
    assert book.positions["BTC"].mark == 100


def test_a_short_position_gains_when_the_price_falls(ledger: Ledger) -> None:
    sell(ledger, "2", 100)
    quote(ledger, 90)

    book = main(ledger)

    assert (book.cash, book.equity, book.unrealised) == (10_200, 10_020, 20)
    assert (book.positions["BTC"].value, book.positions["BTC"].exposure) == (-180, 180)

    buy(ledger, "2", 90)

    book = main(ledger)
    assert (book.cash, book.equity, book.realised, book.unrealised) == (10_020, 10_020, 20, 0)
    assert not book.positions


def test_a_flip_realises_what_closes_and_opens_the_rest(ledger: Ledger) -> None:
    buy(ledger, "1", 100)
    sell(ledger, "3", 110)
    quote(ledger, 105)

    book = main(ledger)

    assert (book.realised, book.unrealised, book.equity) == (10, 10, 10_020)
    assert (book.positions["BTC"].size, book.positions["BTC"].entry_price) == (-2, 110)


def test_a_multiplier_and_a_rate_count_in_money(ledger: Ledger) -> None:
    buy(ledger, "2", 10, symbol="FUT")
    sell(ledger, "4", 20, fee=2, symbol="EURO")
    quote(ledger, 11, "FUT")
    quote(ledger, 21, "EURO")

    book = main(ledger)

    assert book.cash == 10_000 - 2 * 10 * 50 + 4 * 20 * 1.25 - 2 * 1.25
    assert book.unrealised == 2 * 50 - 4 * 1.25
    assert book.fees == 2.5
    assert book.positions["EURO"].entry_price == 20
    assert book.exposure == 2 * 11 * 50 + 4 * 21 * 1.25


def test_a_book_pays_quanta_rounded_up_and_gets_them_rounded_down(ledger: Ledger) -> None:
    buy(ledger, "1", 0.0000015, symbol="DUST")
    assert main(ledger).cash == 9_999.999998

    sell(ledger, "1", 0.0000015, fee=0.0000001, symbol="DUST")
    assert main(ledger).cash == 9_999.999998
    assert (main(ledger).realised, main(ledger).fees) == (-0.000001, 0.000001)


def test_what_is_held_is_valued_low_and_its_exposure_high(ledger: Ledger) -> None:
    buy(ledger, "3", 0.0000015, symbol="DUST")

    position = main(ledger).positions["DUST"]

    assert (position.value, position.exposure) == (0.000004, 0.000005)


def test_account_strategy_and_firm_hold_the_same_fill(ledger: Ledger) -> None:
    ledger.open("account/other", 500)
    buy(ledger, "1", 100)
    ledger.fill_direct("other", "trend", "BTC", "buy", 1, 100)
    ledger.fill_direct("other", "", "BTC", "buy", 1, 100)

    sizes = {name: ledger.book(name).positions["BTC"].size for name in ledger.books}

    assert sizes == {"firm": 3, "account/main": 1, "account/other": 2, "strategy/trend": 2}


# Marks


def test_a_position_without_a_mark_makes_equity_unknown_until_there_is_one(ledger: Ledger) -> None:
    buy(ledger, "1", 100)
    ledger.mark("BTC", 1)

    assert math.isnan(main(ledger).equity)
    assert math.isnan(ledger.book("firm").equity)

    ledger.mark("BTC", 2, last=90)

    assert main(ledger).equity == 9_990


def test_a_crossed_quote_gives_no_mark_and_old_data_are_left_out(ledger: Ledger) -> None:
    buy(ledger, "1", 100)
    ledger.mark("BTC", 5, bid=101, ask=99, last=95)
    ledger.mark("BTC", 4, bid=1, ask=1, last=1)

    assert main(ledger).equity == 9_995
    assert ledger.counts == {"LATE_MARK": 1}


def test_a_closed_position_leaves_no_old_mark_behind(ledger: Ledger) -> None:
    quote(ledger, 100)
    buy(ledger, "1", 100)
    sell(ledger, "1", 100)
    quote(ledger, 200)
    buy(ledger, "1", 200)

    assert main(ledger).equity == 10_000
    assert main(ledger).exposure == 200


def test_a_symbol_that_was_never_marked_is_stale(ledger: Ledger) -> None:
    @njit
    def asked_of(address: int, b: int, now: int, max_age: float) -> bool:
        return is_stale(books_at(address), b, now, max_age)

    def asked(now: int) -> bool:
        b = ledger.arrays.book_codes["account/main"]
        return bool(asked_of(ledger.arrays.pack.address, b, now, 5.0))

    now = 1_700_000_000 * 10**9
    assert not asked(now)
    buy(ledger, "1", 100)
    assert asked(now)
    quote(ledger, 100, ts=now)
    assert not asked(now + 5 * 10**9)
    assert asked(now + 6 * 10**9)


# Orders


def test_a_partial_fill_moves_its_part_and_a_cancel_releases_the_rest(ledger: Ledger) -> None:
    quote(ledger, 100)
    ledger.reserve("a", "main", "trend", "BTC", "buy", "10")
    assert main(ledger).exposure == 1_000

    assert ledger.fill("a", "4", 100) == 4
    assert ledger.fill("a", "4.0", 100) == 0

    position = main(ledger).positions["BTC"]
    assert (position.size, position.buys, position.exposure) == (4, 6, 1_000)
    assert [order.size for order in main(ledger).open_orders] == [6]

    assert ledger.cancel("a")
    assert not ledger.cancel("a")
    assert (main(ledger).exposure, main(ledger).open_orders) == (400, ())
    assert main(ledger).cash == 9_600


def test_working_orders_count_at_their_worst_case(ledger: Ledger) -> None:
    quote(ledger, 10)
    buy(ledger, "2", 10)
    ledger.reserve("a", "main", "", "BTC", "buy", "1")
    ledger.reserve("b", "main", "", "BTC", "sell", "7")

    assert main(ledger).exposure == 50
    ledger.cancel("b")
    assert main(ledger).exposure == 30
    assert ledger.book("strategy/trend").exposure == 20


def test_an_order_without_a_mark_makes_its_books_unknown_while_it_works(ledger: Ledger) -> None:
    ledger.reserve("a", "main", "trend", "BTC", "buy", "1")
    assert math.isnan(main(ledger).equity)
    assert math.isnan(main(ledger).exposure)

    ledger.cancel("a")
    assert (main(ledger).equity, main(ledger).exposure) == (10_000, 0)


def test_an_overfill_moves_the_position_and_is_reported(ledger: Ledger) -> None:
    quote(ledger, 10)
    ledger.reserve("a", "main", "trend", "BTC", "buy", "1")
    ledger.fill("a", "1.5", 10)

    position = main(ledger).positions["BTC"]
    assert (position.size, position.buys, main(ledger).open_orders) == (Decimal("1.5"), 0, ())
    assert [(note.code, note.subject) for note in ledger.notices] == [("OVER_FILL", "a")]

    ledger.fill("a", "2", 10)
    assert main(ledger).positions["BTC"].size == 2
    assert ledger.counts["FILL_AFTER_END"] == 1


def test_a_fill_that_comes_out_of_order_adds_its_fee_alone(ledger: Ledger) -> None:
    ledger.reserve("a", "main", "trend", "BTC", "buy", "9")
    ledger.fill("a", "3", 10, 1)
    ledger.fill("a", "2", 10, 1)

    assert main(ledger).positions["BTC"].size == 3
    assert (main(ledger).fees, ledger.counts) == (2, {"LATE_FILL": 1})


def test_a_late_fee_on_a_flat_book_leaves_no_mark_behind(ledger: Ledger) -> None:
    quote(ledger, 100)
    ledger.reserve("a", "main", "trend", "BTC", "buy", "3")
    ledger.fill("a", "3", 100)
    sell(ledger, "3", 100)
    ledger.fill("a", "2", 100, 1)
    quote(ledger, 200)
    buy(ledger, "1", 200)

    assert main(ledger).equity == 9_999


@pytest.mark.parametrize(
    ("symbol", "size", "code"),
    [
        ("BTC", "0.15", "OFF_STEP_FILL"),
        ("NEW", "1", "UNKNOWN_INSTRUMENT_FILL"),
    ],
)
def test_a_fill_that_makes_no_sense_moves_the_position_and_leaves_money_unknown(
    ledger: Ledger, symbol: str, size: str, code: str
) -> None:
    buy(ledger, size, 100, symbol=symbol)
    sell(ledger, size, 100, symbol=symbol)

    assert ledger.counts == {code: 2}
    for book in (main(ledger), ledger.book("firm")):
        assert math.isnan(book.equity)
        assert math.isnan(book.cash)


def test_a_symbol_without_a_rate_leaves_money_unknown(ledger: Ledger) -> None:
    buy(ledger, "1", 100, symbol="YEN")

    assert math.isnan(main(ledger).equity)


@pytest.mark.parametrize(
    ("act", "message"),
    [
        (lambda led: led.fill("nope", 1, 1), "no order `nope`"),
        (lambda led: led.cancel("nope"), "no order `nope`"),
        (lambda led: led.fill("a", 2, 11), "was reported at"),
        (lambda led: led.fill("a", 0, 11), "not a number above zero"),
        (lambda led: led.fill("a", "1e30", 11), "more lots than can be counted"),
        (lambda led: led.reserve("a", "main", "", "BTC", "sell", "5"), "another order"),
        (lambda led: led.reserve("gone", "main", "", "BTC", "buy", "1"), "has ended"),
        (lambda led: led.reserve("b", "main", "", "BTC", "hold", "5"), "neither buy nor sell"),
        (lambda led: led.reserve("b", "main", "", "BTC", "buy", "0.01"), "no multiple"),
        (lambda led: led.reserve("b", "main", "", "NEW", "buy", "1"), "no known instrument"),
        (lambda led: led.reserve("b", "", "", "BTC", "buy", "1"), "name of its account"),
        (lambda led: led.fill_direct("main", "", "", "buy", 1, 1), "needs a name"),
        (lambda led: led.open("account/main", 1), "is open already"),
        (lambda led: led.open("firm", 1), "is open already"),
        (lambda led: led.open("desk/x", 1), "names no book"),
        (lambda led: led.open("account/x", "much"), "no amount of money"),
        (lambda led: led.open("account/x", 10**10), "no amount of money"),
        (lambda led: led.deposit("account/x", 1), "is not open"),
        (lambda led: led.withdraw("account/main", -1), "no amount above zero"),
        (lambda led: led.deposit("firm", 1), "follows its accounts"),
        (lambda led: led.book("account/x"), "there is no book"),
        (lambda led: led.declare(instrument("BTC", "1")), "under other rules"),
    ],
)
def test_what_cannot_be_booked_raises_and_moves_nothing(
    ledger: Ledger, act: Callable[[Ledger], object], message: str
) -> None:
    quote(ledger, 10)
    ledger.reserve("a", "main", "trend", "BTC", "buy", "5")
    ledger.fill("a", 2, 10)
    ledger.reserve("gone", "main", "", "BTC", "buy", "1")
    ledger.cancel("gone")
    before = [ledger.book(name) for name in ("firm", "account/main", "strategy/trend")]

    with pytest.raises(LedgerError, match=message) as raised:
        act(ledger)

    assert raised.value.fix
    after = [ledger.book(name) for name in ("firm", "account/main", "strategy/trend")]
    assert repr(after) == repr(before)


def test_an_ended_order_is_forgotten_after_a_number_of_others() -> None:
    ledger = Ledger(INSTRUMENTS, "USD", remembered=1)
    for name in ("a", "b"):
        ledger.reserve(name, "main", "", "BTC", "buy", 1)
        ledger.cancel(name)

    assert not ledger.cancel("b")
    with pytest.raises(LedgerError, match="no order `a`"):
        ledger.fill("a", 1, 1)


# Money


def test_deposits_and_withdrawals_move_neither_drawdown_nor_day_loss(ledger: Ledger) -> None:
    buy(ledger, "10", 1_000)
    quote(ledger, 800)
    assert (main(ledger).drawdown, main(ledger).day_loss) == (0.2, 2_000)

    ledger.deposit("account/main", 8_000)
    book = main(ledger)
    assert (book.equity, book.peak_equity, book.deposits) == (16_000, 20_000, 8_000)
    assert (book.drawdown, book.day_loss) == (0.2, 2_000)

    ledger.withdraw("account/main", 4_000)
    book = main(ledger)
    assert (book.equity, book.peak_equity, book.deposits) == (12_000, 15_000, 4_000)
    assert (book.drawdown, book.day_loss) == (0.2, 2_000)
    assert ledger.book("firm").drawdown == 0.2

    quote(ledger, 1_400)
    assert (main(ledger).peak_equity, main(ledger).day_loss) == (18_000, 0)


def test_a_deposit_while_a_mark_is_missing_keeps_the_drawdown(ledger: Ledger) -> None:
    buy(ledger, "10", 1_000)
    quote(ledger, 800)
    ledger.mark("BTC", 1)
    ledger.deposit("account/main", 8_000)
    quote(ledger, 800, ts=2)

    assert main(ledger).peak_equity == 20_000
    assert (main(ledger).drawdown, main(ledger).day_loss) == (0.2, 2_000)


def test_an_account_that_opens_later_heals_no_loss_of_the_firm(ledger: Ledger) -> None:
    buy(ledger, "10", 1_000)
    quote(ledger, 800)
    ledger.open("account/late", 8_000)

    firm = ledger.book("firm")

    assert (firm.equity, firm.day_start_equity, firm.deposits) == (16_000, 18_000, 0)
    assert (firm.drawdown, firm.day_loss) == (0.2, 2_000)


def test_accounts_that_open_together_start_the_firms_day_together() -> None:
    ledger = Ledger(INSTRUMENTS, "USD")
    ledger.open("account/a", 100)
    ledger.open("account/b", 300)

    firm = ledger.book("firm")

    assert (firm.equity, firm.day_start_equity, firm.day_start_balance) == (400, 400, 400)
    assert (firm.peak_equity, firm.deposits) == (400, 0)


def test_a_firm_that_opens_by_itself_is_not_moved_by_its_accounts_money() -> None:
    ledger = Ledger(INSTRUMENTS, "USD")
    ledger.open("firm", 50_000)
    ledger.open("account/main", 100)
    ledger.deposit("account/main", 7)
    ledger.deposit("firm", 1)

    assert ledger.book("firm").equity == 50_001


def test_before_a_book_opens_its_equity_is_unknown_and_then_holds_what_it_made() -> None:
    ledger = Ledger(INSTRUMENTS, "USD")
    buy(ledger, "1", 100)
    quote(ledger, 130)
    assert math.isnan(main(ledger).equity)
    assert main(ledger).unrealised == 30

    ledger.open("account/main", 1_000)

    book = main(ledger)
    assert (book.equity, book.day_start_equity, book.day_start_balance) == (1_030, 1_030, 1_000)
    assert (book.peak_equity, book.drawdown) == (1_030, 0)


def test_all_accounts_together_know_no_drawdown_from_a_withdrawal(ledger: Ledger) -> None:
    ledger.open("account/other", 10_000)
    ledger.withdraw("account/main", 5_000)
    buy(ledger, "1", 1_500)
    quote(ledger, 0.0000001)
    ledger.withdraw("account/other", 6_750)
    total = ledger.arrays.books.total

    assert total[layout.TOTAL_QUANTA] == 6_750 * 10**6
    assert total[layout.TOTAL_DRAWDOWN] == pytest.approx(0.1, rel=1e-12)
    assert total[layout.TOTAL_MAX_DRAWDOWN] == pytest.approx(0.1, rel=1e-12)
    assert total[layout.TOTAL_UNKNOWN] == 0

    ledger.mark("BTC", 1)
    assert total[layout.TOTAL_UNKNOWN] == 1
    quote(ledger, 1, ts=2)
    assert total[layout.TOTAL_UNKNOWN] == 0


def test_money_past_what_float64_counts_is_unknown() -> None:
    ledger = Ledger(INSTRUMENTS, "USD")
    ledger.open("account/main", 9_000_000_000)
    ledger.deposit("account/main", 7_000_000)
    assert main(ledger).equity == 9_007_000_000

    ledger.deposit("account/main", 7_000_000)
    ledger.withdraw("account/main", 14_000_000)

    assert math.isnan(main(ledger).equity)


def test_values_past_what_float64_counts_are_counted_afresh_when_they_fall(ledger: Ledger) -> None:
    quote(ledger, 0.0000011)
    buy(ledger, "0.1", 0.0000011)
    for symbol in ("ETH", "FUT"):
        sell(ledger, "100", 1, symbol=symbol)
        quote(ledger, 80_000_000 if symbol == "ETH" else 1_600_000, symbol)
    assert math.isnan(main(ledger).equity)

    quote(ledger, 1, "ETH", ts=1)
    quote(ledger, 1, "FUT", ts=1)

    assert main(ledger).equity == 9_999.999999
    assert main(ledger).exposure == 5_100.000001


# Days


def test_a_day_starts_with_what_the_books_hold(ledger: Ledger) -> None:
    ledger.advance(to_ns("2026-01-05T12:00:00Z"))
    buy(ledger, "10", 100)
    quote(ledger, 90)
    ledger.deposit("account/main", 50)

    assert ledger.advance(to_ns("2026-01-05T23:59:59Z")) == 0
    assert main(ledger).day_loss == 100
    assert ledger.advance(to_ns("2026-01-06T00:00:00Z")) == 1

    book = main(ledger)
    assert (book.day_start_equity, book.day_start_balance) == (9_950, 10_050)
    assert (book.day_loss, book.deposits) == (0, 0)
    assert ledger.advance(to_ns("2026-01-05T00:00:00Z")) == 0
    assert ledger.advance(to_ns("2026-01-16T00:00:01Z")) == 10


@pytest.mark.parametrize(
    ("day", "moments"),
    [
        # Winter time until 8 March, then summer time until 1 November.
        (
            ("17:00", "America/New_York"),
            ["2026-03-07T22:00:00Z", "2026-03-08T21:00:00Z", "2026-03-09T21:00:00Z"],
        ),
        (
            ("17:00", "America/New_York"),
            ["2026-10-31T21:00:00Z", "2026-11-01T22:00:00Z", "2026-11-02T22:00:00Z"],
        ),
        # 02:30 does not exist on 8 March: the clock that was not moved shows it.
        (
            ("02:30", "America/New_York"),
            ["2026-03-07T07:30:00Z", "2026-03-08T07:30:00Z", "2026-03-09T06:30:00Z"],
        ),
        # 01:30 comes twice on 1 November: the first counts, the second does not.
        (
            ("01:30", "America/New_York"),
            ["2026-10-31T05:30:00Z", "2026-11-01T05:30:00Z", "2026-11-02T06:30:00Z"],
        ),
        # Samoa had no 30 December 2011.
        (
            ("12:00", "Pacific/Apia"),
            ["2011-12-28T22:00:00Z", "2011-12-29T22:00:00Z", "2011-12-30T22:00:00Z"],
        ),
    ],
)
def test_days_follow_the_wall_clock_of_their_zone(day: tuple[str, str], moments: list[str]) -> None:
    ledger = Ledger(INSTRUMENTS, "USD", day=day)
    starts = [to_ns(moment) for moment in moments]
    ledger.advance(starts[0] - 1)

    assert ledger.advance(starts[0]) == 1
    assert ledger.advance(starts[1] - 1) == 0
    assert ledger.advance(starts[1]) == 1
    assert ledger.advance(starts[2] - 1) == 0
    assert ledger.advance(starts[2]) == 1


@pytest.mark.parametrize("day", [("25:00", "UTC"), ("00:00", "Nowhere/At_All")])
def test_a_day_that_cannot_be_is_refused(day: tuple[str, str]) -> None:
    with pytest.raises(InputError, match="cannot start"):
        Ledger(INSTRUMENTS, "USD", day=day)


# As a whole


def test_names_appear_at_any_time_and_what_was_booked_stays(ledger: Ledger) -> None:
    buy(ledger, "1", 100)
    ledger.reserve("a", "main", "trend", "BTC", "sell", "1")
    for number in range(40):
        name = f"n{number}"
        ledger.declare(instrument(name))
        ledger.open(f"account/{name}", 10)
        ledger.fill_direct(name, name, name, "buy", 1, 5)
        quote(ledger, 6, name)
    ledger.fill("a", "1", 120)

    book = main(ledger)
    assert (book.equity, book.realised, dict(book.positions)) == (10_020, 20, {})
    firm = ledger.book("firm")
    assert (firm.equity, len(firm.positions)) == (10_020 + 40 * 11, 40)
    assert ledger.book("account/n39").equity == 11
    assert ledger.book("strategy/n7").exposure == 6


POLICY = """
apiVersion: ringfence/v1
kind: Policy
metadata: {name: cap, version: 1.0.0, owner: risk@example.com, description: A cap.}
spec:
  level: account
  currency: USD
  day: {time: "17:00", zone: America/New_York}
  gates:
    - {rule: total-exposure@1, limits: {max: 1_000 USD}}
    - {rule: drawdown@1, limits: {max_drawdown: 10%}}
    - {rule: daily-loss@1, limits: {max_loss: 200 USD}}
"""
DESK = """
apiVersion: ringfence/v1
kind: Instruments
metadata: {name: one, version: 1.0.0}
spec:
  fx: {EUR/USD: 1.25}
  accounts: [main]
  strategies: [trend]
  instruments:
    SOL/EUR: {lot_step: "1", min_size: "1", tick_size: "1", multiplier: 1, base: SOL, quote: EUR}
    BTC/USD: {lot_step: "1", min_size: "1", tick_size: "1", multiplier: 1, base: BTC, quote: USD}
"""


def test_the_reference_decides_on_a_ledgers_book() -> None:
    linked = link([load(POLICY, "p.yaml"), load(DESK, "d.yaml")], check_mandatory=False)
    ledger = Ledger.of(linked)
    assert ledger.books == ("firm", "account/main", "strategy/trend")
    ledger.open("account/main", 2_000)
    ledger.fill_direct("main", "trend", "SOL/EUR", "buy", 6, 80)
    ledger.mark("SOL/EUR", 0, 64, 64, 64)
    ledger.reserve("a", "main", "trend", "SOL/EUR", "buy", 1)
    case = Case(
        order=OrderRequest("main", "BTC/USD", "buy", "5", "100"),
        clock_ns=0,
        instruments=linked.desk.instruments,
        market={"BTC/USD": Market(100, 100, 100, age=1.0), "SOL/EUR": Market(1, 1, 1, age=1.0)},
        books={"account/main": ledger.as_case_book("account/main")},
    )

    answer = decide(linked, case, check_mandatory=False)

    book = ledger.book("account/main")
    # Seven at 64 EUR are 560 USD; 4 lots of 100 fit below 1,000.
    assert (answer.decision, answer.size) == ("REDUCE_SIZE", 4)
    assert answer.gate("drawdown").measure == book.drawdown == 120 / 2_000
    assert answer.gate("daily-loss").measure == book.day_loss == 120
