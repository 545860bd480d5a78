"""Hot reload: a policy set that changes while the guard runs; the last good one holds until the next is proven."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ringfence.reload.directory_source import DirectorySource
    from ringfence.reload.git_source import GitSource, Signers
    from ringfence.reload.reloader import Reloader
    from ringfence.reload.settings import ReloadSettings
    from ringfence.reload.start import first_policy_set

__all__ = [
    "DirectorySource",
    "GitSource",
    "ReloadSettings",
    "Reloader",
    "Signers",
    "first_policy_set",
]

_HOME = {
    "DirectorySource": "directory_source",
    "GitSource": "git_source",
    "ReloadSettings": "settings",
    "Reloader": "reloader",
    "Signers": "git_source",
    "first_policy_set": "start",
}


def __getattr__(name: str) -> Any:
    # On first use: the child that compiles needs none of them.
    from importlib import import_module

    home = _HOME.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{home}"), name)
