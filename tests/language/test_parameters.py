"""Parameters with units: what a policy may write, and what each slip is told."""

import pytest

from ringfence.errors import PolicyError
from ringfence.language.linking import link
from ringfence.language.parameters import TYPES, Money, Parameter, ParameterSet, fitting
from ringfence.language.source import load

pytestmark = pytest.mark.unit

RULE = ParameterSet(
    {
        "max": Parameter("max", "money", limit=True),
        "ratio": Parameter("ratio", "ratio", limit=True),
        "times": Parameter("times", "multiple"),
        "size": Parameter("size", "quantity"),
        "count": Parameter("count", "count", window="window"),
        "window": Parameter("window", "duration"),
        "working": Parameter("working", "choice", allowed=("worst-case", "gross")),
        "required": Parameter("required", "choices", allowed=("bid", "ask")),
        "allow": Parameter("allow", "globs"),
    },
    {"ratio": "95%"},
)


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("max", "50_000 USD", Money(50_000, "USD")),
        ("max", "1.5 BTC", Money(1.5, "BTC")),
        ("ratio", "3%", 0.03),
        ("ratio", "250 bps", 0.025),
        ("ratio", 0.03, 0.03),
        ("ratio", "150%", 1.5),
        ("ratio", "1.0", 1.0),
        ("ratio", " 1e-2", 0.01),
        ("times", "3x", 3.0),
        ("times", 3, 3.0),
        ("size", "0.25", 0.25),
        ("count", 10, 10.0),
        ("window", "250ms", 0.25),
        ("window", "5s", 5.0),
        ("window", "1h", 3600.0),
        ("working", "gross", "gross"),
        ("required", ["bid"], ("bid",)),
        ("allow", ["BTC/*"], ("BTC/*",)),
    ],
)
def test_values_with_units_are_read(name: str, text: object, value: object) -> None:
    values, wrong = RULE.read({name: text})

    assert wrong == {}
    assert values[name] == value


def test_a_rate_sets_the_count_and_its_window() -> None:
    values, _ = RULE.read({"count": "600/min"})

    assert (values["count"], values["window"]) == (600.0, 60.0)


def test_rates_that_share_a_window_are_of_the_same_one() -> None:
    rule = ParameterSet(
        {
            **{name: Parameter(name, "count", limit=True, window="window") for name in ("a", "b")},
            "window": Parameter("window", "duration"),
        },
        {},
    )

    values, wrong = rule.read({"a": "600/min", "b": "10/m"})
    assert (values, wrong) == ({"a": 600.0, "b": 10.0, "window": 60.0}, {})
    values, wrong = rule.read({"a": "10/s", "b": "100/m"})
    assert (values, list(wrong)) == ({}, ["b"])
    assert "`100/m` is of a window of 60s, `a` of one of 1s" in wrong["b"]


def test_a_rate_and_a_window_beside_it_are_of_the_same_length() -> None:
    values, wrong = RULE.read({"count": "600/min", "window": "60s"})
    assert (values["window"], wrong) == (60.0, {})
    values, wrong = RULE.read({"count": "600/min", "window": "1s"})
    assert values == {}
    assert wrong["count"] == (
        "`600/min` is of a window of 60s, and `window` is one of 1s: leave one of them out"
    )


@pytest.mark.parametrize(
    ("own", "override", "name"),
    [
        ("{max_orders: 10/s}", "{max_per_symbol: 5/min}", "max_per_symbol"),
        ("{max_orders: 10/s}", "{window: 1min}", "max_orders"),
        ("{max_orders: 10, window: 1s}", "{max_orders: 100/min}", "max_orders"),
    ],
)
def test_an_override_at_odds_with_the_gates_own_limits_is_refused_and_not_dropped(
    own: str, override: str, name: str
) -> None:
    text = (
        "apiVersion: ringfence/v1\nkind: Policy\n"
        "metadata: {name: desk, version: 1.0.0, owner: risk, description: test}\nspec:\n  gates:\n"
        f"    - rule: order-rate@1\n      limits: {own}\n"
        f"      overrides:\n        - {{scope: {{symbols: [BTC/USD]}}, limits: {override}}}\n"
    )
    with pytest.raises(PolicyError) as raised:
        link([load(text, "desk.yaml")], check_mandatory=False)

    (found,) = raised.value.diagnostics
    assert found.code == "E211"
    assert found.message.startswith(f"`{name}`: ")
    assert "is of a window of" in found.message
    assert found.span is not None
    assert found.span.line == 9


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("ratio", 3, "write `3%` or `0.03`"),
        ("ratio", "3", "write `3%` or `0.03`"),
        ("ratio", 1, "write `1%` or `0.01`"),
        ("ratio", "1", "write `1%` or `0.01`"),
        ("ratio", "+1", "write `1%` or `0.01`"),
        ("ratio", "3,5%", "`3,5%` is not a ratio: write `3%` or `0.03`"),
        ("ratio", True, "`true` is not a number"),
        ("times", "thrice", "`thrice` is not a multiple: write `3x` or `300%`"),
        ("max", 50_000, "write `50000 USD`"),
        ("max", "lots", "not an amount of money"),
        ("window", 5, "write `5s`"),
        ("window", "5 parsecs", "no unit of time"),
        ("window", "old", "not a duration: write `5s` or `250ms`"),
        ("window", "5", "has no unit of time: write `5s`"),
        ("count", 1.5, "not a whole number"),
        ("size", -1, "below zero"),
        ("size", float("nan"), "not a finite number"),
        ("size", True, "not a number"),
        ("size", "1e999", "the number in `1e999` is too large"),
        ("max", "1e999 USD", "the number in `1e999 USD` is too large"),
        ("max", "-5 USD", "`-5 USD` is below zero"),
        ("max", True, "`true` is not an amount of money"),
        ("ratio", "-3%", "`-3%` is below zero"),
        ("ratio", "1e999%", "the number in `1e999%` is too large"),
        ("window", "1e308w", "`1e308w` is too long"),
        ("window", True, "`true` is not a duration"),
        ("count", "10/y", "`10/y` is not a rate: write `10/s`"),
        ("count", "10/1e999s", "`10/1e999s` is not a rate: write `10/s`"),
        ("working", "net", "`net` is not one of "),
        ("working", 3, "`3` is not one of "),
        ("required", ["volume"], "not one of bid, ask"),
        ("required", [], "empty"),
        ("limit", 3, "unknown field"),
    ],
)
def test_slips_are_told_what_was_meant(name: str, text: object, message: str) -> None:
    _, wrong = RULE.read({name: text})

    assert message in wrong[name]


def test_no_form_of_a_ratio_is_proposed_that_would_be_refused() -> None:
    _, wrong = RULE.read({"ratio": 2000})

    assert wrong["ratio"] == "a bare `2000` is not a ratio: write `2000%`"


@pytest.mark.parametrize("type", TYPES)
def test_every_type_has_words_for_what_fits(type: str) -> None:
    said = fitting(Parameter("x", type, allowed=("bid", "ask") if "choice" in type else ()))

    assert said.startswith("write ")
    assert "choice" not in type or "`bid`, `ask`" in said


def test_default_limits_bind_only_where_no_limit_is_given() -> None:
    assert RULE.read({})[0]["ratio"] == 0.95
    assert "ratio" not in RULE.read({"max": "1 USD"})[0]
