"""Tests: is there one for each policy and gate, and can its cases be told apart?"""

from collections.abc import Iterator, Sequence

from ringfence.errors import Diagnostic
from ringfence.language.rule_library import RuleLibrary
from ringfence.language.source import Document
from ringfence.review.lint_names import warning

__all__ = ["case_findings"]

_WHY = "a limit that no case names can change its meaning unseen"


def case_findings(documents: Sequence[Document], library: RuleLibrary) -> Iterator[Diagnostic]:
    """Give the policies, gates and rules without cases, and the cases of one file that share a name.

    Args:
        documents: All that are looked at together, each with the shape of its kind.
        library: Knows the code of each rule: a case that expects a gate's code names the gate.
    """
    named: set[str] = set()
    for document in documents:
        if document.data["kind"] == "PolicyTest" and document.data.get("policy") is None:
            for case in document.data["cases"]:
                named.update(case["then"].get("gates") or ())
                named.add(case["then"].get("code", ""))
    for document in documents:
        kind = document.data["kind"]
        if kind == "Policy":
            yield from _policy(document, named, library)
        elif kind == "Rule" and not document.data["spec"].get("cases"):
            yield warning(
                document,
                "E460",
                f"the rule `{document.data['metadata']['name']}` has no cases",
                ("metadata", "name"),
                "a rule's cases say what it means, and are run with every change of it",
                "add `cases:`, one that passes, one that breaches, and one at the limit itself",
            )
        if kind in ("Rule", "PolicyTest"):
            yield from _twins(document)


def _policy(document: Document, named: set[str], library: RuleLibrary) -> Iterator[Diagnostic]:
    name = document.data["metadata"]["name"]
    gates = []
    for gate in document.data["spec"]["gates"]:
        rule_name, _, version = str(gate["rule"]).partition("@")
        rule, _ = library.find(rule_name, version)
        own = gate.get("name") or rule_name
        gates.append((own, {own, f"{name}/{own}", rule.code if rule else own}))
    if all(named.isdisjoint(words) for _, words in gates):
        yield warning(
            document,
            "E460",
            f"no test names a gate of the policy `{name}`",
            ("metadata", "name"),
            _WHY,
            f"`ringfence new test {name}` begins one; lint the tests together with the policies",
        )
        return
    for index, (gate, words) in enumerate(gates):
        if named.isdisjoint(words):
            yield warning(
                document,
                "E461",
                f"no test names the gate `{gate}`",
                ("spec", "gates", index, "rule"),
                _WHY,
                f"add a case with `then: {{gates: {{{gate}: breach}}}}`",
            )


def _twins(document: Document) -> Iterator[Diagnostic]:
    in_rule = document.data["kind"] == "Rule"
    cases = (document.data["spec"] if in_rule else document.data).get("cases") or ()
    at = ("spec", "cases") if in_rule else ("cases",)
    seen: set[str] = set()
    for index, case in enumerate(cases):
        if (name := str(case["name"])) in seen:
            yield warning(
                document,
                "E453",
                f"two cases are called `{name}`",
                (*at, index, "name"),
                "when one fails, its name is what tells which",
                "say in the name what is special about each",
            )
        seen.add(name)
