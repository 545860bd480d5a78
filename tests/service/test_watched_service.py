"""A real Prometheus scrapes the service, a real Alertmanager delivers, and the boards show what was scraped."""

import queue
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from adapters.redis_server import RedisServer
from ringfence import MarketData, OrderRequest, VenueSnapshot
from ringfence.adapters.state_redis import RedisMarketCache, RedisStore
from ringfence.errors import ApprovalError
from ringfence.language.orders import Market
from ringfence.runtime.credentials import (
    API_SECRET_KEY,
    JWT_SECRET_KEY,
    load_credentials,
)
from ringfence.service.desk import Desk, open_desk
from ringfence.service.exposition import metrics_app
from ringfence.service.listening import Ports
from ringfence.service.serve import serve
from ringfence.service.settings import ServiceSettings
from service.browsing import running
from service.test_boards import BOARDS
from service.watching import Inbox, Mailbox, Prometheus, alertmanager, ask, prometheus, wait_until

pytestmark = [
    pytest.mark.integration,
    pytest.mark.needs("prometheus", "prometheus"),
    pytest.mark.needs("prometheus-alertmanager", "prometheus-alertmanager"),
    pytest.mark.needs("redis-server", "redis-server"),
]


@dataclass
class Watched:
    """A desk on which things have happened, and who watches it."""

    desk: Desk
    prometheus: Prometheus
    alertmanager: str
    inbox: Inbox
    mailbox: Mailbox


def trade(desk: Desk) -> None:
    """A little of everything that is counted: approved and sent, filled, reduced, rejected, refused, halted."""

    def asked(name: str, size: str) -> tuple[Any, OrderRequest]:
        order = OrderRequest(
            "alpha", "BTC/USDT", "buy", size, "50001", strategy="taker", venue="paper",
            client_order_id=name,
        )  # fmt: skip
        market = MarketData(bid=49_999, ask=50_001, last=50_000, timestamp=time.time_ns())
        desk.guard.on_mark("BTC/USDT", market)
        desk.tell_paper["paper"](
            "BTC/USDT", Market(bid=49_999, ask=50_001, bid_depth=10.0, ask_depth=10.0)
        )
        return desk.guard.evaluate_order(order), order

    gateway = desk.gateways["paper"]
    answer, order = asked("sent", "0.01")
    order.size = answer.size
    gateway.submit(answer.approval, order)
    for follower in desk.followers:
        follower.catch_up()
    # Too large: reduced, or rejected where not even that passes.
    asked("large", "1000")
    asked("off-step", "0.000001")
    answer, order = asked("altered", "0.1")
    order.size = "0.2"
    with pytest.raises(ApprovalError):
        gateway.submit(answer.approval, order)
    desk.guard.reconcile(VenueSnapshot("beta", positions={"BTC/USDT": "1"}))
    desk.guard.set_kill_switch("symbol/ETH/USDT", "halted", by="ann", reason="drill")


@contextmanager
def served(folder: Path) -> Iterator[tuple[Desk, Ports]]:
    """The service, as `ringfence serve` runs it, in a thread."""
    settings = ServiceSettings(
        environment="testing",
        policies=Path("policies").resolve(),
        data=folder,
        server={"port": 0, "metrics_port": 0, "health_port": 0},
        opening_balances=dict.fromkeys(
            ("account/alpha", "account/beta", "strategy/taker"), "6_000_000"
        ),
    )
    secrets = load_credentials(
        (API_SECRET_KEY, JWT_SECRET_KEY), {"RINGFENCE_ENVIRONMENT": "testing"}
    )
    started: queue.Queue[tuple[Desk, Ports]] = queue.Queue()
    thread = threading.Thread(
        target=serve,
        args=(
            settings.server,
            lambda: open_desk(settings, secrets),
            lambda *found: started.put(found),
        ),
    )
    thread.start()
    desk, ports = started.get(timeout=300)
    yield desk, ports
    desk.stop()
    thread.join(60)


@pytest.fixture(scope="module")
def watched(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Watched]:
    folder = tmp_path_factory.mktemp("watched")
    with ExitStack() as opened:
        desk, ports = opened.enter_context(served(folder / "data"))
        main, metrics, _ = (f"http://127.0.0.1:{number}" for number in ports.numbers)
        # This desk shares no books: what those tell comes from beside it.
        redis = RedisServer(folder / "redis").start()
        opened.callback(redis.stop)
        store = RedisStore(redis.settings(namespace="watched"))
        opened.callback(store.close)
        cache = RedisMarketCache(store)
        beside = opened.enter_context(running(metrics_app([store, cache])))
        inbox = Inbox()
        opened.callback(inbox.close)
        mailbox = Mailbox()
        opened.callback(mailbox.close)
        alerts = folder / "alerts"
        alerts.mkdir()
        (alerts / "alert_webhook_token").write_text("a-token")
        (alerts / "alert_slack_url").write_text(f"{inbox.address}/slack")
        address = opened.enter_context(
            alertmanager(
                alerts,
                {
                    "ALERT_WEBHOOK_URL": f"{inbox.address}/webhook",
                    "ALERT_EMAIL_TO": "risk@example.com",
                    "ALERT_EMAIL_FROM": "ringfence@example.com",
                    "ALERT_SMTP_HOST": mailbox.place,
                    "ALERT_SMTP_TLS": "false",
                    "ALERT_SLACK_CHANNEL": "#risk",
                    "ALERT_WARNINGS_TO": "slack",
                    "ALERT_RUNBOOKS_URL": "https://desk.example/ringfence/",
                },
            )
        )
        # What is seen by the first scrape shows no rise.
        knock(main)
        cache.get("BTC/USDT")
        watching = opened.enter_context(prometheus(folder, [metrics, beside], address))
        knock(main)
        cache.get("BTC/USDT")
        trade(desk)
        seen = "count_over_time(ringfence_rejections_total[1m]) > 2"
        wait_until(lambda: watching.query(seen), "three scrapes of what happened")
        yield Watched(desk, watching, address, inbox, mailbox)


