"""What a policy set is compared with, and whose settings hold: those of the revision it is to change."""

from dataclasses import dataclass
from pathlib import Path

from ringfence.errors import Diagnostic, PolicyError
from ringfence.language.linking import LinkedSet, link_path
from ringfence.review.mistakes.settings import (
    SETTINGS,
    Settings,
    find_settings,
    load_settings,
    read_settings,
)

__all__ = ["Previous", "previous_of", "settings_of"]


@dataclass(frozen=True, slots=True)
class Previous:
    """The set as it was; None, and why, where it cannot be compared with."""

    linked: LinkedSet | None
    findings: tuple[Diagnostic, ...] = ()


def previous_of(base: str, path: Path, known: LinkedSet | None = None) -> Previous:
    """The policies that stood at `path`.

    Args:
        base: A Git revision, `git:REF` or `git:REF:PATH`; or a file or directory, which starts with `.` or `/`.
        path: What is validated.
        known: The set as it is now, for a comparison that is quick: the set as it was then tells what changed,
            and decides nothing. Without it that set is whole.

    Returns:
        Without a set where nothing stood there, as before a first commit of policies.

    Raises:
        InputError: there is no repository, no such revision, or no such directory; nothing stands at the PATH
            that `base` names.
    """
    from ringfence.runtime.git_reading import NoFilesError
    from ringfence.runtime.revisions import link_as_it_was

    named = _revision(base)
    try:
        if named is None:
            return Previous(link_path(Path(base), check_mandatory=False))
        revision, place = named
        return Previous(link_as_it_was(revision, place or str(path), known))
    except NoFilesError:
        # A slip in a path that was written out must not pass for policies that are new.
        if named is not None and named[1]:
            raise
        return Previous(None)
    except PolicyError as error:
        first = error.diagnostics[0]
        count = len(error.diagnostics)
        return Previous(
            None,
            (
                Diagnostic(
                    "E404",
                    f"the policies of `{base}` do not link ({count} finding{'s' if count > 1 else ''}), so that "
                    "nothing was compared with them",
                    first.span,
                    why=f"{first.code}: {first.message}",
                    fix="look over each limit that changed, or name a revision whose policies are valid",
                    severity="warning",
                ),
            ),
        )


def settings_of(path: Path, base: str | None, previous: Previous) -> Settings:
    """The settings that hold for the policies at `path`.

    Those of the revision compared with, or the built-in ones where it has none: a change does not settle how it is
    checked. It settles what is a matter of taste, where nothing was settled; and all of it where it brings the first policies.

    Args:
        path: What is validated.
        base: As in `previous_of`.
        previous: What stood there.

    Raises:
        InputError: they cannot be read.
        PolicyError: with every finding.
    """
    named = _revision(base) if base is not None else None
    if named is not None:
        from ringfence.runtime.revisions import read_at

        revision, _ = named
        content = read_at(revision, SETTINGS.as_posix())
        if content is not None:
            return read_settings(content, f"{revision}:{SETTINGS.as_posix()}")
    found = find_settings(path)
    own = load_settings(found) if found is not None else Settings()
    judged = named is not None and (previous.linked is not None or previous.findings)
    return Settings(lint_off=own.lint_off) if judged else own


def _revision(base: str) -> tuple[str, str] | None:
    """The revision that is compared with, and the path in it, empty where none is named; None for a file or directory."""
    from ringfence.runtime.revisions import named_revision

    if base.startswith((".", "/")):
        return None
    return named_revision(base) or (base, "")
