"""Who must approve, who did, and what is missing."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringfence.errors import InputError, PolicyError
from ringfence.review.approval_rules import DEFAULT_RULES, ApprovalRules, Asked, read_approvals
from ringfence.review.given_approvals import approvals_of_reviews, standing

pytestmark = pytest.mark.unit

HEAD = """apiVersion: ringfence/v1
kind: Approvals
metadata: {name: approvals, version: 1.0.0, owner: risk@example.com, description: Who approves.}
spec:
"""
RULES = HEAD + """
  groups:
    risk: [Ann, ben, cara@example.com]
    desk: [dan, eve]
  rules:
    - {directions: [LOOSER], levels: [firm], needs: {risk: 2}}
    - {directions: [LOOSER], needs: {risk: 1}}
    - {directions: [TIGHTER, EQUAL], needs: {desk: 1}}
    - {policies: [fx-*], needs: {desk: 2}}
    - {gates: [total-exposure], needs: {anyone: 1}}
"""


RULES_READ = read_approvals(RULES.encode(), "main:.ringfence/approvals.yaml")


@pytest.fixture
def rules() -> ApprovalRules:
    return RULES_READ


@pytest.mark.parametrize(
    ("asked", "needs"),
    [
        (Asked("LOOSER", ("firm",), "firm", "daily-loss"), {"risk": 2}),
        (Asked("UNKNOWN", ("firm",), "firm", "daily-loss"), {"risk": 2}),
        (Asked("INCOMPARABLE", ("account", "firm"), "desk", "drawdown"), {"risk": 2}),
        (Asked("LOOSER", ("account",), "desk", "daily-loss"), {"risk": 1}),
        (Asked("TIGHTER", ("firm",), "firm", "daily-loss"), {"desk": 1}),
        (Asked("EQUAL", ("account",), "fx-london", ""), {"desk": 2}),
        (Asked("TIGHTER", ("account",), "desk", "total-exposure"), {"desk": 1, "anyone": 1}),
    ],
)
def test_every_rule_that_fits_a_change_binds_it(
    rules: ApprovalRules, asked: Asked, needs: dict[str, int]
) -> None:
    assert rules.needs([asked]) == needs


def test_what_is_called_otherwise_now_falls_under_the_rules_of_its_former_name_too(
    rules: ApprovalRules,
) -> None:
    renamed = Asked("TIGHTER", ("account",), "desk", "exposure", "fx-london", "total-exposure")

    assert rules.needs([renamed]) == {"desk": 2, "anyone": 1}


def test_of_several_changes_the_most_is_needed(rules: ApprovalRules) -> None:
    changes = [
        Asked("LOOSER", ("account",)),
        Asked("LOOSER", ("firm",)),
        Asked("TIGHTER", ("firm",)),
    ]

    assert rules.needs(changes) == {"risk": 2, "desk": 1}
    assert rules.needs([]) == {}


def test_without_a_file_two_people_loosen_the_firm_and_one_does_all_else() -> None:
    assert DEFAULT_RULES.needs([Asked("LOOSER", ("firm",))]) == {"anyone": 2}
    assert DEFAULT_RULES.needs([Asked("UNKNOWN", ("firm",))]) == {"anyone": 2}
    assert DEFAULT_RULES.needs([Asked("TIGHTER", ("firm",))]) == {"anyone": 1}
    assert DEFAULT_RULES.needs([Asked("LOOSER", ("account",))]) == {"anyone": 1}
    assert ".ringfence/approvals.yaml" in DEFAULT_RULES.source


def test_who_made_the_change_does_not_count_and_nobody_counts_twice(rules: ApprovalRules) -> None:
    found = standing(
        rules, [Asked("LOOSER", ("firm",))], ["ANN", "ann", "ben", "dan", " "], authors=["Ben"]
    )

    (need,) = found.needs
    assert (need.group, need.needed, need.given, need.missing) == ("risk", 2, ("ann",), 1)
    assert need.may == ("cara@example.com",)
    assert not found.complete
    assert found.left_out == (("ben", "made the change"), ("dan", "is in none of the groups"))
    assert standing(rules, [Asked("LOOSER", ("firm",))], ["ann", "CARA@example.com"]).complete


@given(st.lists(st.sampled_from(["ann", "ben", "cara@example.com", "dan", "eve", "zoe"])))
def test_more_approvals_never_make_more_missing(people: list[str]) -> None:
    read = RULES_READ
    asked = [Asked("LOOSER", ("firm",)), Asked("TIGHTER", ("account",))]
    missing = [
        sum(each.missing for each in standing(read, asked, people[:count]).needs)
        for count in range(len(people) + 1)
    ]

    assert missing == sorted(missing, reverse=True)


def test_a_file_that_is_none_is_findings() -> None:
    with pytest.raises(PolicyError) as caught:
        read_approvals((HEAD + "  rules: [{needs: {risk: none}}]\n").encode(), "approvals.yaml")
    assert {each.code for each in caught.value.diagnostics} == {"E153"}


def review(login: str, state: str, at: str, commit: str = "a" * 40) -> dict[str, Any]:
    return {"user": {"login": login}, "state": state, "submitted_at": at, "commit_id": commit}


def read(reviews: object, commit: str = "a" * 40) -> tuple[list[str], list[tuple[str, str]]]:
    return approvals_of_reviews(json.dumps(reviews).encode(), "reviews.json", commit)


def test_the_last_review_of_each_person_counts_and_remarks_do_not() -> None:
    reviews = [
        review("Ann", "APPROVED", "2026-01-05T12:00:00Z"),
        review("ann", "COMMENTED", "2026-01-05T13:00:00Z"),
        review("ben", "CHANGES_REQUESTED", "2026-01-05T14:00:00Z"),
        review("ben", "APPROVED", "2026-01-05T11:00:00Z"),
        review("cara", "APPROVED", "2026-01-05T11:00:00Z", "b" * 40),
        review("dan", "DISMISSED", "2026-01-05T11:00:00Z"),
        {"user": {"login": "eve"}, "state": "PENDING"},
        {"user": None, "state": "APPROVED"},
    ]

    people, left_out = read(reviews)

    assert people == ["ghost", "ann"]
    assert sorted(left_out) == [
        ("ben", "asks for changes"),
        ("cara", "approved bbbbbbbbbbbb, not aaaaaaaaaaaa"),
        ("dan", "was dismissed"),
    ]
    # Without a commit to hold them against, all of them are of this one.
    assert "cara" in read(reviews, "")[0]
    # Pages of reviews, as the command line of the host gives them.
    assert read([reviews[:3], reviews[3:]])[0] == people


@pytest.mark.parametrize(
    "text", [b"", b"{}", b"[1]", b'[{"user": "ann"}]', b'[{"user": {}}]', b"\xff", b"[" * 9999]
)
def test_what_is_no_list_of_reviews_is_bad_input(text: bytes) -> None:
    with pytest.raises(InputError):
        approvals_of_reviews(text, "reviews.json")
