"""`PolicySet`: a directory of policies, linked, that answers for orders."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ringfence.backends.reference import decide
from ringfence.language.decision import Decision
from ringfence.language.linking import LinkedSet, link_files, link_path
from ringfence.language.orders import Case
from ringfence.language.plain_cases import plain_case

__all__ = ["PolicySet"]


class PolicySet:
    """Everything that is active together; `sha256` names it."""

    def __init__(self, linked: LinkedSet) -> None:
        self.linked = linked

    @classmethod
    def load(cls, path: str | Path) -> "PolicySet":
        """Load a policy file, or every YAML file below a directory.

        Raises:
            PolicyError: with every finding of every file.
            InputError: there is nothing to read.
        """
        return cls(link_path(Path(path)))

    @classmethod
    def from_files(cls, files: Mapping[str, bytes]) -> "PolicySet":
        """The set that `files` gave, from those bytes alone: rules of this version stay out.

        Raises:
            PolicyError: with every finding.
        """
        return cls(link_files(files))

    @property
    def sha256(self) -> str:
        """SHA-256 of the canonical form, in hex; formatting and comments do not change it."""
        return self.linked.sha256

    @property
    def files(self) -> dict[str, bytes]:
        """Path and bytes of each file that the set is made from, used rules of the library included."""
        return self.linked.files

    def evaluate(self, case: Case | Mapping[str, Any]) -> Decision:
        """Decide one order.

        Args:
            case: A `Case`, or the `given` and `when` of a policy test as plain data (`when` may be an
                `OrderRequest`).

        Raises:
            PolicyError: plain data that is no case, has an unknown key, or contradicts itself.
        """
        if not isinstance(case, Case):
            case = plain_case(case, self.linked)
        return decide(self.linked, case)
