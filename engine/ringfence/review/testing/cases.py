"""The cases of tests and rules, each with its defaults merged in and the policy set that it asks."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ringfence.errors import Diagnostic, PolicyError, Span
from ringfence.language.linking import LinkedSet, link
from ringfence.language.orders import Case
from ringfence.language.policy_tests import merge, read_case
from ringfence.language.rules import Rule
from ringfence.language.source import Document, Key

__all__ = ["TestCase", "cases_of_file", "cases_of_rule", "own_set", "set_of_case"]

KILL_SWITCH = "kill-switch"


@dataclass(frozen=True, slots=True, eq=False)
class TestCase:
    """One case: what is given, the order, what must come out, and who is asked.

    `rule` is the key of the rule whose own case it is; `own_policy` says that the file brings its policy.
    """

    __test__ = False  # no class of tests, whatever pytest thinks of its name

    name: str
    span: Span
    given: Mapping[str, Any] = field(repr=False)
    when: Mapping[str, Any] = field(repr=False)
    expected: Mapping[str, Any] = field(repr=False)
    linked: LinkedSet
    rule: str = ""
    own_policy: bool = False

    @property
    def asks_the_set(self) -> bool:
        """Whether it asks the policy set under test, where every mandatory gate must bind."""
        return not (self.rule or self.own_policy)

    def question(self, linked: LinkedSet | None = None) -> Case:
        """What a backend is asked; of another set than its own where one is given.

        Raises:
            PolicyError: the state cannot be.
        """
        return read_case(self.given, self.when, linked or self.linked, self.span)


def cases_of_file(document: Document, linked: LinkedSet | None) -> list[TestCase]:
    """The cases of a `kind: PolicyTest` document, already checked against its schema.

    Args:
        document: The test file.
        linked: The policy set under test; a file with a `policy:` of its own uses that alone.

    Raises:
        PolicyError: the file's own policy does not link, or it has none and no set is given.
    """
    data = document.data
    own = data.get("policy")
    under_test = own_set(document, own) if own is not None else linked
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
        _case(
            case,
            defaults,
            document.span("cases", index),
            with_switch if _throws_switch(case, defaults) else under_test,
            own_policy=own is not None,
        )
        for index, case in enumerate(data["cases"])
    ]


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
    return _with_kill_switch(document, own) if throws else own_set(document, own)


def cases_of_rule(rule: Rule) -> list[TestCase]:
    """The cases of a rule, each with a policy that binds this rule alone."""
    document = rule.document
    spec = document.data["spec"]
    defaults = spec.get("case_defaults") or {}
    cases = []
    for index, case in enumerate(spec.get("cases") or ()):
        limits = merge(defaults.get("limits") or {}, case.get("limits") or {})
        version = ".".join(map(str, rule.version))
        alone = _Part(
            document,
            {"gates": [{"rule": f"{rule.name}@{version}", "limits": limits}]},
            ("spec", "cases", index),
        )
        linked = link([document, alone], check_mandatory=False)
        span = document.span("spec", "cases", index)
        cases.append(_case(case, defaults, span, linked, rule=rule.key))
    return cases


def _case(
    case: Mapping[str, Any],
    defaults: Mapping[str, Any],
    span: Span,
    linked: LinkedSet,
    *,
    rule: str = "",
    own_policy: bool = False,
) -> TestCase:
    given = merge(defaults.get("given") or {}, case.get("given") or {})
    when = merge(defaults.get("when") or {}, case.get("when") or {})
    return TestCase(str(case["name"]), span, given, when, case["then"], linked, rule, own_policy)


def _throws_switch(case: Mapping[str, Any], defaults: Mapping[str, Any]) -> bool:
    given = merge(defaults.get("given") or {}, case.get("given") or {})
    return bool((given.get("control") or {}).get("kill_switch"))


def _with_kill_switch(document: Document, policy: Mapping[str, Any]) -> LinkedSet:
    """The file's own policy for cases that throw a kill switch: no policy may be without that gate."""
    gates = list(policy["gates"])
    if not any(str(gate["rule"]).partition("@")[0] == KILL_SWITCH for gate in gates):
        # Behind the file's own gates, whose places in the file then stay right.
        gates.append({"rule": f"{KILL_SWITCH}@1"})
    return own_set(document, {**policy, "gates": gates})


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


def own_set(document: Document, policy: Mapping[str, Any]) -> LinkedSet:
    """The policy that stands inside a test, linked alone.

    Raises:
        PolicyError: with every finding in it.
    """
    return link([_Part(document, policy, ("policy",))], check_mandatory=False)
