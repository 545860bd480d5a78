"""Findings as SARIF 2.1.0, the format that code scanning services take.

Source: OASIS, Static Analysis Results Interchange Format (SARIF) Version 2.1.0 plus Errata 01 (2023).
"""

import hashlib
import re
from collections import Counter
from collections.abc import Iterable
from pathlib import Path, PurePath
from typing import Any
from urllib.parse import quote

from ringfence.errors import Diagnostic, Span
from ringfence.language.codes import CODES
from ringfence.language.render import ReadLine
from ringfence.language.scalars import NOT_PRINTABLE

__all__ = ["sarif_log"]

_SCHEMA = (
    "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
)
_ROOT = "%SRCROOT%"
_LEVELS = {"error": "error", "warning": "warning"}
_PLACES = re.compile(r":\d+(?::\d+)?|\bline \d+")


def sarif_log(
    diagnostics: Iterable[Diagnostic], read_line: ReadLine, *, version: str, root: Path
) -> dict[str, Any]:
    """Return findings as a SARIF log of one run, as plain data.

    A result's fingerprint is made of its code, its file, the text of its line and its message, so that it
    stays the same when lines above it come or go.

    Args:
        diagnostics: In the order to be listed.
        read_line: Gives the source lines.
        version: That of the program.
        root: The absolute directory that relative paths start from; an absolute path below it
            becomes relative, so that no name of the machine's own directories is in the log.
    """
    found = list(diagnostics)
    codes = list(dict.fromkeys(each.code for each in found))
    seen: Counter[str] = Counter()
    results = [_result(each, codes.index(each.code), read_line, root, seen) for each in found]
    driver = {
        "name": "ringfence",
        "version": version,
        "rules": [_rule(code, [each for each in found if each.code == code]) for code in codes],
    }
    run = {
        "tool": {"driver": driver},
        "columnKind": "unicodeCodePoints",
        "originalUriBaseIds": {_ROOT: {"description": {"text": "where the program was started"}}},
        "results": results,
    }
    return {"$schema": _SCHEMA, "version": "2.1.0", "runs": [run]}


def _rule(code: str, findings: list[Diagnostic]) -> dict[str, Any]:
    title = CODES.get(code, code)
    rule: dict[str, Any] = {
        "id": code,
        "name": "".join(word.capitalize() for word in re.findall(r"[A-Za-z0-9]+", title)),
        "shortDescription": {"text": title},
        "defaultConfiguration": {"level": _level(findings[0])},
    }
    # Reasons and fixes may name what they found; only one that all findings share is the rule's own.
    whys, fixes = {each.why for each in findings}, {each.fix for each in findings}
    rule["fullDescription"] = {"text": _clean(_only(whys) or title)}
    rule["help"] = {"text": _clean(_only(fixes) or "each finding says how to mend it")}
    return rule


def _only(texts: set[str]) -> str:
    return next(iter(texts)) if len(texts) == 1 else ""


def _result(
    found: Diagnostic, index: int, read_line: ReadLine, root: Path, seen: Counter[str]
) -> dict[str, Any]:
    parts = [found.message]
    parts += [f"why: {found.why}"] if found.why else []
    parts += [f"fix: {found.fix}"] if found.fix else []
    result: dict[str, Any] = {
        "ruleId": found.code,
        "ruleIndex": index,
        "level": _level(found),
        "message": {"text": _clean("\n".join(parts))},
    }
    uri, line = "", ""
    if (span := found.span) is not None:
        location = _location(span, root)
        uri = location["physicalLocation"]["artifactLocation"]["uri"]
        line = read_line(span.path, span.line).strip()
        result["locations"] = [location]
    if found.related:
        result["relatedLocations"] = [
            {"id": number, **_location(each, root)} for number, each in enumerate(found.related, 1)
        ]
    told = _PLACES.sub("", found.message)
    digest = hashlib.sha256("\0".join((found.code, uri, line, told)).encode("utf-8", "replace"))
    mark = digest.hexdigest()[:16]
    seen[mark] += 1
    # The one name that GitHub looks for; the number tells equal lines of one file apart.
    result["partialFingerprints"] = {"primaryLocationLineHash": f"{mark}:{seen[mark]}"}
    return result


def _level(found: Diagnostic) -> str:
    return _LEVELS.get(found.severity, "note")


def _location(span: Span, root: Path) -> dict[str, Any]:
    region = {
        "startLine": span.line,
        "startColumn": span.column,
        "endLine": span.end_line,
        "endColumn": span.end_column,
    }
    return {"physicalLocation": {"artifactLocation": _artifact(span.path, root), "region": region}}


def _artifact(path: str, root: Path) -> dict[str, str]:
    place = PurePath(path)
    if place.is_absolute():
        if not place.is_relative_to(root):
            return {"uri": "file://" + quote(place.as_posix(), errors="replace")}
        place = place.relative_to(root)
    return {"uri": quote(place.as_posix(), errors="replace"), "uriBaseId": _ROOT}


def _clean(text: str) -> str:
    return NOT_PRINTABLE.sub("\ufffd", text)
