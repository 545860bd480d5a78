"""Where policies come from."""

from ringfence.reload import DirectorySource, GitSource, ReloadSettings, Signers
from ringfence.service.settings import PoliciesSettings, ReloadSection

__all__ = ["policy_source", "reload_settings"]


def policy_source(about: PoliciesSettings) -> DirectorySource | GitSource:
    """The directories, or the branch.

    Raises:
        InputError: the branch or a path in the repository cannot be one.
    """
    if about.repository is None:
        return DirectorySource(*about.directories, polling=about.polling)
    signers = None
    if about.signers or about.gnupg_home:
        signers = Signers(about.signers, about.revoked, about.gnupg_home)
    return GitSource(
        about.repository,
        about.branch,
        about.paths,
        signers=signers,
        follow_rewrites=about.follow_rewrites,
        polling=about.polling,
    )


def reload_settings(about: ReloadSection) -> ReloadSettings:
    """How the reloader works."""
    return ReloadSettings(
        golden=about.golden,
        debounce_ns=about.debounce,
        debounce_most_ns=max(about.debounce, ReloadSettings().debounce_most_ns),
        poll_ns=about.poll,
        child_ns=about.child_timeout,
    )
