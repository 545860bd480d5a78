"""Why somebody changes something: one line of text, as it stands in the audit log beside their name."""

import re

from ringfence.errors import InputError

__all__ = ["LONGEST_REASON", "REASON_PATTERN", "SAID_OF_REASONS", "checked_reason"]

LONGEST_REASON = 500
# Control characters but for breaks of lines, and those that turn the direction of text: what is read on a page, in a
# terminal or in a report must be what stands in the log.
_NEVER = r"\x00-\x08\x0e-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069"
#: What a reason looks like before its line breaks become blanks; not only blanks.
REASON_PATTERN = rf"^[^{_NEVER}\S]*[^{_NEVER}\s][^{_NEVER}]*$"
SAID_OF_REASONS = "plain text without control characters, or others that turn its direction"
_PLAIN = re.compile(REASON_PATTERN)


def checked_reason(text: str) -> str:
    """A reason on one line: a break of lines, as of a form's field, is a blank.

    Raises:
        InputError: it is empty, too long, or no plain text.
    """
    found = " ".join(text.split())
    if not found:
        raise InputError("no reason is given", "say why: it stands in the audit log")
    if len(found) > LONGEST_REASON or not _PLAIN.search(text):
        raise InputError(
            "this is no reason that can be kept",
            f"{SAID_OF_REASONS}, at most {LONGEST_REASON} letters",
        )
    return found
