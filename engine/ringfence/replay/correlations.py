"""Correlations of symbols from their marks, as a `kind: Instruments` document that policies use.

Exponentially weighted as in J.P. Morgan/Reuters, RiskMetrics Technical Document, 4th edition, 1996,
section 5.2: covariances and variances are weighted sums of products of log returns, without a mean,

    cov(i, j) = sum of w_k r_ik r_jk,    rho(i, j) = cov(i, j) / sqrt(cov(i, i) cov(j, j)),

with weights that halve with each half-life (their decay factor is 0.5 ** (interval / half-life)).

Own choices, which keep quiet symbols from looking independent: a price holds only for the interval in
which it was seen, so a return needs a mark in two intervals in a row; and each pair's three sums run
over the intervals in which both symbols have a return. Those intervals are the pair's observations.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ringfence.errors import InputError
from ringfence.replay.batches import Floats, MarkBatch
from ringfence.replay.codes import NameTable

__all__ = ["Correlation", "Estimate", "Sampling", "correlate", "document", "sample"]

# Intervals times symbols: what is held in memory, 8 bytes each.
MAX_CELLS = 25_000_000
DIGITS = 6
# In nanoseconds; sums and differences of these stay within 64 bits.
LONGEST = 100 * 366 * 86_400 * 10**9
LATEST = 140 * 366 * 86_400 * 10**9


@dataclass(frozen=True, slots=True)
class Sampling:
    """The grid on which prices are taken: all times in nanoseconds.

    Attributes:
        as_of: The end, since 1970 UTC; no later mark is looked at.
        window: How far back it goes; a whole number of intervals counts.
        interval: Distance of two samples.
        half_life: Age at which a return counts half as much as a new one.
    """

    as_of: int
    window: int
    interval: int
    half_life: int

    def __post_init__(self) -> None:
        for name in ("window", "interval", "half_life"):
            if not 0 < getattr(self, name) < LONGEST:
                shown = name.replace("_", "-")
                raise InputError(
                    f"the {shown} is not between a nanosecond and a hundred years",
                    f"give --{shown} a duration such as 30d",
                )
        if not 0 <= self.as_of < LATEST:
            raise InputError("--as-of is no time from 1970 to 2110", "write 2026-01-31T08:00:00Z")
        if self.steps < 2:
            raise InputError(
                "the window holds fewer than two intervals",
                "give a longer --window, or a shorter --interval",
            )
        _check_size(self.steps)

    @property
    def steps(self) -> int:
        """Intervals in the window, which starts in 1970 at the earliest."""
        return min(self.window, self.as_of) // self.interval

    @property
    def start(self) -> int:
        """The first sample's time."""
        return self.as_of - self.steps * self.interval


@dataclass(frozen=True, slots=True)
class Correlation:
    """Of two symbols: rho from -1 to 1, and from how many intervals it comes."""

    rho: float
    observations: int


@dataclass(frozen=True, slots=True)
class Estimate:
    """What the marks say.

    Attributes:
        pairs: By the two symbols, in sorted order.
        omitted: Pairs of which nothing can be said, and why. A guard counts them as fully correlated.
    """

    pairs: Mapping[tuple[str, str], Correlation]
    omitted: Mapping[tuple[str, str], str]


