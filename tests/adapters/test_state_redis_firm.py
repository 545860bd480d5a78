"""Slices of the firm on a real server, as the guards' tests know them from memory."""

import subprocess
import sys
from collections.abc import Iterator
from decimal import Decimal
from itertools import count
from pathlib import Path

import pytest

from adapters.redis_server import RedisServer, wait_until
from ringfence import PolicySet
from ringfence.adapters.state_redis import RedisFirmSlices
from ringfence.errors import InputError, StateError
from ringfence.runtime.firm_slices import NO_SLICE, PARTS, FirmSwitch, Slice
from ringfence.runtime.guard import CentralRiskGuard
from ringfence.runtime.guard_settings import GuardSettings
from ringfence.runtime.shared_log import StateUnavailableError
from runtime.firm_desk import firm_policies

pytestmark = [pytest.mark.integration, pytest.mark.needs("redis-server", "redis-server")]

GROUPS = {"one": ["account/a", "strategy/s"], "two": ["account/b"]}
_NUMBERS = count()


@pytest.fixture
def slices(redis_server: RedisServer) -> Iterator[RedisFirmSlices]:
    made = RedisFirmSlices(redis_server.settings(namespace=f"firm-{next(_NUMBERS)}"))
    yield made
    made.close()


@pytest.fixture
def founded(slices: RedisFirmSlices) -> RedisFirmSlices:
    slices.found("655360.5", GROUPS)
    for name in GROUPS:
        slices.renew(name, NO_SLICE, lease_ms=60_000)
    return slices


def test_nothing_can_be_asked_before_it_is_founded(slices: RedisFirmSlices) -> None:
    for ask in (
        slices.state,
        lambda: slices.renew("one", NO_SLICE, lease_ms=1),
        lambda: slices.take("one", NO_SLICE, 1, 1),
        lambda: slices.set_switch("halted", "ann", "drill"),
    ):
        with pytest.raises(StateError, match="not founded"):
            ask()


def test_nothing_is_given_out_before_every_group_was_heard_of(slices: RedisFirmSlices) -> None:
    state = slices.found(655_360, GROUPS)
    assert (state.capital, state.unit, state.switch) == (PARTS, 10_000_000, None)
    assert state.groups["one"].books == {"account/a", "strategy/s"}
    assert state.groups["one"].slice is None

    assert slices.take("one", NO_SLICE, 10, 10).slice_of("one") == NO_SLICE
    slices.renew("two", Slice(5, 6, 1, 2), lease_ms=0)
    assert slices.take("one", NO_SLICE, 10, 10).slice_of("one") == Slice(10, 10)


def test_what_is_free_is_given_out_once_and_the_rest_is_wanted(founded: RedisFirmSlices) -> None:
    state = founded.take("one", NO_SLICE, 60_000, 10)
    assert not state.is_wanted

    state = founded.take("two", NO_SLICE, 60_000, 10)
    assert state.slice_of("two") == Slice(PARTS - 60_000, 10)
    assert state.is_wanted
    assert not state.is_overdrawn

    founded.renew("one", Slice(60_000, 10, 1_000, 4), lease_ms=0)
    state = founded.take("two", state.slice_of("two"), 60_000, PARTS)
    assert state.slice_of("two") == Slice(PARTS - 60_000 + 1_000, PARTS - 6)


def test_an_answer_that_was_lost_is_given_again(founded: RedisFirmSlices) -> None:
    for _ in range(3):
        state = founded.take("one", NO_SLICE, 100, 50)
        assert state.slice_of("one") == Slice(100, 50)
    assert founded.take("one", Slice(100, 50), 1, 1).slice_of("one") == Slice(101, 51)


def test_of_two_accounts_of_a_group_the_larger_numbers_hold(founded: RedisFirmSlices) -> None:
    founded.renew("one", Slice(100, 5, 3, 4), lease_ms=0)
    state = founded.renew("one", Slice(90, 7, 2, 6), lease_ms=0)
    assert state.slice_of("one") == Slice(100, 7, 3, 6)
    state = founded.renew("one", Slice(PARTS, PARTS), lease_ms=0)
    assert not state.is_overdrawn
    assert founded.renew("two", Slice(5, 0), lease_ms=0).is_overdrawn
    assert founded.take("two", Slice(5, 0), 5, 5).slice_of("two") == Slice(5, 5)


