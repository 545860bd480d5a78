"""Kill switches: states of firm, accounts, strategies, venues and symbols, in the kernel's arrays."""

from dataclasses import dataclass
from typing import Any

from ringfence.errors import InputError
from ringfence.language.orders import KILL_STATES
from ringfence.runtime.book_arrays import FIRM, BookArrays

__all__ = ["KillSwitches", "Switch"]

_KINDS = ("account", "strategy", "venue", "symbol")
_REDUCING = KILL_STATES.index("reducing")


@dataclass(frozen=True, slots=True)
class Switch:
    """One switch as it stands.

    Attributes:
        target: `firm`, or `account/NAME`, `strategy/NAME`, `venue/NAME`, `symbol/NAME`.
        state: `active`, `reducing` (only orders that reduce risk) or `halted`.
        by: Who set it; `rule:GATE` where a gate did.
        reason: Why.
        at_ns: When, ns since 1970, UTC.
    """

    target: str
    state: str
    by: str
    reason: str
    at_ns: int


class KillSwitches:
    """The switches that were ever set, and the accounts that wait for a reconciliation.

    Such an account takes only orders that reduce risk, whatever its switch says; its switch can be stricter.
    """

    def __init__(self, arrays: BookArrays) -> None:
        self._arrays = arrays
        self.switches: dict[str, Switch] = {}
        self.unreconciled: set[str] = set()

    def check(self, target: Any, state: Any, by: Any, reason: Any) -> None:
        """Whether a switch can be set so.

        Raises:
            InputError: no such target or state, or nobody, or no reason is named.
        """
        if state not in KILL_STATES:
            raise InputError(f"`{state}` is no state of a switch", fix=f"one of {KILL_STATES}")
        for name, text in (("person", by), ("reason", reason)):
            if not isinstance(text, str) or not text.strip():
                raise InputError(f"a {name} must be named", fix="say who, and why")
        if not isinstance(target, str) or not self._is_known(target):
            raise InputError(
                f"`{target}` is nothing that can be switched",
                fix="`firm`, or account/, strategy/, venue/ or symbol/ with a known name",
            )

    def check_unchanged(self, target: str, seen_ns: int) -> None:
        """Whether a switch is the one that was set at `seen_ns`, 0 for one that never was.

        Raises:
            InputError: it was set anew.
        """
        switch = self.switches.get(target)
        if switch is not None and switch.at_ns != seen_ns:
            raise InputError(
                f"`{target}` was set to {switch.state} meanwhile, by {switch.by}",
                fix="look at it as it is now, and decide again",
            )

    def _is_known(self, target: str) -> bool:
        kind, _, name = target.partition("/")
        arrays = self._arrays
        if target == FIRM:
            return True
        if kind not in _KINDS or not name:
            return False
        known = arrays.venues if kind == "venue" else arrays.symbols
        return name in known if kind in ("venue", "symbol") else target in arrays.book_codes

    def state(self, target: str) -> str:
        """The state of a target; `active` where nobody has set it."""
        switch = self.switches.get(target)
        return "active" if switch is None else switch.state

    def set(self, switch: Switch) -> None:
        """Set a switch that was checked."""
        self.switches[switch.target] = switch
        # A guard that shares the books may know of more than this one.
        if self._is_known(switch.target):
            self._show(switch.target)

    def mark_unreconciled(self, account: str, waits: bool) -> None:
        """Let an account wait for a reconciliation, or no longer."""
        (self.unreconciled.add if waits else self.unreconciled.discard)(account)
        if self._is_known(f"account/{account}"):
            self._show(f"account/{account}")

    def show_all(self) -> None:
        """Write every state into the arrays, as after they were made anew."""
        for target in (*self.switches, *(f"account/{name}" for name in self.unreconciled)):
            if self._is_known(target):
                self._show(target)

    def _show(self, target: str) -> None:
        kind, _, name = target.partition("/")
        arrays, state = self._arrays, KILL_STATES.index(self.state(target))
        if kind == "venue":
            arrays.books.kill_venue[arrays.venues[name]] = state
        elif kind == "symbol":
            arrays.books.kill_symbol[arrays.symbols[name]] = state
        else:
            if kind == "account" and name in self.unreconciled:
                state = max(state, _REDUCING)
            arrays.books.kill_book[arrays.book_codes[target]] = state
