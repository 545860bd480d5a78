"""Numbers in words: units, no false zero, no rounding across the limit, nothing for what is missing."""

import math

import pytest

from ringfence.backends.numba_kernel.layout import REFUSALS
from ringfence.replay.wording import (
    clip,
    count,
    measured,
    moment,
    money,
    percent,
    plural,
    quantity,
    refused,
    share,
    visible,
)

pytestmark = pytest.mark.unit


def test_every_refusal_has_its_words():
    run = {"reasons": [{"code": code, "orders": 2} for code in (*REFUSALS[1:], "DAILY_LOSS")]}

    assert [code for code, meaning, orders in refused(run) if meaning and orders == 2] == [
        *REFUSALS[1:]
    ]


@pytest.mark.parametrize(
    ("ratio", "text"),
    [
        (0.0, "0.0 %"),
        (0.4137, "41.4 %"),
        (1.0, "100.0 %"),
        (1.00001, "100.0010 %"),
        (0.99999, "99.9990 %"),
        (0.0000001, "< 0.1 %"),
        (-0.05, "-5.0 %"),
        (5000.0, "500,000 %"),
        (1e9, "1e+11 %"),
        (None, "n/a"),
        (math.nan, "n/a"),
        (math.inf, "n/a"),
    ],
)
def test_percent(ratio, text):
    assert percent(ratio) == text


@pytest.mark.parametrize(
    ("amount", "text"),
    [
        (0, "0.00 USDT"),
        (1234.567, "1,234.57 USDT"),
        (-12_345_678.9, "-12,345,679 USDT"),
        (0.00012345, "0.0001234 USDT"),
        (1e18, "1e+18 USDT"),
        (None, "n/a"),
    ],
)
def test_money(amount, text):
    assert money(amount, "USDT") == text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.0, "0"),
        (1.75, "1.75"),
        (1250, "1,250"),
        (0.00042, "0.00042"),
        (91_000.5, "91,000.5"),
        (1e-12, "1e-12"),
        (2e16, "2e+16"),
        (None, "n/a"),
        (True, "n/a"),
    ],
)
def test_quantity(value, text):
    assert quantity(value) == text


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (5.0, "duration", "5 s"),
        (0.25, "duration", "250 ms"),
        (0, "duration", "0 s"),
        (180, "duration", "3 min"),
        (9000, "duration", "2.5 h"),
        (None, "duration", "n/a"),
        (2, "state", "halted"),
        (None, "state", "n/a"),
        (7.5, "state", "7.5"),
        (10, "count", "10"),
        (0.03, "ratio", "3.0 %"),
        (50_000.0, "money", "50,000.00 USD"),
        (0.5, "quantity", "0.5"),
    ],
)
def test_measures_in_the_gates_unit(value, unit, text):
    assert measured(value, unit, "USD") == text


@pytest.mark.parametrize(
    ("iso", "text"),
    [
        ("2025-11-28T13:04:05Z", "2025-11-28 13:04:05 UTC"),
        ("2025-11-28T15:04:05+02:00", "2025-11-28 13:04:05 UTC"),
        ("2025-11-28T13:04:05.123456", "2025-11-28 13:04:05 UTC"),
        ("soon\x1b[2J", "soon\ufffd[2J"),
        (None, "n/a"),
    ],
)
def test_times_are_in_utc(iso, text):
    assert moment(iso) == text


def test_clipping_keeps_both_ends():
    assert clip("abcdefghij", 5) == "ab…ij"
    assert clip("abc", 5) == "abc"
    assert clip("abc", 1) == "…"


def test_direction_and_control_characters_are_made_visible():
    assert visible("a\u202eb\nc\x9bd") == "a\ufffdb\ufffdc\ufffdd"
    assert visible(None) == ""


def test_counts_and_shares():
    assert (count(1234), count(None)) == ("1,234", "n/a")
    assert (plural(1, "order"), plural(0, "order")) == ("1 order", "0 orders")
    assert plural(2, "strategy", "strategies") == "2 strategies"
    assert (share(1, 4), share(1, 0)) == ("25.0 %", "n/a")
