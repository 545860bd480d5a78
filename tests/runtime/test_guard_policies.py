"""Another policy set takes over whole, a lease runs out, a set runs in the shadow."""

from collections.abc import Iterable, Mapping
from pathlib import Path

import pytest

from ringfence import PolicySet, RiskDecision
from ringfence.errors import AuditError, StateError
from ringfence.runtime.asked import MarketData
from ringfence.runtime.guard import CentralRiskGuard
from ringfence.runtime.guard_settings import GuardSettings
from ringfence.runtime.ports import FixedClock
from runtime.desk import IN_MEMORY, NOON, SECOND, Records, mark, opened, order, policies

pytestmark = pytest.mark.unit

APPROVE, REDUCE, REJECT = RiskDecision.APPROVE, RiskDecision.REDUCE_SIZE, RiskDecision.REJECT
RECORDED = GuardSettings(in_memory=True)


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> PolicySet:
    return policies(tmp_path_factory.mktemp("desk") / "policies")


def changed(folder: Path, *swaps: tuple[str, str], more: str = "") -> PolicySet:
    """The desk's policy set with texts swapped in its files."""
    policies(folder, more=more)
    for path in folder.iterdir():
        text = path.read_text()
        for old, new in swaps:
            text = text.replace(old, new)
        path.write_text(text)
    return PolicySet.load(folder)


@pytest.fixture(scope="module")
def tight(tmp_path_factory: pytest.TempPathFactory) -> PolicySet:
    folder = tmp_path_factory.mktemp("tight") / "policies"
    return changed(folder, ("{max: 10_000 USD}", "{max: 2_000 USD}"))


def test_the_next_order_is_decided_with_the_new_set(desk: PolicySet, tight: PolicySet) -> None:
    records = Records()
    guard = opened(desk, settings=RECORDED, audit=records)
    before = guard.evaluate_order(order("3"))

    guard.use(tight, by="reload", source={"commit": "abc"})
    after = guard.evaluate_order(order("1"))

    assert (before.decision, before.policy_set) == (APPROVE, desk.sha256)
    assert (after.decision, after.policy_set) == (REJECT, tight.sha256)
    assert str(guard.book("account/main").positions["BTC/USD"].buys) == "3.0"
    swap = records.of("policy-swap")[0]
    assert (swap["before"], swap["after"], swap["source"]) == (
        desk.sha256,
        tight.sha256,
        {"commit": "abc"},
    )
    assert tight.sha256 in [body["policy_set"] for body in records.of("policy-set")]


def test_new_names_and_gates_come_with_the_set(desk: PolicySet, tmp_path: Path) -> None:
    more = "\n    - {rule: order-rate@1, limits: {max_orders: 2/s}}"
    wide = changed(
        tmp_path / "wide",
        ("accounts: [main, other]", "accounts: [main, other, third]"),
        ("strategies: [trend]", "strategies: [trend, carry]"),
        ("venues: [paper]", "venues: [paper, kraken]"),
        more=more,
    )
    guard = opened(desk)
    assert guard.evaluate_order(order("1", account="third")).code == "UNKNOWN_ACCOUNT"

    guard.use(wide, by="reload")
    guard.on_balance("account/third", "opening", 100_000)
    fields = {"account": "third", "strategy": "carry", "venue": "kraken"}
    answers = [guard.evaluate_order(order("1", **fields)) for _ in range(3)]

    assert [each.decision for each in answers] == [APPROVE, APPROVE, REJECT]
    assert answers[2].code == "ORDER_RATE"


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('lot_step: "0.1", min_size: "0.1"', 'lot_step: "0.2", min_size: "0.2"', "other rules"),
        ("USD", "EUR", "count in USD"),
    ],
)
def test_a_set_that_does_not_fit_the_books_changes_nothing(
    desk: PolicySet, tmp_path: Path, old: str, new: str, message: str
) -> None:
    guard = opened(desk)
    guard.evaluate_order(order("3"))
    other = changed(tmp_path / "other", (old, new))

    with pytest.raises(StateError, match=message):
        guard.use(other, by="reload")

    assert guard.policy_set == desk.sha256
    assert guard.evaluate_order(order("1")).decision is APPROVE


def test_a_swap_that_cannot_be_recorded_does_not_happen(desk: PolicySet, tight: PolicySet) -> None:
    records = Records()
    guard = opened(desk, settings=RECORDED, audit=records)
    append = records.append

    def full(kind: str, body: object) -> int:
        if kind == "policy-swap":
            raise AuditError("full")
        return append(kind, body)  # type: ignore[arg-type]

    records.append = full  # type: ignore[method-assign]
    with pytest.raises(AuditError):
        guard.use(tight, by="reload")

    assert guard.evaluate_order(order("3")).policy_set == desk.sha256
    guard.close()
    with pytest.raises(StateError, match="closed"):
        guard.use(tight, by="reload")


