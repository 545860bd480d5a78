"""The child that compiles: `python -m ringfence.reload.warm` reads a candidate and proves it.

It does here what would be felt in the process that trades: it compiles, keeps the code on disk, and runs all
tests. Standard input takes one JSON object with the files, standard output gives one with what was found.
"""

import base64
import json
import os
import sys
from typing import Any

__all__ = ["main"]

# It works in the background: the trading process goes first.
_NICENESS = 5


def main() -> int:
    """Prove the candidate on standard input; 0 where an answer was given, whatever it is."""
    os.nice(_NICENESS)
    job = json.load(sys.stdin.buffer)
    files, golden = (_decoded(job[name]) for name in ("files", "golden"))
    answer = _answer(files, golden, new=job["new"])
    # What numba or a library prints would not be JSON.
    print(json.dumps(answer), file=sys.__stdout__, flush=True)
    return 0


def _decoded(files: dict[str, str]) -> dict[str, bytes]:
    return {name: base64.b64decode(content) for name, content in files.items()}


def _answer(files: dict[str, bytes], golden: dict[str, bytes], *, new: bool) -> dict[str, Any]:
    from ringfence.backends.numba_kernel.disk_cache import can_store, is_stored
    from ringfence.reload.candidate import CandidateError, linked_of, prove, structure_of
    from ringfence.reload.compiling import compile_guard

    if not can_store():
        # It would be compiled for nothing.
        return _not_kept()
    try:
        linked = linked_of(files, bundled=new)
        passed = prove(linked, golden, tests=new)
    except CandidateError as error:
        return {"message": error.message, "fix": error.fix, "findings": error.findings}
    if not is_stored(structure_of(linked)):
        return _not_kept()
    # The first time, what all sets share as well: a compiler keeps a hundred megabytes of whoever it worked for.
    compile_guard(linked)
    return {"policy_set": linked.sha256, "tests": passed}


def _not_kept() -> dict[str, Any]:
    from ringfence.backends.numba_kernel.disk_cache import cache_directory

    return {
        "message": f"the compiled code cannot be kept in `{cache_directory()}`",
        "fix": "make room there, let nobody else write to it, or name another place with RINGFENCE_CACHE_PATH",
        "passing": True,
    }


if __name__ == "__main__":
    sys.exit(main())
