"""What there is to run below some paths: policy tests, and rules with cases of their own."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ringfence.errors import InputError, PolicyError
from ringfence.language import schema
from ringfence.language.linking import LinkedSet, link_path
from ringfence.language.rules import Rule, read_rule
from ringfence.language.source import Document, load_file
from ringfence.language.yaml_files import yaml_files
from ringfence.review.testing.cases import TestCase, cases_of_file, cases_of_rule

__all__ = ["Suite", "read_suite"]


@dataclass(frozen=True, slots=True)
class Suite:
    """The cases below some paths, and what they test.

    Attributes:
        linked: The policy set under test; None where every test brings its policy.
        place: Where that set was read from.
        rules: The rules found below the paths.
        cases: In the order of the files.
        documents: The test files, by path.
    """

    linked: LinkedSet | None
    place: Path | None
    rules: tuple[Rule, ...]
    cases: tuple[TestCase, ...]
    documents: dict[str, Document]


def read_suite(paths: Sequence[Path], policies: Path | None = None) -> Suite:
    """Read every test and rule below the paths.

    Args:
        paths: Files and directories.
        policies: The policy set under test; by default the first directory among the paths with policies.

    Raises:
        InputError: a path does not exist, or no case is there.
        PolicyError: with every finding of a file that cannot be used.
    """
    linked, place = (link_path(policies), policies) if policies else _policies_in(paths)
    rules: list[Rule] = []
    cases: list[TestCase] = []
    documents: dict[str, Document] = {}
    for file in _files(paths):
        document = _loaded(file, linked)
        kind, findings = schema.kind_of(document)
        if kind is not None:
            findings = schema.check(document, kind)
        if findings:
            raise PolicyError(findings)
        if kind == "PolicyTest":
            documents[document.path] = document
            cases += cases_of_file(document, linked)
        elif kind == "Rule":
            rule, found = read_rule(document)
            if rule is None:
                raise PolicyError(found)
            rules.append(rule)
            cases += cases_of_rule(rule)
    if not cases:
        raise InputError("no test cases found", fix="name a PolicyTest file or a rule with cases")
    return Suite(linked, place, tuple(rules), tuple(cases), documents)


def _policies_in(paths: Sequence[Path]) -> tuple[LinkedSet | None, Path | None]:
    """The policy set of the first directory that holds policies beside its tests."""
    for path in paths:
        if path.is_dir():
            linked = link_path(path)
            if linked.policies:
                return linked, path
    return None, None


def _files(paths: Sequence[Path]) -> list[Path]:
    files: list[Path] = []
    for path in paths:
        if not path.exists():
            raise InputError(f"`{path}` does not exist", fix="name a file or a directory")
        files.extend(yaml_files(path) if path.is_dir() else [path])
    return list(dict.fromkeys(files))


def _loaded(file: Path, linked: LinkedSet | None) -> Document:
    """The document as the policy set has it, where it is one of its files."""
    known = linked.documents.get(str(file)) if linked is not None else None
    return known if known is not None else load_file(file)
