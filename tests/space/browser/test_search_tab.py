"""Search in a browser: what is asked last wins, words are edited, links are shared, nothing starts by itself."""

import time

import pytest

from space.serving.line import Line
from tests.support.small_engine import STUDENT


def ask(page, query: str) -> None:
    box = page.get_by_role("textbox", name="Search query")
    box.fill(query)
    box.press("Enter")


def words(page, system: str = STUDENT):
    return page.get_by_role("textbox", name=f"Words of {system}")


def wait_for_words(page, text: str) -> None:
    page.wait_for_function(
        "text => [...document.querySelectorAll('.qe:not([hidden]) .qe-words')].some(box => box.value.includes(text))",
        arg=text,
    )


def test_it_opens_with_an_example_that_was_recorded(visit, student):
    page = visit()
    assert page.get_by_role("textbox", name="Search query").input_value() == "store arrays on disk"
    assert words(page).input_value() == "write binary file" and "the page looked for: " in page.inner_text(".qe-chips")
    assert "recorded" in page.inner_text(".qe-new .qe-cost") and student.asked == []


def test_a_second_query_wins_and_the_first_never_appears(visit, student):
    page = visit()
    ask(page, "alpha arrays")
    page.wait_for_selector("text=The model is writing")
    # From here on everything that is ever visible is kept.
    page.evaluate(
        """() => {
          window.seen = [];
          const look = () => window.seen.push(document.querySelector('#qe-result .qe:not([hidden])')?.innerText +
            [...document.querySelectorAll('.qe:not([hidden]) .qe-words')].map(box => box.value));
          new MutationObserver(look).observe(document.querySelector('#qe-result'), {childList: true, subtree: true});
        }"""
    )
    ask(page, "beta file")
    # What stood there when it was asked may be seen until the plain ranking comes.
    page.wait_for_function("() => document.querySelector('.qe:not([hidden]) .qe-text')?.innerText === 'beta file'")
    page.evaluate("window.seen = []")
    wait_for_words(page, "words for beta file")
    time.sleep(1)
    assert student.asked == ["alpha arrays", "beta file"]
    assert not any("alpha" in seen for seen in page.evaluate("window.seen"))
    assert page.inner_text(".qe-text") == "beta file" and "beta file" in words(page).input_value()


def test_a_late_answer_is_not_drawn(visit):
    """Even one that was under way when something else was asked."""
    page = visit()
    late = "document.querySelector('#qe-result .qe').dataset.number = -1; window.qe.drawn();"
    page.evaluate(f"() => {{ {late} }}")
    assert page.locator("#qe-result .qe").is_hidden()


def test_tab_and_escape_through_every_control_start_nothing_and_show_the_focus(visit, student):
    page = visit()
    page.get_by_role("textbox", name="Search query").focus()
    unseen, names = [], []
    for _ in range(45):
        page.keyboard.press("Tab")
        page.keyboard.press("Escape")
        found = page.evaluate(
            """() => {
              const e = document.activeElement, s = getComputedStyle(e);
              const name = e.getAttribute('aria-label') || e.innerText || e.labels?.[0]?.innerText || e.title || '';
              return [e.tagName, name.trim(), (s.outlineStyle !== 'none' && parseFloat(s.outlineWidth) > 0)
                || s.boxShadow !== 'none'];
            }"""
        )
        if found[0] not in ("BODY", "HTML"):
            names.append(found[:2])
            if not found[2]:
                unseen.append(found)
    assert len(names) > 20 and unseen == [] and all(name for _, name in names), names
    time.sleep(0.3)
    assert student.asked == [] and words(page).input_value() == "write binary file"


def test_a_full_line_still_answers_plainly(visit, engine, student, monkeypatch):
    page = visit()
    monkeypatch.setattr(engine, "line", Line(1))
    engine.line.join()
    ask(page, "some matrix")
    page.wait_for_selector("text=The model is busy")
    assert "lib.lstsq" in page.inner_text(".qe-side >> nth=0") and student.asked == []


def test_cancel_and_a_closed_tab_free_the_line(visit, engine, student, monkeypatch):
    monkeypatch.setattr(engine, "line", Line())
    before = engine.line.join()
    first, second = visit(), visit()
    ask(first, "some matrix")
    ask(second, "some array")
    second.wait_for_selector("text=before you")
    assert engine.line.ahead(engine.line.join()) == 3
    first.get_by_role("button", name="Cancel").click()
    first.wait_for_selector("text=Cancelled")
    first.wait_for_timeout(600)
    assert first.locator("text=Cancelled").is_visible(), "the end of what was asked before changed it"
    assert "lib.lstsq" in first.inner_text(".qe-side >> nth=0")
    second.close()
    deadline = time.monotonic() + 10
    while len(engine.line._turns) > 2 and time.monotonic() < deadline:
        time.sleep(0.1)
    assert len(engine.line._turns) == 2 and before in engine.line._turns and student.asked == []


