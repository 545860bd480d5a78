"""What went wrong with a request to Kraken: whether it may have had an effect is all that counts.

An order is sent again only where the first certainly did nothing. So an error counts as a refusal only
where Kraken documents it as one; everything else may have arrived.
"""

import json
from dataclasses import dataclass
from enum import Enum

__all__ = ["Effect", "Failure", "failure_of"]

# Kraken's own words, `<severity><category>:<message>`, for requests that were refused before any effect.
_REFUSED = (
    "EAccount:",
    "EAPI:",
    "EGeneral:Invalid arguments",
    "EGeneral:Permission denied",
    "EOrder:",
    "EQuery:",
    "EService:Deadline elapsed",
    "EService:Market in",
    "ETrade:",
)
_LATER = (
    "EAPI:Invalid nonce",
    "EAPI:Rate limit exceeded",
    "EGeneral:Temporary lockout",
    "EGeneral:Too many requests",
    "EOrder:Rate limit exceeded",
)
_NEVER_CONNECTED = ("NewConnectionError", "NameResolutionError", "ConnectTimeoutError")


class Effect(Enum):
    """What a failed request may have done."""

    NONE = "refused; the same request would be refused again"
    NONE_YET = "not taken for now; it may be sent again"
    UNKNOWN = "it may have arrived"


@dataclass(frozen=True, slots=True)
class Failure:
    """A request that failed, and why, in Kraken's words where there are any."""

    effect: Effect
    reason: str


def failure_of(error: BaseException, handled: BaseException | None = None) -> Failure:
    """Judge what ccxt raised; the cautious answer is `UNKNOWN`.

    Args:
        error: What it raised.
        handled: What its caller was handling before: it became the context of `error`, and is of something else.
    """
    chain = _chain(error, handled)
    # A proxy's or an overloaded server's page says nothing about the order, whatever its text.
    for each in chain:
        status = getattr(getattr(each, "response", None), "status_code", None)
        if status is not None:
            return Failure(Effect.UNKNOWN, f"HTTP status {status}")
    if any(type(each).__name__ in _NEVER_CONNECTED for each in chain):
        return Failure(Effect.NONE_YET, "no connection")
    told = _told(str(error))
    if not told:
        return Failure(Effect.UNKNOWN, type(error).__name__)
    reason = ", ".join(told)
    if all(each.startswith(_LATER) for each in told):
        return Failure(Effect.NONE_YET, reason)
    if all(each.startswith(_REFUSED) for each in told):
        return Failure(Effect.NONE, reason)
    return Failure(Effect.UNKNOWN, reason)


def _chain(error: BaseException, handled: BaseException | None) -> list[BaseException]:
    # Causes, contexts, and what libraries pass on as arguments and reasons; each once.
    found: list[BaseException] = []
    waiting: list[object] = [error]
    while waiting:
        each = waiting.pop()
        if each is handled:
            continue
        if isinstance(each, BaseException) and not any(each is other for other in found):
            found.append(each)
            waiting += [each.__cause__, each.__context__, getattr(each, "reason", None), *each.args]
    return found


def _told(message: str) -> list[str]:
    # ccxt's messages are its name, a space, and the answer's body.
    try:
        answer = json.loads(message.partition(" ")[2])
    except ValueError:
        return []
    told = answer.get("error") if isinstance(answer, dict) else None
    return [str(each) for each in told] if isinstance(told, list) else []
