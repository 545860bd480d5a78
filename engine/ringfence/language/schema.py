"""Does a document have the shape of its kind? JSON Schema (2020-12), with messages made for people."""

import json
import math
from collections.abc import Iterator
from functools import cache
from itertools import islice
from typing import Any

from ringfence import _resources
from ringfence.errors import Diagnostic
from ringfence.language.codes import MAX_FINDINGS
from ringfence.language.schema_fast import Accepts, acceptor, compile_pattern
from ringfence.language.source import Document, Key
from ringfence.language.suggest import closest, one_of

__all__ = ["API_VERSION", "KINDS", "accepted", "check", "kind_of", "schema_of"]

API_VERSION = "ringfence/v1"

KINDS = {
    "Rule": "rule.v1.schema.json",
    "Policy": "policy.v1.schema.json",
    "PolicyTest": "policy-test.v1.schema.json",
    "Instruments": "instruments.v1.schema.json",
    "Invariant": "invariant.v1.schema.json",
    "Approvals": "approvals.v1.schema.json",
}

# Where NaN and infinity may stand: only a test case asks what happens when data is not there.
_CASES: dict[str, tuple[tuple[str, ...], ...]] = {
    "PolicyTest": (("defaults",), ("cases",)),
    "Rule": (("spec", "cases"), ("spec", "case_defaults")),
}


def kind_of(document: Document) -> tuple[str | None, list[Diagnostic]]:
    """Return the kind that a document says it is, or None with the finding that explains why."""
    data = document.data
    if not isinstance(data, dict):
        return None, [_no_mapping(document)]
    kind = data.get("kind")
    if isinstance(kind, str) and kind in KINDS:
        return kind, []
    if kind is None:
        return None, [
            Diagnostic(
                "E150",
                "the document does not say what kind it is",
                document.key_span(),
                why=f"the kinds are {one_of(KINDS)}",
                fix="add for example `kind: Policy`",
            )
        ]
    shown = document.text_of("kind") if not isinstance(kind, dict | list) else "a list or mapping"
    near = closest(shown, KINDS)
    return None, [
        Diagnostic(
            "E150",
            f"unknown kind `{shown[:60]}`" + (f", did you mean `{near}`?" if near else ""),
            document.span("kind"),
            why=f"the kinds are {one_of(KINDS)}",
            fix=f"write `kind: {near or 'Policy'}`",
        )
    ]


def check(document: Document, kind: str) -> list[Diagnostic]:
    """Return everything in which a document differs from the shape of its kind, in order of place.

    Args:
        document: As loaded.
        kind: One of `KINDS`; a document of another kind gets one finding that says so.

    Returns:
        Findings with codes E150 to E159 (and E117 where there are too many); empty when it fits.
    """
    if wrong := _wrong_header(document, kind):
        return [wrong]
    accepts = _acceptor(kind)
    findings: list[Diagnostic] = []
    if accepts is None or not accepts(document.data):
        # Imported here: it is needed for findings alone.
        from ringfence.language.schema_findings import ErrorReader

        reader = ErrorReader(document, schema_of(kind))
        errors = _validator(kind).iter_errors(document.data)
        found = (each for error in errors for each in reader.read(error))
        findings.extend(islice(found, MAX_FINDINGS + 1))
    if document.has_nonfinite:
        findings.extend(islice(_not_finite(document, kind), MAX_FINDINGS + 1))
    findings.sort(key=lambda each: (each.span is None, each.span, each.code))
    return _bounded(findings)


def accepted(data: Any, kind: str) -> bool:
    """Whether plain data fits the schema of a kind, found out quickly; it may only err towards no."""
    accepts = _acceptor(kind)
    return accepts is not None and accepts(data)


def schema_of(kind: str) -> dict[str, Any]:
    """Return the published JSON Schema of a kind; it is shared and must not be changed."""
    return _schema(kind)


@cache
def _schema(kind: str) -> dict[str, Any]:
    text = (_resources.bundled("schemas") / KINDS[kind]).read_text(encoding="utf-8")
    loaded: dict[str, Any] = json.loads(text)
    return loaded


@cache
def _acceptor(kind: str) -> Accepts | None:
    return acceptor(schema_of(kind))


@cache
def _validator(kind: str) -> Any:
    # Imported here: nearly every document is fine, and then jsonschema is not needed.
    from jsonschema import Draft202012Validator
    from jsonschema.exceptions import ValidationError
    from jsonschema.validators import extend

    def pattern(_: Any, value: str, instance: Any, __: Any) -> Iterator[ValidationError]:
        if isinstance(instance, str) and not compile_pattern(value).search(instance):
            yield ValidationError("pattern")

    strict: Any = extend(Draft202012Validator, {"pattern": pattern})  # type: ignore[no-untyped-call]
    return strict(schema_of(kind))


def _wrong_header(document: Document, kind: str) -> Diagnostic | None:
    data = document.data
    if not isinstance(data, dict):
        return _no_mapping(document)
    found, findings = kind_of(document)
    if findings:
        return findings[0]
    if found != kind:
        return Diagnostic(
            "E150",
            f"the document is a {found}, a {kind} is expected here",
            document.span("kind"),
            why="each kind has its own place: rules, policies, tests, instruments and invariants",
            fix=f"move the file, or write `kind: {kind}` if that is what it is",
        )
    version = data.get("apiVersion", API_VERSION)
    if version == API_VERSION or isinstance(version, dict | list):
        return None
    return Diagnostic(
        "E158",
        f"this version of ringfence does not read `{document.text_of('apiVersion')[:60]}`",
        document.span("apiVersion"),
        why=f"it reads {API_VERSION}; another version may give the same keys another meaning",
        fix=f"write `apiVersion: {API_VERSION}`, or install the ringfence that reads it",
    )


def _no_mapping(document: Document) -> Diagnostic:
    return Diagnostic(
        "E150",
        "the document is not a mapping",
        document.key_span(),
        why="every document starts with `apiVersion`, `kind` and `metadata`",
        fix=f"start with `apiVersion: {API_VERSION}`",
    )


def _not_finite(document: Document, kind: str) -> Iterator[Diagnostic]:
    allowed = _CASES.get(kind, ())
    pending: list[tuple[tuple[Key, ...], Any]] = [((), document.data)]
    while pending:
        path, value = pending.pop()
        if path in allowed:
            continue
        if isinstance(value, dict):
            pending.extend(((*path, key), each) for key, each in value.items())
        elif isinstance(value, list):
            pending.extend(((*path, index), each) for index, each in enumerate(value))
        elif isinstance(value, float) and not math.isfinite(value):
            yield Diagnostic(
                "E159",
                f"`{document.text_of(*path)}` is not a number that anything can be held against",
                document.span(*path),
                why="NaN compares with nothing and infinity limits nothing; only test cases use them",
                fix="write a finite number",
            )


def _bounded(findings: list[Diagnostic]) -> list[Diagnostic]:
    if len(findings) <= MAX_FINDINGS:
        return findings
    return [
        *findings[:MAX_FINDINGS],
        Diagnostic(
            "E117",
            f"more than {MAX_FINDINGS} problems in one file",
            findings[MAX_FINDINGS].span,
            why="the rest is not shown",
            fix="mend those above and run again",
        ),
    ]
