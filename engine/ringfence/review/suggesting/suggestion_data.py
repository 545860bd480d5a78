"""A suggestion as plain data, as `schemas/suggestion.v1.schema.json` has it."""

from collections.abc import Sequence
from typing import Any

from ringfence import __version__
from ringfence.replay.limit_use import LimitUse, gate_key
from ringfence.review.suggesting.limit_edits import patch
from ringfence.review.suggesting.suggestion import Suggestion

__all__ = ["suggestion_data"]


def suggestion_data(told: Suggestion, written: Sequence[str] = ()) -> dict[str, Any]:
    """The suggestion for JSON.

    Args:
        told: What was found.
        written: The files that were written.
    """
    goal = told.goal
    is_rate = goal.reject_rate is not None
    return {
        "schema": "ringfence/suggestion/v1",
        "ringfence": __version__,
        "policy_set": told.linked.sha256,
        "policy_set_after": told.sha256 or None,
        "currency": told.linked.currency,
        "goal": {
            "kind": "reject-rate" if is_rate else "unused-above",
            "value": goal.reject_rate if is_rate else goal.unused_above,
            "gates": goal.gates,
        },
        "reached": told.reached,
        "monotone": told.monotone,
        "notes": list(told.notes),
        "tried": [{"factor": each.factor, **_use(each.use)} for each in told.trials],
        "before": _use(told.before),
        "after": None if told.after is None else _use(told.after),
        "limits": [
            {
                "policy": edit.gate.policy.name,
                "gate": edit.gate.name,
                "level": edit.gate.level,
                "parameter": edit.parameter,
                "before": edit.before,
                "after": edit.after,
                "file": edit.span.path,
                "line": edit.span.line,
                "peak_before": told.before.peak.get(gate_key(edit.gate), 0.0),
                "peak_after": (
                    None if told.after is None else told.after.peak.get(gate_key(edit.gate), 0.0)
                ),
            }
            for edit in told.edits
        ],
        "patch": patch(told.files),
        "written": list(written),
    }


def _use(use: LimitUse) -> dict[str, Any]:
    return {
        "orders": use.orders,
        "rejected": use.rejected,
        "reduced": use.reduced,
        "reject_rate": use.reject_rate,
        "notional_rejected": use.notional_rejected,
    }
