"""Client order ids as Kraken takes them: a UUID, or up to 18 letters."""

import hashlib
import re

__all__ = ["venue_name"]

_UUID = re.compile(r"[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}|[0-9a-f]{32}")
_SHORT = re.compile(r"[A-Za-z0-9_-]{1,18}")


def venue_name(client_order_id: str) -> str:
    """The name under which an order goes out: its own where Kraken takes that, else a hash of it.

    The same name every time, so an order can be found again after a restart.
    """
    if _UUID.fullmatch(client_order_id) or _SHORT.fullmatch(client_order_id):
        return client_order_id
    name = client_order_id.encode("utf-8", "surrogatepass")
    return hashlib.sha256(name).hexdigest()[:32]
