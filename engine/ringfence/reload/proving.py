"""Proving a candidate: beside the trading threads where it needs no compiler, in a child where it does."""

from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from ringfence.backends.numba_kernel.disk_cache import is_loaded, is_stored
from ringfence.backends.numba_kernel.kernel import kernel_of
from ringfence.backends.numba_kernel.slots import slots_of
from ringfence.language.linking import LinkedSet
from ringfence.reload.candidate import CandidateError, linked_of, prove, structure_of
from ringfence.reload.child import Child
from ringfence.reload.directory_source import DirectorySource
from ringfence.reload.snapshot import SourceError
from ringfence.reload.yielding import waiting

__all__ = ["Proof", "Prover"]


class Proof(NamedTuple):
    """A set that may be used: how many cases it passed, and whether a child was started for it."""

    linked: LinkedSet
    tests: int
    compiled: bool


class Prover:
    """Proves sets; from one thread, and within `yielding`.

    Args:
        child: Compiles.
        golden: The directory of golden cases; None for none.
        switch_seconds: What `yielding` was told.
    """

    def __init__(self, child: Child, golden: Path | None, switch_seconds: float) -> None:
        self._child = child
        self._golden = None if golden is None else DirectorySource(golden)
        self._switch_seconds = switch_seconds
        self.compiles = 0
        """How many children were started."""

    def golden(self) -> Mapping[str, bytes]:
        """The golden cases.

        Raises:
            CandidateError: they cannot be read.
        """
        try:
            return {} if self._golden is None else self._golden.read().files
        except SourceError as error:
            raise CandidateError(
                f"golden cases: {error.message}", error.fix, lasting=False
            ) from None

    def files(self, files: Mapping[str, bytes], golden: Mapping[str, bytes]) -> Proof:
        """Link the files of a source, and test the set.

        Raises:
            CandidateError: it is not to be used.
        """
        return self._proven(linked_of(files), files, golden, new=True)

    def stored(self, linked: LinkedSet) -> Proof:
        """Make a set from the store ready, which was tested before.

        Raises:
            CandidateError: it is not to be used.
        """
        return self._proven(linked, linked.files, {}, new=False)

    def give_up(self) -> None:
        """End what is being compiled now, from any thread; it fails, and may be tried again."""
        self._child.give_up()

    def stop(self) -> None:
        """End what is being compiled."""
        self._child.stop()

    def _proven(
        self,
        linked: LinkedSet,
        files: Mapping[str, bytes],
        golden: Mapping[str, bytes],
        *,
        new: bool,
    ) -> Proof:
        text = structure_of(linked)
        if is_loaded(text):
            return Proof(linked, prove(linked, golden, tests=new), False)
        self.compiles += 1
        with waiting(self._switch_seconds):
            found, passed = self._child.prove(files, golden, new=new)
        if found != linked.sha256 or not is_stored(text):
            # The library of rules lies outside what was read.
            raise CandidateError(
                "the rules changed while the set was compiled",
                fix="it is tried again by itself",
                lasting=False,
            )
        kernel_of(slots_of(linked))
        prove(linked, {}, tests=False)
        return Proof(linked, passed, True)
