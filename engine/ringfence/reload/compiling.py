"""Compiling ahead of time what a process needs that decides orders, so that it starts at once."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from ringfence._resources import cache_directory
from ringfence.backends.numba_kernel.disk_cache import told_of_compiling
from ringfence.language.linking import LinkedSet
from ringfence.reload.candidate import link_candidate, prove
from ringfence.replay.compiled import compiled
from ringfence.runtime.guard import CentralRiskGuard
from ringfence.runtime.guard_settings import GuardSettings
from ringfence.runtime.limits_now import LiveLimits
from ringfence.runtime.policy_set import PolicySet

__all__ = ["CompileReport", "compile_ahead", "compile_guard"]

# The modules of a dry run that every policy set shares.
_DRY_RUN = ("pages", "tally", "text")


@dataclass(frozen=True, slots=True)
class CompileReport:
    """What was done for a policy set.

    Attributes:
        policy_set: Its SHA-256.
        compiled: Whether something was not there yet.
        kept_in: Where compiled code is kept; None where this directory cannot be written.
    """

    policy_set: str
    compiled: bool
    kept_in: Path | None


def compile_ahead(files: Mapping[str, bytes]) -> CompileReport:
    """Compile all that a guard, its reloads and the start of a dry run need for a policy set, and keep it.

    A dry run of many orders may compile a kernel of its own besides, made for how it goes.

    Args:
        files: The set's files, as a snapshot has them.

    Raises:
        PolicyError: with every finding of every file.
        CandidateError: there is no policy, or the compiled set and the interpreter differ.
    """
    told: list[Path | None] = []
    with told_of_compiling(told.append):
        linked = link_candidate(files)
        prove(linked, {}, tests=False)
        compile_guard(linked)
        for each in _DRY_RUN:
            compiled(each)
    kept_in = None if None in told else cache_directory()
    return CompileReport(linked.sha256, bool(told), kept_in)


def compile_guard(linked: LinkedSet) -> None:
    """Compile all that a guard calls with this set, and keep it; quick where all of it is kept already."""
    # A guard loads what it calls when it opens, and its limits what they call when they are looked at.
    settings = GuardSettings(in_memory=True, without_audit=True)
    guard = CentralRiskGuard.open(PolicySet(linked), settings=settings)
    try:
        LiveLimits(guard).sample()
    finally:
        guard.close()
