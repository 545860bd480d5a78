"""The settings as a JSON Schema, for editors."""

from typing import Any

from ringfence.service.settings.whole import ServiceSettings

__all__ = ["settings_schema"]

_ID = "urn:ringfence:schema:service-settings:v1"


def settings_schema() -> dict[str, Any]:
    """The schema (draft 2020-12) of the settings' file."""
    made = _plain(ServiceSettings.model_json_schema(mode="validation"))
    directory = {"type": "string", "description": "the policies' directory"}
    made["properties"]["policies"] = {
        "description": made["properties"]["policies"].get("description", ""),
        "anyOf": [{"$ref": "#/$defs/PoliciesSettings"}, directory],
    }
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": _ID,
        "title": "Ringfence service settings",
        **{name: each for name, each in made.items() if name != "title"},
        "description": "settings of `ringfence serve`",
    }


def _plain(value: Any) -> Any:
    """Without titles made of names."""
    if isinstance(value, dict):
        return {
            name: _plain(each)
            for name, each in value.items()
            if not (name == "title" and isinstance(each, str))
        }
    return [_plain(each) for each in value] if isinstance(value, list) else value
