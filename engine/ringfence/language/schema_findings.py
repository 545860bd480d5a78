"""jsonschema's errors, turned into findings with a place, a reason and a fix."""

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from ringfence.errors import Diagnostic, Span
from ringfence.language.scalars import clip
from ringfence.language.source import Document, Key
from ringfence.language.suggest import closest, one_of

if TYPE_CHECKING:
    from jsonschema.exceptions import ValidationError

__all__ = ["ErrorReader"]

_KINDS = {
    "object": "a mapping of keys and values",
    "array": "a list",
    "string": "text",
    "number": "a number",
    "integer": "a whole number",
    "boolean": "true or false",
    "null": "null",
}
_BOUNDS = {
    "minimum": "must be at least {}",
    "maximum": "must be at most {}",
    "exclusiveMinimum": "must be above {}",
    "exclusiveMaximum": "must be below {}",
    "minLength": "must have at least {} characters",
    "maxLength": "must have at most {} characters",
    "minItems": "must have at least {} items",
    "maxItems": "must have at most {} items",
    "minProperties": "must have at least {} keys",
    "maxProperties": "must have at most {} keys",
}


class ErrorReader:
    """Reads the errors of one document; a missing key that jsonschema repeats is told once."""

    def __init__(self, document: Document, schema: Mapping[str, Any]) -> None:
        self._document = document
        self._schema = schema
        self._told: set[tuple[Key, ...]] = set()

    def read(self, error: "ValidationError") -> Iterator[Diagnostic]:
        """Yield the findings that one error stands for."""
        if error.validator in ("anyOf", "oneOf") and error.context:
            # The branch that came furthest is the one that was meant.
            from jsonschema.exceptions import best_match

            error = best_match([error]) or error
        path: tuple[Key, ...] = tuple(error.absolute_path)
        if error.validator == "additionalProperties":
            yield from self._unknown(path, error)
        elif error.validator == "required":
            yield from self._missing(path, error)
        else:
            span, subject = self._subject(path, error)
            yield self._value(span, subject, path, error)

    def _unknown(self, path: tuple[Key, ...], error: "ValidationError") -> Iterator[Diagnostic]:
        schema: Any = error.schema
        instance: Any = error.instance
        known = schema.get("properties", {})
        for key in instance:
            if key in known:
                continue
            near = closest(key, known)
            yield Diagnostic(
                "E151",
                f"unknown key `{clip(key)}` in {_label(path)}"
                + (f", did you mean `{near}`?" if near else ""),
                self._document.key_span(*path, key),
                why=f"the keys here are {one_of(known)}; one that nobody reads would bind nothing",
                fix=f"write `{near}`, or remove it" if near else "remove it",
            )

    def _missing(self, path: tuple[Key, ...], error: "ValidationError") -> Iterator[Diagnostic]:
        if path in self._told:
            return
        self._told.add(path)
        schema: Any = error.schema
        instance: Any = error.instance
        for key in schema["required"]:
            if key in instance:
                continue
            part = self._resolve(schema.get("properties", {}).get(key, {}))
            meaning = part.get("description", "")
            example = part.get("const") or next(
                iter(part.get("examples", part.get("enum", ()))), ""
            )
            yield Diagnostic(
                "E152",
                f"{_label(path)} lacks `{key}`",
                self._document.key_span(*path),
                why=f"`{key}`: {_sentence(meaning)}" if meaning else f"`{key}` has no default",
                fix=f"add `{key}: {example}`" if example else f"add `{key}:`",
            )

    def _subject(self, path: tuple[Key, ...], error: "ValidationError") -> tuple[Span, str]:
        # An error about a key comes with the path of its mapping.
        instance: Any = error.instance
        if "propertyNames" in error.absolute_schema_path and _holds(self._document, path, error):
            return self._document.key_span(*path, instance), "the key"
        if isinstance(instance, dict | list):
            return self._document.key_span(*path), _label(path)
        return self._document.span(*path), _label(path)

    def _value(
        self, span: Span, subject: str, path: tuple[Key, ...], error: "ValidationError"
    ) -> Diagnostic:
        schema: Any = error.schema
        why = _sentence(schema.get("description", "")) or f"{subject} has no other form"
        example = next(iter(schema.get("examples", ())), "")
        fix = f"write for example `{example}`" if example else ""
        if error.validator == "type":
            wanted = schema.get("title") or _types(error.validator_value)
            message = f"{subject} must be {wanted}, not {_found(error.instance)}"
            # An example of another parameter would be none of this one's.
            if error.instance is None:
                fix = ""
            return Diagnostic("E153", message, span, why, fix or self._type_fix(path, error))
        if error.validator in ("enum", "const"):
            return _not_allowed(span, subject, error, why)
        shown = clip(error.instance) if isinstance(error.instance, str) else ""
        if error.validator == "pattern":
            wanted = schema.get("title", f"of the form {error.validator_value}")
            verb = "has to be" if subject == "the key" else "must be"
            message = f"{subject} {verb} {wanted}, `{shown}` is not"
            if subject == "the key" and shown[:1].isdigit():
                # `max: 100,000 USD` between braces: the comma ended the value.
                fix = (
                    "where it belongs to the number before: `_` sets thousands apart, as `100_000`"
                )
            return Diagnostic("E155", message, span, why, fix or "write it in this form")
        if error.validator in _BOUNDS:
            bound = _BOUNDS[error.validator].format(error.validator_value)
            if error.validator_value == 1 and bound.endswith("s"):
                bound = bound.removesuffix("s")
            return Diagnostic("E156", f"{subject} {bound}", span, why, fix or "change it")
        return Diagnostic(
            "E155", f"{subject} fits none of the allowed forms", span, why, fix or "see the schema"
        )

    def _type_fix(self, path: tuple[Key, ...], error: "ValidationError") -> str:
        wanted = error.validator_value
        found = error.instance
        if found is None:
            return "give it a value, or remove the key"
        if wanted == "string" and not isinstance(found, dict | list):
            return f'quote it: "{clip(self._document.text_of(*path))}"'
        if wanted == "array" and isinstance(found, str):
            return f"write a list: [{clip(found)}]"
        if wanted == "object":
            return "write its keys below it, indented"
        return f"write {_types(wanted)}"

    def _resolve(self, part: Mapping[str, Any]) -> dict[str, Any]:
        name = str(part.get("$ref", "")).removeprefix("#/$defs/")
        return {**self._schema.get("$defs", {}).get(name, {}), **part}


