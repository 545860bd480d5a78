"""Every setting as a row: name, kind of value, default, meaning; for the reference page."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, get_args, get_origin

from ringfence.service.settings.schema import settings_schema
from ringfence.service.settings.whole import PREFIX, ServiceSettings

__all__ = ["Described", "described"]

_ANY = "NAME"
_WORDS = {"integer": "whole number", "number": "number", "boolean": "true or false"}


@dataclass(frozen=True, slots=True)
class Described:
    """One setting.

    Attributes:
        name: Dotted; `NAME` stands for a name of one's own.
        kind: What its value is, in words.
        default: As a file would hold it; empty for none.
        variable: Of the environment; a short flag is `--set NAME=VALUE`.
        meaning: What it is for.
    """

    name: str
    kind: str
    default: str
    variable: str
    meaning: str


def described() -> Iterator[Described]:
    """All settings, in the order of the file's sections."""
    schema = settings_schema()
    plain = ServiceSettings().model_dump(mode="json")
    yield from _section(ServiceSettings, schema, schema["$defs"], (), plain)


def _section(
    model: Any, schema: dict[str, Any], shared: dict[str, Any], above: tuple[str, ...], plain: Any
) -> Iterator[Described]:
    for name, field in model.model_fields.items():
        path, kind = (*above, name), field.annotation
        default = plain.get(name) if isinstance(plain, dict) else None
        if get_origin(kind) is dict and hasattr(get_args(kind)[1], "model_fields"):
            path, kind = (*path, _ANY), get_args(kind)[1]
            default = kind().model_dump(mode="json")
        if hasattr(kind, "model_fields"):
            yield from _section(kind, shared[kind.__name__], shared, path, default)
            continue
        about = schema["properties"][name]
        yield Described(
            ".".join(path),
            _kind(about, shared),
            _text(default),
            PREFIX + "__".join(path).upper(),
            field.description or "",
        )


def _kind(about: dict[str, Any], shared: dict[str, Any]) -> str:
    if "$ref" in about:
        about = shared[about["$ref"].rpartition("/")[2]]
    if "anyOf" in about:
        parts = [each for each in about["anyOf"] if each.get("type") != "null"]
        return _kind(parts[0], shared)
    if "enum" in about:
        return " or ".join(f"`{each}`" for each in about["enum"])
    if "const" in about:
        return f"`{about['const']}`"
    kind, form = about.get("type", "text"), about.get("pattern", "")
    if kind == "array":
        return "list"
    if kind == "object":
        return "names with values"
    if "ns|us|ms" in form:
        return "time, as `5s`"
    if "[KMGT]iB" in form:
        return "size, as `64 MiB`"
    if about.get("format") == "path":
        return "path"
    return "amount" if isinstance(kind, list) else _WORDS.get(kind, "text")


def _text(value: Any) -> str:
    if value is None or value in ("", [], {}):
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)
