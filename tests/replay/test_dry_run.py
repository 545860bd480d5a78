"""The whole run around the engine: files, threads, batches and interruption change no figure."""

import json
import os
import signal
from dataclasses import replace
from pathlib import Path

import jsonschema
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ringfence.errors import InputError
from ringfence.replay import dry_run as module
from ringfence.replay.decided import DecidedBatch, GateColumn
from ringfence.replay.dry_run import Request, dry_run
from ringfence.replay.engine_books import Names

pytestmark = pytest.mark.integration

ROOT = Path(__file__).parents[2]
SCHEMA = json.loads((ROOT / "schemas" / "dry-run-summary.v1.schema.json").read_text())


class FakeEngine:
    """A stand-in that stops every seventh order, and in propagated mode also follows its own sums."""

    columns = (
        GateColumn("total-exposure", "total-exposure", "account", "money", ("d@1.0.0",), False),
        GateColumn("kill-switch", "kill-switch", "account", "state", ("d@1.0.0",), False),
    )
    codes = ("TOTAL_EXPOSURE",)
    currency = "USDT"
    names, halts, halted = Names([], [], [], []), (), {}

    def __init__(self, linked, inputs, *, mode, equity, halts_until, standing):
        self.mode, self.sha256 = mode, linked.sha256
        self.assumptions = [f"fake: {equity}"]
        assert halts_until == "day"
        self._every = 5 if linked.currency == "tight" else 7
        self._sum, self._symbols = 0.0, len(inputs.symbols)
        # Written over as the engine does it: in turns.
        self._rooms = [np.zeros((3, 2, 0)) for _ in range(standing)]
        self._turn = 0
        self.finished = False

    def decide(self, batch):
        n = len(batch)
        stop = (batch.row % self._every) == 0
        size = np.where(stop, 0.0, batch.size)
        traded = size if self.mode == "propagated" else batch.size
        # Plain sequential sums, as an engine has them: cumsum of one array is another order.
        equity = np.empty(n)
        for i in range(n):
            self._sum += traded[i]
            equity[i] = self._sum
        self._turn = (self._turn + 1) % len(self._rooms)
        if self._rooms[self._turn].shape[2] < n:
            self._rooms[self._turn] = np.zeros((3, 2, n))
            self._rooms[self._turn][0] = 1
        outcome, measure, limit = self._rooms[self._turn][:, :, :n]
        measure[0], limit[0] = batch.size, 2.0
        outcome[0] = np.where(stop, 3, 1)
        measure[0][stop] += 2.0
        code = np.where(stop, 0, -1).astype(np.int16)
        return DecidedBatch(
            batch, np.where(stop, 2, 0).astype(np.int8), size, code, code, batch.size * batch.price,
            outcome.astype(np.uint8), measure, limit, equity, equity * 0,
        )  # fmt: skip

    def finish(self):
        self.finished = True

    def last_marks(self):
        return np.full(self._symbols, 100.0)

    def money_per_price(self):
        return np.ones(self._symbols)

    def totals(self):
        return {"equity_first": 0.0, "equity_last": self._sum, "fees": 0.0, "max_drawdown": 0.0}


@pytest.fixture(autouse=True)
def fake_engine(monkeypatch):
    monkeypatch.setattr(module, "Engine", FakeEngine)

    class Linked:
        gates = ("one",)

        def __init__(self, spec):
            self.sha256 = ("ab" if spec == "policies" else "cd") * 32
            self.currency = "tight" if spec == "tight" else ""

    monkeypatch.setattr(module, "link_spec", lambda spec, _extra: Linked(spec))


@pytest.fixture
def orders(tmp_path):
    rng = np.random.default_rng(0)
    n = 1000
    table = pa.table(
        {
            "ts": pa.array(1_764_322_200_000_000_000 + np.arange(n) * 10**9, pa.timestamp("ns")),
            "order_id": [f"o{i}" for i in range(n)],
            "account": rng.choice(["alpha", "beta"], n),
            "symbol": rng.choice(["BTC/USDT", "ETH/USDT"], n),
            "side": rng.choice(["buy", "sell"], n),
            "size": np.where(np.arange(n) % 100 == 99, -1.0, rng.random(n) + 0.1),
            "price": 100 + rng.normal(size=n),
        }
    )
    pq.write_table(table, tmp_path / "orders.parquet")
    return str(tmp_path / "orders.parquet")


def written(result):
    return {path.name: path.read_bytes() for path in result.files.values()}


