"""What a reloader needs of others: the guard whose policy set it changes, the store of sets, the audit log."""

from collections.abc import Mapping
from typing import Any, Protocol

from ringfence.runtime.policy_set import PolicySet

__all__ = ["Audit", "Guard", "Store"]


class Guard(Protocol):
    """Decides with one policy set at a time."""

    @property
    def policy_set(self) -> str:
        """SHA-256 of the set that decides."""
        ...

    def use(self, policy_set: PolicySet, *, by: str, source: Mapping[str, Any]) -> None:
        """Decide with this set from now on, and record it; raises, and keeps the other, where it cannot."""
        ...

    def shadow(self, policy_set: PolicySet | None) -> None:
        """Ask this set, too, and count where it differs; None ends that."""
        ...

    def confirm_policies(self) -> None:
        """The set is current, as of now."""
        ...


class Store(Protocol):
    """Keeps policy sets by their hash."""

    def put(self, policy_set: PolicySet, about: Mapping[str, Any]) -> str:
        """Keep a set."""
        ...

    def load(self, name: str) -> PolicySet:
        """The set of this SHA-256."""
        ...


class Audit(Protocol):
    """Takes records."""

    def append(self, kind: str, body: Mapping[str, Any]) -> int:
        """Take a record; its number."""
        ...

    def wait(self, sequence: int) -> None:
        """Return once it is durable."""
        ...
