"""Cases of policies and rules that a change takes away, although what they show is so still.

A case that the head decides otherwise contradicts the change itself, which has a direction of its own.
"""

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from ringfence.errors import PolicyError, Span
from ringfence.language.decision import Outcome
from ringfence.language.linking import LinkedSet
from ringfence.language.policy_tests import merge
from ringfence.language.rules import Rule, read_rule
from ringfence.language.source import Document
from ringfence.review.lost_checks import LostCheck
from ringfence.review.matching import match_gates, match_policies
from ringfence.review.test_runner import CaseResult, run_case
from ringfence.review.testing.cases import TestCase, cases_of_file, cases_of_rule

__all__ = ["lost_cases"]

_BLOCKS = (Outcome.BREACH, Outcome.REDUCE, Outcome.UNKNOWN)
_KINDS = ("PolicyTest", "Rule")
_USUAL = ("account",)


@dataclass(frozen=True, slots=True)
class _Written:
    """One case as it is written, defaults merged in: `asked` is everything but its name and what must come out."""

    name: str
    asked: str
    expected: Mapping[str, Any]
    document: Document
    index: int

    @property
    def place(self) -> tuple[str, str]:
        """What it is known by: its document and its name."""
        return str(self.document.data["metadata"]["name"]), self.name

    @property
    def span(self) -> Span:
        within = ("spec",) if self.document.data["kind"] == "Rule" else ()
        return self.document.span(*within, "cases", self.index)


def lost_cases(base: LinkedSet, head: LinkedSet) -> Iterator[LostCheck]:
    """Cases of the base that the head has no more, or with other content, and that would pass there."""
    known = {each.source.text for each in _documents(head)}
    changed = [each for each in _documents(base) if each.source.text not in known]
    if not changed:
        return
    names = _renamed(base, head)
    shown: dict[str, list[Mapping[str, Any]]] = {}
    at: dict[tuple[str, str], _Written] = {}
    for each in _written(_documents(head), {}):
        shown.setdefault(each.asked, []).append(each.expected)
        at[each.place] = each
    for document in changed:
        lost = [
            each
            for each in _written([document], names)
            if not any(_says_as_much(other, each.expected) for other in shown.get(each.asked, ()))
        ]
        for each, levels in _holding(document, lost, head):
            other = at.get(each.place)
            yield LostCheck(
                "case",
                "removed" if other is None else "rewritten",
                f"{each.place[0]}: {each.name}",
                "what it shows is so still, and nothing shows it any more",
                levels,
                each.span,
                None if other is None else other.span,
            )


def _says_as_much(now: Mapping[str, Any], before: Mapping[str, Any]) -> bool:
    """Whether all that had to come out still has to."""
    return all(
        _says_as_much(now[key], each) if key == "gates" and "gates" in now else now.get(key) == each
        for key, each in before.items()
    )


def _documents(linked: LinkedSet) -> list[Document]:
    return [each for each in linked.documents.values() if each.data["kind"] in _KINDS]


def _written(documents: Iterable[Document], names: Mapping[str, str]) -> Iterator[_Written]:
    for document in documents:
        data = document.data
        rule = data["kind"] == "Rule"
        part = data["spec"] if rule else data
        defaults = part.get("case_defaults" if rule else "defaults") or {}
        asked = data["metadata"]["name"] if rule else data.get("policy")
        for index, case in enumerate(part.get("cases") or ()):
            merged = [
                merge(defaults.get(key) or {}, case.get(key) or {})
                for key in ("given", "when", "limits")
            ]
            said = json.dumps([asked, *merged], sort_keys=True, default=str)
            expected = _expected(case["then"], names)
            yield _Written(str(case["name"]), said, expected, document, index)


def _expected(then: Mapping[str, Any], names: Mapping[str, str]) -> dict[str, Any]:
    """What must come out, with gates as they are called now."""
    gates = then.get("gates")
    if not gates:
        return dict(then)
    return {**then, "gates": {names.get(name, name): each for name, each in gates.items()}}


def _renamed(base: LinkedSet, head: LinkedSet) -> dict[str, str]:
    """Gates that have another name now, by the names that cases know them by."""
    names: dict[str, str] = {}
    for before, now in match_policies(base.policies, head.policies):
        for old, new in match_gates(before, now):
            if old is None or new is None or before is None or now is None:
                continue
            if old.name != new.name:
                names[old.name] = new.name
            if (before.name, old.name) != (now.name, new.name):
                names[f"{before.name}/{old.name}"] = f"{now.name}/{new.name}"
    return names


def _holding(
    document: Document, lost: list[_Written], head: LinkedSet
) -> Iterator[tuple[_Written, tuple[str, ...]]]:
    """Those of a document's cases that the head decides as they say, with the levels they bear on.

    What cannot be asked of the head is not known to be otherwise.
    """
    if not lost:
        return
    try:
        cases = _asked_of(document, head)
    except PolicyError:
        yield from ((each, _USUAL) for each in lost)
        return
    for each in lost if cases else ():
        result = run_case(replace(cases[each.index], expected=each.expected))
        if result.decision is None or result.passed:
            yield each, _levels(result)


def _asked_of(document: Document, head: LinkedSet) -> list[TestCase]:
    """Its cases, asked of the head; none where the rule that they are of is not there any more."""
    if document.data["kind"] == "PolicyTest":
        return cases_of_file(document, head)
    rule = _rule_of(document, head)
    if rule is None:
        return []
    own, spec = document.data["spec"], rule.document.data["spec"]
    cases = {key: own[key] for key in ("cases", "case_defaults") if key in own}
    kept = {key: each for key, each in spec.items() if key not in ("cases", "case_defaults")}
    whole = rule.document.with_data({**rule.document.data, "spec": {**kept, **cases}})
    return cases_of_rule(replace(rule, document=whole))


def _rule_of(document: Document, head: LinkedSet) -> Rule | None:
    name = document.data["metadata"]["name"]
    found = [
        each
        for each in head.documents.values()
        if each.data["kind"] == "Rule" and each.data["metadata"]["name"] == name
    ]
    return read_rule(found[-1])[0] if found else None


def _levels(result: CaseResult) -> tuple[str, ...]:
    """Of the gates that hold the order back."""
    gates = result.decision.gates if result.decision is not None else ()
    found = dict.fromkeys(
        each.level for each in gates if each.outcome in _BLOCKS and each.mode == "enforce"
    )
    return tuple(found) or _USUAL
