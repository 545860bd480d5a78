"""A real `ringfence serve` in a process of its own: tried as a deployment tries it, and given other keys while it runs."""

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from adapters.sink_logs import line_with, until
from ringfence.cli.deploying.deployment import Deployment, Machine
from ringfence.cli.deploying.smoke import smoke
from ringfence.cli.deploying.step import Outcome, Result
from ringfence.runtime.audit_reader import AuditReader, Record
from ringfence.runtime.credentials import API_SECRET_KEY, JWT_SECRET_KEY
from ringfence.runtime.ports import SYSTEM_RANDOM
from ringfence.runtime.secret_files import make_secrets
from ringfence.service.desk import Desk
from ringfence.service.renewing import KEYS_RENEWED, renew_keys

pytestmark = pytest.mark.integration

ROOT = Path(__file__).resolve().parents[2]


class Service:
    """The process, where it listens, and its secrets' files."""

    def __init__(self, folder: Path) -> None:
        self.data, self.secrets = folder / "data", folder / "secrets"
        make_secrets(self.secrets, (API_SECRET_KEY, JWT_SECRET_KEY))
        files = {
            f"{kind.name}_FILE": str(self.secrets / kind.name.lower())
            for kind in (API_SECRET_KEY, JWT_SECRET_KEY)
        }
        ports = {
            f"RINGFENCE_SERVER__{name}": "0" for name in ("PORT", "METRICS_PORT", "HEALTH_PORT")
        }
        self.process = subprocess.Popen(
            [sys.executable, "-m", "ringfence.cli.main", "serve"],
            env={
                **os.environ, **files, **ports,
                "RINGFENCE_ENVIRONMENT": "development",
                "RINGFENCE_DATA": str(self.data),
                "RINGFENCE_POLICIES__DIRECTORIES": str(ROOT / "policies"),
            },
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        )  # fmt: skip
        self.addresses: dict[str, int] = {}

    def wait(self) -> None:
        assert self.process.stdout is not None
        said = []
        while len(self.addresses) < 3:
            line = self.process.stdout.readline()
            assert line, said
            said.append(line)
            for word in line.split():
                url = urlsplit(word)
                if url.scheme == "http" and url.port:
                    self.addresses[line.split()[0]] = url.port

    def records(self, kind: str) -> list[Record]:
        """Those of a kind in its audit log."""
        return [each for each in AuditReader(self.data / "audit").poll() if each.kind == kind]

    def stop(self) -> None:
        self.process.send_signal(signal.SIGTERM)
        self.process.communicate(timeout=60)


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A service on free ports, on the shipped policies."""
    made = Service(tmp_path_factory.mktemp("running"))
    try:
        made.wait()
        yield made
    finally:
        made.stop()


@pytest.fixture
def deployment(service: Service, tmp_path: Path) -> Deployment:
    """A deployment of which that is what runs."""
    names = list(service.addresses)
    moved = {5000: service.addresses[names[0]]}
    moved |= {
        port: service.addresses[name]
        for port, word in ((8000, "metrics"), (8001, "health"))
        for name in names
        if word in name
    }
    return Deployment(
        "production",
        tmp_path,
        service.secrets,
        ROOT / "policies",
        {},
        None,
        sys.executable,
        # A machine with other work may take its time; that a slow answer is found, another test shows.
        machine=Machine(ports={}, moved=moved, quick_s=60.0),
    )


def told(outcome: Outcome) -> str:
    return " ".join(each.message for each in outcome.findings)


def test_a_service_that_works_passes_every_smoke_test(
    service: Service, deployment: Deployment
) -> None:
    outcome = smoke(deployment)

    assert outcome.result is Result.PASSED, outcome
    (decided,) = service.records("decision")
    # It was decided and recorded, and reserved nothing.
    assert decided.body["decision"] == "REJECT"


def test_what_does_not_answer_as_it_should_is_told(deployment: Deployment, tmp_path: Path) -> None:
    slow = smoke(replace(deployment, machine=replace(deployment.machine, quick_s=0.0)))
    assert "not under 0 s" in told(slow)

    # Every answer comes from a port that others answer.
    moved = dict.fromkeys((5000, 8000, 8001), deployment.machine.at(8000))
    wrong = smoke(replace(deployment, machine=replace(deployment.machine, moved=moved)))
    assert len(wrong.findings) >= 4

    moved = dict.fromkeys((5000, 8000, 8001), 1)
    silent = smoke(replace(deployment, machine=replace(deployment.machine, moved=moved)))
    assert len(silent.findings) == 6
    assert "does not answer" in told(silent)

    keyless = smoke(replace(deployment, secrets=tmp_path))
    assert "JWT_SECRET_KEY" in told(keyless)


@pytest.mark.parametrize(("looks", "result"), [(2, Result.PASSED), (50, Result.FAILED)])
def test_a_service_that_still_starts_is_waited_for_and_not_for_ever(
    deployment: Deployment, looks: int, result: Result
) -> None:
    """Its container is healthy before: a policy set of another structure takes a minute to compile."""
    asked = []

    class Health(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            is_ready = len(asked) > looks
            self.send_response(200 if is_ready else 503)
            self.end_headers()
            # As the service tells it.
            self.wfile.write(
                b'{"status":"ok"}' if is_ready else b'{"status":"failing","detail":"starting"}'
            )

        def log_message(self, *_: object) -> None:
            """Nobody reads it."""

    with HTTPServer(("127.0.0.1", 0), Health) as server:
        threading.Thread(target=server.serve_forever).start()
        moved = {**deployment.machine.moved, 8001: server.server_port}
        machine = replace(deployment.machine, moved=moved, patience_s=30.0)
        seconds = iter(range(1000))
        waited: list[float] = []
        outcome = smoke(
            replace(deployment, machine=machine, elapsed=lambda: next(seconds), wait=waited.append)
        )
        server.shutdown()

    assert outcome.result is result, outcome
    assert 2 <= len(waited) < 50
    assert ("it is not ready" in told(outcome)) == (result is Result.FAILED)


def write_keys(file: Path, *keys: str) -> None:
    """Put keys into a file that somebody has mounted: it stays the same file."""
    file.write_text("\n".join(keys) + "\n", encoding="utf-8")


def test_keys_are_renewed_on_a_signal_while_it_serves(
    service: Service, deployment: Deployment
) -> None:
    file, other = service.secrets / "api_secret_key", service.secrets / "jwt_secret_key"
    old = file.read_text(encoding="utf-8").strip()
    new = API_SECRET_KEY.make(SYSTEM_RANDOM)
    for number, keys in enumerate(((old, new), (new, old), (new,)), 1):
        write_keys(file, *keys)
        write_keys(other, *keys)
        service.process.send_signal(signal.SIGHUP)
        until(lambda number=number: len(service.records(KEYS_RENEWED)) == number)
        counts = {"API_SECRET_KEY": len(keys), "JWT_SECRET_KEY": len(keys)}
        assert service.records(KEYS_RENEWED)[-1].body == {"keys": counts}
        # With a token that the first of these keys signed.
        assert smoke(deployment).result is Result.PASSED

    write_keys(file, "short")
    service.process.send_signal(signal.SIGHUP)

    line = line_with(service.process.stdout, "keys were not renewed")
    assert "a key of 5 bytes cannot sign approvals" in line
    assert smoke(deployment).result is Result.PASSED
    text = json.dumps([each.body for each in service.records(KEYS_RENEWED)]) + line
    assert old not in text
    assert new not in text


def test_made_up_keys_of_testing_stay(desk: Desk) -> None:
    before = desk.log.last

    assert renew_keys(desk) == {}
    assert desk.log.last == before
