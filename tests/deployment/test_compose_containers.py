"""`docker-compose.yml` as a whole, by Compose and a container engine: where `make containers` asks for it.

The file is the repository's own, at its defaults but for the images and the loopback address of the ports. With
`RINGFENCE_BASE_IMAGE=stand-in` images come from Debian's packages (`stand-ins/Dockerfile`), which are other versions than
those that the file names, and Grafana is a program that checks what it is given; without it they come from their registry.
"""

import json
import socket
import time
import urllib.request
from collections.abc import Iterator
from typing import Any

import pytest

from deployment.container_engine import (
    STAND_IN,
    Project,
    build_stand_ins,
    engine_socket,
    only_where_asked,
    wait_until,
)
from ringfence.runtime.credentials import JWT_SECRET_KEY, load_credentials
from ringfence.runtime.ports import SYSTEM_CLOCK
from ringfence.service.access.rights import Principal, Role
from ringfence.service.access.tokens import Tokens

pytestmark = [pytest.mark.integration, only_where_asked]

ORDER = {
    "account": "alpha",
    "strategy": "taker",
    "venue": "paper",
    "symbol": "BTC/USDT",
    "side": "buy",
    "size": "0.5",
    "price": "50000",
}
RUNNING = {"ringfence", "postgres", "redis", "prometheus", "alertmanager", "grafana"}


