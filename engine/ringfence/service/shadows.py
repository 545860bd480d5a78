"""Sets in the shadow: asked about each order beside the one in force, deciding nothing."""

from collections.abc import Mapping
from typing import Any

from ringfence.reload.asking import ask
from ringfence.reload.control import Control, Request
from ringfence.runtime.ports import SYSTEM_RANDOM
from ringfence.service.desk import Desk
from ringfence.service.policy_sets import load_set, stores

__all__ = ["set_shadow"]

_LONGEST_S = 300.0


def set_shadow(desk: Desk, by: str, policy_set: str | None, reason: str) -> Mapping[str, Any]:
    """Let a set run in the shadow from now on, or none.

    Args:
        by: Who wants it.
        policy_set: What `policy_sets.find_set` takes; None to end the one that runs.
        reason: Why; both stand in the audit log.

    Returns:
        What came of it, as the reloader tells it.

    Raises:
        InputError: there is no such set, or no answer in time.
        StateError: the set's file is damaged.
    """
    wanted, now = "", desk.clock.now_ns()
    if policy_set is not None:
        found = load_set(desk, policy_set)
        wanted = stores(desk)[1].put(found, {"at_ns": now, "by": by, "reason": reason})
    until_ns = now + int(_LONGEST_S * 1e9)
    asked = Request(SYSTEM_RANDOM.token(8), "shadow", wanted, by, reason, until_ns)
    # Through the reloader's own door: it compiles where it must, one request after the other.
    return ask(Control(desk.data / "policies"), asked, _LONGEST_S)
