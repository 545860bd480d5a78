"""What a change takes away from the checks of policies: invariants, cases, and what a desk has settled.

No order shows it, for no decision changes; but what nothing checks any more is loosened unseen later on.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from ringfence.errors import Span
from ringfence.language.invariant_library import invariants_for
from ringfence.language.invariants import Invariant
from ringfence.language.linking import LinkedSet
from ringfence.review.approval_rules import Asked
from ringfence.review.limit_words import scope_words
from ringfence.review.mistakes.settings import Settings

__all__ = ["LostCheck", "lost_invariants", "weaker_settings"]

_ALL_LEVELS = ("firm", "account", "strategy")
_OF_DIRECTION = {"removed": "LOOSER", "rewritten": "UNKNOWN", "weakened": "LOOSER"}


@dataclass(frozen=True, slots=True)
class LostCheck:
    """One check that is not there any more as it was.

    Attributes:
        what: `invariant`, `case` or `setting`.
        kind: `removed`, `rewritten` (whether it says as much as before is not known) or `weakened`.
        name: What it is called.
        says: What it said, or what of it is otherwise, in words.
        levels: Whose books it bears on.
        base, head: Where it stood, and where it stands now; None where it does not.
    """

    what: str
    kind: str
    name: str
    says: str
    levels: tuple[str, ...]
    base: Span | None
    head: Span | None

    @property
    def direction(self) -> str:
        """What it counts as where approvals are asked for."""
        return _OF_DIRECTION[self.kind]

    @property
    def asked(self) -> Asked:
        """What approvals are asked for: those of a looser change."""
        return Asked(self.direction, self.levels)


def lost_invariants(base: LinkedSet, head: LinkedSet) -> Iterator[LostCheck]:
    """Invariants that held of the base, shipped ones too, and are not asked of the head as they were.

    One that has another name, version or description is as it was; so is one that assumes less.
    """
    if _texts(base) == _texts(head):
        return
    before, now = ({each.name: each for each in invariants_for(side)[0]} for side in (base, head))
    kept = {each.sha256 for each in now.values()}
    for name, each in before.items():
        other = now.get(name)
        if each.sha256 in kept or (other is not None and _assumes_less(each, other)):
            continue
        says = _claim(each) if other is None else "; ".join(_rewritten(each, other))
        yield LostCheck(
            "invariant",
            "removed" if other is None else "rewritten",
            name,
            says,
            (each.level,) if each.claim is not None else _ALL_LEVELS,
            None if each.shipped else each.span,
            None if other is None or other.shipped else other.span,
        )


def _texts(linked: LinkedSet) -> set[str]:
    documents = linked.documents.values()
    return {each.source.text for each in documents if each.data["kind"] == "Invariant"}


def _assumes_less(before: Invariant, now: Invariant) -> bool:
    """Whether the same is claimed of all the orders that it was claimed of, and maybe of more."""
    one, other = before.canonical(), now.canonical()
    assumed = set(other.pop("assume")) <= set(one.pop("assume"))
    scope, wider = one.pop("scope"), other.pop("scope")
    return assumed and wider in (scope, {}) and one == other


def _rewritten(before: Invariant, now: Invariant) -> Iterator[str]:
    """What an invariant says otherwise than before, in words."""
    old, new = (_parts(each) for each in (before, now))
    for name in dict.fromkeys((*old, *new)):
        if old.get(name) != new.get(name):
            yield f"{name}: {old.get(name) or 'nothing'} -> {new.get(name) or 'nothing'}"


def _parts(invariant: Invariant) -> dict[str, str]:
    spec = invariant.document.data["spec"]
    return {
        "claim": _claim(invariant),
        "assume": "; ".join(str(each) for each in spec.get("assume") or ()),
        "scope": scope_words(invariant.scope),
        "level": invariant.level,
        **{name: str(each) for name, each in (spec.get("parameters") or {}).items()},
    }


def _claim(invariant: Invariant) -> str:
    return " ".join(invariant.says.split())


def weaker_settings(base: Settings, head: Settings) -> Iterator[LostCheck]:
    """What a desk settles for the checks of later changes so that they find less, or other things, than before."""
    moved: list[tuple[tuple[str, ...], str, str | None, str | None]] = []
    if head.limit_factor > base.limit_factor:
        moved.append(
            (
                ("validate", "limit_factor"),
                "weakened",
                f"{base.limit_factor:g}",
                f"{head.limit_factor:g}",
            )
        )
    before, now = (
        each.ticket_pattern.pattern if each.ticket_pattern else None for each in (base, head)
    )
    if before is not None and now != before:
        kind = "rewritten" if now is not None else "removed"
        moved.append((("validate", "ticket_pattern"), kind, before, now))
    for code in head.off.keys() - base.off.keys():
        moved.append((("validate", "switched_off"), "weakened", None, code))
    if head.fail_under < base.fail_under:
        moved.append(
            (("test", "fail_under"), "weakened", f"{base.fail_under:g} %", f"{head.fail_under:g} %")
        )
    moved += _replayed(base.replayed, head.replayed)
    for at, kind, old, new in sorted(moved, key=lambda each: (each[0], each[3] or "")):
        yield LostCheck(
            "setting",
            kind,
            ".".join(at),
            f"{old or 'nothing'} -> {new or 'nothing'}",
            ("firm",),
            base.document.span(*at) if base.document is not None else None,
            head.document.span(*at) if head.document is not None else None,
        )


def _replayed(
    base: Mapping[str, Any], head: Mapping[str, Any]
) -> Iterator[tuple[tuple[str, ...], str, str | None, str | None]]:
    """What is replayed otherwise; where nothing was replayed, whatever is now shows more."""
    if "orders" not in base:
        return
    for name in sorted({*base, *head}):
        old, new = base.get(name), head.get(name)
        if old != new:
            kind = "removed" if new is None else "rewritten"
            words = [None if each is None else str(each) for each in (old, new)]
            yield ("ci", name), kind, words[0], words[1]