def sample(
    marks: Iterable[MarkBatch], symbols: NameTable, sampling: Sampling
) -> tuple[list[str], Floats]:
    """Take each symbol's last price in each interval.

    The price is the middle of bid and ask; without an uncrossed pair of them, the last trade.

    Args:
        marks: Batches in time order.
        symbols: Their table of symbols; it may grow while they are read.
        sampling: The grid.

    Returns:
        The symbols seen, sorted, and their prices of shape (steps + 1, symbols). Row k holds what was
        last seen after sample k - 1, at sample k at the latest; NaN where nothing was.

    Raises:
        InputError: the grid is too fine for that many symbols.
    """
    rows = sampling.steps + 1
    columns: dict[int, Floats] = {}
    for batch in marks:
        if len(batch) and batch.ts[0] > sampling.as_of:
            break
        price = _prices(batch)
        inside = (batch.ts > sampling.start - sampling.interval) & (batch.ts <= sampling.as_of)
        rows_of = np.flatnonzero(inside & ~np.isnan(price))
        # By symbol, each in time order.
        rows_of = rows_of[np.argsort(batch.symbol[rows_of], kind="stable")]
        codes, firsts = np.unique(batch.symbol[rows_of], return_index=True)
        for code, mine in zip(codes.tolist(), np.split(rows_of, firsts[1:]), strict=False):
            column = columns.get(code)
            if column is None:
                _check_size(rows * (len(columns) + 1))
                column = columns[code] = np.full(rows, np.nan)
            # Rounded up: a sample closes its interval. Of several values for one place the last stays.
            column[-((sampling.start - batch.ts[mine]) // sampling.interval)] = price[mine]
    names = sorted((symbols[code], code) for code in columns)
    grid = np.full((rows, len(names)), np.nan)
    for at, (_, code) in enumerate(names):
        grid[:, at] = columns.pop(code)
    return [name for name, _ in names], grid


def _prices(batch: MarkBatch) -> Floats:
    def usable(price: Floats) -> npt.NDArray[np.bool_]:
        return np.isfinite(price) & (price > 0)

    quoted = usable(batch.bid) & usable(batch.ask) & (batch.bid <= batch.ask)
    # Halved first: the sum of two large prices is no number.
    middle = np.where(quoted, batch.bid / 2 + batch.ask / 2, np.nan)
    last = np.where(usable(batch.last), batch.last, np.nan)
    return np.where(quoted & usable(middle), middle, last)


def correlate(symbols: list[str], prices: Floats, sampling: Sampling) -> Estimate:
    """Correlate the log returns of all pairs of symbols.

    Args:
        symbols: Names, sorted.
        prices: As `sample` gives them: shape (steps + 1, symbols), above zero or NaN.
        sampling: The grid; the last row stands at its end.
    """
    returns = np.diff(np.log(prices), axis=0)
    seen = np.isfinite(returns)
    returns = np.where(seen, returns, 0.0)
    age = np.arange(len(returns) - 1, -1, -1, dtype=np.float64)
    weights = np.exp2(-age * (sampling.interval / sampling.half_life))[:, np.newaxis]
    products = (weights * returns).T @ returns
    squares = (weights * returns**2).T @ seen.astype(np.float64)
    counts = seen.T.astype(np.float64) @ seen
    pairs: dict[tuple[str, str], Correlation] = {}
    omitted: dict[tuple[str, str], str] = {}
    for i, low in enumerate(symbols):
        for j in range(i + 1, len(symbols)):
            observations = int(counts[i, j])
            scale = np.sqrt(squares[i, j]) * np.sqrt(squares[j, i])
            if not observations:
                omitted[low, symbols[j]] = "no interval has a return of both"
            elif not scale > 0:
                omitted[low, symbols[j]] = "the price of one does not move"
            else:
                rho = round(float(products[i, j] / scale), DIGITS)
                pairs[low, symbols[j]] = Correlation(min(1.0, max(-1.0, rho)), observations)
    return Estimate(pairs, omitted)


def document(estimate: Estimate, comments: Iterable[str]) -> str:
    """The estimate as YAML: a `kind: Instruments` document that a policy set can hold.

    Args:
        estimate: At least one pair.
        comments: Lines on where it comes from, put before it.

    Raises:
        InputError: there is no pair, or a symbol that no pair can be written with.
    """
    if not estimate.pairs:
        reasons = sorted(set(estimate.omitted.values()))
        raise InputError(
            f"no two symbols can be correlated: {reasons[0] if reasons else 'there are not two'}",
            "give an --interval no shorter than the distance of the marks, and an --as-of and "
            "--window in which there are marks",
        )
    for symbol in {name for pair in estimate.pairs for name in pair}:
        if "|" in symbol or not symbol.isprintable():
            raise InputError(
                f"the symbol {symbol!r} cannot stand in a pair", "rename it in a mapping"
            )
    lines = [f"# {_printable(comment)}" for comment in comments]
    lines += [
        "apiVersion: ringfence/v1",
        "kind: Instruments",
        "metadata:",
        "  name: correlations",
        "  version: 1.0.0",
        "  description: Correlations of symbols, estimated from their marks.",
        "spec:",
        "  correlations:",
    ]
    lines += [
        f"    {json.dumps(f'{low}|{high}', ensure_ascii=False)}: "
        f"{{rho: {each.rho:.{DIGITS}f}, observations: {each.observations}}}"
        for (low, high), each in estimate.pairs.items()
    ]
    return "\n".join(lines) + "\n"


def _printable(text: Any) -> str:
    """One line that cannot leave its comment."""
    return "".join(each if each.isprintable() else " " for each in str(text))


def _check_size(cells: int) -> None:
    if cells > MAX_CELLS:
        raise InputError(
            f"the grid has more than {MAX_CELLS:,} samples",
            "give a longer --interval, or a shorter --window",
        )
