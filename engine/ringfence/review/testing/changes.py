"""Which cases a change can touch: what differs from a Git revision, and the orders that it binds."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ringfence.errors import PolicyError
from ringfence.language.linking import LinkedSet, link
from ringfence.language.source import Document
from ringfence.review.testing.cases import TestCase
from ringfence.review.testing.run import Suite
from ringfence.runtime.revisions import documents_at

__all__ = ["LeftOut", "Selection", "select_changed"]

_UNTOUCHED = "nothing that changed binds their orders"
_SAME_FILE = "neither the file nor what it tests changed"
_SAME_RULE = "the rule did not change"


@dataclass(frozen=True, slots=True)
class LeftOut:
    """Cases of one file that are not run, and why."""

    path: str
    cases: int
    why: str


@dataclass(frozen=True, slots=True)
class Selection:
    """The cases that a change can touch, those left out, and what changed, in words."""

    cases: tuple[TestCase, ...]
    left_out: tuple[LeftOut, ...]
    changes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Changes:
    """What differs: documents by path, rules by name, policies by name, and the base set."""

    paths: frozenset[str]
    rules: frozenset[str]
    policies: frozenset[str]
    everything: bool
    """Whether it touches every order: instruments, or a base that does not link."""
    base: LinkedSet | None


def select_changed(
    suite: Suite, revision: str, paths: Sequence[Path], policies: Path | None = None
) -> Selection:
    """Of a suite the cases that can come out otherwise than at a revision.

    A case is run where its own file changed; where a policy changed, or uses a rule that did, whose gates
    bind the case's order now or then; and, of all cases of the set, where instruments changed or the set as it
    was does not link. Comments and layout are no change.

    Args:
        suite: What there is to run.
        revision: A branch, tag or commit.
        paths: What the suite was read from.
        policies: The policy set's path where it is not among the paths.

    Raises:
        InputError: there is no repository, or no such revision.
    """
    below = list(dict.fromkeys([*map(str, paths), *([str(policies)] if policies else [])]))
    before: dict[str, Document | None] = {}
    for path in below:
        before |= documents_at(revision, path)
    changes = _changes(suite, before)
    cases: list[TestCase] = []
    left: dict[tuple[str, str], int] = {}
    for case in suite.cases:
        why = _untouched(case, changes)
        if why:
            left[case.span.path, why] = left.get((case.span.path, why), 0) + 1
        else:
            cases.append(case)
    return Selection(
        tuple(cases),
        tuple(LeftOut(path, count, why) for (path, why), count in left.items()),
        tuple(sorted(changes.paths)),
    )


def _changes(suite: Suite, before: Mapping[str, Document | None]) -> _Changes:
    now = _documents(suite)
    changed = {
        path for path in {*now, *before} if _meaning(now.get(path)) != _meaning(before.get(path))
    }
    touched = [each for path in changed for each in (now.get(path), before.get(path)) if each]
    base = _base(suite, before)
    return _Changes(
        paths=frozenset(changed),
        rules=frozenset(_names(touched, "Rule")),
        policies=frozenset(_names(touched, "Policy")),
        everything=any(_kind(each) == "Instruments" for each in touched)
        or any(path in before and before[path] is None for path in changed)
        or _is_of_another_kind(suite.linked, base),
        base=base,
    )


def _documents(suite: Suite) -> dict[str, Document]:
    """Every document that was read, by path: tests, rules, and those of the set."""
    linked = suite.linked.documents if suite.linked is not None else {}
    return {
        **linked,
        **suite.documents,
        **{rule.document.path: rule.document for rule in suite.rules},
    }


def _base(suite: Suite, before: Mapping[str, Document | None]) -> LinkedSet | None:
    """The policy set as it was; None where it does not link."""
    if suite.linked is None:
        return None
    place = suite.place or Path()
    found = [
        each
        for path, each in before.items()
        if each is not None and (Path(path) == place or place in Path(path).parents)
    ]
    try:
        return link(found, check_mandatory=False)
    except PolicyError:
        return None


def _is_of_another_kind(linked: LinkedSet | None, base: LinkedSet | None) -> bool:
    """Whether no order can be compared: the set as it was does not link, or counts in another currency."""
    return linked is not None and (base is None or base.currency != linked.currency)


def _untouched(case: TestCase, changes: _Changes) -> str:
    """Why a case can be left out; empty where it cannot."""
    if case.span.path in changes.paths:
        return ""
    if case.rule:
        return "" if case.rule.partition("@")[0] in changes.rules else _SAME_RULE
    if not case.asks_the_set:
        used = {gate.rule.name for gate in case.linked.gates}
        return "" if used & changes.rules else _SAME_FILE
    if changes.everything:
        return ""
    if not (changes.policies or changes.rules):
        return _SAME_FILE
    sets = [each for each in (case.linked, changes.base) if each is not None]
    return "" if any(_binds(each, case, changes) for each in sets) else _UNTOUCHED


def _binds(linked: LinkedSet, case: TestCase, changes: _Changes) -> bool:
    when = case.when
    names = (str(when.get(key) or "") for key in ("account", "strategy", "venue", "symbol"))
    account, strategy, venue, symbol = names
    return any(
        bound.gate.policy.name in changes.policies or bound.gate.rule.name in changes.rules
        for bound in linked.bind(account, strategy, venue, symbol)
    )


def _meaning(document: Document | None) -> Any:
    return None if document is None else document.data


def _kind(document: Document) -> str:
    return str(document.data.get("kind")) if isinstance(document.data, dict) else ""


def _names(documents: Iterable[Document], kind: str) -> set[str]:
    return {
        str(each.data["metadata"]["name"])
        for each in documents
        if _kind(each) == kind and isinstance(each.data.get("metadata"), dict)
    }
