"""What happens, as it happens: streams of events, and who falls behind."""

import asyncio
import json
import threading

import pytest

from ringfence.runtime.audit_log import AuditLog
from ringfence.service import events as events_module
from ringfence.service.api import streams
from ringfence.service.api.streams import _events
from ringfence.service.events import EventHub, TooManyError

pytestmark = pytest.mark.integration


@pytest.fixture
def log(tmp_path):
    with AuditLog.open(tmp_path / "audit", durability="process") as opened:
        yield opened


@pytest.fixture
def hub(log, tmp_path):
    made = EventHub(tmp_path / "audit", log, threading.Event())
    yield made
    made.close()


def told(event):
    return json.dumps(event.body).encode()


async def read(hub, subscription, count):
    """The first `count` chunks of a stream."""
    found = []
    async for chunk in _events(hub, subscription, told):
        found.append(chunk.decode())
        if len(found) == count:
            break
    return found


def test_a_listener_hears_what_comes_in_order(hub, log):
    async def listen():
        subscription = hub.subscribe(decisions=True, after=None)
        for k in range(3):
            log.append("decision", {"k": k})
            log.append("switch", {"k": k})
        hub.look()
        return await read(hub, subscription, 2)

    first, events = asyncio.run(listen())
    assert first == ": listening\n\n"
    assert events == "".join(
        f'id: {2 * k + 1}\nevent: decision\ndata: {{"k": {k}}}\n\n' for k in range(3)
    )


def test_a_listener_that_comes_back_goes_on_where_it_was(hub, log):
    for k in range(4):
        log.append("decision", {"k": k})
    hub.look()

    async def listen():
        return await read(hub, hub.subscribe(decisions=True, after=2), 2)

    _, events = asyncio.run(listen())
    assert [line for line in events.splitlines() if line.startswith("id")] == ["id: 3", "id: 4"]


def test_a_listener_is_told_that_something_is_gone(log, tmp_path, monkeypatch):
    for k in range(6):
        log.append("decision", {"k": k})
    log.wait(6)
    monkeypatch.setattr(events_module, "_BEHIND", 2)
    hub = EventHub(tmp_path / "audit", log, threading.Event())
    hub.look()

    async def listen():
        return await read(hub, hub.subscribe(decisions=True, after=1), 3)

    chunks = asyncio.run(listen())
    assert chunks[1] == "event: missed\ndata: {}\n\n"
    assert "id: 6" in chunks[2]
    hub.close()


def test_memory_holds_so_many_records_and_so_many_bytes(hub, log, monkeypatch):
    monkeypatch.setattr(events_module, "KEPT", 4)
    for k in range(6):
        log.append("decision", {"k": k})
        log.append("switch", {"k": k})
    hub.look()
    assert [each.body["k"] for each in hub.decisions(None)] == [5, 4, 3, 2]
    assert [each.body["k"] for each in hub.recent("switch", 9)] == [5, 4, 3, 2]
    # The last that went is record 3; what came after it is all there.
    assert hub.first_decision == 4

    monkeypatch.setattr(events_module, "KEPT_BYTES", 1_000)
    log.append("decision", {"k": "x" * 900})
    hub.look()
    log.append("decision", {"k": "y" * 2_000})
    hub.look()
    assert [each.body["k"][0] for each in hub.decisions(None)] == ["y"]
    assert hub.first_decision == 14


def test_a_record_is_kept_as_its_text_alone(hub, log):
    log.append("decision", {"k": 1})
    hub.look()
    (event,) = hub.decisions(None)

    assert event.body == {"k": 1}
    assert event.body is not event.body
    assert not hasattr(event, "__dict__")


def test_a_listener_that_does_not_keep_up_is_dropped_and_nobody_waits(hub, log, monkeypatch):
    monkeypatch.setattr(events_module, "_MOST_WAITING", 3)

    async def listen():
        slow = hub.subscribe(decisions=True, after=None)
        for k in range(10):
            log.append("decision", {"k": k})
        hub.look()
        await asyncio.sleep(0)
        assert slow.dropped
        assert not slow.waiting
        chunks = [each async for each in _events(hub, slow, told)]
        slow.put([])
        return chunks

    assert asyncio.run(listen())[-1] == b"event: dropped\ndata: {}\n\n"
    assert not hub._listeners


