"""A visitor's own documents in a browser: sent, searched in Search, and gone with the page."""

import json

import pytest

from tests.support.small_engine import Votes


BIRDS = "".join(
    json.dumps(
        {"id": f"b{number}", "title": f"The {name}", "text": f"A {name} on the lake", "url": "https://a.example/"}
    )
    + "\n"
    for number, name in enumerate(("goose", "duck", "<b>swan</b>"))
)


@pytest.fixture
def send(tmp_path):
    """Chooses a file in an open page, and waits until it says something of it."""

    def sent(page, name: str, content: str) -> str:
        path = tmp_path / name
        path.write_text(content)
        page.wait_for_selector("#qe-file >> visible=true")
        page.set_input_files("#qe-file input[type=file]", path)
        page.wait_for_selector("#qe-own .qe >> visible=true")
        return page.inner_text("#qe-own")

    return sent


def test_own_documents_are_searched_beside_those_of_the_space(visit, student, send):
    page = visit("?tab=data")
    told = send(page, "birds.jsonl", BIRDS)
    assert "birds.jsonl: 3 documents" in told
    page.get_by_role("button", name="Search them").click()
    page.wait_for_selector("text=Your documents are ready")
    box = page.get_by_role("textbox", name="Search query")
    assert box.input_value() == "" and page.get_by_role("radio", name="Your own").is_checked()
    box.fill("goose on the lake")
    box.press("Enter")
    page.wait_for_selector("#qe-result .qe-new")
    assert student.asked == ["goose on the lake"] and page.locator(".qe-name a").count() == 6
    assert page.inner_text(".qe-side >> nth=0").count("The ") == 3 and "own=1" in page.url
    assert page.locator(".qe-name a").first.get_attribute("href") == "https://a.example/"
    assert page.get_by_role("button", name="Copy link").count() == 0
    # An example is a test query, of the Space's documents.
    page.get_by_role("button", name="fit a line").first.click()
    page.wait_for_selector("#qe-result >> text=lib.polyfit")
    assert page.get_by_role("radio", name="Documents of this Space").is_checked() and "own" not in page.url
    page.go_back()
    page.wait_for_selector("#qe-result >> text=The goose")
    # They are of this page alone: whoever opens its address anew has none.
    page.reload()
    page.wait_for_selector("text=None of your documents are here")


def test_a_bad_file_is_one_line_and_the_documents_before_it_stay(visit, send):
    page = visit("?tab=data")
    assert send(page, "bad.csv", "id,text\na\n") == "bad.csv, row 2: 1 column where 2 are expected"
    send(page, "birds.jsonl", BIRDS)
    page.wait_for_selector("text=3 documents")
    send(page, "worse.jsonl", "{")
    page.wait_for_selector("text=worse.jsonl, row 1: not valid JSON")
    page.get_by_role("tab", name="Search").last.click()
    page.get_by_role("radio", name="Your own").click()
    page.wait_for_selector("#qe-result >> text=No document shares a word with this.")


def test_votes_are_kept_where_they_are_asked_for(visit, engine, monkeypatch):
    monkeypatch.setattr(engine, "feedback", Votes())
    page = visit()
    assert "no address" in page.inner_text("#qe-result")
    page.get_by_role("button", name="Better").click()
    page.wait_for_selector("text=Thank you.")
    page.wait_for_timeout(500)
    (vote,) = engine.feedback
    assert vote["vote"] == "better" and vote["expansion"] == "write binary file"
