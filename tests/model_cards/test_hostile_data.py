"""Whatever stands in collections, queries, names and recipes: cards, tables and pages show it as text."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest

from builders.artifacts.dataset_card import dataset_card
from builders.artifacts.dataset_folder import read_rows
from builders.exporting.export_card import export_card
from model_cards.adapter_card import model_card
from space.about import about_html, head_html
from space.render import render
from space.settings import read_settings
from tests.support.commands import ROOT
from tests.support.evaluated_folders import evaluated, exported, sft_and_dpo
from tests.support.hostile import EVIL, FIXED, HARMLESS, body, is_only_shown, poison, said
from tests.support.rendered_folders import expansions, preferences
from tests.support.tiny_encoder import triplet_row, triplets
from train.reports.matrix_table import matrix_table
from train.reports.results_table import markdown_table, short_table
from train.reports.rounds_tables import alternation_table, rounds_table


def of_dataset(make: Callable[[Path], Path]) -> Callable[[Path, str], str]:
    def card(folder: Path, more: str) -> str:
        made = make(folder / "made")
        places = ["expander", "prompts", "retriever"]
        build = poison(made / "build.json", more, *places)
        counts = build["yield"].get("train", build["yield"])
        for names in ("checks", "dropped_queries", "rejected_candidates", "false_negatives", "mean_ndcg_at_10"):
            if names in counts:
                counts[names] = {**counts[names], f"name{more}": 1}
        tables = {
            config: {split: said(read_rows(made, config, split), more) for split in splits}
            for config, splits in build["rows"].items()
        }
        return dataset_card(made, tables, build, f"folder{more}")

    return card


def of_adapter(folder: Path, more: str) -> str:
    adapters = sft_and_dpo(folder / "models")
    results = evaluated(folder / "results", adapters)
    for adapter in adapters:
        training = poison(adapter / "training.json", more, "settings", "base", "versions")
        training["settings"]["training"][f"name{more}"] = f"value{more}"
        (adapter / "training.json").write_text(json.dumps(training))
    record = poison(results, more, "retriever")
    record["systems"] = {
        "plain": record["systems"].pop("plain"),
        f"other{more}": record["systems"].pop("base"),
        **record["systems"],
    }
    record["systems"]["dpo"]["against"] = {f"x{more}": next(iter(record["systems"]["dpo"]["against"].values()))}
    results.write_text(json.dumps({**record, "reference_teacher": f"teacher{more}"}))
    return model_card(adapters[1], results, None, [], "apache-2.0")


def of_export(kind: str) -> Callable[[Path, str], str]:
    def card(folder: Path, more: str) -> str:
        made = exported(folder / "made", kind)
        record = poison(made / "export.json", more, "prompt", "base", "dtype", "training.base")
        return export_card(record, folder / f"name{more.replace('/', '')}", None, f"a/b{more}")

    return card


def space(folder: Path, more: str) -> Path:
    adapters = sft_and_dpo(folder / "models")
    results = evaluated(folder / "results", adapters)
    record = poison(results, more)
    record["systems"][f"other{more}"] = record["systems"]["pyserini+rm3"]
    results.write_text(json.dumps(record))
    render(results.parent, None, folder / "space")
    return folder / "space"


CARDS = {
    "expansions": of_dataset(expansions),
    "preferences": of_dataset(preferences),
    "triplets": of_dataset(lambda folder: triplets(folder, [triplet_row(number) for number in range(4)])),
    "adapter": of_adapter,
    "merged": of_export("merged"),
    "gguf": of_export("gguf"),
}


@pytest.mark.parametrize("name", CARDS)
def test_cards(tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    texts = {}
    for more in (HARMLESS, EVIL):
        folder = tmp_path / str(len(texts))
        folder.mkdir()
        # Cards name folders as they were given.
        monkeypatch.chdir(folder)
        texts[more] = body(CARDS[name](Path(), more), name)
    is_only_shown(texts[EVIL], texts[HARMLESS])


TABLES = {
    "pydocs": markdown_table,
    "demo": short_table,
    "scifact-expandr": matrix_table,
    "pydocs-expandr-alternation": alternation_table,
    "pydocs-rounds": rounds_table,
}


@pytest.mark.parametrize("name", TABLES)
def test_tables_of_results(name: str) -> None:
    """Of recorded results, with other names of collections, systems and prompts."""
    recorded = (ROOT / f"benchmarks/results/{name}.json").read_text()
    texts = {}
    for more in (HARMLESS, EVIL):
        results = recorded
        for system in ("sft", "dpo", "round-1", "teacher", "72B zero-shot"):
            results = results.replace(f'"{system}"', json.dumps(system + more))
        results = said(
            json.loads(results), more, FIXED - {"prompt"} | {"system", "best", "adapter", "id", "filter", "against"}
        )
        if isinstance(results.get("prompt"), dict):
            results["prompt"]["id"] = f"prompt{more}"
        texts[more] = TABLES[name](results)
    is_only_shown(texts[EVIL], texts[HARMLESS])


class Tags(HTMLParser):
    """The tags of a page, and what stands between them."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, list[str]]] = []
        self.text = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, [name for name, _ in attrs]))

    def handle_data(self, data: str) -> None:
        self.text += data


def test_the_card_and_the_pages_of_a_space(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cards, pages = {}, {}
    for more in (HARMLESS, EVIL):
        folder = tmp_path / str(len(pages))
        folder.mkdir()
        monkeypatch.chdir(folder)
        made = space(Path(), more)
        cards[more] = body((made / "README.md").read_text(), "space")
        settings = read_settings(made)
        settings = replace(settings, model=f"a/b{more}", package=f"c{more}", split=f"d{more}", collection=f"e{more}")
        pages[more] = Tags(head_html(settings) + about_html(settings))
    is_only_shown(cards[EVIL], cards[HARMLESS])
    assert pages[EVIL].tags == pages[HARMLESS].tags
    assert pages[EVIL].text.count("<script>") >= pages[HARMLESS].text.count(HARMLESS) - 2 > 4
