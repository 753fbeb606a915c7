"""What a grounded prompt shows of the collection, and what it must not show."""

import json
from itertools import cycle

import pytest

from builders.artifacts.dataset_folder import read_rows
from builders.collections.collection import Document, Query
from builders.commands.expansions import main as make_expansions
from builders.commands.preferences import main as make_preferences
from builders.errors import KitError
from builders.prompts.context.gold_document import WORDS, GoldDocument
from builders.prompts.context.load import load_context, shown_texts
from builders.prompts.load import load_prompt
from builders.retrievers.load import load_retriever
from tests.support.animals import ANIMALS, PLACES, animals_collection
from tests.support.collection_folders import jsonl, write


@pytest.fixture(scope="module")
def animals():
    return animals_collection()


def texts(collection, name, ids):
    prompt = load_prompt(name)
    return load_context(prompt, collection, "bm25s").texts([collection.queries[query_id] for query_id in ids])


def test_neighbours_show_the_words_of_pages_judged_for_similar_queries(animals):
    ids = [f"q{mark}7" for mark in ANIMALS]
    for shown, animal in zip(texts(animals, "keywords-neighbours-zero-shot", ids), ANIMALS.values(), strict=True):
        lines = shown.splitlines()
        assert 1 <= len(lines) <= 4 and all(animal in line.split() for line in lines)
        assert not {"swamp", *ANIMALS} & set(shown.split()), "the query's own words, and words of queries"


def test_a_train_query_is_not_its_own_neighbour(animals):
    seen, unseen = texts(animals, "keywords-neighbours-zero-shot", ["qhorn", "qother"])
    assert "unicorns" in unseen.split() and "unicorns" not in seen.split()


def test_judged_words_are_few_and_those_that_similar_queries_share_come_first(animals):
    name = "keywords-judged-zero-shot"
    ids = [f"q{mark}7" for mark in ANIMALS]
    for shown, animal in zip(texts(animals, name, ids), ANIMALS.values(), strict=True):
        assert shown.split()[0] == animal and len(shown.split()) <= 10
        assert not {"swamp", *ANIMALS} & set(shown.split()), "the query's own words"
    assert "unicorns" in texts(animals, name, ["qother"])[0].split()
    assert "unicorns" not in texts(animals, name, ["qhorn"])[0].split(), "it is not its own neighbour"


def test_of_a_query_that_is_like_no_other_no_judged_words_are_shown(animals):
    stranger = Query("qnew", "zyxw vutsr", "test")
    assert load_context(load_prompt("keywords-judged-zero-shot"), animals, "bm25s").texts([stranger]) == [""]


def test_regression_words_are_the_teachers_own_and_few(animals, monkeypatch):
    """What the term regression says of itself is what the prompt shows; of what it is unsure nothing is shown."""
    from builders.expanders.expander import Request, greedy
    from builders.expanders.term_regression import TermRegressionExpander, TermRegressionOptions

    # In so small a collection no word is rare enough for the usual bound.
    monkeypatch.setattr("builders.prompts.context.regression_terms.LEAST_SCORE", 0.3)
    name = "keywords-regression-zero-shot"
    ids = [*(f"q{mark}7" for mark in ANIMALS), "qhorn", "qother"]
    teacher = TermRegressionExpander(animals, TermRegressionOptions(words=10, least_score=0.3))
    said = dict(teacher.expand([Request(query_id, (), 1) for query_id in ids], greedy(1)))
    shown = dict(zip(ids, texts(animals, name, ids), strict=True))
    assert shown == {query_id: said[query_id][0].text for query_id in ids} and any(shown.values())
    for mark, animal in ANIMALS.items():
        assert shown[f"q{mark}7"].split()[0] == animal and len(shown[f"q{mark}7"].split()) <= 10
    assert "unicorns" not in shown["qhorn"].split(), "it is answered without its own judgments"
    stranger = Query("qnew", "zyxw vutsr", "test")
    assert load_context(load_prompt(name), animals, "bm25s").texts([stranger]) == [""]


def test_passages_show_how_the_first_pages_begin(animals):
    retriever = load_retriever("bm25s", animals)
    query = animals.queries["qstripes0"]
    text_of = {document.id: document.text for document in animals.documents}
    (shown,) = texts(animals, "keywords-passages-zero-shot", [query.id])
    found = [text_of[hit.document_id] for hit in retriever.search([query.text], 3)[0]]
    assert [line.removesuffix(" …") for line in shown.splitlines()] == found


