"""Which addresses are this machine, and from which keys may be fetched."""

import ipaddress
from urllib.parse import urlsplit

__all__ = ["check_url", "is_loopback"]


def check_url(url: str) -> None:
    """Whether keys can be fetched from there: by https, or from this machine.

    Raises:
        ValueError: not so.
    """
    parts = urlsplit(url)
    if not parts.hostname or parts.username is not None or parts.fragment:
        raise ValueError("this is no address of keys")
    if parts.scheme == "https" or (parts.scheme == "http" and is_loopback(parts.hostname)):
        return
    raise ValueError("keys are fetched by https, or from this machine")


def is_loopback(host: str) -> bool:
    """Whether a host's name or address is this machine."""
    if host.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
