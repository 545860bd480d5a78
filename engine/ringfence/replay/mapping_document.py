"""A mapping file as data with places: strict YAML, held to `schemas/mapping.v1.schema.json`."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from jsonschema import Draft202012Validator
from jsonschema.exceptions import ValidationError

from ringfence._resources import bundled
from ringfence.errors import Diagnostic, PolicyError, Span
from ringfence.language.source import Document, load_file
from ringfence.language.suggest import did_you_mean, one_of

__all__ = ["read_mapping_document"]

_CODES = {
    "additionalProperties": "E151",
    "required": "E152",
    "type": "E153",
    "const": "E154",
    "enum": "E154",
    "pattern": "E155",
}
_WHY = "a mapping has the shape of schemas/mapping.v1.schema.json"


def read_mapping_document(path: Path, shown: str | None = None) -> Document:
    """Return a mapping's document, its shape checked; `shown` is what findings call the file.

    Raises:
        InputError: the file cannot be read.
        PolicyError: it is not strict YAML, or not a mapping; holds all findings.
    """
    document = load_file(path, shown)
    if document.has_nonfinite:
        raise PolicyError(
            [
                Diagnostic(
                    "E159", "a number that is not finite", document.span("spec"), _WHY, "remove it"
                )
            ]
        )
    text = (bundled("schemas") / "mapping.v1.schema.json").read_text(encoding="utf-8")
    validator = Draft202012Validator(json.loads(text))
    faults = [
        one for error in validator.iter_errors(document.data) for one in _faults(error, document)
    ]
    if faults:
        raise PolicyError(faults)
    return document


def _faults(error: ValidationError, document: Document) -> Iterator[Diagnostic]:
    path = list(error.absolute_path)
    rule = str(error.validator)
    shape: Any = error.schema
    value: Any = error.validator_value
    code = _CODES.get(rule, "E156")
    if rule == "additionalProperties":
        known = shape.get("properties", {})
        given: Any = error.instance
        for key in [key for key in given if key not in known]:
            message = f"unknown key `{key[:80]}`{did_you_mean(key, known)}"
            yield Diagnostic(
                code, message, document.key_span(*path, key), _WHY, f"use {one_of(known)}"
            )
        return
    span = document.span(*path)
    if rule == "required":
        present: Any = error.instance
        for key in [key for key in value if key not in present]:
            yield Diagnostic(code, f"`{key}` is missing", _first_line(span), _WHY, f"add `{key}:`")
        return
    name = str(path[-1]) if path else "the document"
    yield Diagnostic(
        code, f"`{name}` {_words(rule, value)}", span, _WHY, str(shape.get("description", ""))[:200]
    )


def _first_line(span: Span) -> Span:
    if span.line == span.end_line:
        return span
    return Span(span.path, span.line, span.column, span.line, span.column + 1)


def _words(rule: str, value: Any) -> str:
    if rule == "type":
        kinds = value if isinstance(value, list) else [value]
        return f"must be {' or '.join(_TYPES[kind] for kind in kinds)}"
    if rule == "const":
        return f"must be `{value}`"
    if rule == "enum":
        return f"must be one of {one_of(str(one) for one in value)}"
    if rule == "pattern":
        return f"is not of the form `{value}`"
    return f"breaks the bound {rule} {value}" if isinstance(value, int) else "is not allowed here"


_TYPES: dict[str, str] = {
    "object": "a mapping",
    "array": "a list",
    "string": "text",
    "integer": "a whole number",
    "number": "a number",
    "boolean": "true or false",
}
