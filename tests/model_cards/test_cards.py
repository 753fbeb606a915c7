"""The cards: their text, byte for byte, and every number in them.

The expected texts lie in `tests/golden`. When a card is meant to change, look at the difference that the test shows,
then write the new texts with `RENEW_GOLDEN=1 pytest tests/model_cards/test_cards.py`, and look at `git diff`.
"""

from __future__ import annotations

import difflib
import json
import os
import re
import shutil
from dataclasses import dataclass
from pathlib import Path

import pyarrow.compute as compute
import pyarrow.parquet as parquet
import pytest
import yaml

from builders.artifacts.dataset_card import dataset_card
from builders.artifacts.schema import features
from builders.errors import KitError
from builders.grading.results_form import in_one_form, one_retriever
from builders.publishing.card_merge import read_card
from model_cards.adapter_card import model_card
from tests.hub_server.fixtures import hub, run_client
from tests.support.card_numbers import PROSE, checked_numbers, unexplained
from tests.support.commands import command_here, refused
from tests.support.evaluated_folders import evaluated, exported, sft_and_dpo
from tests.support.rendered_folders import expansions, preference_row, preferences, raw_row


__all__ = ["hub"]

GOLDEN = Path(__file__).parent.parent / "golden"
DATASETS = ("expansions", "preferences")
ADAPTERS = ("sft", "dpo")
EXPORTS = ("merged", "gguf")
CARDS = (*DATASETS, *ADAPTERS, *EXPORTS, "space")
REPO_TYPES = dict.fromkeys(DATASETS, "dataset") | {"space": "space"}


@dataclass(frozen=True)
class Made:
    """A card, its folder, and the JSON that it was made of."""

    text: str
    folder: Path
    sources: list


def dataset_sources(folder: Path) -> list:
    """What a dataset card is made of: provenance, the first row of each config, and the sizes of the files."""
    import pyarrow.parquet as parquet
    from datasets import Dataset

    # Until it is published, the load line names the folder.
    sources = [folder.as_posix()]
    sources += [json.loads((folder / name).read_text()) for name in ("build.json", "timing.json")]
    for config in sorted((folder / "data").iterdir()):
        shards = sorted(config.glob("*.parquet"))
        # Of one shard each, as all datasets here.
        rows = {shard.name.split("-")[0]: parquet.read_table(shard).to_pylist() for shard in shards}
        kind = features(config.name)
        sizes = {split: Dataset.from_list(found, features=kind).data.nbytes for split, found in rows.items()}
        sources += [[found[0] for found in rows.values()], sizes, {"dataset_size": sum(sizes.values())}]
        sources += [{"download_size": sum(shard.stat().st_size for shard in shards)}]
    return sources


def model_sources(folder: Path, results: Path) -> list:
    """What a model card is made of; for DPO the record of the adapter before it, too."""
    import pyarrow.parquet as parquet

    training = json.loads((folder / "training.json").read_text())
    parent = (training["parent"] or "").split("@")[0]
    records = [training, json.loads((folder / "timing.json").read_text()), measured(results)]
    if parent:
        records.append(json.loads((folder.parent / parent / "training.json").read_text()))
    queries = parquet.read_table(results.with_name("per_query.parquet"), columns=["query"]).to_pydict()
    prompt = records[2]["settings"]["prompt"]
    own = yaml.safe_load(Path(prompt).read_text()) if prompt.endswith(".yaml") else kit_prompt(prompt)
    # The snippet says the formation's name as a line of Python.
    repeats = [int(number) for number in re.findall(r"q\*(\d+)\+e", records[2]["formation"])]
    return [*records, queries, own, repeats, folder.as_posix()]


def measured(path: Path) -> dict:
    """An evaluation's results, whichever version wrote them."""
    return one_retriever(in_one_form(json.loads(path.read_text())))


def kit_prompt(name: str) -> dict:
    import builders.prompts

    return yaml.safe_load(Path(builders.prompts.__file__).with_name(f"{name}.yaml").read_text())


