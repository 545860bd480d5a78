"""Approvals that were given: by name, or as a code host lists the reviews of a pull request."""

import json
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from ringfence.errors import InputError
from ringfence.review.approval_rules import ApprovalRules, Asked

__all__ = ["Need", "Standing", "approvals_of_reviews", "standing"]

_MOST_REVIEWS = 100_000
# What a review says without deciding anything.
_SILENT = ("COMMENTED", "PENDING")


@dataclass(frozen=True, slots=True)
class Need:
    """What one group has to give.

    Attributes:
        group: Its name.
        needed: How many people.
        given: Who of them approved.
        may: Who else of the group could; empty where that may be anyone.
    """

    group: str
    needed: int
    given: tuple[str, ...]
    may: tuple[str, ...]

    @property
    def missing(self) -> int:
        """How many approvals are missing."""
        return max(0, self.needed - len(self.given))


@dataclass(frozen=True, slots=True)
class Standing:
    """What approvals a change needs, and which it has.

    Attributes:
        source: Where the rules come from.
        needs: By group.
        left_out: Approvals that do not count, with the reason.
    """

    source: str
    needs: tuple[Need, ...]
    left_out: tuple[tuple[str, str], ...] = ()

    @property
    def complete(self) -> bool:
        """Whether nothing is missing."""
        return not any(each.missing for each in self.needs)


def standing(
    rules: ApprovalRules,
    asked: Iterable[Asked],
    given: Iterable[str],
    authors: Collection[str] = (),
    left_out: Iterable[tuple[str, str]] = (),
) -> Standing:
    """What is there and what is missing.

    Args:
        rules: Of the base.
        asked: The changes.
        given: Who approved: logins or addresses; upper and lower case are the same.
        authors: Who made the change, by any of their names: they do not count.
        left_out: Approvals that did not count already.
    """
    own = {each.lower() for each in authors}
    people = dict.fromkeys(each.strip().lower() for each in given if each.strip())
    out = [*left_out, *((each, "made the change") for each in people if each in own)]
    counted = [each for each in people if each not in own]
    needs = tuple(
        Need(
            group,
            count,
            tuple(each for each in counted if rules.in_group(each, group)),
            tuple(
                each
                for each in rules.groups.get(group, ())
                if each not in own and each not in people
            ),
        )
        for group, count in sorted(rules.needs(asked).items())
    )
    groups = [each.group for each in needs]
    out += [
        (each, "is in none of the groups")
        for each in counted
        if groups and not any(rules.in_group(each, group) for group in groups)
    ]
    return Standing(rules.source, needs, tuple(out))


def approvals_of_reviews(
    content: bytes, path: str, commit: str = ""
) -> tuple[list[str], list[tuple[str, str]]]:
    """Who approves, out of what GitHub's API lists as the reviews of a pull request.

    Args:
        content: JSON: a list of reviews (`user.login`, `state`, `commit_id`, `submitted_at`), or a list of
            such lists, as pages are.
        path: Where it comes from.
        commit: The head's; an approval of another one does not count. Empty where that is not known.

    Returns:
        Those whose last review approves, and those whose approval does not count, with the reason.

    Raises:
        InputError: it is no such list.
    """
    last: dict[str, Mapping[str, Any]] = {}
    for review in _in_time(_reviews(content, path)):
        login = _login(review, path)
        state = str(review.get("state") or "").upper()
        if state not in _SILENT:
            last[login] = {**review, "state": state}
    approved, out = [], []
    for login, review in last.items():
        seen = str(review.get("commit_id") or "")
        match review["state"]:
            case "APPROVED" if commit and seen and seen.lower() != commit.lower():
                out.append((login, f"approved {seen[:12]}, not {commit[:12]}"))
            case "APPROVED":
                approved.append(login)
            case "DISMISSED":
                out.append((login, "was dismissed"))
            case "CHANGES_REQUESTED":
                out.append((login, "asks for changes"))
            case _:
                out.append((login, "has a review of a kind that is not known"))
    return approved, out


def _reviews(content: bytes, path: str) -> list[Mapping[str, Any]]:
    try:
        found = json.loads(content)
    except (ValueError, RecursionError):
        raise InputError(f"`{path}` is no JSON", "save what the reviews API answers") from None
    if not isinstance(found, list):
        raise _no_reviews(path)
    reviews: list[Mapping[str, Any]] = []
    for each in found:
        reviews += each if isinstance(each, list) else [each]
    if len(reviews) > _MOST_REVIEWS or not all(isinstance(each, dict) for each in reviews):
        raise _no_reviews(path)
    return reviews


def _in_time(reviews: list[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """By time; those without one, as pending ones are, and equal ones stay as they stand."""
    return sorted(reviews, key=lambda each: str(each.get("submitted_at") or ""))


def _login(review: Mapping[str, Any], path: str) -> str:
    match review.get("user"):
        case {"login": str(login)} if login:
            return login.lower()
        case None:
            # An account that was deleted.
            return "ghost"
    raise _no_reviews(path)


def _no_reviews(path: str) -> InputError:
    return InputError(
        f"`{path}` is no list of reviews",
        "save what `GET /repos/OWNER/REPO/pulls/NUMBER/reviews` answers",
    )
