"""Health: each part by itself, in bounded time, and never with a secret in it."""

import threading
from collections.abc import Iterator
from dataclasses import replace

import pytest
from litestar.testing import TestClient

from ringfence.errors import InputError
from ringfence.runtime.ports import FixedClock
from ringfence.service.desk import Desk
from ringfence.service.health import Health, make_health_app
from ringfence.service.health_checks import Checks
from ringfence.service.health_looks import lease_fault, look_at

pytestmark = pytest.mark.unit


class Moments:
    """A clock that only measures, moved by hand."""

    def __init__(self) -> None:
        self.now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
def moments() -> Moments:
    return Moments()


@pytest.fixture
def checks(moments: Moments) -> Iterator[Checks]:
    made = Checks(FixedClock(5_000_000_000), every_s=60, patience_s=5, monotonic=moments)
    yield made
    made.close()


@pytest.fixture
def health(checks: Checks, moments: Moments) -> Health:
    made = Health(checks, monotonic=moments)
    made.phase = lambda: "serving"
    return made


@pytest.fixture
def asking(health: Health) -> Iterator[TestClient]:
    with TestClient(make_health_app(health)) as client:
        yield client


def failing(error: Exception):
    def look() -> str:
        raise error

    return look


def test_all_is_well_while_each_part_is(checks: Checks, asking: TestClient) -> None:
    checks.add("db", lambda: "2 records behind")

    answer = asking.get("/health")

    assert answer.status_code == 200
    body = answer.json()
    assert body["status"] == "ok"
    assert body["checks"]["db"] == {
        "status": "ok",
        "detail": "2 records behind",
        "since": "1970-01-01T00:00:05.000Z",
        "checked": "1970-01-01T00:00:05.000Z",
        "latency_ms": 0.0,
        "needed_for_orders": False,
    }
    assert asking.get("/health/db").status_code == 200
    assert asking.get("/health/ready").status_code == 200


def test_a_part_that_fails_fails_the_whole_but_only_what_orders_need_unreadies(
    checks: Checks, asking: TestClient
) -> None:
    checks.add("db", failing(InputError("the database is away", "start it")))

    assert asking.get("/health").status_code == 503
    assert asking.get("/health/db").json()["detail"] == "the database is away"
    assert asking.get("/health/ready").status_code == 200

    checks.add("audit", failing(OSError(28, "No space left on device")), needed=True)

    answer = asking.get("/health/ready")
    assert answer.status_code == 503
    assert "audit" in answer.json()["detail"]
    assert asking.get("/health/live").status_code == 200


def test_a_look_that_hangs_is_told_and_holds_up_no_other(moments: Moments) -> None:
    release = threading.Event()
    begun = threading.Event()
    checks = Checks(FixedClock(5), every_s=60, patience_s=0.05, monotonic=moments)

    def hang() -> str:
        begun.set()
        release.wait(60)
        return ""

    checks.add("db", hang)
    assert begun.wait(30)
    checks.add("cache", lambda: "answers")
    moments.now_s += 1

    found = {each.name: each for each in checks.all}

    assert found["cache"].ok
    assert not found["db"].ok
    assert found["db"].detail == "no answer within 0.05 s"
    release.set()
    checks.close()


def test_an_error_that_nobody_foresaw_shows_its_kind_and_not_its_text(
    checks: Checks, asking: TestClient
) -> None:
    checks.add("db", failing(ValueError("password=hunter2")))

    body = asking.get("/health/db").json()

    assert body["detail"] == "ValueError"


@pytest.mark.parametrize("phase", ["starting", "stopping"])
def test_nobody_is_sent_here_before_and_after(
    health: Health, asking: TestClient, phase: str
) -> None:
    health.phase = lambda: phase  # type: ignore[assignment,return-value]

    assert asking.get("/health/ready").json() == {"status": "failing", "detail": phase}
    assert asking.get("/health/live").status_code == 200


def test_a_balancer_may_ask_for_the_status_alone(health: Health, asking: TestClient) -> None:
    for path in ("/health", "/health/live", "/health/ready", "/health/nothing"):
        assert asking.head(path).status_code == asking.get(path).status_code

    health.phase = lambda: "stopping"
    assert asking.head("/health/ready").status_code == 503


def test_what_keeps_orders_from_being_decided_is_told(health: Health, asking: TestClient) -> None:
    health.fault = lambda: "the lease is over"

    assert asking.get("/health/ready").json()["detail"] == "the lease is over"


def test_a_main_loop_that_stands_still_does_not_live(
    health: Health, asking: TestClient, moments: Moments
) -> None:
    health.beat()
    assert asking.get("/health/live").status_code == 200

    moments.now_s += 31

    assert asking.get("/health/live").status_code == 503
    assert asking.get("/health").status_code == 503


def test_other_paths_are_answered_with_what_there_is(checks: Checks, asking: TestClient) -> None:
    checks.add("db", lambda: "")

    answer = asking.get("/health/nothing")

    assert answer.status_code == 404
    assert answer.json()["checks"] == ["live", "ready", "db"]
    for path in ("/", "/healthz", "/health/db/more"):
        assert asking.get(path).status_code == 404


def test_each_check_is_a_metric(checks: Checks) -> None:
    checks.add("db", failing(InputError("away")))
    checks.add("cache", lambda: "")

    (metric,) = checks.metrics()

    assert metric.name == "ringfence_health"
    assert {s.labels["check"]: s.value for s in metric.samples} == {"db": 0, "cache": 1}


def test_an_open_desk_is_well(desk: Desk) -> None:
    checks = Checks()

    look_at(desk, checks)

    found = {each.name: each for each in checks.all}
    checks.close()
    assert sorted(found) == ["audit", "cache", "db", "policies", "venue-paper"]
    assert {name: each.detail for name, each in found.items() if not each.ok} == {}
    assert lease_fault(desk) == ""


@pytest.mark.parametrize(
    ("checked_ns", "told"),
    [
        (0, "not looked at yet"),
        (1_700_000_000 * 10**9, "found current at 2023-11-14T22:13:20+00:00"),
    ],
)
def test_a_service_that_starts_names_no_time_at_which_it_found_its_policies_current(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, checked_ns: int, told: str
) -> None:
    about = replace(desk.reloader.health(), checked_ns=checked_ns)
    monkeypatch.setattr(desk.reloader, "health", lambda: about)
    checks = Checks()
    look_at(desk, checks)
    (detail,) = (each.detail for each in checks.all if each.name == "policies")
    checks.close()
    assert detail == f"set {desk.guard.policy_set[:12]}, {told}"
