"""Who may come in, and how: the section `access` of the service's settings."""

from typing import Literal, Self

from pydantic import Field, field_validator, model_validator

from ringfence.service.access.addresses import check_url
from ringfence.service.access.roles import Role
from ringfence.service.settings.sections import Section
from ringfence.service.settings.values import Duration, seconds

__all__ = [
    "AccessSettings",
    "Action",
    "Algorithm",
    "ClaimSettings",
    "LoginSettings",
    "SessionSettings",
]

Algorithm = Literal[
    "HS256", "RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "EdDSA"
]


Action = Literal["kill-switch-release", "rollback"]
"""What may need two people."""


class ClaimSettings(Section):
    """Which claim of a token says what."""

    name: str = Field("sub", description="who it is")
    role: str = Field("role", description="the role")
    accounts: str = Field("accounts", description="a list of the accounts of a trader")


class SessionSettings(Section):
    """How long somebody stays logged in."""

    idle: Duration = Field(seconds(60 * 30), gt=0, description="without a request")
    longest: Duration = Field(seconds(3_600 * 12), gt=0, description="in all")
    most: int = Field(1_000, ge=1, description="sessions at the same time; the oldest ends")


class LoginSettings(Section):
    """How often somebody may try to log in; whoever tries more often is locked out for the rest of the time."""

    window: Duration = Field(
        seconds(60 * 15), ge=seconds(1), description="the time that tries are counted in"
    )
    tries: int = Field(5, ge=1, description="of one user from one address")
    tries_of_user: int = Field(50, ge=1, description="of one user from all addresses")
    tries_of_address: int = Field(20, ge=1, description="of one address with all users")


class AccessSettings(Section):
    """Who may come in, and how."""

    algorithm: Algorithm = Field(
        "HS256",
        description="how tokens are signed: HS256 with JWT_SECRET_KEY, others with the keys at `jwks_url`; "
        "what a token itself says about it is not heard",
    )
    jwks_url: str | None = Field(
        None, description="where the keys of the issuer are: https, or http on this machine"
    )
    issuer: str = Field("ringfence", min_length=1, description="who makes the tokens (`iss`)")
    audience: str = Field("ringfence", min_length=1, description="whom they are for (`aud`)")
    clock_skew: Duration = Field(
        seconds(30), ge=0, le=seconds(300), description="how far the clock of the issuer may be off"
    )
    claims: ClaimSettings = ClaimSettings()
    roles: dict[str, Role] = Field(
        {},
        description="the issuer's words for roles; with it the claim may be a list, of which one word is a role",
    )
    session: SessionSettings = SessionSettings()
    login: LoginSettings = LoginSettings()
    requests_per_minute: int = Field(
        1_000_000, ge=1, description="of one user, token name or API key"
    )
    refused_per_minute: int = Field(
        300, ge=1, description="requests of one address with no or a wrong token"
    )
    traders_tell_prices: bool = Field(
        False,
        description="whether traders may tell market data too, alone or with an order: books are valued by it, so it moves limits",
    )
    four_eyes: tuple[Action, ...] = Field((), description="what needs two different people")
    proposal_valid: Duration = Field(
        seconds(60 * 15), gt=0, description="how long the second person has time to confirm"
    )

    @field_validator("jwks_url")
    @classmethod
    def _checked_url(cls, url: str | None) -> str | None:
        if url is not None:
            check_url(url)
        return url

    @model_validator(mode="after")
    def _keys_fit(self) -> Self:
        if (self.algorithm == "HS256") is (self.jwks_url is not None):
            raise ValueError(
                "HS256 takes JWT_SECRET_KEY and no `jwks_url`; every other algorithm takes a `jwks_url`"
            )
        return self
