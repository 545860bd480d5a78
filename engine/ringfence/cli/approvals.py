"""What `plan`, `ci` and `apply` are told of approvals: by whom, and by which rules."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from ringfence.errors import InputError, reason_of

if TYPE_CHECKING:
    from ringfence.review.approval_rules import ApprovalRules
    from ringfence.review.plan import Given, Side

__all__ = [
    "APPROVALS",
    "add_approvals",
    "approvals_given",
    "file_at",
    "given_people",
    "revision_of",
    "rules_of",
    "shown_as",
]

#: Where the rules of approvals lie, from the repository's top.
APPROVALS = Path(".ringfence/approvals.yaml")


def add_approvals(parser: argparse.ArgumentParser) -> None:
    """Add the arguments that say who approves."""
    parser.add_argument(
        "--approved-by",
        action="append",
        default=[],
        metavar="NAME",
        help="who approves; may be given again",
    )
    parser.add_argument(
        "--approvals-from", type=Path, metavar="FILE.json",
        help="reviews of a pull request, as GitHub's API lists them",
    )  # fmt: skip
    parser.add_argument(
        "--author", action="append", default=[], metavar="NAME",
        help="who made the change, beside the authors of its commits; may be given again",
    )  # fmt: skip
    parser.add_argument(
        "--approvals", type=Path, default=APPROVALS, metavar="FILE",
        help="the rules of approvals, from the repository's top; those of the base count",
    )  # fmt: skip
    parser.add_argument(
        "--commit", default="", metavar="SHA",
        help="the commit that reviews must be of; the head's where not given",
    )  # fmt: skip


def approvals_given(given: argparse.Namespace, base: "Side", head: "Side") -> "Given":
    """Approvals, by the rules of the base.

    Raises:
        InputError: there are none where they were named, or who approves cannot be read.
        PolicyError: with every finding in the rules, also in those that the change makes of them.
    """
    from ringfence.review.approval_rules import read_approvals
    from ringfence.review.plan import Given
    from ringfence.runtime.commits import authors_since

    here = head.commit or _checked_out() if base.commit else ""
    authors = authors_since(base.commit, here) if here else ()
    people, left_out = given_people(given, given.commit or here)
    # A directory stands for the working tree, whose rules may not be committed yet.
    before, now = (file_at(given.approvals, revision_of(side)) for side in (base, head))
    if now is not None and now != before:
        # By rules that cannot be read no later change could be judged, nor one that mends them.
        read_approvals(now, shown_as(given.approvals, head.source, revision_of(head)))
    if before is None and now is None and given.approvals != APPROVALS:
        raise InputError(
            f"there are no rules of approvals `{given.approvals}`, before the change or after it",
            f"name their file from the repository's top, as {APPROVALS}",
        )
    return Given(
        rules_of(given.approvals, base.source, revision_of(base)),
        tuple(people),
        tuple(dict.fromkeys((*authors, *given.author))),
        tuple(left_out),
        rules_changed=before != now,
    )


def revision_of(side: "Side") -> str:
    """The commit that a side is read from; empty for a directory, which stands for the working tree."""
    return side.commit if side.source.startswith("git:") else ""


def _checked_out() -> str:
    from ringfence.runtime.commits import commit_of

    try:
        return commit_of("HEAD")
    except InputError:
        return ""


def rules_of(path: Path, source: str, commit: str) -> "ApprovalRules":
    """The rules of approvals on one side; the built-in ones where it has none.

    Args:
        path: From the repository's top.
        source, commit: The side's; the working tree's rules count where there is no commit.

    Raises:
        PolicyError: with every finding in them.
    """
    from ringfence.review.approval_rules import DEFAULT_RULES, read_approvals

    content = file_at(path, commit)
    return (
        DEFAULT_RULES
        if content is None
        else read_approvals(content, shown_as(path, source, commit))
    )


def shown_as(path: Path, source: str, commit: str) -> str:
    """A file of a side, as findings name it."""
    revision = f"{source.removeprefix('git:').partition(':')[0]}:" if commit else ""
    return f"{revision}{path.as_posix()}"


def file_at(path: Path, commit: str) -> bytes | None:
    """A file in a commit, or in the working tree, named from the repository's top; None where there is none."""
    from ringfence.runtime.commits import top_directory
    from ringfence.runtime.ports import SYSTEM_FILES
    from ringfence.runtime.revisions import read_at

    if commit:
        if path.is_absolute() or ".." in path.parts:
            raise InputError(
                f"`{path}` names no file from the repository's top",
                f"write it as {APPROVALS}; the rules of a revision are read from that revision",
            )
        return read_at(commit, path.as_posix())
    place = (top_directory() or Path()) / path
    try:
        return SYSTEM_FILES.read_bytes(place) if SYSTEM_FILES.exists(place) else None
    except OSError as error:
        reason = reason_of(error)
        raise InputError(f"`{place}` cannot be read: {reason}", "see to its rights") from None


def given_people(given: argparse.Namespace, commit: str) -> tuple[list[str], list[tuple[str, str]]]:
    """Who approves, by name and by reviews; and approvals that do not count, with the reason."""
    from ringfence.review.given_approvals import approvals_of_reviews
    from ringfence.runtime.ports import SYSTEM_FILES

    people: list[str] = list(given.approved_by)
    left_out: list[tuple[str, str]] = []
    if given.approvals_from is not None:
        try:
            content = SYSTEM_FILES.read_bytes(given.approvals_from)
        except OSError as error:
            reason = reason_of(error)
            raise InputError(
                f"`{given.approvals_from}` cannot be read: {reason}", "name the file"
            ) from None
        approved, left_out = approvals_of_reviews(content, str(given.approvals_from), commit)
        people += approved
    return people, left_out
