"""Which books a change touches; and that the orders of these alone are decided as among all others."""

from pathlib import Path

import pyarrow.parquet as pq
import pytest

from replay.engine_runs import GATES, _saved, linked_set, policy
from replay.histories import history
from ringfence.language.linking import LinkedSet
from ringfence.replay.changed_books import changed_books
from ringfence.replay.dry_run import Request, dry_run

pytestmark = pytest.mark.integration

NAMES = (["a", "b"], ["s", ""], ["kraken", "binance", ""], ["BTC/USD", "ETH/USD", "ADA/EUR"])
FIRM = "\n    - rule: kill-switch@1\n"
EXPOSURE = "\n    - {rule: total-exposure@1, limits: {max: 14_000 USD}}\n"


def desk(folder: Path, *more: str, **limits: str) -> LinkedSet:
    folder.mkdir()
    return linked_set(folder, policy("desk", GATES, **limits), *more)


def extra(limit: str, scope: str = "{accounts: [b]}", **parts: str) -> str:
    text = f"\n    - {{rule: order-notional@1, limits: {{max: {limit}}}}}\n"
    return policy("more", text, scope=scope, **parts)


@pytest.mark.parametrize(
    ("base", "head", "touched"),
    [
        ([extra("5_000 USD")], [extra("4_000 USD")], {"b"}),
        ([extra("5_000 USD")], [extra("5_000.0 USD")], set()),
        ([], [extra("5_000 USD", "{accounts: ['*'], symbols: [ADA/EUR]}")], {"a", "b"}),
        ([], [extra("5_000 USD", "{symbols: [XRP/USD]}")], set()),
        ([], [extra("5_000 USD", "{accounts: [b], strategies: [other]}")], set()),
        # A switch of the firm measures no book.
        ([policy("firm", FIRM, level="firm")], [], {"a", "b"}),
    ],
)
def test_an_account_is_touched_where_its_gates_are_not_the_same(
    tmp_path: Path, base: list[str], head: list[str], touched: set[str]
) -> None:
    found = changed_books(desk(tmp_path / "base", *base), desk(tmp_path / "head", *head), *NAMES)

    assert (found.accounts, found.why) == (frozenset(touched), "")


@pytest.mark.parametrize(
    ("level", "says"), [("firm", "the book of the firm"), ("strategy", "the book of the strategy")]
)
def test_all_are_replayed_where_a_gate_measures_a_shared_book(
    tmp_path: Path, level: str, says: str
) -> None:
    shared = policy("shared", EXPOSURE, level=level)
    base = desk(tmp_path / "base", shared, extra("5_000 USD"))
    found = changed_books(base, desk(tmp_path / "head", shared, extra("4_000 USD")), *NAMES)

    assert found.accounts is None
    assert says in found.why


@pytest.mark.parametrize("seed", [3, 4])
def test_orders_of_touched_books_alone_are_decided_as_among_all(tmp_path: Path, seed: int) -> None:
    orders, quotes, _, money = history(seed, 200)
    orders = [{"order_id": f"o{key}", **each} for key, each in enumerate(orders)]
    # The account that is replayed alone begins some days later than the other.
    orders = [each for key, each in enumerate(orders) if each["account"] == "a" or key > 80]
    (tmp_path / "data").mkdir()
    sources = {"orders": orders, "balances": money, "marks": quotes}
    paths = {name: _saved(tmp_path / "data", name, rows) for name, rows in sources.items()}
    for side, limit in (("base", "6_000 USD"), ("head", "900 USD")):
        desk(tmp_path / side, extra(limit), LOSS="600 USD", COUNT="2", AGE="2h")

    def replayed(of_change: bool) -> tuple[dict[str, object], dict[str, list[dict[str, object]]]]:
        out = tmp_path / ("part" if of_change else "whole")
        request = Request(
            **paths,
            policies=str(tmp_path / "head"),
            base=str(tmp_path / "base"),
            out=out,
            report=False,
            of_change=of_change,
        )
        summary = dry_run(request).summary
        files = sorted(out.glob("decisions*.parquet"))
        return summary, {each.name: pq.read_table(each).to_pylist() for each in files}

    whole, every = replayed(of_change=False)
    part, some = replayed(of_change=True)

    assert part["books"] == {
        "touched": 1,
        "accounts": 2,
        "left_out": sum(each["account"] == "a" for each in orders),
        "why": "",
    }
    assert len(some) == 4
    for name, rows in some.items():
        assert repr(rows) == repr([each for each in every[name] if each["account"] == "b"])
    assert part["changes"]["orders"] > 0
    assert part["changes"]["mode"] == "propagated"
    assert part["changes_beside"]["mode"] == "frozen"
    for key in (
        "orders",
        "newly_rejected",
        "notional_at_stake",
        "by_gate",
        "by_symbol",
        "examples",
    ):
        assert part["changes"][key] == whole["changes"][key]


def test_nothing_is_replayed_where_no_account_faces_other_gates(tmp_path: Path) -> None:
    orders, quotes, _, money = history(5, 50)
    (tmp_path / "data").mkdir()
    paths = {
        name: _saved(tmp_path / "data", name, rows)
        for name, rows in (("orders", orders), ("balances", money), ("marks", quotes))
    }
    for side, limit in (("base", "6_000 USD"), ("head", "900 USD")):
        desk(tmp_path / side, extra(limit, "{accounts: [nobody]}"))

    found = dry_run(
        Request(
            **paths,
            policies=str(tmp_path / "head"),
            base=str(tmp_path / "base"),
            out=tmp_path / "out",
            of_change=True,
        )
    )

    assert found.summary["orders"]["replayed"] == 0
    assert found.summary["books"]["touched"] == 0
    assert "none of 2 accounts with orders faces other gates" in found.files["report"].read_text()


@pytest.mark.parametrize("given", ["fills", "nothing"])
def test_all_are_replayed_where_orders_bear_on_one_another(tmp_path: Path, given: str) -> None:
    orders, quotes, fills, money = history(5, 50)
    orders = [{"order_id": f"o{key}", **each} for key, each in enumerate(orders)]
    (tmp_path / "data").mkdir()
    sources = {"orders": orders, "balances": money}
    if given == "fills":
        sources |= {"marks": quotes, "fills": fills}
    paths = {name: _saved(tmp_path / "data", name, rows) for name, rows in sources.items()}
    for side, limit in (("base", "6_000 USD"), ("head", "900 USD")):
        desk(tmp_path / side, extra(limit))

    found = dry_run(
        Request(
            **paths,
            policies=str(tmp_path / "head"),
            base=str(tmp_path / "base"),
            out=tmp_path / "out",
            of_change=True,
            report=False,
        )
    ).summary

    assert found["books"]["touched"] == 2
    assert found["books"]["left_out"] == 0
    assert "given" in found["books"]["why"]
