"""Bearer tokens (JWT, RFC 7519): signed by this service's own key, or by an issuer whose keys are fetched.

How a token is signed is settled by the settings; what it says about that itself is only ever compared (RFC 8725, section
3.1). Whoever sends the same token again is found by its hash: checking a signature takes longer than deciding an order.
"""

import threading
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any

import jwt
from jwt.types import Options

from ringfence.errors import InputError
from ringfence.runtime.credentials import Secret
from ringfence.runtime.ports import SYSTEM_RANDOM, Clock, Random
from ringfence.service.access.jwks import Jwks
from ringfence.service.access.names import checked_accounts, is_subject
from ringfence.service.access.rights import Principal, Role

__all__ = ["AUDIENCE", "ISSUER", "Claims", "Issued", "Tokens"]

AUDIENCE = "ringfence"
ISSUER = "ringfence"
_SKEW_NS = 30_000_000_000
_LONGEST = 8_192
_MOST_KNOWN = 10_000
_SECOND_NS = 1_000_000_000
_TYPES = (None, "JWT", "jwt", "at+jwt", "application/at+jwt")
# Read by `read` itself, by this service's clock.
_OPTIONS: Options = {
    "require": ["exp", "iat", "aud", "iss"],
    "verify_exp": False,
    "verify_nbf": False,
    "verify_iat": False,
}


@dataclass(frozen=True, slots=True)
class Claims:
    """Which claim says what, and the issuer's words for roles; without any, the roles' own names are."""

    name: str = "sub"
    role: str = "role"
    accounts: str = "accounts"
    roles: Mapping[str, Role] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Issued:
    """A token that was made: its text, its id, and when it runs out, ns since 1970, UTC."""

    text: str = field(repr=False)
    id: str
    expires_ns: int


@dataclass(frozen=True, slots=True)
class _Known:
    principal: Principal
    expires_ns: int
    id: str
    generation: int