def test_an_idle_stream_says_that_it_is_alive(hub, monkeypatch):
    monkeypatch.setattr(streams, "HEARTBEAT_S", 0.01)

    async def listen():
        return await read(hub, hub.subscribe(decisions=True, after=None), 2)

    assert asyncio.run(listen())[1] == ": alive\n\n"


def test_streams_end_with_the_service(hub):
    async def listen():
        subscription = hub.subscribe(decisions=False, after=None)
        hub.end_streams()
        return [each async for each in _events(hub, subscription, told)]

    assert asyncio.run(listen()) == [b": listening\n\n"]


def test_there_are_only_so_many_listeners(hub, monkeypatch):
    monkeypatch.setattr(events_module, "MOST_LISTENERS", 1)

    async def listen():
        hub.subscribe(decisions=True, after=None)
        with pytest.raises(TooManyError):
            hub.subscribe(decisions=True, after=None)

    asyncio.run(listen())


def test_the_hub_follows_by_itself(hub, log):
    hub.start()

    async def listen():
        subscription = hub.subscribe(decisions=False, after=None)
        log.append("switch", {"k": 1})
        hub.news(None)
        assert await asyncio.wait_for(subscription.wait(30), 30)
        return subscription.waiting.popleft()

    assert asyncio.run(listen()).body == {"k": 1}


@pytest.fixture
def ending(ask):
    """Streams that end once they have told what is at hand."""
    ask.desk.stopping.set()
    yield ask
    ask.desk.stopping.clear()


def events_of(text):
    return [
        dict(line.split(": ", 1) for line in block.splitlines())
        for block in text.split("\n\n")
        if block.startswith("id")
    ]


def last(ask):
    return ask("GET", "/v1/audit/head").json()["sequence"]


def test_a_trader_hears_of_decisions_of_its_accounts_alone(ask, order, ending):
    headers = {"last-event-id": str(last(ask))}
    for account in ("alpha", "beta"):
        ask("POST", "/v1/evaluate", "admin", json=order(account=account))
    ask.client.app.state.hub.look()
    for who, accounts in (("viewer", ["alpha", "beta"]), ("trader", ["alpha"])):
        stream = ending("GET", "/v1/events/decisions", who, headers=headers)
        assert stream.headers["content-type"].startswith("text/event-stream")
        heard = [json.loads(each["data"])["account"] for each in events_of(stream.text)]
        assert heard == accounts


def test_a_trader_hears_of_the_state_what_concerns_it(ask, ending):
    headers = {"last-event-id": str(last(ask))}
    for target in ("firm", "account/beta", "account/alpha"):
        for state in ("reducing", "active"):
            body = {"state": state, "reason": "x"}
            ask("PUT", f"/v1/kill-switches/{target}", "officer", json=body)
    body = {"book": "account/alpha", "kind": "deposit", "amount": 1}
    ask("POST", "/v1/balances", "officer", json=body)
    ask.client.app.state.hub.look()

    def heard(who):
        text = ending("GET", "/v1/events/state", who, headers=headers).text
        return [
            (each["event"], json.loads(each["data"])["body"].get("switch", [""])[0])
            for each in events_of(text)
        ]

    assert ("money", "") in heard("viewer")
    assert {target for _, target in heard("viewer")} >= {"firm", "account/beta", "account/alpha"}
    assert {target for _, target in heard("trader")} == {"firm", "account/alpha"}


def test_nobody_goes_on_after_a_record_that_is_not_written(ask):
    headers = {"last-event-id": str(10**12)}
    answer = ask("GET", "/v1/events/state", headers=headers)
    assert answer.json()["errors"][0]["parameter"] == "Last-Event-ID"
