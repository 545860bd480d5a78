"""Findings that are meant to be so: accepted in their place with a reason, or switched off by the desk."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from ringfence.errors import Diagnostic, Span
from ringfence.language.codes import CODES
from ringfence.language.gates import Policy
from ringfence.language.source import Document, Key
from ringfence.review.mistakes.context import Context, warning

__all__ = ["ACCEPTABLE", "COMPARED", "settle"]

COMPARED = frozenset(("E400", "E401", "E402", "E403", "E404", "E413"))
"""Codes that only a comparison with another revision finds."""
_PASSING = frozenset(("E410", "E415", "E441"))
"""Codes that come and go with time."""
ACCEPTABLE = (
    frozenset(
        (
            "E411",
            "E414",
            "E420",
            "E421",
            "E424",
            "E425",
            "E430",
            "E431",
            "E432",
            "E433",
            "E434",
            "E442",
        )
    )
    | _PASSING
)
"""Codes that `accept` takes: where a person can know better. For the rest there is a way of its own."""
_OWN_WAY = {
    "E400": "write `acknowledge:` with the very move",
    "E412": "add `ticket:`",
    "E423": "write the value in `bps`",
    "E440": "add `review_by:`",
}
_LAST = "E449"


@dataclass(slots=True)
class _Acceptance:
    code: str
    document: Document
    at: tuple[Key, ...]
    inside: Span | None
    """Where it holds: a gate or an override; None for all of its policy."""
    used: bool = False

    def takes(self, finding: Diagnostic) -> bool:
        span = finding.span
        if span is None or finding.code != self.code or span.path != self.document.path:
            return False
        return self.inside is None or (
            (self.inside.line, self.inside.column)
            <= (span.line, span.column)
            < (self.inside.end_line, self.inside.end_column)
        )


def settle(context: Context, found: Iterable[Diagnostic]) -> Iterator[Diagnostic]:
    """The findings that are left, and those about what was accepted in vain (E449)."""
    off = context.settings.off
    accepted: dict[str, list[_Acceptance]] = {}
    for policy in context.linked.policies:
        if listed := list(_acceptances(policy)):
            accepted[policy.document.path] = listed
    for each in found:
        if each.code in off:
            continue
        taken = False
        for acceptance in accepted.get(each.span.path, ()) if each.span is not None else ():
            if each.code in ACCEPTABLE and acceptance.takes(each):
                acceptance.used = taken = True
        if not taken:
            yield each
    if _LAST not in off:
        for listed in accepted.values():
            yield from _in_vain(context, listed)
        yield from _unknown_off(context)


def _acceptances(policy: Policy) -> Iterator[_Acceptance]:
    spec: Any = policy.document.data["spec"]
    places: list[tuple[tuple[Key, ...], Any, Span | None]] = []
    if "accept" in spec:
        places.append((("spec",), spec["accept"], None))
    for gate in policy.gates:
        for row in gate.rows:
            part: Any = policy.document.data
            for key in row.at:
                part = part[key]
            if "accept" in part:
                places.append((row.at, part["accept"], row.span))
    for at, given, inside in places:
        for number, each in enumerate(given):
            yield _Acceptance(each["code"], policy.document, (*at, "accept", number), inside)


def _in_vain(context: Context, accepted: Sequence[_Acceptance]) -> Iterator[Diagnostic]:
    for each in accepted:
        code = each.code
        # Codes of other checks are theirs to judge; what time or a comparison brings may not be here today.
        if each.used or code > _LAST or code in _PASSING or code in context.settings.off:
            continue
        span = each.document.span(*each.at)
        if code in CODES and code not in ACCEPTABLE:
            yield warning(
                "E449",
                f"`{code}` ({CODES[code]}) cannot be accepted",
                span,
                "what it finds is never right as it stands",
                _OWN_WAY.get(code, "mend what it finds"),
            )
        else:
            yield warning(
                "E449",
                f"`accept` names `{code}`, which is not found here",
                span,
                "what is accepted in vain would hide the next finding of that kind",
                "remove it",
            )


def _unknown_off(context: Context) -> Iterator[Diagnostic]:
    document = context.settings.document
    for number, code in enumerate(context.settings.off):
        if code not in CODES and document is not None:
            yield warning(
                "E449",
                f"`{code}` is switched off, and there is no such code",
                document.span("validate", "switched_off", number, "code"),
                "what was to be switched off goes on being looked for",
                "see docs/reference/errors.md for the codes, or remove it",
            )
