"""How each part of the service is, in words."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from ringfence.errors import AuditError
from ringfence.runtime.metrics import Source
from ringfence.service.dashboard.words import age, bytes_text, counted, percent
from ringfence.service.desk import Desk

__all__ = ["Part", "parts_of"]

# A log this full is near the point where orders are rejected.
_FULL = 0.8
# Records reach a sink within a second or two.
_LATE_S = 30.0

Kind = Literal["ok", "warn", "bad"]


@dataclass(frozen=True, slots=True)
class Part:
    """How a part is.

    Attributes:
        name: What it is called.
        kind: `ok`, `warn` (it works, and somebody should look) or `bad`.
        word: That in a word.
        said: What there is to say.
    """

    name: str
    kind: Kind
    word: str
    said: str


def parts_of(desk: Desk) -> tuple[Part, ...]:
    """Every part of a desk."""
    return (
        _log(desk),
        *_sinks(desk),
        _policies(desk),
        *_venues(desk),
        *_shared(desk),
    )


def _log(desk: Desk) -> Part:
    values = _values(desk.log)
    size, limit = values["ringfence_audit_log_bytes"], values["ringfence_audit_log_limit_bytes"]
    said = f"{bytes_text(int(size))}, {percent(size / limit)} of what it may hold"
    waiting = int(values["ringfence_audit_log_pending_records"])
    said += f"; {counted(waiting, 'record')} being written" if waiting else ""
    if not values["ringfence_audit_log_ok"]:
        return Part(
            "Audit log", "bad", "stopped", f"takes no records, so orders are rejected; {said}"
        )
    if size > _FULL * limit:
        return Part("Audit log", "warn", "nearly full", said)
    return Part("Audit log", "ok", "writing", said)


def _sinks(desk: Desk) -> Iterator[Part]:
    if desk.writer is None:
        return
    try:
        found = desk.writer.status()
    except AuditError as error:
        yield Part("Audit database", "bad", "unknown", error.message)
        return
    for each in found:
        name = f"Audit database ({each.sink})"
        lag = (
            f"{counted(each.lag_records, 'record')} behind, the oldest {age(each.lag_seconds)} old"
        )
        if each.error:
            yield Part(name, "bad", "failing", f"{each.error}; {lag}; the log keeps them meanwhile")
        elif each.lag_seconds > _LATE_S:
            yield Part(name, "warn", "late", lag)
        else:
            yield Part(name, "ok", "keeping up", lag if each.lag_records else "holds every record")


def _policies(desk: Desk) -> Part:
    health = desk.reloader.health()
    if not health.running:
        return Part("Policies", "bad", "not followed", "changes of the source are not looked for")
    if not health.ok:
        said = f"{health.message}; the last good set stays in force"
        return Part("Policies", "bad", "reload failed", said)
    if health.pinned:
        return Part("Policies", "warn", "held", f"a person went back to {health.pinned[:12]}")
    if health.trouble:
        return Part("Policies", "warn", "in trouble", health.trouble)
    return Part("Policies", "ok", "followed", f"from {health.source}")


def _venues(desk: Desk) -> Iterator[Part]:
    failing = {
        sample.labels["venue"]: int(sample.value)
        for cancels in desk.cancels
        for metric in cancels.metrics()
        if metric.name == "ringfence_switch_cancels_failing"
        for sample in metric.samples
        if isinstance(sample.value, int | float)
    }
    streams: dict[str, list[float]] = {}
    for follower in desk.followers:
        for metric in follower.metrics():
            if metric.name == "ringfence_stream_up":
                for sample in metric.samples:
                    value = sample.value
                    if isinstance(value, int | float):
                        streams.setdefault(sample.labels["venue"], []).append(value)
    for venue in desk.gateways:
        name = f"Exchange {venue}"
        if failing.get(venue):
            said = f"{counted(failing[venue], 'order')} that a kill switch wants ended cannot be cancelled"
            yield Part(name, "bad", "not cancelling", said)
        elif desk.settings.open_venues[venue].kind == "kraken" and not all(streams.get(venue, [])):
            said = "orders and fills are asked for, as no connection tells of them"
            yield Part(name, "warn", "asked", said)
        else:
            yield Part(name, "ok", "followed", "orders and fills are followed")


def _shared(desk: Desk) -> Iterator[Part]:
    if desk.shared is None:
        return
    waiting = _values(desk.guard).get("ringfence_shared_books_waiting", 0)
    if waiting:
        said = f"{counted(int(waiting), 'event')} not in the store yet; orders are rejected while it is away"
        yield Part("Shared books", "warn", "waiting", said)
    else:
        yield Part("Shared books", "ok", "in step", "every event is in the store")


def _values(source: Source) -> dict[str, float]:
    """Metrics that have one value."""
    found = {}
    for each in source.metrics():
        if len(each.samples) == 1 and isinstance(each.samples[0].value, int | float):
            found[each.name] = each.samples[0].value
    return found
