"""A plan as annotations on the lines of a pull request: what lets more pass, what may, and what checks less."""

from collections.abc import Iterator, Mapping
from typing import Any

from ringfence.errors import Diagnostic, Span
from ringfence.review.plan_words import check_words

__all__ = ["plan_findings"]

Json = Mapping[str, Any]
_CANNOT_TELL = ("UNKNOWN", "INCOMPARABLE")


def plan_findings(plan: Json) -> list[Diagnostic]:
    """One warning for each line that is looser, or may be, and for each check that is lost, in the order of the plan."""
    return [
        *(each for change in plan["changes"] for each in _of_change(change)),
        *(each for check in plan["checks"] for each in _of_check(check)),
    ]


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
        yield Diagnostic(code, message, _span(place), why=why, fix=fix, severity="warning")


def _of_check(check: Json) -> Iterator[Diagnostic]:
    place = check["head"] or check["base"]
    if place is not None:
        yield Diagnostic(
            "E567",
            check_words(check),
            _span(place),
            why="nothing decides otherwise at once, and what nothing checks any more can be loosened unseen",
            fix="keep it as it was, or have it approved as a looser limit",
            severity="warning",
        )


def _span(place: Json) -> Span:
    column = place["column"]
    return Span(place["path"], place["line"], column, place["line"], column + 1)


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
