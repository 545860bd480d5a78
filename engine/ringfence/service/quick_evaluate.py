"""The usual request for a decision, answered without the framework, which takes longer than the decision.

Whatever is out of the ordinary is left to the application: a session, an `Idempotency-Key`, another media type, a body
with a fault, an account of somebody else, too many requests. So every refusal, and what it says, comes from there, and an
answer from here is the one that it would give; a test holds the two side by side.
"""

from itertools import count
from time import perf_counter
from typing import NamedTuple

import msgspec

from ringfence.runtime.ports import SYSTEM_RANDOM
from ringfence.service.access.authentication import known_at_once
from ringfence.service.access.rights import Principal, Right, Role, may_tell_prices
from ringfence.service.api.bodies import read_json
from ringfence.service.api.order_bodies import OrderBody, decision_told, market_of, order_of
from ringfence.service.api.problems import Problem
from ringfence.service.api.request_ids import request_id_of
from ringfence.service.desk import Desk

__all__ = ["MOST_BYTES", "PATH", "QuickAnswer", "QuickEvaluate"]

PATH = "/v1/evaluate"
#: An order has some 300 bytes; a longer body is left to the application.
MOST_BYTES = 8_192
_MEDIA = (
    b"application/json",
    b"application/json; charset=utf-8",
    b"application/json;charset=utf-8",
)
_HEADERS = frozenset(
    (b"authorization", b"content-type", b"x-request-id", b"idempotency-key", b"content-encoding")
)
_ORDER = msgspec.json.Decoder(OrderBody)
_told = msgspec.json.Encoder().encode


class QuickAnswer(NamedTuple):
    """The body of an answer, and the name of its request."""

    body: bytes
    request_id: str


class QuickEvaluate:
    """Answers what it can of what is asked of a desk."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        # Where a decision waits for a disk or a server, others must be answered meanwhile.
        self.is_on = desk.decides_at_once
        self.behind_proxy = desk.settings.server.behind_proxy
        self._run, self._numbers = SYSTEM_RANDOM.token(8), count(1)

    def answer(self, headers: list[tuple[bytes, bytes]], body: bytes) -> QuickAnswer | None:
        """The answer to a POST to `PATH`; None where the application must say it.

        Args:
            headers: All that the request has, names in lower case.
            body: The whole of it, at most `MOST_BYTES`.
        """
        started = perf_counter()
        named = _usual(headers)
        # Upkeep takes longer than an answer from here may: the application does it.
        if named is None or self._desk.access.is_upkeep_due():
            return None
        user = self._user(named)
        if user is None:
            return None
        name = self._name(named.get(b"x-request-id"))
        told = self._told(user, body, name)
        if told is None:
            return None
        self._desk.api_metrics.took("POST", PATH, 200, perf_counter() - started)
        return QuickAnswer(told, name)

    def _name(self, given: bytes | None) -> str:
        if given is None:
            # No two are the same, and nobody gains by guessing one.
            return f"{self._run}-{next(self._numbers)}"
        return request_id_of(given, SYSTEM_RANDOM)

    def _user(self, headers: dict[bytes, bytes]) -> Principal | None:
        shown = headers.get(b"authorization")
        if shown is None:
            return None
        user = known_at_once(self._desk.access, shown.decode("latin-1"))
        return user if user is not None and user.may(Right.TRADE) else None

    def _told(self, user: Principal, body: bytes, request_id: str) -> bytes | None:
        """The decision; None where there is something to say about the body or the account."""
        try:
            data = read_json(body, _ORDER)
            if user.role is Role.TRADER and data.account not in user.accounts:
                return None
            if data.market is not None and not may_tell_prices(user, self._desk.settings.access):
                return None
            order, market = order_of(data), market_of(data.market)
        except Problem:
            return None
        answer = self._desk.guard.evaluate_order(order, market, signs=False, request_id=request_id)
        return _told(decision_told(answer, order.client_order_id))


def _usual(headers: list[tuple[bytes, bytes]]) -> dict[bytes, bytes] | None:
    """The headers that matter; None where the request is not the usual one."""
    found = [each for each in headers if each[0] in _HEADERS]
    named = dict(found)
    if len(found) > len(named) or named.get(b"content-type") not in _MEDIA:
        return None
    is_plain = b"idempotency-key" not in named and b"content-encoding" not in named
    return named if is_plain else None
