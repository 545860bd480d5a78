"""Orders of a batch: answers, books, journal and audit log are those of the same orders one by one."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ringfence import OrderRequest, PolicySet, RiskDecision
from ringfence.errors import AuditError
from ringfence.runtime import guard as guard_module
from ringfence.runtime.asked import MarketData
from ringfence.runtime.audit_log import AuditLog
from ringfence.runtime.guard import CentralRiskGuard
from ringfence.runtime.guard_settings import GuardSettings
from ringfence.runtime.ports import FixedClock, SeededRandom
from runtime.desk import NOON, Records, Signer, opened, order, policies

pytestmark = pytest.mark.unit


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> PolicySet:
    return policies(tmp_path_factory.mktemp("desk") / "policies", daily="halt")


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("batches")


def kept(directory: Path) -> dict[str, bytes]:
    return {
        each.name: each.read_bytes()
        for each in sorted(directory.iterdir())
        if each.suffix == ".audit" or each.name.startswith("journal")
    }


orders_of_a_batch = st.lists(
    st.tuples(
        st.builds(
            order,
            st.sampled_from(["1", "4", "9.5", "0.05", "0", "200"]),
            account=st.sampled_from(["main", "other", "nobody"]),
            symbol=st.sampled_from(["BTC/USD", "ETH/USD", "NO/SUCH"]),
            side=st.sampled_from(["buy", "sell", "hold"]),
            price=st.sampled_from(["1000", "10", None]),
            client_order_id=st.sampled_from(["", "", "a", "b", "c"]),
            reduce_only=st.booleans(),
        ),
        st.sampled_from([None, None, None, MarketData(999.0, 1_001.0, 1_000.0, NOON + 1)]),
    ),
    min_size=1,
    max_size=20,
)


@given(asked=orders_of_a_batch, loss=st.booleans(), name=st.sampled_from(["", "trace-1"]))
@settings(max_examples=8, deadline=None)
def test_a_batch_leaves_the_very_bytes_that_its_orders_leave_one_by_one(
    desk: PolicySet, place: Path, asked: list[tuple[OrderRequest, Any]], loss: bool, name: str
) -> None:
    found = []
    for number, is_batch in enumerate((False, True)):
        at = place / f"{len(list(place.iterdir()))}-{number}"
        clock = FixedClock(NOON)
        how = GuardSettings(signer=Signer(), most_client_orders=3)
        with AuditLog.open(
            at / "audit", durability="process", clock=clock, random=SeededRandom(1)
        ) as log, opened(
            desk, clock=clock, settings=how, audit=log, state=at / "state", random=SeededRandom(1)
        ) as guard:  # fmt: skip
            if loss:
                # The day's loss halts the account once an order meets it.
                guard.on_direct_fill("main", "", "BTC/USD", "buy", "4", 2_000)
            if is_batch:
                answers = guard.evaluate_orders(asked, request_id=name)
            else:
                answers = [guard.evaluate_order(*each, request_id=name) for each in asked]
            log.wait(log.last)
            told = [
                (each.id, *each, each.code, each.approval, each.decided_by, each.repeated)
                for each in answers
            ]
            gates = [repr(each.gates) for each in answers]
            books = [repr(guard.book(name)) for name in guard.books]
            found.append((told, gates, books, kept(at / "audit"), kept(at / "state")))
    alone, together = found

    assert together == alone


def working(guard: CentralRiskGuard) -> list[str]:
    return sorted(each.client_order_id for each in guard.working_orders())


def test_where_the_state_cannot_be_written_none_of_those_together_is_approved(
    desk: PolicySet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in (("_AT_FIRST", 2), ("_AT_MOST", 2), ("_WAIT_NS", 10**18)):
        monkeypatch.setattr(guard_module, name, value)
    records = Records()
    guard = opened(desk, audit=records, state=tmp_path / "state", settings=GuardSettings())
    store = guard._keeper._store
    write = store.append_all
    calls = 0

    def fail(events: Any) -> None:
        nonlocal calls
        calls += 1
        if calls == 2:
            raise OSError("no room")
        write(events)

    monkeypatch.setattr(store, "append_all", fail)
    found = guard.evaluate_orders(
        [(order("1", client_order_id=name), None) for name in ("a", "b", "c", "d", "e")]
    )

    assert [each.code for each in found] == ["", "", "STATE_UNAVAILABLE", "STATE_UNAVAILABLE", ""]
    assert working(guard) == ["a", "b", "e"]
    told = [body["code"] for body in records.of("decision")]
    assert told == ["", "", "STATE_UNAVAILABLE", "STATE_UNAVAILABLE", ""]
    guard.close()
    with CentralRiskGuard.open(
        desk,
        audit=Records(),
        state=tmp_path / "state",
        settings=GuardSettings(),
        clock=FixedClock(NOON),
    ) as again:
        assert working(again) == ["a", "b", "e"]


def test_an_event_that_cannot_be_written_down_fails_the_orders_and_reserves_nothing(
    desk: PolicySet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    guard = opened(desk, audit=Records(), state=tmp_path / "state", settings=GuardSettings())

    def fail(events: Any) -> None:
        raise RuntimeError(events)

    monkeypatch.setattr(guard._keeper._store, "append_all", fail)
    found = guard.evaluate_orders([(order("1", client_order_id="a"), None)])
    assert [each.reason for each in found] == ["INTERNAL_ERROR error=RuntimeError"]
    assert working(guard) == []

    def stop(events: Any) -> None:
        raise KeyboardInterrupt(events)

    monkeypatch.setattr(guard._keeper._store, "append_all", stop)
    with pytest.raises(KeyboardInterrupt):
        guard.evaluate_orders([(order("1", client_order_id="b"), None)])
    assert working(guard) == []
    guard.close()


@pytest.mark.parametrize(
    ("error", "code"),
    [(AuditError("full"), "AUDIT_UNAVAILABLE"), (RuntimeError("odd"), "INTERNAL_ERROR")],
)
def test_an_order_of_a_batch_whose_record_is_refused_is_taken_back_and_the_others_stand(
    desk: PolicySet, error: Exception, code: str
) -> None:
    class Full(Records):
        def append(self, kind: str, body: Mapping[str, Any] | bytes) -> int:
            if kind == "decision" and len(self.of(kind)) == 1:
                self.bodies.append(("", {}))
                self.bodies.append(("decision", {}))
                raise error
            return super().append(kind, body)

    guard = opened(desk, audit=Full(), settings=GuardSettings(in_memory=True))
    found = guard.evaluate_orders(
        [(order("1", client_order_id=name), None) for name in ("a", "b", "c")]
    )
    assert [each.code for each in found] == ["", code, ""]
    assert [each.decision for each in found][1] is RiskDecision.REJECT
    assert working(guard) == ["a", "c"]


def test_orders_of_a_batch_that_cannot_be_judged_are_rejected_and_never_raise(
    desk: PolicySet,
) -> None:
    class Broken:
        def sign(self, **fields: Any) -> Any:
            raise RuntimeError(fields)

    guard = opened(desk, settings=GuardSettings(True, True, signer=Broken()))
    found = guard.evaluate_orders([(order("1"), None), (object(), None)])
    assert [each.code for each in found] == ["INTERNAL_ERROR", "INVALID_ORDER"]
    assert working(guard) == []
    guard.close()
    assert [each.code for each in guard.evaluate_orders([(order("1"), None)])] == ["GUARD_CLOSED"]


@pytest.mark.parametrize("odd", [5, None, (), "ab", (order("1"),), (order("1"), None, 3)])
def test_what_is_no_order_with_its_market_data_is_rejected_among_others(
    desk: PolicySet, odd: Any
) -> None:
    guard = opened(desk)

    answers = guard.evaluate_orders([(order("1"), None), odd, [order("2"), None]])

    assert [each.decision for each in answers] == ["APPROVE", "REJECT", "APPROVE"]
    assert answers[1].code == "INVALID_ORDER"
    assert [str(each.size) for each in guard.working_orders()] == ["1.0", "2.0"]
    assert guard.evaluate_order(order("1")).decision is RiskDecision.APPROVE


def test_of_orders_that_cannot_all_be_had_none_counts(desk: PolicySet) -> None:
    guard = opened(desk)

    def asked() -> Iterator[tuple[OrderRequest, None]]:
        for _ in range(100):
            yield order("0.1"), None
        raise ValueError("the feed broke")

    with pytest.raises(ValueError, match="the feed broke"):
        guard.evaluate_orders(asked())

    assert guard.working_orders() == ()
