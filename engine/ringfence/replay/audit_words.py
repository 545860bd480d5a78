"""Records of the audit log in words: one line each, and a decision with each of its gates."""

import json
import math
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

from ringfence.language.answers import amount
from ringfence.language.linking import LinkedSet
from ringfence.replay.wording import clip, visible
from ringfence.runtime.audit_codec import plain, plain_text
from ringfence.runtime.audit_decision import DECISION, gates_in, order_in
from ringfence.runtime.audit_mask import Mask
from ringfence.runtime.audit_reader import Record

__all__ = ["decision_lines", "explained", "record_dict", "record_line", "record_text"]

_LINE = 160
_WORDS = {"APPROVE": "approved", "REDUCE_SIZE": "reduced", "REJECT": "rejected"}
_OUTCOMES = {
    "pass": "passes",  # nosec B105  # an outcome, no secret
    "reduce": "leaves room for less",
    "breach": "is breached",
    "exempt": "does not apply",
    "unknown": "cannot be known, which counts as a breach",
}


def record_dict(record: Record, mask: Mask) -> dict[str, Any]:
    """The record as JSON has it, secrets hidden; NaN and infinities are text."""
    return {
        "seq": record.sequence,
        "ts_ns": record.ts_ns,
        "kind": record.kind,
        "body": plain(mask.hide(record.body)),
        "prev": record.prev,
        "hash": record.hash,
    }


def record_text(record: Record, mask: Mask) -> str:
    """The record as one line of JSON."""
    return plain_text(record_dict(record, mask))


def _moment(ts_ns: int) -> str:
    """A time as ISO 8601, UTC, to the microsecond."""
    whole, rest = divmod(ts_ns, 1_000_000_000)
    return f"{datetime.fromtimestamp(whole, UTC):%Y-%m-%dT%H:%M:%S}.{rest // 1000:06d}Z"


def record_line(record: Record, mask: Mask) -> str:
    """The record as one line for a terminal."""
    body = mask.hide(record.body)
    if record.kind == DECISION:
        said = f"{_order(body)} -> {body.get('decision')} {body.get('reason') or ''}".rstrip()
    else:
        said = plain_text(body)
    return f"{record.sequence} {_moment(record.ts_ns)} {record.kind} {clip(said, _LINE)}"


def explained(
    record: Record, about: dict[str, Any], mask: Mask, linked: LinkedSet | None = None
) -> str:
    """The record in full; a decision in words, with each gate and the place of its limit.

    Args:
        about: Body of the record that describes the decision's policy set; empty where there is none.
        linked: That policy set, where it could be linked again.
    """
    body = mask.hide(record.body)
    lines = [f"record {record.sequence}, {_moment(record.ts_ns)}, {record.kind}"]
    if record.kind == DECISION:
        lines += decision_lines(body, about, linked)
    else:
        lines.append(json.dumps(plain(body), indent=2, ensure_ascii=False))
    lines.append(f"hash {record.hash}, after {record.prev}")
    return "\n".join(lines)


def decision_lines(
    body: dict[str, Any], about: dict[str, Any], linked: LinkedSet | None
) -> Iterator[str]:
    """A decision in words, with each gate and the place of its limit.

    Args:
        body: Of the decision's record.
        about: Body of the record that describes its policy set; empty where there is none.
        linked: That policy set, where it could be linked again.
    """
    asked = order_in(body)
    yield f"decision {visible(body.get('id'))}: {_order(body)}"
    names = ("account", "strategy", "venue")
    yield ", ".join(f"{name} {visible(asked.get(name)) or 'none'}" for name in names)
    word = _WORDS.get(str(body.get("decision")), visible(body.get("decision")))
    yield f"{word}: {visible(body.get('size'))} may be sent"
    if body.get("reason"):
        yield f"because {visible(body['reason'])}"
    yield f"policy set {visible(body.get('policy_set'))}"
    if body.get("request_id"):
        yield f"request {visible(body['request_id'])}"
    currency = str(body.get("currency") or about.get("currency") or "")
    for gate in gates_in(body, about, linked):
        yield from _gate(gate, currency)


def _order(body: dict[str, Any]) -> str:
    order = order_in(body)
    if not order:
        return "an order"
    price = order.get("price")
    at = "" if price is None else f" at {price}"
    words = (order.get(name) for name in ("side", "size", "symbol", "type"))
    return visible(" ".join(str(each) for each in words) + at)


def _gate(gate: dict[str, Any], currency: str) -> Iterator[str]:
    outcome = str(gate.get("outcome"))
    shadow = " (shadow: changes no decision)" if gate.get("mode") == "shadow" else ""
    told = _OUTCOMES.get(outcome, visible(outcome))
    level = f" of {visible(gate['level'])}" if gate.get("level") else ""
    yield f"- {visible(gate.get('gate'))}{level} {told}{shadow}"
    unit = str(gate.get("unit") or "")
    figures = [
        f"{name} {amount(value, unit, currency)}"
        for name in ("measure", "limit", "margin")
        if isinstance(value := gate.get(name), int | float) and math.isfinite(value)
    ]
    if gate.get("headroom") is not None:
        room = str(gate["headroom"])
        passes = f"largest size that passes {visible(room)}"
        # As many noughts as the lot step has digits; a log that was forged may hold anything.
        figures.append(passes if room.strip("0.") else "no size passes")
    if figures:
        yield f"    {', '.join(figures)}"
    if gate.get("reason"):
        yield f"    {visible(gate['reason'])}"
    if gate.get("file"):
        yield f"    {visible(gate.get('policy'))}, {visible(gate['file'])}:{gate.get('line')}"
