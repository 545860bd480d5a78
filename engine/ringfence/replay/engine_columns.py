"""How the engine's gates and reasons are named in what it hands on."""

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from ringfence.backends.numba_kernel.layout import REFUSALS
from ringfence.backends.numba_kernel.limits import Limits
from ringfence.backends.numba_kernel.slots import Slot
from ringfence.language.gates import Gate, LimitRow
from ringfence.language.rules import Check
from ringfence.replay.decided import GateColumn

__all__ = ["binding_checks", "codes_of", "columns_of"]

_UNITS = {
    "money": "money",
    "ratio": "ratio",
    "leverage": "ratio",
    "count": "count",
    "number": "count",
    "duration": "duration",
    "state": "state",
}
#: A plain number: also for a gate whose checks measure different things.
_PLAIN = "quantity"


def columns_of(limits: Limits) -> tuple[GateColumn, ...]:
    """One column for each of the kernel's, in their order."""
    gates: dict[tuple[str, str, int], list[Gate]] = {key: [] for key in limits.columns}
    for bound in limits.lists:
        seen: dict[tuple[str, str], int] = {}
        for each in bound:
            key = (each.gate.name, each.gate.level)
            seen[key] = seen.get(key, -1) + 1
            gates[*key, seen[key]].append(each.gate)
    return tuple(_column(*key, tuple(dict.fromkeys(gates[key]))) for key in limits.columns)


def _column(name: str, level: str, place: int, gates: Sequence[Gate]) -> GateColumn:
    prefix = "" if level == "account" else f"{level}."
    suffix = f"#{place + 1}" if place else ""
    checks = binding_checks(gates)
    units = {_unit(check) for check in checks}
    return GateColumn(
        name=f"{prefix}{name}{suffix}",
        gate=name,
        level=level,
        unit=units.pop() if len(units) == 1 else _PLAIN,
        policies=tuple(dict.fromkeys(gate.policy.label for gate in gates)),
        shadow=all(gate.mode == "shadow" for gate in gates),
        floors=any(check.compare == ">=" for check in checks),
    )


def binding_checks(gates: Iterable[Gate]) -> list[Check]:
    """The checks for which some row of a gate gives every parameter they need."""
    return [check for gate in gates for row in gate.rows for check in _checks(gate, row)]


def _checks(gate: Gate, row: LimitRow) -> list[Check]:
    return [check for check in gate.rule.checks if all(name in row.values for name in check.when)]


def _unit(check: Check) -> str:
    unit = check.limit.unit if check.measure.unit.kind == "number" else check.measure.unit
    return _UNITS.get(unit.kind, _PLAIN)


def codes_of(slots: Sequence[Slot]) -> tuple[tuple[str, ...], npt.NDArray[Any]]:
    """Codes of reasons, each once; and the place in them of each code of the kernel.

    The table's last entry is that of -1, no reason.
    """
    known = [*REFUSALS, *(slot.rule.code for slot in slots)]
    codes = tuple(dict.fromkeys(code for code in known if code))
    places = [codes.index(code) if code else -1 for code in known]
    return codes, np.array([*places, -1], np.int16)
