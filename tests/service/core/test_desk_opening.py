"""The desk opens what its settings name, on real servers, and says what it cannot open."""

import os
import shutil
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from adapters import kraken_server, postgres_server
from adapters.redis_server import PASSWORD, RedisServer
from ringfence import MarketData, OrderRequest
from ringfence.adapters.audit_postgres import Server, migrate
from ringfence.errors import InputError
from ringfence.runtime.credentials import KRAKEN_API_KEY, KRAKEN_SECRET
from ringfence.runtime.ports import SYSTEM_CLOCK, SYSTEM_RANDOM
from ringfence.service.desk import Desk, open_desk
from ringfence.service.health_checks import Checks
from ringfence.service.health_looks import look_at
from ringfence.service.opening.secrets import credentials_for, needed_names
from ringfence.service.settings import ServiceSettings

pytestmark = pytest.mark.integration

POLICIES = Path(__file__).parents[3] / "policies"
KEYS = {
    "API_SECRET_KEY": "0123456789abcdef0123456789abcdef-approvals",
    "JWT_SECRET_KEY": "0123456789abcdef0123456789abcdef-tokens",
}


def settings(folder: Path, **given: Any) -> ServiceSettings:
    return ServiceSettings(
        **{"environment": "testing", "policies": str(POLICIES), "data": folder / "data", **given}
    )


def opened(made: ServiceSettings, **environ: str) -> Desk:
    return open_desk(made, credentials_for(made, {**KEYS, **environ}))


def refused(made: ServiceSettings, **environ: str) -> str:
    with pytest.raises(InputError) as caught:
        opened(made, **environ).close()
    return f"{caught.value.message}; fix: {caught.value.fix}"


def ask(desk: Desk, name: str, size: str = "0.01") -> Any:
    order = OrderRequest(
        "alpha", "BTC/USDT", "buy", size, "50000", strategy="taker", client_order_id=name
    )
    return desk.guard.evaluate_order(
        order, MarketData(49_999, 50_001, 50_000, SYSTEM_CLOCK.now_ns())
    )


def wait_until(holds: Callable[[], Any]) -> None:
    """Look until it holds, for a minute at most."""
    end, pause = time.monotonic() + 60, threading.Event()
    while not holds():
        assert time.monotonic() < end
        pause.wait(0.01)


def git(folder: Path, *words: str) -> None:
    author = ["-c", "user.name=a", "-c", "user.email=a@example.com"]
    subprocess.run(["git", *author, *words], cwd=folder, check=True, capture_output=True)


@pytest.fixture
def redis(tmp_path: Path) -> Iterator[RedisServer]:
    server = RedisServer(tmp_path / "redis", appendonly="yes", appendfsync="everysec").start()
    yield server
    server.stop()


