"""How policy sets are reloaded."""

from dataclasses import dataclass
from pathlib import Path

from ringfence.errors import InputError

__all__ = ["ReloadSettings"]


@dataclass(frozen=True, slots=True)
class ReloadSettings:
    """How policy sets are reloaded; times in nanoseconds.

    Attributes:
        golden: A directory of policy tests that every set must pass; it lies apart from the policies, so that
            who changes a limit does not change them.
        debounce_ns: So long nothing must have changed before the files are read.
        debounce_most_ns: After so long they are read even while they change.
        poll_ns: The source is read so often, whether something told of a change or not.
        child_ns: The process that compiles and tests a set is killed after so long.
        retry_ns: What failed for a reason outside the policies (no space, a process that died) is tried again
            after so long, then after twice that, up to `retry_most_ns`.
        retry_most_ns: See `retry_ns`.
        switch_ns: How long the interpreter lets this thread run while a trading thread waits. Python's
            own 5 ms would be felt by orders; it is set back after each reload.
    """

    golden: Path | None = None
    debounce_ns: int = 250_000_000
    debounce_most_ns: int = 5_000_000_000
    poll_ns: int = 10_000_000_000
    child_ns: int = 900_000_000_000
    retry_ns: int = 10_000_000_000
    retry_most_ns: int = 300_000_000_000
    switch_ns: int = 20_000

    def __post_init__(self) -> None:
        for name in ("poll_ns", "child_ns", "retry_ns", "retry_most_ns", "switch_ns"):
            if getattr(self, name) <= 0:
                raise InputError(f"`{name}` is not above zero", fix="give a time in nanoseconds")
        if not 0 <= self.debounce_ns <= self.debounce_most_ns:
            raise InputError(
                "`debounce_ns` is not between 0 and `debounce_most_ns`",
                fix="give times in nanoseconds",
            )
