"""Running the child that compiles, and ending it where it hangs."""

import base64
import json
import os
import subprocess  # nosec B404
import sys
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import ringfence
from ringfence.errors import reason_of
from ringfence.reload.candidate import CandidateError

__all__ = ["Child"]

_MODULE = "ringfence.reload.warm"


class Child:
    """Proves candidates in a process of its own; one at a time.

    Args:
        seconds: It is killed after so long.
        command: What is run.
    """

    def __init__(self, seconds: float, command: tuple[str, ...] | None = None) -> None:
        # -P: nothing is imported from the directory that happens to be the current one.
        self._command = command or (sys.executable, "-P", "-m", _MODULE)
        self._seconds = seconds
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._stopped = False
        self._given_up = False

    def prove(
        self, files: Mapping[str, bytes], golden: Mapping[str, bytes], *, new: bool = True
    ) -> tuple[str, int]:
        """Compile a candidate, and test it.

        Args:
            files: Its files, in their order.
            golden: Policy tests kept apart from it.
            new: Whether it comes from a source; a set from the store was tested before, and holds all its rules.

        Returns:
            The SHA-256 of its policy set, and how many cases passed.

        Raises:
            CandidateError: it failed, or the child did.
        """
        job = {"files": _encoded(files), "golden": _encoded(golden), "new": new}
        try:
            done = self._run(json.dumps(job).encode())
        except OSError as error:
            raise _died(f"could not be started: {reason_of(error)}") from None
        try:
            found: Any = json.loads(done)
        except ValueError:
            raise _died("gave no answer") from None
        if "policy_set" not in found:
            raise CandidateError(
                found["message"],
                found["fix"],
                findings=found.get("findings", ()),
                lasting=not found.get("passing", False),
            )
        return str(found["policy_set"]), int(found["tests"])

    def stop(self) -> None:
        """End the child that runs, and start no other."""
        with self._lock:
            self._stopped = True
            if self._process is not None:
                self._process.kill()

    def give_up(self) -> None:
        """End the child that runs, where one does: something else comes first."""
        with self._lock:
            if self._process is not None:
                self._given_up = True
                self._process.kill()

    def _run(self, job: bytes) -> bytes:
        with self._lock:
            if self._stopped:
                raise _died("was stopped")
            # No shell; nothing of a candidate is among the arguments.
            process = subprocess.Popen(  # nosec B603
                self._command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                env={**os.environ, "PYTHONPATH": _path()},
            )
            self._process, self._given_up = process, False
        try:
            out, said = process.communicate(job, timeout=self._seconds)
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()
            raise _died(f"took longer than {self._seconds:g} s, and was killed") from None
        finally:
            with self._lock:
                self._process = None
        if self._given_up:
            raise _died("was given up for a rollback")
        if process.returncode != 0:
            last = said.decode("utf-8", "replace").strip().rpartition("\n")[2][:200]
            how = (
                f"signal {-process.returncode}"
                if process.returncode < 0
                else f"exit code {process.returncode}"
            )
            raise _died(f"died: {how}{f': {last}' if last else ''}")
        return out


def _encoded(files: Mapping[str, bytes]) -> dict[str, str]:
    return {name: base64.b64encode(content).decode("ascii") for name, content in files.items()}


def _path() -> str:
    """Where this package was imported from comes first, so that the child runs the same one."""
    own = str(Path(ringfence.__file__).parents[1])
    return os.pathsep.join(filter(None, (own, os.environ.get("PYTHONPATH", ""))))


def _died(how: str) -> CandidateError:
    return CandidateError(
        f"the process that compiles and tests the set {how}",
        fix="it is tried again by itself; look for lack of memory or of space",
        lasting=False,
    )
