"""A log in batches: while a sink takes one, the next one is read and made ready in another thread."""

from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from typing import NamedTuple

from ringfence.runtime.audit_mask import Mask
from ringfence.runtime.audit_reader import AuditReader, RawRecord
from ringfence.runtime.audit_stored import Stored, stored

__all__ = ["BATCH", "Batch", "Batches"]

#: Records of one transaction, unless they are large.
BATCH = 10_000
_BATCH_BYTES = 32 << 20
_SOME = 1_000


class Batch(NamedTuple):
    """Records, their rows, and whether more of them were there already."""

    records: list[RawRecord]
    rows: list[Stored]
    more: bool


class Batches:
    """The batches of a log from one place on; one thread uses it at a time."""

    def __init__(self, reader: AuditReader, mask: Mask) -> None:
        self._reader, self._mask = reader, mask
        self._coming: Iterator[RawRecord] = iter(())
        self._ahead: Future[Batch] | None = None
        self._pool: ThreadPoolExecutor | None = None

    def next(self) -> Batch:
        """The next batch, empty at the log's end.

        Raises:
            AuditError: the log cannot be read; this object is then of no more use.
        """
        ahead, self._ahead = self._ahead, None
        batch = self._read() if ahead is None else ahead.result()
        if batch.more:
            if self._pool is None:
                self._pool = ThreadPoolExecutor(1, "ringfence-sink-ahead")
            self._ahead = self._pool.submit(self._read)
        elif self._pool is not None:
            self.close()
        return batch

    def close(self) -> None:
        """Read no further ahead."""
        pool, self._pool = self._pool, None
        if pool is not None:
            pool.shutdown(cancel_futures=True)

    def _read(self) -> Batch:
        records, more = self._some()
        if not records:
            # What was listed is read to its end; files may have been added since.
            self._coming = self._reader.poll_raw(complete=True)
            records, more = self._some()
        return Batch(records, stored(records, self._mask), more)

    def _some(self) -> tuple[list[RawRecord], bool]:
        found: list[RawRecord] = []
        size = 0
        # Bodies differ a thousandfold in size; what is taken at once stays within what memory has room for.
        while len(found) < BATCH and size < _BATCH_BYTES:
            some = list(islice(self._coming, min(_SOME, BATCH - len(found))))
            if not some:
                return found, False
            found += some
            size += sum(len(record.body) for record in some)
        return found, True
