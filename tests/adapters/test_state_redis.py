"""The shared log in Redis: one order of events for all guards, each event once."""

import hashlib
import json
import threading
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from adapters.redis_server import RedisServer
from ringfence.adapters.state_redis import RedisSettings, RedisSharedLog, RedisStore
from ringfence.errors import InputError
from ringfence.runtime.credentials import Secret
from ringfence.runtime.metrics import HistogramValue
from ringfence.runtime.shared_log import (
    Entry,
    Head,
    SharedLog,
    Start,
    StateLostError,
    StateUnavailableError,
)

pytestmark = [pytest.mark.integration, pytest.mark.needs("redis-server", "redis-server")]

BOOKS = {"positions": {"BTC": "1.5"}}


@pytest.fixture
def opened(redis_server: RedisServer, request: pytest.FixtureRequest) -> Callable[..., Any]:
    def make(origin: str = "one", **options: Any) -> RedisSharedLog:
        name = hashlib.sha256(request.node.nodeid.encode()).hexdigest()[:16]
        store = RedisStore(redis_server.settings(**({"namespace": name} | options)))
        request.addfinalizer(store.close)
        return RedisSharedLog(store, origin)

    return make


def appended(log: SharedLog, known: Head, first: int, count: int = 1) -> Head:
    for number in range(first, first + count):
        answer = log.append(known, number, ["event", number], only_there=True)
        assert answer.accepted
        known = answer.entries[-1].head
    return known


def test_a_store_that_holds_nothing_is_begun_once(opened: Callable[..., Any]) -> None:
    one, two = opened("one"), opened("two")

    assert one.start() is None
    begun = one.found(BOOKS)

    assert begun.head.count == 0
    assert two.found({"positions": {}}) == begun == two.start()


def test_an_append_is_answered_with_its_entry(opened: Callable[..., Any]) -> None:
    log = opened()
    known = log.found(BOOKS).head

    answer = log.append(known, 1, ["reserve", {"lots": 3, "price": 0.1}], only_there=True)

    (entry,) = answer.entries
    assert answer.accepted
    text = b'["reserve",{"lots":3,"price":0.1}]'
    assert entry == Entry(entry.head, "one", 1, ["reserve", {"lots": 3, "price": 0.1}], text)
    assert entry.text == text
    body = f" 1 one {text.decode()}"
    chained = hashlib.sha1((known.digest + body).encode()).hexdigest()
    assert entry.head == Head(1, chained)
    assert log.after(known) == (entry,)
    assert log.after(entry.head) == ()


def test_an_append_elsewhere_than_at_the_head_is_refused_and_tells_what_came_between(
    opened: Callable[..., Any],
) -> None:
    one, two = opened("one"), opened("two")
    known = one.found(BOOKS).head
    head = appended(one, known, 1, 3)

    refused = two.append(known, 1, ["late"], only_there=True)

    assert not refused.accepted
    assert [(each.origin, each.number) for each in refused.entries] == [
        ("one", 1),
        ("one", 2),
        ("one", 3),
    ]
    assert two.append(refused.entries[-1].head, 1, ["again"], only_there=True).accepted
    assert [each.event for each in one.after(head)] == [["again"]]


def test_an_event_that_happened_is_appended_wherever_the_log_stands(
    opened: Callable[..., Any],
) -> None:
    one, two = opened("one"), opened("two")
    known = one.found(BOOKS).head
    appended(one, known, 1, 2)

    answer = two.append(known, 1, ["fill"], only_there=False)

    assert answer.accepted
    assert [each.event for each in answer.entries] == [["event", 1], ["event", 2], ["fill"]]


@pytest.mark.parametrize("only_there", [True, False])
def test_an_event_is_booked_once(opened: Callable[..., Any], only_there: bool) -> None:
    one, two = opened("one"), opened("two")
    known = one.found(BOOKS).head
    head = appended(one, known, 1, 2)
    two.append(head, 1, ["other"], only_there=True)

    # The answer was lost; meanwhile another came.
    answer = one.append(known, 2, ["event", 2], only_there=only_there)

    assert answer.accepted
    assert [each.event for each in answer.entries] == [["event", 1], ["event", 2], ["other"]]
    assert one.last_number() == 2
    assert opened("three").last_number() == 0
    assert two.last_numbers() == {"one": 2, "two": 1}


def test_events_of_another_guard_can_be_brought_back(opened: Callable[..., Any]) -> None:
    log = opened("two")
    known = log.found(BOOKS, {"one": 7}).head

    old = log.append(known, 7, ["had"], only_there=False, origin="one")
    new = log.append(known, 8, ["lost"], only_there=False, origin="one")

    assert old.entries == ()
    assert [(each.origin, each.number) for each in new.entries] == [("one", 8)]
    assert log.start().numbers == {"one": 7}


