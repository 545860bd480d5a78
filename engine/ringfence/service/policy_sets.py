"""Policy sets by name: the one in force, those that were, those that run in the shadow; and their files on disk."""

from contextlib import suppress
from pathlib import Path

from ringfence.errors import InputError
from ringfence.reload.control import Control
from ringfence.runtime.policy_set import PolicySet
from ringfence.runtime.policy_store import PolicyStore
from ringfence.service.desk import Desk

__all__ = ["ACTIVE", "find_set", "load_set", "stores", "write_files"]

#: Stands for the set in force.
ACTIVE = "active"


def stores(desk: Desk) -> tuple[PolicyStore, PolicyStore]:
    """Where accepted sets are kept, and where those for the shadow."""
    folder = desk.data / "policies"
    return PolicyStore(folder), PolicyStore(Control(folder).shadows)


def find_set(desk: Desk, name: str) -> str:
    """The SHA-256 of a set.

    Args:
        name: `active`, its SHA-256, or the first four digits of it or more.

    Raises:
        InputError: there is no such set, or more than one.
    """
    active = desk.guard.policy_set
    if name == ACTIVE or (len(name) >= 4 and active == name):
        return active
    for store in stores(desk):
        # Of those that begin so, one alone; where there are more, all its digits have to be given.
        with suppress(InputError):
            return store.find(name)
    if len(name) >= 4 and active.startswith(name):
        return active
    raise InputError(
        f"no policy set is called `{name}`, or more than one is",
        "GET /v1/policies lists them; give all digits of its SHA-256",
    )


def load_set(desk: Desk, name: str) -> PolicySet:
    """A set by what `find_set` takes.

    Raises:
        InputError: there is no such set.
        StateError: its file is damaged.
    """
    found = find_set(desk, name)
    if found == desk.guard.policy_set:
        return PolicySet(desk.guard.linked)
    for store in stores(desk):
        try:
            store.find(found)
        except InputError:
            continue
        return store.load(found)
    raise InputError(f"no policy set is called `{name}`", "GET /v1/policies lists them")


def write_files(policy_set: PolicySet, folder: Path) -> str:
    """Put the files of a set into a folder, in their order, which counts; returns the SPEC that names them."""
    folder.mkdir(mode=0o700)
    for number, (path, content) in enumerate(policy_set.files.items()):
        (folder / f"{number:04d}-{Path(path).name}").write_bytes(content)
    return str(folder)
