"""The shared log on a Redis Cluster: all of it in one slot, wherever that slot is and goes."""

import itertools
import threading
from collections import deque
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from adapters.redis_server import PASSWORD, RedisServer, wait_until
from ringfence.adapters.state_redis import (
    RedisFirmSlices,
    RedisMarketCache,
    RedisSettings,
    RedisSharedLog,
    RedisStore,
)
from ringfence.runtime.asked import MarketData
from ringfence.runtime.credentials import Secret
from ringfence.runtime.firm_slices import PARTS
from ringfence.runtime.guard import CentralRiskGuard
from ringfence.runtime.guard_decision import GuardDecision
from ringfence.runtime.guard_settings import GuardSettings
from ringfence.runtime.ports import SYSTEM_CLOCK
from ringfence.runtime.shared_log import StateUnavailableError
from runtime.desk import order
from runtime.firm_desk import firm_policies

pytestmark = [pytest.mark.integration, pytest.mark.needs("redis-server", "redis-server")]

SLOTS = ((0, 5_460), (5_461, 10_922), (10_923, 16_383))


class Cluster:
    """Three primaries and a replica of the first."""

    def __init__(self, nodes: list[RedisServer]) -> None:
        self.nodes = nodes

    def owner(self, key: str) -> RedisServer:
        slot = self.nodes[1].ask("CLUSTER", "KEYSLOT", key)
        for first, last, primary, *_ in self.nodes[1].ask("CLUSTER", "SLOTS"):
            if first <= slot <= last:
                return next(node for node in self.nodes if node.port == primary[1])
        raise AssertionError(slot)

    def settings(self, *nodes: RedisServer, **options: Any) -> RedisSettings:
        first, *more = nodes or self.nodes
        given: dict[str, Any] = {
            "url": f"redis://127.0.0.1:{first.port}",
            "more_nodes": tuple(f"127.0.0.1:{node.port}" for node in more),
            "cluster": True,
            "password": Secret(PASSWORD),
            "timeout_ms": 5_000,
            "settle_ms": 0,
        }
        return RedisSettings(**(given | options))

    # A namespace whose books lie with a node.
    def namespace_at(self, node: RedisServer) -> str:
        for number in range(1_000):
            if self.owner(f"{{ringfence:books-{number}}}").port == node.port:
                return f"books-{number}"
        raise AssertionError(node.port)


def meet(one: RedisServer, other: RedisServer) -> None:
    one.ask("CLUSTER", "MEET", "127.0.0.1", other.port, other.options["cluster-port"])


def stands(node: RedisServer) -> bool:
    members = sum(len(each) - 2 for each in node.ask("CLUSTER", "SLOTS"))
    return members == 4 and "cluster_state:ok" in node.ask("CLUSTER", "INFO")


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    folder = tmp_path_factory.mktemp("cluster")
    nodes = [
        RedisServer(
            folder / str(number),
            cluster_enabled="yes",
            cluster_node_timeout=60_000,
            repl_ping_replica_period=1,
        )
        for number in range(4)
    ]
    try:
        for node in nodes:
            node.start()
        for node, slots in zip(nodes, SLOTS, strict=False):
            node.ask("CLUSTER", "ADDSLOTSRANGE", *slots)
        # Who they are is settled before they meet: what changes later is told at leisure.
        first, *others, replica = nodes
        meet(replica, first)
        name = first.ask("CLUSTER", "MYID")
        wait_until(lambda: replica.ask("CLUSTER", "REPLICATE", name), "the replica to be one")
        for one, other in itertools.combinations([replica, first, *others], 2):
            meet(one, other)
        for node in nodes:
            wait_until(lambda node=node: stands(node), "the cluster to stand")  # type: ignore[misc]
        yield Cluster(nodes)
    finally:
        for node in nodes:
            node.stop()


@pytest.fixture
def opened(request: pytest.FixtureRequest) -> Callable[..., RedisSharedLog]:
    def make(settings: RedisSettings, origin: str = "one") -> RedisSharedLog:
        log = RedisSharedLog(settings, origin)
        request.addfinalizer(log.close)
        return log

    return make


