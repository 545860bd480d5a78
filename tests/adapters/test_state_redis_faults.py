"""What goes wrong with a Redis server: said in words, bounded in time, counted, and over without a restart."""

import socket
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from adapters.redis_server import PASSWORD, Proxy, RedisServer, free_port, wait_until
from ringfence.adapters.state_redis import RedisSettings, RedisSharedLog, RedisStore
from ringfence.runtime.credentials import Secret
from ringfence.runtime.shared_log import Head, Start, StateLostError, StateUnavailableError

pytestmark = [pytest.mark.integration, pytest.mark.needs("redis-server", "redis-server")]


@pytest.fixture
def server(tmp_path: Path) -> Iterator[RedisServer]:
    made = RedisServer(tmp_path / "redis").start()
    yield made
    made.stop()


@pytest.fixture
def durable(tmp_path: Path) -> Iterator[RedisServer]:
    made = RedisServer(tmp_path / "redis", appendonly="yes", appendfsync="always").start()
    yield made
    made.stop()


@pytest.fixture
def proxy(server: RedisServer) -> Iterator[Proxy]:
    made = Proxy(server.port)
    yield made
    made.close()


@pytest.fixture
def opened(request: pytest.FixtureRequest) -> Callable[..., RedisSharedLog]:
    def make(settings: RedisSettings, origin: str = "one") -> RedisSharedLog:
        log = RedisSharedLog(settings, origin)
        request.addfinalizer(log.close)
        return log

    return make


def errors(log: RedisSharedLog) -> dict[str, Any]:
    told = {metric.name: metric.samples for metric in log.store.metrics()}
    return {sample.labels["kind"]: sample.value for sample in told["ringfence_state_errors"]}


def reconnects(log: RedisSharedLog) -> Any:
    told = {metric.name: metric.samples for metric in log.store.metrics()}
    return told["ringfence_state_reconnects"][0].value


def refused(log: RedisSharedLog, known: Head, *, sent: bool, words: str) -> None:
    with pytest.raises(StateUnavailableError, match=words) as raised:
        log.append(known, 99, ["never"], only_there=True)
    assert raised.value.sent is sent
    assert PASSWORD not in str(raised.value)


def through(proxy: Proxy, **options: Any) -> RedisSettings:
    given = {"password": Secret(PASSWORD), "timeout_ms": 5_000} | options
    return RedisSettings(url=f"redis://127.0.0.1:{proxy.port}/0", **given)


def test_a_server_that_is_not_there_is_unavailable_until_it_is(
    tmp_path: Path, opened: Callable[..., RedisSharedLog]
) -> None:
    server = RedisServer(tmp_path / "redis")
    log = opened(server.settings())
    refused(log, Head(0, ""), sent=False, words="cannot be reached")

    server.start()
    try:
        assert log.start() is None
        assert log.found({}).head.count == 0
    finally:
        server.stop()
    refused(log, Head(0, ""), sent=False, words="cannot be reached")
    assert errors(log) == {"connect": 2}


def test_a_restart_without_persistence_loses_the_log_and_the_guard_is_told(
    server: RedisServer, opened: Callable[..., RedisSharedLog]
) -> None:
    log = opened(server.settings(settle_ms=0))
    known = log.found({"a": 1}).head
    head = log.append(known, 1, ["one"], only_there=True).entries[-1].head
    server.kill()
    server.start()

    with pytest.raises(StateLostError):
        log.append(head, 2, ["two"], only_there=False)
    with pytest.raises(StateLostError):
        log.after(head)
    assert log.start() is None
    begun = log.found({"a": 2}, {"one": 1})
    assert log.append(begun.head, 2, ["two"], only_there=True).accepted
    assert errors(log) == {}
    assert reconnects(log) >= 1


def test_a_restart_with_an_append_only_file_loses_nothing(
    durable: RedisServer, opened: Callable[..., RedisSharedLog]
) -> None:
    log = opened(durable.settings())
    head = log.found({"a": 1}).head
    for number in range(1, 21):
        head = log.append(head, number, [number], only_there=True).entries[-1].head
    durable.kill()
    durable.start()

    assert log.after(head) == ()
    assert log.last_number() == 20
    assert log.append(head, 21, ["more"], only_there=False).accepted


