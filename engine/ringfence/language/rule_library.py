"""The rule library: files with one rule each, found by their names."""

from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

from ringfence import _resources
from ringfence.errors import Diagnostic, PolicyError
from ringfence.language import schema
from ringfence.language.rules import Rule, read_rule
from ringfence.language.source import load_file

__all__ = ["RuleLibrary", "load_rule_library"]


class RuleLibrary:
    """Rules by name, read from their files only when a policy names them.

    Args:
        extra: Rules beside those of the files.
        bundled: Whether the files that came with this version are looked into.

    Attributes:
        findings: What is wrong with files that were read.
        used: The rules that were found, by their keys.
    """

    def __init__(self, extra: Sequence[Rule] = (), *, bundled: bool = True) -> None:
        self._rules: dict[str, list[Rule]] = {}
        self._files: dict[str, list[Path]] = {}
        for entry in _rule_files() if bundled else ():
            self._files.setdefault(entry.stem.partition("@")[0], []).append(entry)
        for rule in extra:
            self._rules.setdefault(rule.name, []).append(rule)
        self._extra = set(self._rules)
        self.findings: list[Diagnostic] = []
        self.used: dict[str, Rule] = {}
        self._found: dict[tuple[str, str], Rule] = {}

    def find(self, name: str, version: str) -> tuple[Rule | None, list[str]]:
        """The newest rule of that name and version prefix, or None with what there is."""
        if found := self._found.get((name, version)):
            return found, []
        rules = self._load(name)
        if not rules:
            return None, [*self._files, *self._extra]
        wanted = tuple(int(part) for part in version.split(".")) if version else ()
        fitting = [rule for rule in rules if rule.version[: len(wanted)] == wanted]
        if not fitting:
            return None, [name, *(".".join(map(str, rule.version)) for rule in rules)]
        rule = max(fitting, key=lambda each: each.version)
        self.used[rule.key] = self._found[name, version] = rule
        return rule, []

    def _load(self, name: str) -> list[Rule]:
        if name in self._files:
            for entry in self._files.pop(name):
                rule, findings = _read_rule_file(entry)
                self.findings.extend(findings)
                if rule is not None:
                    self._rules.setdefault(name, []).append(rule)
            self._extra.add(name)
        return self._rules.get(name, [])


@lru_cache(maxsize=4)
def _listed(root: str) -> tuple[Path, ...]:
    return tuple(sorted(Path(root).rglob("*.yaml")))


def _rule_files() -> tuple[Path, ...]:
    return _listed(str(_resources.bundled("rules")))


@lru_cache(maxsize=256)
def _read_rule_file_at(path: Path, _stamp: int) -> tuple[Rule | None, tuple[Diagnostic, ...]]:
    try:
        document = load_file(path)
    except PolicyError as error:
        return None, error.diagnostics
    findings = schema.check(document, "Rule")
    if findings:
        return None, tuple(findings)
    rule, more = read_rule(document)
    return rule, tuple(more)


def _read_rule_file(path: Path) -> tuple[Rule | None, tuple[Diagnostic, ...]]:
    return _read_rule_file_at(path, path.stat().st_mtime_ns)


def load_rule_library() -> list[Rule]:
    """Every rule of the library, sorted by name and version; raises `PolicyError` on a bad one."""
    rules: list[Rule] = []
    findings: list[Diagnostic] = []
    for path in _rule_files():
        rule, found = _read_rule_file(path)
        findings.extend(found)
        if rule is not None:
            rules.append(rule)
    if findings:
        raise PolicyError(findings)
    return sorted(rules, key=lambda rule: (rule.name, rule.version))
