"""Proofs in words: what was shown, and the orders that break a claim as a trader reads them."""

import math
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from ringfence.errors import Diagnostic
from ringfence.language.answers import amount
from ringfence.language.linking import LinkedSet
from ringfence.language.orders import KILL_STATES, to_decimal
from ringfence.language.units import Unit
from ringfence.review.case_text import case_yaml
from ringfence.review.counterexamples import Counterexample
from ringfence.review.proofs import Proof

__all__ = ["FAILURES", "findings_of", "order_lines", "proof_lines"]

FAILURES = ("refuted", "unknown", "empty")
"""What a proof may come to that fails the check."""

_CODES = {"refuted": "E530", "unknown": "E531", "empty": "E536"}


def proof_lines(proof: Proof, linked: LinkedSet) -> Iterator[str]:
    """One proof for people, a line at a time."""
    invariant = proof.invariant
    parts = f"{proof.cells} part{'s' if proof.cells != 1 else ''}"
    note = {"proved": f"in {parts}{', known from before' if proof.kept else ''}"}
    yield f"  {proof.status:<9}{invariant.name:<28}{note.get(proof.status, proof.reason)}".rstrip()
    if proof.status not in FAILURES:
        return
    where = "shipped with ringfence" if invariant.shipped else str(invariant.span)
    yield f"    claim: {' '.join(invariant.says.split())} ({where})"
    for each in proof.blame:
        yield f"    to blame: {_blamed(each.text, each.gate)} ({each.span})"
    if proof.counterexample is not None:
        for line in order_lines(proof.counterexample, linked):
            yield f"    {line}"
        yield "    as a test case:"
        yield from (f"      {line}" for line in case_yaml(proof.counterexample.test).splitlines())


def order_lines(found: Counterexample, linked: LinkedSet) -> Iterator[str]:
    """An order that breaks a claim, with all that it was judged by."""
    yield f"order: {_order(found.when)} at {found.given.get('clock', 'any time')}"
    for symbol, quote in (found.given.get("market") or {}).items():
        told = ", ".join(f"{name} {_number(value)}" for name, value in quote.items())
        yield f"market: {symbol}: {told or 'no data'}"
    for name, book in (found.given.get("books") or {}).items():
        yield f"book: {name}: {_book(book)}"
    switches = (found.given.get("control") or {}).get("kill_switch") or {}
    if switches:
        yield "switches: " + ", ".join(f"{name} {state}" for name, state in switches.items())
    size = f" {found.decision.size}" if found.decision.size else ""
    reason = f" ({found.decision.reason})" if found.decision.reason else ""
    who = " and ".join(
        {"reference": "the interpreter", "numba": "the kernel"}[each] for each in found.confirmed_by
    )
    yield f"decided: {found.decision.decision}{size}{reason}, says {who}"
    yield f"broken: {found.words}"
    for name, (value, unit) in found.values.items():
        yield f"  {name} = {_value(value, unit, linked.currency)}"


def findings_of(
    proofs: Sequence[Proof], linked: LinkedSet, *, allowed: Collection[str] = ()
) -> list[Diagnostic]:
    """What fails, as findings; what is allowed is a warning.

    Those about a shipped claim point at the policies, for that is what can be mended.
    """
    return [
        replace(_finding(each, linked), severity="warning" if each.status in allowed else "error")
        for each in proofs
        if each.status in FAILURES
    ]


def _finding(proof: Proof, linked: LinkedSet) -> Diagnostic:
    invariant = proof.invariant
    span = invariant.span
    if invariant.shipped and linked.policies:
        span = linked.policies[0].document.key_span("spec", "gates")
    related = tuple(each.span for each in proof.blame if each.span is not None)
    if proof.status == "refuted" and proof.counterexample is not None:
        found = proof.counterexample
        told = [found.words, *_claimed(found, linked)]
        return Diagnostic(
            "E530",
            f"`{invariant.name}` does not hold: {_order(found.when)} is {_decided(found)}",
            span,
            why=f"{' '.join(invariant.says.split())}; {'; '.join(told)}",
            fix="mend the policies, or the claim; `ringfence prove --write-tests FILE` keeps the order",
            related=related,
        )
    if proof.status == "empty":
        return Diagnostic(
            "E536",
            f"`{invariant.name}` speaks of no order that is ever approved",
            span,
            why="its scope, its assumptions and the policies leave none, so that it says nothing",
            fix="widen `scope` or `assume`, or remove it",
        )
    terms = "; ".join(f"{_blamed(each.text, each.gate)} at {each.span}" for each in proof.blame)
    return Diagnostic(
        "E531",
        f"`{invariant.name}` can be neither proved nor refuted",
        span,
        why=f"{proof.reason}" + (f"; to blame: {terms}" if terms else ""),
        fix="write the term without a product of fields, give `--timeout` more, or `--allow-unknown`",
        related=related,
    )


def _claimed(found: Counterexample, linked: LinkedSet) -> list[str]:
    return [
        f"{name} = {_value(value, unit, linked.currency)}"
        for name, (value, unit) in found.values.items()
    ]


def _blamed(text: str, gate: str) -> str:
    return f"`{text}`" + (f" in gate `{gate}`" if gate else "")


def _decided(found: Counterexample) -> str:
    words = {"APPROVE": "approved", "REJECT": "rejected"}
    return words.get(found.decision.decision, f"reduced to {found.decision.size}")


def _order(when: Mapping[str, Any]) -> str:
    price = when.get("price", when.get("stop_price"))
    parts = [str(when.get("side")), str(when.get("size")), str(when.get("symbol"))]
    parts.append(str(when.get("type", "limit")))
    if price is not None:
        parts.append(f"at {_number(price)}")
    parts.append(f"for account {when.get('account')}")
    for name in ("strategy", "venue"):
        if when.get(name):
            parts.append(f"{name} {when[name]}")
    if when.get("reduce_only"):
        parts.append("reduce-only")
    return " ".join(parts)


def _book(book: Mapping[str, Any]) -> str:
    names = ("equity", "day_start_equity", "day_start_balance", "peak_equity", "deposits")
    parts = [f"{name.replace('_', ' ')} {_number(book[name])}" for name in names if name in book]
    for symbol, position in (book.get("positions") or {}).items():
        mark = f" marked {_number(position['mark'])}" if "mark" in position else ""
        parts.append(f"holds {position.get('size')} {symbol}{mark}")
    for order in book.get("working") or ():
        parts.append(f"{order.get('side')} {order.get('size')} {order.get('symbol')} works")
    return ", ".join(parts) or "nothing is known"


def _number(value: Any) -> str:
    if isinstance(value, int | float) and not isinstance(value, bool):
        return f"{value:,.10g}" if math.isfinite(value) else "unknown"
    number = to_decimal(value)
    return "unknown" if value is None else str(value) if number is None else f"{number:,f}"


def _value(value: float, unit: Unit, currency: str) -> str:
    if not math.isfinite(value):
        return "unknown"
    if unit.kind == "boolean":
        return "true" if value else "false"
    if unit.kind == "state":
        return KILL_STATES[int(value)]
    if unit.kind == "choice":
        return unit.choices[int(value)]
    return amount(value, unit.kind, currency)