def _not_allowed(span: Span, subject: str, error: "ValidationError", why: str) -> Diagnostic:
    value: Any = error.validator_value
    choices = [str(each) for each in (value if error.validator == "enum" else [value])]
    shown = clip(error.instance) if isinstance(error.instance, str) else _found(error.instance)
    near = closest(error.instance, choices) if isinstance(error.instance, str) else None
    quoted = f"`{shown}`" if isinstance(error.instance, str) else shown
    return Diagnostic(
        "E154",
        f"{subject} cannot be {quoted}" + (f", did you mean `{near}`?" if near else ""),
        span,
        why,
        f"write `{near}`" if near else f"write one of {one_of(choices)}",
    )


def _holds(document: Document, path: tuple[Key, ...], error: "ValidationError") -> bool:
    value = document.data
    for key in path:
        value = value[key]
    return isinstance(value, dict) and isinstance(error.instance, str) and error.instance in value


def _label(path: tuple[Key, ...]) -> str:
    # The last name and the positions after it: `gates[0]`.
    positions = ""
    for key in reversed(path):
        if isinstance(key, str):
            return f"`{clip(key)}{positions}`"
        positions = f"[{key}]{positions}"
    return "the document"


def _types(wanted: Any) -> str:
    names = [_KINDS[name] for name in ([wanted] if isinstance(wanted, str) else wanted)]
    return " or ".join(names)


def _found(value: Any) -> str:
    if value is None:
        return "empty"
    if isinstance(value, bool):
        return "true" if value else "false"
    for kind, name in ((str, "string"), (dict, "object"), (list, "array")):
        if isinstance(value, kind):
            return _KINDS[name]
    return f"the number {clip(str(value))}"


def _sentence(text: str) -> str:
    # Descriptions are sentences; findings are lower case and end without a stop.
    text = text.strip().removesuffix(".")
    return text[:1].lower() + text[1:] if text[1:2].islower() or text[1:2] == " " else text
