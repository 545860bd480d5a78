"""Cases of policy tests as YAML: ready to paste, or added to a file, which keeps every line it had."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from ringfence.errors import InputError, PolicyError, reason_of
from ringfence.language import schema
from ringfence.language.source import Document, load, load_file
from ringfence.runtime.ports import SYSTEM_FILES, Files

__all__ = ["TestCase", "add_cases", "case_yaml"]

# Beyond this float64 no longer holds every whole number.
_WHOLE = 2**53


@dataclass(frozen=True, slots=True)
class TestCase:
    """A case of a policy test: its name, the state, the order, what should be decided, and a comment."""

    __test__ = False  # pytest would take the name for its own

    name: str
    given: Mapping[str, Any]
    when: Mapping[str, Any]
    then: Mapping[str, Any]
    comment: str = ""


def case_yaml(case: TestCase, indent: int = 0) -> str:
    """Return the case as an item of a list, its lines indented by so many blanks."""
    return "".join(f"{' ' * indent}{line}\n" for line in _lines(case))


def add_cases(
    path: Path, cases: Sequence[TestCase], *, name: str, files: Files = SYSTEM_FILES
) -> list[str]:
    """Add cases to a `kind: PolicyTest` file, or write a new one; names that it has stay as they are.

    Args:
        path: The file.
        cases: In the order in which they are to stand.
        name: What a new document is called.
        files: Where it is read and written.

    Returns:
        The names of the cases that were added.

    Raises:
        InputError: the file is of another kind, has a policy of its own, or cannot be written.
        PolicyError: the file cannot be read.
    """
    if not path.exists():
        text = _new_document(name) + "".join(case_yaml(each, 2) for each in cases)
        added = list(cases)
    else:
        document = _test_file(path)
        there = {str(each["name"]) for each in document.data["cases"]}
        added = [each for each in cases if each.name not in there]
        text = _with(document, added)
    if added:
        _check(text, path, added)
        try:
            files.write_atomic(path, text.encode("utf-8"))
        except OSError as error:
            raise InputError(
                f"`{path}` cannot be written: {reason_of(error)}",
                fix="name a file in a directory that exists",
            ) from None
    return [each.name for each in added]


def _lines(case: TestCase) -> Iterator[str]:
    yield f"- name: {_flow(case.name)}"
    for line in case.comment.splitlines():
        yield f"  # {line}"
    if case.given:
        yield "  given:"
        for key, value in case.given.items():
            yield from _entry(str(key), value)
    yield f"  when: {_flow(case.when)}"
    yield f"  then: {_flow(case.then)}"


def _entry(key: str, value: Any) -> Iterator[str]:
    # One line for each symbol and each book: what belongs together is read together.
    if key == "clock":
        yield f"    clock: {value}"
    elif key in ("market", "books", "instruments") and value:
        yield f"    {key}:"
        for name, each in value.items():
            yield f"      {_flow(name)}: {_flow(each)}"
    else:
        yield f"    {key}: {_flow(value)}"


def _flow(value: Any) -> str:
    text = yaml.safe_dump(
        _plain(value), default_flow_style=True, sort_keys=False, width=1_000_000, allow_unicode=True
    )
    return text.removesuffix("\n").removesuffix("\n...")


def _plain(value: Any) -> Any:
    """Whole numbers without a point, as people write them."""
    if isinstance(value, Mapping):
        return {str(key): _plain(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(each) for each in value]
    whole = isinstance(value, float) and value.is_integer() and abs(value) < _WHOLE
    return int(value) if whole else value


def _new_document(name: str) -> str:
    return (
        "apiVersion: ringfence/v1\n"
        "kind: PolicyTest\n"
        "metadata:\n"
        f"  name: {name}\n"
        "  version: 1.0.0\n"
        "cases:\n"
    )


def _test_file(path: Path) -> Document:
    document = load_file(path)
    if findings := schema.check(document, "PolicyTest"):
        raise PolicyError(findings)
    if document.data.get("policy") is not None:
        raise InputError(
            f"`{path}` tests a policy of its own", fix="name a file without `policy:`, or a new one"
        )
    if document.data.get("defaults"):
        raise InputError(
            f"`{path}` has defaults, which would be mixed into what the case gives",
            fix="name a file without `defaults:`, or a new one",
        )
    return document


def _with(document: Document, cases: Sequence[TestCase]) -> str:
    """The file's text with more cases behind those that it has."""
    lines = document.content.decode("utf-8").splitlines(keepends=True)
    last = document.span("cases", len(document.data["cases"]) - 1)
    before = lines[last.line - 1][: last.column - 1]
    dash = before.rfind("-")
    if dash < 0 or before.strip() != "-":
        raise InputError(
            f"`{document.path}` has its cases in brackets",
            fix="write each case on lines of its own",
        )
    if not lines[last.end_line - 1].endswith("\n"):
        lines[last.end_line - 1] += "\n"
    lines.insert(last.end_line, "".join(case_yaml(each, dash) for each in cases))
    return "".join(lines)


def _check(text: str, path: Path, cases: Sequence[TestCase]) -> None:
    """What is written must be read again as it was meant."""
    document = load(text, str(path))
    if findings := schema.check(document, "PolicyTest"):
        raise PolicyError(findings)
    names = [str(each["name"]) for each in document.data["cases"]]
    missing = [each.name for each in cases if each.name not in names]
    if missing:
        raise InputError(
            f"`{path}` cannot take the case `{missing[0]}`", fix="name another file, or a new one"
        )
