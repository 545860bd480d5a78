"""Numbers and times as the pages show them."""

import re
from decimal import Decimal

import pytest

from ringfence.service.dashboard import words
from ringfence.service.dashboard.rendering import environment

pytestmark = pytest.mark.unit

NAN = float("nan")


@pytest.mark.parametrize(
    ("found", "shown"),
    [
        (words.number(1234567.5), "1,234,567.5"),
        (words.number(Decimal("0.00100")), "0.001"),
        (words.number(Decimal("1E+3")), "1,000"),
        (words.number(Decimal("2.5"), 2), "2.50"),
        (words.number(3, 1), "3.0"),
        (words.number(None), "unknown"),
        (words.number(NAN), "unknown"),
        (words.percent(0.9512), "95.1%"),
        (words.percent(None), "unknown"),
        (words.amount(4_040_000.0, "money", "USDT"), "4,040,000 USDT"),
        (words.amount(None, "money"), "unknown"),
        (words.utc(1_769_846_400_123_000_000), "2026-01-31 08:00:00 UTC"),
        (words.utc(1_769_846_400_123_999_999, 3), "2026-01-31 08:00:00.123 UTC"),
        (words.utc(10**30), f"{10**30} ns"),
        (words.iso(1_769_846_400_000_000_000), "2026-01-31T08:00:00Z"),
        (words.age(0.2504), "250 ms"),
        (words.age(59.9), "59 s"),
        (words.age(3_600), "1 h"),
        (words.age(273_600 + 59), "3 d 4 h"),
        (words.age(86_400 + 59), "1 d"),
        (words.age(None), "unknown"),
        (words.short_time(16.4e-6), "16.4 µs"),
        (words.short_time(1.05e-3), "1.05 ms"),
        (words.short_time(2.0), "2 s"),
        (words.short_time(5e-7), "500 ns"),
        (words.short_time(None), "unknown"),
        (words.counted(1, "record"), "1 record"),
        (words.counted(2000, "record"), "2,000 records"),
        (words.counted(1, "more switch", "more switches"), "1 more switch"),
        (words.counted(2, "more switch", "more switches"), "2 more switches"),
        (words.bytes_text(12), "12 bytes"),
        (words.bytes_text(1536), "1.5 KiB"),
        (words.bytes_text(64 << 30), "64.0 GiB"),
    ],
)  # fmt: skip
def test_a_value_is_shown_with_its_unit(found: str, shown: str) -> None:
    assert found == shown


def test_one_order_is_not_one_orders() -> None:
    macros = "{% import 'macros.html' as ui with context %}"
    shown = environment().from_string(macros + "{{ ui.orders(1) }}|{{ ui.orders(2000) }}").render()

    assert re.sub("<[^>]+>", "", shown) == "1 order|2,000 orders"
