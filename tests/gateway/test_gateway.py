"""Nothing leaves but what was approved: once, in time, here, and exactly so."""

import dataclasses
import threading
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from gateway.approved_orders import (
    FIELDS,
    KEY,
    NOW_NS,
    SECOND,
    RecordingExchange,
    RefusalList,
    approval,
    order,
)
from ringfence.errors import ApprovalError, ExchangeError, InputError, RingfenceError
from ringfence.gateway import Gateway
from ringfence.language.orders import OrderRequest, to_decimal
from ringfence.runtime.approvals import REFUSED, Approval, Signer
from ringfence.runtime.exchanges import ExchangeFill, OrderState
from ringfence.runtime.ports import FixedClock
from ringfence.runtime.used_approvals import MemoryUsedApprovals

pytestmark = pytest.mark.security


class Desk:
    """A gateway and all around it."""

    def __init__(self, used: Any = None) -> None:
        self.clock = FixedClock(NOW_NS)
        self.exchange = RecordingExchange()
        self.audit = RefusalList()
        self.used = used or MemoryUsedApprovals(self.clock)
        self.gateway = Gateway(self.exchange, Signer(KEY), self.used, self.audit, clock=self.clock)

    def refusal(self, given_approval: Any, given_order: Any) -> str:
        """The code of the refusal, of which nothing was sent and one record was made."""
        sent, recorded = len(self.exchange.got), len(self.audit.records)
        with pytest.raises(ApprovalError) as caught:
            self.gateway.submit(given_approval, given_order)
        assert len(self.exchange.got) == sent
        assert [kind for kind, _ in self.audit.records[recorded:]] == ["approval_refused"]
        assert self.audit.records[-1][1]["code"] == caught.value.code
        return caught.value.code


@pytest.fixture
def desk() -> Desk:
    return Desk()


def test_the_approved_order_goes_out_as_it_was_approved(desk: Desk) -> None:
    ack = desk.gateway.submit(approval(), order())

    (sent,) = desk.exchange.got
    assert dataclasses.asdict(sent) == {
        **{name: FIELDS[name] for name in ("account", "symbol", "side", "type", "size", "price")},
        "client_order_id": "c-1",
        "deadline_ns": NOW_NS + 5 * SECOND,
    }
    assert (ack.state, ack.size) == (OrderState.WORKING, Decimal("0.4"))
    assert (desk.gateway.sent, desk.gateway.refused, desk.audit.records) == (1, {}, [])


@pytest.mark.parametrize("size", ["0.4", "0.40", 0.4, Decimal("0.400")])
def test_the_same_number_in_another_form_is_the_same(desk: Desk, size: Any) -> None:
    desk.gateway.submit(approval(), order(size=size, price="50_000"))

    assert desk.exchange.got[0].size == Decimal("0.4")


def test_a_market_order_has_no_price(desk: Desk) -> None:
    market = approval(type="market", price=None)
    assert desk.refusal(market, order(type="market", price=50_000)) == "ALTERED"

    desk.gateway.submit(market, order(type="market", price=None))
    assert desk.exchange.got[0].price is None


def test_an_approval_is_used_once_even_where_the_exchange_failed(desk: Desk) -> None:
    desk.gateway.submit(approval(), order())
    assert desk.refusal(approval(), order()) == "REPLAYED"

    def fail(_: Any) -> Any:
        raise RingfenceError("the line is down")

    desk.exchange.submit = fail  # type: ignore[method-assign]
    with pytest.raises(RingfenceError, match="line is down"):
        desk.gateway.submit(approval(approval_id="a-2"), order())
    assert desk.refusal(approval(approval_id="a-2"), order()) == "REPLAYED"
    assert desk.gateway.refused == {"REPLAYED": 2}


def test_of_many_threads_one_sends() -> None:
    desk, start, codes = Desk(), threading.Barrier(8), []

    def work() -> None:
        start.wait()
        try:
            desk.gateway.submit(approval(), order())
        except ApprovalError as error:
            codes.append(error.code)

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(desk.exchange.got) == 1
    assert codes == ["REPLAYED"] * 7


def test_it_ends(desk: Desk) -> None:
    desk.clock.advance(5 * SECOND)

    assert desk.refusal(approval(), order()) == "EXPIRED"


def test_an_approval_for_another_place_is_foreign(desk: Desk) -> None:
    assert desk.refusal(approval(venue="other"), order(venue="other")) == "FOREIGN"
    assert desk.refusal(approval(venue=""), order(venue="")) == "FOREIGN"
    assert desk.refusal(approval(account="theirs"), order(account="theirs")) == "FOREIGN"


def test_what_another_key_signed_is_forged(desk: Desk) -> None:
    assert desk.refusal(approval(key=b"z" * 32), order()) == "FORGED"
    assert desk.refusal(dataclasses.replace(approval(), size=Decimal(4)), order(size=4)) == "FORGED"