def test_summary_fits_its_schema_and_every_file_is_there(orders, tmp_path):
    result = dry_run(Request(orders, base="tight", out=tmp_path / "out", equity=5.0))

    jsonschema.validate(result.summary, SCHEMA)
    assert result.summary == json.loads((tmp_path / "out" / "summary.json").read_text())
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        "decisions-base-frozen.parquet",
        "decisions-base.parquet",
        "decisions-frozen.parquet",
        "decisions.parquet",
        "report.html",
        "request.json",
        "summary.json",
    ]
    assert result.summary["orders"]["rows"] == 1000
    assert result.summary["orders"]["replayed"] == 990
    assert result.summary["unreplayable"][0]["rows"] == 10
    assert result.summary["assumptions"][-1] == "fake: 5.0"
    assert pq.read_table(tmp_path / "out" / "decisions-base.parquet").num_rows == 990


def test_counts_agree_between_the_summary_and_the_rows(orders, tmp_path):
    summary = dry_run(Request(orders, base="tight", out=tmp_path / "out", report=False)).summary
    head = pq.read_table(tmp_path / "out" / "decisions.parquet").to_pydict()
    base = pq.read_table(tmp_path / "out" / "decisions-base.parquet").to_pydict()

    run = summary["sides"]["head"]["modes"]["propagated"]
    assert run["decisions"]["REJECT"] == head["decision"].count("REJECT") > 0
    assert sum(row["orders"] for row in run["by_account"]) == 990
    changed = sum(a != b for a, b in zip(head["size"], base["size"], strict=True))
    assert summary["changes"]["orders"] == changed > 0
    assert summary["changes"]["mode"] == "propagated"


@pytest.mark.parametrize(("workers", "batch_rows"), [(1, 64), (2, 64), (3, 1000), (2, 1)])
def test_same_bytes_for_any_workers_and_batches(orders, tmp_path, workers, batch_rows):
    plain = Request(orders, base="tight", out=tmp_path / "a", report=batch_rows > 64)
    other = replace(plain, out=tmp_path / "b", workers=workers, batch_rows=batch_rows)

    assert written(dry_run(other)) == written(dry_run(plain))


@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_interrupted_leaves_what_was_done_readable(orders, tmp_path, workers, number):
    def stop(done, _total):
        if done >= 300:
            os.kill(os.getpid(), number)

    before = signal.getsignal(number)
    request = Request(orders, out=tmp_path / "out", batch_rows=20, workers=workers, report=False)
    result = dry_run(request, stop)

    assert result.interrupted
    assert signal.getsignal(number) is before
    jsonschema.validate(result.summary, SCHEMA)
    rows = pq.read_table(tmp_path / "out" / "decisions.parquet").num_rows
    assert rows == result.summary["orders"]["replayed"]
    assert 297 <= rows < 990


@pytest.mark.parametrize("workers", [1, 2])
def test_a_failure_leaves_nothing_half_written(orders, tmp_path, monkeypatch, workers):
    def fail(_self, _batch):
        raise InputError("the disk is full")

    monkeypatch.setattr(module.DecisionsWriter, "write", fail)
    with pytest.raises(InputError, match="the disk is full"):
        dry_run(Request(orders, out=tmp_path / "out", workers=workers, batch_rows=10))
    assert list((tmp_path / "out").iterdir()) == []


def test_one_mode_alone_and_no_report(orders, tmp_path):
    request = Request(orders, mode="frozen", out=tmp_path / "out", report=False)
    result = dry_run(request)

    assert list(result.summary["sides"]["head"]["modes"]) == ["frozen"]
    assert result.summary["changes"] is None
    assert sorted(written(result)) == ["decisions.parquet", "summary.json"]


def test_results_of_an_earlier_run_do_not_stay_beside_new_ones(orders, tmp_path):
    dry_run(Request(orders, base="tight", out=tmp_path / "out"))
    result = dry_run(Request(orders, mode="propagated", out=tmp_path / "out", report=False))

    found = {path.name for path in (tmp_path / "out").iterdir()}
    assert found == {*written(result), "request.json"}


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"mode": "sideways"}, "is no mode"),
        ({"workers": 0}, "`workers` must be 1 to 256"),
        ({"batch_rows": 0}, "`batch_rows` must be at least 1"),
        ({"out": Path("/proc/nothing")}, "results cannot be written to"),
    ],
)
def test_bad_requests(orders, tmp_path, change, says):
    with pytest.raises(InputError, match=says):
        dry_run(Request(orders, **{"out": tmp_path / "out", **change}))
