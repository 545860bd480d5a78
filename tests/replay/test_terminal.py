"""The summary on a terminal: the verdict first, no markup from the data, nothing cut in silence."""

import io
import re

import pytest
from rich.cells import cell_len
from rich.console import Console

from replay.sample_summaries import SAMPLES, everyday
from ringfence.replay.terminal import render_terminal

pytestmark = pytest.mark.unit


def shown(summary, width=100, results=None, terminal=False):
    text = io.StringIO()
    console = Console(file=text, width=width, force_terminal=terminal, color_system=None)
    render_terminal(summary, console, results)
    return text.getvalue()


def words(text):
    return " ".join(text.split())


@pytest.mark.parametrize("width", [60, 80, 120, 200])
@pytest.mark.parametrize("name", SAMPLES)
def test_no_line_is_wider_than_the_terminal(name, width):
    lines = shown(SAMPLES[name](), width, terminal=True).splitlines()
    assert max(cell_len(line) for line in lines) <= width


def test_where_there_is_no_terminal_no_sentence_is_broken():
    lines = shown(everyday(), 60).splitlines()

    assert lines[0].startswith("This change alters 36 of 4,800 orders (0.8 %): 12 newly rejected")
    assert lines[0].endswith(".")
    assert lines[1] == "At stake: notional 3,083,724 USDT, P&L -321.50 USDT."
    for each in everyday()["assumptions"]:
        assert f"- {each}" in lines


@pytest.mark.parametrize("width", [60, 70, 75, 76, 80])
def test_a_narrow_terminal_cuts_no_figure_and_no_remark(width):
    text = shown(everyday(), width)

    assert not re.search(r"[0-9.,]…", text)
    assert "never" in text
    assert ("p50" in text) is (width >= 76)


def test_verdict_and_stake_come_first():
    lines = words(shown(everyday()))

    assert lines.startswith("This change alters 36 of 4,800 orders (0.8 %): 12 newly rejected")
    assert "At stake: notional 3,083,724 USDT, P&L -321.50 USDT." in lines


def test_every_gate_is_listed_with_its_use_and_remark():
    text = words(shown(everyday(), 120))

    assert "position-count 12.0 % 10.8 % 7.2 % 3.6 % 0 never above 20 %" in text
    assert "kill-switch - - - - 0" in text
    assert "shadow: changes no decision" in text


def test_gates_closest_to_their_limit_come_first():
    table = shown(everyday(), 120).partition("How close to each limit")[2]

    assert table.index("105.0 %") < table.index("74.0 %") < table.index("12.0 %")


def test_without_a_base_what_was_held_back_is_at_stake():
    text = words(shown(SAMPLES["without_base"]()))

    assert text.startswith("Of 4,800 orders: 3,807 approved, 391 reduced, 602 rejected.")
    assert "888,840.00 USDT rejected and 296,280.00 USDT cut" in text
    assert "The gates that held orders back" in text


def test_nothing_replayed_is_said_with_the_reason():
    text = words(shown(SAMPLES["zero_orders"]()))

    assert text.startswith("No order could be replayed")
    assert "size is missing or not above zero row 17: size=0 7" in text


def test_orders_that_no_gate_held_back_are_told_with_their_reason():
    summary = SAMPLES["without_base"]()
    (mode,) = {*summary["sides"]["head"]["modes"]} - {"frozen"}
    run = summary["sides"]["head"]["modes"][mode]
    told = [{"code": "NO_POLICY", "orders": 1400}, {"code": "UNKNOWN_INSTRUMENT", "orders": 7}]
    run["reasons"] = [*told, {"code": "TOTAL_EXPOSURE", "orders": 2}]
    text = words(shown(summary))

    assert "Rejected whatever the gates say" not in words(shown(SAMPLES["without_base"]()))
    assert "Rejected whatever the gates say reason meaning orders" in text
    assert "NO_POLICY no policy covers the order 1,400" in text
    assert "UNKNOWN_INSTRUMENT no instruments file knows the symbol 7" in text
    assert "TOTAL_EXPOSURE" not in text


def test_cut_tables_say_how_much_is_missing():
    text = words(shown(SAMPLES["crowded"](), 120))

    assert "... and 22 more gates" in text
    assert "... and 12,337 more orders" in text
    assert "... and 32 more reasons" in text
    assert "Books that a gate halted from book gate" in text
    assert "account/account-0007 daily-loss ... and 1,226 more halts" in text


def test_names_cannot_style_or_move_the_terminal():
    text = shown(SAMPLES["hostile_names"](), 120, terminal=False)

    assert "\x1b" not in text
    assert "<script>" in text


def test_square_brackets_in_names_are_not_read_as_markup():
    summary = everyday()
    summary["assumptions"] = ["[red]kept[/red] as [it] is"]

    assert "- [red]kept[/red] as [it] is" in shown(summary)


def test_interruption_and_results_are_told():
    path = "a/long/path/" * 12 + "report.html"
    summary = {**everyday(), "interrupted": True}

    text = shown(summary, 80, {"report": path, "decisions": "out/decisions.parquet"})

    assert text.startswith("interrupted: the figures cover only what was done")
    assert f"report     {path}" in text.splitlines()
    assert "decisions  out/decisions.parquet" in text.splitlines()
