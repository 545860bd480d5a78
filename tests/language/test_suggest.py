"""Near misses among known names."""

import pytest

from ringfence.language.suggest import closest, did_you_mean, one_of, suggestion

pytestmark = pytest.mark.unit

KNOWN = ["max_loss", "max_loss_ratio", "basis"]


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("max_los", "max_loss"),
        ("MAX-LOSS", "max_loss"),
        ("max loss ratio", "max_loss_ratio"),
        ("bsis", "basis"),
        ("zzz", None),
        ("", None),
        ("b" * 100_000, None),
    ],
)
def test_closest(name: str, meant: str | None) -> None:
    assert closest(name, KNOWN) == meant


def test_the_two_wordings() -> None:
    assert did_you_mean("bsis", KNOWN) == ", did you mean `basis`?"
    assert suggestion("bsis", KNOWN) == "did you mean `basis`?"
    assert did_you_mean("zzz", KNOWN) == suggestion("zzz", KNOWN) == ""


def test_long_lists_are_cut() -> None:
    assert one_of(["b", "a"]) == "`a`, `b`"
    assert one_of(str(n) for n in range(15)).endswith("and 3 more")