def space_sources(folder: Path) -> list:
    """What a Space's card is made of: its settings, and the releases that it asks for."""
    releases = re.findall(r"==(\S+)", (folder / "requirements.txt").read_text())
    return [json.loads((folder / "space.json").read_text()), releases]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Made]:
    """Every kind of card, made by the kit's own renderers."""
    from space.render import render

    folder = tmp_path_factory.mktemp("cards")
    with pytest.MonkeyPatch.context() as patch:
        # Cards name folders as they were given.
        patch.chdir(folder)
        cards = {}
        for name, make in (("expansions", expansions), ("preferences", preferences)):
            text = (make(Path(name)) / "README.md").read_text()
            cards[name] = Made(text, folder / name, dataset_sources(Path(name)))
        adapters = sft_and_dpo(Path("models"))
        results = evaluated(Path("results"), adapters)
        for adapter in adapters:
            text = model_card(adapter, results, None, ["kit-owner/tiny-data"], "apache-2.0")
            (adapter / "README.md").write_text(text)
            cards[adapter.name] = Made(text, folder / adapter, model_sources(adapter, results))
        for kind in EXPORTS:
            text = (exported(Path(kind), kind) / "README.md").read_text()
            cards[kind] = Made(text, folder / kind, [json.loads(Path(kind, "export.json").read_text())])
        render(Path("results"), None, Path("space"))
        cards["space"] = Made(Path("space/README.md").read_text(), folder / "space", space_sources(Path("space")))
    assert tuple(sorted(cards)) == tuple(sorted(CARDS))
    return cards


def steady(text: str) -> str:
    """A card without what depends on the installed packages: gradio's release, and what pyarrow makes of a table."""
    text = re.sub(r"^sdk_version: .*$", "sdk_version: INSTALLED", text, flags=re.MULTILINE)
    return re.sub(r"^( *download_size): \d+$", r"\1: BYTES", text, flags=re.MULTILINE)


def compare(name: str, text: str) -> None:
    path = GOLDEN / name
    if os.environ.get("RENEW_GOLDEN"):
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
    expected = path.read_text() if path.exists() else ""
    difference = difflib.unified_diff(expected.splitlines(True), text.splitlines(True), f"golden/{name}", "made now")
    if expected != text:
        pytest.fail(f"renew with RENEW_GOLDEN=1 if this is meant:\n{''.join(difference)}", pytrace=False)


@pytest.mark.parametrize("name", CARDS)
def test_a_card_is_the_golden_one(made: dict[str, Made], name: str) -> None:
    compare(f"{name}.md", steady(made[name].text))


