"""One thing that could be otherwise: how it is changed, searched for and said."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from ringfence.language.orders import Case

__all__ = ["WhatIf"]


def _no_values(_: float) -> dict[str, str]:
    return {}


@dataclass(frozen=True, slots=True)
class WhatIf:
    """One thing that could be otherwise.

    Attributes:
        kind: `state` or `order`.
        apply: The case with it.
        text, values: It in words, and as values.
        start, end: Where the search begins, which does not pass, and the farthest that is looked at.
        rounded: A sayable number near one that passes, still on its side; None where there is none.
        only: The one value to try, where there is nothing to search.
        need: What has to be, where no number says it.
    """

    kind: str
    apply: Callable[[Case, float], Case] = field(default=lambda case, _: case)
    text: Callable[[float], str] = field(default=str)
    values: Callable[[float], Mapping[str, str]] = _no_values
    start: float = 0.0
    end: float = 0.0
    rounded: Callable[[float, int], float | None] = field(default=lambda x, _: x)
    only: float | None = None
    need: str = ""
