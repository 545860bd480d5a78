"""A plan's page in a real browser: no request, nothing clipped, no wider than the screen; light, dark, phone."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from replay.sample_summaries import SAMPLES
from replay.test_report_browser import CHROMIUM, CLIPPED, FAINT, FLAGS, SIDEWAYS, VIEWS
from review.plans import edited, plan, usual
from ringfence.review.plan_html import render_html

pytestmark = [
    pytest.mark.integration,
    pytest.mark.needs("chromium", "chromium"),
    # Playwright's own program is linked against it.
    pytest.mark.needs("libatomic.so.1", "libatomic1"),
]
sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")


def pages() -> dict[str, dict[str, Any]]:
    full = usual(dry_run=SAMPLES["everyday"]())
    full["dry_run"]["books"] = {"touched": 1, "accounts": 2, "left_out": 3, "why": ""}
    crowded = usual(blame="a product of two unknowns: order.size * book.equity")
    for change in crowded["changes"]:
        change["policy"] = "a-policy-with-a-name-that-is-as-long-as-names-may-be" * 2
        change["moves"] *= 12
        change["moves"][0] = {
            **change["moves"][0],
            "new": "x" * 300,
            "where": "accounts " + "a, " * 100,
        }
    return {
        "full": full,
        "crowded": crowded,
        "tighter": plan(edited(("firm.yaml", "4%", "3%")), ["TIGHTER"], "TIGHTER"),
    }


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with sync_api.sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=str(CHROMIUM), args=FLAGS)
        yield started
        started.close()


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("plans")
    found = {}
    for name, each in pages().items():
        found[name] = folder / f"{name}.html"
        found[name].write_text(render_html(each), encoding="utf-8")
    return found


@pytest.mark.parametrize("view", VIEWS)
@pytest.mark.parametrize("name", ["full", "crowded", "tighter"])
def test_page_is_whole_and_legible(
    browser: Any, files: dict[str, Path], name: str, view: str
) -> None:
    context = browser.new_context(**VIEWS[view])
    try:
        page = context.new_page()
        said: list[str] = []
        asked: list[str] = []
        page.on("console", lambda message: said.append(message.text))
        page.on("request", lambda request: asked.append(request.url))
        page.goto(files[name].as_uri())

        assert said == []
        assert [url for url in asked if not url.startswith("data:")] == [files[name].as_uri()]
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        assert page.evaluate(CLIPPED) == []
        assert page.evaluate(FAINT) == []
    finally:
        context.close()


def test_no_table_has_to_be_scrolled_sideways_on_a_narrow_desk(
    browser: Any, files: dict[str, Path]
) -> None:
    page = browser.new_page()
    page.goto(files["full"].as_uri())
    for width in (800, 1024, 1100):
        page.set_viewport_size({"width": width, "height": 900})

        assert (width, page.evaluate(SIDEWAYS)) == (width, [])
    assert page.locator(".scroll:not([tabindex='0'][role=group][aria-labelledby])").count() == 0
    page.close()
