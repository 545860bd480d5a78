"""Keys that sign, read again while the service runs: orders and requests go on meanwhile.

Asked for by SIGHUP. Keys that stand in variables are those of the process's start; those in files are read anew.
"""

import logging
import os
from collections.abc import Mapping

from ringfence.errors import RingfenceError
from ringfence.gateway import renew_signer
from ringfence.runtime.credentials import API_SECRET_KEY, JWT_SECRET_KEY
from ringfence.service.desk import Desk
from ringfence.service.opening.secrets import credentials_for

__all__ = ["KEYS_RENEWED", "renew_keys", "renew_or_tell"]

KEYS_RENEWED = "keys-renewed"
"""The kind of the audit record that says how many keys are believed from then on; never which."""

_log = logging.getLogger(__name__)


def renew_keys(desk: Desk, environ: Mapping[str, str] = os.environ) -> dict[str, int]:
    """Sign with the keys that the files hold now, and believe those behind them.

    Returns:
        How many keys each name stands for.

    Raises:
        InputError: one is missing or unsound; the keys are then those from before.
        AuditError: they are in use, and the audit log could not say so.
    """
    if desk.settings.environment == "testing":
        # Those are made up, and would be others each time.
        return {}
    credentials = credentials_for(desk.settings, environ)
    renew_signer(desk.signer, credentials)
    kinds = [API_SECRET_KEY]
    if desk.settings.access.jwks_url is None:
        desk.tokens.renew(credentials.all_of(JWT_SECRET_KEY))
        kinds.append(JWT_SECRET_KEY)
    known = {each.name: len(credentials.all_of(each)) for each in kinds}
    desk.log.wait(desk.log.append(KEYS_RENEWED, {"keys": known}))
    return known


def renew_or_tell(desk: Desk) -> None:
    """The same, for a signal: what goes wrong is logged."""
    try:
        known = renew_keys(desk)
    except RingfenceError as error:
        _log.error("keys were not renewed: %s", error)
    else:
        told = ", ".join(f"{name}: {count}" for name, count in known.items())
        _log.info("keys were renewed (%s)", told or "none, as in testing")
