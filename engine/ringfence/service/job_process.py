"""What a job's own process does: `python -m ringfence.service.job_process`, its request on standard input.

It answers with lines of JSON on standard output: `{"progress": [done, total]}` any number of times, then
`{"result": ...}` or `{"problem": ...}`.
"""

import json
import os
import signal
import sys
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from ringfence.errors import PolicyError, RingfenceError

__all__ = ["main"]

# Whoever decides orders goes first.
_NICE = 10


def main() -> int:
    """Do what is asked; 0 where it was done, 1 where it was not."""
    os.nice(_NICE)
    # A job that is taken back while it sorts its sources leaves none of them behind.
    signal.signal(signal.SIGTERM, _end)
    request: dict[str, Any] = json.loads(sys.stdin.buffer.read())
    work = _WORK[request.pop("kind")]
    try:
        _say({"result": work(**request)})
    except RingfenceError as error:
        _say({"problem": _problem(error)})
        return 1
    return 0


def _end(number: int, _frame: object) -> None:
    raise SystemExit(128 + number)


def _dry_run(*, report: str, **given: Any) -> dict[str, Any]:
    from ringfence.replay.dry_run import Request, dry_run

    out = Path(report)
    result = dry_run(Request(**given, out=out), lambda *done: _say({"progress": done}))
    return {
        "summary": result.summary,
        "interrupted": result.interrupted,
        "files": {label: str(path) for label, path in result.files.items()},
    }


def _plan(*, base: str, head: str, names: list[str], now_ns: int) -> dict[str, Any]:
    from ringfence.review.approval_rules import ApprovalRules
    from ringfence.review.directed_changes import review_of
    from ringfence.review.plan import Given, Side, make_plan
    from ringfence.runtime.revisions import link_spec

    sides = [Side(link_spec(spec), name) for spec, name in zip((base, head), names, strict=True)]
    review = review_of(sides[0].linked, sides[1].linked, since_ns=now_ns)
    plan = make_plan(sides[0], sides[1], Given(ApprovalRules({}, (), "")), review=review)
    wanted = ("base", "head", "direction", "blame", "looser", "tighter", "changes")
    return {name: plan[name] for name in wanted}


def _verify(*, log: str) -> dict[str, Any]:
    from ringfence.runtime.audit_verify import verify

    found = verify(Path(log))
    return {"whole": not found.findings, **asdict(found)}


def _problem(error: RingfenceError) -> dict[str, Any]:
    findings: list[dict[str, str]] = []
    if isinstance(error, PolicyError):
        findings = [
            {"code": each.code, "message": each.message, "place": str(each.span or "")}
            for each in error.diagnostics
        ]
    message = str(getattr(error, "message", "") or error)
    return {"message": message, "fix": getattr(error, "fix", ""), "findings": findings}


def _say(told: dict[str, Any]) -> None:
    from ringfence.runtime.audit_codec import plain_text

    sys.stdout.write(plain_text(told) + "\n")
    sys.stdout.flush()


_WORK: dict[str, Callable[..., dict[str, Any]]] = {
    "dry-run": _dry_run,
    "plan": _plan,
    "verify": _verify,
}


if __name__ == "__main__":
    sys.exit(main())