def test_without_confirmation_only_orders_that_reduce_risk_pass(desk: PolicySet) -> None:
    clock, records = FixedClock(NOON), Records()
    settings = GuardSettings(in_memory=True, policy_lease_ns=10 * SECOND)
    guard = opened(desk, clock=clock, settings=settings, audit=records)
    guard.on_fill(guard.evaluate_order(order("3")).id, "3", 1_000)
    clock.advance(11 * SECOND)
    mark(guard, clock.now_ns(), 1_000.0)

    refused = guard.evaluate_order(order("1"))
    out = guard.evaluate_order(order("1", side="sell"))
    assert guard.policy_lease_ns == -SECOND
    guard.confirm_policies()

    assert (refused.decision, refused.code) == (REJECT, "POLICY_LEASE_EXPIRED")
    assert refused.reason.startswith("POLICY_LEASE_EXPIRED age=11.000s lease=10s")
    assert out.decision is APPROVE
    assert records.of("decision")[-1]["lease"]["lease_ns"] == 10 * SECOND
    assert guard.evaluate_order(order("1")).decision is APPROVE
    guard.set_kill_switch("firm", "halted", by="ann", reason="drill")
    clock.advance(11 * SECOND)
    assert guard.evaluate_order(order("1")).code == "KILL_SWITCH"


def test_a_set_in_the_shadow_changes_nothing_and_is_recorded(
    desk: PolicySet, tight: PolicySet
) -> None:
    records = Records()
    guard = opened(desk, settings=RECORDED, audit=records)
    guard.shadow(tight)

    assert guard.evaluate_order(order("1")).decision is APPROVE
    assert guard.evaluate_order(order("4")).decision is APPROVE
    assert guard.evaluate_order(order("1", side="sell")).decision is APPROVE
    shadows = [body["shadow"] for body in records.of("decision")]
    assert [each["decision"] for each in shadows] == ["APPROVE", "REDUCE_SIZE", "REJECT"]
    assert shadows[1]["policy_set"] == tight.sha256 == guard.shadow_set
    assert guard.shadow_differences == {
        "decisions": 3,
        "APPROVE to REDUCE_SIZE": 1,
        "APPROVE to REJECT": 1,
    }

    guard.shadow(None)
    guard.evaluate_order(order("1"))
    assert "shadow" not in records.of("decision")[-1]
    assert guard.shadow_set == ""


def test_metrics_tell_what_was_decided(desk: PolicySet, tight: PolicySet) -> None:
    guard = opened(desk)
    guard.shadow(tight)
    guard.evaluate_order(order("3"))
    guard.evaluate_order(order("0.05"))
    guard.set_kill_switch("firm", "reducing", by="ann", reason="drill")

    found = {metric.name: metric for metric in guard.metrics()}

    decided = {
        tuple(each.labels.values()): each.value for each in found["ringfence_decisions"].samples
    }
    assert decided == {("APPROVE", ""): 1, ("REJECT", "SIZE_OFF_STEP"): 1}
    assert found["ringfence_kill_switch"].samples[0].value == 1
    assert found["ringfence_policy_info"].samples[0].labels == {"policy_set": desk.sha256}
    assert sum(found["ringfence_decision_seconds"].samples[0].value.counts) == 2  # type: ignore[union-attr]


class Cache:
    """Market data that others have seen."""

    def __init__(self) -> None:
        self.known: dict[str, MarketData] = {}
        self.asked = 0

    def get(self, symbol: str) -> MarketData | None:
        self.asked += 1
        return self.known.get(symbol)

    def put(self, symbol: str, data: MarketData) -> None:
        self.known[symbol] = data

    def get_many(self, symbols: Iterable[str]) -> dict[str, MarketData]:
        return {symbol: self.known[symbol] for symbol in symbols if symbol in self.known}

    def put_many(self, data: Mapping[str, MarketData]) -> None:
        self.known |= data


def test_old_market_data_is_looked_up_where_guards_share_it(desk: PolicySet) -> None:
    clock, cache = FixedClock(NOON), Cache()
    settings = GuardSettings(in_memory=True, without_audit=True, market_cache=cache)
    guard = opened(desk, clock=clock, settings=settings)
    assert guard.evaluate_order(order("1")).decision is APPROVE
    assert cache.asked == 0

    clock.advance(60 * SECOND)
    stale = guard.evaluate_order(order("1"))
    cache.known["BTC/USD"] = MarketData(1_000.0, 1_000.0, 1_000.0, clock.now_ns())

    assert stale.code == "DATA_QUALITY"
    assert guard.evaluate_order(order("1")).decision is APPROVE
    mark(guard, clock.now_ns() + 1, 1_000.0)
    assert cache.known["BTC/USD"].timestamp == clock.now_ns() + 1


def test_listeners_are_told_in_order_and_cannot_break_a_decision(desk: PolicySet) -> None:
    guard = opened(desk)
    heard: list[str] = []

    def listen(event: list[object]) -> None:
        heard.append(str(event[0]))
        if event[0] == "order":
            # Asking the guard from here must not deadlock.
            guard.book("firm")
            raise ValueError("a listener's own fault")

    guard.listen(listen)
    answer = guard.evaluate_order(order("1", client_order_id="x", venue="paper"))
    assert [tuple(each)[:3] for each in guard.working_orders()] == [(answer.id, "x", "paper")]
    guard.set_kill_switch("firm", "halted", by="ann", reason="drill")
    guard.on_cancel(answer.id)

    assert heard == ["order", "switch", "end"]
    assert guard.working_orders() == ()
    errors = next(m for m in guard.metrics() if m.name == "ringfence_listener_errors")
    assert errors.samples[0].value == 1


def test_in_memory_guards_have_no_store_to_share(desk: PolicySet) -> None:
    guard = CentralRiskGuard.open(desk, settings=IN_MEMORY, clock=FixedClock(NOON))
    guard.catch_up()
    assert guard.orphans == ()