def test_any_node_leads_to_the_books(
    cluster: Cluster, opened: Callable[..., RedisSharedLog]
) -> None:
    for asked in cluster.nodes:
        for holder in cluster.nodes[:3]:
            name = cluster.namespace_at(holder)
            log = opened(cluster.settings(asked, namespace=name), f"via-{asked.port}")
            known = log.found({}).head
            answer = log.append(known, 1, ["event"], only_there=False)
            assert answer.accepted
            assert log.store.quick._at == ("127.0.0.1", holder.port)
            assert len(log.store.quick._known) == 4


def test_without_the_setting_a_node_that_does_not_hold_the_books_says_so(
    cluster: Cluster, opened: Callable[..., RedisSharedLog]
) -> None:
    name = cluster.namespace_at(cluster.nodes[1])
    log = opened(cluster.nodes[2].settings(namespace=name))

    with pytest.raises(StateUnavailableError, match="set `cluster`") as raised:
        log.start()
    assert not raised.value.sent


def test_the_books_are_followed_while_their_slot_moves(
    cluster: Cluster, opened: Callable[..., RedisSharedLog]
) -> None:
    source, target = cluster.nodes[1], cluster.nodes[2]
    name = cluster.namespace_at(source)
    log = opened(cluster.settings(cluster.nodes[0], namespace=name))
    head = log.found({}).head
    head = log.append(head, 1, [1], only_there=True).entries[-1].head
    slot = source.ask("CLUSTER", "KEYSLOT", log._keys[0])
    target.ask("CLUSTER", "SETSLOT", slot, "IMPORTING", source.ask("CLUSTER", "MYID"))
    source.ask("CLUSTER", "SETSLOT", slot, "MIGRATING", target.ask("CLUSTER", "MYID"))

    def move(*keys: str) -> None:
        words = ("127.0.0.1", target.port, "", 0, 5_000, "AUTH", PASSWORD, "KEYS", *keys)
        source.ask("MIGRATE", *words)

    # Some keys are here and some are there: nobody can do it now.
    move(log._keys[0])
    with pytest.raises(StateUnavailableError, match="is moving the books") as raised:
        log.append(head, 2, [2], only_there=True)
    assert not raised.value.sent
    # All are there, and the slot is not handed over yet: `ASK`.
    move(*log._keys[1:])
    head = log.append(head, 2, [2], only_there=True).entries[-1].head
    assert log.store.quick._at[1] == source.port
    for node in (target, source, cluster.nodes[0]):
        node.ask("CLUSTER", "SETSLOT", slot, "NODE", target.ask("CLUSTER", "MYID"))
    head = log.append(head, 3, [3], only_there=True).entries[-1].head
    assert log.store.quick._at[1] == target.port
    assert log.last_number() == 3


def test_a_node_that_hangs_is_waited_for_once(
    cluster: Cluster, opened: Callable[..., RedisSharedLog]
) -> None:
    holder = cluster.nodes[1]
    name = cluster.namespace_at(holder)
    log = opened(cluster.settings(namespace=name, timeout_ms=100))
    wait_until(lambda: log.found({}), "the books")
    known = log.start().head
    wait_until(lambda: log.after(known) == (), "an answer within 100 ms")
    with holder.paused():
        for sent in (True, False):
            with pytest.raises(StateUnavailableError) as raised:
                log.append(known, 1, ["once"], only_there=True)
            assert raised.value.sent is sent
    wait_until(lambda: log.append(known, 1, ["once"], only_there=True), "the node")
    assert len(log.after(known)) == 1


def test_of_a_cluster_that_is_down_the_guard_is_told(
    cluster: Cluster, opened: Callable[..., RedisSharedLog]
) -> None:
    holder = cluster.nodes[2]
    name = cluster.namespace_at(holder)
    log = opened(cluster.settings(namespace=name))
    slot = holder.ask("CLUSTER", "KEYSLOT", log._keys[0])
    assert log.found({}).head.count == 0
    for node in cluster.nodes[:3]:
        node.ask("CLUSTER", "DELSLOTS", slot)
    try:
        with pytest.raises(StateUnavailableError, match="of a cluster that is down") as raised:
            log.start()
        assert not raised.value.sent
    finally:
        holder.ask("CLUSTER", "ADDSLOTS", slot)
        for node in cluster.nodes[:2]:
            node.ask("CLUSTER", "SETSLOT", slot, "NODE", holder.ask("CLUSTER", "MYID"))


