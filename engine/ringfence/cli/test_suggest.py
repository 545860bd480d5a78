"""`ringfence test --suggest`: the cases at the limits that are missing, as a test file."""

import re
import sys
from collections.abc import Sequence
from pathlib import Path

from ringfence.errors import InputError, reason_of
from ringfence.review.new_documents import schema_from
from ringfence.review.test_runner import CaseResult
from ringfence.review.testing.cases import TestCase
from ringfence.review.testing.document import render_test_document
from ringfence.review.testing.run import Suite
from ringfence.review.testing.suggestions import Suggestions, suggest
from ringfence.runtime.repository import repository_of

__all__ = ["write_suggestions"]

_DESCRIPTION = "Cases at the limits, suggested by `ringfence test --suggest`. Read them: they say what is decided, not what should be."


def write_suggestions(suite: Suite, results: Sequence[CaseResult], out: Path | None) -> int:
    """Write them to a file or to standard output; on standard error how many there are, and what is left.

    Raises:
        InputError: there is no policy set under test, a case fails, or the file cannot be written.
    """
    if suite.linked is None:
        raise InputError("there is no policy set to suggest cases for", "name it with --policies")
    if not all(each.passed for each in results):
        raise InputError("some cases fail", "mend them first: `ringfence test` shows them")
    found = suggest(suite.linked, results)
    if found.cases:
        _write(_document(found.cases, results, out), out)
    for each in found.uncovered:
        print(f"{each.span}: no case found for {each.group}: {each.label}", file=sys.stderr)
    if found.doubted:
        print(f"{found.doubted} proposals were not confirmed, and are left out", file=sys.stderr)
    count = len(found.cases)
    print(f"{count} case{'s' if count != 1 else ''} suggested{_why(found)}", file=sys.stderr)
    return 0


def _why(found: Suggestions) -> str:
    """Why there are no more, and what to do."""
    if not found.uncovered:
        return "" if found.cases else ": the cases show every gate, limit, override and scope"
    left = len(found.uncovered)
    each = "it" if left == 1 else "each"
    return f", {left} left: write a case for {each} by hand, `ringfence test --coverage` lists what no case shows"


def _document(cases: Sequence[TestCase], results: Sequence[CaseResult], out: Path | None) -> str:
    # Of what is printed nobody knows where it will go: most likely beside the tests that there are.
    beside = next((each.case for each in results if each.case.asks_the_set), results[0].case)
    path = out or Path(beside.span.path)
    top = repository_of(path) or Path.cwd()
    # The file's name may be none that a test may have, and one such file makes the whole set invalid.
    name = "suggested" if out is None else _name_of(out)
    return render_test_document(
        name, _DESCRIPTION, cases, schema=schema_from("PolicyTest", path, top)
    )


def _name_of(path: Path) -> str:
    name = "-".join(re.findall(r"[a-z0-9]+", path.stem.lower()))[:80].rstrip("-")
    return name if name[:1].isalpha() else "suggested"


def _write(text: str, out: Path | None) -> None:
    if out is None:
        print(text, end="")
        return
    from ringfence.runtime.ports import SYSTEM_FILES

    if out.exists():
        raise InputError(f"`{out}` exists already", "name a new file")
    try:
        SYSTEM_FILES.write_atomic(out, text.encode("utf-8"))
    except OSError as error:
        reason = reason_of(error)
        raise InputError(f"`{out}` cannot be written: {reason}", "name another file") from None
