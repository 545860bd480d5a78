"""Values that are read without Cerberus: never another answer than that of Cerberus."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringfence.language.parameters import CURRENCY, DURATIONS, TYPES, Parameter, ParameterSet

pytestmark = pytest.mark.unit

ALLOWED = ("bid", "ask", "last")
NUMBERS = st.from_regex(r"[+-]?[0-9_.]{1,6}([eE][+-]?[0-9]{1,3})?", fullmatch=True)
UNITS = st.sampled_from([*DURATIONS, "%", "bps", "bp", "x", "USD", ""]) | st.from_regex(CURRENCY)
TEXTS = st.builds("{}{}{}".format, NUMBERS, st.sampled_from(["", " "]), UNITS)
NAMES = st.sampled_from([*ALLOWED, "mid", ""])
VALUES = st.one_of(
    TEXTS,
    NAMES,
    st.lists(NAMES | st.integers(), max_size=3),
    st.integers(-3, 10**4) | st.just(10**400),
    st.floats(),
    st.booleans(),
    st.none(),
    st.dictionaries(NAMES, st.integers(), max_size=1),
)
PLAIN_DEFAULTS = st.none() | TEXTS | NAMES | st.lists(NAMES, max_size=2) | st.integers(-1, 3)


@st.composite
def parameters(draw: st.DrawFn) -> dict[str, Parameter]:
    kinds = draw(st.lists(st.sampled_from(TYPES), min_size=1, max_size=3))
    return {
        f"p{index}": Parameter(
            f"p{index}",
            kind,
            required=draw(st.booleans()),
            default=draw(PLAIN_DEFAULTS),
            allowed=ALLOWED if kind in ("choice", "choices") else (),
        )
        for index, kind in enumerate(kinds)
    }


@given(parameters(), st.data())
def test_what_is_plainly_fine_is_what_cerberus_makes_of_it(
    declared: dict[str, Parameter], data: st.DataObject
) -> None:
    checked = ParameterSet(declared, {})
    names = st.sampled_from([*declared, "unknown"])
    for _ in range(2):
        values = data.draw(st.dictionaries(names, VALUES, max_size=3))

        plain = checked.plainly(values)

        typed, wrong = checked.judged(values)
        if plain is not None:
            assert wrong == {}
            assert list(plain.items()) == list(typed.items())
            assert [type(each) for each in plain.values()] == [
                type(each) for each in typed.values()
            ]


@pytest.mark.parametrize("value", [None, math.nan, True, 3, "3 parsecs", ["bid"], {}])
def test_what_leaves_a_doubt_is_left_to_cerberus(value: object) -> None:
    checked = ParameterSet({"age": Parameter("age", "duration")}, {})

    assert checked.plainly({"age": value}) is None
    assert checked.judged({"age": value})[1]
