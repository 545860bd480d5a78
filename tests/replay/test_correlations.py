"""Correlations against a plain loop, on real marks, and through the command line."""

import json
import math
import re
import shlex
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringfence.cli.main import main
from ringfence.errors import InputError
from ringfence.language.linking import link_path
from ringfence.replay import correlations
from ringfence.replay.batches import MarkBatch
from ringfence.replay.codes import NameTable
from ringfence.replay.correlations import Estimate, Sampling, correlate, document, sample

pytestmark = pytest.mark.unit

ROOT = Path(__file__).resolve().parents[2]
MARKS = str(ROOT / "examples" / "data" / "marks.parquet")
NAN = math.nan
SECOND = 10**9
Mark = tuple[int, int, float, float, float]  # time, symbol, bid, ask, last
SYMBOLS = ("BTC/USD", "ETH/USD", "XRP/USD")


def batches(marks: list[Mark], rows: int = 3) -> Iterator[MarkBatch]:
    for start in range(0, len(marks), rows):
        part = marks[start : start + rows]
        ts, symbol, bid, ask, last = (np.array(column) for column in zip(*part, strict=True))
        empty = np.full(len(part), NAN)
        yield MarkBatch(
            start=start,
            ts=ts.astype(np.int64),
            symbol=symbol.astype(np.int32),
            bid=bid.astype(float),
            ask=ask.astype(float),
            last=last.astype(float),
            bid_depth=empty,
            ask_depth=empty,
            volume=empty,
            row=np.arange(len(part), dtype=np.int64),
        )


def price_of(bid: float, ask: float, last: float) -> float | None:
    if all(math.isfinite(each) and each > 0 for each in (bid, ask)) and bid <= ask:
        return bid / 2 + ask / 2
    return last if math.isfinite(last) and last > 0 else None


def plainly(marks: list[Mark], sampling: Sampling) -> dict[tuple[str, str], tuple[float, int]]:
    """The definition, mark by mark and return by return."""
    seen: dict[tuple[int, int], float] = {}
    for ts, symbol, *prices in marks:
        price = price_of(*prices)
        if price is None:
            continue
        for k in range(sampling.steps + 1):
            end = sampling.start + k * sampling.interval
            if end - sampling.interval < ts <= end:
                seen[symbol, k] = price
    found = {}
    for i in range(len(SYMBOLS)):
        for j in range(i + 1, len(SYMBOLS)):
            products, squares, count = 0.0, [0.0, 0.0], 0
            for k in range(1, sampling.steps + 1):
                at = [(s, t) for s in (i, j) for t in (k - 1, k)]
                if not all(place in seen for place in at):
                    continue
                first, second = (math.log(seen[s, k]) - math.log(seen[s, k - 1]) for s in (i, j))
                age = (sampling.steps - k) * sampling.interval
                weight = 0.5 ** (age / sampling.half_life)
                products += weight * first * second
                squares = [squares[0] + weight * first**2, squares[1] + weight * second**2]
                count += 1
            if count and squares[0] > 0 and squares[1] > 0:
                rho = products / math.sqrt(squares[0]) / math.sqrt(squares[1])
                found[SYMBOLS[i], SYMBOLS[j]] = (rho, count)
    return found


def estimated(marks: list[Mark], sampling: Sampling, rows: int = 3) -> Estimate:
    names, prices = sample(batches(marks, rows), NameTable(SYMBOLS), sampling)
    return correlate(names, prices, sampling)


PRICE = st.sampled_from([100.0, 101.0, 99.5, 103.0, 100.0, NAN, 0.0, -1.0, math.inf])
MARK = st.tuples(st.integers(0, 40), st.integers(0, 2), PRICE, PRICE, PRICE)


