"""Rows that cannot be replayed: counted by reason, the first of each listed, none dropped in silence."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

__all__ = ["Reject", "Rejects"]


@dataclass(frozen=True, slots=True)
class Reject:
    """One row that cannot be replayed.

    Attributes:
        row: Row in the source, counted from 1 without a header.
        order_id: The row's order id, empty where it has none.
        reason: The reason it is counted under.
        detail: The offending value, as text.
    """

    row: int
    order_id: str
    reason: str
    detail: str


@dataclass(slots=True)
class Rejects:
    """What could not be replayed from one source.

    Attributes:
        counts: Rows by reason, complete.
        examples: The first `limit` rows of each reason, in the order of the source.
        limit: How many examples a reason may have.
    """

    limit: int = 100
    counts: dict[str, int] = field(default_factory=dict)
    examples: list[Reject] = field(default_factory=list)

    @property
    def total(self) -> int:
        """All rows that could not be replayed."""
        return sum(self.counts.values())

    def clear(self) -> None:
        """Forget everything: a stream is about to be read from its start again."""
        self.counts.clear()
        self.examples.clear()

    def add(self, reason: str, count: int, examples: Iterable[Reject]) -> None:
        """Count `count` rows under `reason` and keep as many `examples` as there is room for."""
        if count <= 0:
            return
        already = sum(1 for kept in self.examples if kept.reason == reason)
        room = max(0, self.limit - already)
        for example in examples:
            if room <= 0:
                break
            self.examples.append(example)
            room -= 1
        self.counts[reason] = self.counts.get(reason, 0) + count

    def as_dict(self) -> dict[str, Mapping[str, object]]:
        """Return `{reason: {count, examples: [{row, order_id, detail}]}}`, reasons sorted."""
        return {
            reason: {
                "count": self.counts[reason],
                "examples": [
                    {"row": one.row, "order_id": one.order_id, "detail": one.detail}
                    for one in sorted(self.examples, key=lambda r: r.row)
                    if one.reason == reason
                ],
            }
            for reason in sorted(self.counts)
        }