def test_a_lease_ends_by_the_server_s_clock(founded: RedisFirmSlices) -> None:
    assert founded.renew("one", NO_SLICE, lease_ms=60_000).groups["one"].is_live
    assert founded.renew("one", NO_SLICE, lease_ms=0).groups["one"].is_live
    founded.renew("one", NO_SLICE, lease_ms=-1)
    assert not founded.state().groups["one"].is_live


def test_a_group_tells_that_it_lost_too_much(founded: RedisFirmSlices) -> None:
    assert founded.renew("one", NO_SLICE, lease_ms=1, is_over=True).groups["one"].is_over
    assert founded.renew("one", NO_SLICE, lease_ms=1).groups["one"].is_over
    assert not founded.renew("one", NO_SLICE, lease_ms=1, is_over=False).groups["one"].is_over


def test_the_newest_switch_holds(founded: RedisFirmSlices) -> None:
    assert founded.set_switch("halted", "ann", "a drill, “once”").switch == FirmSwitch(
        1, "halted", "ann", "a drill, “once”"
    )
    newer = FirmSwitch(7, "reducing", "bob", "x")
    assert founded.renew("one", NO_SLICE, lease_ms=1, switch=newer).switch == newer
    older = FirmSwitch(6, "active", "eve", "x")
    assert founded.renew("one", NO_SLICE, lease_ms=1, switch=older).switch == newer
    assert founded.set_switch("active", "ann", "over").switch == FirmSwitch(
        8, "active", "ann", "over"
    )


def test_capital_comes_at_once_and_leaves_only_where_it_is_free(founded: RedisFirmSlices) -> None:
    unit = founded.state().unit
    founded.take("one", NO_SLICE, PARTS, 0)
    more = founded.found(1_310_721, GROUPS)
    assert (more.capital, more.unit) == (2 * PARTS, unit)

    with pytest.raises(InputError, match="hold capital"):
        founded.found(655_000, GROUPS)
    assert founded.found("655360.5", GROUPS).capital == PARTS
    assert founded.state().slice_of("one").capital == PARTS


@pytest.mark.parametrize(
    ("capital", "groups", "why"),
    [
        (1_000, {"one": ["account/a"]}, "not named"),
        (1_000, {**GROUPS, "three": ["account/a"]}, "is in the groups"),
        (1_000, {**GROUPS, "th ree": []}, "name of a group"),
        (1_000, {**GROUPS, "three": ["a"]}, "no book"),
        (0, GROUPS, "no capital"),
        ("1e20", GROUPS, "no capital"),
    ],
)
def test_what_cannot_be_founded_is_refused(
    founded: RedisFirmSlices, capital: object, groups: dict[str, list[str]], why: str
) -> None:
    with pytest.raises(InputError, match=why):
        founded.found(capital, groups)  # type: ignore[arg-type]
    assert founded.found("655360.5", GROUPS).capital == PARTS


def test_a_group_that_the_firm_does_not_have_is_refused(founded: RedisFirmSlices) -> None:
    with pytest.raises(InputError, match="no group `three`"):
        founded.renew("three", NO_SLICE, lease_ms=1)
    with pytest.raises(InputError, match="no group `three`"):
        founded.take("three", NO_SLICE, 1, 1)
    founded.found("655360.5", {**GROUPS, "three": ["account/c"]})
    assert founded.take("three", NO_SLICE, 1, 1).slice_of("three") == Slice(1, 1)


def test_groups_have_books_of_their_own(founded: RedisFirmSlices) -> None:
    one, two = founded.log("one", "x"), founded.log("two", "x")
    one.found({"a": 1})
    assert two.start() is None
    counted = {metric.name: metric for metric in founded.metrics()}["ringfence_state_requests"]
    assert {sample.labels["op"] for sample in counted.samples} >= {"renew", "found", "start"}
    one.close()
    two.close()


