"""Reads the settings from file, environment and flags, and knows which of them each setting is from."""

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from pydantic_settings import EnvSettingsSource

from ringfence.errors import InputError, PolicyError
from ringfence.language.source import Document, load_file
from ringfence.service.settings.faults import told
from ringfence.service.settings.whole import PREFIX, ServiceSettings, short_policies

__all__ = ["CONFIG_VARIABLE", "DEFAULT_FILE", "Loaded", "Origin", "leaves", "load_settings"]

CONFIG_VARIABLE = "RINGFENCE_CONFIG"
DEFAULT_FILE = Path("ringfence.yaml")
_DEEP = "__"


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a setting is from: `kind` is default, file, environment or flag; `place` names it for people."""

    kind: str
    place: str = ""

    def __str__(self) -> str:
        return self.place or self.kind


@dataclass(frozen=True, slots=True)
class Loaded:
    """Settings, where each is from by its dotted name, and the file that was read."""

    settings: ServiceSettings
    origins: Mapping[str, Origin]
    file: Path | None


@dataclass(frozen=True, slots=True)
class Layer:
    """What one source says.

    Attributes:
        kind: As `Origin.kind`.
        values: Nested, as the settings are.
        document: The file's, for places.
        flags: Which flag gave which dotted name.
    """

    kind: str
    values: dict[str, Any]
    document: Document | None = None
    flags: Mapping[str, str] | None = None

    def has(self, path: Sequence[str]) -> bool:
        """Whether it says something there."""
        found: Any = self.values
        for name in path:
            if not isinstance(found, Mapping) or name not in found:
                return False
            found = found[name]
        return True

    def gives(self, path: Sequence[str]) -> int:
        """How many names of the path lead to what it says there: all, or fewer where that is one value; else 0."""
        found: Any = self.values
        for count, name in enumerate(path):
            if not isinstance(found, Mapping):
                return count
            if name not in found:
                return 0
            found = found[name]
        return len(path)

    def origin(self, path: Sequence[str]) -> Origin:
        """Where it says that."""
        if self.document is not None:
            span = self.document.key_span(*path)
            return Origin("file", f"{span.path}:{span.line}")
        dotted = ".".join(path)
        if self.flags is not None:
            # A short form is given under a name above.
            given = (".".join(path[:length]) for length in range(len(path), 0, -1))
            flag = next((self.flags[each] for each in given if each in self.flags), dotted)
            return Origin("flag", flag)
        return Origin("environment", PREFIX + _DEEP.join(path).upper())


def load_settings(
    config: str | Path | None = None,
    flags: Mapping[str, tuple[str, str]] | None = None,
    *,
    environ: Mapping[str, str] = os.environ,
) -> Loaded:
    """Read the settings: flags before the environment, before the file, before defaults.

    Relative paths in the file are relative to the file's directory, all others to the working directory.

    Args:
        config: The file; where not given, `RINGFENCE_CONFIG` names it, or `ringfence.yaml` is read if it is
            there.
        flags: By the setting's dotted name: its text, and the flag that gave it.
        environ: The environment's variables.

    Raises:
        InputError: a setting is unknown or wrong; says which, where, and what would be right.
    """
    file = _file(config, environ)
    layers = [_flags(flags or {}), _environment(environ)]
    if file is not None:
        layers.append(_read(file))
    settings = _validated(layers)
    origins = {".".join(path): _origin_of(path, layers) for path, _ in leaves(settings)}
    if file is not None and (moved := _anchored(settings, layers[-1], layers, file.parent)):
        layers[-1] = Layer("file", _over(layers[-1].values, moved), layers[-1].document)
        settings = _validated(layers)
    return Loaded(settings, origins, file)


def leaves(settings: ServiceSettings) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Each setting with its path and its value; lists, and mappings without anything in them, are values."""
    yield from _leaves(settings.model_dump(), ())


def _leaves(value: Any, path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], Any]]:
    if isinstance(value, Mapping) and (value or not path):
        for name, each in value.items():
            yield from _leaves(each, (*path, name))
    elif value != {} or path[-1:] not in (("access",), ("jobs",)):
        yield path, value


