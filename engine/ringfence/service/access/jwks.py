"""The public keys of an issuer of tokens, fetched from where it publishes them (RFC 7517).

Fetched by https, or over http from this machine alone; no redirect is followed, and an answer that is large, slow or
holds no fitting key is none. While none can be had, the last good keys stay. A token that names an unknown key has them
fetched again, once in half a minute at most: nobody makes this service call another by sending it rubbish.
"""

import threading
import time
from collections.abc import Mapping
from typing import Any

import jwt
import msgspec
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from jwt.exceptions import PyJWTError

from ringfence.runtime.ports import Clock
from ringfence.service.access.addresses import check_url

__all__ = ["Jwks"]

_LARGEST_BYTES = 256 << 10
_FETCH_SECONDS = 5.0
_MOST_KEYS = 100
_FEWEST_RSA_BITS = 2048
_FRESH_NS = 600_000_000_000
_PAUSE_NS = 30_000_000_000
_CURVES = {"ES256": "secp256r1", "ES384": "secp384r1"}


class Jwks:
    """The keys at an address; thread-safe. `find` never waits, `fetch` does.

    Args:
        url: As `check_url` lets pass.
        algorithm: What they are used with; keys for anything else are left out.

    Attributes:
        fault: Why the last fetch failed; empty where it did not.
        generation: Grows whenever the keys are others than before.
    """

    def __init__(self, url: str, algorithm: str, clock: Clock) -> None:
        check_url(url)
        self.fault = ""
        self.generation = 0
        self._url, self._algorithm, self._clock = url, algorithm, clock
        self._lock = threading.Lock()
        self._content = b""
        self._keys: Mapping[str | None, Any] = {}
        self._fetched_ns = self._tried_ns = -_FRESH_NS

    def find(self, name: str | None) -> Any:
        """The key of that name, or the only one where a token names none; None where there is none."""
        if name is None and len(self._keys) == 1:
            return next(iter(self._keys.values()))
        return self._keys.get(name)

    def lacks(self, name: str | None) -> bool:
        """Whether `fetch` might find the key that a token names."""
        return self.find(name) is None and self._clock.now_ns() - self._tried_ns >= _PAUSE_NS

    def is_old(self) -> bool:
        """Whether the keys should be fetched again: one of them may have been withdrawn."""
        now = self._clock.now_ns()
        return now - self._fetched_ns >= _FRESH_NS and now - self._tried_ns >= _PAUSE_NS

    def fetch(self) -> None:
        """Fetch the keys, where nobody else just did; waits some seconds at most."""
        with self._lock:
            now = self._clock.now_ns()
            if now - self._tried_ns < _PAUSE_NS:
                return
            self._tried_ns = now
            try:
                content = _get(self._url)
                if content != self._content:
                    self._keys = _keys_of(content, self._algorithm)
                    self._content = content
                    self.generation += 1
            except (OSError, ValueError) as error:
                self.fault = f"the keys of the issuer cannot be fetched: {error}"
                return
            self.fault = ""
            self._fetched_ns = now


def _get(url: str) -> bytes:
    import httpx

    until = time.monotonic() + _FETCH_SECONDS
    content = b""
    # Unpacked, a small answer may be a huge one.
    headers = {"accept": "application/json", "accept-encoding": "identity"}
    try:
        with (
            httpx.Client(follow_redirects=False, timeout=_FETCH_SECONDS) as client,
            client.stream("GET", url, headers=headers) as answer,
        ):
            if answer.status_code != 200:
                raise ValueError(f"the answer is {answer.status_code}")
            for chunk in answer.iter_raw():
                content += chunk
                if len(content) > _LARGEST_BYTES:
                    raise ValueError("the answer is too large")
                if time.monotonic() > until:
                    raise ValueError("the answer takes too long")
    except httpx.HTTPError as error:
        raise OSError(type(error).__name__) from None
    return content


def _keys_of(content: bytes, algorithm: str) -> dict[str | None, Any]:
    """The keys that fit, by name.

    Raises:
        ValueError: there is none.
    """
    try:
        given = msgspec.json.decode(content, type=dict[str, Any]).get("keys")
    except msgspec.DecodeError:
        raise ValueError("the answer is no set of keys") from None
    found: dict[str | None, Any] = {}
    for each in given[:_MOST_KEYS] if isinstance(given, list) else ():
        name = each.get("kid") if isinstance(each, dict) else ()
        if (name is None or isinstance(name, str)) and name not in found and _fits(each, algorithm):
            try:
                key = jwt.PyJWK(each, algorithm).key
            except (PyJWTError, ValueError):
                continue
            if _is_strong(key, algorithm):
                found[name] = key
    if not found:
        raise ValueError(f"the answer holds no key for {algorithm}")
    return found


def _fits(given: Mapping[str, Any], algorithm: str) -> bool:
    uses = given.get("key_ops")
    return (
        given.get("use", "sig") == "sig"
        and given.get("alg", algorithm) == algorithm
        and (uses is None or (isinstance(uses, list) and "verify" in uses))
        # A private key that is published is nobody's any more.
        and "d" not in given
    )


def _is_strong(key: Any, algorithm: str) -> bool:
    if isinstance(key, RSAPublicKey):
        return key.key_size >= _FEWEST_RSA_BITS
    if isinstance(key, EllipticCurvePublicKey):
        return key.curve.name == _CURVES.get(algorithm)
    return algorithm == "EdDSA"