def test_a_changed_card_shows_its_difference(made: dict[str, Made], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("RENEW_GOLDEN", raising=False)
    with pytest.raises(pytest.fail.Exception, match=r"(?s)RENEW_GOLDEN.*\n-# sft\n\+# tfs\n"):
        compare("sft.md", steady(made["sft"].text).replace("# sft\n", "# tfs\n"))


def test_the_golden_folder_holds_nothing_else() -> None:
    assert {path.name for path in GOLDEN.iterdir()} == {f"{name}.md" for name in CARDS}


@pytest.mark.parametrize("name", CARDS)
def test_every_number_is_in_its_json(made: dict[str, Made], name: str) -> None:
    assert unexplained(made[name].text, made[name].sources) == []


@pytest.mark.parametrize("name", CARDS)
def test_a_wrong_number_is_noticed(made: dict[str, Made], name: str) -> None:
    """One digit of each number with a decimal point, one at a time, and a count that is a thousand too large."""
    text, sources = made[name].text, made[name].sources
    explained = [m for m in checked_numbers(text) if len(m["digits"].partition(".")[2]) >= 3]
    assert explained or name in DATASETS
    for match in explained:
        last = match.end("digits") - 1
        wrong = text[:last] + str((int(text[last]) + 5) % 10) + text[last + 1 :]
        if "papers/" not in text[match.start() - 7 : match.start()]:
            assert unexplained(wrong, sources), match
    rows = re.search(r"\| (\d+) \|\n|on (\d+) held-out|at most (\d+) tokens|max_new_tokens=(\d+)", text)
    assert rows
    wrong = text[: rows.start(rows.lastindex)] + "1" + text[rows.start(rows.lastindex) :]
    assert len(unexplained(wrong.replace("| 14 |", "| 1004 |"), sources)) >= 1


def test_every_exception_is_needed(made: dict[str, Made]) -> None:
    """The list of what need not be found holds nothing that no card says."""
    for pattern in PROSE:
        assert any(re.search(pattern, card.text, re.MULTILINE) for card in made.values()), pattern


@pytest.mark.parametrize("name", ADAPTERS)
def test_a_row_holds_the_numbers_of_its_own_system(made: dict[str, Made], name: str) -> None:
    rows_are_their_systems(made[name].text, made[name].sources[2]["systems"])


def test_the_spaces_rows_hold_their_own_numbers(made: dict[str, Made]) -> None:
    rows_are_their_systems(made["space"].text, made["space"].sources[0]["measured"])


def rows_are_their_systems(text: str, systems: dict) -> None:
    rows = dict(re.findall(r"^\| ([\w+]+)(?: \(this adapter\))? (\|.*\d\.\d{4}.*)$", text, re.MULTILINE))
    assert rows and set(rows) <= set(systems)
    for system, row in rows.items():
        # The plain query costs nothing to write.
        assert unexplained(row, [systems[system], {"tokens": 0}]) == []


def test_the_size_of_a_dataset_is_named_by_its_rows(made: dict[str, Made]) -> None:
    for name in DATASETS:
        build, data = made[name].sources[1], read_card(made[name].text, name).data
        rows = {config: sum(splits.values()) for config, splits in build["rows"].items()}
        assert data["size_categories"] == ["n<1K"] and sum(rows.values()) < 1000
        infos = data["dataset_info"] if isinstance(data["dataset_info"], list) else [data["dataset_info"]]
        for info in infos:
            found = {split["name"]: split["num_examples"] for split in info["splits"]}
            assert found == build["rows"][info["config_name"]]


def test_the_hub_accepts_every_card_and_refuses_a_broken_one(hub, made: dict[str, Made]) -> None:
    script = """
    from huggingface_hub import DatasetCard, ModelCard, SpaceCard

    kinds = {"dataset": DatasetCard, "model": ModelCard, "space": SpaceCard}
    result = {name: name_of(kinds[kind](text).validate)[0] for name, (kind, text) in cards.items()}
    """
    cards = {name: (REPO_TYPES.get(name, "model"), card.text) for name, card in made.items()}
    cards["broken"] = ("model", made["sft"].text.replace("base_model_relation: adapter", "base_model_relation: child"))
    result = run_client(hub, script, cards=cards)
    assert result == dict.fromkeys(CARDS, "ok") | {"broken": "ValueError"}
    assert len(hub.requests("POST", "validate-yaml")) == len(cards)


def test_the_demos_cards_hold_only_numbers_of_its_json(demo, tmp_path: Path) -> None:
    """The real thing: every card of the demo at a small size."""
    from space.render import render

    for folder in (demo.expansions, demo.preferences):
        assert unexplained((folder / "README.md").read_text(), dataset_sources(folder)) == []
    for folder in (demo.sft, demo.dpo):
        text, sources = (folder / "README.md").read_text(), model_sources(folder, demo.results)
        assert unexplained(text, sources) == []
        rows_are_their_systems(text, sources[2]["systems"])
    render(demo.folder, None, tmp_path / "space")
    text, sources = (tmp_path / "space/README.md").read_text(), space_sources(tmp_path / "space")
    assert unexplained(text, sources) == []
    rows_are_their_systems(text, sources[0]["measured"])


@pytest.fixture
def carded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with two evaluated adapters in `models`, and `results`."""
    monkeypatch.chdir(tmp_path)
    evaluated(tmp_path / "results", sft_and_dpo(tmp_path / "models"))
    return tmp_path


def test_the_example_draws_as_many_expansions_as_were_measured(carded: Path) -> None:
    path = Path("results/results.json")
    results = json.loads(path.read_text())
    drawn = {"greedy": False, "samples": 6, "temperature": 0.7, "top_k": 40, "max_new_tokens": 24}
    path.write_text(json.dumps({**results, "decoding": drawn}))
    card = model_card(Path("models/dpo"), path, None, [], "apache-2.0")
    assert "6 expansions searched together a query" in card
    (code,) = [block for block in re.findall(r"```python\n(.*?)```", card, re.DOTALL) if "generate(" in block]
    compile(code, "card", "exec")
    asked = ("do_sample=True", "num_return_sequences=6", "temperature=0.7", "top_k=40", "max_new_tokens=24")
    assert all(f"    {one},\n" in code for one in asked) and "batch_decode" in code


def test_older_results_have_rows_that_no_card_shows(carded: Path) -> None:
    """Rows `+ guard`, which `kept` marks."""
    path = Path("results/results.json")
    card = model_card(Path("models/dpo"), path, None, [], "apache-2.0")
    results = json.loads(path.read_text())
    systems = results["systems"]
    guarded = {**{key: value for key, value in systems["base"].items() if key != "identity"}, "kept": 0.5}
    results["systems"] = {"plain": systems["plain"], "base + guard": guarded, **systems}
    path.write_text(json.dumps(results))
    assert model_card(Path("models/dpo"), path, None, [], "apache-2.0") == card


def test_a_card_has_its_pictures_beside_it(carded: Path) -> None:
    cards = ("-m", "model_cards", "--adapters", "models/dpo", "--results", "results/results.json")
    assert command_here(*cards, cwd=carded).returncode == 0
    shown = re.findall(r"!\[[^]]*\]\(([^)]+)\)", Path("models/dpo/README.md").read_text())
    assert shown == ["gain.png", "ndcg_delta.png"] and all(Path("models/dpo", name).is_file() for name in shown)
    assert command_here(*cards, cwd=carded).stderr.count("up to date") == 4
    path = Path("results/per_query.parquet")
    table = parquet.read_table(path)
    parquet.write_table(table.filter(compute.not_equal(table["system"], "dpo")), path)
    assert "no queries of dpo; evaluate again" in refused(command_here(*cards, cwd=carded))


@pytest.mark.parametrize("kind", DATASETS)
def test_a_teacher_that_is_no_language_model_is_called_none(kind: str, made: dict[str, Made]) -> None:
    rows = {
        "expansions": {"raw": {"train": [raw_row(0)]}},
        "preferences": {"preference": {"train": [preference_row(0)]}},
    }
    built = json.loads((made[kind].folder / "build.json").read_text()) | {"with_plain": True}
    built["expander"]["model_id"] = "term-regression"
    card = " ".join(dataset_card(made[kind].folder, rows[kind], built, "here").split())
    assert "a regression over the train judgments, no language model" in card
    assert "a language model" not in card and "terms of whoever ran" not in card
    assert ("the plain query, an empty expansion, is a candidate too" in card) == (kind == "preferences")


# ------------------------------------------------------------------------------------------------ missing results


def everything(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def without_settings(path: Path) -> None:
    results = json.loads(path.read_text())
    path.write_text(json.dumps({key: value for key, value in results.items() if key != "settings"}))


DAMAGE = {
    "missing": lambda results: results.unlink(),
    "cut off": lambda results: results.write_bytes(results.read_bytes()[:-9]),
    "empty": lambda results: results.write_text("{}"),
    "a list": lambda results: results.write_text("[]"),
    "without settings": without_settings,
    "without rows": lambda results: results.with_name("per_query.parquet").unlink(),
    "rows cut off": lambda results: results.with_name("per_query.parquet").write_bytes(b"PAR1"),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_no_card_and_no_space_is_made_of_damaged_results(carded: Path, damage: str) -> None:
    from space.render import render

    DAMAGE[damage](carded / "results/results.json")
    before = everything(carded)
    for make in (
        lambda: model_card(Path("models/sft"), Path("results/results.json"), None, [], "apache-2.0"),
        lambda: render(Path("results"), None, Path("space")),
    ):
        with pytest.raises(KitError, match=r"results|per_query\.parquet") as caught:
            make()
        assert "\n" not in str(caught.value) and re.search("evaluate", str(caught.value))
    assert everything(carded) == before


def test_the_commands_refuse_missing_results_in_one_line(carded: Path) -> None:
    """Exit code 2, one line that says what to run, nothing written; also where the setting itself is missing."""
    shutil.rmtree(carded / "results")
    before = everything(carded)
    cards = ("-m", "model_cards", "--adapters", carded / "models/sft")
    space = ("-m", "space", "--render_only", "--output_dir", carded / "space")
    line = refused(command_here(*cards, "--results", carded / "results/results.json"))
    assert "no results there; run train/evaluate.py first" in line
    assert "no results there; run train/evaluate.py first" in refused(
        command_here(*space, "--results", carded / "results")
    )
    assert "--adapters and --results go together" in refused(command_here(*cards))
    done = command_here(*space)
    assert done.returncode == 2 and "the following arguments are required: --results" in done.stderr
    assert "Traceback" not in done.stderr
    assert everything(carded) == before
