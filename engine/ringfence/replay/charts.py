"""The plots of a dry run's report, drawn by matplotlib into SVG that a page can inline.

Drawn when the report is written, so that the page needs no chart library and the same summary gives
the same bytes. matplotlib is imported only when something is drawn.
"""

import io
import itertools
import logging
import math
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from ringfence.replay.inline_svg import COLOURS, Frame, inlined
from ringfence.replay.wording import duration

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["MARGINS", "bucket_edges", "draw_decisions", "draw_equity", "draw_utilisation"]

_SIZE_PX = 11.0
_LEFT, _RIGHT, _TOP, _BOTTOM, _GAP = 66, 22, 20, 34, 30
_CEILING = 2.0
#: Characters of a label that fit beside the upright axis.
_LONGEST = 8
#: Pixels left and right of the axis of time, in every drawing.
MARGINS = (_LEFT, _RIGHT)
_THOUSANDS = ((1e15, "P"), (1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k"))

Series = Sequence[float | None]


def bucket_edges(starts: Sequence[str], end: str | None) -> list[float]:
    """Return the edges of the buckets in seconds since the epoch, one more than there are buckets.

    Args:
        starts: Start of each bucket, ISO 8601, rising.
        end: Time of the last order, which closes a lone bucket; an hour where it is missing.
    """
    edges = [_seconds(start) for start in starts]
    if not edges:
        return []
    if len(edges) > 1:
        return [*edges, edges[-1] + (edges[-1] - edges[-2])]
    last = _seconds(end) if end else 0.0
    return [*edges, last if last > edges[0] else edges[0] + 3600.0]


def _seconds(iso: str) -> float:
    when = datetime.fromisoformat(iso)
    return (when if when.tzinfo else when.replace(tzinfo=UTC)).timestamp()


def draw_decisions(
    head: Mapping[str, Any], base: Mapping[str, Any] | None, edges: Sequence[float], frame: Frame
) -> str:
    """Draw decisions over time: all of head's, then those that held an order back, base beside.

    Args:
        head: `series.decisions` of head: lists of counts per bucket.
        base: The same of base, or None.
        edges: As from `bucket_edges`.
        frame: Size of the drawing.
    """
    with _Canvas("decisions", frame, edges, rows=2) as canvas:
        whole, held = canvas.axes
        _stack(whole, head, ("REJECT", "REDUCE_SIZE", "APPROVE"), canvas.days)
        _stack(held, head, ("REJECT", "REDUCE_SIZE"), canvas.days)
        if base:
            stopped = [a + b for a, b in zip(base["REJECT"], base["REDUCE_SIZE"], strict=True)]
            _line(held, stopped, canvas.days, "strong", dashed=True)
        each = duration(edges[1] - edges[0])
        canvas.head(whole, f"all decisions, orders in each {each}")
        canvas.head(held, f"held back only, orders in each {each}")
        for axes in canvas.axes:
            axes.set_ylim(0, max(axes.get_ylim()[1], 1))
            _numbers(axes, whole=True)
        return canvas.plot()


def draw_equity(
    head: Mapping[str, Any],
    base: Mapping[str, Any] | None,
    edges: Sequence[float],
    currency: str,
    frame: Frame,
) -> str:
    """Draw equity in `currency` and, below it, drawdown in percent, of head and base.

    Args:
        head: `series` of head, with `equity` and `drawdown` (ratios, 0.03 is 3 %) per bucket.
        base: The same of base, or None.
        edges: As from `bucket_edges`.
        currency: Written beside the axis.
        frame: Size of the drawing.
    """
    with _Canvas("equity", frame, edges, rows=2) as canvas:
        equity, drawdown = canvas.axes
        for side, series in (("base", base), ("head", head)):
            if series:
                _line(equity, series["equity"], canvas.days, side, dashed=side == "base")
                fall = [None if x is None else -100.0 * x for x in series["drawdown"]]
                _line(drawdown, fall, canvas.days, side, dashed=side == "base")
        start = _numbers(equity)
        canvas.head(equity, f"equity, {currency}" + (f", above {start:,.10g}" if start else ""))
        canvas.head(drawdown, "drawdown from the peak, %")
        low = min(drawdown.get_ylim()[0], -0.1)
        drawdown.set_ylim(low * 1.05, -low * 0.08)
        _numbers(drawdown)
        return canvas.plot()


def draw_utilisation(
    key: str,
    head: Mapping[str, Series],
    base: Mapping[str, Series] | None,
    edges: Sequence[float],
    frame: Frame,
) -> str:
    """Draw how much of one limit was used over time: quantiles, maximum, and the limit at 100 %.

    The axis runs from 0 to 105 %, or as far as 200 % where the limit was passed; what lies beyond
    is cut off, and the caption must say so.

    Args:
        key: Unique in the page; lower-case letters, digits and dashes.
        head: `max`, `p50`, `p90` per bucket, as ratios.
        base: The same of base, or None; its maximum is drawn.
        edges: As from `bucket_edges`.
        frame: Size of the drawing.
    """
    with _Canvas(key, frame, edges, rows=1) as canvas:
        axes = canvas.axes[0]
        shares = {name: [_cut(x) for x in values] for name, values in head.items()}
        _band(axes, shares["p50"], shares["p90"], canvas.days)
        if base:
            _line(axes, [_cut(x) for x in base["max"]], canvas.days, "base", dashed=True)
        _line(axes, shares["max"], canvas.days, "head")
        axes.axhline(100, color=COLOURS["limit"], linewidth=1.1, dashes=(6, 3))
        tops = [*shares["max"], *([_cut(x) for x in base["max"]] if base else [])]
        top = max((x for x in tops if x is not None), default=0.0)
        axes.set_ylim(0, 105 if top <= 104 else min(top * 1.05, _CEILING * 100))
        axes.set_yticks(
            [0, 50, 100] if top <= 130 else [0, 50, 100, 150, 200][: int(top // 50) + 1]
        )
        axes.yaxis.set_major_formatter(lambda value, _: f"{value:.0f} %")
        return canvas.plot()


def _cut(ratio: float | None) -> float | None:
    """Return a ratio in percent; what lies far off the axis is pulled in, to keep paths small."""
    return None if ratio is None else 100.0 * min(ratio, 2 * _CEILING)


def _floats(values: Series) -> list[float]:
    return [math.nan if value is None else float(value) for value in values]


def _line(
    axes: "Axes", values: Series, edges: Sequence[float], colour: str, dashed: bool = False
) -> None:
    axes.stairs(
        _floats(values),
        list(edges),
        baseline=None,
        color=COLOURS[colour],
        linewidth=1.4,
        linestyle=(0, (4, 2)) if dashed else "solid",
    )


def _stack(
    axes: "Axes", counts: Mapping[str, Sequence[int]], order: Sequence[str], edges: Sequence[float]
) -> None:
    names = {"APPROVE": "approve", "REDUCE_SIZE": "reduce", "REJECT": "reject"}
    floor = [0.0] * (len(edges) - 1)
    for decision in order:
        top = [low + n for low, n in zip(floor, counts[decision], strict=True)]
        axes.stairs(
            top, list(edges), baseline=floor, fill=True, color=COLOURS[names[decision]], linewidth=0
        )
        floor = top


def _band(axes: "Axes", low: Series, high: Series, edges: Sequence[float]) -> None:
    # One path for each run of buckets that have values: a gap must stay a gap.
    known = [a is not None and b is not None for a, b in zip(low, high, strict=True)]
    for present, group in itertools.groupby(range(len(known)), key=lambda i: known[i]):
        if present:
            run = list(group)
            start, stop = run[0], run[-1] + 1
            axes.stairs(
                _floats(high[start:stop]),
                list(edges[start : stop + 1]),
                baseline=_floats(low[start:stop]),
                fill=True,
                color=COLOURS["band"],
                linewidth=0,
            )


def _numbers(axes: "Axes", whole: bool = False) -> float:
    """Label the upright axis in few characters; `whole` keeps its ticks on whole numbers.

    Returns:
        What the labels count from: 0, or a number where they would else be too long to be told apart.
    """
    from matplotlib.ticker import MaxNLocator

    locator = MaxNLocator(nbins=4, integer=whole, min_n_ticks=1 if whole else 2)
    axes.yaxis.set_major_locator(locator)
    low, high = axes.get_ylim()
    ticks = [float(tick) for tick in locator.tick_values(low, high) if low <= tick <= high]
    step = ticks[1] - ticks[0] if len(ticks) > 1 else 0.0
    start = ticks[0] if any(len(_brief(tick, step)) > _LONGEST for tick in ticks) else 0.0
    sign = "+" if start else ""
    axes.yaxis.set_major_formatter(
        lambda value, _: (sign if value != start else "") + _brief(value - start, step)
    )
    return start


def _brief(value: float, step: float) -> str:
    """Return a tick's label, with the digits that its distance to the next tick has."""
    if abs(value) < step / 1e6:
        return "0"
    divisor, unit = next(((d, u) for d, u in _THOUSANDS if abs(value) >= d), (1.0, ""))
    value, step = value / divisor, step / divisor
    digits = next((d for d in range(9) if abs(round(step, d) - step) < step / 1e3), 9)
    return f"{value:,.{digits}f}{unit}".replace("-", "\N{MINUS SIGN}")


class _Canvas:
    """A figure with one or two axes on a shared axis of time, at fixed margins in pixels."""

    def __init__(self, key: str, frame: Frame, edges: Sequence[float], rows: int) -> None:
        self.key = f"{key}-{frame.name}"
        self.frame = frame
        self.days = [edge / 86400.0 for edge in edges]
        self.rows = rows

    def __enter__(self) -> "_Canvas":
        # It warns of a home that cannot be written, and does without.
        logging.getLogger("matplotlib").setLevel(logging.ERROR)
        import matplotlib
        from matplotlib.figure import Figure

        self._settings = matplotlib.rc_context()
        self._settings.__enter__()
        # Whatever a matplotlibrc on this machine says, the drawing is the same.
        matplotlib.rcdefaults()
        matplotlib.rcParams.update(_settings())
        width, height = self.frame.width, self.frame.height
        self.figure: Figure = Figure(figsize=(width / 72, height / 72), dpi=72)
        inner = (height - _TOP - _BOTTOM - _GAP * (self.rows - 1)) / self.rows
        self.axes: list[Axes] = []
        for row in range(self.rows):
            bottom = height - _TOP - inner * (row + 1) - _GAP * row
            box = (_LEFT / width, bottom / height, (width - _LEFT - _RIGHT) / width, inner / height)
            self.axes.append(self.figure.add_axes(box))
        self._dress()
        return self

    def __exit__(self, *failure: object) -> None:
        self._settings.__exit__(None, None, None)

    def _dress(self) -> None:
        from matplotlib.dates import AutoDateLocator, ConciseDateFormatter

        for axes in self.axes:
            axes.set_xlim(self.days[0], self.days[-1])
            locator = AutoDateLocator(  # type: ignore[no-untyped-call]
                minticks=2, maxticks=self.frame.ticks
            )
            # A frame's ends carry the whole date, in the caption; the ticks need only their part.
            form = ConciseDateFormatter(locator, show_offset=False)  # type: ignore[no-untyped-call]
            form.formats = ["%Y", "%b %Y", "%d %b", "%H:%M", "%H:%M", "%H:%M:%S"]
            form.zero_formats = ["", "%Y", "%b", "%d %b", "%H:%M", "%H:%M"]
            axes.xaxis.set_major_locator(locator)
            axes.xaxis.set_major_formatter(form)
            axes.spines[["top", "right", "left"]].set_visible(False)
            axes.grid(axis="y", linewidth=0.8)
            axes.set_axisbelow(True)
        for axes in self.axes[:-1]:
            axes.tick_params(labelbottom=False)

    def head(self, axes: "Axes", text: str) -> None:
        """Write what `axes` shows, and its unit, above it."""
        axes.set_title(text, loc="left", fontsize=_SIZE_PX, color=COLOURS["ink"], pad=5)

    def plot(self) -> str:
        text = io.StringIO()
        blank = dict.fromkeys(("Date", "Creator", "Format", "Type"))
        self.figure.savefig(text, format="svg", transparent=True, metadata=blank)
        return inlined(text.getvalue(), self.key, self.frame)


def _settings() -> Any:
    ink, rule = COLOURS["ink"], COLOURS["rule"]
    return {
        "svg.fonttype": "none",
        "svg.hashsalt": "ringfence",
        "text.parse_math": False,  # a currency named `$x$` is a name
        "font.family": "DejaVu Sans",  # ships with matplotlib: same layout on every machine
        "font.size": _SIZE_PX,
        "timezone": "UTC",
        "text.color": ink,
        "axes.edgecolor": rule,
        "axes.labelcolor": ink,
        "axes.titlecolor": ink,
        "grid.color": rule,
        "xtick.color": rule,
        "ytick.color": rule,
        "xtick.labelcolor": ink,
        "ytick.labelcolor": ink,
        "ytick.major.size": 0,
        "axes.unicode_minus": True,
    }
