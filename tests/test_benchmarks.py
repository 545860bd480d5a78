"""The benchmarks measure what they say: same orders every time, same decisions as the plain loop's."""

import json
import subprocess
import sys
from contextlib import suppress
from decimal import Decimal
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from benchmarks import (
    audit,
    eight_ifs,
    end_to_end,
    field_engines,
    guard,
    guard_growth,
    guard_log,
    measure,
    plan,
)
from benchmarks.document import BEGIN, END, results_text, write_document
from benchmarks.generate import COLUMNS, Workload, orders_file
from benchmarks.kernel import differences
from benchmarks.loop_setup import orders_of, plain_loop
from benchmarks.measure import Figure
from benchmarks.plain_loop import GATES, Order, PlainLoop
from benchmarks.policy_files import WIDE, nested_directory, policy_directory, wide_directory
from benchmarks.replays import opened
from benchmarks.validate import heavy_imports
from ringfence import PolicySet
from ringfence.language.orders import Book, Case, Market, OrderRequest, Position
from ringfence.replay.sources import open_inputs
from ringfence.review.limit_changes import limit_changes
from ringfence.review.mistakes import Context, find_mistakes

pytestmark = pytest.mark.performance

ROOT = Path(__file__).parents[1]
NAN = float("nan")
WORDS = ("absent", "pass", "reduce", "breach", "exempt", "unknown")
DECISIONS = ("APPROVE", "REDUCE_SIZE", "REJECT")


def test_a_shorter_file_is_the_beginning_of_a_longer_one(tmp_path: Path) -> None:
    short = pq.read_table(orders_file(Workload(500, 10), tmp_path))
    long = pq.read_table(orders_file(Workload(2000, 10), tmp_path))

    assert tuple(short.column_names) == COLUMNS
    assert long.slice(0, 500).equals(short)


def test_orders_are_streamed_as_they_lie(tmp_path: Path) -> None:
    with open_inputs(str(orders_file(Workload(2000, 10), tmp_path)), survey=True) as inputs:
        assert inputs.orders.direct
        assert sum(map(len, inputs.orders)) == 2000
        assert inputs.orders.rejects.total == 0


def test_plain_loop_agrees_with_the_reference(tmp_path: Path) -> None:
    policies = PolicySet.load(policy_directory(tmp_path, 3))
    with open_inputs(str(orders_file(Workload(400, 3), tmp_path)), survey=True) as inputs:
        orders = orders_of(inputs.orders, inputs, 400)
    loop = plain_loop(policies.linked)
    seen = set()

    for order in orders:
        case = _case(policies, loop, order)
        (answer,) = loop.decide([order])
        decision = policies.evaluate(case)
        assert (DECISIONS[answer.decision], answer.code) == (decision.decision, decision.code or "")
        assert Decimal(str(answer.size)) == (decision.size or 0)
        for gate, found, result in zip(GATES, answer.found, decision.gates, strict=True):
            assert (gate, WORDS[found[0]]) == (result.gate, result.outcome)
            assert repr(found[1:]) == repr((result.measure, result.limit))
            seen.add((gate, result.outcome))

    assert {"pass", "exempt", "reduce", "breach"} <= {str(outcome) for _, outcome in seen}


def test_kernel_agrees_with_the_plain_loop(tmp_path: Path) -> None:
    with opened(Workload(20_000, 40), tmp_path) as replay:
        orders = orders_of(replay.batches, replay.inputs, 20_000)
        assert differences(replay, orders) == 0
        # The comparison finds something where there is something.
        changed = orders[3]._replace(size=orders[3].size * 100_000)
        assert differences(replay, [*orders[:3], changed, *orders[4:]]) > 0


def test_a_run_prints_and_keeps_its_figures(tmp_path: Path) -> None:
    done = _run("--orders", "20000", "--only", "end-to-end", "--directory", str(tmp_path))

    # 1 where a target is missed: how fast this machine is does not matter here.
    assert done.returncode in (0, 1), done.stderr
    kept = json.loads((tmp_path / "results.json").read_text())
    assert kept["orders"] == 20_000
    assert {"processor", "cores", "memory", "Python", "numba", "duckdb", "pyarrow", "date"} <= set(
        kept["machine"]
    )
    assert all(figure["value"] > 0 for figure in kept["figures"])
    assert "end to end" in done.stdout


