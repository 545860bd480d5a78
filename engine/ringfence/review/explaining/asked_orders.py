"""The order to explain: from a file with `given` and `when`, or from a case of a policy test."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ringfence.errors import InputError, PolicyError, Span
from ringfence.language import schema
from ringfence.language.linking import LinkedSet
from ringfence.language.orders import Case
from ringfence.language.policy_tests import merge, read_case
from ringfence.language.source import Document, Key, load_file
from ringfence.language.suggest import suggestion
from ringfence.review.testing.cases import set_of_case

__all__ = ["Asked", "asked_case", "read_asked"]

_PARTS = ("given", "when")
_MOST_NAMED = 8


@dataclass(frozen=True, slots=True)
class Asked:
    """What a file says of an order and the world around it.

    Attributes:
        given, when: As in a policy test.
        kind: `file` or `test`.
        told: Where it comes from, in words.
        span: Where it stands; None for nothing that stands anywhere.
        own: The policy set that the test file brings; None where it brings none.
    """

    given: Mapping[str, Any] = field(default_factory=dict)
    when: Mapping[str, Any] = field(default_factory=dict)
    kind: str = "flags"
    told: str = ""
    span: Span | None = None
    own: LinkedSet | None = None


def asked_case(
    asked: Asked, linked: LinkedSet, when: Mapping[str, Any], clock: str | int | None
) -> Case:
    """The case, with the values of `when` over those of the file.

    Args:
        asked: What the file says.
        linked: The policy set that will be asked.
        when: Values of the order that win over the file's.
        clock: The order's time where the file gives none.

    Raises:
        InputError: the order lacks its account, symbol, side or size.
        PolicyError: a value cannot be read.
    """
    whole = {**asked.when, **when}
    lacking = [name for name in ("account", "symbol", "side", "size") if whole.get(name) is None]
    if lacking:
        raise InputError(
            f"the order has no {', no '.join(lacking)}",
            " ".join(f"--{name} ..." for name in lacking)
            + ", or a file with `given` and `when`, a case of a test, --dry-run or --audit",
        )
    given = dict(asked.given)
    if clock is not None:
        given.setdefault("clock", clock)
    return read_case(given, whole, linked, asked.span)


def read_asked(spec: str) -> Asked:
    """Read FILE, or FILE:NAME or FILE:LINE of a policy test.

    A file is YAML or JSON: a mapping with `given`, `when` or both as in a policy test, or a policy test.

    Raises:
        InputError: there is no such file or case.
        PolicyError: the file has faults.
    """
    path, which = _split(spec)
    document = load_file(path)
    data = document.data
    if isinstance(data, dict) and data.get("kind") == "PolicyTest":
        return _of_test(document, which)
    if which:
        raise InputError(
            f"`{path}` is no policy test, so it has no case `{which}`",
            f"name the file alone: {path}",
        )
    if not isinstance(data, dict) or not data or not set(data) <= set(_PARTS):
        other = [key for key in data if key not in _PARTS] if isinstance(data, dict) else []
        raise InputError(
            f"`{path}` is no order: "
            + (f"it holds `{other[0]}`" if other else "it is no mapping with `given` or `when`"),
            "write `given:` and `when:` as a case of a policy test has them",
        )
    _check(_Order(document))
    return Asked(
        data.get("given") or {}, data.get("when") or {}, "file", str(path), document.span()
    )


def _split(spec: str) -> tuple[Path, str]:
    """The file, and what stands behind it after a colon."""
    whole = Path(spec)
    if whole.is_file():
        return whole, ""
    at = spec.find(":")
    while at > 0:
        path = Path(spec[:at])
        if path.is_file():
            return path, spec[at + 1 :].strip()
        at = spec.find(":", at + 1)
    raise InputError(
        f"`{spec}` is not a file", "name FILE, or FILE:NAME or FILE:LINE of a policy test"
    )


def _of_test(document: Document, which: str) -> Asked:
    _check(document)
    cases = document.data["cases"]
    index = _index(document, [str(case["name"]) for case in cases], which)
    defaults, case = document.data.get("defaults") or {}, cases[index]
    return Asked(
        given=merge(defaults.get("given") or {}, case.get("given") or {}),
        when=merge(defaults.get("when") or {}, case.get("when") or {}),
        kind="test",
        told=f"{document.path}: {case['name']}",
        span=document.span("cases", index),
        own=set_of_case(document, index),
    )


def _index(document: Document, names: list[str], which: str) -> int:
    if not which and len(names) == 1:
        return 0
    if which in names:
        return names.index(which)
    if which.isascii() and which.isdigit():
        line = int(which)
        for index in range(len(names)):
            span = document.span("cases", index)
            if span.line <= line <= span.end_line:
                return index
    listed = ", ".join(f"`{name}`" for name in names[:_MOST_NAMED])
    more = f" and {len(names) - _MOST_NAMED} more" if len(names) > _MOST_NAMED else ""
    near = suggestion(which, names)
    raise InputError(
        (
            f"`{document.path}` has no case `{which}`"
            if which
            else f"`{document.path}` has {len(names)} cases, and none is named"
        ),
        f"{near + '; ' if near else ''}write {document.path}:NAME or :LINE, of {listed}{more}",
    )


def _check(document: Document) -> None:
    findings = schema.check(document, "PolicyTest")
    if findings:
        raise PolicyError(findings)


class _Order(Document):
    """An order file as the one case of a test, for the schema; findings point at where it stands."""

    __slots__ = ()

    def __init__(self, whole: Document) -> None:
        case = {"name": "order", "then": {"decision": "APPROVE"}, **whole.data}
        data = {
            "apiVersion": schema.API_VERSION,
            "kind": "PolicyTest",
            "metadata": {"name": "order", "version": "1.0.0"},
            "cases": [case],
        }
        super().__init__(whole.source, data, whole._root, whole.has_nonfinite)

    def span(self, *keys: Key) -> Span:
        return super().span(*keys[2:])

    def key_span(self, *keys: Key) -> Span:
        return super().key_span(*keys[2:])
