"""`.ringfence/approvals.yaml`: who must approve a change of policy, by its direction, level, policy and gate.

The file of the base judges a change, also one of the file itself: nobody can waive the approvals of a pull
request within it.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase

from ringfence.errors import Diagnostic, PolicyError
from ringfence.language import schema
from ringfence.language.source import Document, load
from ringfence.language.suggest import suggestion

__all__ = [
    "ANYONE",
    "DEFAULT_RULES",
    "ApprovalRule",
    "ApprovalRules",
    "Asked",
    "approval_findings",
    "read_approvals",
]

#: The group that every person is in.
ANYONE = "anyone"
_LEVELS = ("firm", "account", "strategy")
_LOOSER = "LOOSER"
# What is not known to be tighter may be looser.
_MAYBE_LOOSER = ("INCOMPARABLE", "UNKNOWN")


@dataclass(frozen=True, slots=True)
class Asked:
    """What approvals are asked for.

    Attributes:
        direction: Of the change.
        levels: Whose books it bears on.
        policy, gate: Their names; empty for what is not of one.
        former_policy, former_gate: What they were called before: a new name takes nothing out of a rule.
    """

    direction: str
    levels: tuple[str, ...]
    policy: str = ""
    gate: str = ""
    former_policy: str = ""
    former_gate: str = ""


@dataclass(frozen=True, slots=True)
class ApprovalRule:
    """One rule; an empty tuple means all.

    Attributes:
        directions, levels: What changes it is for.
        policies, gates: Globs.
        needs: How many people of each group must approve.
    """

    needs: Mapping[str, int]
    directions: tuple[str, ...] = ()
    levels: tuple[str, ...] = ()
    policies: tuple[str, ...] = ()
    gates: tuple[str, ...] = ()

    def fits(self, asked: Asked) -> bool:
        """Whether it is for a change."""
        direction = not self.directions or asked.direction in self.directions
        if not direction and asked.direction in _MAYBE_LOOSER:
            direction = _LOOSER in self.directions
        return (
            direction
            and (not self.levels or any(each in self.levels for each in asked.levels))
            and _holds(self.policies, asked.policy, asked.former_policy)
            and _holds(self.gates, asked.gate, asked.former_gate)
        )


def _holds(globs: tuple[str, ...], name: str, former: str) -> bool:
    names = {name, former or name}
    return not globs or any(fnmatchcase(each, glob) for each in names for glob in globs)


@dataclass(frozen=True, slots=True)
class ApprovalRules:
    """Groups and rules.

    Attributes:
        groups: People by group, in lower case; `ANYONE` is not among them.
        rules: All that fit a change bind it.
        source: Where they come from, in words.
    """

    groups: Mapping[str, tuple[str, ...]]
    rules: tuple[ApprovalRule, ...]
    source: str

    def needs(self, asked: Iterable[Asked]) -> dict[str, int]:
        """How many people of each group must approve all of it: the most that any rule asks for."""
        found: dict[str, int] = {}
        for each in asked:
            for rule in self.rules:
                if rule.fits(each):
                    for group, count in rule.needs.items():
                        found[group] = max(found.get(group, 0), count)
        return found

    def in_group(self, person: str, group: str) -> bool:
        """Whether a person is in a group."""
        return group == ANYONE or person.lower() in self.groups.get(group, ())


#: Where a repository has no file of its own: two people for what may be looser on the firm's level, one for
#: every other change. The author does not count.
DEFAULT_RULES = ApprovalRules(
    groups={},
    rules=(
        ApprovalRule({ANYONE: 2}, directions=(_LOOSER,), levels=("firm",)),
        ApprovalRule({ANYONE: 1}),
    ),
    source="built-in rules, for there is no .ringfence/approvals.yaml",
)


def read_approvals(content: bytes, path: str) -> ApprovalRules:
    """Read the file.

    Args:
        content: Its bytes.
        path: As findings show it.

    Raises:
        PolicyError: with every finding.
    """
    document = load(content, path)
    if findings := approval_findings(document):
        raise PolicyError(findings)
    spec = document.data["spec"]
    groups = {
        name: tuple(str(person).lower() for person in people)
        for name, people in (spec.get("groups") or {}).items()
    }
    rules = tuple(
        ApprovalRule(
            dict(each["needs"]),
            *(tuple(each.get(key) or ()) for key in ("directions", "levels", "policies", "gates")),
        )
        for each in spec["rules"]
    )
    return ApprovalRules(groups, rules, path)


def approval_findings(document: Document) -> list[Diagnostic]:
    """Everything that is wrong with the file."""
    if faults := schema.check(document, "Approvals"):
        return faults
    groups = document.data["spec"].get("groups") or {}
    return [
        *_group_findings(document, groups),
        *_need_findings(document, groups),
        *_holes(document),
    ]


def _group_findings(document: Document, groups: Mapping[str, list[object]]) -> Iterator[Diagnostic]:
    for name, people in groups.items():
        if name == ANYONE:
            yield Diagnostic(
                "E563",
                f"`{ANYONE}` cannot be declared",
                document.key_span("spec", "groups", name),
                why=f"`{ANYONE}` is every person; as a group of some it would read as more than it is",
                fix="give the group another name",
            )
        seen: dict[str, int] = {}
        for place, person in enumerate(people):
            first = seen.setdefault(str(person).lower(), place)
            if first != place:
                span = document.span("spec", "groups", name, first)
                yield Diagnostic(
                    "E562",
                    f"`{person}` stands twice in `{name}`",
                    document.span("spec", "groups", name, place),
                    why=f"one person is one approval, however often named; first at {span}",
                    fix="remove one of them",
                    related=(span,),
                )


def _need_findings(document: Document, groups: Mapping[str, list[object]]) -> Iterator[Diagnostic]:
    for place, rule in enumerate(document.data["spec"]["rules"]):
        for group, count in rule["needs"].items():
            at = ("spec", "rules", place, "needs", group)
            if group != ANYONE and group not in groups:
                yield Diagnostic(
                    "E560",
                    f"there is no group `{group}`",
                    document.key_span(*at),
                    why="nobody could give such an approval",
                    fix=suggestion(group, (*groups, ANYONE))
                    or f"declare it under `groups`, or write `{ANYONE}`",
                )
            elif group != ANYONE and count > len({str(each).lower() for each in groups[group]}):
                yield Diagnostic(
                    "E561",
                    f"`{group}` has fewer than the {count} people that are asked for",
                    document.span(*at),
                    why="such a change could never be approved",
                    fix="ask for fewer, or add people to the group",
                )


def _holes(document: Document) -> Iterator[Diagnostic]:
    """A level on which a looser change, of any policy and gate, needs nobody."""
    rules = document.data["spec"]["rules"]
    wide = [each for each in rules if not each.get("policies") and not each.get("gates")]
    for level in _LEVELS:
        if not any(
            _LOOSER in (each.get("directions") or (_LOOSER,))
            and level in (each.get("levels") or _LEVELS)
            for each in wide
        ):
            yield Diagnostic(
                "E564",
                f"a looser change on the {level}'s level would need nobody's approval",
                document.key_span("spec", "rules"),
                why="what no rule is for, anyone may change alone",
                fix=f"add `- {{directions: [{_LOOSER}], levels: [{level}], needs: {{{ANYONE}: 1}}}}`",
            )
