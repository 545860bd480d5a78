"""Shadow gates without a review, and rules that are on their way out."""

from collections.abc import Iterable

from ringfence.errors import Diagnostic
from ringfence.language.gates import to_ns
from ringfence.review.mistakes.context import Context, given_in, warning

__all__ = ["deprecated", "shadows"]

_DAY_NS = 86_400 * 10**9


def shadows(context: Context) -> Iterable[Diagnostic]:
    """Shadow gates that nobody is to look at again (E440), or whose review is due (E441)."""
    for gate in context.linked.gates:
        if gate.mode != "shadow":
            continue
        date = given_in(gate.rows[0]).get("review_by")
        if date is None:
            yield Diagnostic(
                "E440",
                f"the shadow gate `{gate.name}` has no date for its review",
                gate.rows[0].document.span(*gate.rows[0].at, "mode"),
                why="a gate that decides nothing is a trial, and a trial without an end protects nobody",
                fix="add `review_by:` with the day by which it is to be enforced or removed",
            )
        # The whole day is left for it.
        elif to_ns(date) + _DAY_NS <= context.now_ns:
            yield warning(
                "E441",
                f"the review of the shadow gate `{gate.name}` was due by {date}",
                gate.rows[0].document.span(*gate.rows[0].at, "review_by"),
                "until it is enforced it decides nothing",
                "write `mode: enforce`, remove the gate, or set another date",
            )


def deprecated(context: Context) -> Iterable[Diagnostic]:
    """Gates that bind a rule version which is deprecated (E442)."""
    for gate in context.linked.gates:
        if gate.rule.deprecated:
            row = gate.rows[0]
            yield warning(
                "E442",
                f"rule `{gate.rule.key}` is deprecated: {gate.rule.deprecated}",
                row.document.span(*row.at, "rule"),
                "it goes on as it is, and will not be mended",
                "bind what takes its place, beside it in `mode: shadow` at first",
            )
