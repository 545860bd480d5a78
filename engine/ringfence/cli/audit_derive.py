"""Decisions derived again, for `audit reproduce` and `audit verify --recompute`: what is said of them."""

import sys
from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

from ringfence.replay.wording import clip, visible
from ringfence.runtime.audit_codec import plain
from ringfence.runtime.audit_decision import short_gates
from ringfence.runtime.audit_reader import Record
from ringfence.runtime.audit_recompute import Recomputation, Wrong
from ringfence.runtime.recompute_record import Difference, How, Recomputed

__all__ = ["recomputed_dict", "recomputed_lines", "reproduced_dict", "reproduced_lines", "told"]

_SHOWN = 100
_VALUE = 240
_WHO = {"kernel": "the kernel derives", "reference": "the reference interpreter derives"}
_HOW = {
    How.DERIVED: "every gate and the decision were derived again",
    How.REFUSED: "no gate was asked, and the record shows why",
    How.STATE: "no gate was asked, for a reason that no record can show",
    How.CUT: "a gate looked at more recent orders or quotes than a record shows",
    How.REPEATED: "an earlier answer was given again",
    How.FAILED: "the decision cannot be derived from what the record shows",
}


def reproduced_dict(record: Record, found: Recomputed) -> dict[str, Any]:
    """What came of one decision, as `schemas/audit-reproduction.v1.schema.json` has it."""
    return {
        "schema": "ringfence/audit-reproduction/v1",
        "record": record.sequence,
        "id": str(record.body.get("id")),
        "policy_set": str(record.body.get("policy_set")),
        "how": str(found.how),
        "same": not found.differences,
        "note": found.note,
        "differences": [_difference(each) for each in found.differences],
    }


def reproduced_lines(record: Record, found: Recomputed) -> Iterator[str]:
    """What came of one decision, in words."""
    body = record.body
    decision = visible(f"{body.get('decision')} {body.get('reason') or ''}".rstrip())
    yield f"record {record.sequence}, decision {visible(body.get('id'))}: {decision}"
    yield f"policy set {visible(body.get('policy_set'))}"
    yield _HOW[found.how]
    if found.note:
        yield visible(found.note)
    if found.differences:
        yield from _differences(found.differences)
    elif found.how is How.DERIVED:
        gates = len(short_gates(body))
        yield f"the same in all {gates} gates: outcome, measure and limit, bit for bit"


def recomputed_dict(found: Recomputation, seconds: float) -> dict[str, Any]:
    """What came of a log, as `schemas/audit-reproduction.v1.schema.json` has it."""
    return {
        "schema": "ringfence/audit-recomputation/v1",
        "decisions": found.decisions,
        "how": {str(how): count for how, count in sorted(found.counts.items())},
        "states": dict(sorted(found.states.items())),
        "notes": dict(sorted(found.notes.items())),
        "wrong": [
            {
                "record": each.sequence,
                "id": each.id,
                "differences": [_difference(difference) for difference in each.differences],
            }
            for each in found.wrong
        ],
        "wrong_count": found.wrong_count,
        "seconds": round(seconds, 3),
    }


def recomputed_lines(found: Recomputation, seconds: float) -> Iterator[str]:
    """What came of a log, in words."""
    for wrong in found.wrong[:_SHOWN]:
        yield from _wrong(wrong)
    if found.wrong_count > _SHOWN:
        yield f"and {found.wrong_count - _SHOWN:,} more records; --json has the first 10,000"
    rate = f"{found.decisions / seconds:,.0f} a second" if seconds > 0 else "at once"
    yield f"{found.decisions:,} decision{'' if found.decisions == 1 else 's'}, {rate}"
    for how, count in sorted(found.counts.items()):
        yield f"{count:,} {how}: {_HOW[How(how)]}"
    for code, count in sorted(found.states.items()):
        yield f"  {visible(code)} {count:,}"
    for note, count in sorted(found.notes.items()):
        yield f"{count:,} times {visible(clip(note, _VALUE))}"


def told(count: int) -> None:
    """Say on a terminal how far it is."""
    if sys.stderr.isatty():
        print(f"\r{count:,} records", end="", file=sys.stderr, flush=True)


def _wrong(wrong: Wrong) -> Iterator[str]:
    yield f"record {wrong.sequence}, {visible(wrong.id)}:"
    yield from (f"  {line}" for line in _differences(wrong.differences))


def _differences(differences: Any) -> Iterator[str]:
    for each in differences:
        gate = f"gate {visible(each.gate)}, " if each.gate else ""
        if each.by == "record" and each.derived is None:
            yield f"{gate}{each.field}: {_value(each.recorded)}"
            continue
        who = _WHO.get(each.by, "it should be")
        yield f"{gate}{each.field}: recorded {_value(each.recorded)}, {who} {_value(each.derived)}"


def _value(value: Any) -> str:
    return visible(clip(str(plain(value)), _VALUE))


def _difference(each: Difference) -> dict[str, Any]:
    found: dict[str, Any] = plain(asdict(each))
    return found
