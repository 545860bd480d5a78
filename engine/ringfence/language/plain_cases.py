"""A case given as plain data from Python: held to the schema of a policy test, as a file would be.

A misspelt key that nobody reads would bind nothing: a kill switch under the wrong name stops no order.
The order itself is not held to the schema, besides its keys: what its values are worth is for the decision.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, replace
from datetime import UTC, date, datetime
from decimal import Decimal
from numbers import Integral, Real
from typing import Any

from ringfence.errors import Diagnostic, PolicyError
from ringfence.language import schema
from ringfence.language.linking import LinkedSet
from ringfence.language.orders import Case, OrderRequest
from ringfence.language.policy_tests import read_case
from ringfence.language.source import load

__all__ = ["plain_case"]

_DEEPEST = 32
# What else a case of a policy test holds; nobody is asked for it.
_UNREAD = ("name", "then")


def plain_case(case: Mapping[str, Any], linked: LinkedSet) -> Case:
    """Make a `Case` of the `given` and `when` of a policy test.

    Args:
        case: `given`, and `when` as a mapping or an `OrderRequest`; a test's `name` and `then` may be there.
            Numbers may be of any type, times also `datetime` (without a zone: UTC) or nanoseconds.
        linked: The policy set that is asked.

    Raises:
        PolicyError: it is no case, has a key that no case has, or contradicts itself.
    """
    if not isinstance(case, Mapping):
        raise _refused("a case is a mapping with `given` and `when`")
    whole = {key: value for key, value in case.items() if key not in _UNREAD}
    when = whole.pop("when", None)
    order = asdict(when) if isinstance(when, OrderRequest) else when or {}
    if not isinstance(order, Mapping):
        raise _refused("`when` is neither a mapping nor an `OrderRequest`")
    plain = _plain(whole)
    given = plain.get("given") or {}
    if isinstance(given, dict):
        plain["given"] = given = _without_nothing(given)
    # Only its keys: an order may hold anything, and is rejected for it.
    _check({**plain, "when": dict.fromkeys(map(str, order), None)}, order)
    return read_case(given, order, linked)


def _check(case: dict[str, Any], order: Mapping[Any, Any]) -> None:
    keys = schema.schema_of("PolicyTest")["$defs"]["order"]["properties"]
    strange = {key: None for key in map(str, order) if key not in keys}
    given = case.get("given")
    if isinstance(given, dict) and isinstance(given.get("clock"), int):
        case = {**case, "given": {key: each for key, each in given.items() if key != "clock"}}
    document = {
        "apiVersion": schema.API_VERSION,
        "kind": "PolicyTest",
        "metadata": {"name": "case", "version": "1.0.0"},
        "cases": [{**case, "name": "case", "when": strange, "then": {"decision": "APPROVE"}}],
    }
    if schema.accepted(document, "PolicyTest"):
        return
    found = schema.check(load(json.dumps(document, default=repr), "case"), "PolicyTest")
    if not found:
        raise _refused("a case is plain data: mappings, lists, text and numbers")
    raise PolicyError(replace(each, span=None, related=()) for each in found)


def _plain(value: Any, depth: int = 0) -> Any:
    """Mappings, lists, text and numbers of their plain types; all else as it is."""
    if depth > _DEEPEST:
        raise _refused(f"the case is nested deeper than {_DEEPEST} levels")
    if isinstance(value, Mapping):
        return {str(key): _plain(each, depth + 1) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(each, depth + 1) for each in value]
    if isinstance(value, datetime):
        return (value if value.tzinfo else value.replace(tzinfo=UTC)).isoformat()
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, Decimal):
        return str(value) if value.is_finite() else float("nan" if value.is_nan() else value)
    if isinstance(value, bool):
        return value
    if isinstance(value, Integral):
        return int(value)
    if isinstance(value, Real):
        return float(value)
    return str(value) if isinstance(value, str) else value


def _without_nothing(given: dict[str, Any]) -> dict[str, Any]:
    """`None` for a whole part, a market or a book: nothing is known of it."""
    kept = {key: each for key, each in given.items() if each is not None or key == "clock"}
    for part in ("market", "books"):
        if isinstance(kept.get(part), dict):
            kept[part] = {key: {} if each is None else each for key, each in kept[part].items()}
    return kept


def _refused(message: str) -> PolicyError:
    return PolicyError(
        [
            Diagnostic(
                "E219",
                message,
                why="a case describes one possible state of the world, and an order",
                fix="write `given` and `when` as a case of a policy test has them",
            )
        ]
    )
