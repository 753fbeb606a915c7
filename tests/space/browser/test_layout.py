"""Every tab in a browser at four widths and two themes: nothing overflows, and axe finds nothing serious of ours."""

import pytest


TABS = {
    "search": "#qe-result .qe-side",
    "queries": ".qe-queries",
    "pairs": ".qe-pairs",
    "results": ".qe-about table",
    "data": "#qe-file",
}
WIDTHS = (320, 360, 768, 1440)
# What gradio itself draws; by the element that it belongs to.
GRADIOS = ("footer", ".toast-wrap", "gradio-app > :not(.gradio-container)")


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("tab", list(TABS))
def test_nothing_overflows_and_axe_finds_nothing_serious(visit, tab, theme):
    """One visit for both: to open the page takes longer than to look at it."""
    page = visit(f"?tab={tab}", theme=theme)
    page.wait_for_selector(f"{TABS[tab]} >> visible=true")
    for width in WIDTHS:
        page.set_viewport_size({"width": width, "height": 900})
        page.wait_for_timeout(150)
        found = page.evaluate("[document.documentElement.scrollWidth, document.body.scrollWidth]")
        assert max(found) <= width, (width, found, widest(page))
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="axe-playwright-python is not installed")
    page.wait_for_timeout(300)
    found = axe.Axe().run(page, context={"exclude": [[name] for name in GRADIOS]}).response["violations"]
    serious = {
        rule["id"]: [(node["target"], node["failureSummary"][:300]) for node in rule["nodes"]]
        for rule in found
        if rule["impact"] in ("serious", "critical")
    }
    assert serious == {}


def widest(page) -> list:
    """The elements that stand out, for the message."""
    return page.evaluate(
        """() => [...document.querySelectorAll('body *')].filter(e => e.getBoundingClientRect().right > innerWidth + 1)
             .slice(0, 5).map(e => e.tagName + '.' + e.className)"""
    )


@pytest.mark.parametrize("tab", list(TABS))
def test_the_tab_of_the_address_is_open_and_every_tab_is_there_once(visit, tab):
    page = visit(f"?tab={tab}")
    page.wait_for_selector(f"{TABS[tab]} >> visible=true")
    shown = page.locator("[role=tab]:visible")
    assert shown.evaluate_all("tabs => tabs.map(tab => tab.dataset.tabId)") == list(TABS)
    assert page.locator("[role=tab][aria-selected=true]:visible").get_attribute("data-tab-id") == tab


def test_headings_are_in_order_and_motion_is_reduced(visit):
    page = visit(reduced_motion="reduce")
    levels = page.evaluate("[...document.querySelectorAll('h1, h2, h3, h4')].map(e => Number(e.tagName[1]))")
    assert levels[0] == 1 and levels.count(1) == 1
    assert all(after <= before + 1 for before, after in zip(levels, levels[1:], strict=False)), levels
    assert page.evaluate("getComputedStyle(document.querySelector('.qe-button')).transitionProperty") in (
        "none",
        "all",
    )
    assert page.evaluate("getComputedStyle(document.querySelector('.qe-button')).animationName") == "none"


def test_test_queries_are_filtered_sorted_and_opened_in_search(visit, student):
    page = visit("?tab=queries")
    rows = page.locator(".qe-queries tbody tr:visible")
    assert (
        rows.count() == 4
        and page.get_by_role("tab", name="Test queries").last.get_attribute("aria-selected") == "true"
    )
    page.get_by_role("searchbox", name="Search").fill("LINE")
    assert rows.count() == 1 and page.inner_text(".qe-count") == "1 queries"
    page.get_by_role("searchbox", name="Search").fill("")
    page.get_by_role("combobox", name="Change").select_option("helped")
    assert rows.count() == 2
    page.get_by_role("combobox", name="Change").select_option("")
    page.get_by_role("button", name="plain", exact=True).click()
    assert rows.first.locator("td").nth(1).inner_text() == "1.00"
    page.get_by_role("button", name="fit a line").click()
    page.wait_for_selector("#qe-result .qe-new")
    assert page.get_by_role("textbox", name="Search query").input_value() == "fit a line"
    assert "tab=" not in page.url and "q=fit+a+line" in page.url and student.asked == []
    page.go_back()
    page.wait_for_selector(".qe-queries tbody tr")


def test_pairs_are_filtered(visit):
    page = visit("?tab=pairs")
    cards = page.locator(".qe-pair:visible")
    page.wait_for_selector(".qe-pair")
    assert cards.count() == 2
    page.get_by_role("spinbutton", name="Margin at least").fill("0.3")
    assert cards.count() == 1 and page.inner_text(".qe-count >> visible=true") == "1 pairs"
    page.get_by_role("searchbox", name="Search").last.fill("no such")
    assert cards.count() == 0
