"""Cases as the text of a test file: what all share stands once, sizes are quoted, the layout is the canonical one."""

import re
from collections.abc import Mapping, Sequence
from decimal import Decimal
from io import StringIO
from typing import Any

from ringfence.language.source import load
from ringfence.review.layout import format_document
from ringfence.review.testing.cases import TestCase

__all__ = ["render_test_document"]

_NO_FOLDING = 1 << 20
_ON_ONE_LINE = ("given", "when", "then")
_QUOTED_TIME = re.compile(r"'(\d{4}-\d\d-\d\dT[0-9:.]+Z)'")


def render_test_document(
    name: str, description: str, cases: Sequence[TestCase], *, schema: str = ""
) -> str:
    """A `kind: PolicyTest` document.

    Args:
        name: What the test is called, in kebab case.
        description: What it is for.
        cases: In their order.
        schema: The schema that the first line tells editors of, as seen from the file; no such line where empty.
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
    first = f"# yaml-language-server: $schema={schema}\n" if schema else ""
    text = first + _yaml(document)
    return format_document(load(text, f"{name}.yaml"))


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

    text = StringIO()
    writer = YAML()
    writer.width = _NO_FOLDING
    writer.dump(_styled(document), text)
    # A time needs no quotes here; the writer, for which it is more than text, thinks it does.
    return _QUOTED_TIME.sub(r"\1", text.getvalue())


def _styled(value: Any, *, flow: bool = False) -> Any:
    """The data with states and orders on one line, as far as the layout lets them, and what reads as a number, and is
    none, in quotes."""
    from ruamel.yaml.comments import CommentedMap
    from ruamel.yaml.scalarstring import DoubleQuotedScalarString

    if isinstance(value, Mapping):
        found = CommentedMap(
            (key, _styled(each, flow=flow or key in _ON_ONE_LINE)) for key, each in value.items()
        )
        if flow:
            found.fa.set_flow_style()
        return found
    if isinstance(value, list):
        return [_styled(each, flow=flow) for each in value]
    if isinstance(value, str) and _reads_as_number(value):
        return DoubleQuotedScalarString(value)
    return value


def _reads_as_number(text: str) -> bool:
    try:
        float(text.replace("_", ""))
    except ValueError:
        return not text
    return True
