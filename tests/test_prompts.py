"""Prompts as files, exemplars from train queries, and checks of what models answer."""

import pytest

from builders.collections.pydocs import load_pydocs
from builders.errors import KitError
from builders.prompts.exemplars import draw_exemplars, for_query
from builders.prompts.output_check import OutputCheck
from builders.prompts.prompt import Exemplar, load_prompt, prompt_names


CHECK = OutputCheck(min_words=2, max_words=20, forbidden=["^sure\\b", "\\bas an ai\\b"])


@pytest.mark.parametrize("name", prompt_names())
def test_every_prompt_that_comes_with_the_kit_reads(name):
    prompt = load_prompt(name)
    shown = [Exemplar(str(number), f"query {number}", f"answer {number}") for number in range(prompt.exemplars)]
    messages = prompt.messages("sort an array", shown)
    assert prompt.id == name and prompt.version >= 1
    assert [message["role"] for message in messages] == ["system"] + ["user", "assistant"] * len(shown) + ["user"]
    assert "sort an array" in messages[-1]["content"] and "{query}" not in str(messages)


def test_braces_in_a_query_are_text():
    assert load_prompt("api-docs-zero-shot").messages("{query} {0}")[-1]["content"] == "Function: {query} {0}"


@pytest.mark.parametrize("query", ["", "  \n"])
def test_an_empty_query_is_refused(query):
    with pytest.raises(KitError, match="query is empty"):
        load_prompt("api-docs-zero-shot").messages(query)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("condition: zero-shot", "condition: one-shot"), "zero-shot or few-shot"),
        (("exemplars: 0", "exemplars: 2"), "exemplars must be 0"),
        (("{query}", "the query"), "must contain {query}"),
        (("version: 1", "wersion: 1"), "wersion"),
        (("min_words: 2", "min_words: [2"), "line"),
    ],
)
def test_a_broken_prompt_file_is_refused_by_name(tmp_path, change, message):
    from pathlib import Path

    import builders.prompts

    text = (Path(builders.prompts.__file__).parent / "api-docs-zero-shot.yaml").read_text()
    path = tmp_path / "mine.yaml"
    path.write_text(text.replace(*change))
    with pytest.raises(KitError, match=message) as error:
        load_prompt(str(path))
    assert "mine.yaml" in str(error.value)


def test_an_unknown_prompt_is_refused_with_those_there_are():
    with pytest.raises(KitError, match="api-docs-few-shot"):
        load_prompt("haiku")


def test_exemplars_come_from_train_and_never_show_the_query_itself():
    collection = load_pydocs()
    drawn = draw_exemplars(collection, 3, seed=1)
    assert len(drawn) == 4
    assert {collection.queries[exemplar.query_id].split for exemplar in drawn} == {"train"}
    for exemplar in drawn:
        shown = for_query(drawn, exemplar.query_id)
        assert len(shown) == 3 and exemplar not in shown
    assert for_query(drawn, "another") == drawn[:3]
    assert draw_exemplars(collection, 3, seed=1) == drawn != draw_exemplars(collection, 3, seed=2)


@pytest.mark.parametrize(
    ("text", "finish", "reason"),
    [
        ("axis along which the sum is taken", "stop", None),
        ("", "stop", "empty"),
        ("… --- …", "stop", "empty"),
        ("sort array", "stop", "echo"),
        ("axis", "stop", "too short"),
        ("word " * 9 + " ".join(f"w{n}" for n in range(12)), "stop", "too long"),
        ("Sure, here are the terms", "stop", "forbidden"),
        ("I answer as an AI model", "stop", "forbidden"),
        ("the same words " * 5, "length", "repeats"),
        ("the same words " * 5, "stop", None),
    ],
)
def test_output_check(text, finish, reason):
    assert CHECK.reason(text, "sort array", finish) == reason
