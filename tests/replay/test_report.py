"""The HTML report: self-contained, escaped, complete; its plots say what the numbers say."""

import base64
import hashlib
import json
import re
from html.parser import HTMLParser
from typing import Any

import jsonschema
import matplotlib
import pytest

from replay.sample_summaries import INJECTION, SAMPLES, everyday, one_bucket
from ringfence._resources import bundled
from ringfence.replay.charts import bucket_edges, draw_equity, draw_utilisation
from ringfence.replay.inline_svg import Frame
from ringfence.replay.report import render_html

pytestmark = pytest.mark.unit

MAX_BYTES = 1_500_000


class Page(HTMLParser):
    """Collects what a browser would act on: elements, attributes, ids, text outside scripts."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str, str]] = []
        self.text: list[str] = []
        self.inside = ""
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.inside = tag
        self.attributes.extend((tag, name, value or "") for name, value in attrs)

    def handle_data(self, data: str) -> None:
        if self.inside not in ("script", "style"):
            self.text.append(data)

    def values(self, name: str) -> list[str]:
        return [value for _, key, value in self.attributes if key == name]


@pytest.fixture(scope="module")
def pages() -> dict[str, str]:
    return {name: render_html(build()) for name, build in SAMPLES.items()}


def schema() -> dict[str, Any]:
    text = (bundled("schemas") / "dry-run-summary.v1.schema.json").read_text(encoding="utf-8")
    loaded: dict[str, Any] = json.loads(text)
    return loaded


@pytest.mark.parametrize("name", SAMPLES)
def test_sample_summaries_fit_the_published_schema(name):
    jsonschema.Draft202012Validator.check_schema(schema())

    errors = list(jsonschema.Draft202012Validator(schema()).iter_errors(SAMPLES[name]()))

    assert errors == []


@pytest.mark.parametrize("name", SAMPLES)
def test_report_asks_for_nothing_outside_itself(pages, name):
    page = Page(pages[name])

    links = page.values("href") + page.values("xlink:href") + page.values("src")

    assert all(link.startswith("#") or link == "data:," for link in links)
    assert not {"iframe", "img", "object", "embed", "form[action]"} & set(page.tags)
    assert "@import" not in pages[name]
    assert "url(http" not in pages[name]


@pytest.mark.parametrize("name", SAMPLES)
def test_report_has_no_inline_styles_or_handlers_that_its_policy_would_refuse(pages, name):
    page = Page(pages[name])

    assert page.values("style") == []
    assert [key for _, key, _ in page.attributes if key.startswith("on")] == []


@pytest.mark.parametrize("name", SAMPLES)
def test_policy_allows_exactly_the_style_and_script_that_are_there(pages, name):
    policy = next(v for v in Page(pages[name]).values("content") if "default-src" in v)
    blocks = re.findall(r"<(style|script)>(.*?)</\1>", pages[name], flags=re.DOTALL)

    for kind, text in blocks:
        digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
        assert f"{kind}-src 'sha256-{digest}'" in policy
    assert [kind for kind, _ in blocks] == ["style", "script"]
    assert policy.startswith("default-src 'none'")
    assert "unsafe" not in policy


@pytest.mark.parametrize("name", SAMPLES)
def test_ids_are_unique_and_references_lead_somewhere(pages, name):
    page = Page(pages[name])
    ids = page.values("id")

    wanted = {v[1:] for v in page.values("xlink:href") + page.values("href") if v.startswith("#")}
    wanted |= {v[5:-1] for v in page.values("clip-path")}
    wanted |= set(page.values("aria-labelledby"))

    assert len(ids) == len(set(ids))
    assert wanted <= set(ids)


def test_names_from_the_data_stay_text(pages):
    page = Page(pages["hostile_names"])

    assert page.tags.count("script") == 2
    assert "img" not in page.tags
    assert "\x1b" not in pages["hostile_names"]
    assert any("<script>alert(1)</script>" in text for text in page.text)
    assert INJECTION not in pages["hostile_names"]


@pytest.mark.parametrize("name", SAMPLES)
def test_report_stays_small_enough_to_send(pages, name):
    assert len(pages[name].encode()) < MAX_BYTES


@pytest.mark.parametrize("name", SAMPLES)
def test_data_for_the_script_is_json_and_matches_the_buckets(pages, name):
    summary = SAMPLES[name]()
    found = re.search(r'<script type="application/json" id="data">(.*?)</script>', pages[name])
    assert found is not None
    data = json.loads(found.group(1))

    for rows in data.get("plots", {}).values():
        for _, _, values in rows:
            assert len(values) == len(data["edges"]) - 1
    head = next(iter(summary["sides"]["head"]["modes"].values()))
    assert bool(data) == bool(head["series"]["bucket_start"])


def test_same_summary_gives_the_same_bytes():
    assert render_html(everyday()) == render_html(everyday())


def test_settings_of_matplotlib_on_this_machine_change_nothing():
    expected = render_html(everyday())

    with matplotlib.rc_context({"font.size": 30, "axes.grid": True, "svg.fonttype": "path"}):
        assert render_html(everyday()) == expected


def test_first_screen_says_stake_gates_limits_and_orders(pages):
    text = " ".join(Page(pages["everyday"]).text)

    for said in (
        "This change alters 36 of 4,800 orders",
        "Notional at stake",
        "P&L at stake",
        "Which gate changes decisions",
        "How close to each limit",
        "never above 20 %",
        "The largest orders that change",
    ):
        assert said in text


def test_report_without_base_shows_no_comparison(pages):
    text = " ".join(Page(pages["without_base"]).text)

    assert "Which gate held orders back" in text
    assert "Orders whose decision changes" not in text
    assert "base" not in re.findall(r"[a-z]+", text)


def test_books_that_were_halted_are_listed(pages):
    assert "Books that a gate halted" not in " ".join(Page(pages["everyday"]).text)

    text = " ".join(Page(pages["crowded"]).text)
    assert "Books that a gate halted: 1,234 times (head)" in text
    assert "account/account-0999" in text
    assert "and 234 more" in text


def test_report_of_no_orders_says_so_and_lists_why(pages):
    text = " ".join(Page(pages["zero_orders"]).text)

    assert "No order could be replayed" in text
    assert "size is missing or not above zero" in text
    assert "<svg" not in pages["zero_orders"]


def test_interrupted_run_is_announced(pages):
    assert "Interrupted." in " ".join(Page(pages["extreme_numbers"]).text)
    assert "Interrupted." not in " ".join(Page(pages["everyday"]).text)


def test_gate_far_beyond_its_limit_is_said_to_be_off_the_scale():
    summary = everyday()
    run = summary["sides"]["head"]["modes"]["propagated"]
    gate = next(g["gate"] for g in run["gates"] if g["utilisation"])
    run["series"]["utilisation"][gate]["max"][20] = 50.0

    assert "Off the scale above 200 %." in render_html(summary)


def test_base_over_other_buckets_is_not_drawn_over_heads():
    summary = everyday()
    series = summary["sides"]["base"]["modes"]["propagated"]["series"]
    series["bucket_start"] = [*series["bucket_start"][:-1], "2026-01-01T00:00:00Z"]

    data = json.loads(re.findall(r'id="data">(.*?)</script>', render_html(summary))[0])

    assert {row[0] for row in data["plots"]["decisions"]} == {
        "head rejected",
        "head reduced",
        "head approved",
    }


def test_lone_bucket_ends_at_the_last_order():
    summary = one_bucket()
    start = summary["sides"]["head"]["modes"]["frozen"]["series"]["bucket_start"]

    edges = bucket_edges(start, summary["orders"]["last_ts"])

    assert edges[1] - edges[0] == 15 * 60
    assert bucket_edges(start, None)[1] - edges[0] == 3600
    assert bucket_edges([], None) == []


def test_buckets_without_values_leave_gaps_in_the_band():
    frame = Frame("small", 350, 150, 4)
    edges = [0.0, 900.0, 1800.0, 2700.0]
    whole = {"max": [0.5, 0.5, 0.5], "p50": [0.1, 0.1, 0.1], "p90": [0.3, 0.3, 0.3]}
    broken = {name: [values[0], None, values[2]] for name, values in whole.items()}

    bands = [draw_utilisation("k", v, None, edges, frame).count("--band") for v in (whole, broken)]

    assert bands[1] == 2 * bands[0] > 0


@pytest.mark.parametrize(
    ("low", "high", "labels", "head"),
    [
        (10_000_000, 10_007_500, ["10.0000M", "10.0025M", "10.0050M", "10.0075M"], "equity, USD<"),
        (123_456_000, 123_457_500, ["0", "+500", "+1.0k"], "equity, USD, above 123,456,000<"),
    ],
)
def test_each_label_of_equity_says_its_own_number(low, high, labels, head):
    series = {"equity": [low, high, low], "drawdown": [0.0, 0.0, 0.01]}

    drawn = draw_equity(series, None, [0.0, 5.0, 10.0, 15.0], "USD", Frame("wide", 1080, 330, 10))

    assert [label for label in labels if f">{label}<" not in drawn] == []
    assert head in drawn