ALTERED: dict[str, st.SearchStrategy[Any]] = {
    "account": st.text(max_size=5),
    "strategy": st.text(max_size=5),
    "venue": st.text(max_size=5),
    "symbol": st.text(max_size=8) | st.just("ETH/USD"),
    "side": st.just("sell") | st.text(max_size=5),
    "type": st.just("market") | st.text(max_size=5),
    "client_order_id": st.text(max_size=5),
    "reduce_only": st.sampled_from([True, 0, None, ""]),
    "size": st.floats() | st.decimals() | st.integers() | st.none() | st.text(max_size=5),
    "price": st.floats() | st.decimals() | st.integers() | st.none() | st.text(max_size=5),
}


@pytest.mark.parametrize("name", sorted(ALTERED))
@given(data=st.data())
def test_an_order_with_one_field_altered_never_leaves(name: str, data: st.DataObject) -> None:
    value = data.draw(ALTERED[name])
    desk, altered = Desk(), order(**{name: value})
    told = to_decimal(value) if name in ("size", "price") else value
    assume(type(told) is not type(FIELDS[name]) or told != FIELDS[name])

    assert desk.refusal(approval(), altered) == "ALTERED"
    # The refusal used nothing up.
    desk.gateway.submit(approval(), order())


@pytest.mark.parametrize("name", sorted(set(FIELDS) - {"approval_id"}))
def test_an_approval_with_one_field_altered_never_leaves(desk: Desk, name: str) -> None:
    old = FIELDS[name]
    new = not old if isinstance(old, bool) else old + ("x" if isinstance(old, str) else 1)
    forged = dataclasses.replace(approval(), **{name: new})
    asked = order(**{name: new}) if hasattr(order(), name) else order()

    assert desk.refusal(forged, asked) == "FORGED"


@given(
    approved=st.decimals("0.0001", "1000", places=4),
    asked=st.decimals("0.0001", "1000", places=4),
)
def test_the_size_that_leaves_is_never_above_the_approved(
    approved: Decimal, asked: Decimal
) -> None:
    desk = Desk()
    try:
        desk.gateway.submit(approval(size=approved), order(size=asked))
    except ApprovalError:
        assert asked != approved
    assert all(sent.size == approved for sent in desk.exchange.got)


class ChangingOrder(OrderRequest):
    """Asks for the approved size the first time it is read, and for all one has after that."""

    reads = 0

    def __getattribute__(self, name: str) -> Any:
        if name == "size":
            type(self).reads += 1
            return Decimal("0.4") if type(self).reads == 1 else Decimal(1_000_000)
        return super().__getattribute__(name)


def test_an_order_that_changes_after_the_check_leaves_as_approved(desk: Desk) -> None:
    changing = ChangingOrder(**dataclasses.asdict(order()))
    ChangingOrder.reads = 0

    desk.gateway.submit(approval(), changing)

    assert [sent.size for sent in desk.exchange.got] == [Decimal("0.4")]


def test_an_approval_that_changes_while_it_is_claimed_leaves_as_signed() -> None:
    signed = approval()

    class Changing:
        def claim(self, *_: Any) -> bool:
            object.__setattr__(signed, "size", Decimal(1_000_000))
            object.__setattr__(signed, "symbol", "DOGE/USD")
            return True

    desk = Desk(Changing())
    desk.gateway.submit(signed, order())

    assert [(s.symbol, s.size) for s in desk.exchange.got] == [("BTC/USD", Decimal("0.4"))]


class Agreeable(Decimal):
    """Equals every number."""

    def __eq__(self, other: object) -> bool:
        return True

    __hash__ = Decimal.__hash__


class AgreeableText(str):
    """Equals every text."""

    def __eq__(self, other: object) -> bool:
        return True

    def __ne__(self, other: object) -> bool:
        return False

    __hash__ = str.__hash__


class Broken(OrderRequest):
    """Cannot be read."""

    @property
    def venue(self) -> str:  # type: ignore[override]
        raise KeyError("venue")


@pytest.mark.parametrize(
    "hostile",
    [
        order(size=Agreeable(9)),
        order(price=Agreeable(9)),
        order(symbol=AgreeableText("DOGE/USD")),
        order(size=True),
        order(size=10**5000),
        order(size="1e999999999999999999"),
        object.__new__(Broken),
        object(),
        None,
    ],
    ids=lambda each: type(each).__name__,
)
def test_a_hostile_order_never_leaves(desk: Desk, hostile: Any) -> None:
    assert desk.refusal(approval(), hostile) == "ALTERED"


@pytest.mark.parametrize("hostile", [None, object(), "approval", type("A", (Approval,), {})])
def test_what_is_no_approval_is_refused(desk: Desk, hostile: Any) -> None:
    assert desk.refusal(hostile, order()) == "FORGED"


@pytest.mark.parametrize("answer", [None, 1, "yes"])
def test_only_a_plain_yes_of_the_register_counts(answer: Any) -> None:
    class Odd:
        def claim(self, *_: Any) -> Any:
            return answer

    assert Desk(Odd()).refusal(approval(), order()) == "REPLAYED"


