"""The mistakes people make in policies that link: what `ringfence validate` says beside the language's own findings.

None of them keeps a set from being loaded: a guard takes what links, whatever the day is.
"""

from ringfence.errors import Diagnostic
from ringfence.review.mistakes.accepted import settle
from ringfence.review.mistakes.changes import moves, versions
from ringfence.review.mistakes.context import Context
from ringfence.review.mistakes.names import names, rates
from ringfence.review.mistakes.reach import reach
from ringfence.review.mistakes.settings import Settings
from ringfence.review.mistakes.standing import deprecated, shadows
from ringfence.review.mistakes.values import instruments, values
from ringfence.review.mistakes.windows import days, windows

__all__ = ["Context", "Settings", "find_mistakes"]

_SEARCHES = (
    moves,
    versions,
    windows,
    days,
    names,
    rates,
    values,
    instruments,
    reach,
    shadows,
    deprecated,
)


def find_mistakes(context: Context) -> list[Diagnostic]:
    """Every mistake in a policy set that is neither accepted in its place nor switched off, sorted by place.

    Args:
        context: The set, what it is compared with, the time and the desk's settings.

    Returns:
        Findings E400 to E449; those of severity `warning` fail no check.
    """
    found = (each for search in _SEARCHES for each in search(context))
    return sorted(
        settle(context, found), key=lambda each: (each.span is None, each.span, each.code)
    )
