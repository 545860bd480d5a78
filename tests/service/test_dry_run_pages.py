"""The pages of dry runs: starting one, its progress, and what came of it."""

import re
from pathlib import Path
from typing import Any

import pytest

from ringfence.service.desk import Desk
from ringfence.service.dry_runs import data_folder
from ringfence.service.opening.venues import Venues

pytestmark = pytest.mark.integration

ORDERS = "ts,order_id,account,strategy,symbol,side,size,price,type\n" + "".join(
    f"2026-01-05T12:00:0{n}Z,o{n},alpha,taker,BTC/USDT,buy,{size},50000,limit\n"
    for n, size in enumerate(("0.1", "0.2", "9"))
)


@pytest.fixture
def orders(desk: Desk) -> Path:
    """A file of orders where dry runs read from."""
    folder = data_folder(desk)
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "three-orders.csv"
    path.write_text(ORDERS)
    return path


@pytest.fixture
def officer(bearer: Any) -> dict[str, str]:
    return {**bearer("risk-officer"), "accept": "text/html"}


@pytest.mark.usefixtures("orders")
def test_a_dry_run_is_started_and_its_decisions_are_shown(client: Any, officer: Any) -> None:
    listed = client.get("/dry-runs", headers=officer).text
    assert "three-orders.csv" in listed

    started = client.post(
        "/dry-runs",
        data={
            "orders": "three-orders.csv",
            "mode": "propagated",
            "equity": "6_000_000",
            "halts_until": "end",
        },
        headers=officer,
        follow_redirects=False,
    )
    assert started.status_code == 303, started.text
    address = started.headers["location"]
    assert client.get(address, headers=officer).status_code == 200
    jobs = client.app.state.jobs
    assert jobs.wait(jobs.get(address.rsplit("/", 1)[1], "dry-run"), 120)
    text = client.get(address, headers=officer).text

    assert "Done" in text
    assert "3</span> replayed of" in text
    assert re.search(
        r'Rejected</dt><dd class="large"><span class="number">1 <span class="unit">order<', text
    )
    assert "USDT" in text
    report = client.get(f"/v1{address}/report", headers=officer)
    assert report.status_code == 200
    assert f"/v1{address}/report" in text
    assert address in client.get("/dry-runs", headers=officer).text


@pytest.mark.usefixtures("orders")
@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({}, "no orders are given"),
        ({"orders": "three-orders.csv", "mode": "x"}, "there is no mode"),
        ({"orders": "three-orders.csv", "halts_until": "x"}, "is no end of a halt"),
        ({"orders": "three-orders.csv", "equity": "much"}, "is no amount of money"),
        ({"orders": "nothing.csv"}, "there is no file"),
        ({"orders": "../audit/x"}, "is no path of a file"),
        ({"orders": "three-orders.csv", "policies": "ffff"}, "ffff"),
    ],
)
def test_what_cannot_be_run_is_said_beside_the_form(
    client: Any, officer: Any, given: dict[str, str], said: str
) -> None:
    answer = client.post("/dry-runs", data=given, headers=officer)

    assert answer.status_code == 400
    assert said in answer.text
    assert "Start a dry run" in answer.text


@pytest.mark.usefixtures("orders")
def test_who_may_not_start_one_is_offered_none(client: Any, bearer: Any) -> None:
    viewer = {**bearer("viewer"), "accept": "text/html"}

    assert "Start a dry run" not in client.get("/dry-runs", headers=viewer).text
    answer = client.post("/dry-runs", data={"orders": "three-orders.csv"}, headers=viewer)
    assert answer.status_code == 403
    trader = {**bearer("trader", "alpha"), "accept": "text/html"}
    assert client.get("/dry-runs", headers=trader).status_code == 403


def test_one_that_is_not_there_is_told(client: Any, officer: Any) -> None:
    assert client.get("/dry-runs/00ff", headers=officer).status_code == 404


@pytest.mark.usefixtures("orders")
def test_one_can_be_given_up(client: Any, officer: Any) -> None:
    started = client.post(
        "/dry-runs", data={"orders": "three-orders.csv"}, headers=officer, follow_redirects=False
    )
    address = started.headers["location"]

    client.post(f"{address}/cancel", headers=officer)

    text = client.get(address, headers=officer).text
    assert "Cancelled" in text or "Done" in text


