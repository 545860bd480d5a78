"""What a guard has promised, it still knows after it was killed; a state it cannot read it refuses."""

import json
import os
import random
import signal
import subprocess
import sys
import warnings
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from ringfence import PolicySet, RiskDecision
from ringfence.errors import AuditError, StateError
from ringfence.runtime import guard_core
from ringfence.runtime.asked import MarketData
from ringfence.runtime.audit_log import AuditLog
from ringfence.runtime.guard import CentralRiskGuard
from ringfence.runtime.guard_settings import GuardSettings
from ringfence.runtime.ports import AppendFile, FixedClock, Lock, SystemFiles
from ringfence.runtime.state_directory import StateDirectory, read_journal
from runtime.desk import NOON, SECOND, Records, mark, opened, order, policies

pytestmark = pytest.mark.unit

KEPT = GuardSettings(without_audit=True)
TRADER = Path(__file__).with_name("killed_trader.py")
RUNS = 12


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> PolicySet:
    return policies(tmp_path_factory.mktemp("desk") / "policies")


def again(
    desk: PolicySet, state: Path, *, audit: Records | None = None, now: int = NOON
) -> CentralRiskGuard:
    settings = KEPT if audit is None else GuardSettings()
    return CentralRiskGuard.open(
        desk, state=state, clock=FixedClock(now), settings=settings, audit=audit
    )


def abandon(guard: CentralRiskGuard) -> None:
    """As the end of its process leaves it: nothing is written, the lock is gone."""
    guard._keeper.release()


def views(guard: CentralRiskGuard) -> str:
    return repr([guard.book(name) for name in guard.books])


def test_everything_is_there_after_a_restart(desk: PolicySet, tmp_path: Path) -> None:
    clock = FixedClock(NOON)
    guard = opened(desk, state=tmp_path, settings=KEPT, clock=clock)
    first = guard.evaluate_order(order("4", client_order_id="a", strategy="trend"))
    refused = guard.evaluate_order(
        order("1", client_order_id="b", price="0.001", side="sell", type="stop", reduce_only=True)
    )
    guard.on_fill(first.id, "1", 1_001, 2)
    guard.on_direct_fill("other", "", "ETH/USD", "sell", "3", 10)
    guard.on_balance("account/other", "deposit", "5.5")
    clock.advance(SECOND)
    mark(guard, clock.now_ns(), 990.0)
    guard.set_kill_switch("symbol/ETH/USD", "reducing", by="ann", reason="drill")
    guard.set_kill_switch("venue/paper", "halted", by="ann", reason="drill")
    before = views(guard), guard.kill_switches
    abandon(guard)

    records = Records()
    reopened = again(desk, tmp_path, audit=records, now=clock.now_ns())

    assert (views(reopened), reopened.kill_switches) == before
    assert [each.order_id for each in reopened.orphans] == [first.id]
    assert records.of("orphaned_reservations")[0]["orders"] == [[first.id, "3.0"]]
    assert reopened.evaluate_order(order("1", venue="paper")).code == "KILL_SWITCH"
    assert reopened.evaluate_order(order("1", symbol="ETH/USD", price="10")).code == "KILL_SWITCH"
    same = reopened.evaluate_order(order("4", client_order_id="a", strategy="trend"))
    assert (same.id, tuple(same), same.repeated) == (first.id, tuple(first), True)
    no = reopened.evaluate_order(
        order("1", client_order_id="b", price="0.001", side="sell", type="stop", reduce_only=True)
    )
    assert (no.id, tuple(no)) == (refused.id, tuple(refused))
    assert reopened.evaluate_order(order("5", client_order_id="a")).code == "DUPLICATE_ORDER"
    assert reopened.on_fill(first.id, "1", 1_001, 2) == 0
    assert reopened.on_cancel(first.id)


