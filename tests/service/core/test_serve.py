"""Serving in this process: how it starts, what it tells on its three ports, and how it ends."""

import os
import shutil
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest

from ringfence.cli.main import main
from ringfence.errors import InputError
from ringfence.reload import DirectorySource
from ringfence.runtime.audit_reader import AuditReader
from ringfence.runtime.credentials import API_SECRET_KEY, JWT_SECRET_KEY, load_credentials
from ringfence.runtime.ports import SYSTEM_RANDOM, FixedClock
from ringfence.service.desk import Desk, open_desk
from ringfence.service.health import Health
from ringfence.service.listening import Ports
from ringfence.service.renewing import KEYS_RENEWED
from ringfence.service.serve import serve
from ringfence.service.settings import ServiceSettings
from ringfence.service.workers.every_reloader import EveryReloader
from ringfence.service.workers.told_health import TellHealth, read_health

pytestmark = pytest.mark.integration

POLICIES = Path(__file__).parents[3] / "policies"
KINDS = (API_SECRET_KEY, JWT_SECRET_KEY)


def settings(folder: Path) -> ServiceSettings:
    return ServiceSettings(
        environment="testing",
        policies=str(POLICIES),
        data=folder / "data",
        audit={"sink": "none"},
        server={"port": 0, "metrics_port": 0, "health_port": 0, "stop_within": "5s"},
    )


@dataclass
class Run:
    """A service that runs in a thread."""

    about: ServiceSettings
    opens: Callable[[], Desk]
    before: list[Any] = field(default_factory=list)
    after: list[str] = field(default_factory=list)
    ready: threading.Event = field(default_factory=threading.Event)
    desk: Desk | None = None
    ports: Ports | None = None
    error: InputError | None = None

    def run(self) -> None:
        try:
            serve(self.about.server, self.opens, self.started, alongside=self.beside)
        except InputError as error:
            self.error = error
        self.ready.set()

    def started(self, desk: Desk, ports: Ports) -> None:
        self.desk, self.ports = desk, ports
        self.ready.set()

    @contextmanager
    def beside(self, desk: Desk) -> Iterator[None]:
        self.after.append(desk.phase)
        yield
        self.after.append(desk.phase)

    def url(self, index: int, path: str) -> str:
        assert self.ports is not None
        return f"http://127.0.0.1:{self.ports.numbers[index]}{path}"


def test_three_ports_answer_until_it_is_told_to_stop(tmp_path: Path) -> None:
    about = settings(tmp_path)
    credentials = load_credentials(KINDS, {"RINGFENCE_ENVIRONMENT": "testing"})
    run = Run(about, lambda: open_desk(about, credentials))
    thread = threading.Thread(target=run.run)
    thread.start()
    assert run.ready.wait(300)
    assert run.error is None
    try:
        whole = httpx.get(run.url(2, "/health"), timeout=30)
        assert (whole.status_code, whole.json()["phase"]) == (200, "serving")
        assert "ringfence_health{" in httpx.get(run.url(1, "/metrics"), timeout=30).text
        assert httpx.get(run.url(0, "/v1/nothing"), timeout=30).status_code in (401, 404)
        assert run.desk is not None
        assert not run.desk.stopping.is_set()
    finally:
        assert run.desk is not None
        run.desk.stop()
        thread.join(120)
    assert not thread.is_alive()
    assert run.after == ["serving", "stopping"]
    assert run.desk.stopping.is_set()
    with pytest.raises(httpx.TransportError):
        httpx.get(run.url(2, "/health"), timeout=30)


def test_a_desk_that_cannot_be_opened_leaves_no_port_open(tmp_path: Path) -> None:
    def cannot() -> Desk:
        raise InputError("the policies cannot be opened", "mend them")

    threads = threading.active_count()
    run = Run(settings(tmp_path), cannot)

    run.run()

    assert run.error is not None
    assert run.error.message == "the policies cannot be opened"
    assert threading.active_count() == threads


