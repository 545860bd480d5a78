"""A quick yes for documents that fit their schema; every other answer is left to jsonschema.

Nearly every document is fine, and jsonschema needs some milliseconds to say so. `acceptor` turns a schema
into plain functions. It may only err towards no: a test holds it against jsonschema, and a schema
with a keyword it does not know gets no acceptor at all.
"""

import re
from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

__all__ = ["Accepts", "acceptor", "compile_pattern"]

Accepts: TypeAlias = Callable[[Any], bool]

_ANNOTATIONS = frozenset(
    ("$schema", "$id", "$defs", "$comment", "title", "description", "default", "examples")
)
_TYPES: dict[str, tuple[type, ...]] = {
    "object": (dict,),
    "array": (list,),
    "string": (str,),
    "number": (int, float),
    "integer": (int,),
    "boolean": (bool,),
    "null": (type(None),),
}
_EXACT = {"object": dict, "array": list}


class _UnknownKeywordError(Exception):
    pass


def acceptor(schema: Mapping[str, Any]) -> Accepts | None:
    """Return a function that says yes only to what fits the schema; None where it cannot be made."""
    try:
        return _Compiler(schema).compile(schema)
    except _UnknownKeywordError:
        return None


def compile_pattern(pattern: str) -> re.Pattern[str]:
    """Compile a schema's pattern as JSON Schema means it: a final `$` is the end of the text.

    Python's `$` also matches before a line break at the end, so that a name could carry one.
    """
    return re.compile(pattern[:-1] + r"\Z" if pattern.endswith("$") else pattern)


class _Compiler:
    def __init__(self, root: Mapping[str, Any]) -> None:
        self._definitions: Mapping[str, Any] = root.get("$defs", {})
        self._compiled: dict[str, Accepts] = {}

    def compile(self, schema: Any) -> Accepts:
        if not isinstance(schema, dict):
            raise _UnknownKeywordError
        tests: list[Accepts] = []
        keywords = {key: value for key, value in schema.items() if key not in _ANNOTATIONS}
        if "$ref" in keywords:
            tests.append(self._reference(keywords.pop("$ref")))
        if keywords.get("type") == "string":
            tests.append(_text(keywords))
        elif "type" in keywords:
            tests.append(_type(keywords.pop("type")))
        for choices in (keywords.pop("enum", None), _listed(keywords, "const")):
            if choices is not None:
                tests.append(_enum(choices))
        tests.extend(self._object(keywords))
        tests.extend(self._array(keywords))
        tests.extend(_string(keywords))
        tests.extend(_number(keywords))
        if keywords:
            raise _UnknownKeywordError(next(iter(keywords)))
        return _all(tests)

    def _reference(self, target: str) -> Accepts:
        name = target.removeprefix("#/$defs/")
        if name not in self._definitions or name in ("", target):
            raise _UnknownKeywordError(target)
        if name not in self._compiled:
            # A schema that refers to itself would be called while it is still being made.
            self._compiled[name] = lambda _: False
            self._compiled[name] = self.compile(self._definitions[name])
        return self._compiled[name]

    def _object(self, keywords: dict[str, Any]) -> list[Accepts]:
        tests: list[Accepts] = []
        required = tuple(keywords.pop("required", ()))
        low, high = keywords.pop("minProperties", 0), keywords.pop("maxProperties", None)
        if low or high is not None:
            tests.append(_only(dict, _size(low, high)))
        if "propertyNames" in keywords:
            name_fits = self.compile(keywords.pop("propertyNames"))
            tests.append(_only(dict, _each(name_fits)))
        has_members = "properties" in keywords or "additionalProperties" in keywords
        properties = {
            name: self.compile(each) for name, each in keywords.pop("properties", {}).items()
        }
        others = keywords.pop("additionalProperties", True)
        if has_members or required:
            rest = None if isinstance(others, bool) else self.compile(others)
            tests.append(_members(properties, required, rest, others is True))
        return tests

    def _array(self, keywords: dict[str, Any]) -> list[Accepts]:
        tests: list[Accepts] = []
        low, high = keywords.pop("minItems", 0), keywords.pop("maxItems", None)
        if low or high is not None:
            tests.append(_only(list, _size(low, high)))
        if "items" in keywords:
            item_fits = self.compile(keywords.pop("items"))
            tests.append(_only(list, _each(item_fits)))
        return tests


