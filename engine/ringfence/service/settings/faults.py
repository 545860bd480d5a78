"""What is wrong with a setting, in our words. Values are never shown: one may be a secret in the wrong place."""

from collections.abc import Mapping
from typing import Any, get_args, get_origin

from pydantic_core import ErrorDetails

from ringfence.language.suggest import did_you_mean
from ringfence.service.settings.whole import ServiceSettings

__all__ = ["told"]

_WORDS = {
    "int_parsing": "is no whole number",
    "int_type": "is no whole number",
    "int_from_float": "is no whole number",
    "float_parsing": "is no number",
    "float_type": "is no number",
    "bool_parsing": "is neither `true` nor `false`",
    "bool_type": "is neither `true` nor `false`",
    "string_type": "is no text: put it into quotes",
    "path_type": "is no path",
    "tuple_type": "is no list",
    "dict_type": "is no mapping of names to values",
    "model_type": "is a section: its settings stand below it",
    "model_attributes_type": "is a section: its settings stand below it",
    "too_short": "is empty",
    "string_too_short": "is empty",
    "string_pattern_mismatch": "does not have the form `{pattern}`",
    "literal_error": "is not one of {expected}",
    "greater_than": "is not above {gt}",
    "greater_than_equal": "is below {ge}",
    "less_than": "is not below {lt}",
    "less_than_equal": "is above {le}",
}


def told(error: ErrorDetails, origin: str) -> tuple[str, str]:
    """A message that names the setting and where it is from, and the fix.

    Args:
        error: As pydantic tells it.
        origin: Where the setting is from, in words.
    """
    path = [str(each) for each in error["loc"]]
    dotted = ".".join(path)
    if error["type"] == "extra_forbidden":
        known = _section(path[:-1])
        near = did_you_mean(path[-1], known)
        return f"{origin}: `{dotted}` is no setting{near}", "`ringfence config` lists all settings"
    said = _said(error)
    if not path:
        return said, "`ringfence config` shows the settings, and where each is from"
    about = _description(path)
    return f"{origin}: `{dotted}` {said}", f"`{dotted}` is: {about}" if about else ""


def _said(error: ErrorDetails) -> str:
    context: Mapping[str, Any] = error.get("ctx", {})
    if error["type"] == "value_error":
        return str(context["error"])
    words = _WORDS.get(error["type"])
    if words is None:
        return f"is wrong: {error['msg'][:1].lower()}{error['msg'][1:]}"
    return words.format(**{name: _plain(each) for name, each in context.items()})


def _plain(value: Any) -> Any:
    return value.replace("'", "`") if isinstance(value, str) else value


def _section(path: list[str]) -> dict[str, Any]:
    """The settings, by name, of the section at a path; none where there is no such section."""
    model: Any = ServiceSettings
    for name in path:
        free = get_origin(model) is dict
        field = None if free else _settings_of(model).get(name)
        if not free and field is None:
            return {}
        model = get_args(model)[1] if free else field and field.annotation
    return _settings_of(model)


def _settings_of(model: Any) -> dict[str, Any]:
    return getattr(model, "model_fields", {})


def _description(path: list[str]) -> str:
    """What a setting is for; of an item of a list, what the list is for."""
    for length in (len(path), len(path) - 1):
        field = _section(path[: length - 1]).get(path[length - 1]) if length else None
        if field is not None:
            return str(field.description or "")
    return ""
