"""The shipped orders, marks and balances."""

import csv
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from ringfence.errors import InputError

__all__ = ["DemoData", "Moment", "find_demo_data"]

_FILES = ("orders.parquet", "marks.parquet", "balances.csv")
_ACCOUNTS = "SELECT DISTINCT account FROM read_parquet($orders)"
# Marks before orders of the same time: an order is decided on the market that it met.
_MOMENTS = """
SELECT epoch_ns(ts) AS moment, 0 AS is_order, symbol, bid, ask, last, bid_depth, ask_depth,
       NULL AS account, NULL AS strategy, NULL AS side, NULL AS type, NULL AS size, NULL AS price
FROM read_parquet($marks)
UNION ALL
SELECT epoch_ns(ts), 1, symbol, NULL, NULL, NULL, NULL, NULL,
       account, strategy, side, type, size, price
FROM (SELECT *, row_number() OVER (ORDER BY ts) AS number FROM read_parquet($orders))
WHERE number % $every = 0
ORDER BY moment, is_order
"""


class Moment(NamedTuple):
    """An order, or market data; `at` in ns since 1970 is when that was."""

    at: int
    is_order: bool
    symbol: str
    bid: float | None
    ask: float | None
    last: float | None
    bid_depth: float | None
    ask_depth: float | None
    account: str
    strategy: str
    side: str
    type: str
    size: float
    price: float


@dataclass(frozen=True, slots=True)
class DemoData:
    """Where the files are, and the policies that they are replayed against."""

    folder: Path
    policies: Path

    def balances(self) -> dict[str, str]:
        """The first money by book, of the accounts that trade in the recording.

        Raises:
            InputError: a file cannot be read.
        """
        traded = {f"account/{account}" for (account,) in self._rows(_ACCOUNTS, {})}
        with (self.folder / "balances.csv").open(encoding="utf-8", newline="") as file:
            return {
                row["book"]: row["amount"]
                for row in csv.DictReader(file)
                if row["kind"] == "opening" and row["book"] in traded
            }

    def moments(self, every: int) -> Iterator[Moment]:
        """All market data, and every so-many-th order, in the order of their times.

        Raises:
            InputError: a file cannot be read.
        """
        marks = str(self.folder / "marks.parquet")
        yield from (Moment(*row) for row in self._rows(_MOMENTS, {"marks": marks, "every": every}))

    def _rows(self, question: str, values: dict[str, Any]) -> Iterator[tuple[Any, ...]]:
        import duckdb

        values = {"orders": str(self.folder / "orders.parquet"), **values}
        try:
            with duckdb.connect() as database:
                found = database.execute(question, values)
                while rows := found.fetchmany(1000):
                    yield from rows
        except duckdb.Error as error:
            reason = str(error).strip().splitlines()[0]
            raise InputError(f"the demo's data cannot be read: {reason}", "get it anew") from None


def find_demo_data(folder: Path | None = None, policies: Path | None = None) -> DemoData:
    """The data of the checkout that this package lies in, or of a directory.

    Args:
        folder: Holds `orders.parquet`, `marks.parquet` and `balances.csv`.
        policies: The policies' directory.

    Raises:
        InputError: something is missing; says where to get it.
    """
    root = Path(__file__).resolve().parents[4]
    folder = folder or root / "examples" / "data"
    policies = policies or root / "policies"
    missing = [folder / name for name in _FILES if not (folder / name).is_file()]
    if missing or not policies.exists():
        raise InputError(
            f"the demo needs `{(missing or [policies])[0]}`, which is not there",
            "an installed package has no example data: clone the repository and run it there, or name its "
            "directories with --demo-data examples/data --policies policies",
        )
    return DemoData(folder, policies)
