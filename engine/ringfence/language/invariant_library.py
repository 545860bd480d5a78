"""The invariants of a policy set: its own, and those that ship with this version and hold of any set."""

from collections.abc import Sequence
from functools import cache
from pathlib import Path

from ringfence.errors import Diagnostic, PolicyError
from ringfence.language import schema
from ringfence.language.instruments import convert
from ringfence.language.invariants import Invariant, read_invariants
from ringfence.language.linking import LinkedSet
from ringfence.language.parameters import Money
from ringfence.language.source import Document, load_file

__all__ = ["STRICTNESS", "invariants_for", "shipped_invariants"]

STRICTNESS = "as-strict-as-base"
"""The shipped invariant that only holds of a change, and is therefore asked for."""

_FOLDER = Path(__file__).parent / "shipped_invariants"


@cache
def shipped_invariants() -> tuple[Invariant, ...]:
    """The invariants that ship with this version, by name; raises `PolicyError` on a bad one."""
    documents = [load_file(path, path.name) for path in sorted(_FOLDER.glob("*.yaml"))]
    findings = [each for document in documents for each in schema.check(document, "Invariant")]
    if findings:
        raise PolicyError(findings)
    invariants, findings = read_invariants(documents, shipped=True)
    if findings:
        raise PolicyError(findings)
    return tuple(invariants)


def invariants_for(
    linked: LinkedSet, documents: Sequence[Document] = (), *, strict: bool = False
) -> tuple[list[Invariant], list[Diagnostic]]:
    """A set's own invariants, and the shipped ones that none of them replaces by its name.

    Args:
        linked: The policy set; the invariants among its files are its own.
        documents: More of them, which fit their schema.
        strict: Whether the change claims to be at least as strict as what was before.

    Returns:
        The shipped ones first, and the findings about those that cannot be used.
    """
    more = {each.path: each for each in documents}
    own, findings = read_invariants({**linked.documents, **more}.values())
    for each in own:
        findings.extend(_without_rate(each, linked))
    named = {each.name for each in own}
    shipped = [
        each
        for each in shipped_invariants()
        if each.name not in named and (strict or each.name != STRICTNESS)
    ]
    return [*shipped, *own], findings


def _without_rate(invariant: Invariant, linked: LinkedSet) -> list[Diagnostic]:
    currency = linked.currency
    return [
        Diagnostic(
            "E213",
            f"`{value.currency}` and `{currency}` do not add up",
            invariant.document.span("spec", "parameters", name),
            why=f"no FX rate between {value.currency} and {currency} is declared",
            fix=f"give the amount in {currency}, or declare `fx: {{{value.currency}/{currency}: ...}}` "
            "in the instruments file",
        )
        for name, value in invariant.values.items()
        if isinstance(value, Money) and convert(linked.desk.fx, value.currency, currency) is None
    ]
