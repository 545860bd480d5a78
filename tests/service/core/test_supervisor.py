"""The supervisor, with workers that only tell how they are: it starts, starts anew, tells health, and stops."""

import json
import os
import signal
import sys
import threading
import time
from pathlib import Path
from typing import Any

import httpx
import pytest

from ringfence.service.listening import Ports
from ringfence.service.settings import ServiceSettings
from ringfence.service.workers import supervisor

pytestmark = pytest.mark.integration

# Worker 0 dies of its first start; all others tell that they are well until they are stopped.
WORKER = """
import json, pathlib, signal, sys, time
signal.signal(signal.SIGHUP, lambda *_: (folder / "renewed").touch())
job = json.loads(sys.stdin.readline())
folder = pathlib.Path(job["settings"]["data"], "workers", str(job["worker"]))
folder.mkdir(parents=True, exist_ok=True)
if job["worker"] == 0 and not (folder / "started").exists():
    (folder / "started").touch()
    sys.exit(7)
check = {"status": "ok", "detail": "fine"}
told = {"ready": True, "phase": "serving", "detail": "", "lives": True, "at_ns": time.time_ns()}
told["checks"] = {name: check for name in ("audit", "policies", "db", "cache")}
(folder / "coming").write_text(json.dumps(told))
(folder / "coming").replace(folder / "health.json")
sys.stdin.read()
"""


def test_a_worker_that_dies_is_started_again_and_all_are_stopped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(supervisor, "COMMAND", (sys.executable, "-c", WORKER))
    settings = ServiceSettings(
        environment="development",
        data=tmp_path,
        state={"kind": "redis"},
        server={"workers": 2, "port": 0, "metrics_port": 0, "health_port": 0},
    )
    found: dict[str, Any] = {}

    def started(ports: Ports, processes: tuple[int, ...]) -> None:
        _, metrics, health = ports.numbers
        # The one that died is back before all is told to be well.
        while found.get("health", {}).get("status") != "ok":
            found["health"] = httpx.get(f"http://127.0.0.1:{health}/health", timeout=30).json()
            if not (tmp_path / "workers" / "0" / "health.json").exists():
                break
        found["ready"] = httpx.get(f"http://127.0.0.1:{health}/health/ready", timeout=30)
        found["metrics"] = httpx.get(f"http://127.0.0.1:{metrics}/metrics", timeout=30).text
        found["processes"] = processes
        os.kill(os.getpid(), signal.SIGHUP)
        os.kill(os.getpid(), signal.SIGTERM)

    before = signal.getsignal(signal.SIGTERM)

    supervisor.supervise(settings, started)

    assert signal.getsignal(signal.SIGTERM) == before
    assert found["ready"].status_code == 200
    assert {"worker-0", "worker-1", "audit", "db"} <= found["health"]["checks"].keys()
    assert 'ringfence_health{check="worker-1"}' in found["metrics"]
    for process in found["processes"]:
        assert not Path(f"/proc/{process}").exists()
    told = json.loads((tmp_path / "workers" / "1" / "health.json").read_text())
    assert told["ready"]


# Tells that it is well, and dies of its work a moment later; notes what it found of the one before it.
MORTAL = """
import json, pathlib, sys, time
job = json.loads(sys.stdin.readline())
folder = pathlib.Path(job["settings"]["data"], "workers", str(job["worker"]))
with (folder / "found").open("a") as notes:
    print((folder / "health.json").exists(), file=notes)
check = {"status": "ok", "detail": "fine"}
told = {"ready": True, "phase": "serving", "detail": "", "lives": True, "at_ns": time.time_ns()}
told["checks"] = {name: check for name in ("audit", "policies", "db", "cache")}
(folder / "coming").write_text(json.dumps(told))
(folder / "coming").replace(folder / "health.json")
time.sleep(0.5)
sys.exit(7)
"""


def test_workers_that_have_ended_are_not_told_to_be_well(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(supervisor, "COMMAND", (sys.executable, "-c", MORTAL))
    settings = ServiceSettings(
        environment="development",
        data=tmp_path,
        state={"kind": "redis"},
        server={"workers": 2, "port": 0, "metrics_port": 0, "health_port": 0},
    )
    for number in range(2):
        # As a run leaves it that was killed together with its workers, a moment ago.
        told = {"ready": True, "lives": True, "at_ns": time.time_ns(), "checks": {}}
        settings.data_of(number).mkdir(parents=True)
        (settings.data_of(number) / "health.json").write_text(json.dumps(told))
    statuses = []

    def look(port: int) -> None:
        until = time.monotonic() + 8
        while time.monotonic() < until and 503 not in statuses:
            answer = httpx.get(f"http://127.0.0.1:{port}/health/ready", timeout=30)
            statuses.append(answer.status_code)
        os.kill(os.getpid(), signal.SIGTERM)

    def started(ports: Ports, _: tuple[int, ...]) -> None:
        # Ends of workers are dealt with by the thread that calls this.
        threading.Thread(target=look, args=(ports.numbers[2],)).start()

    supervisor.supervise(settings, started)

    assert 503 in statuses
    for number in range(2):
        assert "True" not in (settings.data_of(number) / "found").read_text()