def test_a_place_that_the_log_does_not_have_is_lost(opened: Callable[..., Any]) -> None:
    log = opened()
    known = log.found(BOOKS).head
    head = appended(log, known, 1, 2)
    strange = [Head(3, head.digest), Head(1, head.digest), Head(2, known.digest), Head(-1, "")]

    for place in strange:
        for only_there in (True, False):
            with pytest.raises(StateLostError):
                log.append(place, 9, ["never"], only_there=only_there)
        with pytest.raises(StateLostError):
            log.after(place)
        with pytest.raises(StateLostError):
            log.keep_snapshot(Start(BOOKS, Head(max(1, place.count), "0" * 40)))
    assert log.after(head) == ()


@pytest.mark.parametrize("part", ["log", "entries", "snapshot"])
def test_a_log_of_which_a_part_is_gone_is_lost_and_begun_anew(
    opened: Callable[..., Any], redis_server: RedisServer, part: str
) -> None:
    one, two = opened("one"), opened("two")
    known = one.found(BOOKS).head
    head = appended(one, known, 1, 2)
    redis_server.ask("DEL", one.store.settings.key(part))

    with pytest.raises(StateLostError):
        two.append(head, 1, ["never"], only_there=False)
    with pytest.raises(StateLostError):
        two.keep_snapshot(Start(BOOKS, head))
    assert two.start() is None
    begun = two.found({"positions": {}}, {"one": 2})
    assert one.found(BOOKS) == begun
    assert one.append(begun.head, 2, ["event", 2], only_there=True).entries == ()
    with pytest.raises(StateLostError):
        one.after(head)


def test_another_beginning_is_another_log(opened: Callable[..., Any]) -> None:
    logs = [opened("one", namespace=f"beginning-{number}") for number in range(3)]

    heads = [
        logs[0].found({"a": 1}).head,
        logs[1].found({"a": 2}).head,
        logs[2].found({"a": 1}, {"one": 1}).head,
    ]

    assert len(set(heads)) == 3


@pytest.mark.parametrize("size", [1, 10_000])
def test_a_newer_snapshot_takes_the_place_of_events(opened: Callable[..., Any], size: int) -> None:
    log = opened(kept_entries=2)
    heads = [log.found(BOOKS).head]
    for number in range(1, 6):
        heads.append(appended(log, heads[-1], number))
    books = {"positions": {f"S{number}": number for number in range(size)}}
    start = Start(books, heads[4], {"one": 4})

    log.keep_snapshot(start)

    assert log.start() == start
    assert [each.head for each in log.after(heads[4])] == [heads[5]]
    # Two events before it are kept for guards that are a little behind.
    assert [each.head for each in log.after(heads[2])] == heads[3:]
    with pytest.raises(StateLostError):
        log.after(heads[1])
    log.keep_snapshot(Start({"older": True}, heads[1]))
    log.keep_snapshot(Start({"same": True}, heads[4]))
    assert log.start() == start
    log.keep_snapshot(Start({"newest": True}, heads[5]))
    appended(log, heads[5], 6)
    assert log.start().state == {"newest": True}


def test_what_somebody_changed_in_the_server_is_found(
    opened: Callable[..., Any], redis_server: RedisServer
) -> None:
    log = opened()
    known = log.found(BOOKS).head
    appended(log, known, 1, 2)
    entries, snapshot = (log.store.settings.key(name) for name in ("entries", "snapshot"))
    changed = redis_server.ask("LINDEX", entries, 0).replace('"event",1', '"event",9')
    redis_server.ask("LSET", entries, 0, changed)

    with pytest.raises(StateLostError, match="event 1 of the shared log was changed"):
        log.after(known)

    whole = redis_server.ask("GET", snapshot)
    redis_server.ask("SET", snapshot, whole.replace("1.5", "2.5"))
    with pytest.raises(StateUnavailableError, match="its checksum is another"):
        log.start()
    redis_server.ask("SET", snapshot, whole.replace("snapshot/1", "snapshot/2"))
    with pytest.raises(StateUnavailableError, match="another format"):
        log.start()


def test_threads_that_append_at_once_agree_on_one_order(opened: Callable[..., Any]) -> None:
    logs = [opened(f"guard-{number}") for number in range(3)]
    known = logs[0].found(BOOKS).head
    seen: dict[str, list[Entry]] = {}

    def work(log: RedisSharedLog) -> None:
        head, mine, number = known, [], 1
        while number <= 40:
            answer = log.append(head, number, [number], only_there=number % 3 > 0)
            mine += answer.entries
            head = mine[-1].head if mine else head
            number += answer.accepted
        seen[log.origin] = mine

    threads = [threading.Thread(target=work, args=(log,)) for log in logs]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    order = list(logs[0].after(known))
    assert len(order) == 3 * 40
    for mine in seen.values():
        assert mine == order[: len(mine)]
    for log in logs:
        numbers = [each.number for each in order if each.origin == log.origin]
        assert numbers == list(range(1, 41))


