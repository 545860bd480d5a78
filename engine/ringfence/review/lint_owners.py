"""Who may own a policy: the people and teams that a repository names."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from ringfence.errors import PolicyError
from ringfence.language.source import load_file

__all__ = ["Owners", "known_owners"]

_CODEOWNERS = (".github/CODEOWNERS", "CODEOWNERS", "docs/CODEOWNERS", ".gitlab/CODEOWNERS")
_APPROVALS = Path(".ringfence", "approvals.yaml")
_ADDRESS = re.compile(r"[^@\s]+@[^@\s]+\.[^@\s.]+")
_TEAM = re.compile(r"@[A-Za-z0-9][A-Za-z0-9._/-]*")


@dataclass(frozen=True, slots=True)
class Owners:
    """The owners that there are, and the files that name them; without any, any address or team is one."""

    names: frozenset[str]
    files: tuple[str, ...]

    def know(self, owner: str) -> bool:
        """Whether this owner is one of them, in whatever case."""
        if not self.files:
            return bool(_ADDRESS.fullmatch(owner) or _TEAM.fullmatch(owner))
        return owner.lower() in self.names


def known_owners(root: Path) -> Owners:
    """Return the owners that a repository's CODEOWNERS and `.ringfence/approvals.yaml` name.

    A team may be written with its organisation and `@`, or by its name alone. A file that cannot be read
    names nobody.

    Args:
        root: The top of the repository.
    """
    names: set[str] = set()
    files = []
    for place in _CODEOWNERS:
        if (path := root / place).is_file():
            files.append(place)
            names.update(_spellings(_in_codeowners(path)))
            break
    if (path := root / _APPROVALS).is_file():
        files.append(str(_APPROVALS))
        names.update(_spellings(_in_approvals(path)))
    return Owners(frozenset(names), tuple(files))


def _in_codeowners(path: Path) -> Iterable[str]:
    try:
        lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return
    for line in lines:
        # The first word is a pattern, or the name of a section.
        for word in line.partition("#")[0].split()[1:]:
            if _ADDRESS.fullmatch(word) or _TEAM.fullmatch(word):
                yield word


def _in_approvals(path: Path) -> Iterable[str]:
    try:
        data = load_file(path).data
    except PolicyError:
        # `ringfence plan` is who reports what is wrong with that file.
        return
    groups = (data.get("spec") or {}).get("groups") if isinstance(data, dict) else None
    for name, people in (groups or {}).items() if isinstance(groups, dict) else ():
        yield str(name)
        yield from (str(each) for each in people if isinstance(people, list))


def _spellings(names: Iterable[str]) -> Iterable[str]:
    for name in names:
        lower = name.lower()
        yield lower
        if lower.startswith("@"):
            yield lower[1:]
            yield lower.rpartition("/")[2].removeprefix("@")
