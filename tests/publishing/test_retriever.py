"""The trained retriever on the Hub: its card, and what a sentence-transformers user gets."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from builders.collections.collection import Collection, Document
from builders.errors import KitError
from builders.publishing.staging.load import open_staged
from builders.retrievers.encoder import Encoder
from builders.retrievers.formulation import load_formulation
from builders.retrievers.load import load_retriever
from model_cards.retriever_card import retriever_card
from tests.hub_server import HubServer
from tests.hub_server.cards import validate
from tests.hub_server.fixtures import run_client
from tests.support.commands import command
from tests.support.hostile import EVIL, HARMLESS, body, is_only_shown, poison, said
from tests.support.publishing_client import command as publish
from tests.support.rendered_folders import VERSION
from tests.support.trained_retriever import BASE, REPO, matrix


pytest.importorskip("sentence_transformers", reason="the extra dense is not installed")


def blocks(card: str) -> list[str]:
    return re.findall(r"```python\n(.*?)```", card, re.S)


def test_the_recipe_in_the_card_runs_and_is_the_kits_own_mean(
    retriever: Path, capsys: pytest.CaptureFixture, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("QUERY_EXPANSION_KIT_CACHE", str(tmp_path / "cache"))
    card = retriever_card(retriever, None, None, ["kit-owner/fruit-triplets"], "apache-2.0")
    assert "**It was not evaluated**" in card and "## Results" not in card and "model-index" not in card
    assert validate(card, "model") == ([], [])
    for line in ("library_name: sentence-transformers", f"base_model: {BASE}", "- kit-owner/fruit-triplets"):
        assert line in card
    space: dict[str, Any] = {}
    for block in blocks(card):
        exec(block, space)
    assert capsys.readouterr().out.count("[[") == 2
    documents = [Document(f"d{number}", "", text) for number, text in enumerate(space["documents"])]
    collection = Collection("fruit", "en", documents, {}, {}, "made up", "CC0", "made up")
    found = load_formulation("mean").search(
        load_retriever(f"dense:{retriever}", collection), [(space["query"], [space["expansion"]])], 2
    )[0]
    scores = (space["expanded_vectors"] @ space["document_vectors"].T)[0]
    assert {hit.document_id: hit.score for hit in found} == pytest.approx({"d0": scores[0], "d1": scores[1]}, abs=1e-5)
    assert np.linalg.norm(space["expanded_vectors"]) < 0.9999


def test_figures_in_the_card_are_those_of_the_matrix_and_of_these_weights(retriever: Path, tmp_path: Path) -> None:
    path = matrix(tmp_path, Encoder(str(retriever)).revision)
    card = retriever_card(retriever, path, REPO, [], "apache-2.0")
    assert validate(card, "model")[0] == []
    assert "It helps: on 64 test queries nDCG@10 is at best 0.6125, with the expansions of `sft`" in card
    assert "+22.5 %, 95 % interval +0.0625 to +0.1625, p = 0.004; 44 % of the queries are helped" in card
    assert "**19 % are hurt**" in card
    assert "| trained (this model) | sft | 0.6125 | 0.5813 | 0.9062 | +22.5 % |" in card
    assert "| zero-shot | none | 0.5000 | 0.4688 | 0.9062 | reference |" in card
    assert f'SentenceTransformer("{REPO}")' in card and "not evaluated" not in card
    index = re.search(r"model-index:(.*?)\n---", card, re.S)[1]
    assert index.count("value: 0.6125") == 1 and "value: 0.48\n" not in index
    table = [line for line in card.splitlines() if line.startswith(("| retriever |", "| tr", "| zero", "| other"))]
    assert len(table) == 6, "of another retriever, the query alone"
    assert "| other | none | 0.5100 |" in card and "| other | sft |" not in card
    assert len({line.count("|") for line in table}) == 1
    assert "64 test queries of fruit (fingerprint" in card and "no new word" not in card
    told = json.loads(path.read_text())
    told["collection"]["without_relevant"] = {"test": 3, "train": 9}
    for row in told["rows"]:
        row |= {} if row["expander"] == "none" else {"silent": 0.25, "echoes": 0.0625}
    path.write_text(json.dumps(told))
    card = retriever_card(retriever, path, REPO, [], "apache-2.0")
    assert "64 test queries of fruit (3 more have no relevant document) (fingerprint" in card
    table = [line for line in card.splitlines() if line.startswith(("| retriever |", "| tr", "| zero", "| other"))]
    assert table[0].endswith("| peak MiB | no new word | echoes |") and len({line.count("|") for line in table}) == 1
    assert sum(line.endswith("| 457 | 25.0 % | 6.2 % |") for line in table) == 2
    assert sum(line.endswith("| 457 |  |  |") for line in table) == 3
    with pytest.raises(KitError, match="no results for the weights in"):
        retriever_card(retriever, matrix(tmp_path, "sha256:1111111111111111"), None, [], "apache-2.0")
    (tmp_path / "matrix.json").write_text("{}")
    with pytest.raises(KitError, match="no results of train/matrix.py"):
        retriever_card(retriever, tmp_path / "matrix.json", None, [], "apache-2.0")


def test_what_is_not_whole_is_not_published(retriever: Path, tmp_path: Path) -> None:
    with pytest.raises(KitError, match="has no card yet; first: python -m model_cards --retrievers"):
        open_staged(retriever)
    (retriever / "README.md").write_text(retriever_card(retriever, None, None, [], "apache-2.0"))
    (retriever / "checkpoint-3").mkdir()
    (retriever / "checkpoint-3/optimizer.pt").write_bytes(b"x")
    rendered = open_staged(retriever)
    assert (rendered.kind, rendered.repo_type) == ("retriever", "model")
    assert {"modules.json", "model.safetensors", "training.json", "README.md"} <= set(rendered.files)
    assert rendered.left_out == ("checkpoint-3/optimizer.pt",)
    training = json.loads((retriever / "training.json").read_text())
    for changes, message in (
        ({"code_version": f"{VERSION}.dirty"}, "made by edited code"),
        ({"base": {"model_id": "tiny", "revision": "x"}}, "was trained on 'tiny', no Hub id"),
        ({"base": {"model_id": "kit-owner/other", "revision": "x"}}, "does not say that it was made of"),
    ):
        (retriever / "training.json").write_text(json.dumps({**training, **changes}))
        with pytest.raises(KitError, match=message):
            open_staged(retriever)
    (retriever / "training.json").write_text(json.dumps(training))
    (retriever / "model.safetensors").write_bytes((retriever / "model.safetensors").read_bytes()[:-4])
    with pytest.raises(KitError, match=r"model\.safetensors: its weights differ from those measured"):
        open_staged(retriever)
    del training["files"]  # As earlier versions recorded a training.
    (retriever / "training.json").write_text(json.dumps(training))
    with pytest.raises(KitError, match=r"model\.safetensors: truncated or broken"):
        open_staged(retriever)


LOAD = """
from sentence_transformers import SentenceTransformer
model = SentenceTransformer(repo)
result["vectors"] = model.encode_query(texts).tolist()
result["max_seq_length"] = model.max_seq_length
"""


@pytest.mark.slow
def test_a_sentence_transformers_user_loads_what_was_pushed(hub: HubServer, retriever: Path) -> None:
    """With that library alone, in a fresh process with a fresh home."""
    from sentence_transformers import SentenceTransformer

    done = command("-m", "model_cards", "--retrievers", retriever)
    assert done.returncode == 0, done.stderr
    done = publish(hub, retriever, "--repo_id", REPO, "--tag", "v1.0")
    assert done.returncode == 0 and "tag v1.0, private" in done.stderr, done.stderr
    assert f'SentenceTransformer("{REPO}")' in hub.repo("model", REPO).read("README.md").decode()
    texts = ["which red pear", "pear by the hill"]
    result = run_client(hub, LOAD, repo=REPO, texts=texts)
    own = SentenceTransformer(str(retriever), device="cpu")
    assert np.allclose(result["vectors"], own.encode_query(texts), atol=1e-6)
    assert result["max_seq_length"] == own.max_seq_length


def test_what_the_card_shows_is_text(retriever: Path, tmp_path: Path) -> None:
    before, texts = (retriever / "training.json").read_text(), {}
    for more in (HARMLESS, EVIL):
        (retriever / "training.json").write_text(before)
        training = poison(retriever / "training.json", more, "base", "versions", "parent")
        build = training["data"]["triplets"]
        training["data"]["triplets"] = {
            **said(build, more, frozenset({"language", "choice"})),
            "queries": build["queries"],
        }
        training["settings"]["training"][f"name{more}"] = f"value{more}"
        (retriever / "training.json").write_text(json.dumps(training))
        measured = matrix(tmp_path, Encoder(str(retriever)).revision)
        record = poison(measured, more)
        record["retrievers"]["other"]["name"] = f"dense{more}"
        for row in record["rows"]:
            row["expander"] = row["expander"] if row["expander"] == "none" else f"sft{more}"
        measured.write_text(json.dumps(record))
        texts[more] = body(retriever_card(retriever, measured, None, [], "apache-2.0"), "retriever")
    is_only_shown(texts[EVIL], texts[HARMLESS])
