"""Passwords of people: kept as argon2id, which makes each guess slow.

Source: RFC 9106, section 4, the second recommended choice (64 MiB, 3 passes, 4 lanes); length and form: NIST SP 800-63B-4,
section 3.1.1.
"""

import unicodedata

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from ringfence.errors import InputError
from ringfence.runtime.ports import SYSTEM_RANDOM, Random

__all__ = ["FEWEST_LETTERS", "Passwords"]

FEWEST_LETTERS = 15
_MOST_LETTERS = 256
_FEWEST_DIFFERENT = 6


class Passwords:
    """Makes and checks what is kept of passwords; thread-safe. Each call takes some 64 MiB and tens of milliseconds.

    Args:
        hasher: How much work that is; as the RFC says, where not given.
    """

    def __init__(
        self, hasher: PasswordHasher | None = None, random: Random = SYSTEM_RANDOM
    ) -> None:
        self._hasher = PasswordHasher() if hasher is None else hasher
        # Checked where there is no such user, so that the answer takes as long.
        self._nobodys = self._hasher.hash(random.token(32))

    def keep(self, password: str, name: str) -> str:
        """What is kept of a password.

        Args:
            name: Whose it is.

        Raises:
            InputError: it is too short, too long or too plain.
        """
        text = _normal(password)
        fault = ""
        if len(text) < FEWEST_LETTERS:
            fault = f"has fewer than {FEWEST_LETTERS} letters"
        elif len(text) > _MOST_LETTERS:
            fault = f"has more than {_MOST_LETTERS} letters"
        elif len(set(text)) < _FEWEST_DIFFERENT:
            fault = "repeats the same few letters"
        elif name.casefold() in text.casefold() and len(text) - len(name) < FEWEST_LETTERS:
            fault = "is little more than the name"
        if fault:
            raise InputError(f"the password {fault}", "take some words that nobody would guess")
        return self._hasher.hash(text)

    def check(self, password: str, kept: str | None) -> bool:
        """Whether it is the password; without `kept` it never is, and that takes as long to say."""
        text = _normal(password[: _MOST_LETTERS + 1])
        try:
            self._hasher.verify(self._nobodys if kept is None else kept, text)
        except (VerificationError, InvalidHashError):
            return False
        return kept is not None and len(text) <= _MOST_LETTERS

    def is_outdated(self, kept: str) -> bool:
        """Whether it was made with less work than passwords are made with now."""
        return self._hasher.check_needs_rehash(kept)


def _normal(password: str) -> str:
    # The same letters, whichever keyboard they came from.
    return unicodedata.normalize("NFKC", password)
