"""Breaches that are to halt a book and wait for further ticks, so that one bad price halts nobody."""

from collections.abc import Iterable, Sequence

from ringfence.backends.numba_kernel import layout
from ringfence.backends.numba_kernel.layout import Books
from ringfence.language.gates import Gate
from ringfence.language.linking import Bound

__all__ = ["BreachTicks", "held_times", "target_of"]


def target_of(gate: Gate, account: str, strategy: str) -> str:
    """The switch of the book that a gate measures for an order of these names."""
    if gate.level == "firm":
        return "firm"
    return f"account/{account}" if gate.level == "account" else f"strategy/{strategy}"


class BreachTicks:
    """Counts, for each gate and book, the ticks at which orders or looks met a breach, one after the other.

    A tick has passed once every symbol that the book holds has market data newer than any of it had when the breach
    was met before. A dry run counts alike (`jit_halts`). Counts are in memory: a guard that starts counts anew.
    """

    def __init__(self) -> None:
        self._counts: dict[tuple[str, str], int] = {}
        self._latest: dict[tuple[str, str], int] = {}

    def __bool__(self) -> bool:
        """Whether any breach waits."""
        return bool(self._counts)

    def concern(self, bounds: Iterable[Bound], account: str, strategy: str) -> bool:
        """Whether a breach waits that an order of these names may meet again, or find kept."""
        return any(
            (each.gate.label, target_of(each.gate, account, strategy)) in self._counts
            for each in bounds
        )

    def confirm(self, gate: Gate, target: str, times: Sequence[int]) -> bool:
        """Count a breach; whether it halts the book.

        Args:
            gate: Found it.
            target: The switch of the book.
            times: As `held_times` gives them of the books in which it was found.
        """
        if gate.confirm_ticks == 1:
            return True
        if not times:
            # It holds nothing whose price could be wrong.
            return True
        key = (gate.label, target)
        met, latest = self._counts.get(key, 0), self._latest.get(key, 0)
        if min(times) > latest:
            met += 1
            self._latest[key] = max(times)
        if met:
            self._counts[key] = met
        return met >= gate.confirm_ticks

    def forget(self, gate: Gate, target: str) -> None:
        """The limit is kept, or the book is halted: count anew."""
        self._counts.pop((gate.label, target), None)

    def clear(self) -> None:
        """Other limits hold."""
        self._counts.clear()
        self._latest.clear()


def held_times(books: Books, b: int) -> list[int]:
    """When the market data of each symbol that the book of row `b` holds was seen, ns."""
    held = books.held[b, : int(books.book_n[b, layout.HELD])]
    return [int(books.sym_ts[s]) for s in held.tolist() if books.pos[b, s, layout.Q] != 0.0]