def test_after_a_restart_no_order_is_taken_until_guards_have_given_back_what_was_lost(
    durable: RedisServer, opened: Callable[..., RedisSharedLog]
) -> None:
    log = opened(durable.settings(settle_ms=3_600_000))
    head = log.found({}).head
    head = log.append(head, 1, [1], only_there=True).entries[-1].head
    durable.kill()
    durable.start()

    for _ in range(2):
        with pytest.raises(StateUnavailableError, match="taken over a moment ago") as raised:
            log.append(head, 2, ["order"], only_there=True)
        assert not raised.value.sent
    # What is in the log already is, and what happened is taken.
    assert log.append(head, 1, [1], only_there=True).accepted
    head = log.append(head, 2, ["lost"], only_there=False).entries[-1].head
    assert errors(log) == {"settles": 2}

    durable.ask("HSET", log._keys[0], "settles", 1)
    for number in (3, 4):
        head = log.append(head, number, ["order"], only_there=True).entries[-1].head
    assert durable.ask("HGET", log._keys[0], "settles") == "0"


def test_a_log_that_was_lost_and_begun_anew_takes_no_order_at_once(
    server: RedisServer, opened: Callable[..., RedisSharedLog]
) -> None:
    log = opened(server.settings(settle_ms=3_600_000))
    known = log.found({}, {"one": 3}).head

    with pytest.raises(StateUnavailableError, match="taken over a moment ago"):
        log.append(known, 4, ["order"], only_there=True)
    assert log.append(known, 4, ["lost"], only_there=False).accepted


def test_an_answer_that_was_lost_is_never_booked_twice(
    proxy: Proxy, opened: Callable[..., RedisSharedLog]
) -> None:
    log = opened(through(proxy))
    known = log.found({}).head
    log.after(known)
    proxy.lose_answers = True

    with pytest.raises(StateUnavailableError, match="was lost") as raised:
        log.append(known, 1, ["reserve"], only_there=True)
    assert raised.value.sent

    proxy.lose_answers = False
    answer = log.append(known, 1, ["reserve"], only_there=True)
    assert answer.accepted
    assert [each.number for each in answer.entries] == [1]
    assert len(log.after(known)) == 1
    assert errors(log) == {"lost": 1}
    assert reconnects(log) >= 1


def test_a_connection_that_was_cut_while_idle_is_replaced_unnoticed(
    proxy: Proxy, opened: Callable[..., RedisSharedLog]
) -> None:
    log = opened(through(proxy))
    known = log.found({}).head
    head = log.append(known, 1, ["one"], only_there=True).entries[-1].head
    (connection,) = log.store.quick._node(log.store.quick._at)._idle
    proxy.cut()
    # The end of the connection has arrived.
    wait_until(lambda: _at_end(connection._get_socket()), "the end of the connection")

    assert log.append(head, 2, ["two"], only_there=True).accepted
    assert errors(log) == {}


def _at_end(connection: socket.socket) -> bool:
    connection.setblocking(False)
    try:
        return connection.recv(1, socket.MSG_PEEK) == b""
    except BlockingIOError:
        return False
    finally:
        connection.settimeout(5)


def test_a_server_that_does_not_answer_is_unavailable_within_the_timeout(
    server: RedisServer, opened: Callable[..., RedisSharedLog]
) -> None:
    patient = opened(server.settings())
    known = patient.found({}).head
    log = opened(server.settings(timeout_ms=50, snapshot_timeout_ms=50))
    wait_until(lambda: log.after(known) == (), "an answer within 50 ms")
    with server.paused():
        refused(log, known, sent=True, words="did not answer in time")
        # A new connection is made by the system, and the server does not let us in.
        refused(log, known, sent=False, words="did not let us in in time")
        with pytest.raises(StateUnavailableError):
            log.start()

    wait_until(lambda: len(log.after(known)) < 2, "an answer after the pause")
    # What was asked during the pause was done after it, or not; but once.
    assert len(patient.after(known)) <= 1
    answer = patient.append(known, 99, ["never"], only_there=False, origin="one")
    assert [each.number for each in patient.after(known)] == [99]
    assert answer.accepted


