"""Prompts as files, exemplars from train queries, and checks of what models answer."""

import hashlib
import json
from pathlib import Path

import pytest

import builders.prompts
from builders.collections.collection import Collection, Document, Query
from builders.collections.pydocs.pydocs import load_pydocs
from builders.errors import KitError
from builders.prompts.exemplars import draw_exemplars, for_query
from builders.prompts.load import load_prompt, prompt_names, require_language
from builders.prompts.output_check import OutputCheck
from builders.prompts.prompt import Exemplar
from builders.prompts.script import in_script_of, opening, segments


FOLDER = Path(builders.prompts.__file__).parent

# What each version of each prompt says: the first digits of its messages' sha256. Another wording is another version
# and another line.
WORDING = {
    "api-docs-few-shot@1": "7b399f8636635c96",
    "api-docs-self-reference@1": "19b873edac2c3678",
    "api-docs-zero-shot@1": "253d8a6bbf930dcd",
    "claim-evidence-few-shot@1": "e4f28607976d2ea7",
    "claim-evidence-self-reference@1": "a42497c8f24d3672",
    "claim-evidence-zero-shot@1": "874c36b8a1f1c81e",
    "counter-argument-few-shot@1": "638f3e9d651b73fe",
    "counter-argument-zero-shot@1": "9b14a5f53adaa5a8",
    "finance-passage-few-shot@1": "7f995d555bb4b343",
    "finance-passage-zero-shot@1": "8dd40f0a876181b3",
    "keywords-few-shot@1": "7410ce60bef21540",
    "keywords-judged-zero-shot@1": "f1987c7071d043d8",
    "keywords-neighbours-zero-shot@1": "f1987c7071d043d8",
    "keywords-passages-zero-shot@1": "f1987c7071d043d8",
    "keywords-regression-zero-shot@1": "f1987c7071d043d8",
    "keywords-zero-shot@1": "ab4ce2750218e6f1",
    "web-passage-few-shot@1": "41539eddf242dbb9",
    "web-passage-self-reference@1": "d84e71e0c78beb9a",
    "web-passage-zero-shot@1": "8c20cf55dd962c6f",
    "web-passage-zh-few-shot@1": "617434929df08fe0",
    "web-passage-zh-zero-shot@1": "7d6434690a94cc21",
}


def exemplars(number: int) -> list[Exemplar]:
    return [Exemplar(str(n), f"query {n}", f"answer {n}") for n in range(number)]


@pytest.mark.parametrize("name", prompt_names())
def test_every_prompt_that_comes_with_the_kit_reads(name):
    prompt = load_prompt(name)
    messages = prompt.messages("sort an array", exemplars(prompt.exemplars))
    assert prompt.id == name and prompt.version >= 1
    shown = ["user", "assistant"] * prompt.exemplars
    assert [message["role"] for message in messages] == ["system", *shown, "user"]
    assert "sort an array" in messages[-1]["content"] and "{query}" not in str(messages)


def test_a_wording_changes_only_with_its_version():
    said = {}
    for prompt in map(load_prompt, prompt_names()):
        shown = "what is shown" if prompt.grounding else ""
        messages = prompt.messages("the query", exemplars(prompt.exemplars), shown)
        digest = hashlib.sha256(json.dumps(messages, ensure_ascii=False).encode()).hexdigest()
        said[f"{prompt.id}@{prompt.version}"] = digest[:16]
    assert said == WORDING


def test_every_task_has_both_conditions_in_one_wording():
    """The student sees the zero-shot prompt of what the teacher was shown with examples."""
    # What a grounded prompt shows takes the place of examples.
    names = [name for name in prompt_names() if load_prompt(name).grounding is None]
    tasks = {name.removesuffix("-zero-shot").removesuffix("-few-shot") for name in names}
    assert {"web-passage", "web-passage-zh", "claim-evidence", "counter-argument", "finance-passage"} <= tasks
    for task in tasks:
        zero, few = load_prompt(f"{task}-zero-shot"), load_prompt(f"{task}-few-shot")
        assert (zero.system, zero.user, zero.check, zero.language) == (few.system, few.user, few.check, few.language)
        assert (zero.condition, few.condition) == ("zero-shot", "few-shot")