@pytest.fixture(scope="module")
def project(image: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    assert image
    folder = tmp_path_factory.mktemp("compose")
    with engine_socket(folder) as host:
        made = Project(folder / "checkout", build_stand_ins(), host)
        made.ringfence("secrets", "init")
        with made.asked_for_health():
            yield made
            made.run("down", "--volumes", "--remove-orphans")


@pytest.fixture(scope="module")
def seen(project: Project) -> list[tuple[str, str]]:
    """What Compose saw while all of it came up by one command."""
    return project.up()


@pytest.fixture(scope="module")
def running(project: Project, seen: list[tuple[str, str]]) -> Project:
    assert seen
    return project


@pytest.fixture(scope="module")
def decided(running: Project) -> dict[str, Any]:
    """A decision that the service made on an order."""
    for book in ("account/alpha", "strategy/taker"):
        opening = {"book": book, "kind": "opening", "amount": "6000000"}
        ask(running, 5000, "/v1/balances", opening, {"Idempotency-Key": f"opening of {book}"})
    quote = {"timestamp": time.time_ns(), "bid": "49999", "ask": "50001", "last": "50000"}
    mark = {"symbol": ORDER["symbol"], "market": quote}
    assert ask(running, 5000, "/v1/marks", {"marks": [mark]}) == {"taken": 1}
    told: dict[str, Any] = ask(running, 5000, "/v1/evaluate", ORDER)
    return told


def ask(
    project: Project,
    port: int,
    path: str,
    body: Any = None,
    headers: dict[str, str] | None = None,
    method: str | None = None,
) -> Any:
    """What a published port answers, to an administrator where it is the service's."""
    given = {"Content-Type": "application/json", **(headers or {})}
    if port == 5000:
        secret = {"JWT_SECRET_KEY_FILE": str(project.folder / "secrets" / "jwt_secret_key")}
        keys = load_credentials((JWT_SECRET_KEY,), secret).all_of(JWT_SECRET_KEY)
        token = Tokens(keys, SYSTEM_CLOCK).make(Principal("ann", Role.ADMIN), 600)
        given["Authorization"] = f"Bearer {token}"
    request = urllib.request.Request(
        f"http://{project.address}:{port}{path}",
        None if body is None else json.dumps(body).encode(),
        given,
        method=method,
    )
    with urllib.request.urlopen(request, timeout=10) as answer:
        text = answer.read()
    return json.loads(text) if text else None


def in_postgres(project: Project, sql: str) -> str:
    """What PostgreSQL answers the user who only reads, over its network."""
    script = 'PGPASSWORD="$(cat /run/secrets/database_reader_password)" exec "$@"'
    words = ["psql", "--host=postgres", "--username=ringfence_auditor", "--dbname=ringfence"]
    return project.inside("postgres", "sh", "-c", script, "sh", *words, "-qAtc", sql).strip()


def alerts(project: Project) -> set[tuple[str, str]]:
    """What Alertmanager has: names, and targets where they have one."""
    told = ask(project, 9093, "/api/v2/alerts")
    return {(each["labels"]["alertname"], each["labels"].get("target", "")) for each in told}


def in_force(project: Project) -> dict[str, str]:
    """The containers' states, with their health."""
    return {
        name: each["State"].get("Health", {}).get("Status") or each["State"]["Status"]
        for name, each in project.containers().items()
    }


def test_one_command_starts_all_and_all_become_healthy(running: Project) -> None:
    wanted = dict.fromkeys(RUNNING, "healthy")
    found = in_force(running)
    assert {name: found[name] for name in RUNNING} == wanted
    migrate = running.containers()["migrate"]["State"]
    assert (migrate["Status"], migrate["ExitCode"]) == ("exited", 0)
    assert set(found) == {*RUNNING, "migrate"}


def test_each_waits_for_those_it_depends_on(running: Project, seen: list[tuple[str, str]]) -> None:
    when = {event: at for at, event in reversed(list(enumerate(seen)))}
    for name, about in running.compose["services"].items():
        for other, how in about.get("depends_on", {}).items():
            ready = {"service_healthy": "Healthy"}.get(how["condition"], "Exited")
            assert when[other, ready] < when[name, "Starting"], (name, other)


@pytest.mark.parametrize("name", sorted(RUNNING))
def test_a_container_has_the_user_and_the_rights_of_the_file(running: Project, name: str) -> None:
    uid, gid = running.compose["services"][name]["user"].split(":")
    lines = running.inside(name, "cat", "/proc/1/status").splitlines()
    status = {key: text.split() for key, _, text in (line.partition(":") for line in lines)}
    assert set(status["Uid"]) == {uid}
    assert set(status["Gid"]) == {gid}
    assert {status[each][0] for each in ("CapPrm", "CapEff", "CapBnd")} == {"0" * 16}
    assert status["NoNewPrivs"] == ["1"]
    for place in ("/usr", "/etc", "/opt"):
        assert "Read-only" in running.inside(name, "touch", f"{place}/a-file", code=None)


@pytest.mark.parametrize("name", sorted(RUNNING))
def test_a_container_has_the_limits_of_the_file(running: Project, name: str) -> None:
    wanted = running.compose["services"][name]["deploy"]["resources"]["limits"]
    size = int(wanted["memory"][:-1]) << {"m": 20, "g": 30}[wanted["memory"][-1]]
    v2, v1 = "/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"
    held = running.inside(name, "sh", "-c", f"cat {v2} 2>/dev/null || cat {v1}")
    assert int(held) == size
    given = running.containers()[name]["HostConfig"]
    assert given["PidsLimit"] == wanted["pids"]
    cpus = given.get("NanoCpus") or given["CpuQuota"] / given["CpuPeriod"] * 1e9
    assert cpus == float(wanted["cpus"]) * 1e9


def test_ports_are_reached_on_loopback_and_from_nowhere_else(running: Project) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        # Sends nothing; tells by which address this machine would be reached.
        probe.connect(("192.0.2.1", 9))
        outside = probe.getsockname()[0]
    ports = {
        int(each.rsplit(":", 1)[1])
        for about in running.compose["services"].values()
        for each in about.get("ports", ())
    }
    assert ports == {5000, 8000, 8001, 5432, 6379, 9090, 9093, 3000}
    for port in ports:
        socket.create_connection((running.address, port), timeout=5).close()
        with pytest.raises(OSError, match=r"refused|timed out"):
            socket.create_connection((outside, port), timeout=2).close()


def test_the_service_answers_on_its_three_ports(running: Project) -> None:
    assert ask(running, 8001, "/health")["status"] == "ok"
    assert ask(running, 5000, "/schema/openapi.json")["openapi"].startswith("3.1")
    page = urllib.request.Request(f"http://{running.address}:8000/metrics")
    with urllib.request.urlopen(page, timeout=10) as answer:
        assert b"\nringfence_build_info" in answer.read()


def test_the_image_compiles_nothing_for_the_shipped_policies(running: Project) -> None:
    told = running.inside("ringfence", "ringfence", "compile", "/policies", "--check", "--json")
    assert json.loads(told)["compiled"] is False


def test_an_order_is_decided_and_the_decision_lands_in_postgres(
    running: Project, decided: dict[str, Any]
) -> None:
    assert decided["decision"] in ("APPROVE", "REDUCE_SIZE"), decided
    sql = f"SELECT account, decision FROM ringfence.decisions WHERE id = '{decided['id']}'"
    wanted = f"alpha|{decided['decision']}"
    wait_until(lambda: in_postgres(running, sql) == wanted, 30, running.said)


def test_prometheus_scrapes_all_that_it_watches(running: Project) -> None:
    def up() -> dict[str, str]:
        found = ask(running, 9090, "/api/v1/query?query=up")["data"]["result"]
        return {each["metric"]["job"]: each["value"][1] for each in found}

    wanted = {"ringfence": "1", "prometheus": "1", "alertmanager": "1"}
    wait_until(lambda: up() == wanted, 60, running.said)
    series = ask(running, 9090, "/api/v1/query?query=ringfence_build_info")["data"]["result"]
    assert len(series) == 1


def test_networks_keep_apart_what_the_file_keeps_apart(running: Project) -> None:
    def told(url: str) -> str:
        script = f"timeout 3 wget -q -O /dev/null {url}; echo ended with $?"
        return running.inside("prometheus", "sh", "-c", script).strip()

    # What it may reach, so that the other answers mean something.
    assert told("http://alertmanager:9093/-/ready") == "ended with 0"
    for name, port in (("postgres", 5432), ("redis", 6379)):
        networks = running.containers()[name]["NetworkSettings"]["Networks"].values()
        assert "bad address" in told(f"http://{name}:{port}/")
        for host in (each["IPAddress"] for each in networks):
            found = told(f"http://{host}:{port}/")
            # Killed while it waits (143), or turned away; a server that is no web server would have its own words.
            assert "ended with 143" in found or "can't connect" in found, found


def test_grafana_finds_what_is_provisioned(running: Project) -> None:
    told = ask(running, 3000, "/api/health")
    if STAND_IN:
        assert told["sources"] == {"prometheus": 200}
        boards = running.folder / "docker" / "grafana" / "dashboards"
        assert len(told["boards"]) == len(list(boards.glob("*.json")))
    else:
        assert told["database"] == "ok"


def test_policies_are_checked_alone(running: Project) -> None:
    assert "valid" in running.run("run", "--rm", "--no-deps", "validate")


def test_an_alert_reaches_alertmanager(running: Project, decided: dict[str, Any]) -> None:
    assert decided
    body = {"state": "halted", "reason": "a test"}
    halted = ask(running, 5000, "/v1/kill-switches/account/alpha", body, method="PUT")
    assert halted["switch"]["by"] == "ann"
    wanted = ("RingfenceKillSwitchActive", "account/alpha")
    wait_until(lambda: wanted in alerts(running), 90, lambda: f"{alerts(running)}{running.said()}")


def test_what_was_stopped_and_started_again_knows_all_that_it_knew(
    running: Project, decided: dict[str, Any]
) -> None:
    """Last: the records, the books, the switch, and no container left between."""
    assert ask(running, 5000, "/v1/evaluate", ORDER)["code"] == "KILL_SWITCH"
    count = "SELECT count(*) FROM ringfence.decisions"
    wait_until(lambda: in_postgres(running, count) == "2", 30, running.said)
    series = "/api/v1/query?query=count_over_time(ringfence_build_info[1h])"
    assert ask(running, 9090, series)["data"]["result"]

    running.run("down")
    assert running.containers() == {}
    running.up()

    found = in_force(running)
    assert {found[name] for name in RUNNING} == {"healthy"}
    assert in_postgres(running, count) == "2"
    told = ask(running, 5000, f"/v1/decisions/{decided['id']}")["decision"]
    assert told["decision"] == decided["decision"]
    assert ask(running, 5000, "/v1/evaluate", ORDER)["code"] == "KILL_SWITCH"
    wanted = int(ask(running, 9090, series)["data"]["result"][0]["value"][1])
    assert wanted > 1
