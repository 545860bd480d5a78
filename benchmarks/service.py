"""Orders over HTTP: the service with its audit log, beside a bare endpoint of the same framework.

Each server has one core, and `wrk` the other. Ours and the bare one are asked in turn, so that what else the
machine does slows both alike.
"""

import json
import os
import re
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from shutil import rmtree
from statistics import median
from urllib.request import urlopen

from benchmarks.generate import account_name
from benchmarks.market import SYMBOLS
from benchmarks.measure import ROOT, Figure, pinned
from benchmarks.open_loop import latencies
from benchmarks.policy_files import EQUITY, policy_directory
from ringfence import CentralRiskGuard, GuardSettings, MarketData, PolicySet
from ringfence.runtime.audit_log import AuditLog

__all__ = ["ROUNDS", "SECONDS", "SETTLE", "our_service", "service"]

ROUNDS = 3
#: Seconds from the first answer until all that comes first is done: the first look at policies, limits and health.
SETTLE = 5
SECONDS = 3
CONNECTIONS = 8
#: Half of what is asked of `evaluate`, orders a second.
STEADY = 1_500
_KEY = bytes(range(32)).hex()
# So little that the whole run stays within the limits.
_ORDER = {"side": "buy", "size": "1", "price": "1", "type": "limit"}
# Every request is another order: one that was decided already would only be looked up.
_SCRIPT = """
local n, name = 0, "{name}-" .. tostring(os.time()) .. "-"
function request()
  n = n + 1
  local body = '{{"client_order_id":"' .. name .. n .. '",{rest}'
  return wrk.format("POST", "{path}", {{["content-type"] = "application/json", ["authorization"] = "{bearer}"}}, body)
end
"""


def service(orders: int, directory: Path) -> list[Figure]:
    """Measure; the number of orders does not matter."""
    del orders
    if shutil.which("wrk") is None:
        raise RuntimeError("`wrk` is needed: sudo apt-get install wrk")
    policies = policy_directory(directory, 10)
    rates: dict[str, list[float]] = {"ours": [], "bare": []}
    slow: dict[str, list[tuple[float, float, float]]] = {"ours": [], "bare": []}
    with _bare() as bare:
        for number in range(ROUNDS):
            # A new one each time: nobody ends the orders, and thousands that are open are no usual desk.
            with our_service(policies, directory / "service") as (ours, bearer):
                time.sleep(SETTLE)
                for name, port in (("ours", ours), ("bare", bare)):
                    with pinned():
                        slow[name].append(latencies(port, bearer, STEADY, SECONDS, _body()))
                    script = directory / f"{name}.lua"
                    script.write_text(_script(f"{name}-{number}", bearer), encoding="utf-8")
                    rates[name].append(_rate(port, script))
    found, plain = (median(rates[name]) for name in ("ours", "bare"))
    p50, p99 = (median(each[at] for each in slow["ours"]) * 1e3 for at in (0, 1))
    bare_p99 = median(each[1] for each in slow["bare"]) * 1e3
    return [
        Figure("service", "a bare endpoint of the framework", plain, "requests/s"),
        Figure("service", "evaluate, audited", found, "orders/s", at_least=3_000.0),
        Figure("service", "evaluate to the bare endpoint", found / plain, "times", at_least=0.5),
        Figure("service", f"evaluate at {STEADY:,} orders/s, p50", p50, "ms"),
        Figure("service", f"evaluate at {STEADY:,} orders/s, p99", p99, "ms", at_most=5.0),
        Figure("service", f"the bare endpoint at {STEADY:,} requests/s, p99", bare_p99, "ms"),
    ]


def _body() -> str:
    about = {"account": account_name(0), "symbol": next(iter(SYMBOLS)).name, **_ORDER}
    return json.dumps(about)[1:]


def _script(name: str, bearer: str) -> str:
    return _SCRIPT.format(name=name, path="/v1/evaluate", bearer=bearer, rest=_body())