def test_a_wrong_password_is_refused_and_shown_nowhere(
    server: RedisServer, opened: Callable[..., RedisSharedLog], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(0)
    wrong = opened(server.settings(password=Secret("a wrong one, hunter2")))
    none = opened(server.settings(password=None))
    user = opened(server.settings(username="nobody"))

    for log in (wrong, none, user):
        with pytest.raises(StateUnavailableError, match="refuses the password") as raised:
            log.start()
        assert not raised.value.sent
        assert errors(log) == {"auth": 1}
        text = f"{raised.value!r} {raised.value} {vars(log)} {caplog.text}"
        assert "hunter2" not in text
        assert PASSWORD not in text

    server.ask("CONFIG", "SET", "requirepass", "a wrong one, hunter2")
    assert wrong.start() is None


def test_a_user_with_too_few_rights_is_told(
    server: RedisServer, opened: Callable[..., RedisSharedLog]
) -> None:
    server.ask("ACL", "SETUSER", "guard", "on", ">secret-of-guard", "+ping", "~*")
    log = opened(server.settings(username="guard", password=Secret("secret-of-guard")))
    refused(log, Head(0, ""), sent=False, words="does not let this user")

    rights = ("resetkeys", "~{ringfence:*", "+@all", "-@admin", "-@dangerous")
    server.ask("ACL", "SETUSER", "guard", *rights)
    with pytest.raises(StateUnavailableError, match=r"does not let this user.*info") as raised:
        log.found({})
    assert not raised.value.sent
    server.ask("ACL", "SETUSER", "guard", "+info")
    assert log.found({}).head.count == 0
    assert "appendonly no" in log.store.warnings()[0]


def test_a_full_server_refuses_and_appends_nothing(
    server: RedisServer, opened: Callable[..., RedisSharedLog]
) -> None:
    log = opened(server.settings())
    known = log.found({}).head
    server.ask("CONFIG", "SET", "maxmemory", "1")

    refused(log, known, sent=False, words="has reached its `maxmemory`")
    # Reading goes on.
    assert log.after(known) == ()
    assert log.start() is not None
    server.ask("CONFIG", "SET", "maxmemory", "0")
    assert log.append(known, 1, ["now"], only_there=True).accepted
    assert errors(log) == {"memory": 1}


def test_books_that_were_evicted_are_lost_and_never_half_there(
    server: RedisServer, opened: Callable[..., RedisSharedLog]
) -> None:
    log = opened(server.settings())
    head = log.found({"books": "x" * 2_000}).head
    for number in range(1, 50):
        head = log.append(head, number, ["y" * 200], only_there=True).entries[-1].head
    server.ask("CONFIG", "SET", "maxmemory-policy", "allkeys-random")
    server.ask("CONFIG", "SET", "maxmemory", "1")
    # A write makes room, by dropping whatever there is.
    with suppress(StateUnavailableError, StateLostError):
        for number in range(50, 200):
            head = log.append(head, number, ["z"], only_there=True).entries[-1].head
    server.ask("CONFIG", "SET", "maxmemory", "0")

    with pytest.raises(StateLostError):
        log.append(head, 300, ["never"], only_there=False)
    assert log.start() is None
    assert any("may drop the shared books" in told for told in log.store.warnings())


def test_a_replica_takes_no_writes(
    server: RedisServer, tmp_path: Path, opened: Callable[..., RedisSharedLog]
) -> None:
    replica = RedisServer(tmp_path / "replica", replicaof=("127.0.0.1", str(server.port))).start()
    try:
        known = opened(server.settings()).found({}).head
        log = opened(replica.settings())
        wait_until(lambda: log.start() is not None, "the snapshot at the replica")
        refused(log, known, sent=False, words="is a replica and takes no writes")
    finally:
        replica.stop()


def test_a_failover_that_loses_events_is_noticed(
    server: RedisServer, proxy: Proxy, tmp_path: Path, opened: Callable[..., RedisSharedLog]
) -> None:
    replica = RedisServer(tmp_path / "replica", replicaof=("127.0.0.1", str(server.port))).start()
    try:
        log, other = opened(through(proxy)), opened(through(proxy), "two")
        known = log.found({}).head
        kept = log.append(known, 1, ["kept"], only_there=True).entries[-1].head
        wait_until(lambda: opened(replica.settings()).after(kept) == (), "the replica to follow")
        # The replica stops following, and the primary ends after one event more.
        replica.ask("REPLICAOF", "NO", "ONE")
        lost = log.append(kept, 2, ["lost"], only_there=True).entries[-1].head
        server.kill()
        proxy.target = replica.port
        proxy.cut()

        wait_until(lambda: other.after(kept) == (), "the new primary")
        with pytest.raises(StateUnavailableError, match="taken over a moment ago"):
            other.append(kept, 1, ["other"], only_there=True)
        ahead = other.append(kept, 1, ["other"], only_there=False).entries[-1].head
        # The same count, another event.
        assert (ahead.count, lost.count) == (2, 2)
        with pytest.raises(StateLostError):
            log.append(lost, 3, ["never"], only_there=True)
        assert log.last_number() == 1
        answer = log.append(kept, 2, ["lost"], only_there=False)
        assert [each.event for each in answer.entries] == [["other"], ["lost"]]
    finally:
        replica.stop()


def test_connections_to_a_primary_that_was_set_down_are_given_up(
    server: RedisServer, proxy: Proxy, tmp_path: Path, opened: Callable[..., RedisSharedLog]
) -> None:
    other = RedisServer(tmp_path / "other", replicaof=("127.0.0.1", str(server.port))).start()
    try:
        log = opened(through(proxy, settle_ms=0))
        known = log.found({}).head
        head = log.append(known, 1, ["one"], only_there=True).entries[-1].head
        wait_until(lambda: opened(other.settings()).after(head) == (), "the replica to follow")
        other.ask("REPLICAOF", "NO", "ONE")
        server.ask("REPLICAOF", "127.0.0.1", other.port)
        proxy.target = other.port

        # The old one still answers.
        refused(log, head, sent=False, words="is a replica and takes no writes")
        assert log.append(head, 2, ["two"], only_there=True).accepted
        assert reconnects(log) == 1
    finally:
        other.stop()


def test_an_event_counts_once_the_replicas_have_it(
    server: RedisServer, tmp_path: Path, opened: Callable[..., RedisSharedLog]
) -> None:
    replica = RedisServer(tmp_path / "replica", replicaof=("127.0.0.1", str(server.port))).start()
    try:
        log = opened(server.settings(wait_replicas=1, timeout_ms=20_000))
        wait_until(lambda: log.found({}), "a replica that takes part")
        known = log.start().head
        head = log.append(known, 1, ["kept"], only_there=True).entries[-1].head
        assert opened(replica.settings()).after(known)[-1].head == head
        assert not any("replica" in told for told in log.store.warnings())
        hasty = opened(server.settings(wait_replicas=1, timeout_ms=200))
        wait_until(lambda: hasty.after(head) == (), "an answer within 200 ms")
        with replica.paused():
            refused(hasty, head, sent=True, words="0 of 1 replicas")
        # It is in the log all the same, and is answered for when it is asked for again.
        again = ["never"]
        wait_until(
            lambda: log.append(head, 99, again, only_there=True).accepted, "the replica to follow"
        )
        assert len(log.after(head)) == 1
        assert errors(hasty)["replicas"] >= 1
        unsafe = RedisStore(server.settings())
        assert any("failover to a replica" in told for told in unsafe.warnings())
        unsafe.close()
        many = RedisStore(server.settings(wait_replicas=2))
        assert any("1 of the 2 replicas" in told for told in many.warnings())
        many.close()
    finally:
        replica.stop()


def test_scripts_that_the_server_forgot_are_sent_again(
    server: RedisServer, opened: Callable[..., RedisSharedLog]
) -> None:
    log = opened(server.settings())
    known = log.found({}).head
    server.ask("SCRIPT", "FLUSH")

    assert log.append(known, 1, ["one"], only_there=True).accepted
    assert errors(log) == {}


def test_what_no_server_says_is_a_fault_and_no_traceback(
    server: RedisServer, opened: Callable[..., RedisSharedLog]
) -> None:
    log = opened(server.settings())
    known = log.found({}).head
    server.ask("SET", log._keys[1], "no list")
    refused(log, known, sent=True, words="answered: WRONGTYPE")

    with socket.create_server(("127.0.0.1", 0)) as strange:
        port = strange.getsockname()[1]
        bare = opened(RedisSettings(url=f"redis://127.0.0.1:{port}", timeout_ms=5_000))
        with pytest.raises(StateUnavailableError, match="was lost") as raised:
            _answer_nonsense(strange, lambda: bare.append(known, 1, [], only_there=True))
    assert raised.value.sent


def _answer_nonsense(listener: socket.socket, ask: Callable[[], Any]) -> None:
    def answer() -> None:
        client, _ = listener.accept()
        with client:
            client.recv(10_000)
            client.sendall(b"$abc\r\n")

    thread = threading.Thread(target=answer)
    thread.start()
    try:
        ask()
    finally:
        thread.join()


def test_after_a_fork_each_process_has_connections_of_its_own(
    server: RedisServer, opened: Callable[..., RedisSharedLog]
) -> None:
    log = opened(server.settings())
    known = log.found({}).head
    node = log.store.quick._node(log.store.quick._at)
    log.after(known)
    assert len(node._idle) == 1

    node._process -= 1
    log.after(known)

    assert len(node._idle) == 1
    assert node._process > 0


def test_a_connection_can_be_encrypted(
    tmp_path: Path, opened: Callable[..., RedisSharedLog]
) -> None:
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    command = (
        "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 "
        "-subj /CN=localhost -addext subjectAltName=IP:127.0.0.1 -keyout key.pem -out certificate.pem"
    )
    subprocess.run(command.split(), cwd=tmp_path, check=True, capture_output=True)
    tls = free_port()
    server = RedisServer(
        tmp_path / "redis",
        tls_port=tls,
        tls_cert_file=certificate,
        tls_key_file=key,
        tls_ca_cert_file=certificate,
        tls_auth_clients="no",
    ).start()
    try:
        url = f"rediss://127.0.0.1:{tls}"
        log = opened(server.settings(url=url, ca_file=str(certificate)))
        assert log.found({}).head.count == 0
        stranger = opened(server.settings(url=url))
        with pytest.raises(StateUnavailableError, match="cannot be reached"):
            stranger.start()
    finally:
        server.stop()


def test_settings_that_may_lose_books_are_told(durable: RedisServer) -> None:
    store = RedisStore(durable.settings())
    assert store.warnings() == ()
    durable.ask("CONFIG", "SET", "maxmemory-policy", "volatile-lru")
    durable.ask("CONFIG", "SET", "appendfsync", "no")
    assert [told.rpartition("(")[2] for told in store.warnings()] == [
        "`maxmemory-policy volatile-lru`); set `maxmemory-policy noeviction`",
        "`appendfsync no`); set `appendfsync everysec` or `always`",
    ]
    store.close()


def test_a_snapshot_of_many_megabytes_is_kept_and_read(
    server: RedisServer, opened: Callable[..., RedisSharedLog]
) -> None:
    log = opened(server.settings(timeout_ms=5_000, snapshot_timeout_ms=30_000))
    known = log.found({}).head
    head = log.append(known, 1, ["one"], only_there=True).entries[-1].head
    books = {"working": [[number, f"order-{number}", number * 0.1] for number in range(100_000)]}

    log.keep_snapshot(Start(books, head))

    assert log.start().state == books
