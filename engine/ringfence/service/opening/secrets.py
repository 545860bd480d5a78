"""Which secrets the service needs, by its settings."""

import os
from collections.abc import Mapping

from ringfence.runtime.credentials import (
    API_SECRET_KEY,
    ENVIRONMENT_VARIABLE,
    JWT_SECRET_KEY,
    KRAKEN_API_KEY,
    KRAKEN_SECRET,
    Credentials,
    SecretKind,
    load_credentials,
)
from ringfence.service.settings import ServiceSettings

__all__ = ["credentials_for", "needed_names", "needed_secrets"]


def needed_secrets(settings: ServiceSettings) -> tuple[SecretKind, ...]:
    """Keys that sign, and those of what is outside; the audit database's address is read by its adapter."""
    kinds = [API_SECRET_KEY]
    if settings.access.jwks_url is None:
        kinds.append(JWT_SECRET_KEY)
    # For tests a password is made up, which no server would know.
    if settings.state.kind == "redis" and settings.environment != "testing":
        from ringfence.adapters.state_redis import REDIS_PASSWORD

        kinds.append(REDIS_PASSWORD)
    if any(each.kind == "kraken" for each in settings.open_venues.values()):
        kinds += [KRAKEN_API_KEY, KRAKEN_SECRET]
    return tuple(kinds)


def needed_names(settings: ServiceSettings) -> tuple[str, ...]:
    """The names of all secrets that the settings ask for."""
    names = [kind.name for kind in needed_secrets(settings)]
    if settings.audit.sink == "postgres":
        from ringfence.adapters.audit_postgres import URL_VARIABLE

        names.append(URL_VARIABLE)
    return tuple(names)


def credentials_for(
    settings: ServiceSettings, environ: Mapping[str, str] = os.environ
) -> Credentials:
    """Read and check them.

    Raises:
        InputError: in production, one is missing or weak.
    """
    known = {**environ, ENVIRONMENT_VARIABLE: settings.environment}
    return load_credentials(needed_secrets(settings), known)