@pytest.mark.parametrize("error", [OSError("disk full"), InputError("damaged"), RuntimeError("?")])
def test_without_the_register_nothing_leaves(error: Exception) -> None:
    class Down:
        def claim(self, *_: Any) -> bool:
            raise error

    assert Desk(Down()).refusal(approval(), order()) == "REGISTER_DOWN"


def test_a_refusal_is_recorded_without_the_signature_and_within_bounds(desk: Desk) -> None:
    genuine = approval(strategy="s" * 10_000)
    desk.refusal(genuine, order())

    _, body = desk.audit.records[0]
    assert genuine.signature not in repr(body)
    assert body["approval_id"] == "a-1"
    assert body["size"] == "0.4"
    assert len(repr(body)) < 2_000


def test_a_refusal_that_cannot_be_recorded_is_loud_and_sends_nothing(desk: Desk) -> None:
    def fail(kind: str, body: Any) -> int:
        raise RingfenceError(f"no room for {kind} of {len(body)} values")

    desk.audit.append = fail  # type: ignore[method-assign]
    with pytest.raises(RingfenceError, match="no room") as caught:
        desk.gateway.submit(approval(), order(size=9))

    assert isinstance(caught.value.__context__, ApprovalError)
    assert desk.exchange.got == []
    assert desk.gateway.refused == {"ALTERED": 1}


def test_it_asks_and_cancels_without_an_approval(desk: Desk) -> None:
    assert desk.gateway.find("main", "c-1").state is OrderState.FILLED
    assert [desk.gateway.cancel("main", each) for each in ("c-1", "c-2")] == [True, False]
    assert desk.gateway.open_orders("main") == ()


def fill(cursor: str) -> ExchangeFill:
    one = Decimal(1)
    return ExchangeFill(
        f"f{cursor}", cursor, "c-1", "x-1", "BTC/USD", "buy", one, one, one, one, "USD", NOW_NS
    )


def test_fills_go_on_after_the_last_one(desk: Desk) -> None:
    desk.exchange.batches = [(fill("1"), fill("2")), (), (fill("3"),)]
    polls = iter([True, True, False])

    seen = list(desk.gateway.fills("main", after="0", poll=lambda: next(polls)))

    assert [each.cursor for each in seen] == ["1", "2", "3"]
    assert desk.exchange.asked_after == ["0", "2", "2"]
    assert list(desk.gateway.fills("main")) == []


def test_a_withdrawn_approval_is_never_sent(desk: Desk) -> None:
    assert desk.gateway.withdraw("a-1", NOW_NS + 5 * SECOND)
    assert desk.refusal(approval(), order()) == "REPLAYED"
    # What was sent, or withdrawn before, cannot be withdrawn.
    desk.gateway.submit(approval(approval_id="a-2"), order())
    assert not desk.gateway.withdraw("a-2", NOW_NS + 5 * SECOND)
    assert not desk.gateway.withdraw("a-1", NOW_NS + 5 * SECOND)
    assert len(desk.exchange.got) == 1


def test_listeners_are_told_of_every_order_that_was_handed_over(desk: Desk) -> None:
    told: list[tuple[str, OrderState]] = []
    desk.gateway.listen(lambda name, answer: told.append((name, answer.state)))
    desk.gateway.submit(approval(), order())
    desk.refusal(approval(), order())

    def fail(_: Any) -> Any:
        raise ExchangeError("TOO_LATE", "the deadline has passed")

    desk.exchange.submit = fail  # type: ignore[method-assign]
    with pytest.raises(ExchangeError):
        desk.gateway.submit(approval(approval_id="a-2"), order())

    assert told == [("a-1", OrderState.WORKING), ("a-2", OrderState.REJECTED)]


def test_calls_of_the_exchange_are_told_with_how_long_they_took(desk: Desk) -> None:
    def told() -> dict[str, dict[str, Any]]:
        return {
            each.name.removeprefix("ringfence_"): {
                " ".join(value for name, value in sample.labels.items() if name != "venue"): (
                    sample.value
                )
                for sample in each.samples
            }
            for each in desk.gateway.metrics()
        }

    # The first refusal must show as a rise: a series that begins with 1 shows none.
    assert told()["approvals_refused"] == dict.fromkeys(REFUSED, 0)
    desk.gateway.submit(approval(), order())
    desk.gateway.open_orders("main")

    def fail(_: Any) -> Any:
        raise ExchangeError("UNREACHABLE", "the line is down")

    desk.exchange.submit = fail  # type: ignore[method-assign]
    with pytest.raises(ExchangeError):
        desk.gateway.submit(approval(approval_id="a-2"), order())
    desk.refusal(approval(approval_id="a-3"), order(size="0.5"))

    found = told()
    counts = {name: sum(each.counts) for name, each in found["exchange_request_seconds"].items()}
    assert counts == {
        "submit": 2, "open_orders": 1, "find": 0, "cancel": 0, "balances": 0, "fills": 0,
    }  # fmt: skip
    assert found["exchange_errors"] == {"UNREACHABLE": 1}
    assert found["approvals_refused"]["ALTERED"] == 1
