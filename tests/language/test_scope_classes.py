"""The examples of names: none is missing, and no two stand for the same globs."""

from fnmatch import fnmatchcase

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringfence.language import scope_classes
from ringfence.language.scope_classes import TooManyClassesError, representatives

pytestmark = pytest.mark.unit

signs = st.sampled_from([*"abx/", "*", "?", "[ab]", "[!a]", "[a-c]", "[", "]"])
globs = st.lists(st.lists(signs, min_size=1, max_size=4).map("".join), max_size=5)
names = st.text("abcx/[]é", max_size=5)


def matches(name: str, given_globs: list[str]) -> frozenset[str]:
    return frozenset(glob for glob in given_globs if fnmatchcase(name, glob))


@given(globs, names)
def test_any_name_has_an_example_that_matches_the_same_globs(
    given_globs: list[str], name: str
) -> None:
    examples = {matches(each, given_globs) for each in representatives(given_globs)}

    assert matches(name, given_globs) in examples


@given(globs)
def test_no_two_examples_match_the_same_globs(given_globs: list[str]) -> None:
    found = [matches(each, given_globs) for each in representatives(given_globs)]

    assert len(found) == len(set(found))


def test_two_globs_that_overlap_have_an_example_of_both() -> None:
    assert "BTC/USDT" in representatives(["BTC/*", "*/USDT"])


def test_a_glob_whose_only_names_are_named_as_well_has_no_further_example() -> None:
    assert sorted(representatives(["[ab]", "a", "b"])) == ["a", "b", "x"]


def test_the_empty_name_is_no_example_where_another_will_do() -> None:
    assert representatives(["*"]) == ("x",)


def test_globs_that_multiply_one_another_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scope_classes, "MAX_STATES", 100)

    with pytest.raises(TooManyClassesError, match="more than 100 classes"):
        representatives([f"*{sign}*" for sign in "abcdefgh"])
