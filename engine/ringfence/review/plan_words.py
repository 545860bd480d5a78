"""How a plan is put into words: the same for a terminal, a pull request's comment and a page."""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from ringfence.replay.wording import money, plural

__all__ = [
    "DIRECTIONS",
    "SIGNS",
    "Row",
    "Use",
    "answer_words",
    "book_words",
    "check_words",
    "compared",
    "headline",
    "need_words",
    "place_words",
    "rows_of",
    "seen_words",
    "uses_of",
    "witnesses_of",
]

Json = Mapping[str, Any]

#: What each direction is called.
DIRECTIONS: Mapping[str, str] = {
    "LOOSER": "looser",
    "TIGHTER": "tighter",
    "EQUAL": "without effect",
    "INCOMPARABLE": "looser and tighter",
    "UNKNOWN": "not known",
}
#: A sign for each, which does not hang on colour.
SIGNS: Mapping[str, str] = {
    "LOOSER": "▲",
    "TIGHTER": "▼",
    "EQUAL": "=",
    "INCOMPARABLE": "◆",
    "UNKNOWN": "?",
}
#: The order in which changes are listed: what lets more pass first.
RANKS = {
    name: place
    for place, name in enumerate(("LOOSER", "UNKNOWN", "INCOMPARABLE", "TIGHTER", "EQUAL"))
}
_WHOLE = {
    "LOOSER": "This change is looser: some orders get more than before, and none gets less",
    "TIGHTER": "This change is tighter: some orders get less than before, and none gets more",
    "EQUAL": "This change decides every order as before",
    "INCOMPARABLE": "This change is looser for some orders and tighter for others",
    "UNKNOWN": "Whether this change is looser or tighter could not be proved",
}
_WHATS = {
    "gate": "",
    "policy": "",
    "limit": "",
    "override": "override",
    "rule": "rule",
    "universe": "declared",
    "order": "order",
}


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table of limits.

    Attributes:
        direction: Of the change that it belongs to.
        subject: `policy / gate`, or what else it is.
        what: Which limit or part.
        old, new: In words; empty where it was not there.
        factor: `x 1.5`; empty where there is none.
        where: Level and scope; of an override also where and when it holds.
        places: File and line now, and before where that is another.
        first: Whether it is the first line of its change.
    """

    direction: str
    subject: str
    what: str
    old: str
    new: str
    factor: str
    where: str
    places: tuple[str, ...]
    first: bool


@dataclass(frozen=True, slots=True)
class Use:
    """How near a gate came to its limit on either side: highest measure / limit; None where unknown."""

    gate: str
    level: str
    base: float | None
    head: float | None


def headline(plan: Json) -> str:
    """One plain sentence: what the change is, by its direction and by what it is made of."""
    lost = _lost_words(plan)
    if not plan["changes"]:
        same = "both sides are the same policy set"
        return f"No limit changes: {same}, and {lost}." if lost else f"Nothing changes: {same}."
    counts = Counter(each["direction"] for each in plan["changes"])
    parts = [f"{counts[name]} {DIRECTIONS[name]}" for name in RANKS if counts.get(name)]
    told = f"{_WHOLE[plan['direction']]}. {plural(len(plan['changes']), 'change')}: {', '.join(parts)}."
    return f"{told} {lost[:1].upper()}{lost[1:]}." if lost else told


def _lost_words(plan: Json) -> str:
    """How much is checked no more; empty where all is."""
    count = len(plan["checks"])
    return (
        f"{plural(count, 'check')} {'is' if count == 1 else 'are'} gone or weaker" if count else ""
    )


def check_words(check: Json) -> str:
    """What was taken away from the checks, in a sentence: ``invariant `size` is removed: order.size <= 1``."""
    return f"{check['what']} `{check['name']}` is {check['kind']}: {check['says']}"


def rows_of(plan: Json) -> list[Row]:
    """The table of limits: what lets more pass first, then in the order of the policies."""
    changes = sorted(plan["changes"], key=lambda each: RANKS[each["direction"]])
    return [row for each in changes for row in _rows(each)]


def _rows(change: Json) -> Iterator[Row]:
    subject = " / ".join(part for part in (change["policy"], change["gate"]) if part)
    level = ", ".join(change["levels"])
    for number, move in enumerate(change["moves"]):
        what = " ".join(
            part for part in (_WHATS.get(move["what"], move["what"]), move["name"]) if part
        )
        if move["what"] in ("gate", "policy"):
            what = f"{change['kind']} {move['what']}"
        factor = f"x {move['factor']:.4g}" if move["factor"] is not None else ""
        yield Row(
            direction=change["direction"],
            subject=subject or "beside the policies",
            what=what,
            old=move["old"] or "",
            new=move["new"] or "",
            factor=factor,
            where=f"{level}: {move['where'] or change['scope']}",
            places=_places(move),
            first=number == 0,
        )


def _places(move: Json) -> tuple[str, ...]:
    base, head = place_words(move["base"]), place_words(move["head"])
    shown = [each for each in (head, f"was {base}" if base and base != head else "") if each]
    return tuple(shown)


def place_words(place: Json | None) -> str:
    """`policies/desk.yaml:31`; empty where it stands nowhere."""
    return "" if place is None else f"{place['path']}:{place['line']}"


def witnesses_of(plan: Json) -> list[tuple[str, Json]]:
    """Orders that get more than before: of the whole set first, then of each looser change taken alone."""
    found: list[tuple[str, Json]] = []
    if plan["looser"] is not None:
        found.append(("the whole change", plan["looser"]))
    for each in plan["changes"]:
        if each["looser"] is not None:
            subject = " / ".join(part for part in (each["policy"], each["gate"]) if part)
            found.append(
                (f"{subject or 'what is declared beside the policies'}, alone", each["looser"])
            )
    # The whole set's may be the one of its only change.
    return list({repr(witness): (name, witness) for name, witness in reversed(found)}.values())[
        ::-1
    ]


def answer_words(answer: Json) -> str:
    """What one side says of a witness: `rejected: total exposure is ...`."""
    words = {"APPROVE": "approved", "REJECT": "rejected"}.get(answer["decision"])
    said = words or f"reduced to {answer['size']}"
    return f"{said}: {answer['reason']}" if answer["reason"] else said


def need_words(plan: Json) -> list[str]:
    """What approvals are needed, given and missing, a line for each group."""
    approvals = plan["approvals"]
    lines = []
    for need in approvals["needs"]:
        given = f" by {', '.join(need['given'])}" if need["given"] else ""
        line = f"{need['needed']} of {need['group']}: {len(need['given'])} given{given}"
        if need["missing"]:
            line += f", {need['missing']} missing"
            if need["may"]:
                more = len(need["may"]) - 8
                line += (
                    f" ({', '.join(need['may'][:8])}{f' and {more} more' if more > 0 else ''} may)"
                )
        lines.append(line)
    lines += [f"{each['person']} does not count: {each['why']}" for each in approvals["left_out"]]
    if approvals["rules_changed"]:
        lines.append("the rules of approvals change as well: those of the base judge this change")
    return lines


def compared(plan: Json) -> list[Json]:
    """What changes in a dry run, for each way of keeping state; nothing without one."""
    summary = plan["dry_run"]
    if summary is None:
        return []
    return [each for each in (summary["changes"], summary.get("changes_beside")) if each]


def seen_words(changes: Json) -> str:
    """What changes in one way of keeping state, in a sentence."""
    if not changes["orders"]:
        return f"{changes['mode']}: no order is decided otherwise"
    kinds = (("newly_rejected", "newly rejected"), ("newly_reduced", "newly reduced"),
             ("newly_approved", "newly approved"), ("resized", "resized"))  # fmt: skip
    parts = [f"{changes[key]:,} {word}" for key, word in kinds if changes[key]]
    stake = money(changes["notional_at_stake"], changes["currency"])
    return f"{changes['mode']}: {', '.join(parts)}; notional {stake}"


def book_words(summary: Json) -> str:
    """Whose orders were replayed, and why; empty where that is not known."""
    books = summary.get("books")
    if not books:
        return ""
    if books["why"]:
        return f"the orders of all {plural(books['accounts'], 'account')} were replayed: {books['why']}"
    return (
        f"the orders of {books['touched']} of {plural(books['accounts'], 'account')} were replayed, whose "
        f"gates are not the same as before; {plural(books['left_out'], 'row')} of others left out"
    )


def uses_of(plan: Json) -> list[Use]:
    """Highest utilisation of each gate before and after, the highest first."""
    summary = plan["dry_run"]
    if summary is None or not summary["orders"]["replayed"]:
        return []
    mode = summary["changes"]["mode"]
    sides = [
        {
            (gate["gate"], gate["level"]): gate
            for gate in summary["sides"][side]["modes"][mode]["gates"]
        }
        for side in ("base", "head")
    ]
    found = [
        Use(*key, *(_peak(side.get(key)) for side in sides))
        for key in dict.fromkeys((*sides[1], *sides[0]))
    ]
    known = [each for each in found if each.base is not None or each.head is not None]
    return sorted(known, key=lambda each: -max(each.base or 0.0, each.head or 0.0))


def _peak(gate: Json | None) -> float | None:
    use = gate["utilisation"] if gate else None
    return None if use is None else float(use["peak"])
