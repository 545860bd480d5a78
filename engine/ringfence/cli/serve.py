"""`ringfence serve`: the service, with dashboard and API on one port, metrics and health on two others."""

import argparse
import shutil
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ringfence.cli.service_options import add_settings, settings_given
from ringfence.errors import InputError

if TYPE_CHECKING:
    from ringfence.service.demo import DemoData
    from ringfence.service.desk import Desk
    from ringfence.service.listening import Ports
    from ringfence.service.settings import ServiceSettings

__all__ = ["add"]

# Orders of the recording are 53 a second; one in three leaves room on any machine.
_DEMO_EVERY = 3
# Nothing else is told until then.
_FIRST_START = "the first start on a machine compiles for about a minute"


def add(commands: Any) -> None:
    """Add the command to the parser."""
    parser = commands.add_parser(
        "serve", help="serve the API, the dashboard, metrics and health", description=__doc__
    )
    add_settings(parser)
    parser.add_argument(
        "--demo",
        action="store_true",
        help="with made-up secrets, on paper, and with recorded orders that come as if they came now",
    )
    parser.add_argument(
        "--demo-data",
        type=Path,
        metavar="DIR",
        help="directory of the recording: orders.parquet, marks.parquet, balances.csv",
    )
    parser.add_argument(
        "--demo-every",
        type=int,
        default=_DEMO_EVERY,
        metavar="N",
        help=f"send every Nth order of the recording; {_DEMO_EVERY} where not given, 1 for all",
    )
    parser.set_defaults(run=run)


def run(given: argparse.Namespace) -> int:
    """Serve until stopped."""
    if given.demo_every < 1:
        raise InputError("`--demo-every` is below 1", "give 1 for all orders")
    with ExitStack() as opened:
        return _run_demo(given, opened) if given.demo else _run(given)


def _run(given: argparse.Namespace) -> int:
    loaded = settings_given(given)
    from ringfence.service.desk import open_desk
    from ringfence.service.logs import set_up_logs
    from ringfence.service.opening.safety import check_safety
    from ringfence.service.opening.secrets import credentials_for
    from ringfence.service.serve import Stopped, serve

    settings = loaded.settings
    set_up_logs(settings.log)
    check_safety(settings)
    credentials = credentials_for(settings)
    for warning in credentials.warnings:
        print(f"warning: {warning}", flush=True)
    print(f"opening: {_FIRST_START}", flush=True)
    if settings.server.workers > 1:
        from ringfence.service.workers.supervisor import supervise

        supervise(settings, lambda ports, _: _tell_addresses(settings, ports))
        return 0
    try:
        serve(settings.server, lambda: open_desk(settings, credentials), _started)
    except Stopped:
        print("stopped before it served", flush=True)
    return 0


def _run_demo(given: argparse.Namespace, opened: ExitStack) -> int:
    from ringfence.runtime.temporary import temporary_directory
    from ringfence.service.demo import Traffic, find_demo_data

    policies = None if given.policies is None else Path(given.policies)
    data = find_demo_data(given.demo_data, policies)
    made = {
        "environment": "testing",
        "policies.directories": str(data.policies),
        "opening_balances": ",".join(f"{book}={sum_}" for book, sum_ in data.balances().items()),
        # The recording says nothing of fees; the exchange's would eat the day's loss limit in an hour.
        "venues.paper.maker_fee": "0",
        "venues.paper.taker_fee": "0",
        "venues.paper.poll": "500ms",
        # Many orders an hour, for days: each of their names would be remembered for one.
        "guard.client_order_window": "10m",
    }
    if given.data is None:
        folder = temporary_directory()
        opened.callback(shutil.rmtree, folder, ignore_errors=True)
        made["data"] = str(folder)
    settings = settings_given(given, made).settings
    from ringfence.service.desk import open_desk
    from ringfence.service.logs import set_up_logs
    from ringfence.service.opening.secrets import credentials_for
    from ringfence.service.serve import Stopped, serve

    set_up_logs(settings.log)
    print(f"opening the demo: {_FIRST_START}", flush=True)

    def traffic(desk: "Desk") -> Traffic:
        return Traffic(desk, data, given.demo_every)

    try:
        serve(
            settings.server,
            lambda: open_desk(settings, credentials_for(settings)),
            _demo_started(data),
            alongside=traffic,
        )
    except Stopped:
        print("stopped before it served", flush=True)
    return 0


def _started(desk: "Desk", ports: "Ports") -> None:
    _tell_addresses(desk.settings, ports)
    for book in desk.without_money:
        print(f"note: `{book}` has no money yet: it takes only orders that reduce risk", flush=True)
    for order in desk.guard.orphans:
        print(f"note: the order {order.order_id} worked when the last run ended, and counts on")


def _demo_started(data: "DemoData") -> "Callable[[Desk, Ports], None]":
    def started(desk: "Desk", ports: "Ports") -> None:
        from ringfence.service.demo.login import demo_login

        print(
            f"\nReal orders from {data.folder}, recorded on Binance on 2024-08-08, come as if they came now:\n"
            "prices, sizes and the time between orders are those of that day, only the clock is moved.\n"
            "They are filled on paper; nothing is sent anywhere.\n"
        )
        _started(desk, ports)
        for name, value in demo_login(desk).items():
            print(f"{name:<10} {value}")
        print("\nThe user is a risk officer, for as long as this runs. Ctrl-C ends it.", flush=True)

    return started


def _tell_addresses(settings: "ServiceSettings", ports: "Ports") -> None:
    server = settings.server
    main, metrics, health = ports.numbers
    host = f"[{server.host}]" if ":" in server.host else server.host
    scheme = "https" if server.tls_certificate else "http"
    for name, url in (
        ("dashboard", f"{scheme}://{host}:{main}{server.root_path}"),
        ("metrics", f"http://{host}:{metrics}/metrics"),
        ("health", f"http://{host}:{health}/health"),
    ):
        print(f"{name:<10} {url}", flush=True)
