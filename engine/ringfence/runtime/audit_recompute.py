"""A whole audit log derived again: each decision from its own record, and the policy set that the log holds."""

from collections import Counter, OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from ringfence.errors import InputError, PolicyError
from ringfence.runtime.audit_decision import DECISION, POLICY_SET
from ringfence.runtime.audit_reader import Record
from ringfence.runtime.derive import Deriver, Given, given_in
from ringfence.runtime.policy_files import files_in
from ringfence.runtime.policy_set import PolicySet
from ringfence.runtime.policy_store import PolicyStore
from ringfence.runtime.recompute_record import (
    Difference,
    Head,
    How,
    Recomputed,
    head_of,
    recompute,
)

__all__ = ["Recomputation", "Recomputer", "Wrong", "deriver_of"]

# Records whose names are taken in at once.
_BATCH = 1_000
#: So many answers are remembered, for those that repeat one.
MOST_HEADS = 1_000_000
#: So many records that differ are kept; all are counted.
MOST_WRONG = 10_000


@dataclass(frozen=True, slots=True)
class Wrong:
    """A record that is not what is derived.

    Attributes:
        sequence: Its number.
        id: Of its decision, or the policy set that it should hold.
        differences: What differs.
    """

    sequence: int
    id: str
    differences: tuple[Difference, ...]


@dataclass(slots=True)
class Recomputation:
    """What came of a log.

    Attributes:
        decisions: How many records of decisions there were.
        counts: By `How`, how many of them.
        states: By code, how many no record can show to have been right.
        notes: What else could not be done, and how often.
        wrong: Records that differ, the first `MOST_WRONG`.
        wrong_count: How many there are in all.
    """

    decisions: int = 0
    counts: Counter[str] = field(default_factory=Counter)
    states: Counter[str] = field(default_factory=Counter)
    notes: Counter[str] = field(default_factory=Counter)
    wrong: list[Wrong] = field(default_factory=list)
    wrong_count: int = 0


def deriver_of(
    name: str, about: dict[str, Any] | None, store: PolicyStore | None = None
) -> Deriver:
    """What derives the decisions of a policy set.

    Args:
        name: Its SHA-256.
        about: Body of the record that holds it; None where there is none.
        store: Where else it may be.

    Raises:
        InputError: it is in neither, does not link, or links to another hash.
    """
    files = {} if about is None else files_in(about)
    if files:
        try:
            found = PolicySet.from_files(files)
        except PolicyError as error:
            version = (about or {}).get("ringfence")
            raise InputError(
                f"the policy set `{name}` does not link: {error.diagnostics[0].message}",
                f"use Ringfence {version}, which wrote it down",
            ) from None
        if found.sha256 != name:
            raise InputError(f"the record of the policy set `{name}` holds `{found.sha256}`")
        return Deriver(found.linked)
    if store is None:
        raise InputError(
            f"the log does not hold the policy set `{name}`", "name a store that does: --store DIR"
        )
    return Deriver(store.load(name).linked)


class Recomputer:
    """Derives the decisions among records that it is given one after the other.

    Args:
        store: Where policy sets are that the log does not hold.
        second: Ask the reference interpreter about every decision, not only about those that differ.
        progress: Is told how many records were taken, now and then.
    """

    def __init__(
        self,
        store: PolicyStore | None = None,
        *,
        second: bool = False,
        progress: Callable[[int], None] | None = None,
    ) -> None:
        self.result = Recomputation()
        self._store, self._second, self._progress = store, second, progress
        self._abouts: dict[str, tuple[int, dict[str, Any]]] = {}
        self._derivers: dict[str, Deriver | InputError] = {}
        self._heads: OrderedDict[str, Head] = OrderedDict()
        self._waiting: list[Record] = []
        self._taken = 0

    def take(self, record: Record) -> None:
        """Look at the next record of a log."""
        self._taken += 1
        if record.kind == DECISION:
            self._waiting.append(record)
        elif record.kind == POLICY_SET:
            self._policy_set(record)
        if len(self._waiting) >= _BATCH:
            self._work()
        if self._progress is not None and self._taken % _BATCH == 0:
            self._progress(self._taken)

    def done(self) -> Recomputation:
        """What came of all of them."""
        self._work()
        return self.result

    def _policy_set(self, record: Record) -> None:
        name = record.body.get("policy_set")
        if not isinstance(name, str):
            difference = Difference("record", "", "policy_set", name, None)
            self._wrong(record, "", [difference])
            return
        before = self._abouts.get(name)
        if before is not None and _files_of(before[1]) == _files_of(record.body):
            return
        # Decisions that came before were made with what was there before.
        self._work()
        self._abouts[name] = record.sequence, record.body
        self._derivers.pop(name, None)
        try:
            self._derivers[name] = deriver_of(name, record.body, self._store)
        except InputError as error:
            self._derivers[name] = error
            self._wrong(record, name, [Difference("record", "", "files", error.message, None)])

    def _work(self) -> None:
        waiting, self._waiting = self._waiting, []
        by_set: dict[str, list[Given]] = {}
        ready: list[tuple[Record, str, Given | None]] = []
        for record in waiting:
            name = str(record.body.get("policy_set"))
            given = _given(record.body)
            if given is not None:
                by_set.setdefault(name, []).append(given)
            ready.append((record, name, given))
        for name, given_ones in by_set.items():
            deriver = self._deriver(name)
            if isinstance(deriver, Deriver):
                deriver.know(given_ones)
        for record, name, given in ready:
            self._decision(record, name, given)

    def _decision(self, record: Record, name: str, given: Given | None) -> None:
        body, result = record.body, self.result
        result.decisions += 1
        deriver = self._deriver(name)
        if isinstance(deriver, InputError):
            difference = Difference("record", "", "policy_set", deriver.message, None)
            found = Recomputed(How.FAILED, [difference])
        else:
            found = recompute(
                body,
                deriver,
                given,
                original=self._heads.get(str(body.get("id"))),
                second=self._second,
            )
        result.counts[found.how] += 1
        if found.how is How.STATE:
            result.states[str(body.get("code"))] += 1
        elif found.note:
            result.notes[found.note] += 1
        if found.differences:
            self._wrong(record, str(body.get("id")), found.differences)
        if found.how is How.DERIVED:
            self._heads.setdefault(str(body.get("id")), head_of(body))
            if len(self._heads) > MOST_HEADS:
                self._heads.popitem(last=False)

    def _deriver(self, name: str) -> Deriver | InputError:
        found = self._derivers.get(name)
        if found is None:
            try:
                found = deriver_of(name, None, self._store)
            except InputError as error:
                found = error
            self._derivers[name] = found
        return found

    def _wrong(self, record: Record, name: str, differences: list[Difference]) -> None:
        self.result.wrong_count += 1
        if len(self.result.wrong) < MOST_WRONG:
            self.result.wrong.append(Wrong(record.sequence, name, tuple(differences)))


def _files_of(body: dict[str, Any]) -> tuple[Any, Any]:
    return body.get("files"), body.get("files_zlib")


def _given(body: dict[str, Any]) -> Given | None:
    """What a decision was made from, where its record says that in a readable way."""
    if body.get("evidence") is None or body.get("repeated") is True:
        return None
    try:
        return given_in(body)
    except InputError:
        return None
