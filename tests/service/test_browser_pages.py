"""Every page of the dashboard in a real browser: it loads nothing from elsewhere, and anybody can read it."""

from typing import Any

import pytest

from service.browsing import CLIPPED, VIEWS, Browsing, violations

pytestmark = [
    pytest.mark.integration,
    pytest.mark.needs("chromium", "chromium"),
    # Playwright's own program is linked against it.
    pytest.mark.needs("libatomic.so.1", "libatomic1"),
]

PAGES = ("/", "/nowhere")


@pytest.mark.parametrize("view", VIEWS)
@pytest.mark.parametrize("path", PAGES)
def test_page_is_whole_and_accessible(browsing: Browsing, path: str, view: str) -> None:
    page: Any = browsing.open(path, view=view)

    assert violations(page) == []
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert page.evaluate(CLIPPED) == []
