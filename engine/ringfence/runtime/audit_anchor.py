"""An anchor: the head of the chain, signed, to be kept where the log's writer cannot reach.

A chain alone cannot show that its last records are gone, or that all of it was written anew. An anchor that
lies elsewhere shows both, up to the record it names.
"""

import hashlib
import hmac
import json
from dataclasses import asdict, dataclass

from ringfence.errors import AuditError

__all__ = ["KEY_BYTES", "Anchor", "anchor_text", "read_anchor", "sign_anchor"]

#: The fewest bytes of a key.
KEY_BYTES = 32


@dataclass(frozen=True, slots=True)
class Anchor:
    """The head of a chain at one moment.

    Attributes:
        chain: Name of the log.
        sequence: Number of its last record then.
        hash: SHA-256 of that record, in hex.
        ts_ns: When it was signed, nanoseconds since 1970, UTC.
        signature: HMAC-SHA256 over the other four, in hex.
    """

    chain: str
    sequence: int
    hash: str
    ts_ns: int
    signature: str


def sign_anchor(key: bytes, *, chain: str, sequence: int, head: str, ts_ns: int) -> Anchor:
    """Return the signed anchor.

    Raises:
        AuditError: the key is shorter than `KEY_BYTES`.
    """
    return Anchor(chain, sequence, head, ts_ns, _signature(key, chain, sequence, head, ts_ns))


def anchor_text(anchor: Anchor) -> str:
    """Return the anchor as one line of JSON."""
    return json.dumps(asdict(anchor), sort_keys=True) + "\n"


def read_anchor(text: str, key: bytes) -> Anchor:
    """Return the anchor that `text` holds.

    Raises:
        AuditError: it is none, the key is too short, or the signature was not made with it.
    """
    try:
        about = json.loads(text)
        anchor = Anchor(**about)
    except (ValueError, TypeError, RecursionError):
        raise AuditError("this is no anchor", "give what `ringfence audit anchor` wrote") from None
    wanted = _signature(key, anchor.chain, anchor.sequence, anchor.hash, anchor.ts_ns)
    given = str(anchor.signature).encode("utf-8", "backslashreplace")
    if not hmac.compare_digest(wanted.encode("ascii"), given):
        raise AuditError(
            "the anchor's signature does not fit", "give the key and the file that belong together"
        )
    return anchor


def _signature(key: bytes, *signed: object) -> str:
    if len(key) < KEY_BYTES:
        raise AuditError(
            f"the key has {len(key)} bytes, and needs at least {KEY_BYTES}",
            "make one, as `head -c 32 /dev/urandom > anchor.key`",
        )
    content = json.dumps(["ringfence-audit-anchor 1", *signed], separators=(",", ":"))
    return hmac.new(key, content.encode("utf-8"), hashlib.sha256).hexdigest()
