"""API keys of machines, in `api-keys.json`.

A key is `rfk_PREFIX_SECRET`; the prefix finds it, and of the secret only its SHA-256 is kept. Passwords get a slow hash
because people choose what can be guessed. A secret here is 32 random bytes: there is nothing to guess, whatever a guess
costs, and a bot shows its key with each order.
"""

import re
import threading
from collections.abc import Callable, Mapping
from hashlib import sha256
from hmac import compare_digest
from pathlib import Path

import msgspec

from ringfence.errors import InputError
from ringfence.runtime.credentials import Secret
from ringfence.runtime.ports import SYSTEM_FILES, SYSTEM_RANDOM, Clock, LogFiles, Random
from ringfence.service.access.names import checked_accounts, checked_name
from ringfence.service.access.rights import Principal, Role
from ringfence.service.access.table import Table

__all__ = ["LONGEST_NS", "ApiKey", "ApiKeys"]

LONGEST_NS = 400 * 86_400 * 1_000_000_000
"""No key is valid for longer."""
_MOST = 1_000
_FORM = re.compile(r"rfk_([0-9a-f]{12})_([0-9a-f]{64})")


class ApiKey(msgspec.Struct, frozen=True):
    """What is kept of a key.

    Attributes:
        id: The key's prefix.
        name: What it is for; in the audit log it is `key/NAME`.
        hash: SHA-256 of the secret, in hex.
        made_ns, made_by: When, ns since 1970, UTC, and by whom.
        expires_ns: Until when it is good.
        used_ns: When it was last used, as far as that was written; 0 for never.
    """

    id: str
    name: str
    role: Role
    accounts: list[str]
    hash: str
    made_ns: int
    made_by: str
    expires_ns: int
    used_ns: int = 0


class ApiKeys:
    """The keys; thread-safe, and shared with the command line.

    Raises:
        StateError: by every method: the file cannot be read or written.
    """

    def __init__(
        self,
        folder: Path,
        clock: Clock,
        files: LogFiles = SYSTEM_FILES,
        random: Random = SYSTEM_RANDOM,
    ) -> None:
        self._table = Table(folder / "api-keys.json", ApiKey, files)
        self._clock, self._random = clock, random
        self._lock = threading.Lock()
        self._used: dict[str, int] = {}  # since it was last written

    def all(self) -> tuple[ApiKey, ...]:
        """All keys, the newest first; with their last use."""
        held = self._table.all().values()
        known = [
            msgspec.structs.replace(each, used_ns=max(each.used_ns, self._used.get(each.id, 0)))
            for each in held
        ]
        return tuple(sorted(known, key=lambda each: (-each.made_ns, each.id)))

    def make(
        self,
        name: str,
        role: Role,
        accounts: list[str],
        valid_ns: int,
        by: str,
        first: Callable[[ApiKey], object] = lambda _: None,
    ) -> tuple[ApiKey, Secret]:
        """Make a key. The key itself is told this once.

        Args:
            first: Is called before; where it raises, nothing happens.

        Raises:
            InputError: there is one of that name, or name, accounts or time will not do.
        """
        if not 0 < valid_ns <= LONGEST_NS:
            raise InputError("this is no time a key can be valid", "at most 400 days")
        if bool(accounts) is not (role is Role.TRADER):
            raise InputError(
                f"this is no key for the role {role}",
                "name accounts for a trader, and for no other",
            )
        prefix, secret, now = self._random.token(6), self._random.token(32), self._clock.now_ns()
        kept = ApiKey(
            prefix,
            checked_name(name),
            role,
            checked_accounts(accounts),
            _hash(secret),
            now,
            by,
            now + valid_ns,
        )
        with self._table.changing() as held:
            for each in [each for each in held.values() if each.expires_ns <= now]:
                del held[each.id]
            if any(each.name == name for each in held.values()):
                raise InputError(
                    f"there is a key `{name}`", "revoke it, or give this one another name"
                )
            if len(held) >= _MOST:
                raise InputError(f"there are {_MOST:,} keys", "revoke those that are not used")
            held[prefix] = kept
            first(kept)
        return kept, Secret(f"rfk_{prefix}_{secret}")

    def revoke(self, name: str) -> ApiKey:
        """End a key, by its name or prefix.

        Raises:
            InputError: there is none.
        """
        with self._table.changing() as held:
            found = [each for each in held.values() if name in (each.id, each.name)]
            if not found:
                raise InputError("there is no such key", "see `ringfence api-keys list`")
            del held[found[0].id]
        return found[0]

    def read(self, text: str) -> Principal | None:
        """Whose key it is; None where it does not hold, whatever the reason."""
        parts = _FORM.fullmatch(text)
        if parts is None:
            return None
        kept = self._table.get(parts[1])
        if kept is None or not compare_digest(_hash(parts[2]), kept.hash):
            return None
        now = self._clock.now_ns()
        if now >= kept.expires_ns:
            return None
        self._used[kept.id] = now
        return Principal(f"key/{kept.name}", kept.role, frozenset(kept.accounts), machine=True)

    def write_uses(self) -> None:
        """Write when each key was last used."""
        with self._lock:
            used: Mapping[str, int] = self._used
            self._used = {}
            if not used:
                return
            with self._table.changing() as held:
                for name, at_ns in list(used.items()):
                    if name in held and held[name].used_ns < at_ns:
                        held[name] = msgspec.structs.replace(held[name], used_ns=at_ns)


def _hash(secret: str) -> str:
    return sha256(secret.encode("ascii")).hexdigest()
