"""Rows of a replay made again: the engine and the reference decide on them what they decided in the run."""

import math
from dataclasses import replace

import pytest

from replay.engine_runs import GATES, _saved, linked_set, policy, run
from replay.histories import compare, history
from replay.test_engine_differential import (
    FIRM,
    FIRM_HALTING,
    HALTING,
    MORE,
    ORDERS,
    TAKER_HALTING,
    TIMED,
)
from ringfence.backends.reference import decide
from ringfence.errors import InputError
from ringfence.replay.dry_run import Request
from ringfence.replay.remade import remake

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def linked(tmp_path_factory):
    # The structure of the engine's own tests, which is compiled once.
    return linked_set(
        tmp_path_factory.mktemp("remade"),
        policy("desk", GATES + ORDERS, LOSS="600 USD", DRAWDOWN="15%", COUNT="2"),
        policy("firm", FIRM, level="firm", day='{time: "17:00", zone: America/New_York}'),
        policy("more", MORE, scope="{accounts: [b]}"),
        policy("timed", TIMED, scope="{venues: [kraken]}"),
        policy(
            "taker",
            "\n    - {rule: total-exposure@1, limits: {max: 6_000 USD}}\n",
            level="strategy",
            scope="{strategies: [s]}",
        ),
    )


def requested(folder, orders, mode, **sources):
    orders = [{"order_id": f"o{key}", **each} for key, each in enumerate(orders)]
    paths = {name: _saved(folder, name, rows) for name, rows in sources.items() if rows}
    return Request(orders=_saved(folder, "orders", orders), mode=mode, batch_rows=50, **paths)


@pytest.mark.parametrize("mode", ["propagated", "frozen"])
@pytest.mark.parametrize("with_marks", [True, False])
@pytest.mark.parametrize("with_fills", [True, False])
def test_a_row_made_again_is_what_it_was(linked, tmp_path, mode, with_marks, with_fills):
    orders, marks, fills, money = history(5, count=150)
    sources = {
        "marks": marks if with_marks else None,
        "fills": fills if with_fills else None,
        "balances": money,
    }
    found, _ = run(tmp_path, linked, orders, mode=mode, **sources)

    _same_rows(requested(tmp_path, orders, mode, **sources), linked, found, (0, 101, 149))


def test_a_row_behind_a_halt_made_again_is_what_it_was(tmp_path):
    halting = linked_set(
        tmp_path,
        policy("desk", HALTING, LOSS="500 USD", DRAWDOWN="8%", EXPOSURE="30_000 USD"),
        policy("firm", FIRM_HALTING, level="firm", day='{time: "17:00", zone: America/New_York}'),
        policy("taker", TAKER_HALTING, level="strategy", scope="{strategies: [s]}"),
    )
    orders, marks, _, money = history(17, count=400)
    sources = {"marks": marks, "balances": money}
    found, _ = run(tmp_path, halting, orders, halts_until="end", **sources)
    request = replace(requested(tmp_path, orders, "propagated", **sources), halts_until="end")

    at = [place for place, row in enumerate(found) if row["code"] == "KILL_SWITCH"]
    _same_rows(request, halting, found, (at[0], at[-1]))


def _same_rows(request, linked, found, positions):
    for position in positions:
        remade = remake(request, linked, request.mode, position)

        row = found[position]
        assert remade.order_id == row["order_id"]
        for name in ("decision", "size"):
            assert remade.row[name] == row[name]
        for name, (outcome, measure, limit) in row["gates"].items():
            assert remade.row[f"{name}.outcome"] == outcome
            for part, value in (("measure", measure), ("limit", limit)):
                known = None if math.isnan(value) else value
                assert remade.row[f"{name}.{part}"] == known
        compare([row], [decide(linked, remade.case)])


def test_a_row_that_is_not_there_is_said(linked, tmp_path):
    orders, marks, _, money = history(5, count=20)
    request = requested(tmp_path, orders, "propagated", marks=marks, balances=money)

    with pytest.raises(InputError, match="the orders have no row 21"):
        remake(request, linked, "propagated", 20)