def test_after_a_restart_nothing_is_given_out_before_every_group_was_heard_of_anew(
    tmp_path: Path,
) -> None:
    server = RedisServer(tmp_path, appendonly="yes", appendfsync="always").start()
    slices = RedisFirmSlices(server.settings(namespace="firm"))
    slices.found(655_360, GROUPS)
    for name in GROUPS:
        slices.renew(name, NO_SLICE, lease_ms=60_000)
    slices.take("one", NO_SLICE, 10, 10)
    server.kill()
    server.start()

    wait_until(slices.state, "the server")
    assert slices.take("two", NO_SLICE, 5, 5).slice_of("two") == NO_SLICE
    # It had given out more than the server knows.
    slices.renew("one", Slice(PARTS - 3, 30), lease_ms=60_000)
    assert slices.take("two", NO_SLICE, 5, 5).slice_of("two") == Slice(3, 5)
    slices.close()
    server.stop()


def test_a_server_that_is_gone_is_told(redis_server: RedisServer) -> None:
    settings = redis_server.settings(url="redis://127.0.0.1:1/0", namespace="nowhere")
    with pytest.raises(StateUnavailableError):
        RedisFirmSlices(settings).state()


def test_processes_that_are_killed_leave_the_firm_within_its_limit(
    redis_server: RedisServer, tmp_path: Path
) -> None:
    settings = redis_server.settings(namespace="traded")
    slices = RedisFirmSlices(settings)
    owners = {"one": "main", "two": "other"}
    slices.found(655_360, {group: [f"account/{name}"] for group, name in owners.items()})
    policy_set, folder = firm_policies(tmp_path / "policies"), tmp_path / "policies"
    for group, account in owners.items():
        guard = _guard(slices, policy_set, group)
        guard.on_balance(f"account/{account}", "opening", 10**8)
        guard.close()
    promised: dict[str, Decimal] = {}
    ended: set[str] = set()

    def start(group: str, seed: int) -> "subprocess.Popen[str]":
        script = Path(__file__).with_name("sliced_trader.py")
        words = [sys.executable, str(script), settings.url, redis_server.password]
        words += [str(folder), group, owners[group], str(seed)]
        return subprocess.Popen(words, stdout=subprocess.PIPE, text=True)

    for run in range(3):
        traders = [start(group, 10 * run + at) for at, group in enumerate(owners)]
        for trader in traders:
            assert trader.stdout is not None
            # Both trade while the first is read; each is killed wherever it is then.
            lines = [trader.stdout.readline() for _ in range(60 + 37 * run)]
            trader.kill()
            # The last line may be cut.
            lines += trader.stdout.read().splitlines(keepends=True)
            for line in lines:
                if line.endswith("\n"):
                    _note(line, promised, ended)
            trader.stdout.close()
            trader.wait()

    guards = [_guard(slices, policy_set, group) for group in owners]
    assert sum(guard.book("firm").exposure for guard in guards) <= 16_000
    working = {each.order_id for guard in guards for each in guard.working_orders()}
    assert len(promised) > 50
    assert promised.keys() - ended <= working
    for guard, group in zip(guards, owners, strict=True):
        known, held = guard._books.slice, slices.state().slice_of(group)
        assert known == held
        guard.close()
    assert not slices.state().is_overdrawn
    slices.close()


def _note(line: str, promised: dict[str, Decimal], ended: set[str]) -> None:
    name, what = line.split()
    if what == "end":
        ended.add(name)
    elif what != "0":
        promised[name] = Decimal(what)


def _guard(slices: RedisFirmSlices, policy_set: PolicySet, group: str) -> CentralRiskGuard:
    return CentralRiskGuard.open(
        policy_set,
        state=slices.log(group, f"{group}-looks-{next(_NUMBERS)}"),
        settings=GuardSettings(
            name=f"{group}-looks", without_audit=True, poll_seconds=0, slices=slices, group=group
        ),
    )
