"""What production refuses to start with."""

import ipaddress

from ringfence.errors import InputError
from ringfence.service.settings import ServiceSettings

__all__ = ["check_safety", "is_loopback"]


def check_safety(settings: ServiceSettings) -> None:
    """Refuse what would show tokens or lose books; what other environments may do.

    Raises:
        InputError: in production, the settings are not safe.
    """
    server = settings.server
    for path in (server.tls_certificate, server.tls_key):
        if path is not None and not path.is_file():
            raise InputError(f"`{path}` is no file", "name the PEM file in the `server` section")
    if server.workers > 1 and settings.environment == "testing":
        raise InputError(
            "with `testing` every process makes secrets of its own, and workers must share theirs",
            "use `development`, and set the secrets",
        )
    if settings.environment != "production":
        return
    if not (is_loopback(server.host) or server.tls_certificate or server.behind_proxy):
        raise InputError(
            f"tokens would cross the network unencrypted: `server.host` is {server.host}",
            "set `server.tls_certificate` and `server.tls_key`, or `server.behind_proxy` where a proxy "
            "speaks TLS in front of it, or listen on 127.0.0.1",
        )


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches an address."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