def test_the_guard_is_measured_alone_by_growth_by_records_and_at_its_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(guard, "ROUNDS", 20)
    monkeypatch.setattr(guard, "WARM", 2)
    monkeypatch.setattr(guard_log, "BATCH", 10)
    monkeypatch.setattr(guard_log, "BATCHES", 2)
    monkeypatch.setattr(guard_log, "RESERVATIONS", 30)
    monkeypatch.setattr(guard_growth, "ROUNDS", 10)
    held = [
        guard_growth.Side(n, wide_directory(tmp_path, n), [WIDE[0]], WIDE[1].format(0), held)
        for n, held in ((2, [WIDE[1].format(0)]), (5, [*map(WIDE[1].format, range(5))]))
    ]

    figures = [
        *guard.guard(0, tmp_path),
        *guard_log.guard_log(0, tmp_path),
        *guard_log.guard_restart(0, tmp_path),
        *guard_growth.compared("held symbols", held, guard_growth.in_memory, tmp_path),
        *guard_growth.compared("held symbols", held, guard_growth.all_on, tmp_path),
    ]

    assert all(figure.value > 0 for figure in figures)
    assert {figure.name for figure in figures} >= {
        "everything on, p99.9",
        "decisions recorded, one by one",
        "decisions recorded, in batches",
        "30 open orders, killed",
        "in memory, 5 to 2 held symbols",
        "everything on, 5 to 2 held symbols",
    }


@pytest.mark.needs("initdb", "postgresql")
def test_the_sinks_are_measured_with_what_a_guard_records(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in {"DECISIONS": 20, "RECORDS": 500, "RUNS": 1}.items():
        monkeypatch.setattr(audit, name, value)

    figures = audit.audit(0, tmp_path)

    assert [figure.name for figure in figures] == [
        "size of a decision's body",
        "append and wait",
        "to DuckDB",
        "to PostgreSQL",
    ]
    assert all(figure.value > 0 for figure in figures)


def test_policies_whose_scopes_lie_within_others_are_free_of_findings(tmp_path: Path) -> None:
    linked = PolicySet.load(nested_directory(tmp_path, 12)).linked

    assert len(linked.policies) == 13
    assert find_mistakes(Context(linked, 0)) == []


def test_validate_imports_nothing_heavy() -> None:
    assert heavy_imports() == []


def test_results_stand_between_the_markers(tmp_path: Path) -> None:
    path = tmp_path / "benchmarks.md"
    path.write_text((ROOT / "docs" / "benchmarks.md").read_text())
    figures = [Figure("kernel", "orders a second", 20.0, "million/s", at_least=15.0)]

    write_document(figures, 1000, path)
    write_document(figures, 2000, path)

    text = path.read_text()
    assert text.count(BEGIN) == text.count(END) == 1
    assert results_text(figures, 2000) in text
    assert "| 20 million/s | >= 15 million/s | met |" in text


@pytest.mark.parametrize(
    ("value", "bounds", "verdict"),
    [
        (15.0, {"at_least": 15.0}, "met"),
        (14.9, {"at_least": 15.0}, "missed"),
        (2.0, {"at_most": 2.0}, "met"),
        (2.1, {"at_most": 2.0}, "missed"),
        (NAN, {"at_most": 2.0}, "missed"),
        (2.0, {}, ""),
    ],
)
def test_a_figure_says_whether_its_target_is_met(
    value: float, bounds: dict[str, float], verdict: str
) -> None:
    assert Figure("kernel", "name", value, "times", **bounds).verdict == verdict


def _run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "benchmarks", *arguments],
        cwd=ROOT, text=True, capture_output=True, check=False,
    )  # fmt: skip


