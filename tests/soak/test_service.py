"""The service at half of what it can do, while PostgreSQL, Redis and the exchange are stopped, slow and started anew.

Every decision is a REJECT that says why, or is in the audit log as it was told; no order reaches the exchange twice, or
without an approval; memory and open files stay as they are. Before anything is measured the service has taken and ended as many
orders as it remembers: what it keeps of orders is full by then, and made of their own objects, so that what still grows
is a leak.
"""

import os
import random
import statistics
import threading
import time
from collections import Counter, defaultdict, deque
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest

from adapters import kraken_server
from adapters.kraken_server import KrakenServer
from adapters.postgres_server import PostgresServer
from adapters.postgres_server import running as postgres_running
from adapters.redis_server import RedisServer
from ringfence.adapters.audit_postgres import Server, migrate
from ringfence.runtime.audit_reader import AuditReader
from ringfence.runtime.audit_verify import verify
from ringfence.runtime.credentials import KRAKEN_API_KEY, KRAKEN_SECRET
from ringfence.runtime.known_orders import REMEMBERED
from ringfence.runtime.ports import SYSTEM_CLOCK, SYSTEM_RANDOM
from runtime.desk import policies
from service.core.service_process import ServiceProcess, bearer
from soak.figures import told
from soak.slow_proxy import SlowProxy

pytestmark = pytest.mark.integration

SECONDS = float(os.environ.get("RINGFENCE_SOAK_SERVICE_SECONDS", "1800"))
SEED = int(os.environ.get("RINGFENCE_SOAK_SEED", "1"))
CAPACITY_SECONDS = 5.0
WINDOW_SECONDS = 30
CLIENTS = 2
# Orders that work at one time by each client while the service grows old; a position may be of a hundred.
BATCH = 40
# Of the time, for the memory of each.
STRETCHES = 20
# One order in so many goes out: an exchange takes a few a second.
SENT_EVERY = 20


@dataclass
class Parts:
    """What the service stands on; each is behind a proxy."""

    postgres: PostgresServer
    redis: RedisServer
    kraken: KrakenServer
    proxies: dict[str, SlowProxy]


@dataclass
class Seen:
    """What clients were told."""

    decisions: dict[str, tuple[str, str]] = field(default_factory=dict)
    codes: Counter[str] = field(default_factory=Counter)
    statuses: Counter[int] = field(default_factory=Counter)
    states: Counter[str] = field(default_factory=Counter)
    problems: Counter[str] = field(default_factory=Counter)
    slowest_s: float = 0.0
    lost: int = 0


@pytest.fixture(scope="module")
def parts(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Parts]:
    with ExitStack() as opened:
        postgres = opened.enter_context(postgres_running())
        migrate(Server(postgres.url()))
        folder = tmp_path_factory.mktemp("redis")
        # Books must outlive a kill of the server.
        redis = RedisServer(folder, appendonly="yes", appendfsync="always").start()
        opened.callback(redis.stop)
        keys = KRAKEN_API_KEY.make(SYSTEM_RANDOM), KRAKEN_SECRET.make(SYSTEM_RANDOM)
        kraken = opened.enter_context(kraken_server.running(*keys, SYSTEM_CLOCK.now_ns()))
        kraken.balances = dict.fromkeys(kraken.balances, 0) | kraken.balances
        stopping = threading.Event()
        opened.callback(stopping.set)

        def keep_time() -> None:
            while not stopping.wait(0.02):
                kraken.now_ns = SYSTEM_CLOCK.now_ns()

        threading.Thread(target=keep_time, daemon=True).start()
        ports = {
            "postgres": postgres.port,
            "redis": redis.port,
            "exchange": int(kraken.url.rpartition(":")[2]),
        }
        proxies = {name: SlowProxy(port) for name, port in ports.items()}
        for each in proxies.values():
            opened.callback(each.close)
        yield Parts(postgres, redis, kraken, proxies)


