"""What a desk settles about its checks: `.ringfence/settings.yaml`."""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ringfence import _resources
from ringfence.errors import Diagnostic, PolicyError
from ringfence.language.schema_fast import acceptor
from ringfence.language.source import Document, load, load_file
from ringfence.language.suggest import did_you_mean, one_of
from ringfence.runtime.repository import repository_of

__all__ = ["SETTINGS", "Settings", "find_settings", "load_settings", "read_settings"]

SETTINGS = Path(".ringfence", "settings.yaml")
"""Where the settings stand, from the top of the repository."""
FACTOR = 5.0
"""Reviewed limits double, halve, or go from 50,000 to 200,000; a zero too many or too few is ten. Five lies
between the two, and also finds 1,000,000 where 150,000 was meant."""
_WHY = "settings have the shape of schemas/settings.v1.schema.json"


@dataclass(frozen=True, slots=True)
class Settings:
    """A desk's own choices.

    Attributes:
        limit_factor: By what a limit may move, up or down, without `acknowledge:`; a pure number.
        ticket_pattern: What a ticket looks like; None where any text is one.
        off: The reason for each code that is switched off.
        lint_off: The same for `ringfence lint`.
        fail_under: How much tests must cover in the gate of a change, in percent.
        replayed: What is replayed for a change: `orders` and so on, as a dry run's options.
        document: Where they are from; None for those of a desk without any.
    """

    limit_factor: float = FACTOR
    ticket_pattern: re.Pattern[str] | None = None
    off: dict[str, str] = field(default_factory=dict)
    lint_off: dict[str, str] = field(default_factory=dict)
    fail_under: float = 0.0
    replayed: dict[str, Any] = field(default_factory=dict)
    document: Document | None = None


def find_settings(path: Path) -> Path | None:
    """The settings file for the policies at `path`: that of the repository they are in.

    Outside a repository it is looked for in the current directory.
    """
    return _present((repository_of(path) or Path()) / SETTINGS)


def load_settings(path: Path) -> Settings:
    """Read a settings file.

    Raises:
        InputError: it cannot be read.
        PolicyError: with every finding.
    """
    return read_settings(load_file(path))


def read_settings(document: Document | bytes, path: str = str(SETTINGS)) -> Settings:
    """The settings in a document, or in the bytes of one.

    Raises:
        PolicyError: with every finding.
    """
    if isinstance(document, bytes):
        document = load(document, path)
    if faults := _faults(document):
        raise PolicyError(faults)
    chosen = document.data.get("validate") or {}
    pattern = chosen.get("ticket_pattern")
    return Settings(
        limit_factor=float(chosen.get("limit_factor", FACTOR)),
        ticket_pattern=re.compile(pattern) if pattern is not None else None,
        off=_reasons(chosen),
        lint_off=_reasons(document.data.get("lint") or {}),
        fail_under=float((document.data.get("test") or {}).get("fail_under", 0.0)),
        replayed=dict(document.data.get("ci") or {}),
        document=document,
    )


def _reasons(chosen: Mapping[str, Any]) -> dict[str, str]:
    return {each["code"]: each["reason"] for each in chosen.get("switched_off") or ()}


def _present(path: Path) -> Path | None:
    return path if path.is_file() else None


def _faults(document: Document) -> list[Diagnostic]:
    text = (_resources.bundled("schemas") / "settings.v1.schema.json").read_text(encoding="utf-8")
    schema = json.loads(text)
    accepts = acceptor(schema)
    found = [] if accepts is not None and accepts(document.data) else list(_shape(document, schema))
    if found:
        return found
    pattern = (document.data.get("validate") or {}).get("ticket_pattern")
    if pattern is not None:
        try:
            re.compile(pattern)
        except re.error as error:
            found.append(
                Diagnostic(
                    "E155",
                    f"`ticket_pattern` is no regular expression: {error}",
                    document.span("validate", "ticket_pattern"),
                    _WHY,
                    "write for example `RISK-[0-9]+`",
                )
            )
    return found


def _shape(document: Document, schema: dict[str, Any]) -> Iterator[Diagnostic]:
    # Imported here: it is needed for findings alone.
    from jsonschema import Draft202012Validator

    for error in Draft202012Validator(schema).iter_errors(document.data):
        at = tuple(error.absolute_path)
        if error.validator == "additionalProperties":
            shape: Any = error.schema
            known, given = shape.get("properties", {}), error.instance
            for key in (key for key in given if key not in known):
                yield Diagnostic(
                    "E151",
                    f"unknown key `{str(key)[:80]}`{did_you_mean(str(key), known)}",
                    document.key_span(*at, key),
                    _WHY,
                    f"use {one_of(known)}",
                )
            continue
        named = f"`{at[-1]}` " if at else ""
        yield Diagnostic(
            "E155" if error.validator == "pattern" else "E153",
            f"{named}does not fit: {_short(error.message)}",
            document.span(*at),
            _WHY,
            _fix(error),
        )


def _short(message: str) -> str:
    return message if len(message) <= 200 else f"{message[:199]}…"


def _fix(error: Any) -> str:
    shape = error.schema if isinstance(error.schema, dict) else {}
    return str(shape.get("description") or "see docs/language.md, Settings")