def test_the_command_says_what_keeps_it_from_serving(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("API_SECRET_KEY", raising=False)
    monkeypatch.setattr("ringfence.service.logs.set_up_logs", lambda *_: None)

    assert main(["serve", "--environment", "production"]) == 2
    assert main(["serve", "--environment", "production", "--host", "0.0.0.0"]) == 2
    ports = ["--port=0", "--metrics-port=0", "--health-port=0"]
    assert main(["serve", "--environment", "testing", "--policies", "none", *ports]) == 2

    out, told = capsys.readouterr()
    assert "`API_SECRET_KEY` is not set" in told
    assert "tokens would cross the network unencrypted" in told
    assert "the policies cannot be opened" in told
    # Only the last one came so far, and nothing else would be told for a minute.
    assert out.count("the first start on a machine compiles for about a minute") == 1


def test_keys_that_were_renewed_while_it_opened_are_read_once_it_serves(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "api-secret-key"
    file.write_text(API_SECRET_KEY.make(SYSTEM_RANDOM))
    monkeypatch.setenv("API_SECRET_KEY_FILE", str(file))
    monkeypatch.setenv("JWT_SECRET_KEY", JWT_SECRET_KEY.make(SYSTEM_RANDOM))
    about = settings(tmp_path).model_copy(update={"environment": "development"})
    credentials = load_credentials(KINDS, os.environ)

    def opens() -> Desk:
        with file.open("a") as keys:
            keys.write("\n" + API_SECRET_KEY.make(SYSTEM_RANDOM))
        os.kill(os.getpid(), signal.SIGHUP)
        return open_desk(about, credentials)

    def stops(desk: Desk, _: Ports) -> None:
        desk.stop()

    # What it was asked before it served is done before it has ended.
    serve(about.server, opens, stops)

    log = AuditReader(tmp_path / "data" / "audit")
    renewed = [each.body for each in log.poll() if each.kind == KEYS_RENEWED]
    assert renewed == [{"keys": {"API_SECRET_KEY": 2, "JWT_SECRET_KEY": 1}}]


def test_nobody_else_of_the_machine_reaches_what_it_keeps(tmp_path: Path) -> None:
    about = settings(tmp_path)
    credentials = load_credentials(KINDS, {"RINGFENCE_ENVIRONMENT": "testing"})

    open_desk(about, credentials).close()

    assert about.data.stat().st_mode & 0o777 == 0o700


def test_a_worker_tells_how_it_is_and_is_not_believed_for_ever(tmp_path: Path) -> None:
    about, health = settings(tmp_path), Health()
    health.phase = lambda: "serving"
    with pytest.raises(InputError, match="has not told how it is"):
        read_health(about, 0)

    TellHealth(health, about, 0).close()

    told = read_health(about, 0)
    assert (told["ready"], told["phase"], told["lives"]) == (True, "serving", True)
    later = FixedClock(told["at_ns"] + 11 * 10**9)
    with pytest.raises(InputError, match="no sign of life"):
        read_health(about, 0, clock=later)


def test_what_is_asked_of_one_worker_is_asked_of_all(tmp_path: Path) -> None:
    credentials = load_credentials(KINDS, {"RINGFENCE_ENVIRONMENT": "testing"})
    one, two = (open_desk(settings(tmp_path / name), credentials) for name in ("one", "two"))
    one.reloader.close()
    stores = {1: two.data / "policies"}
    policies = tmp_path / "policies"
    shutil.copytree(POLICIES, policies)
    source = DirectorySource(policies)
    first = one.guard.policy_set
    try:
        with EveryReloader(
            one.guard, source, store=one.data / "policies", audit=one.log, others=stores
        ) as every:
            assert every.reload(by="ann", reason="look").ok
            assert every.rollback(first, by="ann", reason="drill").ok
            assert two.reloader.health().pinned == first
            assert every.unpin(by="ann", reason="drill is over").ok
            assert not two.reloader.health().pinned
            # The one that is asked need not be one that is held, and what it finds then may be no set.
            assert every.rollback(first, by="ann", reason="drill").ok
            (policies / "desk.yaml").write_text("no policy")
            assert every.unpin(by="ann", reason="drill is over").result == "failed"
            assert not two.reloader.health().pinned
            two.reloader.rollback(first, by="ann", reason="drill")
            assert every.unpin(by="ann", reason="drill is over").message == "no set is pinned"
            assert not two.reloader.health().pinned
            assert not every.rollback("0" * 64, by="ann", reason="none").ok
            shutil.copy(POLICIES / "desk.yaml", policies / "desk.yaml")
            two.close()
            with pytest.raises(InputError, match=r"not all others: worker 1: no reloader runs"):
                every.reload(by="ann", reason="look")
    finally:
        one.close()
        two.close()
