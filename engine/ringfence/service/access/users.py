"""People who log in: their roles, accounts and passwords, in `users.json`."""

from collections.abc import Callable, Mapping
from pathlib import Path

import msgspec

from ringfence.errors import InputError
from ringfence.runtime.ports import SYSTEM_FILES, Clock, LogFiles
from ringfence.service.access.names import checked_holder, checked_name
from ringfence.service.access.passwords import Passwords
from ringfence.service.access.rights import Principal, Role
from ringfence.service.access.table import Table

__all__ = ["User", "Users"]

_MOST = 10_000


class User(msgspec.Struct, frozen=True):
    """A person.

    Attributes:
        name: As typed at the login, and as it stands in the audit log.
        password: What is kept of it: argon2id.
        enabled: Whether they may come in.
        made_ns, made_by: When, ns since 1970, UTC, and by whom.
        password_ns: When the password was set; what was logged in before is logged out.
        must_change: Whether somebody else set the password, and they have not changed it yet.
        known_to: Who may be acting under this name besides: whoever set the password for them, and those who might have
            acted as that one did. They stay when the password is changed, for it may be one of them who changed it.
    """

    name: str
    role: Role
    accounts: list[str]
    password: str
    made_ns: int
    made_by: str
    password_ns: int
    enabled: bool = True
    must_change: bool = False
    known_to: list[str] = []

    def principal(self) -> Principal:
        """Who they are to the rest of the service."""
        return Principal(self.name, self.role, frozenset(self.accounts))