@pytest.mark.needs("redis-server", "redis-server")
@pytest.mark.needs("initdb", "postgresql")
@pytest.mark.needs("git", "git")
def test_redis_postgresql_and_a_branch_by_settings(
    tmp_path: Path, redis: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    repository = tmp_path / "repository"
    shutil.copytree(POLICIES, repository / "policies")
    git(repository, "init", "-q", "-b", "main")
    git(repository, "add", "policies")
    git(repository, "commit", "-q", "-m", "limits")
    made = settings(
        tmp_path,
        environment="development",
        policies={"repository": str(repository)},
        audit={"sink": "postgres"},
        state={"kind": "redis", "url": f"redis://127.0.0.1:{redis.port}/0", "settle": "0s"},
        market_cache={"kind": "redis"},
        guard={"name": "trader-1"},
        opening_balances={"account/alpha": "6000000", "strategy/taker": "1000000"},
    )
    with postgres_server.running() as postgres:
        monkeypatch.setenv("RINGFENCE_POSTGRES_URL", postgres.url())
        migrate(Server(postgres.url()))
        desk = opened(made, REDIS_PASSWORD=PASSWORD)
        answer = ask(desk, "o-1")
        assert answer.decision.value == "APPROVE", answer.reason
        assert answer.id.startswith("trader-1-")
        look = desk.reloader.reload(by="ann", reason="what is in force")
        assert len(look.about["commit"]) == 40
        assert desk.market_cache is not None
        checks = Checks()
        look_at(desk, checks)
        assert {each.name: each.detail for each in checks.all if not each.ok} == {}
        assert "redis answers" in [each.detail for each in checks.all]
        checks.close()
        assert desk.writer is not None
        wait_until(lambda: not desk.writer.status()[0].lag_records)
        desk.close()
        held = postgres.execute("SELECT id FROM ringfence.decisions")
        assert held == [(answer.id,)]

        again = opened(made, REDIS_PASSWORD=PASSWORD)
        assert [each.order_id for each in again.guard.orphans] == [answer.id]
        assert ask(again, "o-1").id == answer.id
        assert again.guard.book("account/alpha").cash == 6_000_000
        again.close()
    assert needed_names(made) == (
        "API_SECRET_KEY",
        "JWT_SECRET_KEY",
        "REDIS_PASSWORD",
        "RINGFENCE_POSTGRES_URL",
    )


@pytest.mark.needs("redis-server", "redis-server")
def test_production_refuses_a_redis_that_may_lose_books(tmp_path: Path) -> None:
    password = "correct-horse-battery-staple"
    server = RedisServer(tmp_path / "redis", password=password, appendonly="no").start()
    made = settings(
        tmp_path,
        environment="production",
        state={"kind": "redis", "url": f"redis://127.0.0.1:{server.port}/0"},
        audit={"sink": "none"},
    )

    told = refused(made, REDIS_PASSWORD=password)
    wrong = refused(made, REDIS_PASSWORD="another-password-of-some-length")
    server.stop()
    away = refused(made, REDIS_PASSWORD=password)

    assert "Redis cannot be opened" in told
    assert "appendonly" in told
    assert "Redis cannot be opened" in wrong
    assert "another-password" not in wrong
    assert "Redis cannot be opened" in away


def test_kraken_opens_a_book_with_its_balance_and_is_compared(tmp_path: Path) -> None:
    policies = tmp_path / "policies"
    shutil.copytree(POLICIES, policies)
    for path in policies.glob("*.yaml"):
        path.write_text(path.read_text().replace("USDT", "USD"))
    shutil.rmtree(policies / "tests")
    shutil.rmtree(policies / "invariants")
    given = {"policies": str(policies), "audit": {"sink": "none"}, "environment": "development"}
    secrets = {
        "KRAKEN_API_KEY": KRAKEN_API_KEY.make(SYSTEM_RANDOM),
        "KRAKEN_SECRET": KRAKEN_SECRET.make(SYSTEM_RANDOM),
    }
    with kraken_server.running(*secrets.values(), SYSTEM_CLOCK.now_ns()) as kraken:
        venue = {
            "kind": "kraken",
            "accounts": ["alpha"],
            "url": kraken.url,
            "stream": False,
            "pace": "1ms",
            "poll": "100ms",
            "cash_currency": "USD",
        }
        made = settings(tmp_path, **given, venues={"kraken": venue})
        desk = opened(made, **secrets)
        try:
            balance = desk.gateways["kraken"].balances("alpha")["USD"]
            assert desk.guard.book("account/alpha").cash == float(balance)
            assert desk.without_money == ("account/beta",)
            (found,) = desk.reconciling.found
            assert (found.venue, found.account) == ("kraken", "alpha")
            wait_until(lambda: desk.reconciling.found[0].at_ns or desk.reconciling.found[0].error)
            assert not desk.reconciling.found[0].error
        finally:
            desk.close()
    gone = refused(made, **secrets)
    assert "the venue `kraken` cannot be opened" in gone


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"policies": "nowhere"}, "the policies cannot be opened"),
        ({"policies": {"repository": "nowhere"}}, "the policies cannot be opened"),
        (
            {"opening_balances": {"account/nobody": "1"}},
            "the first money cannot be opened: `opening_balances` names `account/nobody`",
        ),
        ({"server": {"tls_certificate": "no.pem", "tls_key": "no.pem"}}, "`no.pem` is no file"),
        ({"server": {"workers": 2}, "state": {"kind": "redis"}}, "secrets of its own"),
    ],
)
def test_what_cannot_be_opened_is_named(tmp_path: Path, given: Any, told: str) -> None:
    assert told in refused(settings(tmp_path, **given))


def test_what_was_opened_before_is_closed_again(tmp_path: Path) -> None:
    wrong = settings(tmp_path, opening_balances={"account/nobody": "1"})
    threads = threading.active_count()
    files = len(os.listdir("/proc/self/fd"))

    assert "account/nobody" in refused(wrong)

    assert threading.active_count() <= threads
    assert len(os.listdir("/proc/self/fd")) <= files
    desk = opened(settings(tmp_path))
    assert "the audit log cannot be opened" in refused(settings(tmp_path))
    desk.close()


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "risk.example.com"])
def test_production_sends_no_token_over_a_network_in_clear(tmp_path: Path, host: str) -> None:
    made = settings(tmp_path, environment="production", server={"host": host})

    assert "tokens would cross the network unencrypted" in refused(made)


def test_production_refuses_weak_secrets(tmp_path: Path) -> None:
    made = settings(tmp_path, environment="production")

    with pytest.raises(InputError, match="JWT_SECRET_KEY"):
        credentials_for(made, {**KEYS, "JWT_SECRET_KEY": "short"})