def test_market_data_lies_with_the_books(cluster: Cluster) -> None:
    store = RedisStore(cluster.settings(cluster.nodes[0], namespace="market"))
    cache = RedisMarketCache(store)

    cache.put_many({f"S{number}": MarketData(bid=1.0, timestamp=1) for number in range(20)})

    assert len(cache.get_many(f"S{number}" for number in range(30))) == 20
    store.close()


def test_groups_in_different_slots_share_one_firm_s_limit(cluster: Cluster, tmp_path: Path) -> None:
    names = [f"g{number}" for number in range(100)]
    owners = {name: cluster.owner(f"{{ringfence:desk:group:{name}}}").port for name in names}
    first = names[0]
    second = next(name for name in names if owners[name] != owners[first])
    slices = RedisFirmSlices(cluster.settings(cluster.nodes[0], namespace="desk"))
    slices.found(655_360, {first: ["account/main"], second: ["account/other"]})
    policy_set = firm_policies(tmp_path / "policies")
    guards = {
        account: CentralRiskGuard.open(
            policy_set,
            state=slices.log(group, "a"),
            settings=GuardSettings(
                name="a", without_audit=True, poll_seconds=0.02, slices=slices, group=group
            ),
        )
        for group, account in ((first, "main"), (second, "other"))
    }
    for account, guard in guards.items():
        guard.on_balance(f"account/{account}", "opening", 10**8)

    def ask(account: str, size: str) -> GuardDecision:
        data = MarketData(1_000.0, 1_000.0, 1_000.0, SYSTEM_CLOCK.now_ns())
        return guards[account].evaluate_order(order(size, account=account), data)

    def trade(account: str) -> None:
        working = deque[str]()
        for number in range(150):
            answer = ask(account, str(number % 7 + 1))
            if answer.size:
                working.append(answer.id)
            if len(working) > number % 11:
                guards[account].on_cancel(working.popleft())

    threads = [threading.Thread(target=trade, args=(account,)) for account in guards]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    books = [guard.book("firm") for guard in guards.values()]
    assert sum(book.exposure for book in books) <= 16_000
    # What one group has no more use for, the other gets, to and fro.
    for account in ("main", "other", "main"):
        for guard in guards.values():
            for each in guard.working_orders():
                guard.on_cancel(each.order_id)

        def fits(account: str = account) -> bool:
            answer = ask(account, "12")
            if answer.size < 12 and answer.size:
                guards[account].on_cancel(answer.id)
            return answer.size == 12

        wait_until(fits, f"room for {account}")
    held = [each.slice for each in slices.state().groups.values()]
    assert sum(each.share for each in held if each is not None) <= PARTS
    guards["main"].set_kill_switch("firm", "halted", by="ann", reason="drill")
    wait_until(lambda: guards["other"].kill_switch("firm") == "halted", "the switch")
    for guard in guards.values():
        guard.close()
    slices.close()


# Last: it ends a node.
def test_a_replica_that_takes_over_is_found(
    cluster: Cluster, opened: Callable[..., RedisSharedLog]
) -> None:
    primary, replica = cluster.nodes[0], cluster.nodes[3]
    name = cluster.namespace_at(primary)
    # Only the node that will be gone is named: the others are learned from it.
    log = opened(
        cluster.settings(primary, namespace=name, wait_replicas=1, snapshot_timeout_ms=500)
    )
    wait_until(lambda: log.found({}), "a replica that takes part")
    head = log.start().head
    head = log.append(head, 1, [1], only_there=True).entries[-1].head
    primary.kill()

    with pytest.raises(StateUnavailableError):
        log.append(head, 2, [2], only_there=True)
    replica.ask("CLUSTER", "FAILOVER", "TAKEOVER")
    plain = opened(cluster.settings(*cluster.nodes[1:], namespace=name))
    wait_until(lambda: plain.after(head) == (), "the replica to take over")
    assert plain.append(head, 2, [2], only_there=False).accepted
    assert [each.event for each in log.after(head)] == [[2]]
    assert log.store.quick._at[1] == replica.port