class Tokens:
    """Makes and reads tokens; thread-safe.

    Args:
        keys: This service's own, the one that signs first; others are those of before a rotation. Or the issuer's.
        algorithm: How tokens are signed.
        skew_ns: How far the issuer's clock may be off.
        is_out: Whether a token, by its id and whom it is for, is not to be honoured any more.
    """

    def __init__(
        self,
        keys: tuple[Secret, ...] | Jwks,
        clock: Clock,
        *,
        algorithm: str = "HS256",
        issuer: str = ISSUER,
        audience: str = AUDIENCE,
        skew_ns: int = _SKEW_NS,
        claims: Claims = Claims(),
        is_out: Callable[[str, str], bool] = lambda _, __: False,
        random: Random = SYSTEM_RANDOM,
    ) -> None:
        self._keys, self._clock, self._random = keys, clock, random
        self._algorithm, self._issuer, self._audience = algorithm, issuer, audience
        self._skew_ns, self._claims, self._is_out = skew_ns, claims, is_out
        self._renewals = 0
        self._lock = threading.Lock()
        self._known: OrderedDict[bytes, _Known] = OrderedDict()

    def renew(self, keys: tuple[Secret, ...]) -> None:
        """Sign with other keys from now on; a token that none of them signed does not hold any more.

        Keys of an issuer are fetched, and stay as they are.
        """
        if not isinstance(self._keys, Jwks):
            self._keys = keys
            # INVARIANT: behind the keys, so that what was read with those from before is read again.
            self._renewals += 1

    def make(self, principal: Principal, valid_s: int) -> str:
        """As `issue`; the token's text alone."""
        return self.issue(principal, valid_s).text

    def issue(self, principal: Principal, valid_s: int) -> Issued:
        """A token for somebody.

        Args:
            principal: Who.
            valid_s: For how many seconds.

        Raises:
            InputError: tokens are made by another issuer.
        """
        if isinstance(self._keys, Jwks):
            raise InputError(
                "tokens are made by the issuer whose keys `access.jwks_url` names",
                "ask it for one, or make an API key",
            )
        now = self._clock.now_ns() // _SECOND_NS
        claims: dict[str, Any] = {
            "sub": principal.name,
            "role": str(principal.role),
            "accounts": sorted(principal.accounts),
            "aud": self._audience,
            "iss": self._issuer,
            "iat": now,
            "exp": now + valid_s,
            "jti": self._random.token(),
        }
        text = jwt.encode(claims, self._keys[0].reveal(), algorithm=self._algorithm)
        return Issued(text, claims["jti"], claims["exp"] * _SECOND_NS)

    def read(self, token: str) -> Principal | None:
        """Who a token stands for; None where it does not hold, whatever the reason. Never waits."""
        if len(token) > _LONGEST or not token.isascii():
            return None
        name = sha256(token.encode("ascii")).digest()
        known = self._known.get(name)
        if known is None or known.generation != self._generation():
            known = self._checked(token)
            if known is None:
                return None
            self._remember(name, known)
        if self._clock.now_ns() >= known.expires_ns or self._is_out(known.id, known.principal.name):
            return None
        return known.principal

    def wants_keys(self, token: str, user: Principal | None) -> bool:
        """Whether `fetch_keys` should be called, from where waiting is no harm, and the token be read again.

        Args:
            user: What `read` gave for the token.
        """
        if not isinstance(self._keys, Jwks):
            return False
        if user is not None:
            return self._keys.is_old()
        header = self._header(token)
        return header is not None and self._keys.lacks(header.get("kid"))

    def fetch_keys(self) -> None:
        """Have the issuer's keys fetched."""
        if isinstance(self._keys, Jwks):
            self._keys.fetch()

    def _generation(self) -> int:
        return self._keys.generation if isinstance(self._keys, Jwks) else self._renewals

    def _remember(self, name: bytes, known: _Known) -> None:
        with self._lock:
            self._known[name] = known
            while len(self._known) > _MOST_KNOWN:
                self._known.popitem(last=False)

    def _header(self, token: str) -> dict[str, Any] | None:
        if len(token) > _LONGEST:
            return None
        try:
            header = jwt.get_unverified_header(token)
        except (jwt.InvalidTokenError, ValueError, RecursionError):
            return None
        fits = header.get("alg") == self._algorithm and header.get("typ") in _TYPES
        # Nothing that a token might call critical is known here. Addresses of keys (`jku`, `x5u`) are never looked at.
        return header if fits and "crit" not in header else None

    def _checked(self, token: str) -> _Known | None:
        header, generation = self._header(token), self._generation()
        if header is None:
            return None
        if isinstance(self._keys, Jwks):
            key = self._keys.find(header.get("kid"))
            keys = [] if key is None else [key]
        else:
            keys = [each.reveal() for each in self._keys]
        for key in keys:
            try:
                claims = jwt.decode(
                    token,
                    key,
                    algorithms=[self._algorithm],
                    audience=self._audience,
                    issuer=self._issuer,
                    options=_OPTIONS,
                )
                return self._told(claims, generation)
            except jwt.InvalidSignatureError:
                continue
            except (jwt.PyJWTError, InputError, ValueError, TypeError, RecursionError):
                return None
        return None

    def _told(self, claims: Mapping[str, Any], generation: int) -> _Known | None:
        now = self._clock.now_ns()
        begins = [_moment_ns(claims[each]) for each in ("iat", "nbf") if each in claims]
        expires_ns = _moment_ns(claims["exp"]) + self._skew_ns
        name, id_ = claims.get(self._claims.name), claims.get("jti", "")
        if not is_subject(name) or not isinstance(id_, str) or now >= expires_ns:
            return None
        if any(now < each - self._skew_ns for each in begins):
            return None
        role, accounts = self._role(claims), claims.get(self._claims.accounts, [])
        if role is None or not isinstance(accounts, list):
            return None
        if not all(isinstance(each, str) for each in accounts):
            return None
        principal = Principal(str(name), role, frozenset(checked_accounts(accounts)))
        return _Known(principal, expires_ns, id_, generation)

    def _role(self, claims: Mapping[str, Any]) -> Role | None:
        given, words = claims.get(self._claims.role), self._claims.roles
        if not words:
            return Role(given) if isinstance(given, str) else None
        named = given if isinstance(given, list) else [given]
        found = {words[each] for each in named if isinstance(each, str) and each in words}
        # Of two roles neither is meant more than the other.
        return found.pop() if len(found) == 1 else None


def _moment_ns(value: object) -> int:
    """A moment of a token, in ns since 1970, UTC.

    Raises:
        ValueError: it is none.
    """
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError("no moment")
    # NaN and infinities are beyond it, too.
    if not 0 <= value < 1 << 40:
        raise ValueError("no moment")
    return round(value * _SECOND_NS)