@pytest.fixture(scope="module")
def service(parts: Parts, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServiceProcess]:
    folder = tmp_path_factory.mktemp("service")
    policies(folder / "policies")
    desk = folder / "policies" / "instruments.yaml"
    desk.write_text(desk.read_text().replace("venues: [paper]", "venues: [kraken]"))
    at = {name: f"127.0.0.1:{each.port}" for name, each in parts.proxies.items()}
    settings = {
        "policies.directories": folder / "policies",
        "state.kind": "redis",
        "state.url": f"redis://{at['redis']}/0",
        "state.timeout": "500ms",
        "audit.sink": "postgres",
        "venues.kraken.kind": "kraken",
        "venues.kraken.accounts": "main",
        "venues.kraken.url": f"http://{at['exchange']}",
        "venues.kraken.stream": "false",
        "venues.kraken.timeout": "2s",
        "venues.kraken.pace": "10ms",
        "venues.kraken.poll": "500ms",
        "guard.client_order_window": f"{WINDOW_SECONDS}s",
        "opening_balances": "account/main=1000000,strategy/trend=1000000",
        # Orders bring their own prices.
        "access.traders_tell_prices": "true",
    }
    process = ServiceProcess(
        folder / "data",
        *(f"--set={name}={value}" for name, value in settings.items()),
        environ={
            "RINGFENCE_POSTGRES_URL": parts.postgres.url().replace(
                str(parts.postgres.port), str(parts.proxies["postgres"].port)
            ),
            "REDIS_PASSWORD": parts.redis.password,
            "KRAKEN_API_KEY": parts.kraken.key,
            "KRAKEN_SECRET": parts.kraken.secret,
        },
    )
    yield process
    process.stop()


def market() -> dict[str, Any]:
    """Market data of this moment."""
    return {"timestamp": SYSTEM_CLOCK.now_ns(), "bid": "1000", "ask": "1000", "last": "1000"}


class Client:
    """Asks about orders, cancels what was approved, and remembers what it was told."""

    def __init__(self, service: ServiceProcess, name: str, seen: Seen) -> None:
        self._service, self._name, self._seen = service, name, seen
        self._headers = bearer("trader", "main")
        self._client = httpx.Client(base_url=service.url["dashboard"], timeout=60)
        self._number = 0
        self._owed: deque[tuple[str, str, dict[str, Any] | None]] = deque()

    def close(self) -> None:
        for _ in range(100):
            if self._owed:
                self._pay()
        self._client.close()

    def ask(self) -> None:
        """One order, and its end."""
        self._number += 1
        sent = self._number % SENT_EVERY == 0
        order = {
            "account": "main",
            "strategy": "trend",
            # Of an order at a venue that the service knows, the venue tells what became of it.
            "venue": "kraken" if sent else "",
            "symbol": "BTC/USD",
            "side": "buy" if self._number % 2 else "sell",
            "size": "0.1",
            "price": "1000",
            "client_order_id": f"{self._name}-{self._number}",
            "market": market(),
        }  # fmt: skip
        begun = time.monotonic()
        found = self._post("/v1/orders" if sent else "/v1/evaluate", order)
        self._seen.slowest_s = max(self._seen.slowest_s, time.monotonic() - begun)
        if not found:
            return
        decision = found["decision"] if sent else found
        self._seen.codes[decision["code"] or decision["decision"]] += 1
        self._seen.decisions[decision["id"]] = (decision["decision"], decision["reason"])
        if sent and found["order"] is not None:
            self._seen.states[found["order"]["state"]] += 1
            self._owed.append(("DELETE", f"/v1/orders/{decision['id']}", None))
        elif decision["decision"] != "REJECT":
            self._owed.append(("POST", "/v1/cancels", {"order_id": decision["id"]}))
        self._pay()

    def _pay(self) -> None:
        """Tell what has ended; what cannot be told now is told later."""
        for _ in range(min(3, len(self._owed))):
            debt = self._owed.popleft()
            if self._send(*debt) is None:
                self._owed.append(debt)

    def _post(self, path: str, body: dict[str, Any]) -> dict[str, Any] | None:
        return self._send("POST", path, body)

    def _send(self, method: str, path: str, body: dict[str, Any] | None) -> dict[str, Any] | None:
        try:
            answer = self._client.request(method, path, json=body, headers=self._headers)
        except httpx.TransportError:
            self._seen.lost += 1
            return None
        self._seen.statuses[answer.status_code] += 1
        if answer.status_code == 404:
            # What has ended already need not be told.
            return {}
        if answer.status_code not in (200, 201):
            self._seen.problems[f"{method} {path[:11]} {answer.text[:300]}"] += 1
            return None
        given: dict[str, Any] = answer.json()
        return given