def test_chinese_prompts_are_chinese():
    prompt = load_prompt("web-passage-zh-zero-shot")
    assert prompt.language == "zh" and in_script_of(prompt.system, "zh")
    assert prompt.messages("二战是什么时候开始的？")[-1]["content"] == "问题：二战是什么时候开始的？"


def test_a_prompt_of_another_language_than_the_collection_is_refused():
    require_language([load_prompt("web-passage-zero-shot")], "en", "mine")
    with pytest.raises(KitError, match="is for language 'en', but collection 'mine' is in 'zh'") as error:
        require_language(
            [load_prompt("web-passage-zh-zero-shot"), load_prompt("finance-passage-few-shot")], "zh", "mine"
        )
    assert "web-passage-zh-zero-shot" in str(error.value) and "claim-evidence" not in str(error.value)
    with pytest.raises(KitError, match="a prompt file of your own"):
        require_language([load_prompt("web-passage-zero-shot")], "fi", "mine")


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
        (("language: en\n", ""), "field 'language' is missing"),
        (("min_words: 2", "min_words: [2"), "line"),
        (("min_words: 2", "min_words: two"), "whole numbers"),
        (("min_words: 2", 'min_words: 2\n  forbidden: ["(no"]'), r"forbidden pattern '\(no'"),
    ],
)
def test_a_broken_prompt_file_is_refused_by_name(tmp_path, change, message):
    path = tmp_path / "mine.yaml"
    path.write_text((FOLDER / "api-docs-zero-shot.yaml").read_text().replace(*change))
    with pytest.raises(KitError, match=message) as error:
        load_prompt(str(path))
    assert "mine.yaml" in str(error.value)


