"""The pull-request comment: short enough for its host, inert whatever the names are."""

import re

import pytest
from markdown_it import MarkdownIt

from replay.sample_summaries import GATES, INJECTION, SAMPLES, everyday, made_halts, make_summary
from ringfence.replay.markdown import MAX_CHARACTERS, render_markdown

pytestmark = pytest.mark.unit

ALLOWED_HTML = {"details", "summary", "code", "sub"}


def as_html(text):
    return MarkdownIt("gfm-like", {"html": True, "linkify": False}).render(text)


@pytest.mark.parametrize("name", SAMPLES)
def test_comment_fits_its_host(name):
    assert len(render_markdown(SAMPLES[name]())) <= MAX_CHARACTERS


def test_worst_names_in_many_gates_still_fit():
    gates = {f"{i}{INJECTION * 3}": "money" for i in range(60)}
    summary = make_summary(gates=gates, changed=400, buckets=2)
    summary["unreplayable"] *= 80
    summary["assumptions"] = [INJECTION * 20] * 80

    text = render_markdown(summary)

    assert len(text) <= MAX_CHARACTERS
    assert text.count("<details>") == text.count("</details>")
    assert re.search(r"and \d+ more gates, not listed here", text)


def test_verdict_is_one_line_at_the_top():
    first = render_markdown(everyday()).splitlines()[0]

    assert first == (
        "### Ringfence dry run: this change alters 36 of 4,800 orders (0.8 %): "
        "12 newly rejected, 12 newly reduced, 12 newly approved."
    )


def test_changes_show_gate_orders_and_money():
    text = render_markdown(everyday())

    assert "**At stake:** notional 3,083,724 USDT, P&amp;L" not in text
    assert "notional 3,083,724 USDT, P&L -321.50 USDT." in text
    assert "| <code>correlated-exposure</code> | 6 | 497,279.05 USDT |" in text


def test_headroom_is_said():
    text = render_markdown(everyday())

    assert "How close to each limit: at most 105.0 % used" in text
    assert "never above 20 %" in text


@pytest.mark.parametrize("name", SAMPLES)
def test_every_table_row_has_as_many_cells_as_its_head(name):
    blocks = re.findall(r"(?:^\|.*\n?)+", render_markdown(SAMPLES[name]()), flags=re.MULTILINE)

    for block in blocks:
        assert len({line.count("|") for line in block.splitlines()}) == 1


@pytest.mark.parametrize("name", SAMPLES)
def test_only_the_comments_own_html_is_left(name):
    text = render_markdown(SAMPLES[name]())

    assert set(re.findall(r"</?([A-Za-z]+)", text)) <= ALLOWED_HTML


def test_names_make_no_link_image_mention_or_script():
    text = render_markdown(SAMPLES["hostile_names"]())
    html = as_html(text)

    assert "<a " not in html
    assert "<img" not in html
    assert "<script" not in html
    assert "@team" not in text
    assert "\x1b" not in text
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in html


def test_tables_render_as_tables():
    html = as_html(render_markdown(everyday()))

    assert html.count("<table>") == 6
    assert all(f"<code>{gate}</code>" in html for gate in GATES)


def test_orders_that_no_gate_held_back_are_told_with_their_reason():
    summary = everyday()
    for run in summary["sides"]["head"]["modes"].values():
        run["reasons"] = [{"code": "SIZE_OFF_STEP", "orders": 3}]

    html = as_html(render_markdown(summary))
    assert "Rejected whatever the gates say (head)" in html
    assert "<td>the size is no multiple of the lot step</td>" in html


def test_books_that_were_halted_are_told():
    summary = everyday()
    assert "halted" not in render_markdown(summary)
    summary["sides"]["head"]["modes"]["propagated"]["halts"] = made_halts(["account/main"], 1)

    html = as_html(render_markdown(summary))
    assert "Books that a gate halted: 1 time (head)" in html
    assert "<td><code>account/main</code></td>" in html


def test_interrupted_run_is_announced_first():
    text = render_markdown({**everyday(), "interrupted": True})

    assert text.startswith("> [!WARNING]\n> Interrupted")


def test_nothing_replayed_says_why_and_shows_no_decisions():
    text = render_markdown(SAMPLES["zero_orders"]())

    assert "no order could be replayed" in text
    assert "7 rows not replayed (100.0 %)" in text
    assert "notional approved" not in text
