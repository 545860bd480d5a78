"""Usual orders: decided in one call of compiled code, they leave what the long way leaves, byte for byte."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ringfence import OrderRequest, PolicySet, RiskDecision
from ringfence.errors import AuditError, LedgerError
from ringfence.runtime import guard as guard_module
from ringfence.runtime import usual_orders
from ringfence.runtime.approvals import Signer
from ringfence.runtime.asked import MarketData
from ringfence.runtime.audit_log import AuditLog
from ringfence.runtime.audit_reader import tail
from ringfence.runtime.guard_settings import GuardSettings
from ringfence.runtime.ports import FixedClock, SeededRandom
from ringfence.runtime.usual_sorts import UsualSorts
from runtime.desk import NOON, SECOND, mark, opened, order, policies
from runtime.large_desk import SYMBOLS, large_policies

pytestmark = pytest.mark.unit

KEYS = [bytes(range(first, first + 32)) for first in (0, 100)]
LATELY = """
    - {rule: order-rate@1, level: account, limits: {max_orders: 6, window: 10s}}
    - {rule: price-collar@1, limits: {max_deviation: 20%, window: 10s}}
"""


@pytest.fixture(scope="module")
def desks(tmp_path_factory: pytest.TempPathFactory) -> list[PolicySet]:
    place = tmp_path_factory.mktemp("desks")
    return [
        policies(place / "plain"),
        # It halts, and has gates that look at what happened lately.
        policies(place / "halting", daily="halt", more=LATELY),
        # Other limits, and then other gates, than the first.
        policies(place / "tighter", daily="halt"),
    ]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("guards")


class Desk:
    """A guard with its log, state and key in files, and what it was heard to say."""

    def __init__(
        self, place: Path, policy_set: PolicySet, *, is_long: bool, segment_bytes: int = 1 << 20
    ) -> None:
        self.place, self.clock, self.signer = place, FixedClock(NOON), Signer(KEYS[0])
        self.told: list[Any] = []
        self.log = AuditLog.open(
            place / "audit",
            durability="process",
            clock=self.clock,
            random=SeededRandom(1),
            segment_bytes=segment_bytes,
        )
        self.guard = opened(
            policy_set,
            clock=self.clock,
            settings=GuardSettings(signer=self.signer, most_client_orders=40),
            audit=self.log,
            state=place / "state",
            random=SeededRandom(2),
        )
        if is_long:
            self.guard._usual._is_able = False

    def note(self, answers: Sequence[Any]) -> list[Any]:
        for each in answers:
            if each.approval is not None:
                self.signer.check(each.approval, now_ns=self.clock.now_ns())
            told = (each.id, *each, each.code, each.approval, each.headroom, each.decided_by)
            self.told.append((*told, each.repeated, each.policy_set, repr(each.gates)))
        return list(answers)

    def kept(self) -> dict[str, Any]:
        """All that is left, on disk and in memory, and what a guard reads that is opened after a kill."""
        self.log.wait(self.log.last)
        files = sorted((self.place / "audit").glob("*.audit"))
        files += sorted((self.place / "state").glob("journal-*"))
        return {
            "told": self.told,
            "files": {each.name: each.read_bytes() for each in files},
            "memory": self.guard._books.dump(),
        }

    def close(self) -> None:
        self.guard.close()
        self.log.close()


@contextmanager
def desk_at(place: Path, policy_set: PolicySet, **how: Any) -> Iterator[Desk]:
    at = place / f"{len(list(place.iterdir()))}"
    made = Desk(at, policy_set, **how)
    try:
        yield made
    finally:
        made.close()


numbers = st.sampled_from(
    ["1", "2.0", "0.1", Decimal("0.50"), Decimal("3"), 1, 0.2, "1e0", "200", "0.05"]
)
asked = st.builds(
    order,
    numbers,
    account=st.sampled_from(["main", "main", "other", "nobody"]),
    strategy=st.sampled_from(["", "trend"]),
    venue=st.sampled_from(["", "paper"]),
    side=st.sampled_from(["buy", "buy", "sell", "hold"]),
    type=st.sampled_from(["limit", "limit", "market", "stop", "odd"]),
    price=st.sampled_from(
        ["1000", "999.50", Decimal("1000.0"), 1001.5, 1000, "1e3", None, "0", "x"]
    ),
    client_order_id=st.sampled_from(["", "", "", "a", "b-1", 'c"', "d\\", "\u00e9", "e" * 201]),
    reduce_only=st.sampled_from([False, False, False, True]),
    timestamp=st.sampled_from([None, 5]),
)
market = st.sampled_from(
    [
        *[None] * 4,
        MarketData(999.0, 1_001.0, 1_000.0, NOON + 1),
        MarketData(999.0, 1_001.0, None, NOON + 2, 5.0, 7.5, 1e6),
        MarketData(float("nan"), 1_001.0, 1_000.0, NOON + SECOND),
        MarketData(999, "1001", Decimal(1_000), NOON + 2 * SECOND),
        MarketData(990.0, 991.0, 990.5, NOON + 3 * SECOND),
        MarketData(990.0, 991.0, 990.5, NOON + 60 * SECOND),
        MarketData(timestamp=NOON - 1),
        "no market data",
    ]
)
steps = st.lists(
    st.one_of(
        st.tuples(st.just("orders"), st.lists(st.tuples(asked, market), min_size=1, max_size=5)),
        st.tuples(st.just("cancel"), st.integers(0, 5)),
        st.tuples(st.just("fill"), st.integers(0, 5)),
        st.tuples(st.just("mark"), st.sampled_from([900.0, 1_000.0, 1_100.0])),
        st.tuples(st.just("later"), st.sampled_from([1, 3 * SECOND])),
        st.tuples(st.just("key"), st.sampled_from(KEYS)),
        st.tuples(st.just("swap"), st.integers(0, 2)),
        st.tuples(st.just("listen"), st.just(0)),
    ),
    min_size=1,
    max_size=12,
)
Order = tuple[OrderRequest, Any]
Ask = Callable[[Desk, Sequence[Order]], Any]


def one_by_one(desk: Desk, orders: Sequence[Order]) -> list[Any]:
    return [desk.guard.evaluate_order(*each, request_id="trace-1") for each in orders]


def together(desk: Desk, orders: Sequence[Order]) -> list[Any]:
    return desk.guard.evaluate_orders(orders, request_id="trace-1")


def sent(size: Any, market: Any = None, **fields: Any) -> Order:
    return order(size, **fields), market


def played(
    desk: Desk, course: Sequence[tuple[str, Any]], ask: Ask, desks: Sequence[PolicySet] = ()
) -> dict[str, Any]:
    guard, approved, heard = desk.guard, [], list[Any]()
    for what, how in course:
        if what == "orders":
            found = desk.note(ask(desk, how))
            approved += [each for each in found if each.size]
        elif what == "mark":
            mark(guard, desk.clock.now_ns(), how)
        elif what == "later":
            desk.clock.advance(how)
        elif what == "key":
            desk.signer.renew(how, KEYS)
        elif what == "swap":
            guard.use(desks[how], by="a person")
        elif what == "listen":
            guard.listen(heard.append)
        elif approved:
            each = approved[how % len(approved)]
            try:
                if what == "cancel":
                    guard.on_cancel(each.id)
                else:
                    guard.on_fill(each.id, each.size, "1000", "0.1")
            except LedgerError as error:
                desk.told.append(str(error))
    return {**desk.kept(), "heard": heard}


@given(course=steps, which=st.integers(0, 1))
@settings(max_examples=40, deadline=None)
def test_orders_leave_the_very_bytes_that_the_long_way_leaves(
    desks: list[PolicySet], place: Path, course: Sequence[tuple[str, Any]], which: int
) -> None:
    with desk_at(place, desks[which], is_long=True) as desk:
        long_way = played(desk, course, one_by_one, desks)
    for ask in (one_by_one, together):
        with desk_at(place, desks[which], is_long=False) as desk:
            assert played(desk, course, ask, desks) == long_way


def _never(*_: Any) -> Any:
    raise AssertionError("this order is usual")


@pytest.mark.parametrize("which", [0, 1])
@pytest.mark.parametrize("ask", [one_by_one, together])
def test_an_order_that_is_approved_as_asked_goes_the_short_way(
    desks: list[PolicySet],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    ask: Ask,
    which: int,
) -> None:
    with desk_at(tmp_path, desks[which], is_long=False) as desk:
        monkeypatch.setattr(desk.guard, "_try", _never)
        monkeypatch.setattr(guard_module, "decide_some", _never)
        quote = MarketData(999.0, 1_001.0, 1_000.0, NOON + 1)
        orders = [sent("1", client_order_id="a"), sent("0.5", quote, strategy="trend")]
        found = ask(desk, orders)
        assert [each.decision for each in found] == [RiskDecision.APPROVE] * 2
        assert {each.order_id for each in desk.guard.book("firm").open_orders} == {
            each.id for each in found
        }
        assert [each.approval.size for each in found] == [Decimal("1.0"), Decimal("0.5")]


def test_files_of_the_log_follow_one_another_as_on_the_long_way(
    desks: list[PolicySet], tmp_path: Path
) -> None:
    kept = []
    for is_long in (True, False):
        with desk_at(tmp_path, desks[0], is_long=is_long, segment_bytes=40_000) as desk:
            for number in range(40):
                found = desk.note(one_by_one(desk, [sent("0.1", client_order_id=f"{number}")]))
                desk.guard.on_cancel(found[0].id)
            kept.append(desk.kept())
    assert len(kept[0]["files"]) > 3
    assert kept[1] == kept[0]


def test_books_that_hold_much_are_told_as_on_the_long_way(tmp_path: Path) -> None:
    policy_set, kept = large_policies(tmp_path / "policies"), []
    (tmp_path / "guards").mkdir()
    for is_long in (True, False):
        with desk_at(tmp_path / "guards", policy_set, is_long=is_long) as desk:
            for name in SYMBOLS:
                desk.guard.on_mark(name, MarketData(10.0, 10.0, 10.0, NOON))
                found = one_by_one(desk, [sent("1", symbol=name, price="10")])
                desk.guard.on_fill(desk.note(found)[0].id, "1", "10")
            kept.append(desk.kept())
    assert kept[1] == kept[0]


@pytest.mark.parametrize("ask", [one_by_one, together])
def test_where_the_journal_cannot_be_written_orders_are_rejected_and_taken_back(
    desks: list[PolicySet], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ask: Ask
) -> None:
    def full(*_: Any) -> None:
        raise OSError(28, "no space left on device")

    with desk_at(tmp_path, desks[0], is_long=False) as desk:
        guard = desk.guard
        before = repr(guard.book("account/main"))
        with monkeypatch.context() as failing:
            failing.setattr(guard._keeper.store, "append_lines", full)
            orders = [sent("1", client_order_id="a"), sent("2", client_order_id="b")]
            found = ask(desk, orders)
            assert [each.code for each in found] == ["STATE_UNAVAILABLE"] * 2
            assert repr(guard.book("account/main")) == before
        found = ask(desk, orders)
        assert [each.decision for each in found] == [RiskDecision.APPROVE] * 2
        assert len(guard.book("firm").open_orders) == 2


@pytest.mark.parametrize("ask", [one_by_one, together])
def test_where_the_log_cannot_be_written_orders_are_rejected_and_taken_back(
    desks: list[PolicySet], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ask: Ask
) -> None:
    def full(*_: Any, **__: Any) -> None:
        raise OSError(28, "no space left on device")

    with desk_at(tmp_path, desks[0], is_long=False) as desk:
        monkeypatch.setattr(desk.log._written, "write", full)
        found = ask(desk, [sent("1"), sent("2", client_order_id="b")])
        assert [each.code for each in found] == ["AUDIT_UNAVAILABLE"] * 2
        assert desk.guard.book("firm").open_orders == ()


@pytest.mark.parametrize("is_long", [False, True])
def test_of_a_batch_what_was_recorded_before_the_log_failed_is_told_as_it_was_recorded(
    desks: list[PolicySet], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, is_long: bool
) -> None:
    with desk_at(tmp_path, desks[0], is_long=is_long) as desk:
        write, times = desk.log._written.write, []

        def fails_later(*frames: Any, **how: Any) -> None:
            times.append(1)
            if len(times) > 1:
                raise OSError(28, "no space left on device")
            write(*frames, **how)

        monkeypatch.setattr(desk.log._written, "write", fails_later)

        def coming() -> Iterator[tuple[OrderRequest, None]]:
            for number in range(40):
                with suppress(AuditError):
                    # As the log's own thread does from time to time.
                    desk.log.wait(desk.log.last if number % 16 == 15 else 0)
                yield sent("0.1", client_order_id=f"{number}")[0], None

        found = desk.guard.evaluate_orders(coming())
        told = [each.id for each in found if each.decision is RiskDecision.APPROVE]
        assert 0 < len(told) < len(found)
        assert {each.code for each in found[len(told) :]} == {"AUDIT_UNAVAILABLE"}
        assert {each.order_id for each in desk.guard.book("firm").open_orders} == set(told)
    recorded = [
        each.body["id"] for each in tail(desk.place / "audit", 100) if each.kind == "decision"
    ]
    assert recorded == told


@pytest.mark.parametrize("ask", [one_by_one, together])
def test_an_error_on_the_short_way_rejects_and_the_books_are_read_anew(
    desks: list[PolicySet], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ask: Ask
) -> None:
    with desk_at(tmp_path, desks[0], is_long=False) as desk:
        guard = desk.guard
        one_by_one(desk, [sent("1", client_order_id="first")])
        with monkeypatch.context() as failing:
            failing.setattr(guard._books, "book_reserved", _never)
            found = ask(desk, [sent("2", client_order_id="second")])
        assert [each.code for each in found] == (["INTERNAL_ERROR"] if ask is one_by_one else [""])
        sizes = sorted(each.size for each in guard.book("firm").open_orders)
        assert sizes == ([1] if ask is one_by_one else [1, 2])


def test_without_the_libraries_that_it_calls_every_order_goes_the_long_way(
    desks: list[PolicySet], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(usual_orders, "can_hash", lambda: False)
    with desk_at(tmp_path, desks[0], is_long=False) as desk:
        monkeypatch.setattr(UsualSorts, "read", _never)
        assert one_by_one(desk, [sent("1")])[0].decision is RiskDecision.APPROVE


def test_a_guard_without_log_and_state_takes_the_short_way_too(
    desks: list[PolicySet], monkeypatch: pytest.MonkeyPatch
) -> None:
    with opened(desks[0]) as guard:
        monkeypatch.setattr(guard, "_try", _never)
        found = guard.evaluate_order(order("1", client_order_id="a"))
        assert (found.decision, found.approval) == (RiskDecision.APPROVE, None)
        assert {str(each.outcome) for each in found.gates} == {"pass"}


def test_an_approval_is_the_same_whether_gates_were_asked_for_before_it_or_not(
    desks: list[PolicySet], tmp_path: Path
) -> None:
    with desk_at(tmp_path, desks[0], is_long=False) as desk:
        one, other = together(desk, [sent("1"), sent("1")])
        assert one.gates
        assert (one.approval.approval_id, other.approval.approval_id) == (one.id, other.id)
        assert [each.outcome for each in other.gates] == [each.outcome for each in one.gates]
        for each in (one, other):
            desk.signer.check(each.approval, now_ns=NOON)
            assert each.approval is each.approval