def test_a_file_is_a_prompt(tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_text((FOLDER / "api-docs-zero-shot.yaml").read_text().replace("Function: ", "What does it do: "))
    assert load_prompt(str(path)).messages("sort")[-1]["content"] == "What does it do: sort"
    assert load_prompt(str(path)).sha256 != load_prompt("api-docs-zero-shot").sha256


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


def shared_documents(qrels: dict[str, dict[str, int]]) -> Collection:
    documents = [Document(f"d{n}", "", f"words of document {n}") for n in range(6)]
    queries = {name: Query(name, f"what is {name}", "test" if name[0] == "t" else "train") for name in qrels}
    return Collection("shared", "en", documents, queries, qrels, "made up", "none", "made up")


@pytest.mark.parametrize("seed", range(8))
def test_no_query_sees_a_document_that_answers_it(seed):
    """Several questions of one paragraph: the exemplar of one would give away the others."""
    qrels = {
        "t1": {"d0": 1},
        "q1": {"d0": 1},  # its document answers a test query
        "q2": {"d1": 1},
        "q3": {"d1": 1},
        "q4": {"d2": 1, "d1": 1},
        "q5": {"d3": 1},
        "q6": {"d4": 1},
    }
    collection = shared_documents(qrels)
    drawn = draw_exemplars(collection, 2, seed)
    assert "q1" not in {exemplar.query_id for exemplar in drawn}
    for query_id, judged in qrels.items():
        shown = for_query(drawn, query_id)
        assert len(shown) == 2
        assert not any(f"document {document[1]}" in e.expansion for e in shown for document in judged), query_id


def test_too_few_train_queries_for_exemplars():
    with pytest.raises(KitError, match="1 train queries .of 2. whose document"):
        draw_exemplars(shared_documents({"q1": {"d0": 1}, "t1": {"d0": 1}, "q2": {"d1": 1}}), 1, seed=0)


def test_words_and_characters():
    assert segments("Sort an array, 2-D") == ["sort", "an", "array", "2", "d"]
    assert segments("二战于1939年开始。") == ["二", "战", "于", "1939", "年", "开", "始"]
    assert segments("スーパーで") == list("スーパーで")
    assert opening("one  two\nthree four", 3) == "one two three …"
    assert opening("short", 3) == "short …"
    # Two characters are a word; the comma takes room as a character does.
    assert opening("第二次世界大战，是一场战争。", 4) == "第二次世界大战，…"
    assert opening("Nexon公司开发的游戏", 3) == "Nexon公司开发…"
    assert opening("", 3) == " …"


@pytest.mark.parametrize(
    ("text", "language", "same"),
    [
        ("The war began in 1939.", "en", True),
        ("The war began in 1939.", "zh", False),
        ("第二次世界大战于1939年爆发。", "zh", True),
        ("第二次世界大战于1939年爆发。", "en", False),
        ("基于《跑跑卡丁车》所开发，由韩国 Nexon Corporation 开发与发行", "zh", True),
        ("The capital of China is 北京.", "en", True),
        ("The capital of China is 北京.", "zh", False),
        ("Вторая мировая война", "en", False),
        ("第二次世界大戦はいつはじまりましたか", "zh", False),
        ("ＡＢＣ ｗｉｄｅ", "en", True),
        ("1939 – 1945", "zh", True),
        ("anything at all", "xx", True),
    ],
)
def test_script(text, language, same):
    assert in_script_of(text, language) is same


CHECK = OutputCheck("en", min_words=2, max_words=20, forbidden=["^passage:"])


@pytest.mark.parametrize(
    ("text", "finish", "reason"),
    [
        ("axis along which the sum is taken", "stop", None),
        ("", "stop", "empty"),
        ("… --- …", "stop", "empty"),
        ("sort array", "stop", "echo"),
        ("Sort, array!", "stop", "echo"),
        ("axis", "stop", "too short"),
        ("word " * 9 + " ".join(f"w{n}" for n in range(12)), "stop", "too long"),
        ("Sure, here are the terms", "stop", "preamble"),
        ("Here is a passage on arrays", "stop", "preamble"),
        ("\nHere’s a passage on arrays", "stop", "preamble"),
        ("The terms are here: is that it", "stop", None),
        ("I answer as an AI model", "stop", "refusal"),
        ("I'm sorry, that is beyond me", "stop", "refusal"),
        ("I cannot provide medical advice", "stop", "refusal"),
        ("Voters say I cannot trust them", "stop", None),
        ("PASSAGE: sorts along an axis", "stop", "forbidden"),
        ("沿给定轴对数组排序", "stop", "wrong language"),
        ("the same words " * 5, "length", "repeats"),
        ("the same words " * 5, "stop", None),
    ],
)
def test_output_check(text, finish, reason):
    assert CHECK.reason(text, "sort array", finish) == reason


def test_saying_nothing_is_an_answer_where_the_prompt_allows_it():
    check = load_prompt("keywords-zero-shot").check
    assert check.reason("", "sort array", "stop") is None
    assert check.reason("axis", "sort array", "stop") is None
    assert check.reason("array", "sort array", "stop") == "echo"


@pytest.mark.parametrize(
    ("text", "finish", "reason"),
    [
        ("第二次世界大战于1939年9月1日爆发，以德国入侵波兰为标志。", "stop", None),
        ("二战是什么时候开始的", "stop", "echo"),
        ("开始的时候，是什么？", "stop", "echo"),
        ("一九三九年", "stop", "too short"),
        ("战争" * 4 + "".join(map(chr, range(0x4E00, 0x4E00 + 500))), "stop", "too long"),
        ("好的，第二次世界大战于1939年爆发。", "stop", "preamble"),
        ("以下是一段关于二战的文字：第二次世界大战于1939年爆发。", "stop", "preamble"),
        ("抱歉，我无法回答这个问题，因为信息不足。", "stop", "refusal"),
        ("作为一个AI语言模型，我不知道确切的日期。", "stop", "refusal"),
        ("World War II began on 1 September 1939 with the invasion of Poland.", "stop", "wrong language"),
        ("战争爆发" * 10, "length", "repeats"),
    ],
)
def test_output_check_in_chinese(text, finish, reason):
    check = load_prompt("web-passage-zh-zero-shot").check
    assert check.reason(text, "二战是什么时候开始的？", finish) == reason
