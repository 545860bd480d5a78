"""Runs policy tests, and the cases inside rules, and says what differs from what was expected."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ringfence.errors import Diagnostic, PolicyError, Span
from ringfence.language.decision import Decision
from ringfence.language.linking import LinkedSet, link
from ringfence.language.orders import to_decimal
from ringfence.language.policy_tests import merge, read_case
from ringfence.language.rules import Rule
from ringfence.language.source import Document, Key

__all__ = [
    "BACKENDS",
    "CaseResult",
    "check_own_policy",
    "run_file",
    "run_rule_cases",
    "set_of_case",
]

Decide = Callable[..., Decision]


# Loaded where they are asked for: validating needs neither, and one brings the compiler with it.


def _reference() -> Decide:
    from ringfence.backends import reference

    return reference.decide


def _numba() -> Decide:
    from ringfence.backends import numba_kernel

    return numba_kernel.decide


#: What can answer a case, by name; the first one defines what the language means.
BACKENDS: Mapping[str, Callable[[], Decide]] = {
    "reference": _reference,
    "numba": _numba,
}
_ORACLE = ("reference",)
KILL_SWITCH = "kill-switch"


@dataclass(frozen=True, slots=True)
class CaseResult:
    """One case: what was asked, and each way in which an answer differs.

    `decision` is that of the first backend asked.
    """

    name: str
    span: Span
    passed: bool
    problems: list[str]
    decision: Decision | None
    given: Mapping[str, Any] = field(repr=False)
    expected: Mapping[str, Any] = field(repr=False)
    diagnostics: tuple[Diagnostic, ...] = ()


def run_file(
    document: Document, linked: LinkedSet | None, backends: Sequence[str] = _ORACLE
) -> list[CaseResult]:
    """Run a `kind: PolicyTest` document, already checked against its schema.

    Args:
        document: The test file.
        linked: The policy set under test; a file with a `policy:` of its own uses that alone.
        backends: Which of `BACKENDS` answer; with several, they must also agree with one another.

    Raises:
        PolicyError: the file's own policy does not link, or it has none and no set is given.
    """
    data = document.data
    own = data.get("policy")
    under_test = _own_set(document, own) if own is not None else linked
    if under_test is None:
        raise PolicyError(
            [
                Diagnostic(
                    "E305",
                    "the test names no policy",
                    document.key_span("cases"),
                    why="a test asks a policy set what it would decide",
                    fix="add `policy:` with gates, or run with `--policies DIR`",
                )
            ]
        )
    defaults = data.get("defaults") or {}
    with_switch = _with_kill_switch(document, own) if own is not None else under_test
    return [
        _run(
            case,
            defaults,
            with_switch if _throws_switch(case, defaults) else under_test,
            document.span("cases", index),
            own is None,
            backends,
        )
        for index, case in enumerate(data["cases"])
    ]


def _throws_switch(case: Mapping[str, Any], defaults: Mapping[str, Any]) -> bool:
    given = merge(defaults.get("given") or {}, case.get("given") or {})
    return bool((given.get("control") or {}).get("kill_switch"))


def _with_kill_switch(document: Document, policy: Mapping[str, Any]) -> LinkedSet:
    """The file's own policy for cases that throw a kill switch: no policy may be without that gate."""
    gates = list(policy["gates"])
    if not any(str(gate["rule"]).partition("@")[0] == KILL_SWITCH for gate in gates):
        # Behind the file's own gates, whose places in the file then stay right.
        gates.append({"rule": f"{KILL_SWITCH}@1"})
    return _own_set(document, {**policy, "gates": gates})


def set_of_case(document: Document, index: int) -> LinkedSet | None:
    """The set that a test file brings for one of its cases; None where it has no policy of its own.

    Raises:
        PolicyError: the file's own policy does not link.
    """
    own = document.data.get("policy")
    if own is None:
        return None
    case, defaults = document.data["cases"][index], document.data.get("defaults") or {}
    throws = _throws_switch(case, defaults)
    return _with_kill_switch(document, own) if throws else _own_set(document, own)


def check_own_policy(document: Document) -> None:
    """Link the policy inside a `kind: PolicyTest` document, where it has one.

    Raises:
        PolicyError: with every finding in it.
    """
    own = document.data.get("policy")
    if own is not None:
        _own_set(document, own)