def knock(address: str) -> None:
    """Ask the API for something that it refuses."""
    with pytest.raises(urllib.error.HTTPError, match="401"):
        urllib.request.urlopen(f"{address}/v1/evaluate", b"{}", timeout=30)


def test_prometheus_reads_the_service_and_its_rules(watched: Watched) -> None:
    targets = watched.prometheus.get("targets")["activeTargets"]
    wait_until(
        lambda: {each["health"] for each in watched.prometheus.get("targets")["activeTargets"]}
        == {"up"},
        "all targets",
    )
    assert {each["labels"]["job"] for each in targets} == {
        "ringfence",
        "prometheus",
        "alertmanager",
    }
    groups = watched.prometheus.get("rules")["groups"]
    broken = {
        rule["name"]: rule["lastError"]
        for group in groups
        for rule in group["rules"]
        if rule["health"] != "ok"
    }
    assert len(groups) == 4
    assert broken == {}


def test_what_is_critical_is_delivered_at_once_and_with_its_runbook(watched: Watched) -> None:
    def is_switch(path: str, body: Any) -> bool:
        return path == "/webhook" and any(
            each["labels"]["alertname"] == "RingfenceKillSwitchActive" for each in body["alerts"]
        )

    _, headers, body = watched.inbox.wait_for(is_switch)

    assert headers["authorization"] == "Bearer a-token"
    assert body["receiver"] == "critical"
    (alert,) = body["alerts"]
    assert alert["status"] == "firing"
    assert alert["labels"]["target"] == "symbol/ETH/USDT"
    assert alert["annotations"]["summary"] == "The kill switch of symbol/ETH/USDT is set"
    assert alert["annotations"]["runbook_url"] == "docs/runbooks/kill-switch-active.md"

    _, _, message = watched.inbox.wait_for(
        lambda path, told: path == "/slack" and "KillSwitchActive" in str(told)
    )
    assert message["channel"] == "#risk"
    (attachment,) = message["attachments"]
    link = "https://desk.example/ringfence/docs/runbooks/kill-switch-active.md"
    assert link in attachment["text"]

    letter = watched.mailbox.wait_for("RingfenceKillSwitchActive")
    assert "To: risk@example.com" in letter
    assert "Subject: [FIRING:1]" in letter

    _, _, body = watched.inbox.wait_for(
        lambda path, told: path == "/webhook" and "RingfenceBypassAttempted" in str(told)
    )
    (alert,) = body["alerts"]
    assert (alert["labels"]["venue"], alert["labels"]["code"]) == ("paper", "ALTERED")

    # And nothing else fires at a service that is well.
    alerts = watched.prometheus.get("alerts")["alerts"]
    states = {each["labels"]["alertname"]: each["state"] for each in alerts}
    assert states.pop("RingfenceKillSwitchActive") == "firing"
    assert states.pop("RingfenceBypassAttempted") == "firing"
    # It has to last a minute; the others may be on their way on a machine that is very busy.
    assert states.pop("RingfenceReconciliationDifference") in ("pending", "firing")
    assert states.items() <= dict.fromkeys(SLOW, "pending").items()
    told = ask(f"{watched.alertmanager}/api/v2/alerts")
    assert {each["labels"]["severity"] for each in told} == {"critical"}


SLOW = ("RingfenceCpuHigh", "RingfenceHealthFailing", "RingfenceLatencyHigh")
# What there is nothing of at a desk that is well, keeps its books for itself, and trades on paper.
EMPTY = {
    "overview": set(),
    "latency": {"Errors of the shared state", "Reloads, p99"},
    "gates": {"Shadow set", "Notices of the ledger"},
    "audit": {"Failures of databases", "Lease of the policies"},
    "exchange": {
        "Cancels",
        "Compared last",
        "Differences",
        "Ends of orders",
        "Errors",
        "Looks that failed",
    },
}


@pytest.mark.parametrize("name", list(BOARDS))
def test_every_panel_of_a_board_has_data_where_it_should(watched: Watched, name: str) -> None:
    empty = set()
    for panel in BOARDS[name]["panels"]:
        for target in panel["targets"]:
            expression = target["expr"]
            for variable in ("$__rate_interval", "$__range"):
                expression = expression.replace(variable, "1m")
            found = watched.prometheus.query(expression.replace("$instance", ".*"))
            if all(each["value"][1] == "NaN" for each in found):
                empty.add(panel["title"])
                assert "Empty while" in panel["description"], (panel["title"], expression, found)
    assert empty <= EMPTY[name]