def _rate(port: int, script: Path) -> float:
    """Requests a second, of which none may fail."""
    *_, core = sorted(os.sched_getaffinity(0))
    done = subprocess.run(
        ["taskset", "-c", str(core), "wrk", "-t1", f"-c{CONNECTIONS}", f"-d{SECONDS}s",
         "-s", str(script), f"http://127.0.0.1:{port}"],
        text=True, capture_output=True, check=True,
    )  # fmt: skip
    if "Non-2xx" in done.stdout:
        raise RuntimeError(done.stdout)
    return float(re.findall(r"Requests/sec:\s+([\d.]+)", done.stdout)[0])


@contextmanager
def our_service(policies: Path, place: Path) -> Iterator[tuple[int, str]]:
    """The service on a desk with money and a price; its port, and a header that lets one in."""
    rmtree(place, ignore_errors=True)
    account, symbol = account_name(0), next(iter(SYMBOLS)).name
    data = place / "data"
    with (
        AuditLog.open(data / "audit", durability="process") as log,
        CentralRiskGuard.open(
            PolicySet.load(policies),
            audit=log,
            state=data / "state",
            settings=GuardSettings(venues=("paper",)),
        ) as guard,
    ):
        guard.on_balance(f"account/{account}", "opening", EQUITY)
        guard.on_mark(symbol, MarketData(1.0, 1.0, 1.0, time.time_ns()))
    ports = [_free_port() for _ in range(3)]
    environ = {
        **os.environ,
        "RINGFENCE_ENVIRONMENT": "development",
        "API_SECRET_KEY": _KEY,
        "JWT_SECRET_KEY": _KEY[::-1],
        "RINGFENCE_POLICIES__DIRECTORIES": str(policies),
        "RINGFENCE_DATA": str(data),
        "RINGFENCE_AUDIT__SINK": "none",
        "RINGFENCE_ACCESS__REQUESTS_PER_MINUTE": "100000000",
        "RINGFENCE_SERVER__PORT": str(ports[0]),
        "RINGFENCE_SERVER__METRICS_PORT": str(ports[1]),
        "RINGFENCE_SERVER__HEALTH_PORT": str(ports[2]),
    }
    command = [sys.executable, "-m", "ringfence.cli.main", "serve"]
    with _running(command, environ, f"http://127.0.0.1:{ports[2]}/health/ready"):
        yield ports[0], f"Bearer {_token(account)}"


def _token(account: str) -> str:
    from ringfence.runtime.credentials import Secret
    from ringfence.runtime.ports import SYSTEM_CLOCK
    from ringfence.service.access.rights import Principal, Role
    from ringfence.service.access.tokens import Tokens

    who = Principal("bench", Role.TRADER, frozenset({account}))
    return Tokens((Secret(_KEY[::-1]),), SYSTEM_CLOCK).make(who, 3600)


@contextmanager
def _bare() -> Iterator[int]:
    port = _free_port()
    command = [sys.executable, "-m", "benchmarks.bare_service", str(port)]
    with _running(command, dict(os.environ), f"http://127.0.0.1:{port}/"):
        yield port


@contextmanager
def _running(command: list[str], environ: dict[str, str], url: str) -> Iterator[None]:
    """A server on the first core, from its first answer on."""
    core, *_ = sorted(os.sched_getaffinity(0))
    process = subprocess.Popen(
        ["taskset", "-c", str(core), *command], env=environ, cwd=ROOT, stdout=subprocess.DEVNULL
    )
    try:
        until = time.monotonic() + 120
        while not _answers(url):
            if process.poll() is not None or time.monotonic() > until:
                raise RuntimeError(f"{' '.join(command)} does not answer")
            time.sleep(0.1)
        yield
    finally:
        process.terminate()
        process.wait(30)


def _answers(url: str) -> bool:
    try:
        with urlopen(url, timeout=5) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


def _free_port() -> int:
    with socket.socket() as asking:
        asking.bind(("127.0.0.1", 0))
        return int(asking.getsockname()[1])