def _file(config: str | Path | None, environ: Mapping[str, str]) -> Path | None:
    named = config or environ.get(CONFIG_VARIABLE)
    if named:
        return Path(named)
    return DEFAULT_FILE if DEFAULT_FILE.is_file() else None


def _read(file: Path) -> Layer:
    try:
        document = load_file(file)
    except PolicyError as error:
        first = error.diagnostics[0]
        raise InputError(f"{first.span or file}: {first.message}", first.fix) from None
    if not isinstance(document.data, dict):
        raise InputError(f"`{file}` holds no settings", "write `server:` and below it `port: 5000`")
    return Layer("file", _whole(document.data), document)


def _environment(environ: Mapping[str, str]) -> Layer:
    source = EnvSettingsSource(ServiceSettings)
    # A variable that is set and empty says nothing, as `FOO=${FOO:-}` in a unit or a compose file.
    source.env_vars = {name.lower(): text for name, text in environ.items() if text}
    known = {name.lower() for name in ServiceSettings.model_fields}
    values: dict[str, Any] = source()
    for name in environ:
        # Only names in two parts: orchestrators add variables of their own that begin like ours.
        first, deep, _ = name.removeprefix(PREFIX).partition(_DEEP)
        if name.startswith(PREFIX) and deep and first.lower() not in known:
            values[first.lower()] = {}
    return Layer("environment", _whole(values))


def _flags(flags: Mapping[str, tuple[str, str]]) -> Layer:
    values: dict[str, Any] = {}
    for dotted, (text, _) in flags.items():
        nested: Any = text
        for name in reversed(dotted.split(".")):
            nested = {name: nested}
        values = _over(values, _whole(nested))
    return Layer("flag", values, flags={dotted: flag for dotted, (_, flag) in flags.items()})


def _whole(values: dict[str, Any]) -> dict[str, Any]:
    """The same without short forms, so that layers can be put on top of one another."""
    if "policies" in values:
        return values | {"policies": short_policies(values["policies"])}
    return values


def _validated(layers: list[Layer]) -> ServiceSettings:
    merged = reduce(_over, (each.values for each in reversed(layers)))
    try:
        return ServiceSettings(**merged)
    except ValidationError as error:
        faults = [
            told(each, str(_origin(tuple(str(part) for part in each["loc"]), layers)))
            for each in error.errors(include_url=False, include_input=False)
        ]
        fix = faults[0][1] if len(faults) == 1 else "`ringfence config --schema` has all settings"
        lines = [message for message, _ in faults]
        if len(faults) > 1:
            lines = [f"{len(faults)} settings are wrong", *lines]
        raise InputError("\n  ".join(lines), fix) from None


def _over(below: dict[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    """`above` on top of `below`: mappings are put together, all else is replaced."""
    found = dict(below)
    for name, value in above.items():
        under = found.get(name)
        if isinstance(under, dict) and isinstance(value, Mapping):
            value = _over(under, value)
        found[name] = value
    return found


def _origin_of(path: tuple[str, ...], layers: list[Layer]) -> Origin:
    """Where a setting is from."""
    for layer in layers:
        if count := layer.gives(path):
            return layer.origin(path[:count])
    return Origin("default")


def _origin(path: tuple[str, ...], layers: list[Layer]) -> Origin:
    """Where what is wrong stands; of something that does not stand anywhere, what lacks it."""
    for length in range(len(path), 0, -1):
        for layer in layers:
            if layer.has(path[:length]):
                return layer.origin(path[:length])
    return Origin("default")


def _anchored(
    settings: ServiceSettings, own: Layer, layers: list[Layer], folder: Path
) -> dict[str, Any]:
    """Relative paths that the file gave, from the file's directory."""
    moved: dict[str, Any] = {}
    for path, value in leaves(settings):
        if next((each for each in layers if each.gives(path)), None) is not own:
            continue
        if isinstance(value, tuple) and value and all(isinstance(each, Path) for each in value):
            nested: Any = [str(folder / each) for each in value]
        elif isinstance(value, Path):
            nested = str(folder / value)
        else:
            continue
        for name in reversed(path):
            nested = {name: nested}
        moved = _over(moved, nested)
    return moved
