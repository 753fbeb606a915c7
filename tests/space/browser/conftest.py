"""A browser, and visits to the page."""

import shutil
from contextlib import suppress

import pytest


CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)


@pytest.fixture(scope="module")
def browser():
    """Closed with its module: as long as it is open, nothing else in this thread has an event loop of its own."""
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    if CHROMIUM is None:
        pytest.skip("no Chromium here: apt-get install chromium")
    with playwright.sync_playwright() as started:
        opened = started.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield opened
        opened.close()


@pytest.fixture
def visit(browser, address, student):
    """Opens pages of a new visitor, and sees to it that none of them complains."""
    complaints, contexts = [], []

    def opened(path: str = "", width: int = 1280, theme: str = "light", **how):
        contexts.append(browser.new_context(viewport={"width": width, "height": 900}, **how))
        page = contexts[-1].new_page()
        page.set_default_timeout(15_000)
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("request", lambda asked: asked.url.startswith(address) or complaints.append(asked.url))
        mark = "&" if "?" in path else "?"
        page.goto(f"{address}/{path}{mark}__theme={theme}")
        page.wait_for_selector("#qe-result .qe-side", state="attached")
        return page

    yield opened
    for context in contexts:
        with suppress(Exception):
            context.close()
    assert [complaint for complaint in complaints if not complaint.startswith(("data:", "blob:"))] == []
