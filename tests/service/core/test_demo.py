"""The demo: recorded orders through the guard and its paper exchange, and what it needs."""

import math
from collections.abc import Iterator
from pathlib import Path

import pytest

from ringfence.cli.main import main
from ringfence.errors import InputError
from ringfence.runtime.credentials import API_SECRET_KEY, JWT_SECRET_KEY, load_credentials
from ringfence.service.demo import Traffic, find_demo_data
from ringfence.service.demo.data import DemoData, Moment
from ringfence.service.demo.login import USER, demo_login
from ringfence.service.desk import Desk, open_desk
from ringfence.service.settings import ServiceSettings

pytestmark = pytest.mark.integration

ROOT = Path(__file__).parents[3]


class Recording(DemoData):
    """The beginning of the real recording, all of it at one moment: nobody waits for the time between."""

    def moments(self, every: int) -> Iterator[Moment]:
        first = 0
        for number, each in enumerate(super().moments(every)):
            if number == 120:
                return
            first = first or each.at
            yield each._replace(at=first)


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    data = find_demo_data()
    settings = ServiceSettings(
        environment="testing",
        policies=str(data.policies),
        data=tmp_path_factory.mktemp("demo"),
        opening_balances=data.balances(),
        audit={"sink": "none"},
        venues={"paper": {"taker_fee": "0", "maker_fee": "0", "poll": "1h"}},
    )
    kinds = (API_SECRET_KEY, JWT_SECRET_KEY)
    opened = open_desk(settings, load_credentials(kinds, {"RINGFENCE_ENVIRONMENT": "testing"}))
    yield opened
    opened.close()


def test_the_recording_is_in_the_order_of_time_and_can_be_thinned() -> None:
    data = find_demo_data()

    every, third = list(data.moments(1)), list(data.moments(3))

    times = [each.at for each in every]
    assert times == sorted(times)
    orders = sum(each.is_order for each in every)
    assert (orders, len(every) - orders) == (34_419, 13_194)
    assert sum(each.is_order for each in third) == orders // 3
    assert data.balances() == {"account/alpha": "6000000", "account/beta": "4000000"}


def test_orders_are_decided_filled_on_paper_and_closed_at_the_end(desk: Desk) -> None:
    data = find_demo_data()
    traffic = Traffic(desk, Recording(data.folder, data.policies), wait=lambda _: False)

    traffic.lap()

    assert traffic.counts["APPROVE"] > 10
    assert traffic.counts["failed"] == 0
    assert math.isfinite(desk.guard.book("account/alpha").equity)
    for name in ("account/alpha", "account/beta"):
        assert not any(each.lots for each in desk.guard.book(name).positions.values())
    for follower in desk.followers:
        follower.catch_up()
    fills = [
        s for m in desk.followers[0].metrics() if m.name == "ringfence_fills" for s in m.samples
    ]
    assert sum(each.value for each in fills) > 0


def test_whoever_starts_it_gets_a_password_that_holds(desk: Desk) -> None:
    told = demo_login(desk)
    again = demo_login(desk)

    assert told["user"] == again["user"] == USER
    assert desk.access.users.check(USER, told["password"]) is None
    user = desk.access.users.check(USER, again["password"])
    assert user is not None
    assert user.role == "risk-officer"


def test_a_package_without_the_recording_says_where_it_is(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(InputError, match=r"orders\.parquet`, which is not there"):
        find_demo_data(tmp_path)
    (tmp_path / "orders.parquet").write_bytes(b"no parquet")
    for name in ("marks.parquet", "balances.csv"):
        (tmp_path / name).write_bytes(b"")
    with pytest.raises(InputError, match="cannot be read"):
        find_demo_data(tmp_path).balances()

    assert main(["serve", "--demo", "--demo-data", str(tmp_path / "none")]) == 2
    assert main(["serve", "--demo", "--demo-every", "0"]) == 2

    assert "clone the repository" in capsys.readouterr().err