def multipart(**files: tuple[str, str]) -> dict[str, Any]:
    return {f"{name}_file": (called, content.encode()) for name, (called, content) in files.items()}


def test_a_file_is_sent_with_the_form_and_goes_with_its_dry_run(client: Any, officer: Any) -> None:
    started = client.post(
        "/dry-runs",
        data={"mode": "propagated", "equity": "6000000"},
        files=multipart(orders=("../../etc/My Orders.CSV", ORDERS)),
        headers=officer,
        follow_redirects=False,
    )

    assert started.status_code == 303, started.text
    address = started.headers["location"]
    jobs = client.app.state.jobs
    job = jobs.get(address.rsplit("/", 1)[1], "dry-run")
    kept = jobs.folder_of(job.id) / "inputs" / "orders.csv"
    assert kept.read_text() == ORDERS
    assert kept.stat().st_mode & 0o777 == 0o600
    assert kept.parent.stat().st_mode & 0o777 == 0o700
    assert jobs.wait(job, 120)
    assert job.state == "done", job.problem
    assert "My Orders.CSV (sent with it)" in client.get(address, headers=officer).text
    jobs._keep, keep = 0, jobs._keep
    jobs._tidy()
    jobs._keep = keep
    assert not kept.parent.parent.exists()


@pytest.mark.parametrize(
    ("files", "status", "said"),
    [
        ({"orders": ("orders.exe", "x")}, 400, "is no file of orders or prices"),
        ({"orders": ("orders", "x")}, 400, "is no file of orders or prices"),
        ({"marks": ("prices.csv", "x")}, 400, "no orders are given"),
        ({"orders": ("<b>.csv", ORDERS), "marks": ("<i>.txt", "")}, 400, "_i_.txt"),
        ({"orders": ("a.csv", "x" * 5_000)}, 413, "there is room for 2,048 bytes"),
        ({"orders": ("a.csv", "x" * 90_000)}, 413, "a file may have 2,048 bytes"),
    ],
)
def test_a_file_that_will_not_do_starts_nothing_and_is_not_kept(
    client: Any,
    officer: Any,
    desk: Desk,
    monkeypatch: pytest.MonkeyPatch,
    files: dict[str, tuple[str, str]],
    status: int,
    said: str,
) -> None:
    about = desk.settings.jobs.model_copy(update={"max_upload": 2_048})
    settings = desk.settings.model_copy(update={"jobs": about})
    monkeypatch.setattr(desk, "settings", settings)
    jobs = client.app.state.jobs
    before = jobs.all("dry-run"), sorted(jobs.folder_of("").iterdir())

    answer = client.post("/dry-runs", data={}, files=multipart(**files), headers=officer)

    assert answer.status_code == status
    assert said in answer.text
    assert (jobs.all("dry-run"), sorted(jobs.folder_of("").iterdir())) == before


def test_a_form_that_does_not_say_how_long_it_is_is_not_read(client: Any, officer: Any) -> None:
    headers = {**officer, "content-type": "application/x-www-form-urlencoded"}
    answer = client.post("/dry-runs", content=iter([b"orders=x"]), headers=headers)
    assert answer.status_code == 400


def test_what_is_uploaded_over_the_api_is_read_by_nobody_else(
    client: Any, officer: Any, desk: Desk
) -> None:
    answer = client.put("/v1/dry-runs/uploads/mine.csv", content=ORDERS, headers=officer)
    assert answer.status_code == 200, answer.text
    path = data_folder(desk) / "mine.csv"
    assert path.stat().st_mode & 0o777 == 0o600
    path.unlink()


def test_pages_of_several_workers_say_that_they_come_from_one_of_them(
    client: Any, officer: Any, desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    pages = ("/", "/decisions", "/dry-runs")
    assert not any("workers answer" in client.get(each, headers=officer).text for each in pages)

    server = desk.settings.server.model_copy(update={"workers": 3})
    settings = desk.settings.model_copy(update={"server": server})
    monkeypatch.setattr(desk, "settings", settings)
    monkeypatch.setattr(desk, "venues", Venues())

    for each in pages:
        text = client.get(each, headers=officer).text
        assert "3 workers answer on this address" in text, each
