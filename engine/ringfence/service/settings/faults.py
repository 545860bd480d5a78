"""What is wrong with a setting, in our words. Values are never shown: one may be a secret in the wrong place."""

from collections.abc import Mapping
from typing import Any

from pydantic_core import ErrorDetails

from ringfence.language.suggest import did_you_mean

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
        known = _known(path[:-1])
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


def _fields(path: list[str]) -> Any:
    """The field at a path; None where there is none, or names are free there."""
    from ringfence.service.settings.sections import VenueSettings
    from ringfence.service.settings.whole import ServiceSettings

    model: Any = ServiceSettings
    for at, name in enumerate(path):
        if at == 1 and path[0] == "venues":
            model = VenueSettings
            continue
        field = getattr(model, "model_fields", {}).get(name)
        if field is None:
            return None
        model = field.annotation
        if at == len(path) - 1:
            return field
    return None


def _known(path: list[str]) -> list[str]:
    from ringfence.service.settings.sections import VenueSettings
    from ringfence.service.settings.whole import ServiceSettings

    if not path:
        return list(ServiceSettings.model_fields)
    if path[0] == "venues":
        return list(VenueSettings.model_fields)
    field = ServiceSettings.model_fields.get(path[0])
    return list(getattr(field and field.annotation, "model_fields", {}))


def _description(path: list[str]) -> str:
    field = _fields(path) or _fields(path[:-1])
    return str(field.description or "") if field is not None else ""
