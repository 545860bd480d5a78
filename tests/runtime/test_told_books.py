"""Records of large books name an earlier one and tell what changed since; whoever reads them gets all of it."""

import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, event, given, settings
from hypothesis import strategies as st

from ringfence.backends.numba_kernel import layout
from ringfence.errors import AuditError
from ringfence.language.orders import OrderRequest
from ringfence.runtime.audit_codec import decode, encode
from ringfence.runtime.audit_decision import DECISION
from ringfence.runtime.audit_log import AuditLog
from ringfence.runtime.audit_reader import AuditReader, RawRecord, Record, tail
from ringfence.runtime.audit_segments import segments
from ringfence.runtime.audit_verify import verify
from ringfence.runtime.guard import CentralRiskGuard
from ringfence.runtime.guard_settings import GuardSettings
from ringfence.runtime.policy_set import PolicySet
from ringfence.runtime.ports import SYSTEM_FILES
from ringfence.runtime.told_books import ToldBooks
from runtime.desk import Records
from runtime.large_desk import HELD, SYMBOLS, LargeDesk, large_policies, noted, told_by_changes
from runtime.memory_log import MemoryLog, Store

pytestmark = pytest.mark.unit


@pytest.fixture(scope="module")
def policy_sets(tmp_path_factory: pytest.TempPathFactory) -> list[PolicySet]:
    return [
        large_policies(tmp_path_factory.mktemp("policies") / name, gross=name == "gross")
        for name in ("plain", "gross")
    ]


@pytest.fixture
def desk(tmp_path: Path, policy_sets: list[PolicySet]) -> Any:
    made = LargeDesk(tmp_path, policy_sets[0])
    yield made
    made.close()


def check(desk: LargeDesk) -> list[Record]:
    """Every record says all that its decision was made from; returns them as they were written."""
    whole, written = desk.records(), desk.records(complete=False)
    for record in whole:
        if record.body.get("evidence") is not None:
            assert record.body["evidence"] == desk.wanted[record.body["id"]], record.sequence
    assert [each.sequence for each in whole] == [each.sequence for each in written]
    assert verify(desk.place / "audit").findings == []
    # Canonical, although they are put together as text.
    assert all(encode(decode(each.body)) == each.body for each in raw(desk))
    for path in segments(desk.place / "audit", SYSTEM_FILES):
        first = int(path.stem)
        inside = [each for each in written if each.segment == path.name and "evidence" in each.body]
        for each in inside:
            for about in told_by_changes(each):
                assert first <= about["base"] < each.sequence
    return written


def raw(desk: LargeDesk) -> list[RawRecord]:
    found = AuditReader(desk.place / "audit").poll_raw()
    return [each for each in found if each.kind == DECISION]


symbol = st.integers(0, HELD - 1)
steps = st.lists(
    st.one_of(
        st.tuples(st.just("ask"), symbol, st.sampled_from(["", "trend"])),
        st.tuples(st.just("many"), st.lists(symbol, min_size=2, max_size=20)),
        st.tuples(st.just("mark"), st.lists(symbol, min_size=1, max_size=16), st.integers(9, 11)),
        st.tuples(st.just("hold"), symbol, st.sampled_from(["buy", "sell"])),
        st.tuples(st.just("cancel")),
        st.tuples(st.just("fill")),
        st.tuples(st.just("others")),
        st.tuples(st.just("again")),
    ),
    min_size=5,
    max_size=30,
)


def live_through(desk: LargeDesk, history: list[tuple[Any, ...]]) -> None:
    working: list[str] = []
    for what, *rest in history:
        match what:
            case "ask":
                working.append(desk.ask(SYMBOLS[rest[0]], strategy=rest[1]))
            case "many":
                orders = [(desk.order(SYMBOLS[at]), None) for at in rest[0]]
                working += [each.id for each in desk.guard.evaluate_orders(orders)]
            case "mark":
                desk.clock.advance(1)
                for at in rest[0]:
                    desk.mark(SYMBOLS[at], float(rest[1]))
            case "hold":
                desk.hold("main", SYMBOLS[rest[0]], rest[1])
            case "cancel" | "fill" if working:
                name = working.pop()
                if desk.guard.account_of(name) and what == "cancel":
                    desk.guard.on_cancel(name)
                elif desk.guard.account_of(name):
                    desk.guard.on_fill(name, 1, 10.0)
            case "others":
                desk.log.append("note", {"text": "x" * 9_000})
            case "again":
                desk.close()
                desk.open()