def test_a_prompt_shows_what_it_has_a_place_for():
    grounded, plain = load_prompt("keywords-neighbours-zero-shot"), load_prompt("keywords-zero-shot")
    assert grounded.messages("sort", (), "ascending order")[-1]["content"] == "sort\n\nascending order"
    assert grounded.messages("sort")[-1]["content"] == "sort"
    with pytest.raises(KitError, match="has no place for a grounding"):
        plain.messages("sort", (), "ascending order")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            ("grounding: neighbours", "grounding: rumours"),
            "grounding must be one of judged, regression, neighbours, passages, gold, not 'rumours'",
        ),
        (("{grounding}", ""), "a grounding needs {grounding} in field user"),
        (("grounding: neighbours\n", ""), "a grounding needs {grounding} in field user"),
    ],
)
def test_a_prompt_file_that_contradicts_itself_is_refused(tmp_path, change, message):
    from pathlib import Path

    import builders.prompts

    source = Path(builders.prompts.__file__).with_name("keywords-neighbours-zero-shot.yaml").read_text()
    path = tmp_path / "own.yaml"
    path.write_text(source.replace(*change))
    with pytest.raises(KitError, match=message):
        load_prompt(str(path))


def gold(collection, *ids):
    return GoldDocument(collection).texts([collection.queries[query_id] for query_id in ids])


def test_gold_shows_how_the_best_judged_document_begins(animals):
    from dataclasses import replace

    text_of = {document.id: document.text for document in animals.documents}
    assert gold(animals, "qstripes0", "qhorn") == [f"{text_of['dstripes0']} …", f"{text_of['u0']} …"]
    # The highest grade, of equals the first by id; title and text, as they are indexed; cut.
    judged = {"u3": 1, "u2": 2, "u1": 2}
    titled = [Document("u1", "Horns", " ".join(f"w{n}" for n in range(300))), *animals.documents]
    changed = replace(animals, qrels={**animals.qrels, "qhorn": judged}, documents=titled)
    first = replace(changed, documents=[document for document in titled if document.text != "unicorns are shy"])
    (shown,) = gold(first, "qhorn")
    assert (
        shown.split()[:2] == ["Horns", "w0"] and shown.endswith(f"w{WORDS - 2} …") and len(shown.split()) == WORDS + 1
    )


def test_gold_is_never_shown_for_a_test_query(animals):
    from dataclasses import replace

    with pytest.raises(KitError, match="'qother' is a test query: its judged document must not be shown"):
        gold(animals, "qhorn", "qother")
    held_out = replace(animals, queries={**animals.queries, "qhorn": Query("qhorn", "a horn", "validation")})
    assert gold(held_out, "qhorn")


def test_gold_that_is_not_there_is_refused(animals):
    from dataclasses import replace

    lost = replace(animals, documents=[document for document in animals.documents if document.id != "u0"])
    with pytest.raises(KitError, match="document 'u0', judged for query 'qhorn', is missing or empty"):
        gold(lost, "qhorn")
    with pytest.raises(KitError, match="has no relevant document"):
        gold(replace(animals, qrels={}), "qhorn")


@pytest.mark.parametrize("name", ["api-docs", "claim-evidence", "web-passage"])
def test_what_shows_the_answer_can_be_asked_by_nobody_else(animals, name):
    """One place refuses it for expansions, evaluation, rounds, validation and Space: what loads groundings."""
    prompt = load_prompt(f"{name}-self-reference")
    asked = prompt.messages("sort an array", (), "the page")[-1]["content"]
    assert "sort an array" in asked and "the page" in asked
    with pytest.raises(KitError, match="shows the judged document, which is the answer"):
        load_context(prompt, animals, "bm25s")
    with pytest.raises(KitError, match="shows the judged document, which is the answer"):
        shown_texts([load_prompt("keywords-zero-shot"), prompt], animals, "bm25s", [animals.queries["qhorn"]])


def test_without_judged_train_queries_there_are_no_neighbours(animals):
    from dataclasses import replace

    bare = replace(animals, queries={"qother": Query("qother", "which have a horn", "test")})
    with pytest.raises(KitError, match="terms are learned from train queries"):
        load_context(load_prompt("keywords-neighbours-zero-shot"), bare, "bm25s")


def test_every_prompt_finds_its_own_text(animals):
    prompts = [load_prompt(name) for name in ("keywords-zero-shot", "keywords-neighbours-zero-shot")]
    shown = shown_texts(prompts, animals, "bm25s", [animals.queries["qstripes7"]])
    assert shown["keywords-zero-shot"] == {"qstripes7": ""}
    assert "zebras" in shown["keywords-neighbours-zero-shot"]["qstripes7"]


