"""Limits out of history: what would have rejected so many orders, or what was never used.

Each number that is suggested was tried: the orders are replayed with it, in propagated mode.
"""

import itertools
import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace

from ringfence.errors import InputError
from ringfence.language import ir
from ringfence.language.changed_limits import with_rows
from ringfence.language.gates import Gate, LimitRow
from ringfence.language.linking import LinkedSet, link
from ringfence.language.parameters import Value
from ringfence.language.rules import walk
from ringfence.language.source import load
from ringfence.replay.limit_use import LimitUse, gate_key, limit_use
from ringfence.replay.sources import Inputs
from ringfence.review.sayable import as_value, number_of, sayable_value
from ringfence.review.suggesting.limit_edits import Edit, edited_files, limit_edit
from ringfence.review.suggesting.movable_limits import movable

__all__ = ["Goal", "Suggestion", "Trial", "suggest"]

#: Factors this close are one limit: numbers are said with three digits.
_NEAR = 1.01
_WIDEST = 2.0**14
_LOSSES = ("book.day_loss", "book.day_loss_ratio", "book.drawdown")


@dataclass(frozen=True, slots=True)
class Goal:
    """What is wanted: exactly one of the two rates is given.

    Attributes:
        reject_rate: At most this share of the orders rejected.
        unused_above: No limit that was never used above this share of it.
        gates: A glob; gates by their name, `level.name` or `policy/name`.
        runs: The most replays.
    """

    reject_rate: float | None = None
    unused_above: float | None = None
    gates: str = "*"
    runs: int = 16


@dataclass(frozen=True, slots=True)
class Trial:
    """One replay: all limits times `factor`, rounded, and what came of it."""

    factor: float
    use: LimitUse


@dataclass(slots=True)
class Suggestion:
    """What was found.

    Attributes:
        goal: What was wanted.
        linked: The policy set as it is.
        before: The replay with it.
        trials: What was tried, in the order in which it was.
        edits: The limits that move; empty where none has to, or none helps.
        after: The replay with the files as they would be; None without edits.
        files: By path, text before and after.
        sha256: Of the policy set as it would be; empty without edits.
        reached: Whether the goal is reached.
        monotone: Whether a tighter limit never rejected fewer orders, as far as tried.
        notes: What has to be known beside.
    """

    goal: Goal
    linked: LinkedSet
    before: LimitUse
    trials: list[Trial] = field(default_factory=list)
    edits: list[Edit] = field(default_factory=list)
    after: LimitUse | None = None
    files: dict[str, tuple[str, str]] = field(default_factory=dict)
    sha256: str = ""
    reached: bool = True
    monotone: bool = True
    notes: list[str] = field(default_factory=list)


def suggest(
    linked: LinkedSet,
    inputs: Inputs,
    goal: Goal,
    *,
    equity: float | None = None,
    progress: Callable[[str, int, int], None] | None = None,
) -> Suggestion:
    """Find limits for a goal.

    Args:
        linked: The policy set, linked from files.
        inputs: What is replayed.
        goal: What is wanted.
        equity: As the engine takes it.
        progress: Told what is replayed, how many orders are done, of how many.

    Raises:
        InputError: no gate of the goal has a limit that can be moved, or no order can be replayed.
    """
    work = _Work(linked, inputs, goal, equity, progress)
    return work.unused() if goal.unused_above is not None else work.rate()


def _no_orders(inputs: Inputs) -> InputError:
    # Of no orders none is rejected: any limit would reach the goal.
    counts = inputs.orders.rejects.counts
    why = "; ".join(f"{rows:,} {reason}" for reason, rows in sorted(counts.items()))
    return InputError(
        "no order could be replayed, so no limit follows" + (f": {why}" if why else ""),
        "give orders that can be: `ringfence dry-run` shows what is wrong with each row",
    )


