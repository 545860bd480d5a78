"""Who is logged in: sessions, in `sessions.json`, each named by a random text that only the browser holds.

Kept is the text's SHA-256, so that whoever reads the file can enter nothing. Every login makes a new one, whatever the
browser had before; it ends by logging out, idling, age, another password or role of none.
"""

import re
from collections.abc import Iterable
from hashlib import sha256
from pathlib import Path

import msgspec

from ringfence.runtime.ports import SYSTEM_FILES, SYSTEM_RANDOM, Clock, LogFiles, Random
from ringfence.service.access.csrf import LoggedIn
from ringfence.service.access.rights import Principal
from ringfence.service.access.table import Table
from ringfence.service.access.users import User, Users

__all__ = ["Sessions"]

_FORM = re.compile(r"[0-9a-f]{64}")
_MOST_OF_USER = 10


class _Session(msgspec.Struct, frozen=True):
    user: str
    password_ns: int
    made_ns: int
    seen_ns: int


class Sessions:
    """The sessions; thread-safe, they outlive a restart.

    Args:
        idle_ns: One ends after so long without a request.
        longest_ns: And after so long in all.
        most: How many there are; beyond, the one that idles longest ends.

    Raises:
        StateError: by every method: the file cannot be read or written.
    """

    def __init__(
        self,
        folder: Path,
        users: Users,
        clock: Clock,
        *,
        idle_ns: int,
        longest_ns: int,
        most: int,
        files: LogFiles = SYSTEM_FILES,
        random: Random = SYSTEM_RANDOM,
    ) -> None:
        self._table = Table(folder / "sessions.json", _Session, files)
        self._users, self._clock, self._random = users, clock, random
        self._idle_ns, self._longest_ns, self._most = idle_ns, longest_ns, most
        self._seen: dict[str, int] = {}  # since it was last written

    def begin(self, user: User) -> str:
        """Log somebody in.

        Returns:
            What the browser has to show from now on.
        """
        text, now = self._random.token(32), self._clock.now_ns()
        with self._table.changing() as held:
            self._sweep(held)
            _make_room(
                held, [n for n, each in held.items() if each.user == user.name], _MOST_OF_USER
            )
            _make_room(held, held, self._most)
            held[_hash(text)] = _Session(user.name, user.password_ns, now, now)
        return text

    def find(self, text: str, *, uses: bool = True) -> tuple[Principal, LoggedIn] | None:
        """Who shows that text; None where it does not hold, whatever the reason.

        Args:
            uses: Whether they use it by that, and idle no longer.
        """
        if not _FORM.fullmatch(text):
            return None
        name = _hash(text)
        session = self._table.get(name)
        if session is None or not self._holds(name, session):
            return None
        user = self._users.find(session.user)
        if user is None or not user.enabled or user.password_ns != session.password_ns:
            return None
        if uses:
            self._seen[name] = self._clock.now_ns()
        return user.principal(), LoggedIn(_hash(f"form {text}"), user.must_change)

    def end(self, text: str) -> None:
        """Log out."""
        with self._table.changing() as held:
            held.pop(_hash(text), None)

    def end_all(self, user: str) -> int:
        """Log somebody out everywhere; how many sessions they had."""
        with self._table.changing() as held:
            theirs = [name for name, each in held.items() if each.user == user]
            for name in theirs:
                del held[name]
        return len(theirs)

    def write_uses(self) -> None:
        """Write when each was last used, and forget those that ended."""
        if not self._seen:
            return
        with self._table.changing() as held:
            self._sweep(held)
            seen = self._seen.copy()
            for name, at_ns in seen.items():
                if name in held and held[name].seen_ns < at_ns:
                    held[name] = msgspec.structs.replace(held[name], seen_ns=at_ns)
        # What could not be written is still known: nobody who is at work idles because a disk is full.
        for name, at_ns in seen.items():
            if self._seen.get(name) == at_ns:
                del self._seen[name]

    def _holds(self, name: str, session: _Session) -> bool:
        now = self._clock.now_ns()
        seen_ns = max(session.seen_ns, self._seen.get(name, 0))
        return now - seen_ns < self._idle_ns and now - session.made_ns < self._longest_ns

    def _sweep(self, held: dict[str, _Session]) -> None:
        for name in [name for name, each in held.items() if not self._holds(name, each)]:
            del held[name]


def _make_room(held: dict[str, _Session], among: Iterable[str], most: int) -> None:
    by_age = sorted(among, key=lambda name: held[name].seen_ns)
    for name in by_age[: max(0, len(by_age) - most + 1)]:
        del held[name]


def _hash(text: str) -> str:
    return sha256(text.encode("ascii")).hexdigest()
