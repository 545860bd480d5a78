"""What differs between two policy sets, in the terms of policies: limits moved, gates added, scopes changed.

Every difference in meaning is found: two sets without one have the same SHA-256.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from ringfence.errors import Span
from ringfence.language.canonical import canonical_rule
from ringfence.language.gates import Gate, LimitRow, Policy, canonical_value
from ringfence.language.linking import LinkedSet
from ringfence.language.parameters import Money, Value
from ringfence.review.beside_changes import Move, beside_changes
from ringfence.review.limit_words import scope_words, value_words, window_moves, window_words
from ringfence.review.matching import match_gates, match_overrides, match_policies

__all__ = ["Change", "Move", "limit_changes"]


@dataclass(frozen=True, slots=True)
class Change:
    """One gate, one policy, or what is declared beside them, and all that moved in it.

    Attributes:
        kind: `added`, `removed` or `moved`.
        base, head: The gate on either side; None where it is not there, and where the change is not of a gate.
        base_policy, head_policy: The policy on either side; None of both for what is declared beside policies.
        moves: What moved; of a gate that was added or removed, its limits.
    """

    kind: str
    base: Gate | None
    head: Gate | None
    base_policy: Policy | None
    head_policy: Policy | None
    moves: tuple[Move, ...]

    @property
    def policy(self) -> str:
        """Name of the policy, as it is called now; empty for what is declared beside policies."""
        found = self.head_policy or self.base_policy
        return found.name if found is not None else ""

    @property
    def gate(self) -> str:
        """Name of the gate, as it is called now; empty where the change is not of a gate."""
        found = self.head or self.base
        return found.name if found is not None else ""

    @property
    def former_policy(self) -> str:
        """Name of the policy before; empty where it is new."""
        return self.base_policy.name if self.base_policy is not None else ""

    @property
    def former_gate(self) -> str:
        """Name of the gate before; empty where it is new, or the change not of a gate."""
        return self.base.name if self.base is not None else ""

    @property
    def levels(self) -> tuple[str, ...]:
        """Whose books it bears on: of the gate on both sides, or of all gates of the policy; all books have one day."""
        gates = [each for each in (self.base, self.head) if each is not None]
        if not gates:
            gates = [
                gate for each in (self.base_policy, self.head_policy) if each for gate in each.gates
            ]
        found = dict.fromkeys(gate.level for gate in gates)
        if any(move.what == "day" for move in self.moves):
            found["firm"] = None
        return tuple(found) or ("firm",)

    @property
    def decides(self) -> bool:
        """Whether it can change a decision: a policy's version and owner do not."""
        return any(move.what not in ("version", "owner", "name", "ticket") for move in self.moves)


def limit_changes(base: LinkedSet, head: LinkedSet) -> list[Change]:
    """What differs: policies in the head's order, each before its gates; then what is declared beside them."""
    found: list[Change] = []
    rules = _rules_of(base), _rules_of(head)
    for before, now in match_policies(base.policies, head.policies):
        if before is not None and before is now:
            continue
        moves = tuple(_policy_moves(before, now))
        kind = "moved" if before and now else "added" if now else "removed"
        if moves:
            found.append(Change(kind, None, None, before, now, moves))
        for old, new in match_gates(before, now):
            of_gate = tuple(_gate_moves(old, new, *rules))
            if of_gate:
                kind = "moved" if old and new else "added" if new else "removed"
                found.append(Change(kind, old, new, before, now, of_gate))
    beside = tuple(beside_changes(base, head))
    if not found and not beside and base.sha256 != head.sha256:
        beside = (
            Move(
                "order", "", "", "policies and gates in their order", "in another", None, None, None
            ),
        )
    if beside:
        found.append(Change("moved", None, None, None, None, beside))
    return found


def _rules_of(linked: LinkedSet) -> Mapping[str, object]:
    return {rule.key: canonical_rule(rule) for rule in linked.rules}


def _policy_moves(base: Policy | None, head: Policy | None) -> Iterator[Move]:
    if base is None or head is None:
        yield Move(
            "policy", "", "", _policy_words(base), _policy_words(head), None,
            *(None if each is None else each.document.span("metadata", "name") for each in (base, head)),
        )  # fmt: skip
        return
    pairs = (
        ("name", ("metadata", "name"), base.name, head.name),
        ("version", ("metadata", "version"), base.version, head.version),
        ("owner", ("metadata", "owner"), base.owner, head.owner),
        ("scope", ("spec", "scope"), scope_words(base.scope), scope_words(head.scope)),
        ("currency", ("spec", "currency"), base.currency, head.currency),
        ("day", ("spec", "day"), " ".join(base.day or ()), " ".join(head.day or ())),
    )
    same_scope = base.scope.canonical() == head.scope.canonical()
    for what, at, old, new in pairs:
        if old != new and not (what == "scope" and same_scope):
            spans = base.document.span(*at), head.document.span(*at)
            yield Move(what, "", "", old or None, new or None, None, *spans)


