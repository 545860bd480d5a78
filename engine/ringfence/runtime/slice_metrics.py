"""What a guard of a group tells of its slice."""

from collections.abc import Iterable, Mapping

from ringfence.runtime.firm_slices import PARTS
from ringfence.runtime.guard_books import GuardBooks
from ringfence.runtime.metric_table import metric, one
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
    yield one("ringfence_slice_capital", capital)
    yield one("ringfence_slice_share", books.slice.share / PARTS)
    yield metric(
        "ringfence_slice_moves",
        (Sample({"direction": way}, count) for way, count in moves.items()),
    )
    yield one("ringfence_slice_reclaims", reclaims)
