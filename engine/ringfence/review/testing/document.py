"""Cases as the text of a test file: what all share stands once, keys in their usual order, sizes quoted."""

import re
from collections.abc import Mapping, Sequence
from decimal import Decimal
from io import StringIO
from typing import Any

from ringfence.review.testing.cases import TestCase

__all__ = ["render_test_document"]

_EDITOR = "# yaml-language-server: $schema=../../schemas/policy-test-editor.v1.schema.json\n"
_WIDTH = 118
_ORDER = (
    "name", "given", "when", "then",
    "clock", "control", "instruments", "market", "fx", "correlations", "books", "recent_orders",
    "account", "strategy", "venue", "symbol", "side", "type", "decision", "size", "price", "mark",
    "code", "reason", "gates",
    "currency", "equity", "day_start_equity", "day_start_balance", "peak_equity", "positions", "working",
)  # fmt: skip
_QUOTED_TIME = re.compile(r"'(\d{4}-\d\d-\d\dT[0-9:.]+Z)'")
_PLACES = {key: place for place, key in enumerate(_ORDER)}


def render_test_document(
    name: str, description: str, cases: Sequence[TestCase], *, editor: bool = True
) -> str:
    """A `kind: PolicyTest` document.

    Args:
        name: What the test is called, in kebab case.
        description: What it is for.
        cases: In their order.
        editor: Whether a first line tells editors of the schema, two directories up.
    """
    wholes = [{"given": _plain(each.given), "when": _plain(each.when)} for each in cases]
    defaults = _common(wholes)
    document = {
        "apiVersion": "ringfence/v1",
        "kind": "PolicyTest",
        "metadata": {"name": name, "version": "1.0.0", "description": description},
        "defaults": defaults,
        "cases": [
            {
                "name": case.name,
                **_without(whole, defaults),
                "then": _plain(case.expected),
            }
            for case, whole in zip(cases, wholes, strict=True)
        ],
    }
    return (_EDITOR if editor else "") + _yaml(document)


def _plain(value: Any) -> Any:
    """Plain data as YAML has it: whole numbers without a point, exact decimals as text."""
    if isinstance(value, Mapping):
        return {str(key): _plain(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(each) for each in value]
    if isinstance(value, Decimal):
        return f"{value:f}"
    if isinstance(value, float) and value.is_integer() and abs(value) < 1e15:
        return int(value)
    return str(value) if isinstance(value, str) else value


def _common(values: Sequence[Any]) -> Any:
    """What can stand under `defaults`: of keys that all have, the value that most have.

    A key that only some have is left to them: a case can change what a default says, and not take it away.
    """
    if all(isinstance(each, Mapping) for each in values):
        keys = [key for key in values[0] if all(key in each for each in values)]
        return {key: _common([each[key] for each in values]) for key in keys}
    texts = [repr(each) for each in values]
    return values[texts.index(max(texts, key=texts.count))]


def _without(value: Mapping[str, Any], defaults: Mapping[str, Any]) -> dict[str, Any]:
    """What a case has to say beside the defaults."""
    left: dict[str, Any] = {}
    for key, each in value.items():
        if key not in defaults:
            left[key] = each
        elif isinstance(each, Mapping) and isinstance(defaults[key], Mapping):
            if inner := _without(each, defaults[key]):
                left[key] = inner
        elif repr(each) != repr(defaults[key]):
            left[key] = each
    return left


def _yaml(document: Mapping[str, Any]) -> str:
    # Imported here: nothing else of the tests needs it.
    from ruamel.yaml import YAML

    writer = YAML()
    writer.width = _WIDTH
    writer.indent(mapping=2, sequence=4, offset=2)
    text = StringIO()
    writer.dump(_styled(document), text)
    # A time needs no quotes here; the writer, for which it is more than text, thinks it does.
    return _QUOTED_TIME.sub(r"\1", text.getvalue())


def _styled(value: Any, *, within: int = 0) -> Any:
    """The data with its keys in order; a mapping that fits stands on one line."""
    from ruamel.yaml.comments import CommentedMap, CommentedSeq
    from ruamel.yaml.scalarstring import DoubleQuotedScalarString

    if isinstance(value, Mapping):
        found = CommentedMap(
            (key, _styled(value[key], within=within + 2))
            for key in sorted(value, key=lambda key: _PLACES.get(key, len(_PLACES)))
        )
        if within and _fits(value, within):
            found.fa.set_flow_style()
        return found
    if isinstance(value, list):
        items = CommentedSeq(_styled(each, within=within + 4) for each in value)
        if not value or not isinstance(value[0], Mapping):
            items.fa.set_flow_style()
        return items
    if isinstance(value, str) and _reads_as_number(value):
        return DoubleQuotedScalarString(value)
    return value


def _fits(value: Mapping[str, Any], within: int) -> bool:
    return "name" not in value and len(repr(value)) + within < _WIDTH - 20


def _reads_as_number(text: str) -> bool:
    try:
        float(text.replace("_", ""))
    except ValueError:
        return not text
    return True
