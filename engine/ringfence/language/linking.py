"""Linking: files into one policy set, with every finding of every file at once."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from ringfence.errors import Diagnostic, InputError, PolicyError, Span
from ringfence.language import schema
from ringfence.language.broken_parts import BrokenParts
from ringfence.language.canonical import digest
from ringfence.language.gates import Gate, LimitRow, Policy, read_policy
from ringfence.language.instruments import Desk, declared_otherwise, read_instruments
from ringfence.language.rule_library import RuleLibrary
from ringfence.language.rules import Rule, read_rule
from ringfence.language.scopes import Scope, ScopeIndex
from ringfence.language.set_findings import (
    MANDATORY,
    amounts_without_rate,
    currency_of,
    lacking_mandatory,
    other_currencies,
    policy_findings,
)
from ringfence.language.source import Document, load, load_file
from ringfence.language.yaml_files import yaml_files

__all__ = ["MANDATORY", "Bound", "LinkedSet", "link", "link_files", "link_path"]

KINDS = ("Policy", "Rule", "Instruments", "PolicyTest", "Invariant", "Approvals")
# The kinds that a set's meaning comes from.
_MEANT = ("Policy", "Rule", "Instruments")


@dataclass(frozen=True, slots=True, eq=False)
class Bound:
    """A gate that binds an order: overrides whose scope matches, the last first, then its own."""

    gate: Gate
    rows: tuple[LimitRow, ...]

    def row_at(self, moment_ns: int) -> LimitRow:
        """The limits in force at a time (ns since 1970)."""
        for row in self.rows:
            if row.from_ns <= moment_ns < row.until_ns:
                return row
        return self.rows[-1]


@dataclass(slots=True, eq=False, repr=False)
class LinkedSet:
    """All policies that are active together, checked; `sha256` names it.

    `documents` holds what was given, by path; rules of the library are not among them.
    """

    policies: list[Policy]
    gates: tuple[Gate, ...]
    rules: tuple[Rule, ...]
    desk: Desk
    currency: str
    sha256: str
    documents: dict[str, Document]
    _index: ScopeIndex
    _by_bit: dict[int, Policy]
    _policy_bits: int
    _cache: dict[int, tuple[Bound, ...]] = field(default_factory=dict)

    def __repr__(self) -> str:
        return f"LinkedSet({self.sha256[:12]}, {len(self.gates)} gates)"

    @property
    def files(self) -> dict[str, bytes]:
        """The files that this set is made from, in the order that they were linked in: path and bytes.

        Policies, instruments, rules, and those rules of the library that are used; from them alone
        `link_files` makes the same set.
        """
        own = (each for each in self.documents.values() if each.data["kind"] in _MEANT)
        library = (rule.document for rule in self.rules)
        return {each.path: each.content for each in (*own, *library)}

    def only(self, *gates: Gate) -> "LinkedSet":
        """This set with some of its gates alone, for asking what they would do without the others.

        Instruments, rates and currency stay, and so does the name: it is no set to run.
        """
        kept: dict[str, list[Gate]] = {}
        for gate in gates:
            kept.setdefault(gate.policy.name, []).append(gate)
        policies = [
            replace(each, gates=kept[each.name]) for each in self.policies if each.name in kept
        ]
        places = _policy_places(policies)
        return replace(
            self,
            policies=policies,
            gates=tuple(gate for policy in policies for gate in policy.gates),
            _index=_index_of(policies),
            _by_bit=places,
            _policy_bits=sum(places),
            _cache={},
        )

    def bind(self, account: str, strategy: str, venue: str, symbol: str) -> tuple[Bound, ...]:
        """Every gate that an order of this account, strategy, venue and symbol must face."""
        mask = self._index.match(account, strategy, venue, symbol)
        found = self._cache.get(mask)
        if found is None:
            found = self._cache[mask] = self._bind(mask)
        return found

    def with_gates(self, others: Mapping[Gate, Gate]) -> "LinkedSet":
        """The same set with other gates in the place of some, for what-if questions; its name stays.

        Args:
            others: By the gate whose place they take; its policy, its scope and its overrides' scopes hold.
        """
        places = {
            bit: replace(policy, gates=[others.get(each, each) for each in policy.gates])
            for bit, policy in self._by_bit.items()
        }
        return replace(
            self,
            policies=list(places.values()),
            gates=tuple(others.get(each, each) for each in self.gates),
            _by_bit=places,
            _cache={},
        )

    def mask(self, dimension: int, name: str) -> int:
        """Which scopes hold a name in one dimension; names of equal masks share all gates."""
        return self._index.mask(dimension, name)

    def bind_masks(self, masks: Sequence[int]) -> tuple[Bound, ...]:
        """As `bind`, from the four dimensions' masks."""
        mask = masks[0] & masks[1] & masks[2] & masks[3]
        found = self._cache.get(mask)
        if found is None:
            found = self._cache[mask] = self._bind(mask)
        return found

    def _bind(self, mask: int) -> tuple[Bound, ...]:
        """Gates of the policies whose bit is set; only those are visited, however many there are."""
        bound = []
        holding = mask & self._policy_bits
        while holding:
            bit = holding & -holding
            holding ^= bit
            for gate in self._by_bit[bit].gates:
                rows = [gate.rows[0]]
                for row in gate.rows[1:]:
                    bit <<= 1
                    if mask & bit:
                        rows.append(row)
                bound.append(Bound(gate, tuple(reversed(rows))))
        return tuple(bound)


