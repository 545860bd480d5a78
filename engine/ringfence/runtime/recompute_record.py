"""Whether a decision's record is what comes out when the decision is derived again."""

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from ringfence.errors import InputError
from ringfence.runtime.audit_decision import short_gates
from ringfence.runtime.derive import Derived, Deriver, Given, given_in
from ringfence.runtime.derived_refusal import OF_STATE, derived_refusal

__all__ = ["Difference", "Head", "How", "Recomputed", "head_of", "recompute"]

#: Of a decision, what a later answer repeats.
Head = tuple[Any, ...]
_HEAD = ("decision", "code", "reason", "size", "policy_set", "decided_ns")
_NUMBERS = ("outcome", "measure", "limit")


class How(StrEnum):
    """What could be derived of a record."""

    DERIVED = "derived"
    """Every gate, and the decision."""
    REFUSED = "refused"
    """No gate was asked, and the record shows why."""
    STATE = "state"
    """No gate was asked, for a reason in the guard's state, which no record holds."""
    CUT = "cut"
    """A gate looked at more recent orders or quotes than a record shows."""
    REPEATED = "repeated"
    """An earlier answer was given again."""
    FAILED = "failed"
    """Nothing: the record is not one of a decision that was made from what it shows."""


@dataclass(frozen=True, slots=True)
class Difference:
    """One value of a record that is not what is derived.

    Attributes:
        by: Who derives something else: `kernel`, `reference` (the interpreter), or `record` where the record
            contradicts itself.
        gate: Whose value it is; empty for the decision's own.
        field: `outcome`, `measure`, `limit`, or a key of the record.
        recorded, derived: The two values.
    """

    by: str
    gate: str
    field: str
    recorded: Any
    derived: Any


@dataclass(slots=True)
class Recomputed:
    """What came of it.

    Attributes:
        how: What could be derived.
        differences: Empty where the record is what is derived.
        note: What could not be, and why.
    """

    how: How
    differences: list[Difference] = field(default_factory=list)
    note: str = ""


def head_of(body: dict[str, Any]) -> Head:
    """What an answer that repeats this one has to agree in."""
    return tuple(body.get(name) for name in _HEAD)


def recompute(
    body: dict[str, Any],
    deriver: Deriver,
    given: Given | None = None,
    *,
    original: Head | None = None,
    second: bool = True,
) -> Recomputed:
    """Derive a decision again, and compare.

    Args:
        body: Of its record.
        deriver: Of the policy set that it names.
        given: What it was made from, where that was read already and `deriver` knows its names.
        original: Head of the decision of the same id, for an answer that repeats it.
        second: Ask the reference interpreter even where the kernel derives what was recorded.
    """
    if body.get("repeated") is True:
        return _repeated(body, original)
    if body.get("evidence") is None:
        return _refused(body, deriver)
    try:
        if given is None:
            given = given_in(body)
            deriver.know([given])
        if given.shown.cut:
            return Recomputed(How.CUT)
        derived = deriver.kernel(given)
    except InputError as error:
        return _failed(error.message)
    except Exception as error:  # whatever someone has put into the record
        return _failed(f"nothing can be derived from it: {type(error).__name__}")
    found = Recomputed(How.DERIVED, list(_compared(body, derived, "kernel")))
    if second or found.differences:
        try:
            found.differences += _compared(body, deriver.reference(given), "reference")
        except InputError as error:
            found.note = f"no second opinion: {error.message}"
        except Exception as error:
            found.note = f"no second opinion: {type(error).__name__}"
    return found


def _failed(why: str) -> Recomputed:
    return Recomputed(How.FAILED, [Difference("record", "", "evidence", why, None)])


def _repeated(body: dict[str, Any], original: Head | None) -> Recomputed:
    if original is None:
        return Recomputed(How.REPEATED, note="the decision that it repeats is not at hand")
    pairs = zip(_HEAD, head_of(body), original, strict=True)
    return Recomputed(
        How.REPEATED,
        [
            Difference("record", "", name, told, before)
            for name, told, before in pairs
            if not _same(told, before)
        ],
    )


def _refused(body: dict[str, Any], deriver: Deriver) -> Recomputed:
    decision, size, reason = body.get("decision"), body.get("size"), body.get("reason")
    if decision != "REJECT" or size != "0" or body.get("gates"):
        return _failed("the record does not show what the gates looked at")
    if not isinstance(reason, str) or reason.partition(" ")[0] != body.get("code"):
        difference = Difference("record", "", "reason", reason, body.get("code"))
        return Recomputed(How.FAILED, [difference])
    derived = derived_refusal(body, deriver.linked)
    if derived == OF_STATE:
        return Recomputed(How.STATE, note=f"{body['code']} hangs on the guard's state")
    if derived == reason:
        return Recomputed(How.REFUSED)
    return Recomputed(How.REFUSED, [Difference("record", "", "reason", reason, derived)])


def _compared(body: dict[str, Any], derived: Derived, by: str) -> Iterator[Difference]:
    for name in ("decision", "code", "reason", "size"):
        value = getattr(derived, name)
        if not _same(body.get(name), value):
            yield Difference(by, "", name, body.get(name), value)
    gates = short_gates(body)
    names = [each[0] for each in gates]
    if names != [each[0] for each in derived.gates]:
        yield Difference(by, "", "gates", names, [each[0] for each in derived.gates])
        return
    for recorded, gate in zip(gates, derived.gates, strict=True):
        # Most are equal as they stand; zeros and NaN are looked at one by one.
        if recorded == gate and recorded[2] and recorded[3]:
            continue
        for name, value, wanted in zip(_NUMBERS, recorded[1:], gate[1:], strict=True):
            if not _same(value, wanted):
                yield Difference(by, str(gate[0]), name, value, wanted)


def _same(told: Any, derived: Any) -> bool:
    """Equal bit for bit; one NaN is as good as another."""
    if type(told) is float and type(derived) is float:
        return (math.isnan(told) and math.isnan(derived)) or repr(told) == repr(derived)
    return type(told) is type(derived) and bool(told == derived)