def _members(
    properties: dict[str, Accepts], required: tuple[str, ...], rest: Accepts | None, open_: bool
) -> Accepts:
    known = properties.get

    def accepts(value: Any) -> bool:
        if type(value) is not dict:
            return True
        for name in required:
            if name not in value:
                return False
        for name, member in value.items():
            fits = known(name) or rest
            if fits is None:
                if not open_:
                    return False
            elif not fits(member):
                return False
        return True

    return accepts


def _type(names: str | list[str]) -> Accepts:
    if isinstance(names, str) and names in _EXACT:
        exact = _EXACT[names]
        return lambda value: type(value) is exact
    listed = [names] if isinstance(names, str) else names
    if not all(name in _TYPES for name in listed):
        raise _UnknownKeywordError(str(names))
    types = frozenset(each for name in listed for each in _TYPES[name])
    return lambda value: type(value) in types


def _enum(choices: list[Any]) -> Accepts:
    # Text alone: for Python 1, 1.0 and true are equal, for JSON Schema they are not.
    texts = frozenset(choice for choice in choices if isinstance(choice, str))
    return lambda value: type(value) is str and value in texts


def _text(keywords: dict[str, Any]) -> Accepts:
    # One function for all that is said of a text: most of a document is text.
    del keywords["type"]
    low, high = keywords.pop("minLength", 0), keywords.pop("maxLength", None)
    pattern = keywords.pop("pattern", None)
    search = None if pattern is None else compile_pattern(pattern).search

    def accepts(value: Any) -> bool:
        return (
            type(value) is str
            and low <= len(value)
            and (high is None or len(value) <= high)
            and (search is None or search(value) is not None)
        )

    return accepts


def _string(keywords: dict[str, Any]) -> list[Accepts]:
    tests: list[Accepts] = []
    low, high = keywords.pop("minLength", 0), keywords.pop("maxLength", None)
    if low or high is not None:
        tests.append(_only(str, _size(low, high)))
    if "pattern" in keywords:
        search = compile_pattern(keywords.pop("pattern")).search
        tests.append(_only(str, lambda value: search(value) is not None))
    return tests


def _number(keywords: dict[str, Any]) -> list[Accepts]:
    low, high = keywords.pop("minimum", None), keywords.pop("maximum", None)
    above = keywords.pop("exclusiveMinimum", None)
    if low is None and high is None and above is None:
        return []

    def accepts(value: Any) -> bool:
        if type(value) is not int and type(value) is not float:
            return True
        return (
            (low is None or value >= low)
            and (high is None or value <= high)
            and (above is None or value > above)
        )

    return [accepts]


def _size(low: int, high: int | None) -> Accepts:
    return lambda value: low <= len(value) and (high is None or len(value) <= high)


def _only(kind: type, test: Accepts) -> Accepts:
    # A keyword says nothing about values of another type.
    return lambda value: type(value) is not kind or test(value)


def _each(fits: Accepts) -> Accepts:
    def accepts(values: Any) -> bool:
        for value in values:  # noqa: SIM110 - `all` over a generator is slower
            if not fits(value):
                return False
        return True

    return accepts


def _listed(keywords: dict[str, Any], name: str) -> list[Any] | None:
    return [keywords.pop(name)] if name in keywords else None


def _all(tests: list[Accepts]) -> Accepts:
    if len(tests) == 1:
        return tests[0]
    if len(tests) == 2:
        first, second = tests
        return lambda value: first(value) and second(value)
    ordered = tuple(tests)

    def accepts(value: Any) -> bool:
        for test in ordered:  # noqa: SIM110 - `all` over a generator is slower
            if not test(value):
                return False
        return True

    return accepts