def _policy_places(policies: Iterable[Policy]) -> dict[int, Policy]:
    """The bit of each policy's scope: the scopes of its overrides stand right behind it."""
    places, bit = {}, 1
    for policy in policies:
        places[bit] = policy
        bit <<= 1 + sum(len(gate.rows) - 1 for gate in policy.gates)
    return places


def _index_of(policies: Iterable[Policy]) -> ScopeIndex:
    """One bit per policy, then one per override of its gates: the order that `_bind` walks."""
    scopes: list[Scope] = []
    for policy in policies:
        scopes.append(policy.scope)
        scopes.extend(row.scope or Scope() for gate in policy.gates for row in gate.rows[1:])
    return ScopeIndex(scopes)


def link_path(path: Path, *, check_mandatory: bool = True) -> LinkedSet:
    """Link a file, or all YAML files below a directory, into a policy set.

    Raises:
        InputError: there is no such path, or nothing to read in it.
        PolicyError: with every finding of every file.
    """
    if path.is_dir():
        files = yaml_files(path)
    elif path.exists():
        files = [path]
    else:
        raise InputError(f"`{path}` does not exist", fix="name a policy file or a directory")
    if not files:
        raise InputError(f"`{path}` holds no YAML files", fix="name a directory with policies")
    documents: list[Document] = []
    findings: list[Diagnostic] = []
    for file in files:
        try:
            documents.append(load_file(file))
        except PolicyError as error:
            findings.extend(error.diagnostics)
    return link(documents, findings, check_mandatory=check_mandatory, declared_once=True)


def link_files(files: Mapping[str, bytes]) -> LinkedSet:
    """Link files in memory, as `LinkedSet.files` has them; rules come from them alone.

    Args:
        files: Path, as findings show it, and bytes; in the order in which their gates are to be asked.

    Raises:
        PolicyError: with every finding of every file.
    """
    documents: list[Document] = []
    findings: list[Diagnostic] = []
    for path, content in files.items():
        try:
            documents.append(load(content, path))
        except PolicyError as error:
            findings.extend(error.diagnostics)
    return link(documents, findings, bundled=False)


