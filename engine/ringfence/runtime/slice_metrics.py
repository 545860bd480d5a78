"""What a guard of a group tells of its slice."""

from collections.abc import Iterable, Mapping

from ringfence.runtime.firm_slices import PARTS
from ringfence.runtime.guard_books import GuardBooks
from ringfence.runtime.metrics import Metric, Sample

__all__ = ["slice_metrics"]

_MILLIONTHS = 1e6


def slice_metrics(books: GuardBooks, moves: Mapping[str, int], reclaims: int) -> Iterable[Metric]:
    """The metrics of a slice; none of books that are the whole firm's.

    Args:
        books: The group's.
        moves: How often the guard took and gave back, as `in` and `out`.
        reclaims: How often it gave back for another group.
    """
    if not books.slice_unit:
        return
    capital = books.slice.capital * books.slice_unit / _MILLIONTHS
    yield Metric(
        "ringfence_slice_capital",
        "gauge",
        "Capital of the firm that the group holds.",
        (Sample({}, capital),),
    )
    yield Metric(
        "ringfence_slice_share",
        "gauge",
        "Share of the firm's absolute limits that the group holds.",
        (Sample({}, books.slice.share / PARTS),),
    )
    yield Metric(
        "ringfence_slice_moves",
        "counter",
        "Times that this guard took a part of the firm's limits, or gave one back.",
        tuple(Sample({"direction": way}, count) for way, count in moves.items()),
    )
    yield Metric(
        "ringfence_slice_reclaims",
        "counter",
        "Times that this guard gave back what another group did not use.",
        (Sample({}, reclaims),),
    )