class _Work:
    def __init__(
        self,
        linked: LinkedSet,
        inputs: Inputs,
        goal: Goal,
        equity: float | None,
        progress: Callable[[str, int, int], None] | None,
    ) -> None:
        self._linked, self._inputs, self._goal = linked, inputs, goal
        self._equity, self._progress = equity, progress
        self._limits = list(movable(linked, goal.gates))
        if not self._limits:
            raise InputError(
                f"no limit of the gates `{goal.gates}` can be moved",
                "name gates whose limit is money, a share, a size or a count, and stands in a policy",
            )
        self._runs = 0
        self._known: dict[tuple[float, ...], LimitUse] = {}
        self._found = Suggestion(goal, linked, self._replay(linked, "as it is"))
        if not self._found.before.orders:
            raise _no_orders(inputs)
        self._found.notes += self._overrides()

    def _replay(self, linked: LinkedSet, what: str) -> LimitUse:
        self._runs += 1
        rows = self._inputs.orders.rows
        progress = self._progress

        def told(done: int) -> None:
            if progress is not None:
                progress(f"run {self._runs}, {what}", done, rows)

        return limit_use(linked, self._inputs, equity=self._equity, progress=told)

    def _overrides(self) -> Iterator[str]:
        use = self._found.before
        for gate in dict.fromkeys(gate for gate, _ in self._limits):
            active = [
                row
                for row in gate.rows[1:]
                if row.from_ns <= use.last_ns and row.until_ns > use.first_ns
            ]
            if active:
                count = len(active)
                yield (
                    f"{gate_key(gate)} has {count} override{'s' if count > 1 else ''} in force in that time: "
                    "these stay as they are"
                )

    # A rejection rate

    def rate(self) -> Suggestion:
        found, goal = self._found, self._goal.reject_rate or 0.0
        found.trials.append(Trial(1.0, found.before))
        if found.before.reject_rate > goal:
            bounds = self._outward(2.0, lambda use: use.reject_rate <= goal)
            if bounds is None:
                rate = found.trials[-1].use.reject_rate
                found.reached = False
                found.notes.append(
                    f"with these limits {found.trials[-1].factor:g} times as wide {rate * 100:.4g}% of the "
                    "orders are still rejected: other gates do it, or the books lack something"
                )
                return self._judged()
            tight, wide = bounds
        else:
            bounds = self._outward(0.5, lambda use: use.reject_rate > goal)
            if bounds is None:
                found.notes.append(
                    f"limits of {found.trials[-1].factor:g} of the present ones still reject no more than "
                    "the goal: nothing tighter was tried"
                )
                wide = found.trials[-1].factor
                tight = wide
            else:
                wide, tight = bounds
        while wide / tight > _NEAR and self._runs < self._goal.runs:
            middle = math.sqrt(tight * wide)
            if self._tried(middle).reject_rate <= goal:
                wide = middle
            else:
                tight = middle
        if wide != 1.0:
            self._settle({(gate_key(gate), name): wide for gate, name in self._limits})
        if found.after is not None:
            found.reached = found.after.reject_rate <= goal
            found.notes += self._widened(wide)
        else:
            found.notes.append("the limits as they are come closest: nothing has to move")
        return self._judged()

    def _widened(self, factor: float) -> Iterator[str]:
        """The gates that would be wider though they stopped no order."""
        peak = self._found.before.peak
        keys = dict.fromkeys(gate_key(edit.gate) for edit in self._found.edits)
        idle = [key for key in keys if peak.get(key, 0.0) <= 1.0]
        if factor > 1.0 and idle:
            yield (
                f"these stopped no order, and are wider because all limits of `{self._goal.gates}` move together: "
                f"{', '.join(idle)}; name with --gate those that should move"
            )

    def _outward(
        self, step: float, there: Callable[[LimitUse], bool]
    ) -> tuple[float, float] | None:
        """Doubles or halves all limits until `there` holds: the factor before, and the one where it does."""
        before = 1.0
        moved = {gate_key(gate) for gate, _ in self._limits}
        # What is left over is for halving what lies between.
        while self._runs < max(3, self._goal.runs - 4) and 1 / _WIDEST < before < _WIDEST:
            factor = before * step
            use = self._tried(factor)
            if there(use):
                return before, factor
            if step > 1 and all(use.peak.get(key, 0.0) <= 1.0 for key in moved):
                # None of them stops an order any more: wider ones change nothing.
                return None
            before = factor
        return None

    def _tried(self, factor: float) -> LimitUse:
        values = self._values({(gate_key(gate), name): factor for gate, name in self._limits})
        key = tuple(number_of(value) or 0.0 for value in values.values())
        if key not in self._known:
            said = f"limits x {factor:.4g}"
            self._known[key] = self._replay(self._with(values), said)
        self._found.trials.append(Trial(factor, self._known[key]))
        return self._known[key]

    def _judged(self) -> Suggestion:
        tried = sorted(self._found.trials, key=lambda each: each.factor)
        rates = [each.use.reject_rate for each in tried]
        self._found.monotone = all(a >= b for a, b in itertools.pairwise(rates))
        if not self._found.monotone:
            self._found.notes.append(
                "a tighter limit did not always reject more: what is rejected early leaves room later; of the limits "
                "tried the one suggested reaches the goal, and the next tighter one does not"
            )
        return self._found

    # Limits that are not used

    def unused(self) -> Suggestion:
        found, above = self._found, self._goal.unused_above or 0.0
        factors: dict[tuple[str, str], float] = {}
        never = []
        for gate, name in self._limits:
            peak = found.before.peak.get(gate_key(gate), 0.0)
            active = any(
                row.from_ns <= found.before.last_ns and row.until_ns > found.before.first_ns
                for row in gate.rows[1:]
            )
            if peak == 0.0:
                never.append(gate_key(gate))
            elif peak < above and not active:
                factors[gate_key(gate), name] = peak / above
        if never:
            labels = ", ".join(dict.fromkeys(never))
            found.notes.append(f"never used at all, so no number follows: {labels}")
        labels_of = [label for label, _ in factors]
        several = [each for each in dict.fromkeys(labels_of) if labels_of.count(each) > 1]
        if several:
            found.notes.append(
                "of a gate with several limits the closest one is measured; all of them are lowered by the same "
                f"factor: {', '.join(several)}"
            )
        losses = [key for key in dict.fromkeys(labels_of) if key in self._losses()]
        if losses:
            found.notes.append(
                f"a time without losses says little of what {', '.join(losses)} should be: look at them by hand"
            )
        self._settle(factors)
        after = found.after
        if after is not None:
            found.reached = all(
                after.peak.get(label, 0.0) <= above * (1 + 1e-9) for label, _ in factors
            )
        return found

    def _losses(self) -> set[str]:
        """Gates that measure a loss."""
        return {
            gate_key(gate)
            for gate, _ in self._limits
            for check in gate.rule.checks
            if any(
                isinstance(node, ir.Field) and node.name in _LOSSES for node in walk(check.measure)
            )
        }

    # What is common

    def _values(self, factors: Mapping[tuple[str, str], float]) -> dict[tuple[str, str], Value]:
        """The limits that move, each rounded up: a wider limit rejects no more, and is used no more."""
        found: dict[tuple[str, str], Value] = {}
        for gate, name in self._limits:
            factor = factors.get((gate_key(gate), name))
            value = gate.rows[0].values[name]
            number = number_of(value)
            if factor is None or number is None:
                continue
            kind = gate.rule.parameters.parameters[name].type
            found[gate_key(gate), name] = as_value(
                sayable_value(number * factor, kind, up=True), value
            )
        return found

    def _with(self, values: Mapping[tuple[str, str], Value]) -> LinkedSet:
        def change(gate: Gate, row: LimitRow) -> LimitRow:
            moved = {
                name: values[gate_key(gate), name]
                for name in row.values
                if (gate_key(gate), name) in values and (row.scope is None or name not in row.given)
            }
            return replace(row, values={**row.values, **moved}) if moved else row

        return with_rows(self._linked, change)

    def _settle(self, factors: Mapping[tuple[str, str], float]) -> None:
        """Write the limits into the files' texts, link those, and replay once more with what they say."""
        found = self._found
        values = self._values(factors)
        gates = {gate_key(gate): gate for gate, _ in self._limits}
        for (label, name), value in values.items():
            edit = limit_edit(gates[label], name, value)
            if edit is not None and edit.after != edit.before:
                found.edits.append(edit)
        if not found.edits:
            return
        found.files = edited_files(found.edits)
        linked = self._relinked()
        found.sha256 = linked.sha256
        found.after = self._replay(linked, "as suggested")

    def _relinked(self) -> LinkedSet:
        """The set linked from the edited texts; it has the limits that were meant."""
        documents = [
            load(self._found.files[path][1], path) if path in self._found.files else document
            for path, document in self._linked.documents.items()
        ]
        linked = link(documents)
        after = {(gate.policy.name, gate.name): gate.rows[0].values for gate in linked.gates}
        for edit in self._found.edits:
            value = after[edit.gate.policy.name, edit.gate.name][edit.parameter]
            meant = number_of(edit.value) or 0.0
            if not math.isclose(number_of(value) or 0.0, meant, rel_tol=1e-9):
                raise InputError(
                    f"`{edit.parameter}` of {gate_key(edit.gate)} cannot be edited where it stands ({edit.span})",
                    "write the value out in the gate, without an alias",
                )
        return linked
