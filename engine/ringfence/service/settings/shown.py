"""The settings for people: each with its value as a file would hold it, and where it is from."""

from typing import Any

from ringfence.service.settings.loading import Loaded, Origin, leaves

__all__ = ["shown_settings"]


def shown_settings(loaded: Loaded) -> list[tuple[str, Any, Origin]]:
    """Dotted name, value as plain data, and origin of each setting, in the order of the sections."""
    plain = loaded.settings.model_dump(mode="json")
    return [
        (".".join(path), _at(plain, path), loaded.origins[".".join(path)])
        for path, _ in leaves(loaded.settings)
    ]


def _at(plain: Any, path: tuple[str, ...]) -> Any:
    for name in path:
        plain = plain[name]
    return plain