def _policy_words(policy: Policy | None) -> str | None:
    return None if policy is None else f"{policy.label}: {scope_words(policy.scope)}"


def _gate_moves(
    base: Gate | None,
    head: Gate | None,
    base_rules: Mapping[str, object],
    head_rules: Mapping[str, object],
) -> Iterator[Move]:
    if base is None or head is None:
        sides = [None if each is None else each.span for each in (base, head)]
        yield Move("gate", "", "", _gate_words(base), _gate_words(head), None, *sides)
        gate = head or base
        if gate is not None:
            for row in gate.rows:
                yield from _row_moves(gate, gate, row if base else None, row if head else None)
        return
    if base.name != head.name:
        yield Move("name", "", "", base.name, head.name, None, base.span, head.span)
    at_base, at_head = base.rows[0].at, head.rows[0].at
    for what in ("level", "mode", "on_breach", "confirm_ticks", "applies_to"):
        old, new = str(getattr(base, what)), str(getattr(head, what))
        if old != new:
            spans = base.policy.document.span(*at_base, what), head.policy.document.span(
                *at_head, what
            )
            yield Move(what, "", "", old, new, None, *spans)
    if base.rule.key != head.rule.key or base_rules[base.rule.key] != head_rules[head.rule.key]:
        spans = base.policy.document.span(*at_base, "rule"), head.policy.document.span(
            *at_head, "rule"
        )
        same = base.rule.key == head.rule.key
        words = (base.rule.key, f"{head.rule.key}, rewritten" if same else head.rule.key)
        yield Move("rule", "", "", *words, None, *spans)
    yield from _value_moves(base.rows[0], head.rows[0], base, head, "")
    pairs = match_overrides(base, head)
    for before, now in pairs:
        yield from _row_moves(base, head, before, now)
    kept = [before for before, now in pairs if before is not None and now is not None]
    if kept != [row for row in base.rows[1:] if row in kept]:
        # The last override that matches binds.
        yield Move(
            "order", "", "overrides", "in their order", "in another", None, base.span, head.span
        )


def _gate_words(gate: Gate | None) -> str | None:
    if gate is None:
        return None
    shadow = ", shadow" if gate.mode == "shadow" else ""
    return f"{gate.rule.key}, {gate.on_breach}{shadow}"


def _row_moves(
    base_gate: Gate, head_gate: Gate, base: LimitRow | None, head: LimitRow | None
) -> Iterator[Move]:
    """What moved in an override, or all limits of one that is there on one side alone."""
    if base is None or head is None:
        row, gate = (base, base_gate) if base is not None else (head, head_gate)
        if row is None:
            return
        where = _where(row)
        for name in row.given if where else row.values:
            words = value_words(gate.rule, name, row.values.get(name))
            span = row.spans.get(name, row.span)
            sides = (
                (words, None, None, span, None) if head is None else (None, words, None, None, span)
            )
            yield Move("override" if where else "limit", name, where, *sides)
        return
    pairs = (
        ("scope", ("scope",), scope_words(base.scope), scope_words(head.scope)),
        ("window", ("until",), *window_moves(base, head)),
        ("ticket", ("ticket",), base.ticket, head.ticket),
    )
    where = _where(head)
    for what, at, old, new in pairs:
        if old != new:
            spans = base.document.span(*base.at, *at), head.document.span(*head.at, *at)
            yield Move(what, "", where, old or None, new or None, None, *spans)
    yield from _value_moves(base, head, base_gate, head_gate, where)


def _where(row: LimitRow) -> str:
    """Where and when an override holds, in words; empty for a gate's own limits."""
    if "overrides" not in row.at:
        return ""
    return ", ".join(part for part in (scope_words(row.scope), window_words(row)) if part)


def _value_moves(
    base: LimitRow, head: LimitRow, base_gate: Gate, head_gate: Gate, where: str
) -> Iterator[Move]:
    # An override takes what it does not name from its gate, where the move is told.
    names = (*base.given, *head.given) if where else (*base.values, *head.values)
    for name in dict.fromkeys(names):
        old = base.values.get(name) if not where or name in base.given else None
        new = head.values.get(name) if not where or name in head.given else None
        if old is not None and new is not None and canonical_value(old) == canonical_value(new):
            continue
        spans = _span(base, name, old), _span(head, name, new)
        words = value_words(base_gate.rule, name, old), value_words(head_gate.rule, name, new)
        yield Move("override" if where else "limit", name, where, *words, _factor(old, new), *spans)


def _span(row: LimitRow, name: str, value: Value | None) -> Span | None:
    return None if value is None else row.spans.get(name, row.span)


def _factor(old: Value | None, new: Value | None) -> float | None:
    """New over old, where both are numbers of one kind."""
    match old, new:
        case Money(amount=before, currency=one), Money(amount=after, currency=other) if (
            one == other
        ):
            pass
        case float(before), float(after):
            pass
        case _:
            return None
    return after / before if before else None
