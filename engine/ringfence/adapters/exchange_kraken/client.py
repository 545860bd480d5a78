"""Requests to Kraken: signed by ccxt, one at a time, paced, and repeated only where that is safe."""

import logging
import sys
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any

from ringfence.adapters.exchange_kraken.answers import Effect, Failure, failure_of
from ringfence.errors import ExchangeError
from ringfence.runtime.credentials import Secret

__all__ = ["KrakenClient", "RequestFailed"]

# How much of Kraken's allowance a request takes, in seconds of pace; orders and cancels have their own.
_COSTS = {"TradesHistory": 6}
_COST = 3
_ATTEMPTS = 4


class RequestFailed(Exception):  # noqa: N818  # says what happened, as `failure` says what it means
    """A request that did not get an answer to use; never leaves the adapter."""

    def __init__(self, failure: Failure) -> None:
        self.failure = failure
        super().__init__(failure.reason)


class KrakenClient:
    """One API key's way to Kraken. Nonces must grow, so its requests go out one after another."""

    def __init__(
        self,
        key: Secret,
        secret: Secret,
        *,
        url: str = "https://api.kraken.com",
        timeout_s: float = 10.0,
        pace_s: float = 1.0,
        wait: Callable[[float], None] = time.sleep,
    ) -> None:
        """Make the client; nothing is sent yet.

        Args:
            url: Where the REST interface is.
            timeout_s: Seconds until a request without an answer counts as unknown.
            pace_s: Seconds for each unit of Kraken's allowance, as ccxt paces; 1 fits the lowest tier.
            wait: Waits so many seconds before a request is repeated.
        """
        # Takes a third of a second: only who trades there loads it.
        import ccxt

        self._ccxt = ccxt.kraken(
            {
                "apiKey": key.reveal(),
                "secret": secret.reveal(),
                "timeout": int(timeout_s * 1000),
                "rateLimit": pace_s * 1000,
                # Paced here instead, so that an order need not wait behind a question.
                "enableRateLimit": False,
                "options": {"maxRetriesOnFailure": 0},
            }
        )
        self._ccxt.urls["api"] = {**self._ccxt.urls["api"], "public": url, "private": url}
        # ccxt logs requests with key and signature; a redirect would send an order twice.
        self._ccxt.logger = _Silent(__name__)
        self._ccxt.session.max_redirects = 0
        self._wait = wait
        self._one_at_a_time = threading.Lock()
        self._paced = threading.Lock()

    def __repr__(self) -> str:
        return "KrakenClient(***)"

    def markets(self) -> dict[str, dict[str, Any]]:
        """Kraken's own data of each pair, by symbol (`BTC/USD`).

        Raises:
            ExchangeError: they cannot be had.
        """

        def load() -> dict[str, dict[str, Any]]:
            markets = self._guarded(lambda: self._ccxt.load_markets(True))
            return {
                name: {**market["info"], "id": market["id"]} for name, market in markets.items()
            }

        found: dict[str, dict[str, Any]] = self._again(load)
        return found

    def currency(self, asset: str) -> str:
        """The usual code of an asset that Kraken names (`XXBT` is `BTC`), once `markets` was called."""
        return str(self._ccxt.safe_currency_code(asset))

    def public(self, endpoint: str) -> Any:
        """Ask a public endpoint without parameters, again if need be.

        Raises:
            ExchangeError: there is no answer.
        """
        return self._again(lambda: self._request("publicGet", endpoint, {}))

    def ask(self, endpoint: str, **parameters: str) -> Any:
        """Ask a private endpoint that changes nothing, again if need be, at Kraken's pace.

        Raises:
            ExchangeError: there is no answer.
        """

        def once() -> Any:
            with self._paced:
                self._ccxt.throttle(_COSTS.get(endpoint, _COST))
            return self._request("privatePost", endpoint, parameters)

        return self._again(once)

    def repeat(self, endpoint: str, **parameters: str) -> Any:
        """Send what does no harm when it arrives twice, as a cancel does.

        Raises:
            ExchangeError: it is not known whether it arrived.
            RequestFailed: it was refused.
        """
        return self._again(
            lambda: self._request("privatePost", endpoint, parameters), pass_refusals=True
        )

    def send(
        self, endpoint: str, parameters: Mapping[str, str], *, may_wait: Callable[[], bool]
    ) -> Any:
        """Send what must not arrive twice; again only if it certainly had no effect and may still.

        Raises:
            RequestFailed: it was refused, or it is not known whether it arrived.
        """
        attempt = 1
        while True:
            try:
                return self._request("privatePost", endpoint, parameters)
            except RequestFailed as failed:
                if failed.failure.effect is not Effect.NONE_YET or attempt == _ATTEMPTS:
                    raise
                self._wait(2.0 ** (attempt - 1))
                attempt += 1
                if not may_wait():
                    raise

    def _again(self, once: Callable[[], Any], *, pass_refusals: bool = False) -> Any:
        reason = ""
        for attempt in range(_ATTEMPTS):
            if attempt:
                self._wait(2.0 ** (attempt - 1))
            try:
                return once()
            except RequestFailed as failed:
                reason = failed.failure.reason
                if failed.failure.effect is Effect.NONE:
                    if pass_refusals:
                        raise
                    raise ExchangeError("REFUSED", reason) from None
        raise ExchangeError("UNREACHABLE", f"no answer after {_ATTEMPTS} requests: {reason}")

    def _request(self, kind: str, endpoint: str, parameters: Mapping[str, str]) -> Any:
        answer = self._guarded(lambda: getattr(self._ccxt, kind + endpoint)(dict(parameters)))
        if not isinstance(answer, dict) or "result" not in answer:
            raise RequestFailed(Failure(Effect.UNKNOWN, "an answer without a result"))
        return answer["result"]

    def _guarded(self, call: Callable[[], Any]) -> Any:
        handled = sys.exception()
        with self._one_at_a_time:
            try:
                return call()
            except Exception as error:
                # Without its cause: what ccxt raises carries the request, signed.
                raise RequestFailed(failure_of(error, handled)) from None


class _Silent(logging.Logger):
    def isEnabledFor(self, level: int) -> bool:  # noqa: N802, ARG002  # the name is logging's
        return False
