"""A plan as annotations on the lines of a pull request: what lets more pass, and what may."""

from collections.abc import Iterator, Mapping
from typing import Any

from ringfence.errors import Diagnostic, Span

__all__ = ["plan_findings"]

Json = Mapping[str, Any]
_CANNOT_TELL = ("UNKNOWN", "INCOMPARABLE")


def plan_findings(plan: Json) -> list[Diagnostic]:
    """One warning for each line that is looser, or may be, in the order of the plan."""
    return [each for change in plan["changes"] for each in _of_change(change)]


def _of_change(change: Json) -> Iterator[Diagnostic]:
    direction = change["direction"]
    if direction != "LOOSER" and direction not in _CANNOT_TELL:
        return
    subject = "/".join(part for part in (change["policy"], change["gate"]) if part)
    for move in change["moves"]:
        place = move["head"] or move["base"]
        if place is None:
            continue
        if direction == "LOOSER":
            code, message, why = (
                "E565",
                f"`{subject}` is looser: {_moved(change, move)}",
                _why(change),
            )
            fix = "see that those approve it who must: `ringfence plan --check-approvals`"
        else:
            code, message = "E566", f"`{subject}` may be looser: {_moved(change, move)}"
            why = (
                change["blame"]
                or "it lets some orders pass that were held back, and holds others back"
            )
            fix = "split the change, or have it approved as a looser one"
        column = place["column"]
        span = Span(place["path"], place["line"], column, place["line"], column + 1)
        yield Diagnostic(code, message, span, why=why, fix=fix, severity="warning")


def _moved(change: Json, move: Json) -> str:
    what = (
        f"{change['kind']} {move['what']}"
        if move["what"] in ("gate", "policy")
        else move["name"] or move["what"]
    )
    old, new = move["old"] or "nothing", move["new"] or "nothing"
    factor = f" (x {move['factor']:.4g})" if move["factor"] is not None else ""
    return f"{what} from {old} to {new}{factor}"


def _why(change: Json) -> str:
    return (
        "; ".join(change["halts"])
        or str(change["still"])
        or "some orders get more than before; the plan shows one of them"
    )