def test_words_are_edited_and_reset(visit, student):
    page = visit()
    box = words(page)
    box.fill("polynomial points")
    started = time.monotonic()
    box.press("Enter")
    page.wait_for_selector(".qe-new >> text=edited")
    assert time.monotonic() - started < 1 and student.asked == []
    assert "lib.polyfit" in page.inner_text(".qe-new") and words(page).evaluate(
        "box => box === document.activeElement"
    )
    assert "w.dpo=polynomial+points" in page.url
    page.reload()
    page.wait_for_selector(".qe-new >> text=edited")
    assert words(page).input_value() == "polynomial points"
    page.get_by_role("button", name="Reset").click()
    wait_for_words(page, "write binary file")
    assert "w.dpo" not in page.url


def test_what_was_recorded_is_run_live_when_told(visit, student):
    page = visit()
    page.get_by_role("button", name="Run live").click()
    wait_for_words(page, "words for store arrays on disk")
    assert student.asked == ["store arrays on disk"]


def test_systems_are_compared(visit):
    page = visit()
    page.get_by_role("checkbox", name="sft").click()
    wait_for_words(page, "words of sft")
    assert page.locator(".qe-side").count() == 3 and "dpo%2Csft" in page.url


def test_another_retriever_is_chosen_and_kept_in_the_address(visit):
    page = visit()
    page.get_by_role("radio", name="once").click()
    page.wait_for_url("**by=once*")
    page.reload()
    page.wait_for_selector("#qe-result .qe-new")
    assert page.get_by_role("radio", name="once").is_checked()


def test_links_back_and_reload_show_the_same(visit, student):
    page = visit()
    ask(page, "some matrix")
    wait_for_words(page, "words for some matrix")
    ask(page, "some array")
    wait_for_words(page, "words for some array")
    page.go_back()
    wait_for_words(page, "words for some matrix")
    assert page.get_by_role("textbox", name="Search query").input_value() == "some matrix"
    page.reload()
    wait_for_words(page, "words for some matrix")
    assert student.asked == ["some matrix", "some array"], "answered by what was kept"
    other = visit("?q=some+array&systems=dpo,feedback+terms")
    wait_for_words(other, "words for some array")
    assert other.get_by_role("textbox", name="Search query").input_value() == "some array"
    assert other.get_by_role("checkbox", name="feedback terms").is_checked()


HOSTILE = (
    "<img src=x onerror=\"document.title='gone'\"><script>document.title='gone'</script>",
    "${document.title='gone'} {{document.title='gone'}} {{{x}}} `${1}`",
    "$$\\frac{a}{b}$$ [link](javascript:document.title='gone') ** \u202e\x07 </textarea><b>bold</b>",
)


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_strings_make_no_elements(visit, text):
    page = visit()
    title = page.title()
    ask(page, text)
    wait_for_words(page, "words for ")
    shown = " ".join(text.split())
    assert page.text_content(".qe-text") == shown and shown in words(page).input_value()
    words(page).fill(text)
    words(page).press("Enter")
    page.wait_for_selector(".qe-new >> text=edited")
    assert page.locator("#qe-result :is(img, script, iframe, a)").count() == 0 and page.title() == title
    page.reload()
    page.wait_for_selector(".qe-new >> text=edited")
    assert page.text_content(".qe-text") == shown and page.title() == title


def test_a_phone_shows_one_ranking_at_a_time_and_keeps_the_place(visit):
    page = visit(width=360)
    assert page.locator(".qe-side:visible").count() == 1 and "QUERY + DPO" in page.inner_text(".qe-side:visible")
    page.locator(".qe-switch").scroll_into_view_if_needed()
    page.mouse.wheel(0, 200)
    page.wait_for_timeout(200)
    before = page.evaluate("scrollY")
    page.get_by_role("button", name="plain query").click()
    assert "PLAIN QUERY" in page.inner_text(".qe-side:visible") and page.locator(".qe-side:visible").count() == 1
    lowest = page.evaluate("document.documentElement.scrollHeight - innerHeight")
    assert abs(page.evaluate("scrollY") - min(before, lowest)) < 2
