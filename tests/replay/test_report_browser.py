"""The report in a real browser: no error, no request, no overlap, no clipping, light, dark, phone."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from replay.sample_summaries import SAMPLES
from ringfence.replay.report import render_html

CHROMIUM = Path("/usr/bin/chromium")
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]

pytestmark = [
    pytest.mark.integration,
    pytest.mark.needs("chromium", "chromium"),
    # Playwright's own program is linked against it.
    pytest.mark.needs("libatomic.so.1", "libatomic1"),
]
sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")

VIEWS = {
    "desk": {"viewport": {"width": 1440, "height": 900}, "color_scheme": "light"},
    "desk dark": {"viewport": {"width": 1440, "height": 900}, "color_scheme": "dark"},
    "phone": {"viewport": {"width": 360, "height": 740}, "color_scheme": "light"},
    "phone dark": {"viewport": {"width": 360, "height": 740}, "color_scheme": "dark"},
}

# Texts of one drawing that touch one another, or leave it. A pixel is let go: boxes hold the line's
# height, not the ink.
OVERLAPS = """() => {
  const found = [];
  for (const svg of document.querySelectorAll('svg.plot')) {
    const frame = svg.getBoundingClientRect();
    if (!frame.width) continue;
    const texts = [...svg.querySelectorAll('text')].map(t => [t.textContent, t.getBoundingClientRect()]);
    texts.forEach(([a, p], i) => {
      if (p.left < frame.left - 1 || p.right > frame.right + 1 || p.top < frame.top - 1 || p.bottom > frame.bottom + 1)
        found.push(`${a} leaves its plot`);
      texts.slice(i + 1).forEach(([b, q]) => {
        if (p.left < q.right - 1 && q.left < p.right - 1 && p.top < q.bottom - 3 && q.top < p.bottom - 3)
          found.push(`${a} over ${b}`);
      });
    });
    if (texts.some(([, box]) => box.height < 9)) found.push('text below 9 px');
  }
  return found;
}"""

# Elements whose text is wider than they are and that neither scroll nor shorten it on purpose.
CLIPPED = """() => [...document.querySelectorAll('main *')].filter(e => {
  const style = getComputedStyle(e);
  return e.clientWidth > 1 && e.scrollWidth > e.clientWidth + 1 && !e.closest('svg,.scroll,select,input')
    && style.webkitLineClamp === 'none' && style.display !== 'inline';
}).map(e => `${e.tagName}.${e.className}: ${e.textContent.slice(0, 60)}`)"""

# Text that does not stand out from what is behind it: WCAG asks for 4.5, or 3 for large text.
FAINT = """() => {
  const parse = c => { const n = c.match(/[\\d.]+/g).map(Number); return n.length > 3 ? n : [...n, 1]; };
  const light = ([r, g, b]) => {
    const [x, y, z] = [r, g, b].map(v => (v /= 255) <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
    return 0.2126 * x + 0.7152 * y + 0.0722 * z;
  };
  const behind = e => {
    for (; e; e = e.parentElement) { const c = parse(getComputedStyle(e).backgroundColor); if (c[3] === 1) return c; }
    return [255, 255, 255];
  };
  const found = new Set();
  for (const e of document.querySelectorAll('body *')) {
    const own = [...e.childNodes].some(n => n.nodeType === 3 && n.textContent.trim());
    if (!own || !e.getClientRects().length || e.closest('script,style,option')) continue;
    const style = getComputedStyle(e);
    const ink = parse(e.closest('svg') ? style.fill : style.color);
    const [a, b] = [light(ink), light(behind(e))];
    const contrast = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    const large = parseFloat(style.fontSize) >= 18;
    if (contrast < (large ? 3 : 4.5)) found.add(`${e.tagName}.${e.className.baseVal ?? e.className} ${contrast.toFixed(2)}`);
  }
  return [...found];
}"""


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with sync_api.sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=str(CHROMIUM), args=FLAGS)
        yield started
        started.close()


@pytest.fixture(scope="module")
def reports(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    folder = tmp_path_factory.mktemp("reports")
    for name, build in SAMPLES.items():
        (folder / f"{name}.html").write_text(render_html(build()), encoding="utf-8")
    return {name: (folder / f"{name}.html").as_uri() for name in SAMPLES}


@pytest.fixture
def open_page(browser: Any, reports: dict[str, str]) -> Iterator[Any]:
    contexts: list[Any] = []

    def opened(name: str, view: str = "desk") -> Any:
        context = browser.new_context(**VIEWS[view])
        contexts.append(context)
        page = context.new_page()
        page.complaints = []
        page.requests = []
        page.on("console", lambda message: page.complaints.append(message.text))
        page.on("pageerror", lambda error: page.complaints.append(str(error)))
        page.on("request", lambda request: page.requests.append(request.url))
        page.on("dialog", lambda dialog: (page.complaints.append("dialog"), dialog.dismiss()))
        page.goto(reports[name])
        return page

    yield opened
    for context in contexts:
        context.close()


@pytest.mark.parametrize("view", VIEWS)
@pytest.mark.parametrize("name", SAMPLES)
def test_page_is_whole_and_legible(open_page, reports, name, view):
    page = open_page(name, view)

    assert page.complaints == []
    assert [url for url in page.requests if not url.startswith("data:")] == [reports[name]]
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert page.evaluate(OVERLAPS) == []
    assert page.evaluate(CLIPPED) == []
    assert page.evaluate(FAINT) == []


# Tables that need to be scrolled sideways.
SIDEWAYS = """() => [...document.querySelectorAll('.scroll')].filter(e => e.scrollWidth > e.clientWidth + 1).map(
  e => e.getAttribute('aria-labelledby') ?? e.getAttribute('aria-label'))"""


@pytest.mark.parametrize("name", ["everyday", "hostile_names", "crowded"])
def test_no_table_has_to_be_scrolled_sideways_on_a_narrow_desk(open_page, name):
    page = open_page(name)
    # A wider desk has tables; names of a hundred letters may be wider yet.
    for width in (1024, 1100, 1240, *([1280] if name == "everyday" else [])):
        page.set_viewport_size({"width": width, "height": 900})

        assert (width, page.evaluate(SIDEWAYS), page.evaluate(CLIPPED)) == (width, [], [])
    assert page.locator("#changed td[data-l=notional]").first.is_visible()


def test_tables_can_be_scrolled_by_keyboard_and_have_names(open_page):
    page = open_page("everyday")
    page.click("[data-plot=equity] .as-table")
    frames = page.locator(".scroll")

    named = "all => all.filter(e => e.tabIndex === 0 && (e.ariaLabel || e.ariaLabelledByElements?.length)).length"
    assert frames.count() == frames.evaluate_all(named)


def test_what_is_printed_is_dark_on_white_whatever_the_screen_is(open_page):
    page = open_page("everyday", "desk dark")
    page.click("#theme")
    page.click("#theme")
    assert page.text_content("#theme") == "theme: dark"

    page.emulate_media(media="print", color_scheme="dark")

    assert page.evaluate(FAINT) == []


def test_one_drawing_of_each_plot_is_shown_at_any_width(open_page):
    for view, size in (("desk", "wide"), ("phone", "narrow")):
        page = open_page("everyday", view)
        shown = page.evaluate(
            "[...document.querySelectorAll('[data-plot=equity] svg')]"
            ".filter(s => s.getBoundingClientRect().width).map(s => s.classList[1])"
        )
        assert shown == [size]


def test_theme_can_be_chosen_against_the_system(open_page):
    page = open_page("everyday", "desk dark")
    ground = "getComputedStyle(document.body).backgroundColor"
    dark = page.evaluate(ground)

    page.click("#theme")

    assert page.text_content("#theme") == "theme: light"
    assert page.evaluate(ground) != dark
    page.click("#theme")
    assert page.evaluate(ground) == dark


def test_plots_change_their_colours_with_the_theme(open_page):
    colour = "getComputedStyle(document.querySelector('.plot text')).fill"

    assert open_page("everyday").evaluate(colour) != open_page("everyday", "desk dark").evaluate(
        colour
    )


def test_pointer_reads_values_with_time_and_unit(open_page):
    page = open_page("everyday")
    canvas = page.locator("[data-plot=decisions] .canvas")
    said = page.locator("[data-plot=decisions] .readout")
    before = said.inner_text()

    canvas.hover(position={"x": 400, "y": 80})

    assert "2025-11-28" in said.inner_text()
    assert "UTC" in said.inner_text()
    assert "head rejected" in said.inner_text()
    page.mouse.move(1, 1)
    assert said.inner_text() == before


def test_arrow_keys_read_values(open_page):
    page = open_page("everyday")
    page.focus("[data-plot=use-1] .canvas")

    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowRight")

    said = page.inner_text("[data-plot=use-1] .readout")
    assert said.startswith("2025-11-28 09:45:00 UTC")
    assert "%" in said
    assert page.locator("[data-plot=use-1] .cross").count() == 1


def test_plot_can_be_read_as_a_table(open_page):
    page = open_page("everyday")

    page.click("[data-plot=equity] .as-table")

    assert page.locator("[data-plot=equity] tbody tr").count() == 48
    assert "USDT" in page.inner_text("[data-plot=equity] tbody tr:first-child")


def test_changed_orders_can_be_found_filtered_and_sorted(open_page):
    page = open_page("everyday")
    rows = page.locator("#changed tbody tr:visible")

    page.select_option("#kind", "newly reduced")
    assert rows.count() == 12
    page.fill("#find", "ord-000001")
    assert rows.count() == 1
    assert page.text_content("#shown") == "1 of 36 shown"
    page.fill("#find", "")
    page.select_option("#sort", "11 desc")
    money = [
        float(v)
        for v in page.eval_on_selector_all(
            "#changed tbody tr:not([hidden]) td:last-child", "cells => cells.map(c => c.dataset.v)"
        )
    ]
    assert money == sorted(money, reverse=True)
    page.click("#changed thead th:first-child button")
    assert page.get_attribute("#changed thead th:first-child", "aria-sort") == "ascending"
    assert page.complaints == []


def test_report_is_complete_without_script(browser, reports):
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(reports["everyday"])

    assert page.locator("#changed tbody tr").count() == 36
    assert not page.locator(".filters").is_visible()
    assert not page.locator(".as-table").first.is_visible()
    context.close()