def on_disk(collection, root):
    """The collection as a folder of BEIR's files."""
    queries = list(collection.queries.values())
    qrels = {
        split: "query-id\tcorpus-id\tscore\n"
        + "".join(
            f"{q.id}\t{d}\t{n}\n" for q in queries if q.split == split for d, n in collection.qrels[q.id].items()
        )
        for split in ("train", "test")
    }
    files = {
        "corpus.jsonl": jsonl({"_id": d.id, "title": "", "text": d.text} for d in collection.documents),
        "queries.jsonl": jsonl({"_id": q.id, "text": q.text} for q in queries),
        **{f"qrels/{split}.tsv": text for split, text in qrels.items()},
    }
    return write(root, files)


def test_the_grounding_stands_in_every_published_prompt(animals, tmp_path):
    """In `raw`, in what is imitated and in what is preferred: the student is trained as it is asked."""
    folder, queries = on_disk(animals, tmp_path / "animals"), list(animals.queries.values())
    recorded = tmp_path / "teacher.jsonl"
    rows = [
        {"qid": query.id, "expansion": f"{word} of the {place}", "model": "m/big"}
        for query in queries
        for word, place in (("savanna", PLACES[1]), ("unicorns", PLACES[2]))
    ]
    recorded.write_text("".join(json.dumps(row) + "\n" for row in rows))
    make_expansions(
        [
            *("--collection", str(folder), "--prompts", "keywords-neighbours-zero-shot", "--num_train", "-1"),
            *("--expander", "recorded", "--recorded", str(recorded), "--select", "all", "--samples", "2"),
            *("--output_dir", str(tmp_path / "expansions")),
        ]
    )
    raw = {row["candidate_id"]: row for row in read_rows(tmp_path / "expansions", "raw", "train")}
    assert any(row["grounding"] for row in raw.values())
    for row in read_rows(tmp_path / "expansions", "distillation", "train"):
        shown = raw[row["candidate_id"]]["grounding"]
        assert row["prompt"][-1]["content"] == f"{row['query']}\n\n{shown}".strip()
    make_preferences(
        [
            *("--expansions", str(tmp_path / "expansions"), "--output_dir", str(tmp_path / "preferences")),
            *("--min_margin", "0.0001", "--max_length_ratio", "9"),
        ]
    )
    pairs = read_rows(tmp_path / "preferences", "preference", "train")
    assert pairs and all(
        row["prompt"][-1]["content"] == f"{row['query']}\n\n{raw[row['chosen_id']]['grounding']}".strip()
        for row in pairs
    )
    with pytest.raises(KitError, match="its prompts show what the collection knows.*has no place for it"):
        make_preferences(
            [
                *("--expansions", str(tmp_path / "expansions"), "--output_dir", str(tmp_path / "other")),
                *("--student_prompt", "keywords-zero-shot"),
            ]
        )
    assert not (tmp_path / "other").exists()


def test_the_plain_query_is_a_candidate_where_it_is_asked_for(animals, tmp_path):
    """With one expansion a query there is nothing to choose from but to say nothing."""
    recorded = tmp_path / "teacher.jsonl"
    said = {query.id: f"{place} dazzle" for query, place in zip(animals.queries.values(), cycle(PLACES), strict=False)}
    recorded.write_text(jsonl({"qid": name, "expansion": text, "model": "m/big"} for name, text in said.items()))
    make_expansions(
        [
            *("--collection", str(on_disk(animals, tmp_path / "animals")), "--prompts", "keywords-zero-shot"),
            *("--expander", "recorded", "--recorded", str(recorded), "--num_train", "-1", "--samples", "1"),
            *("--output_dir", str(tmp_path / "expansions")),
        ]
    )
    arguments = ["--expansions", str(tmp_path / "expansions"), "--min_margin", "0.0001", "--max_length_ratio", "99"]
    with pytest.raises(KitError, match="no query gives a pair"):
        make_preferences([*arguments, "--output_dir", str(tmp_path / "without")])
    make_preferences([*arguments, "--output_dir", str(tmp_path / "with"), "--with_plain", "true"])
    rows = read_rows(tmp_path / "with", "preference", "train")
    for row in rows:
        silent, words = ("chosen", "rejected") if row["chosen"][0]["content"] == "" else ("rejected", "chosen")
        assert row[silent][0]["content"] == "" and row[words][0]["content"] == said[row["query_id"]]
        assert row[f"{silent}_id"] == f"{row['query_id']}#plain"
        assert row[f"{silent}_score"] == row["plain_ndcg_at_10"]
    assert {row["chosen"][0]["content"] == "" for row in rows} == {True, False}, "some words help, others hurt"
