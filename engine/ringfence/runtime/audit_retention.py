"""How much of the audit log is kept: its oldest files may go, once every sink has what they hold (`audit_hold`)."""

from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

from ringfence.errors import AuditError
from ringfence.runtime.audit_hold import lowest
from ringfence.runtime.audit_segments import segments
from ringfence.runtime.ports import Clock, LogFiles

__all__ = ["Retention"]

# After old files could not be removed, it is tried again.
_AGAIN_NS = 600_000_000_000


class Retention:
    """Which files of one log may go; it removes none.

    Args:
        directory: Holds the log.
        chain: The log's name.
        keep_bytes: The log may have this size; None keeps all.
    """

    def __init__(
        self, directory: Path, chain: str, keep_bytes: int | None, clock: Clock, files: LogFiles
    ) -> None:
        self._directory, self._chain = directory, chain
        self._keep_bytes, self._clock, self._files = keep_bytes, clock, files
        self._again_ns = 0

    def before(self, sequence: int) -> tuple[Sequence[Path], int]:
        """The files that hold only records before `sequence`, and the number of the first record that stays.

        Raises:
            AuditError: the log cannot be read, or a sink has yet to get some of these records.
        """
        paths = segments(self._directory, self._files)
        # A file ends where the next one begins; the last one stays.
        begins = [int(path.stem) for path in paths]
        gone = max((at for at, first in enumerate(begins) if first <= sequence), default=0)
        if not gone:
            return (), 0
        hold = lowest(self._directory, self._chain, files=self._files)
        if hold is not None and hold.sequence + 1 < begins[gone]:
            raise AuditError(
                f"records up to {begins[gone] - 1} cannot go: the sink `{hold.sink}` has come to "
                f"{hold.sequence}",
                f"let its writer catch up, or give the sink up: `ringfence audit release {hold.sink}`",
            )
        return paths[:gone], begins[gone]

    def due(self, size: int) -> int:
        """The number of the record before which files are to go, the log being of this size; 0 for none.

        Raises:
            AuditError: the log cannot be read.
            OSError: a file cannot be looked at.
        """
        if self._keep_bytes is None or size <= self._keep_bytes:
            return 0
        if self._clock.now_ns() < self._again_ns:
            return 0
        left, first = size, 0
        for path, following in pairwise(segments(self._directory, self._files)):
            if left <= self._keep_bytes:
                break
            left -= self._files.size(path)
            first = int(following.stem)
        hold = lowest(self._directory, self._chain, files=self._files)
        return first if hold is None else min(first, hold.sequence + 1)

    def failed(self) -> None:
        """Not again every moment: until then the limit of the log alone holds."""
        self._again_ns = self._clock.now_ns() + _AGAIN_NS
