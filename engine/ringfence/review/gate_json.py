"""What the gate found, as plain data: `schemas/ci-result.v1.schema.json`."""

from typing import Any

from ringfence import __version__
from ringfence.language.render import render_json
from ringfence.review.gate import EXIT_CODES, GateResult
from ringfence.review.gate_markdown import headline
from ringfence.review.merge_base import Base

__all__ = ["gate_json"]


def gate_json(result: GateResult, base: Base | None) -> dict[str, Any]:
    """Return it.

    Args:
        result: Of all steps.
        base: What the change was compared with.
    """
    return {
        "ringfence": __version__,
        "verdict": str(result.verdict),
        "exit_code": EXIT_CODES[result.verdict],
        "headline": headline(result),
        "base": None if base is None else {"name": base.name, "commit": base.commit},
        "head": None if base is None else base.head,
        "steps": [
            {
                "name": each.name,
                "verdict": str(each.verdict),
                "said": each.said,
                "seconds": round(each.seconds, 3),
                "findings": render_json(each.findings),
            }
            for each in result.steps
        ],
    }