@given(
    st.lists(MARK, max_size=60),
    st.integers(1, 45),
    st.integers(1, 45),
    st.integers(1, 5),
    st.integers(1, 20),
    st.integers(1, 70),
)
def test_it_equals_the_plain_loop_for_any_size_of_batch(
    marks: list[Mark], as_of: int, window: int, interval: int, half_life: int, rows: int
) -> None:
    if min(window, as_of) // interval < 2:
        return
    marks = sorted(marks, key=lambda mark: mark[0])
    sampling = Sampling(as_of, window, interval, half_life)
    wanted = plainly(marks, sampling)
    got = estimated(marks, sampling, rows)

    assert {pair: each.observations for pair, each in got.pairs.items()} == {
        pair: count for pair, (_, count) in wanted.items()
    }
    for pair, each in got.pairs.items():
        assert each.rho == pytest.approx(wanted[pair][0], abs=1e-6)
        assert -1 <= each.rho <= 1


def walk(*factors: float) -> list[Mark]:
    """One mark a second of each symbol; a factor scales the log returns of one walk."""
    moves = [0.01, -0.02, 0.03, 0.01, -0.01, 0.02, -0.03, 0.02]
    marks, level = [], 0.0
    for second, move in enumerate(moves):
        level += move
        for symbol, factor in enumerate(factors):
            price = 100 * math.exp(factor * level)
            marks.append((second, symbol, price, price, NAN))
    return marks


WHOLE = Sampling(as_of=7, window=7, interval=1, half_life=3)


def test_what_moves_together_and_against_each_other_is_one_and_minus_one() -> None:
    pairs = estimated(walk(1.0, 2.0, -0.5), WHOLE).pairs

    assert pairs["BTC/USD", "ETH/USD"].rho == 1.0
    assert pairs["BTC/USD", "XRP/USD"].rho == -1.0
    assert {each.observations for each in pairs.values()} == {7}


def test_no_mark_after_the_moment_counts() -> None:
    marks = walk(1.0, 2.0)
    early = Sampling(as_of=4, window=4, interval=1, half_life=3)

    assert estimated(marks, early) == estimated([m for m in marks if m[0] <= 4], early)
    assert estimated(marks, early).pairs["BTC/USD", "ETH/USD"].observations == 4


def test_recent_returns_count_more() -> None:
    together, apart = walk(1.0, 1.0), walk(1.0, -1.0)
    turned = [mark for mark in together if mark[0] < 4] + [mark for mark in apart if mark[0] >= 4]

    def rho(half_life: int) -> float:
        sampling = Sampling(as_of=7, window=7, interval=1, half_life=half_life)
        return estimated(turned, sampling).pairs["BTC/USD", "ETH/USD"].rho

    assert rho(1) < rho(100)


def test_a_symbol_that_is_not_quoted_makes_no_observations() -> None:
    quiet = [mark for mark in walk(1.0, 1.0) if mark[1] == 0 or mark[0] in (0, 1, 4, 6, 7)]

    assert estimated(quiet, WHOLE).pairs["BTC/USD", "ETH/USD"].observations == 2


def test_a_price_that_never_moves_is_left_out_with_its_reason() -> None:
    estimate = estimated(walk(1.0, 0.0), WHOLE)

    assert estimate.pairs == {}
    assert estimate.omitted == {("BTC/USD", "ETH/USD"): "the price of one does not move"}


