"""What a guard is told when it is opened, and what it needs from others."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from ringfence.runtime.firm_slices import FirmSlices
from ringfence.runtime.market_cache import MarketCache
from ringfence.runtime.state_directory import Durability

__all__ = ["Audit", "GuardSettings", "NoAudit", "NoState", "Signs", "Store"]


class Audit(Protocol):
    """Takes records; `AuditError` where it cannot."""

    def append(self, kind: str, body: Mapping[str, Any] | bytes) -> int:
        """Take a record, its body as data or as the JSON of `audit_codec`; its number, from 1 without gaps."""
        ...

    def wait(self, sequence: int) -> None:
        """Return once the record is as durable as asked of the log."""
        ...


class Signs(Protocol):
    """Signs approvals."""

    @property
    def sign(self) -> Callable[..., Any]:
        """Makes an approval of named fields, and its signature."""
        ...


class Store(Protocol):
    """Keeps events; `OSError` where it cannot."""

    written_bytes: int

    def append(self, record: list[Any]) -> None:
        """Keep an event."""
        ...

    def append_all(self, records: Iterable[list[Any]]) -> None:
        """Keep several events with one write."""
        ...

    def append_lines(self, lines: bytes, crc: int) -> None:
        """Keep events that are written out already."""
        ...

    def renew(self, snapshot: dict[str, Any]) -> None:
        """Keep everything anew."""
        ...

    def close(self) -> None:
        """Give the files back."""
        ...


class NoAudit:
    """For a guard that was told to keep no records."""

    def append(self, kind: str, body: Mapping[str, Any] | bytes) -> int:
        del kind, body
        return 0

    def wait(self, sequence: int) -> None:
        del sequence


class NoState:
    """For a guard that was told to forget everything when it ends."""

    written_bytes = 0

    def append(self, record: list[Any]) -> None:
        del record

    def append_all(self, records: Iterable[list[Any]]) -> None:
        del records

    def append_lines(self, lines: bytes, crc: int) -> None:
        del lines, crc

    def renew(self, snapshot: dict[str, Any]) -> None:
        del snapshot

    def close(self) -> None:
        return


@dataclass(frozen=True, slots=True)
class GuardSettings:
    """How a guard works.

    Attributes:
        in_memory: Allow a guard without a directory for its state: it forgets everything when it ends.
        without_audit: Allow a guard without an audit log.
        signer: Signs approvals; without one decisions carry none, and no gateway will send them.
        durability: Of the state: `process` outlives a `kill -9`, `disk` a loss of power.
        approval_ns: How long an approval holds.
        client_order_window_ns: How long the answer for a client order id is given again.
        most_client_orders: So many client order ids are remembered; beyond, orders with a new one are
            rejected until the oldest has left the window.
        max_skew_ns: How far ahead of the guard's clock market data may be.
        journal_bytes: A journal longer than this is put into a new snapshot.
        accounts, strategies, venues: Names beside those that the policy set declares.
        name: Of this guard, its own among those that share books: its orders are found by it after a restart.
        most_tries: So often an order is decided anew because other guards moved the books; then it is rejected.
        poll_seconds: How often a guard that shares books looks for what others did, while it has nothing
            to decide; 0 for never.
        policy_lease_ns: Once nobody has confirmed for so long that the policy set is current, only orders that
            reduce risk pass; None for no lease.
        market_cache: Market data that guards share, asked where an order comes without any and what is known
            is older than `market_refresh_ns`.
        slices: Limits of the firm over several groups of guards, each with books of its own; None where the
            books are the whole firm's.
        group: The group that this guard belongs to.
        slice_lease_ns: A group of which no guard was heard for so long may lose what it does not use; a guard
            that cannot be heard for so long takes only orders that reduce risk.
    """

    in_memory: bool = False
    without_audit: bool = False
    signer: Signs | None = None
    durability: Durability = "process"
    approval_ns: int = 5_000_000_000
    client_order_window_ns: int = 86_400_000_000_000
    most_client_orders: int = 1_000_000
    max_skew_ns: int = 1_000_000_000
    journal_bytes: int = 256_000_000
    accounts: tuple[str, ...] = ()
    strategies: tuple[str, ...] = ()
    venues: tuple[str, ...] = ()
    name: str = ""
    most_tries: int = 50
    poll_seconds: float = 0.25
    policy_lease_ns: int | None = None
    market_cache: MarketCache | None = None
    market_refresh_ns: int = 1_000_000_000
    slices: FirmSlices | None = None
    group: str = ""
    slice_lease_ns: int = 5_000_000_000