def run_rule_cases(rule: Rule, backends: Sequence[str] = _ORACLE) -> list[CaseResult]:
    """Run the cases of a rule, each against a policy that binds this rule alone.

    Args:
        rule: The rule.
        backends: As in `run_file`.
    """
    document = rule.document
    spec = document.data["spec"]
    defaults = spec.get("case_defaults") or {}
    results = []
    for index, case in enumerate(spec.get("cases") or ()):
        limits = merge(defaults.get("limits") or {}, case.get("limits") or {})
        alone = _Part(
            document,
            {
                "gates": [
                    {"rule": f"{rule.name}@{'.'.join(map(str, rule.version))}", "limits": limits}
                ]
            },
            ("spec", "cases", index),
        )
        linked = link([document, alone], check_mandatory=False)
        span = document.span("spec", "cases", index)
        results.append(_run(case, defaults, linked, span, False, backends))
    return results


class _Part(Document):
    """A policy that stands inside another document; findings point at where it stands."""

    __slots__ = ("_at",)

    def __init__(self, whole: Document, spec: Mapping[str, Any], at: tuple[Key, ...]) -> None:
        data = {
            "apiVersion": "ringfence/v1",
            "kind": "Policy",
            "metadata": {
                "name": "test",
                "version": "0.0.0",
                "owner": "test",
                "description": "A policy inside a test.",
            },
            "spec": dict(spec),
        }
        super().__init__(whole.source, data, whole._root, whole.has_nonfinite)
        self._at = at

    def span(self, *keys: Key) -> Span:
        return super().span(*self._at, *keys[1:])

    def key_span(self, *keys: Key) -> Span:
        return super().key_span(*self._at, *keys[1:])


def _own_set(document: Document, policy: Mapping[str, Any]) -> LinkedSet:
    return link([_Part(document, policy, ("policy",))], check_mandatory=False)


def _run(
    case: Mapping[str, Any],
    defaults: Mapping[str, Any],
    linked: LinkedSet,
    span: Span,
    check_mandatory: bool,
    backends: Sequence[str],
) -> CaseResult:
    given = merge(defaults.get("given") or {}, case.get("given") or {})
    when = merge(defaults.get("when") or {}, case.get("when") or {})
    expected = case["then"]
    name = str(case["name"])
    whole = {"given": given, "when": when}
    answers: dict[str, Decision] = {}
    try:
        question = read_case(given, when, linked, span)
        for backend in backends:
            decide = BACKENDS[backend]()
            answers[backend] = decide(linked, question, check_mandatory=check_mandatory)
    except PolicyError as error:
        problems = [each.message for each in error.diagnostics]
        found = error.diagnostics
        return CaseResult(name, span, False, problems, None, whole, expected, found)
    problems = _problems(expected, answers)
    decision = answers[backends[0]]
    return CaseResult(name, span, not problems, problems, decision, whole, expected)


def _problems(expected: Mapping[str, Any], answers: Mapping[str, Decision]) -> list[str]:
    """How the answers differ from what was expected, and from one another."""
    first, *others = answers
    problems = _differences(expected, answers[first])
    for other in others:
        # As text, in which an unknown number is equal to itself.
        if repr(answers[other]) == repr(answers[first]):
            continue
        differences = _differences(expected, answers[other])
        problems += [f"{other}: {each}" for each in differences]
        if not differences:
            problems.append(f"{first} and {other} give different figures: report this as a fault")
    return problems


def _differences(expected: Mapping[str, Any], decision: Decision) -> list[str]:
    problems = []
    if decision.decision != expected["decision"]:
        why = f" ({decision.reason})" if decision.reason else ""
        problems.append(f"expected {expected['decision']}, got {decision.decision}{why}")
    if "size" in expected and to_decimal(expected["size"]) != decision.size:
        problems.append(f"expected size {expected['size']}, got {decision.size}")
    if "code" in expected and expected["code"] != decision.code:
        problems.append(f"expected code {expected['code']}, got {decision.code or 'none'}")
    if "reason" in expected and expected["reason"] not in decision.reason:
        problems.append(f"expected a reason with `{expected['reason']}`, got `{decision.reason}`")
    for gate, outcome in (expected.get("gates") or {}).items():
        try:
            result = decision.gate(gate)
        except KeyError:
            problems.append(f"expected gate {gate}: {outcome}, but no such gate binds the order")
            continue
        if result.outcome != outcome:
            problems.append(
                f"expected gate {gate}: {outcome}, got {result.outcome} "
                f"(measure {result.measure:g}, limit {result.limit:g}"
                + (f", {result.reason})" if result.reason else ")")
            )
    return problems
