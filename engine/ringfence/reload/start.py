"""The policy set to open a guard with: what the source holds, or the last good one."""

from os import PathLike
from pathlib import Path

from ringfence.errors import InputError
from ringfence.reload.child import Child
from ringfence.reload.control import Control
from ringfence.reload.proving import Prover
from ringfence.reload.settings import ReloadSettings
from ringfence.reload.snapshot import PolicySource
from ringfence.reload.yielding import yielding
from ringfence.runtime.policy_set import PolicySet
from ringfence.runtime.policy_store import PolicyStore
from ringfence.runtime.ports import SYSTEM_CLOCK, SYSTEM_FILES, Clock, LogFiles

__all__ = ["first_policy_set"]

_START = "start"


def first_policy_set(
    source: PolicySource,
    *,
    store: str | PathLike[str],
    settings: ReloadSettings | None = None,
    files: LogFiles = SYSTEM_FILES,
    clock: Clock = SYSTEM_CLOCK,
    child: Child | None = None,
) -> PolicySet:
    """The set that a person went back to; else the source's, proven; else the one in force when a reloader last ran.

    So a process can be started again while the source is broken. What comes from the source is put into the store.

    Args:
        source, store, settings, files, clock, child: As for `Reloader`.

    Raises:
        InputError: there is none that may be used; says why the source's may not.
    """
    settings = settings or ReloadSettings()
    control, sets = Control(Path(store), files), PolicyStore(Path(store), files)
    if (pin := control.pin()) is not None:
        return sets.load(pin.policy_set)
    switch_seconds = settings.switch_ns / 1e9
    prover = Prover(child or Child(settings.child_ns / 1e9), settings.golden, switch_seconds)
    try:
        snapshot = source.read(_last_commit(control))
        with yielding(switch_seconds):
            found = PolicySet(prover.files(snapshot.files, prover.golden()).linked)
        sets.put(found, {**snapshot.about, "at_ns": clock.now_ns(), "by": _START})
        return found
    except InputError:
        last = (control.status() or {}).get("policy_set")
        if not isinstance(last, str) or not last:
            raise
        return sets.load(last)


def _last_commit(control: Control) -> str:
    """The commit in force when a reloader last ran, which the source's has to descend from; empty where none is known."""
    try:
        commit = (control.status() or {}).get("commit")
    except InputError:
        return ""
    return commit if isinstance(commit, str) else ""
