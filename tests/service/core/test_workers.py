"""Several workers on one port over one set of books in a real Redis: one that is killed is started again."""

import os
import signal
import time
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from adapters.redis_server import PASSWORD, RedisServer
from ringfence.runtime.audit_reader import AuditReader
from service.core.service_process import ServiceProcess, bearer

pytestmark = [pytest.mark.integration, pytest.mark.needs("redis-server", "redis-server")]

WORKERS = 2


def decided(data: Path) -> dict[int, set[str]]:
    """Ids of decisions in the log of each worker."""
    return {
        number: {
            each.body["id"]
            for each in AuditReader(data / "workers" / str(number) / "audit").poll()
            if each.kind == "decision"
        }
        for number in range(WORKERS)
    }


def all_well(service: ServiceProcess) -> bool:
    """Whether every worker is."""
    return all(service.health(f"/worker-{number}")[0] == 200 for number in range(WORKERS))


def wait_until(holds: Callable[[], bool]) -> None:
    """Ask until it holds, for some minutes at most."""
    end = time.monotonic() + 300
    while not holds():
        assert time.monotonic() < end


def worker_process(service: ServiceProcess) -> int:
    """The process id of one of the workers."""
    children = Path(f"/proc/{service.process.pid}/task/{service.process.pid}/children")
    return int(children.read_text().split()[0])


def scraped(service: ServiceProcess) -> dict[str, float]:
    """One scrape: the sum of each metric's values, and how many there are."""
    text = httpx.get(service.url["metrics"], timeout=60).text
    found: dict[str, float] = {}
    for family in text_string_to_metric_families(text):
        values = [each.value for each in family.samples if not each.name.endswith("_created")]
        found[family.name] = sum(values)
        found[f"{family.name} series"] = len(values)
    return found


def _is_well(found: dict[str, float]) -> bool:
    """Whether every check that is told of passes."""
    return found["ringfence_health"] == found["ringfence_health series"] > 0


def deposit(service: ServiceProcess, client: httpx.Client) -> httpx.Response:
    """Tell of the same money."""
    return client.post(
        f"{service.url['dashboard']}/v1/balances",
        json={"book": "account/alpha", "kind": "deposit", "amount": "1000"},
        headers={**bearer("risk-officer"), "idempotency-key": "a deposit"},
    )


def deposits(service: ServiceProcess, client: httpx.Client) -> str:
    url = f"{service.url['dashboard']}/v1/books/account/alpha"
    return str(client.get(url, headers=bearer("risk-officer")).json()["deposits"])


def test_workers_share_books_and_one_that_dies_comes_back(tmp_path: Path) -> None:
    redis = RedisServer(tmp_path / "redis", appendonly="yes", appendfsync="no").start()
    data = tmp_path / "data"
    flags = (
        f"--workers={WORKERS}",
        f"--set=state.url=redis://127.0.0.1:{redis.port}/0",
        "--set=state.kind=redis",
        "--set=state.settle=0s",
        "--set=state.timeout=5s",
        "--set=opening_balances=account/alpha=6000000,strategy/taker=6000000",
    )
    service = ServiceProcess(data, *flags, environ={"REDIS_PASSWORD": PASSWORD})
    try:
        answers = []
        for number in range(300):
            # A connection of its own each time, so that any worker may get it.
            with httpx.Client(timeout=60) as client:
                answers.append(service.evaluate(client, f"w-{number}").json())
            if number >= 20 and all(decided(data).values()):
                break
        told = {each["id"] for each in answers}
        by_worker = decided(data)
        assert all(by_worker.values())
        assert told == set.union(*by_worker.values())
        with httpx.Client(timeout=60) as client:
            again = service.evaluate(client, "w-0").json()
        assert again["id"] == answers[0]["id"]

        # Whoever is asked tells of a decision, whichever worker made it.
        for each in answers:
            with httpx.Client(timeout=60) as client:
                url = f"{service.url['dashboard']}/v1/decisions/{each['id']}"
                found = client.get(url, headers=bearer("risk-officer"))
            assert found.status_code == 200, found.text
            record = found.json()["record"]
            assert (record["id"], record.get("repeated", False)) == (each["id"], False)

        # Money that is told again, to whichever worker, is told once.
        for _ in range(8):
            with httpx.Client(timeout=60) as client:
                assert deposit(service, client).status_code == 200
        with httpx.Client(timeout=60) as client:
            assert deposits(service, client) == "1000.0"

        # Checks are looked at a moment after the first orders are taken.
        wait_until(lambda: _is_well(scraped(service)))
        before = scraped(service)
        assert before["ringfence_decisions"] == len(answers) + 1
        assert before["ringfence_workers"] == WORKERS
        # Each worker has its own log, and processor time of its own, as the supervisor has.
        assert before["ringfence_audit_log_bytes series"] == WORKERS
        assert before["process_cpu_seconds series"] == WORKERS + 1
        assert before["ringfence_metric_source_errors"] == 0

        os.kill(worker_process(service), signal.SIGKILL)
        wait_until(lambda: not all_well(service))
        wait_until(lambda: all_well(service))
        with httpx.Client(timeout=60) as client:
            assert service.evaluate(client, "w-1").json()["id"] == answers[1]["id"]
        assert service.health("/ready")[0] == 200
        after = scraped(service)
        assert after["ringfence_worker_exits"] == 1
        assert after["ringfence_workers"] == WORKERS
        # What the one that was killed had told counts on.
        assert after["ringfence_decisions"] == before["ringfence_decisions"] + 1
        assert service.stop() == 0
    finally:
        service.stop(signal.SIGKILL)
        redis.stop()
    assert "is started again" in service.log
    assert service.log.count("the books are kept") == WORKERS
