"""Bearer tokens: signed by this service's own key."""

from dataclasses import dataclass

import jwt

from ringfence.runtime.credentials import Secret
from ringfence.runtime.ports import Clock
from ringfence.service.access.rights import Principal, Role

__all__ = ["AUDIENCE", "ISSUER", "Tokens"]

AUDIENCE = "ringfence"
ISSUER = "ringfence"
# How far clocks of two machines may differ, in seconds.
_SKEW_S = 30


@dataclass(frozen=True, slots=True)
class Tokens:
    """Makes and reads tokens (JWT, HS256)."""

    key: Secret
    clock: Clock

    def make(self, principal: Principal, valid_s: int) -> str:
        """A token for somebody.

        Args:
            principal: Who.
            valid_s: For how many seconds.
        """
        now = self.clock.now_ns() // 1_000_000_000
        claims = {
            "sub": principal.name,
            "role": str(principal.role),
            "accounts": sorted(principal.accounts),
            "aud": AUDIENCE,
            "iss": ISSUER,
            "iat": now,
            "exp": now + valid_s,
        }
        return jwt.encode(claims, self.key.reveal(), algorithm="HS256")

    def read(self, token: str) -> Principal | None:
        """Who a token stands for; None where it does not hold, whatever the reason."""
        try:
            claims = jwt.decode(
                token,
                self.key.reveal(),
                algorithms=["HS256"],
                audience=AUDIENCE,
                issuer=ISSUER,
                options={
                    "require": ["exp", "iat", "sub", "aud"],
                    "verify_exp": False,
                    "verify_iat": False,
                },
            )
            now = self.clock.now_ns() / 1e9
            if not claims["iat"] - _SKEW_S <= now < claims["exp"] + _SKEW_S:
                return None
            accounts = frozenset(str(each) for each in claims.get("accounts", ()))
            return Principal(claims["sub"], Role(claims["role"]), accounts)
        except (jwt.InvalidTokenError, KeyError, TypeError, ValueError):
            return None
