"""`ringfence lint`: taste. Nothing that it finds changes what a policy set means."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ringfence.errors import Diagnostic, PolicyError
from ringfence.language import schema
from ringfence.language.rule_library import RuleLibrary
from ringfence.language.rules import Rule, read_rule
from ringfence.language.source import Document, load, load_file
from ringfence.language.yaml_files import named_files
from ringfence.review.lint_cases import case_findings
from ringfence.review.lint_names import name_findings
from ringfence.review.lint_owners import known_owners
from ringfence.review.lint_spelling import Respelled, respelled
from ringfence.review.mistakes.settings import SETTINGS, load_settings

__all__ = ["Linted", "lint", "mended", "switched_off"]


@dataclass(slots=True)
class Linted:
    """What was looked at, and what was found.

    Attributes:
        documents: Those that could be looked at.
        findings: In order of place; those of documents that are not valid are errors, taste is a warning.
        spelled: The limits that can be spelled anew, by the document's path.
    """

    documents: list[Document] = field(default_factory=list)
    findings: list[Diagnostic] = field(default_factory=list)
    spelled: dict[str, list[Respelled]] = field(default_factory=dict)


def lint(paths: Sequence[Path], root: Path, off: Collection[str] = ()) -> Linted:
    """Look at every document of Ringfence below the paths, all together.

    Args:
        paths: Files and directories.
        root: The top of the repository, where CODEOWNERS and `.ringfence` are.
        off: Codes that are not looked for.

    Raises:
        InputError: a path does not exist or cannot be read, or is a directory without YAML files.
    """
    found = Linted()
    for file in _files(paths):
        _read(file, found)
    owners = known_owners(root)
    library = RuleLibrary(_own_rules(found.documents))
    taste: list[Diagnostic] = []
    for document in found.documents:
        taste += name_findings(document, owners)
        if document.data["kind"] in ("Policy", "PolicyTest"):
            spelled = [each for each in respelled(document, library) if each.code not in off]
            found.spelled[document.path] = spelled
            taste += [each.finding() for each in spelled]
    taste += case_findings(found.documents, library)
    found.findings += [each for each in taste if each.code not in off]
    # The exception puts findings in the order in which they are shown.
    found.findings = list(PolicyError(found.findings).diagnostics)
    return found


def switched_off(root: Path) -> dict[str, str]:
    """Return the codes that a repository's settings switch off, each with its reason.

    Args:
        root: The top of the repository.

    Raises:
        PolicyError: the settings are not valid, with every finding.
    """
    path = root / SETTINGS
    return load_settings(path).lint_off if path.is_file() else {}


def mended(document: Document, spelled: Sequence[Respelled]) -> str:
    """Return a document's text with its limits spelled as they should be.

    Args:
        document: As it is.
        spelled: What of it to spell anew.
    """
    lines = document.source.text.splitlines(keepends=True)
    for each in sorted(spelled, key=lambda one: one.span, reverse=True):
        span = each.span
        if span.end_line != span.line:
            continue
        line = lines[span.line - 1]
        lines[span.line - 1] = line[: span.column - 1] + each.wanted + line[span.end_column - 1 :]
    text = "".join(lines)
    # A value has kept its place, or this raises and nothing is written.
    load(text, document.path)
    return text


def _files(paths: Sequence[Path]) -> list[Path]:
    files: dict[Path, None] = {}
    for path in paths:
        files |= dict.fromkeys(named_files(path))
    return list(files)


def _read(file: Path, found: Linted) -> None:
    try:
        document = load_file(file)
    except PolicyError as error:
        found.findings += error.diagnostics
        return
    kind, _ = schema.kind_of(document)
    if kind is None:
        return
    if faults := schema.check(document, kind):
        found.findings += faults
        return
    found.documents.append(document)


def _own_rules(documents: Sequence[Document]) -> list[Rule]:
    rules = []
    for document in documents:
        if document.data["kind"] == "Rule" and (rule := read_rule(document)[0]) is not None:
            rules.append(rule)
    return rules