def load(
    service: ServiceProcess, seen: Seen, seconds: float, rate: float | None, name: str
) -> float:
    """Ask for so long, `rate` orders a second or without a pause; orders a second that were asked about."""
    end, count = time.monotonic() + seconds, [0]

    def work(number: int) -> None:
        client = Client(service, f"{name}{number}", seen)
        due = time.monotonic()
        while (now := time.monotonic()) < end:
            if rate is not None:
                due = max(due + CLIENTS / rate, now - 1)
                if due > now:
                    time.sleep(due - now)
            client.ask()
            count[0] += 1
        client.close()

    threads = [threading.Thread(target=work, args=(number,)) for number in range(CLIENTS)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    return count[0] / seconds


def grow_old(service: ServiceProcess, redis: RedisServer) -> None:
    """Let as many orders come and end as the service remembers; none is sent out."""
    order = {
        "account": "main", "strategy": "trend", "symbol": "BTC/USD", "side": "buy", "size": "0.1",
        "price": "1000",
    }  # fmt: skip
    headers = bearer("trader", "main")

    def work() -> None:
        with httpx.Client(base_url=service.url["dashboard"], timeout=60, headers=headers) as client:
            for _ in range(REMEMBERED // CLIENTS // BATCH):
                orders = [order | {"market": market()}] + [order] * (BATCH - 1)
                answer = client.post("/v1/evaluate/batch", json={"orders": orders}).json()
                for each in answer["decisions"]:
                    assert each["decision"] == "APPROVE", each
                    told = client.post("/v1/cancels", json={"order_id": each["id"]})
                    assert told.json()["released"], told.text

    # What is written in these minutes need not outlive anything.
    redis.ask("CONFIG", "SET", "appendfsync", "no")
    with ThreadPoolExecutor(CLIENTS) as pool:
        for each in [pool.submit(work) for _ in range(CLIENTS)]:
            each.result()
    redis.ask("CONFIG", "SET", "appendfsync", "always")


class Faults:
    """Stops, slows and restarts one part after the other, until it is ended."""

    def __init__(self, parts: Parts) -> None:
        self._parts, self._random = parts, random.Random(SEED)
        self.done: Counter[str] = Counter()
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def end(self) -> None:
        self._ending.set()
        self._thread.join()

    def _run(self) -> None:
        kinds: dict[str, Callable[[str, float], None]] = {
            "stopped": self._stopped, "slow": self._slow, "restarted": self._restarted,
        }  # fmt: skip
        while not self._ending.wait(self._random.uniform(1, 4)):
            name = self._random.choice(sorted(self._parts.proxies))
            kind = self._random.choice(sorted(kinds))
            kinds[kind](name, self._random.uniform(0.5, 4))
            self.done[f"{name} {kind}"] += 1

    def _stopped(self, name: str, seconds: float) -> None:
        proxy = self._parts.proxies[name]
        proxy.leave()
        self._ending.wait(seconds)
        proxy.away = False

    def _slow(self, name: str, seconds: float) -> None:
        proxy = self._parts.proxies[name]
        proxy.delay_s = self._random.choice((0.02, 0.15, 0.6))
        self._ending.wait(seconds)
        proxy.delay_s = 0.0

    def _restarted(self, name: str, seconds: float) -> None:
        if name == "redis":
            self._parts.redis.kill()
            self._ending.wait(seconds)
            self._parts.redis.start()
        elif name == "postgres":
            self._parts.postgres.stop()
            self._ending.wait(seconds)
            self._parts.postgres.start()
        else:
            # Every order of the next seconds is taken, and the answer lost.
            self._parts.kraken.fail("AddOrder", "drop after", "503 after", "drop before")
            self._parts.proxies[name].cut()


class Measured:
    """Memory and open files of the process, once a second."""

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self.rss_mb: list[float] = []
        self.files: list[int] = []
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def end(self) -> None:
        self._ending.set()
        self._thread.join()

    def lowest_mb(self) -> list[float]:
        """The least memory in each of `STRETCHES` stretches of time: what a snapshot of the books takes for a minute is no
        growth."""
        length = max(1, len(self.rss_mb) // STRETCHES)
        return [
            min(self.rss_mb[at : at + length])
            for at in range(0, len(self.rss_mb) - length + 1, length)
        ]

    def growth_mb_an_hour(self) -> float:
        """Slope of the least memory over the second half."""
        lowest = self.lowest_mb()
        half = lowest[len(lowest) // 2 :]
        hours = len(self.rss_mb) / len(lowest) / 3600
        return statistics.linear_regression(range(len(half)), half).slope / hours

    def _run(self) -> None:
        process = Path(f"/proc/{self._pid}")
        while not self._ending.wait(1):
            status = (process / "status").read_text()
            line = next(each for each in status.splitlines() if each.startswith("VmRSS"))
            self.rss_mb.append(int(line.split()[1]) / 1024)
            self.files.append(len(list((process / "fd").iterdir())))


def recorded_codes(data: Path) -> dict[str, Counter[str]]:
    """Of each code, how many decisions came while books and exchange were the same, or differed."""
    found: dict[str, Counter[str]] = defaultdict(Counter)
    state = "same"
    for each in AuditReader(data / "audit").poll():
        if each.kind == "reconcile":
            state = "differs" if each.body["differences"] else "same"
        elif each.kind == "decision":
            found[each.body["code"]][state] += 1
    return found


def test_every_decision_is_true_whatever_is_away(service: ServiceProcess, parts: Parts) -> None:
    before = Seen()
    grow_old(service, parts.redis)
    capacity = load(service, before, CAPACITY_SECONDS, None, "c")
    seen, faults = Seen(), Faults(parts)
    measured = Measured(service.process.pid)
    rate = load(service, seen, SECONDS, capacity / 2, "s")
    faults.end()
    measured.end()
    quiet = Seen()
    load(service, quiet, 10, capacity / 4, "q")

    half = measured.files[len(measured.files) // 2 :]
    told(
        "the service while its parts are away",
        seconds=SECONDS, capacity_a_second=round(capacity), asked_a_second=round(rate),
        decisions=len(seen.decisions), afterwards=dict(quiet.codes), codes=dict(seen.codes), statuses=dict(seen.statuses), problems=dict(seen.problems),
        sent=dict(seen.states), at_exchange=len(parts.kraken.orders), faults=dict(faults.done),
        slowest_s=round(seen.slowest_s, 2), rss_mb=[round(measured.rss_mb[0]), round(measured.rss_mb[-1])],
        rss_mb_lowest=list(map(round, measured.lowest_mb())), rss_mb_an_hour=round(measured.growth_mb_an_hour(), 1), files=[min(half), max(half)], lost=seen.lost,
    )  # fmt: skip
    data = Path(service.process.args[service.process.args.index("--data") + 1])  # type: ignore[index, union-attr, operator]
    assert service.stop() == 0
    recorded = {
        each.body["id"]: each.body
        for each in AuditReader(data / "audit").poll()
        if each.kind == "decision"
    }
    # Honoured: nothing that was told is missing from the log, or stands there otherwise.
    for name, (decision, reason) in seen.decisions.items():
        if name in recorded:
            assert recorded[name]["decision"] == decision, name
        else:
            assert (decision, "AUDIT_UNAVAILABLE" in reason) == ("REJECT", True), (name, reason)
    assert verify(data / "audit").findings == []
    # Sent: once each, and only what was approved.
    at_exchange = Counter(each["cl_ord_id"] for each in parts.kraken.orders.values())
    approved = {
        body["inputs"]["order"]["client_order_id"]
        for body in recorded.values()
        if body["decision"] != "REJECT"
    }
    assert [name for name, count in at_exchange.items() if count > 1] == []
    assert set(at_exchange) <= approved
    # Nothing was refused while all was well, and only for what was away when it was not.
    assert set(before.codes) == {"APPROVE"}
    told_why = {"APPROVE", "STATE_UNAVAILABLE", "AUDIT_UNAVAILABLE", "KILL_SWITCH"}
    assert set(seen.codes) <= told_why
    # An order whose way to the exchange was cut is a difference to it: its account may only reduce until it is known.
    assert set(recorded_codes(data)["KILL_SWITCH"]) <= {"differs"}
    # Everything is there again afterwards.
    assert quiet.codes["APPROVE"] > 0
    assert max(half) - min(half) < 40
    if SECONDS >= 300:
        # What the garbage of outages leaves from one stretch to the next makes some hundredths either way.
        assert measured.growth_mb_an_hour() < 0.05 * measured.rss_mb[-1]