@settings(
    max_examples=15,
    deadline=None,
    phases=(Phase.explicit, Phase.reuse, Phase.generate),
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
    print_blob=True,
)
@given(history=steps, segment=st.sampled_from([100_000, 120_000, 1 << 20]), gross=st.booleans())
def test_every_record_says_all_that_its_decision_was_made_from(
    policy_sets: list[PolicySet], history: list[Any], segment: int, gross: bool
) -> None:
    with tempfile.TemporaryDirectory() as place:
        desk = LargeDesk(Path(place), policy_sets[gross], segment_bytes=segment)
        try:
            live_through(desk, history)
            for each in check(desk):
                if "evidence" in each.body:
                    event(f"{len(told_by_changes(each))} books by their changes")
        finally:
            desk.close()


def test_a_record_tells_only_what_changed_and_costs_a_fraction(desk: LargeDesk) -> None:
    for _ in range(5):
        desk.ask(SYMBOLS[3])

    first, *others = check(desk)

    assert told_by_changes(first) == []
    for each in others:
        assert told_by_changes(each) == [{"at": [3], "base": first.sequence, "held": HELD}] * 2
    sizes = [len(each.body) for each in raw(desk)]
    assert sizes[-1] < sizes[0] / 4


def test_a_book_that_changed_much_is_told_in_full_again(desk: LargeDesk) -> None:
    desk.ask(SYMBOLS[0])
    for name in SYMBOLS[: HELD // 4 + 1]:
        desk.mark(name, 10.5)
        desk.clock.advance(1)
    desk.clock.advance(1)
    for name in SYMBOLS:
        desk.mark(name, 10.5)
    desk.ask(SYMBOLS[0])
    desk.ask(SYMBOLS[0])

    _, second, third = check(desk)

    assert told_by_changes(second) == []
    assert {each["base"] for each in told_by_changes(third)} == {second.sequence}


def test_once_as_much_was_told_as_the_book_holds_it_is_told_in_full(desk: LargeDesk) -> None:
    for k in range(60):
        desk.ask(SYMBOLS[k % 8])

    found = check(desk)

    in_full = [each for each in found if not told_by_changes(each)]
    assert len(in_full) > 2
    told = sum(len(about["at"]) for each in found for about in told_by_changes(each))
    assert told <= 2 * (HELD + 8) * len(in_full)


def test_a_small_book_is_told_in_full_as_ever(desk: LargeDesk) -> None:
    for _ in range(3):
        desk.ask(SYMBOLS[0], account="other")

    found = check(desk)

    for each in found:
        _, account = each.body["evidence"]["books"]
        assert len(account) == 7
    assert len(told_by_changes(found[-1])) == 1


def test_symbols_that_come_and_go_are_told(desk: LargeDesk) -> None:
    desk.ask(SYMBOLS[0])
    held = []
    for side, name in (("sell", SYMBOLS[5]), ("sell", SYMBOLS[0]), ("buy", "ETH/USD")):
        desk.hold("main", name, side)
        desk.ask(SYMBOLS[1])
        held.append({about["held"] for about in told_by_changes(check(desk)[-1])})
    desk.hold("main", "BTC/USD")
    desk.hold("main", SYMBOLS[5])
    desk.ask(SYMBOLS[1])

    # The first symbol stays, for an order of it works.
    assert held == [{HELD - 1}, {HELD - 1}, {HELD}]
    last, _ = told_by_changes(check(desk)[-1])
    assert last["held"] == HELD + 2
    assert last["at"][-2:] == [HELD, HELD + 1]


def test_a_new_file_begins_with_books_in_full_whoever_filled_the_old_one(
    tmp_path: Path, policy_sets: list[PolicySet]
) -> None:
    desk = LargeDesk(tmp_path, policy_sets[0], segment_bytes=100_000)
    desk.log.append("note", {"text": "x" * 60_000})
    desk.ask(SYMBOLS[0])
    desk.ask(SYMBOLS[0])
    desk.log.append("note", {"text": "x" * 60_000})
    desk.ask(SYMBOLS[0])
    desk.ask(SYMBOLS[0])
    # Nobody looks at the log between the two looks of the guard.
    append = desk.log.append

    def late(kind: str, body: Any, beside: int = 0) -> int:
        if beside:
            append("note", {"text": "x" * 60_000})
        return append(kind, body, beside)

    desk.log.append = late  # type: ignore[method-assign]
    desk.ask(SYMBOLS[0])
    desk.log.append = append  # type: ignore[method-assign]
    desk.ask(SYMBOLS[0])
    desk.ask(SYMBOLS[0])

    found = check(desk)
    desk.close()

    shown = [bool(told_by_changes(each)) for each in found]
    assert shown == [False, True, False, True, False, False, True]


def test_the_rest_of_a_log_can_be_read_without_its_old_files(
    tmp_path: Path, policy_sets: list[PolicySet]
) -> None:
    desk = LargeDesk(tmp_path, policy_sets[0], segment_bytes=80_000)
    for k in range(60):
        desk.ask(SYMBOLS[k % 5])
    before = {each.sequence: each.body for each in desk.records()}
    desk.log.drop_before(desk.log.last - 10)

    left = desk.records()
    desk.close()

    assert 0 < len(left) < len(before)
    assert all(each.body == before[each.sequence] for each in left)
    assert verify(desk.place / "audit").findings == []


def test_one_record_in_the_middle_or_the_last_ones_are_complete(desk: LargeDesk) -> None:
    for k in range(12):
        desk.ask(SYMBOLS[k])
    whole, folder = desk.records(), desk.place / "audit"

    for each in whole[1:]:
        assert next(AuditReader(folder, after=each.sequence - 1).poll()) == each
        reader = AuditReader(folder)
        found = next(r for r in reader.poll(complete=False) if r.sequence == each.sequence)
        assert reader.completed(found) == each
    assert tail(folder, 3) == whole[-3:]
    reader = AuditReader(folder, after=whole[5].sequence)
    assert list(reader.poll()) == whole[6:]
    desk.ask(SYMBOLS[0])
    desk.log.wait(desk.log.last)
    (last,) = reader.poll()
    assert last.body["evidence"] == desk.wanted[last.body["id"]]


def test_after_a_restart_books_are_told_in_full(desk: LargeDesk) -> None:
    desk.ask(SYMBOLS[0])
    desk.ask(SYMBOLS[0])
    desk.close()
    desk.open()
    desk.ask(SYMBOLS[0])
    desk.ask(SYMBOLS[0])

    assert [bool(told_by_changes(each)) for each in check(desk)] == [False, True, False, True]


def test_a_record_that_the_log_did_not_take_is_named_by_none(desk: LargeDesk) -> None:
    append = desk.log.append

    def refused(*_: Any) -> int:
        raise AuditError("full")

    desk.log.append = refused  # type: ignore[method-assign]
    assert desk.guard.evaluate_order(desk.order(SYMBOLS[0])).code == "AUDIT_UNAVAILABLE"
    orders = [(desk.order(SYMBOLS[k]), None) for k in range(3)]
    assert {each.code for each in desk.guard.evaluate_orders(orders)} == {"AUDIT_UNAVAILABLE"}
    desk.log.append = append  # type: ignore[method-assign]
    orders = [(desk.order(SYMBOLS[k]), None) for k in range(3)]
    assert {each.code for each in desk.guard.evaluate_orders(orders)} == {""}
    desk.ask(SYMBOLS[0])

    first, *others = check(desk)

    assert not told_by_changes(first)
    assert all(
        about["base"] == first.sequence for each in others for about in told_by_changes(each)
    )
    assert all(map(told_by_changes, others))


def test_of_a_batch_only_the_first_record_has_to_be_taken_for_the_others_to_name_it(
    desk: LargeDesk,
) -> None:
    append, calls = desk.log.append, []

    def once(*given: Any) -> int:
        calls.append(given)
        if len(calls) == 1:
            raise AuditError("full")
        return append(*given)

    desk.log.append = once  # type: ignore[method-assign]
    orders = [(desk.order(SYMBOLS[k]), None) for k in range(3)]
    codes = [each.code for each in desk.guard.evaluate_orders(orders)]
    desk.log.append = append  # type: ignore[method-assign]
    desk.ask(SYMBOLS[0])
    desk.ask(SYMBOLS[0])

    assert codes == ["AUDIT_UNAVAILABLE", "", ""]
    assert [bool(told_by_changes(each)) for each in check(desk)] == [False, False, False, True]


def test_guards_that_share_books_name_records_of_their_own_logs(
    tmp_path: Path, policy_sets: list[PolicySet]
) -> None:
    alone = LargeDesk(tmp_path / "alone", policy_sets[0])
    alone.close()
    store, wanted = Store(), dict[str, Any]()
    logs = [AuditLog.open(tmp_path / name, durability="process") for name in "ab"]
    guards = [
        CentralRiskGuard.open(
            policy_sets[0],
            audit=log,
            state=MemoryLog(store, name),
            clock=alone.clock,
            settings=GuardSettings(name=name, poll_seconds=0),
        )
        for name, log in zip("ab", logs, strict=True)
    ]
    guards[0].on_balance("account/main", "opening", 100_000)
    for guard in guards:
        noted(guard, wanted)
    alone.guard, alone.log = guards[0], logs[0]
    for name in SYMBOLS:
        alone.mark(name, 10.0)
        alone.hold("main", name)
    for k in range(8):
        alone.guard = guards[k % 2]
        alone.ask(SYMBOLS[k])
    for guard, log in zip(guards, logs, strict=True):
        guard.close()
        log.close()

    for name in "ab":
        found = [each for each in AuditReader(tmp_path / name).poll() if each.kind == DECISION]
        assert len(found) == 4
        assert all(each.body["evidence"] == wanted[each.body["id"]] for each in found)
        written = AuditReader(tmp_path / name).poll(complete=False)
        told = [told_by_changes(each) for each in written if each.kind == DECISION]
        assert [bool(each) for each in told] == [False, True, True, True]


def test_copies_are_bounded_and_the_oldest_goes(desk: LargeDesk) -> None:
    for name in SYMBOLS:
        desk.hold("other", name)
    desk.guard._told_books = ToldBooks(desk.log, most_bytes=11_000)
    for k in range(6):
        desk.ask(SYMBOLS[0], account=("main", "other")[k % 2])

    found = check(desk)

    assert 0 < desk.guard._told_books.size_bytes <= 11_000
    # The firm's and one account's copy have room; each account's takes the place of the oldest.
    assert any(len(told_by_changes(each)) == 1 for each in found)
    desk.guard._told_books = ToldBooks(desk.log, most_bytes=100)
    for _ in range(2):
        desk.ask(SYMBOLS[0])
    assert not any(told_by_changes(each) for each in check(desk)[-2:])


def test_a_log_that_does_not_know_its_files_gets_books_in_full(
    tmp_path: Path, policy_sets: list[PolicySet]
) -> None:
    desk, records = LargeDesk(tmp_path, policy_sets[0]), Records()
    desk.guard.close()
    guard = CentralRiskGuard.open(
        policy_sets[0],
        audit=records,
        state=tmp_path / "state",
        clock=desk.clock,
        settings=GuardSettings(),
    )
    for _ in range(3):
        guard.evaluate_order(desk.order(SYMBOLS[0]))
    guard.close()
    desk.log.close()

    bodies = records.of(DECISION)
    assert len(bodies) == 3
    assert all(len(book) == 7 for body in bodies for book in body["evidence"]["books"])


def test_the_worth_of_lots_is_told_again_where_a_rate_has_changed(
    tmp_path: Path, policy_sets: list[PolicySet]
) -> None:
    desk = LargeDesk(tmp_path, policy_sets[1])
    desk.ask(SYMBOLS[0])
    desk.ask(SYMBOLS[0])
    arrays = desk.guard._books.ledger.arrays
    arrays.books.sym[arrays.symbols[SYMBOLS[9]], layout.LOT_MONEY] *= 2.0
    desk.ask(SYMBOLS[0])

    _, second, third = check(desk)
    desk.close()

    money = [each.body["evidence"]["recent"]["lot_money"] for each in (second, third)]
    assert [[type(each) for each in books] for books in money] == [[list, list], [str, str]]


def test_a_gate_that_asks_for_the_worth_of_lots_finds_it_though_the_named_record_lacks_it(
    tmp_path: Path, policy_sets: list[PolicySet]
) -> None:
    desk = LargeDesk(tmp_path, policy_sets[0])
    desk.ask(SYMBOLS[0])
    desk.guard.use(policy_sets[1], by="someone")
    desk.ask(SYMBOLS[0])
    desk.ask(SYMBOLS[0])

    first, second, third = check(desk)
    desk.close()

    assert "recent" not in first.body["evidence"]
    assert told_by_changes(second)
    for each in (second, third):
        assert all(isinstance(m, str) for m in each.body["evidence"]["recent"]["lot_money"])


def test_threads_and_other_writers_of_the_log_change_nothing(
    tmp_path: Path, policy_sets: list[PolicySet]
) -> None:
    desk = LargeDesk(tmp_path, policy_sets[0], segment_bytes=120_000)

    def ask(first: int) -> None:
        for k in range(first, first + 30):
            given = {"side": "buy", "size": "1", "price": "10", "client_order_id": f"t{k}"}
            desk.guard.evaluate_order(OrderRequest("main", SYMBOLS[k % 7], **given))

    def write(count: int) -> None:
        for _ in range(count):
            desk.log.wait(desk.log.append("note", {"text": "x" * 3_000}))

    with ThreadPoolExecutor(4) as pool:
        for each in [pool.submit(ask, at) for at in (0, 100, 200)] + [pool.submit(write, 60)]:
            each.result()

    found = check(desk)
    desk.close()

    assert len(found) == 90
    assert len({each.segment for each in found}) > 2
    assert sum(bool(told_by_changes(each)) for each in found) > 30
