"""All of access that is open: made once for a desk."""

import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from ringfence.errors import AuditError, InputError, StateError
from ringfence.reload import Reloader
from ringfence.runtime.audit_log import AuditLog
from ringfence.runtime.credentials import JWT_SECRET_KEY, Credentials, Secret, read_secret
from ringfence.runtime.guard import CentralRiskGuard
from ringfence.runtime.ports import Clock
from ringfence.service.access.api_keys import ApiKeys
from ringfence.service.access.four_eyes import FourEyes
from ringfence.service.access.jwks import Jwks
from ringfence.service.access.outbox import Outbox
from ringfence.service.access.passwords import Passwords
from ringfence.service.access.records import Records
from ringfence.service.access.revoked import RevokedTokens
from ringfence.service.access.sessions import Sessions
from ringfence.service.access.table import FOLDER
from ringfence.service.access.tokens import Claims, Tokens
from ringfence.service.access.tries import LoginTries, Requests
from ringfence.service.access.users import Users
from ringfence.service.settings import ServiceSettings

__all__ = ["ADMIN_PASSWORD", "Access", "open_access"]

ADMIN_PASSWORD = "DASHBOARD_ADMIN_PASSWORD"  # nosec B105  # the name of the variable
_FIRST = "admin"
_UPKEEP_SECONDS = 30.0


@dataclass(slots=True)
class Access:
    """Who may come in, and what needs two of them. All parts may be used from any thread."""

    records: Records
    users: Users
    sessions: Sessions
    api_keys: ApiKeys
    tokens: Tokens
    revoked: RevokedTokens
    logins: LoginTries
    requests: Requests
    four_eyes: FourEyes
    outbox: Outbox
    _kept_up_at: float = field(default_factory=time.monotonic)

    def is_upkeep_due(self) -> bool:
        """Whether `takes_upkeep` would say so."""
        return time.monotonic() - self._kept_up_at >= _UPKEEP_SECONDS

    def takes_upkeep(self) -> bool:
        """Whether whoever asks is to call `keep_up` now; says so to one caller."""
        is_due = self.is_upkeep_due()
        if is_due:
            self._kept_up_at = time.monotonic()
        return is_due

    def keep_up(self) -> None:
        """Write what is only known here: last uses. And record what the command line changed.

        What cannot be written now waits for the next time.
        """
        with suppress(StateError, AuditError):
            self.sessions.write_uses()
            self.api_keys.write_uses()
            self.outbox.hand_over(self.records)


def open_access(
    settings: ServiceSettings,
    credentials: Credentials,
    log: AuditLog,
    guard: CentralRiskGuard,
    reloader: Reloader,
    clock: Clock,
    *,
    store: Path,
    environ: Mapping[str, str],
) -> Access:
    """Open what the settings name; where nobody can log in yet, let the first admin in, if a password is given.

    Args:
        store: Directory of the policy store.
        environ: The environment's variables.

    Raises:
        InputError: a secret is missing or will not do.
        StateError: a file cannot be read.
    """
    about, folder = settings.access, settings.data / FOLDER
    records = Records(log, clock)
    passwords = Passwords()
    users = Users(folder, passwords, clock)
    revoked = RevokedTokens(folder, clock)

    def is_out(token: str, name: str) -> bool:
        if token and token in revoked:
            return True
        # An issuer may write a name otherwise than it is typed at the login.
        user = users.find(name.casefold())
        return user is not None and not user.enabled

    access = Access(
        records,
        users,
        Sessions(
            folder,
            users,
            clock,
            idle_ns=about.session.idle,
            longest_ns=about.session.longest,
            most=about.session.most,
        ),
        ApiKeys(folder, clock),
        _tokens(settings, credentials, clock, is_out),
        revoked,
        LoginTries(about, clock),
        Requests(about, clock),
        FourEyes(
            guard,
            reloader,
            records,
            clock,
            actions=frozenset(about.four_eyes),
            valid_ns=about.proposal_valid,
            folder=folder,
            store=store,
            hands=users.hands,
        ),
        Outbox(folder, clock),
    )
    _let_first_in(access, settings, environ)
    access.keep_up()
    return access


def _tokens(
    settings: ServiceSettings,
    credentials: Credentials,
    clock: Clock,
    is_out: Callable[[str, str], bool],
) -> Tokens:
    about = settings.access
    if about.jwks_url is None:
        keys: tuple[Secret, ...] | Jwks = credentials.all_of(JWT_SECRET_KEY)
    else:
        keys = Jwks(about.jwks_url, about.algorithm, clock)
    given = about.claims
    return Tokens(
        keys,
        clock,
        algorithm=about.algorithm,
        issuer=about.issuer,
        audience=about.audience,
        skew_ns=about.clock_skew,
        claims=Claims(given.name, given.role, given.accounts, about.roles),
        is_out=is_out,
    )


def _let_first_in(access: Access, settings: ServiceSettings, environ: Mapping[str, str]) -> None:
    # Tests read no secret of the machine that they run on.
    if settings.environment == "testing" or not (
        environ.get(ADMIN_PASSWORD) or environ.get(f"{ADMIN_PASSWORD}_FILE")
    ):
        return
    password = read_secret(ADMIN_PASSWORD, environ).reveal()
    try:
        user = access.users.add_first(_FIRST, password, ADMIN_PASSWORD)
    except InputError as error:
        raise InputError(f"`{ADMIN_PASSWORD}`: {error.message}", error.fix) from None
    if user is not None:
        access.records.changed("user-added", ADMIN_PASSWORD, {"user": _FIRST, "role": user.role})
