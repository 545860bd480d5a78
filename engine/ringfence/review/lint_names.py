"""Names, descriptions and reasons: what a person needs to find a document and to know what it is for."""

import re
from collections.abc import Iterator
from pathlib import Path

from ringfence.errors import Diagnostic, Span
from ringfence.language.source import Document, Key
from ringfence.language.suggest import did_you_mean
from ringfence.review.lint_owners import Owners

__all__ = ["name_findings"]

# Kinds of which there are many, each in a file of its own.
_NAMED = ("Policy", "PolicyTest", "Rule", "Invariant")
_KEBAB = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")
_SCHEMA_LINE = re.compile(r"#\s*yaml-language-server:\s*\$schema=(\S+)")


def name_findings(document: Document, owners: Owners) -> Iterator[Diagnostic]:
    """Give what there is to say of a document's name, owner, description, schema line, scopes and reasons.

    Args:
        document: One that has the shape of its kind.
        owners: Whom the repository knows.
    """
    yield from _file_name(document)
    yield from _owner(document, owners)
    yield from _description(document)
    yield from _schema_line(document)
    yield from _scopes(document)
    yield from _overrides(document)


def warning(
    document: Document, code: str, message: str, at: tuple[Key, ...], why: str, fix: str
) -> Diagnostic:
    """Return a finding of taste at a key path."""
    return Diagnostic(code, message, document.span(*at), why=why, fix=fix, severity="warning")


def _file_name(document: Document) -> Iterator[Diagnostic]:
    if document.data["kind"] not in _NAMED:
        return
    name = document.data["metadata"]["name"]
    path = Path(document.path)
    if path.stem.partition("@")[0] != name:
        yield warning(
            document,
            "E452",
            f"the file is called `{path.name}`, and what is in it `{name}`",
            ("metadata", "name"),
            "decisions and findings give the name, and one looks for the file of that name",
            f"call the file `{name}{path.suffix}`"
            + (f", or the document `{path.stem}`" if _KEBAB.fullmatch(path.stem) else ""),
        )


def _owner(document: Document, owners: Owners) -> Iterator[Diagnostic]:
    owner = document.data["metadata"].get("owner")
    if owner is None or owners.know(owner):
        return
    if not owners.files:
        message, fix = (
            f"the owner `{owner}` is neither an address nor a team",
            "write `risk@example.com`, or `@example/risk`",
        )
    else:
        named = " and ".join(owners.files)
        message = f"nobody knows the owner `{owner}`{did_you_mean(owner, owners.names)}"
        fix = f"name one who stands in {named}, or add this one there"
    why = "whoever has a question about a limit, at night too, starts with its owner"
    yield warning(document, "E454", message, ("metadata", "owner"), why, fix)


def _description(document: Document) -> Iterator[Diagnostic]:
    text = document.data["metadata"].get("description")
    if text is None:
        return
    words = " ".join(str(text).split())
    name = str(document.data["metadata"]["name"])
    if not words:
        problem = "the description says nothing"
    elif _letters(words) == _letters(name):
        problem = "the description is the name again"
    elif not (words[0].isupper() or not words[0].isalpha()) or words[-1] not in ".!?":
        problem = "the description is not a sentence"
    else:
        return
    yield warning(
        document,
        "E455",
        problem,
        ("metadata", "description"),
        "it stands in reports beside the limits, for people who did not write them",
        "say in a sentence what it is for: a capital first, a full stop at the end",
    )


def _letters(text: str) -> str:
    return re.sub(r"[^a-z0-9]", "", text.lower())


def _schema_line(document: Document) -> Iterator[Diagnostic]:
    fix = (
        f"`ringfence schema --kind {document.data['kind']} --out FILE`, and begin this file with "
        "`# yaml-language-server: $schema=FILE`"
    )
    named = _schema_named(document)
    if named is None:
        message, span = "no line at the top tells editors the schema", document.key_span()
    elif "://" not in named[0] and not (Path(document.path).parent / named[0]).is_file():
        message = f"the schema `{named[0]}` that the top of the file names is not there"
        span = named[1]
    else:
        return
    yield Diagnostic(
        "E462",
        message,
        span,
        why="with it an editor completes rules and limits, and marks a slip while it is typed",
        fix=fix,
        severity="warning",
    )


def _schema_named(document: Document) -> tuple[str, Span] | None:
    """The schema that a comment above the document names for editors, and where it names it."""
    for number, line in enumerate(document.source.text.splitlines(), 1):
        if found := _SCHEMA_LINE.match(line):
            return found[1], Span(
                document.path, number, found.start(1) + 1, number, found.end(1) + 1
            )
        if line.strip() and not line.startswith("#"):
            break
    return None


def _policy_at(document: Document) -> tuple[str, dict]:  # type: ignore[type-arg]  # plain data
    top = "policy" if document.data["kind"] == "PolicyTest" else "spec"
    policy = document.data.get(top) if document.data["kind"] in ("Policy", "PolicyTest") else None
    return top, policy or {}


def _scopes(document: Document) -> Iterator[Diagnostic]:
    top, policy = _policy_at(document)
    scopes: list[tuple[tuple[Key, ...], object]] = [((top, "scope"), policy.get("scope"))]
    for index, gate in enumerate(policy.get("gates") or ()):
        for number, override in enumerate(gate.get("overrides") or ()):
            place = (top, "gates", index, "overrides", number, "scope")
            scopes.append((place, override.get("scope")))
    for at, scope in scopes:
        for key, names in (scope or {}).items() if isinstance(scope, dict) else ():
            if isinstance(names, list) and "*" in names:
                yield warning(
                    document,
                    "E463",
                    f"`{key}` holds `*`, which is all of them",
                    (*at, key),
                    "what a scope does not mention is not narrowed",
                    f"leave `{key}` out",
                )


def _overrides(document: Document) -> Iterator[Diagnostic]:
    top, policy = _policy_at(document)
    for index, gate in enumerate(policy.get("gates") or ()):
        for number, override in enumerate(gate.get("overrides") or ()):
            if override.get("reason") is None:
                yield warning(
                    document,
                    "E459",
                    "the override gives no reason",
                    (top, "gates", index, "overrides", number),
                    "in a year nobody remembers why this limit was another one for a while",
                    "add `reason:` with a sentence",
                )