def test_memory_is_bounded_by_the_grid(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(InputError, match="more than 25,000,000 samples"):
        Sampling(as_of=10**18, window=10**17, interval=1, half_life=1)
    monkeypatch.setattr(correlations, "MAX_CELLS", 20)
    with pytest.raises(InputError, match="more than 20 samples"):
        estimated(walk(1.0, 1.0, 1.0), WHOLE)


@pytest.mark.parametrize(
    "change",
    [
        {"window": 0},
        {"interval": -1},
        {"half_life": 0},
        {"window": 10**19},
        {"as_of": -1},
        {"as_of": 2**63},
        {"interval": 5},
    ],
)
def test_a_grid_that_cannot_be_is_refused_with_its_fix(change: dict[str, int]) -> None:
    given = {"as_of": 7, "window": 7, "interval": 1, "half_life": 3, **change}

    with pytest.raises(InputError) as caught:
        Sampling(**given)
    assert caught.value.fix


@pytest.mark.parametrize("symbol", ["A|B", "A\nB", "A\x1bB"])
def test_a_symbol_that_would_break_the_document_is_refused(symbol: str) -> None:
    pairs = {("A", symbol): correlations.Correlation(0.5, 3)}

    with pytest.raises(InputError, match="cannot stand in a pair"):
        document(Estimate(pairs, {}), [])


def test_a_comment_stays_one() -> None:
    pairs = {("A", 'B"\\é😀'): correlations.Correlation(0.5, 3)}
    text = document(Estimate(pairs, {}), ["SELECT 1\nkind: Policy\u2028x"])

    assert text.splitlines()[:2] == ["# SELECT 1 kind: Policy x", "apiVersion: ringfence/v1"]


def run(*words: str) -> int:
    return main(["correlations", "--marks", MARKS, *words])


FINE = ("--interval", "5s", "--window", "10m", "--half-life", "2m")


def test_real_marks_become_a_document_that_policies_use(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    target = tmp_path / "correlations.yaml"

    assert run(*FINE, "-o", str(target)) == 0
    desk = link_path(target).desk
    assert set(desk.correlations) == {("BTC/USDT", "ETH/USDT")}
    rho, observations = desk.correlations["BTC/USDT", "ETH/USDT"]
    assert 0.5 < rho < 1
    assert observations == 120
    text = target.read_text(encoding="utf-8")
    assert MARKS in text
    assert "window: 10m, half-life: 2m, interval: 5s, as of: 2024-08-09T00:05:04.38" in text
    assert "1 pair of 2 symbols" in capsys.readouterr().out
    assert run(*FINE) == 0
    assert capsys.readouterr().out == text


def test_json_says_the_same(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(*FINE, "--as-of", "2024-08-09T00:00:00Z", "--json") == 0
    said: dict[str, Any] = json.loads(capsys.readouterr().out)

    assert said["as_of"] == "2024-08-09T00:00:00.000000000Z"
    assert said["correlations"]["BTC/USDT|ETH/USDT"]["observations"] < 120
    assert said["omitted"] == {}


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (("--window", "10"), "--window: `10` has no unit of time"),
        (("--interval", "0s"), "the interval is not between"),
        (("--half-life", "1e300d"), "the half-life is not between"),
        (("--as-of", "noon"), "`noon` is not a time"),
        (("--as-of", "2020-01-01"), "no two symbols can be correlated"),
        (("--interval", "1ns"), "more than 25,000,000 samples"),
        (("-o", "."), "`.` cannot be written: is a directory"),
        (("--mapping", "no-such-mapping"), "no-such-mapping"),
    ],
)
def test_bad_usage_is_one_line_and_its_fix(
    words: tuple[str, ...], reason: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(*words) == 2
    error = capsys.readouterr().err
    assert reason in error
    assert "fix: " in error


def test_marks_that_cannot_be_used_are_counted(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    marks = tmp_path / "marks.csv"
    marks.write_text("ts;symbol;last\n2026-01-05T12:00:00Z;BTC/USD;1,5\n2026-01-05T13:00:00Z;;1\n")

    assert main(["correlations", "--marks", str(marks)]) == 2
    error = capsys.readouterr().err
    assert "ringfence: 1 mark left out: last is not a number\n" in error
    assert "ringfence: 1 mark left out: no symbol\n" in error


def test_the_how_to_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(ROOT / "policies", tmp_path / "policies")
    (tmp_path / "examples").symlink_to(ROOT / "examples")
    monkeypatch.chdir(tmp_path)
    text = (ROOT / "docs" / "correlations.md").read_text(encoding="utf-8")
    commands = re.findall(r"```console exit=(\d)\n\$ ringfence (.*)\n```", text)

    assert len(commands) == text.count("```console") == 4
    for code, words in commands:
        assert main(shlex.split(words)) == int(code), capsys.readouterr()
    assert link_path(tmp_path / "policies").desk.correlations
