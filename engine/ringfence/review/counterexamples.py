"""Counterexamples: an order that breaks an invariant, confirmed by those who decide, as a test case."""

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from ringfence.backends.reference import decide
from ringfence.backends.reference.claims import broken, claim_values
from ringfence.errors import PolicyError
from ringfence.language import ir
from ringfence.language.decision import Decision
from ringfence.language.fields import FIELDS
from ringfence.language.invariants import Invariant
from ringfence.language.linking import LinkedSet
from ringfence.language.policy_tests import read_case
from ringfence.language.rules import walk
from ringfence.language.units import Unit
from ringfence.review.case_text import TestCase
from ringfence.review.plainer import plainer

__all__ = ["Counterexample", "Decide", "confirmed"]

Decide = Callable[..., Decision]
"""Decides an order of a case, as `decide` of a backend does."""


@dataclass(frozen=True, slots=True)
class Counterexample:
    """An order that breaks an invariant.

    Attributes:
        given, when: The state and the order, as a policy test has them.
        decision: What the policies decide.
        words: How that breaks the invariant.
        values: What the claim's fields and parameters are, with their units; NaN where unknown.
        confirmed_by: Who was asked, and gave this decision.
        test: The case that says what should be decided; it fails until the policies are mended.
    """

    given: Mapping[str, Any]
    when: Mapping[str, Any]
    decision: Decision
    words: str
    values: Mapping[str, tuple[float, Unit]]
    confirmed_by: tuple[str, ...]
    test: TestCase


def confirmed(
    invariant: Invariant,
    linked: LinkedSet,
    given: Mapping[str, Any],
    when: Mapping[str, Any],
    *,
    base: LinkedSet | None = None,
    check_mandatory: bool = True,
    kernel: Decide | None = None,
) -> Counterexample | None:
    """Ask the reference interpreter, and the kernel, about an order that should break an invariant.

    Args:
        invariant: The claim.
        linked: The policy set.
        given, when: The state and the order as plain data.
        base: The policy set before the change.
        check_mandatory: As in `decide`.
        kernel: Decides as the kernel does, and has to agree; the reference alone is asked where not given.

    Returns:
        The order made as plain as it goes; None where it breaks nothing, or where the two do not agree.
    """

    def breaks(given: Mapping[str, Any], when: Mapping[str, Any]) -> str:
        try:
            case = read_case(given, when, linked)
        except PolicyError:
            return ""
        return broken(invariant, linked, case, base=base, check_mandatory=check_mandatory)

    if not breaks(given, when):
        return None
    for state, order in (plainer(given, when, lambda *each: bool(breaks(*each))), (given, when)):
        case = read_case(state, order, linked)
        decision = decide(linked, case, check_mandatory=check_mandatory)
        # As text, in which an unknown number is equal to itself.
        if kernel is None or repr(kernel(linked, case, check_mandatory=check_mandatory)) == repr(
            decision
        ):
            break
    else:
        return None
    then: dict[str, Any] = {"decision": "REJECT"}
    if invariant.standard == "closing-orders-pass":
        then = {"decision": "APPROVE"}
    elif base is not None and invariant.standard == "as-strict-as-base":
        before = decide(base, case, check_mandatory=check_mandatory)
        then = {"decision": str(before.decision)}
        if before.size:
            then["size"] = str(before.size)
    return Counterexample(
        given=state,
        when=order,
        decision=decision,
        words=breaks(state, order),
        values=claim_values(invariant, linked, case, check_mandatory=check_mandatory),
        confirmed_by=("reference",) if kernel is None else ("reference", "numba"),
        test=TestCase(
            name=f"{invariant.name} holds ({_digest(state, order)})",
            given=state,
            when=order,
            then=then,
            comment=_comment(invariant, then),
        ),
    )


def _digest(*parts: Any) -> str:
    """Tells the cases of one invariant apart."""
    text = json.dumps(parts, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:6]


def _comment(invariant: Invariant, then: Mapping[str, Any]) -> str:
    lines = [f"{invariant.name}: {' '.join(invariant.says.split())}"]
    if then["decision"] == "REJECT" and _is_about_size(invariant):
        lines.append("REDUCE_SIZE with a `size` is as good where a gate reduces.")
    return "\n".join(lines)


def _is_about_size(invariant: Invariant) -> bool:
    """Whether a smaller order may keep the claim."""
    if invariant.claim is None:
        return invariant.standard == "exposure-within-limits"
    named = (node.name for node in walk(invariant.claim) if isinstance(node, ir.Field))
    return any(FIELDS[name].rises for name in named)