def test_it_goes_on_the_same_way_as_one_that_never_ended(desk: PolicySet, tmp_path: Path) -> None:
    """The same events with restarts (from the journal, from a snapshot) and without give the same books."""
    source = random.Random(7)
    clock = FixedClock(NOON)
    kept = opened(desk, state=tmp_path, settings=KEPT, clock=clock)
    other = opened(desk, clock=FixedClock(NOON))
    ids: list[tuple[str, str]] = []
    for step in range(300):
        if step % 37 == 36:
            if step % 2:
                kept.close()
            else:
                abandon(kept)
            kept = CentralRiskGuard.open(desk, state=tmp_path, settings=KEPT, clock=clock)
        clock.advance(SECOND // 10)
        other._clock.advance(SECOND // 10)  # type: ignore[attr-defined]
        side, size = source.choice(("buy", "sell")), Decimal(source.randint(1, 60)) / 10
        price = source.uniform(900, 1_100)
        data = MarketData(price, price + 0.5, price, clock.now_ns())
        answers = [each.evaluate_order(order(size, side=side), data) for each in (kept, other)]
        assert tuple(answers[0]) == tuple(answers[1])
        if answers[0].size:
            ids.append((answers[0].id, answers[1].id))
        if ids and source.random() < 0.7:
            pair = ids.pop(source.randrange(len(ids)))
            for each, name in zip((kept, other), pair, strict=True):
                if step % 3:
                    each.on_fill(name, "0.1", price, 0.01)
                each.on_cancel(name)

    def shown(guard: CentralRiskGuard) -> str:
        found = views(guard)
        for k, pair in enumerate(ids):
            for name in pair:
                found = found.replace(name, f"order-{k}")
        return found

    assert shown(kept) == shown(other)


def test_one_guard_holds_a_directory(desk: PolicySet, tmp_path: Path) -> None:
    guard = again(desk, tmp_path)
    with pytest.raises(StateError, match="another guard"):
        again(desk, tmp_path)
    guard.close()
    again(desk, tmp_path).close()


def test_a_torn_record_is_dropped_and_a_changed_one_refused(
    desk: PolicySet, tmp_path: Path
) -> None:
    guard = opened(desk, state=tmp_path, settings=KEPT)
    first = guard.evaluate_order(order("4"))
    guard.evaluate_order(order("2"))
    abandon(guard)
    journal = max(tmp_path.glob("journal-*"))
    content = journal.read_bytes()

    for cut in (1, 20):
        journal.write_bytes(content[:-cut])
        reopened = again(desk, tmp_path)
        assert [each.order_id for each in reopened.orphans] == [first.id]
        abandon(reopened)
        for path in tmp_path.glob("*-*"):
            path.unlink()
        (tmp_path / journal.name).write_bytes(content)
        snapshot_of(desk, tmp_path, journal)

    journal.write_bytes(content.replace(b"order", b"ordel", 1))
    with pytest.raises(StateError, match="was changed"):
        again(desk, tmp_path)


def test_no_change_of_a_byte_costs_a_reservation(desk: PolicySet, tmp_path: Path) -> None:
    guard = opened(desk, state=tmp_path, settings=KEPT)
    guard.checkpoint()
    for size in ("4", "2"):
        assert guard.evaluate_order(order(size)).decision is RiskDecision.APPROVE
    abandon(guard)
    journal = max(tmp_path.glob("journal-*"))
    content = journal.read_bytes()
    assert len(read_journal(journal, content)) == 2

    for place in range(len(content)):
        changed = bytearray(content)
        changed[place] ^= 1 << place % 8
        with pytest.raises(StateError, match="was changed"):
            read_journal(journal, bytes(changed))


def test_a_record_that_is_missing_or_out_of_place_is_refused(
    desk: PolicySet, tmp_path: Path
) -> None:
    guard = opened(desk, state=tmp_path, settings=KEPT)
    guard.checkpoint()
    for size in ("4", "2", "1"):
        assert guard.evaluate_order(order(size)).decision is RiskDecision.APPROVE
    abandon(guard)
    journal = max(tmp_path.glob("journal-*"))
    one, two, three = journal.read_bytes().splitlines(keepends=True)

    for lines in ((two, three), (one, three), (two, one, three), (one, one, two, three)):
        with pytest.raises(StateError, match="one before it is missing"):
            read_journal(journal, b"".join(lines))
    with pytest.raises(StateError, match="record 1 "):
        read_journal(journal.with_name("journal-000000000009"), one)


def snapshot_of(desk: PolicySet, folder: Path, journal: Path) -> None:
    """The empty snapshot that stands before the first journal."""
    aside = folder / "aside"
    guard = again(desk, aside)
    abandon(guard)
    made = next(aside.glob("snapshot-*"))
    made.rename(folder / journal.name.replace("journal", "snapshot"))
    for path in aside.iterdir():
        path.unlink()


@pytest.mark.parametrize(
    "content", [b"", b"ringfence-state 9 00000000\n{}", b"ringfence-state 1 00000000\n{}"]
)
def test_a_snapshot_that_cannot_be_read_is_refused(
    desk: PolicySet, tmp_path: Path, content: bytes
) -> None:
    again(desk, tmp_path).close()
    max(tmp_path.glob("snapshot-*")).write_bytes(content)
    with pytest.raises(StateError) as raised:
        again(desk, tmp_path)

    assert raised.value.fix


def test_a_journal_without_its_snapshot_is_refused(desk: PolicySet, tmp_path: Path) -> None:
    again(desk, tmp_path).close()
    max(tmp_path.glob("snapshot-*")).unlink()
    with pytest.raises(StateError, match="snapshot"):
        again(desk, tmp_path)


def test_a_snapshot_without_its_journal_is_refused(desk: PolicySet, tmp_path: Path) -> None:
    guard = opened(desk, state=tmp_path, settings=KEPT)
    guard.evaluate_order(order("4"))
    abandon(guard)
    max(tmp_path.glob("journal-*")).unlink()
    with pytest.raises(StateError, match="is missing, and with it what happened"):
        again(desk, tmp_path)


class NoSnapshot(SystemFiles):
    """No snapshot can be written."""

    def write_atomic(self, path: Path, content: bytes) -> None:
        raise OSError(28, f"no space left for {len(content)} bytes", path)


def test_a_start_that_ended_before_its_first_snapshot_is_begun_anew(
    desk: PolicySet, tmp_path: Path
) -> None:
    with pytest.raises(StateError, match="no space left"):
        CentralRiskGuard.open(desk, state=tmp_path, settings=KEPT, files=NoSnapshot())
    assert [each.stat().st_size for each in tmp_path.glob("*-*")] == [0]
    again(desk, tmp_path).close()


def test_a_state_that_does_not_fit_the_policies_is_refused(desk: PolicySet, tmp_path: Path) -> None:
    guard = opened(desk, state=tmp_path / "state", settings=KEPT)
    guard.evaluate_order(order("1"))
    guard.close()
    folder = tmp_path / "policies"
    policies(folder)
    instruments = folder / "instruments.yaml"
    instruments.write_text(instruments.read_text().replace('lot_step: "0.1"', 'lot_step: "0.01"'))

    with pytest.raises(StateError, match="held under other rules"):
        again(PolicySet.load(folder), tmp_path / "state")


FINER = ('lot_step: "0.1", min_size: "0.1"', 'lot_step: "0.01", min_size: "0.01"')


def test_a_restart_reads_what_was_counted_before_another_set_came(
    desk: PolicySet, tmp_path: Path
) -> None:
    folder = tmp_path / "policies"
    policies(folder)
    for path in folder.iterdir():
        path.write_text(path.read_text().replace(*FINER))
    finer = PolicySet.load(folder)
    guard = opened(desk, state=tmp_path / "state", settings=KEPT)
    bought = guard.evaluate_order(order("1"))
    guard.on_fill(bought.id, "1", 1_000)
    guard.checkpoint()
    sold = guard.evaluate_order(order("1", side="sell"))
    guard.on_fill(sold.id, "1", 1_000)

    # Nothing is held any more, so that its rules may change.
    guard.use(finer, by="reload")
    guard.evaluate_order(order("0.55"))
    before = views(guard)
    abandon(guard)

    assert views(again(finer, tmp_path / "state")) == before


@pytest.mark.parametrize("is_audited", [True, False])
def test_a_forked_child_leaves_its_parents_state_as_it_is(
    desk: PolicySet, tmp_path: Path, is_audited: bool
) -> None:
    state, clock = tmp_path / "state", FixedClock(NOON)
    log = AuditLog.open(tmp_path / "log", clock=clock, durability="process") if is_audited else None
    settings = GuardSettings(without_audit=log is None)
    guard = opened(desk, state=state, settings=settings, clock=clock, audit=log)
    guard.evaluate_order(order("1"))
    files = sorted(each.name for each in state.iterdir())
    with warnings.catch_warnings():
        # The log has a thread; the child calls nothing that a thread could hold.
        warnings.simplefilter("ignore", DeprecationWarning)
        child = os.fork()
    if child == 0:
        code = 1
        try:
            told = [guard.evaluate_order(order("1")).code for _ in range(2)]
            code = 7 if told[1] in ("STATE_UNAVAILABLE", "AUDIT_UNAVAILABLE") else 8
        finally:
            os._exit(code)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7

    assert sorted(each.name for each in state.iterdir()) == files
    guard.evaluate_order(order("2"))
    before = views(guard)
    abandon(guard)
    assert views(again(desk, state)) == before
    if log is not None:
        log.close()


class Failing(AppendFile):
    def __init__(self, files: "BadDisk", file: AppendFile) -> None:
        self._files, self._file = files, file

    def write(self, content: bytes) -> None:
        if self._files.full:
            self._file.write(content[: len(content) // 2])
            raise OSError(28, "No space left on device")
        self._file.write(content)

    def sync(self) -> None:
        self._file.sync()

    def close(self) -> None:
        self._file.close()


class BadDisk:
    """A file system that can be full; what is appended then is torn."""

    def __init__(self) -> None:
        self.full, self._files = False, SystemFiles()

    def read_bytes(self, path: Path) -> bytes:
        return self._files.read_bytes(path)

    def write_atomic(self, path: Path, content: bytes) -> None:
        if self.full:
            raise OSError(28, "No space left on device")
        self._files.write_atomic(path, content)

    def append_to(self, path: Path, *, new: bool = False) -> AppendFile:
        return Failing(self, self._files.append_to(path, new=new))

    def lock(self, path: Path) -> Lock:
        return self._files.lock(path)

    def remove(self, path: Path) -> None:
        self._files.remove(path)

    def exists(self, path: Path) -> bool:
        return self._files.exists(path)

    def list(self, folder: Path) -> tuple[Path, ...]:
        return self._files.list(folder)


SOL = """  fx: {EUR/USD: 1.25}
  instruments:
    SOL/EUR: {lot_step: "1", min_size: "1", tick_size: "0.01", multiplier: 1, base: SOL, quote: EUR}
"""


def test_a_restart_knows_a_rate_of_a_set_that_came_and_went(
    desk: PolicySet, tmp_path: Path
) -> None:
    sets = []
    for name, rate in (("first", "1.25"), ("second", "1.5")):
        folder = tmp_path / name
        policies(folder)
        path = folder / "instruments.yaml"
        text = path.read_text().replace("  instruments:\n", SOL.replace("1.25", rate))
        path.write_text(text)
        sets.append(PolicySet.load(folder))
    guard = opened(sets[0], state=tmp_path / "state", settings=KEPT)
    guard.use(sets[1], by="reload")
    guard.on_mark("SOL/EUR", MarketData(5.0, 5.0, 5.0, NOON))
    sold = guard.evaluate_order(order("2", symbol="SOL/EUR", price="5", side="sell"))
    guard.on_fill(sold.id, "2", 5.0)
    assert guard.book("account/main").cash == 100_015

    # It does not name the instrument any more, which is held on.
    guard.use(desk, by="reload")
    before = views(guard)
    abandon(guard)

    assert views(again(desk, tmp_path / "state")) == before


def test_a_restart_ends_the_day_as_a_set_that_came_meanwhile_says(
    desk: PolicySet, tmp_path: Path
) -> None:
    folder = tmp_path / "policies"
    policies(folder)
    path = folder / "desk.yaml"
    day = '  day: {time: "17:00", zone: UTC}\n'
    path.write_text(path.read_text().replace("  level: account\n", f"  level: account\n{day}"))
    other, clock = PolicySet.load(folder), FixedClock(NOON)
    guard = opened(desk, state=tmp_path / "state", settings=KEPT, clock=clock)
    bought = guard.evaluate_order(order("1"))
    guard.on_fill(bought.id, "1", 1_000)

    mark(guard, NOON + 1, 900.0)
    guard.use(other, by="reload")
    abandon(guard)
    clock.advance(6 * 3600 * SECOND)
    guard = CentralRiskGuard.open(other, state=tmp_path / "state", settings=KEPT, clock=clock)
    mark(guard, clock.now_ns(), 900.0)
    before = views(guard)
    abandon(guard)

    assert guard.book("account/main").day_start_equity == 99_900
    assert views(again(other, tmp_path / "state", now=clock.now_ns())) == before


def test_a_set_that_cannot_be_recorded_goes_again_though_the_disk_is_full(
    desk: PolicySet, tmp_path: Path
) -> None:
    folder = tmp_path / "policies"
    policies(folder)
    for path in folder.iterdir():
        path.write_text(path.read_text().replace(*FINER))
    files = BadDisk()

    class Full(Records):
        def append(self, kind: str, body: Any) -> int:
            if kind == "policy-swap":
                files.full = self.fail_append = True
            return super().append(kind, body)

    audit = Full()
    guard = opened(
        desk, state=tmp_path / "state", settings=GuardSettings(), files=files, audit=audit
    )
    with pytest.raises(AuditError, match="full"):
        guard.use(PolicySet.load(folder), by="reload")
    files.full = audit.fail_append = False

    assert guard.policy_set == desk.sha256
    assert guard.evaluate_order(order("0.05")).code == "SIZE_OFF_STEP"
    assert guard.evaluate_order(order("0.1")).decision is RiskDecision.APPROVE


def test_a_set_for_which_no_snapshot_can_be_written_does_not_come(
    desk: PolicySet, tmp_path: Path
) -> None:
    folder = tmp_path / "policies"
    policies(folder)
    for path in folder.iterdir():
        path.write_text(path.read_text().replace(*FINER))
    files = BadDisk()
    guard = opened(desk, state=tmp_path / "state", settings=KEPT, files=files)
    files.full = True

    with pytest.raises(StateError, match="cannot be written"):
        guard.use(PolicySet.load(folder), by="reload")
    files.full = False

    assert guard.policy_set == desk.sha256
    assert guard.evaluate_order(order("0.1")).decision is RiskDecision.APPROVE


def test_a_full_disk_rejects_and_mends_by_itself(desk: PolicySet, tmp_path: Path) -> None:
    disk, clock = BadDisk(), FixedClock(NOON)
    settings = GuardSettings(without_audit=True, durability="disk")
    guard = opened(desk, state=tmp_path, settings=settings, files=disk, clock=clock)
    first = guard.evaluate_order(order("4"))
    disk.full = True

    codes = [guard.evaluate_order(order("1", client_order_id="a")).code for _ in range(3)]
    with pytest.raises(StateError, match="booked"):
        guard.on_fill(first.id, "1", 1_000)
    with pytest.raises(StateError):
        guard.checkpoint()
    disk.full = False
    clock.advance(2 * SECOND)
    mended = guard.evaluate_order(order("1", client_order_id="a"))
    before = views(guard)
    abandon(guard)

    assert codes == ["STATE_UNAVAILABLE"] * 3
    assert mended.decision is RiskDecision.APPROVE
    assert views(again(desk, tmp_path, now=clock.now_ns())) == before


def test_a_state_is_written_again_without_an_order_that_asks(
    desk: PolicySet, tmp_path: Path
) -> None:
    disk, clock = BadDisk(), FixedClock(NOON)
    guard = opened(desk, state=tmp_path, settings=KEPT, files=disk, clock=clock)
    first = guard.evaluate_order(order("4"))
    disk.full = True
    for _ in range(2):
        with pytest.raises(StateError, match="booked"):
            guard.on_fill(first.id, "1", 1_000)

    disk.full = False
    clock.advance(2 * SECOND)
    assert guard.on_fill(first.id, "1", 1_000) == 0
    guard.on_cancel(first.id)
    before = views(guard)
    abandon(guard)

    found = again(desk, tmp_path, now=clock.now_ns())
    assert views(found) == before
    assert found.book("account/main").positions["BTC/USD"].size == 1


def test_a_long_journal_becomes_a_snapshot(desk: PolicySet, tmp_path: Path) -> None:
    settings = GuardSettings(without_audit=True, journal_bytes=2_000)
    guard = opened(desk, state=tmp_path, settings=settings)
    for _ in range(50):
        guard.on_cancel(guard.evaluate_order(order("1")).id)

    assert sum(path.stat().st_size for path in tmp_path.glob("journal-*")) < 4_000
    assert len(list(tmp_path.glob("snapshot-*"))) == 1


def test_a_snapshot_of_another_version_is_refused(desk: PolicySet, tmp_path: Path) -> None:
    store = StateDirectory(tmp_path, SystemFiles(), "process")
    store.renew({"now": 1})
    store.close()
    with pytest.raises(StateError, match="cannot be read"):
        again(desk, tmp_path)


def test_very_many_orphans_are_reported_in_several_records(
    desk: PolicySet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    guard = opened(desk, state=tmp_path, settings=KEPT)
    found = [guard.evaluate_order(order("1")).id for _ in range(5)]
    abandon(guard)
    monkeypatch.setattr(guard_core, "_MANY", 2)
    records = Records()

    reopened = again(desk, tmp_path, audit=records)

    parts = [each["orders"] for each in records.of("orphaned_reservations")]
    assert [len(part) for part in parts] == [2, 2, 1]
    assert [name for part in parts for name, _ in part] == found
    assert [each.order_id for each in reopened.orphans] == found


def test_orphans_that_cannot_be_reported_stop_the_start(desk: PolicySet, tmp_path: Path) -> None:
    guard = opened(desk, state=tmp_path, settings=KEPT)
    guard.evaluate_order(order("4"))
    abandon(guard)
    records = Records()
    records.fail_append = True

    with pytest.raises(AuditError):
        again(desk, tmp_path, audit=records)

    assert len(again(desk, tmp_path).orphans) == 1


# Real processes, really killed


def told_by(state: Path, folder: Path, seed: int, after: int) -> Iterator[dict[str, Any]]:
    """Run a trader and kill it once it has said `after` things; everything it said, whole lines only."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    with subprocess.Popen(
        [sys.executable, str(TRADER), str(state), str(folder), str(seed)],
        stdout=subprocess.PIPE,
        env=environment,
    ) as trader:
        assert trader.stdout is not None
        for number, line in enumerate(trader.stdout):
            if not line.endswith(b"\n"):
                break
            yield json.loads(line)
            if number == after:
                trader.send_signal(signal.SIGKILL)


@pytest.mark.integration
def test_nothing_that_was_promised_is_lost_or_doubled_by_kills(tmp_path: Path) -> None:
    """A trader is killed at random moments, again and again; what it was told is held against the books."""
    folder, state = tmp_path / "policies", tmp_path / "state"
    desk, source = policies(folder), random.Random(20260105)
    promised: dict[str, dict[str, Any]] = {}
    ended: set[str] = set()
    filled: set[str] = set()
    may_be_filled: set[str] = set()
    switch = may_be_switched = "active"
    opened(desk, state=state, settings=KEPT).close()

    for run in range(RUNS):
        for told in told_by(state, folder, run, source.randrange(1, 120)):
            if told["kind"] == "answer":
                before = promised.setdefault(told["client"], told)
                assert before == told
            elif told["kind"] == "end":
                ended.add(told["id"])
            elif told["kind"] == "fill":
                filled.add(told["id"])
            elif told["kind"] == "will fill":
                may_be_filled.add(told["id"])
            elif told["kind"] == "switch":
                switch = told["state"]
            else:
                may_be_switched = told["state"]
        guard = CentralRiskGuard.open(desk, state=state, settings=KEPT)
        working = {each.order_id: each for each in guard.book("firm").open_orders}
        for told in promised.values():
            size = Decimal(told["size"])
            if told["id"] in ended or not size:
                assert told["id"] not in working
            elif told["id"] in working:
                part = Decimal("0.1") if told["id"] in may_be_filled else 0
                assert working[told["id"]].size in (size, size - part)
            else:
                # Its end was booked, and the trader killed before it could say so.
                assert guard.on_cancel(told["id"]) is False
            again = guard.evaluate_order(order(**told["order"], client_order_id=told["client"]))
            assert (again.id, str(again.size)) == (told["id"], told["size"])
        position = guard.book("account/main").positions.get("BTC/USD")
        if position is not None:
            assert position.buys == sum(each.size for each in working.values())
            assert position.size + position.buys <= 10
            assert len(filled) <= position.size * 10 <= len(may_be_filled)
        assert guard.kill_switch("strategy/trend") in (switch, may_be_switched)
        switch = guard.kill_switch("strategy/trend")
        abandon(guard)

    assert len(promised) > RUNS
    assert filled