steps = st.lists(
    st.tuples(
        st.integers(0, 2),
        st.sampled_from(["append", "append", "anyway", "repeat", "catch up", "snapshot"]),
    ),
    max_size=25,
)


@settings(max_examples=60)
@given(steps=steps)
def test_any_interleaving_keeps_one_order_and_books_each_number_once(
    redis_server: RedisServer, steps: list[tuple[int, str]]
) -> None:
    redis_server.ask("FLUSHALL")
    store = RedisStore(redis_server.settings(namespace="any", kept_entries=3))
    logs = [RedisSharedLog(store, f"g{number}") for number in range(3)]
    start = logs[0].found({})
    model: list[tuple[str, int]] = []
    digests = [start.head.digest]
    heads, numbers, snapshot = [start.head] * 3, [0] * 3, 0

    def take(guard: int, entries: tuple[Entry, ...]) -> None:
        begun = heads[guard].count
        assert [(each.origin, each.number) for each in entries] == model[begun:]
        heads[guard] = entries[-1].head if entries else heads[guard]
        assert heads[guard].digest == digests[heads[guard].count]

    for guard, step in steps:
        log, known = logs[guard], heads[guard]
        lost = known.count < max(0, snapshot - 3)
        try:
            if step == "catch up":
                take(guard, log.after(known))
            elif step == "snapshot":
                log.keep_snapshot(Start({"at": known.count}, known))
                snapshot = max(snapshot, known.count)
                # An older one changes nothing, whatever it says.
                lost = False
            else:
                number = numbers[guard] + (step != "repeat")
                answer = log.append(known, number, [guard], only_there=step != "anyway")
                moves = number > numbers[guard] and (step == "anyway" or known.count == len(model))
                assert answer.accepted == (moves or number == numbers[guard])
                if moves:
                    numbers[guard] = number
                    model.append((log.origin, number))
                    digests.append(answer.entries[-1].head.digest)
                take(guard, answer.entries)
            assert not lost
        except StateLostError:
            assert lost
            begun = log.start()
            assert begun.head == Head(snapshot, digests[snapshot])
            heads[guard] = begun.head
    assert logs[0].last_numbers() == {
        log.origin: number for log, number in zip(logs, numbers, strict=True) if number
    }
    store.close()


def test_what_is_done_is_counted(opened: Callable[..., Any]) -> None:
    log = opened()
    known = log.found(BOOKS).head
    appended(log, known, 1)
    log.append(known, 2, ["late"], only_there=True)

    told = {metric.name: metric.samples for metric in log.store.metrics()}

    requests = {sample.labels["op"]: sample.value for sample in told["ringfence_state_requests"]}
    assert requests == {"append": 2, "found": 1}
    assert told["ringfence_state_errors"] == ()
    assert told["ringfence_state_conflicts"][0].value == 1
    seconds = told["ringfence_state_request_seconds"][0].value
    assert isinstance(seconds, HistogramValue)
    assert sum(seconds.counts) == 3


def test_origins_that_are_no_names_are_refused(opened: Callable[..., Any]) -> None:
    for origin in ("", "two words", "line\n", "ü", "x" * 201):
        with pytest.raises(InputError, match="the name of a guard"):
            opened(origin)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"url": "redis://user:hunter2@host"}, "holds a user or a password"),
        ({"url": "http://host"}, "cannot be read"),
        ({"url": "redis://"}, "cannot be read"),
        ({"url": "redis://host:port"}, "cannot be read"),
        ({"url": "redis://host/x"}, "is no number"),
        ({"namespace": "a{b}"}, "not fit for a key"),
        ({"cluster": True, "url": "redis://host/1"}, "the database 0 alone"),
        ({"cluster": True, "more_nodes": ("a:b",)}, "cannot be read"),
        ({"more_nodes": ("other:1",)}, "are of a cluster"),
        ({"timeout_ms": 0}, "`timeout_ms` is below 1"),
        ({"wait_replicas": -1}, "`wait_replicas` is below 0"),
    ],
)
def test_settings_that_cannot_be_are_refused(options: dict[str, Any], words: str) -> None:
    with pytest.raises(InputError, match=words) as raised:
        RedisSettings(**options)
    assert "hunter2" not in str(raised.value)


def test_settings_show_no_password() -> None:
    settings = RedisSettings(password=Secret("hunter2" * 3), url="redis://host:1/2")

    assert "hunter2" not in repr(settings)
    assert settings.nodes == (("host", 1),)
    assert settings.database == 2
    assert json.dumps(settings.key("log")) == '"{ringfence:default}:log"'