class Users:
    """The people; thread-safe, and shared with the command line. What is changed holds within a second.

    Raises:
        StateError: by every method: the file cannot be read or written.
    """

    def __init__(
        self, folder: Path, passwords: Passwords, clock: Clock, files: LogFiles = SYSTEM_FILES
    ) -> None:
        self._table = Table(folder / "users.json", User, files)
        self._passwords, self._clock = passwords, clock

    def all(self) -> tuple[User, ...]:
        """Everybody, by name."""
        return tuple(each for _, each in sorted(self._table.all().items()))

    def find(self, name: str) -> User | None:
        """A user, as they were at most a second ago."""
        return self._table.all().get(name)

    def add(
        self,
        name: str,
        role: Role,
        accounts: list[str],
        password: str,
        by: str,
        first: Callable[[User], object] = lambda _: None,
        *,
        must_change: bool = True,
        set_by: str = "",
    ) -> User:
        """Let a person in from now on.

        Args:
            set_by: The person or the key that chose the password; empty where it was whoever runs the service.
            must_change: Whether they have to take another password first, which nobody else knows.
            first: Is called before; where it raises, nothing happens.

        Raises:
            InputError: there is one of that name, or name, accounts or password will not do.
        """
        held_accounts = _accounts_of(role, accounts)
        kept = self._passwords.keep(password, checked_name(name))
        now = self._clock.now_ns()
        user = User(name, role, held_accounts, kept, now, by, now)
        user = msgspec.structs.replace(user, must_change=must_change)
        with self._table.changing() as held:
            if name in held:
                raise InputError(
                    f"there is a user `{name}`", "take another name, or change this one"
                )
            if len(held) >= _MOST:
                raise InputError(f"there are {_MOST:,} users", "remove those who left")
            user = msgspec.structs.replace(user, known_to=_hands(held, set_by))
            held[name] = user
            first(user)
        return user

    def add_first(self, name: str, password: str, by: str) -> User | None:
        """Let a first person in, an admin; None where there is anybody already.

        Raises:
            InputError: the password will not do.
        """
        if self._table.all():
            return None
        return self.add(name, Role.ADMIN, [], password, by)

    def change(
        self,
        name: str,
        *,
        role: Role | None = None,
        accounts: list[str] | None = None,
        enabled: bool | None = None,
        password: str | None = None,
        must_change: bool = True,
        set_by: str = "",
        first: Callable[[User], object] = lambda _: None,
    ) -> User:
        """Change what is given.

        Args:
            must_change, set_by: As for `add`, where a password is given.
            first: As for `add`.

        Raises:
            InputError: there is no such user, the values will not do, or nobody would be left who can manage users.
        """
        kept = None if password is None else self._passwords.keep(password, name)
        with self._table.changing() as held:
            before = _of(held, name)
            now_is = before.role if role is None else Role(role)
            if accounts is None:
                accounts = before.accounts if now_is is Role.TRADER else []
            if accounts != before.accounts or now_is is not before.role:
                accounts = _accounts_of(now_is, accounts)
            after = msgspec.structs.replace(
                before,
                role=now_is,
                accounts=accounts,
                enabled=before.enabled if enabled is None else enabled,
            )
            if kept is not None:
                # Later than before even where the clock stands.
                at_ns = max(self._clock.now_ns(), before.password_ns + 1)
                after = msgspec.structs.replace(
                    after,
                    password=kept,
                    password_ns=at_ns,
                    must_change=must_change,
                    known_to=_hands(held, set_by),
                )
            held[name] = after
            _check_admin_left(held, before)
            first(after)
        return after

    def change_own(
        self,
        name: str,
        current: str,
        password: str,
        first: Callable[[User], object] = lambda _: None,
    ) -> User | None:
        """Give somebody the password that they choose; None where the current one is not right.

        Args:
            first: As for `add`.

        Raises:
            InputError: the new one will not do, or is the one they have.
        """
        before = self.check(name, current)
        if before is None:
            return None
        if self._passwords.check(password, before.password):
            raise InputError("this is the password that you have", "take another one")
        kept = self._passwords.keep(password, name)
        with self._table.changing() as held:
            now_is = held.get(name)
            # Who was shut out meanwhile, or got another one, has not shown that they know it.
            if now_is is None or not now_is.enabled or now_is.password_ns != before.password_ns:
                return None
            at_ns = max(self._clock.now_ns(), now_is.password_ns + 1)
            after = msgspec.structs.replace(
                now_is, password=kept, password_ns=at_ns, must_change=False
            )
            held[name] = after
            first(after)
        return after

    def remove(self, name: str) -> User:
        """Forget a person. Another one of the same name would be taken for them in old records: disabling is better.

        Raises:
            InputError: there is no such user, or nobody would be left who can manage users.
        """
        with self._table.changing() as held:
            gone = _of(held, name)
            del held[name]
            _check_admin_left(held, gone)
        return gone

    def check(self, name: str, password: str) -> User | None:
        """Who logs in; None for an unknown name, a wrong password or somebody disabled, all after the same time."""
        user = self.find(name)
        right = self._passwords.check(password, None if user is None else user.password)
        if user is None or not right or not user.enabled:
            return None
        if self._passwords.is_outdated(user.password):
            self._renew(user, password)
        return user

    def hands(self, name: str) -> frozenset[str]:
        """Everybody who may be acting under a name, that name included, as it is now; in lower case."""
        with self._table.changing() as held:
            return frozenset(_hands(held, name))

    def _renew(self, user: User, password: str) -> None:
        kept = self._passwords.keep(password, user.name)
        with self._table.changing() as held:
            if held.get(user.name) == user:
                held[user.name] = msgspec.structs.replace(user, password=kept)


def _hands(held: Mapping[str, User], name: str) -> list[str]:
    if not name:
        return []
    # An issuer's name may differ from a user's by its case alone, and is taken for theirs.
    known = held.get(name.casefold())
    return sorted({name.casefold(), *(() if known is None else known.known_to)})


def _of(held: dict[str, User], name: str) -> User:
    if name not in held:
        raise InputError("there is no such user", "see `ringfence users list`")
    return held[name]


def _accounts_of(role: Role, accounts: list[str]) -> list[str]:
    if role is Role.MARKET_DATA:
        raise InputError(
            f"the role {role} is for machines alone",
            f"make an API key: ringfence api-keys make NAME --role {role}",
        )
    return checked_holder(role, accounts)


def _check_admin_left(held: dict[str, User], changed: User) -> None:
    if changed.role is not Role.ADMIN or not changed.enabled:
        return
    if not any(each.enabled and each.role is Role.ADMIN for each in held.values()):
        raise InputError(
            f"without `{changed.name}` nobody could manage users", "make another admin first"
        )
