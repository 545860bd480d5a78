"""How often somebody may try: logins, requests that were refused, requests in all."""

import ipaddress
import math
import threading
from hashlib import sha256
from typing import Any

from limits import RateLimitItem, RateLimitItemPerMinute, RateLimitItemPerSecond
from limits.storage import Storage
from limits.strategies import FixedWindowRateLimiter
from litestar.exceptions import TooManyRequestsException

from ringfence.runtime.ports import Clock
from ringfence.service.settings import AccessSettings

__all__ = ["ClockStorage", "LoginTries", "Requests", "network_of"]

_SECOND_NS = 1_000_000_000
_MOST_KEYS = 100_000


class ClockStorage(Storage):
    """Counts of the library `limits`, by this service's clock.

    Its own storage in memory reads the wall clock and starts a thread for every few calls. This one forgets what ran
    out when it has grown large, and then, if need be, whatever runs out first.
    """

    STORAGE_SCHEME = ["clock"]  # noqa: RUF012  # declared so by the library

    def __init__(self, clock: Clock) -> None:
        super().__init__()
        self._clock = clock
        self._lock = threading.Lock()
        self._counts: dict[str, tuple[int, int]] = {}  # count, and when it runs out

    @property
    def base_exceptions(self) -> type[Exception] | tuple[type[Exception], ...]:
        return ValueError

    def incr(self, key: str, expiry: float, amount: int = 1) -> int:
        now = self._clock.now_ns()
        with self._lock:
            count, until = self._counts.get(key, (0, 0))
            if until <= now:
                count, until = 0, now + round(expiry * _SECOND_NS)
                self._make_room(now)
            self._counts[key] = count + amount, until
            return count + amount

    def get(self, key: str) -> int:
        count, until = self._counts.get(key, (0, 0))
        return count if until > self._clock.now_ns() else 0

    def get_expiry(self, key: str) -> float:
        now = self._clock.now_ns()
        return max(now, self._counts.get(key, (0, now))[1]) / _SECOND_NS

    def check(self) -> bool:
        return True

    def reset(self) -> int:
        with self._lock:
            count = len(self._counts)
            self._counts.clear()
        return count

    def clear(self, key: str) -> None:
        with self._lock:
            self._counts.pop(key, None)

    def _make_room(self, now: int) -> None:
        if len(self._counts) < _MOST_KEYS:
            return
        left = {key: each for key, each in self._counts.items() if each[1] > now}
        if len(left) >= _MOST_KEYS:
            by_end = sorted(left, key=lambda key: left[key][1])
            for key in by_end[: _MOST_KEYS // 10]:
                del left[key]
        self._counts = left


class _Counted:
    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._limiter = FixedWindowRateLimiter(ClockStorage(clock))

    def _hit(self, item: RateLimitItem, *key: str) -> None:
        if not self._limiter.hit(item, *key):
            at_s = self._limiter.get_window_stats(item, *key).reset_time
            left_s = max(1, math.ceil(at_s - self._clock.now_ns() / _SECOND_NS))
            raise TooManyRequestsException(
                "too many tries; wait", headers={"retry-after": str(left_s)}
            )


class LoginTries(_Counted):
    """Tries to log in. All count, and one that succeeds takes back what its user had from there.

    Of a user from one address there are few; from all addresses there are more, so that somebody far away cannot easily
    lock a risk officer out.
    """

    def __init__(self, settings: AccessSettings, clock: Clock) -> None:
        super().__init__(clock)
        about = settings.login
        self._both, self._user, self._address = (
            RateLimitItemPerSecond(count, about.window // _SECOND_NS, f"login-{name}")
            for name, count in (
                ("both", about.tries),
                ("user", about.tries_of_user),
                ("address", about.tries_of_address),
            )
        )

    def count(self, user: str, address: str) -> None:
        """Count a try, before it is looked at: of many at the same time no more get through.

        Raises:
            TooManyRequestsException: there were too many; with when to come again.
        """
        name, network = _short(user), network_of(address)
        self._hit(self._address, network)
        self._hit(self._both, name, network)
        self._hit(self._user, name)

    def succeeded(self, user: str, address: str) -> None:
        """Forget the tries of somebody who is in."""
        self._limiter.clear(self._both, _short(user), network_of(address))

    def is_locked(self, user: str, address: str) -> bool:
        """Whether the next try would be one too many, so that this one locked them out."""
        name = _short(user)
        return not (
            self._limiter.test(self._both, name, network_of(address))
            and self._limiter.test(self._user, name)
        )


class Requests(_Counted):
    """Requests in all, and those that were refused."""

    def __init__(self, settings: AccessSettings, clock: Clock) -> None:
        super().__init__(clock)
        self._made = RateLimitItemPerMinute(settings.requests_per_minute, 1, "requests")
        self._refused = RateLimitItemPerMinute(settings.refused_per_minute, 1, "refused")

    def made(self, name: str) -> None:
        """Count a request of somebody.

        Raises:
            TooManyRequestsException: there were too many this minute.
        """
        self._hit(self._made, name)

    def refused(self, address: str) -> None:
        """Count a request of nobody.

        Raises:
            TooManyRequestsException: there were too many this minute.
        """
        self._hit(self._refused, network_of(address))


def network_of(address: str) -> str:
    """Whom an address stands for: with IPv6 everybody has 2^64 of them, so its first half (/64)."""
    try:
        found: Any = ipaddress.ip_address(address)
    except ValueError:
        return "unknown"
    if found.version == 4:
        return str(found)
    if found.ipv4_mapped is not None:
        return str(found.ipv4_mapped)
    return str(ipaddress.ip_network((found, 64), strict=False).network_address)


def _short(name: str) -> str:
    # What was typed may be long, and may be a password.
    return sha256(name.encode("utf-8", "surrogatepass")).hexdigest()