def _case(policies: PolicySet, loop: PlainLoop, order: Order) -> Case:
    """The question that the loop is about to answer: its books, and the order's price as the market."""
    loop.start_day(order.ts)
    book = loop.books[order.account]
    loop.mark(book, order.symbol, order.price)
    price = order.price
    positions = {
        symbol: Position(
            Decimal(int(held.lots)) * policies.linked.desk.instruments[symbol].lot_step,
            mark=held.mark,
        )
        for symbol, held in book.held.items()
    }
    market = {order.symbol: Market(bid=price, ask=price, last=price, mark=price, age=0.0)}
    request = OrderRequest(
        account=order.account, symbol=order.symbol, side="buy" if order.side > 0 else "sell",
        size=order.size, price=price, strategy="maker", venue="north", reduce_only=order.reduce_only,
    )  # fmt: skip
    mine = Book(
        equity=book.equity, day_start_equity=book.day_start, day_start_balance=book.day_start,
        peak_equity=book.peak, positions=positions,
    )  # fmt: skip
    desk = policies.linked.desk
    return Case(
        request, order.ts, desk.instruments, market | {
            symbol: Market(age=0.0) for symbol in positions if symbol != order.symbol
        }, {f"account/{order.account}": mine}, correlations=desk.correlations,
    )  # fmt: skip


def test_a_plan_is_measured_on_the_books_that_change(tmp_path: Path) -> None:
    base, head = plan._sides(tmp_path, 20, 10, 2)
    whole = orders_file(Workload(2000, 20), tmp_path)
    names = ["acc-00000", "acc-00001"]

    part = pq.read_table(plan._part(whole, names, tmp_path / "part.parquet"))

    found = limit_changes(PolicySet.load(base).linked, PolicySet.load(head).linked)
    assert [(each.policy, each.gate) for each in found] == [
        ("desk-0000", "total-exposure"),
        ("desk-0001", "total-exposure"),
    ]
    accounts = pq.read_table(whole)["account"].to_pylist()
    assert part["account"].to_pylist() == [each for each in accounts if each in names]


@pytest.mark.parametrize(("stolen", "told"), [((7.0, 7.0), []), ((7.0, 1e9), ["%"])])
def test_what_a_host_took_of_its_guest_is_told(
    monkeypatch: pytest.MonkeyPatch, stolen: tuple[float, float], told: list[str]
) -> None:
    seconds = iter(stolen)
    monkeypatch.setattr(measure, "_stolen_seconds", lambda: next(seconds))
    figures: list[Figure] = []

    with measure.host_watched("guard", figures):
        pass

    assert [each.unit for each in figures] == told


def test_the_plain_function_that_others_are_held_to_knows_all_gates() -> None:
    small, large = eight_ifs.Order(1.0, 100.0), eight_ifs.Order(1e5, 100.0)
    codes = [
        eight_ifs.eight_ifs(small, eight_ifs.Book(**changed))  # type: ignore[arg-type]
        for changed in (
            {},
            {"kill": 1},
            {"age": 121.0},
            {"equity": 900_000.0},
            {"peak": 1_200_000.0},
            {"positions": 10},
            {"exposure": 450_000.0},
            {"position": 100_000.0},
            {"correlated": 200_000.0},
        )
    ]

    assert codes == [
        "",
        "KILL_SWITCH",
        "DATA_QUALITY",
        "DAILY_LOSS",
        "DRAWDOWN",
        "POSITION_COUNT",
        "TOTAL_EXPOSURE",
        "POSITION_SIZE",
        "CORRELATED_EXPOSURE",
    ]
    assert eight_ifs.eight_ifs(large, eight_ifs.Book()) == "TOTAL_EXPOSURE"


def test_other_engines_say_what_the_plain_function_says() -> None:
    installed = {}
    for name, make in field_engines.ENGINES.items():
        with suppress(ImportError):
            installed[name] = make()
    if not installed:
        pytest.skip("none is installed: benchmarks/field-requirements.txt")
    small = eight_ifs.Order(1.0, 100.0)
    cases = (
        (small, eight_ifs.Book()),
        (small, eight_ifs.Book(kill=1)),
        (small, eight_ifs.Book(equity=900_000.0)),
        (small, eight_ifs.Book(positions=10)),
        (small, eight_ifs.Book(correlated=200_000.0)),
        (eight_ifs.Order(1e5, 100.0), eight_ifs.Book()),
    )

    expected = [eight_ifs.eight_ifs(*case) == "" for case in cases]
    for name, decides in installed.items():
        assert [decides(*case) for case in cases] == expected, name


def test_two_dry_runs_at_once_do_not_disturb_one_another(tmp_path: Path) -> None:
    assert end_to_end._two_apart(1_000, tmp_path) > 0