def link(
    documents: Sequence[Document],
    findings: Sequence[Diagnostic] = (),
    *,
    check_mandatory: bool = True,
    bundled: bool = True,
    declared_once: bool = False,
) -> LinkedSet:
    """Link loaded documents.

    Args:
        documents: In the order in which their gates are to be asked.
        findings: Met while loading.
        check_mandatory: Whether every tradable (account, symbol) must face all mandatory gates.
        bundled: Whether rules that no document holds come from the library of this version.
        declared_once: Whether two documents may not declare one instrument, rate or correlation in two ways;
            otherwise the later one holds.

    Raises:
        PolicyError: with every finding.
    """
    found = list(findings)
    by_kind: dict[str, list[tuple[Document, list[Diagnostic]]]] = {kind: [] for kind in KINDS}
    for document in documents:
        kind = document.data.get("kind") if isinstance(document.data, dict) else None
        if kind not in KINDS:
            found.extend(schema.check(document, "Policy"))
            continue
        faults = schema.check(document, kind)
        found.extend(faults)
        by_kind[kind].append((document, faults))
    own, faulty_rules = _own_rules(by_kind["Rule"], found)
    library = RuleLibrary(own, bundled=bundled)

    def find_rule(name: str, version: str) -> tuple[Rule | None, list[str] | None]:
        rule, known = library.find(name, version)
        return rule, None if rule is None and name in faulty_rules else known

    desk, declared_at = Desk(), dict[tuple[str, str], Span]()
    # A file that nobody could read may be the one with the rates.
    rates_known = bool(by_kind["Instruments"]) or not findings
    for document, faults in by_kind["Instruments"]:
        rates_known &= not faults
        if not faults:
            declared, more = read_instruments(document)
            found.extend(more)
            rates_known &= not more
            if declared_once:
                found.extend(declared_otherwise(desk, declared, document, declared_at))
            desk.merge(declared)
    policies: list[Policy] = []
    currency_known = True
    for document, faults in by_kind["Policy"]:
        if _readable(document, faults):
            broken = BrokenParts(document, faults)
            policy, more = read_policy(document, find_rule, broken)
            found.extend(more)
            policies.append(policy)
            currency_known &= not broken.beside("spec", "gates")
    found.extend(library.findings)
    found.extend(policy_findings(policies))
    currency = currency_of(policies)
    if currency_known:
        found.extend(other_currencies(policies, currency))
        if rates_known:
            found.extend(amounts_without_rate(policies, currency, desk))
    places = _policy_places(policies)
    linked = LinkedSet(
        policies=policies,
        gates=tuple(gate for policy in policies for gate in policy.gates),
        rules=tuple(sorted(library.used.values(), key=lambda rule: rule.key)),
        desk=desk,
        currency=currency,
        sha256="",
        documents={document.path: document for document in documents},
        _index=_index_of(policies),
        _by_bit=places,
        _policy_bits=sum(places),
    )
    if not found and check_mandatory and policies:
        found.extend(lacking_mandatory(linked))
    if found:
        raise PolicyError(found)
    linked.sha256 = digest(policies, linked.rules, desk.canonical())
    return linked


def _own_rules(
    documents: Sequence[tuple[Document, list[Diagnostic]]], found: list[Diagnostic]
) -> tuple[list[Rule], set[str]]:
    """The rules of documents, and the names of those with a fault: a policy that names one has none for it."""
    rules, faulty = [], set()
    for document, faults in documents:
        rule = None
        if not faults:
            rule, more = read_rule(document)
            found.extend(more)
        if rule is not None:
            rules.append(rule)
        else:
            metadata = document.data.get("metadata")
            faulty.add(str(metadata.get("name")) if isinstance(metadata, dict) else "")
    return rules, faulty


def _readable(document: Document, faults: Sequence[Diagnostic]) -> bool:
    """Whether enough of a policy stands to read what is sound in it; of too many faults some have no place."""
    spec = document.data.get("spec")
    return (
        isinstance(spec, dict)
        and isinstance(spec.get("gates"), list)
        and all(each.code != "E117" for each in faults)
    )
