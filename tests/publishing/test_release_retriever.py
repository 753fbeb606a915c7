"""A trained retriever in a release: with the triplets it learned, under a card of the matrix that measured it."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from builders.commands.release import ReleaseArguments, release
from builders.errors import KitError
from builders.publishing.card_merge import read_card
from builders.retrievers.encoder import Encoder
from model_cards.retriever_card import retriever_card
from tests.hub_server import HubServer
from tests.support.tiny_encoder import triplet_row, triplets
from tests.support.trained_retriever import REPO, matrix


TRIPLETS = "kit-owner/fruit-triplets"


@pytest.fixture
def arguments(trained: Path, retriever: Path, tmp_path: Path) -> ReleaseArguments:
    return ReleaseArguments(
        owner="kit-owner",
        tag="v1.0",
        output_dir=str(tmp_path / "release"),
        datasets=[f"{trained.parent / 'data'}=fruit-triplets"],
        retrievers=[f"{retriever}=fruit-retriever"],
        matrix=str(matrix(tmp_path, Encoder(str(retriever)).revision)),
        collection="Fruit",
        push_to_hub=True,
    )


def push(hub: HubServer, arguments: ReleaseArguments) -> None:
    from huggingface_hub import HfApi

    release(arguments, HfApi(hub.url, hub.owner_token))


def carded(retriever: Path) -> Path:
    (retriever / "README.md").write_text(retriever_card(retriever, None, None, [], "apache-2.0"))
    return retriever


def test_it_is_tied_to_its_triplets(hub: HubServer, arguments: ReleaseArguments, retriever: Path) -> None:
    push(hub, arguments)
    model = hub.repo("model", REPO)
    commit = hub.repo("dataset", TRIPLETS).refs["refs/tags/v1.0"]
    card = model.read("README.md", "v1.0").decode()
    assert f"Trained on [{TRIPLETS}]({hub.url}/datasets/{TRIPLETS}) (`v1.0`, commit `{commit}`)." in card
    assert f"| retriever (this one) | [{REPO}]({hub.url}/{REPO}) | `v1.0` |" in card
    assert "nDCG@10 is at best 0.6125" in card and f'SentenceTransformer("{REPO}")' in card
    data = read_card(card, "test").data
    assert data["datasets"] == [TRIPLETS] and data["base_model_relation"] == "finetune"
    (found,) = hub.store.collections.values()
    assert [(item["type"], item["id"]) for item in found["items"]] == [("dataset", TRIPLETS), ("model", REPO)]
    assert not (retriever / "README.md").exists(), "the card is the copy's"
    weights = "model.safetensors"
    assert model.read(weights) == (retriever / weights).read_bytes()


def test_without_a_matrix_its_own_card_goes_up(hub: HubServer, arguments: ReleaseArguments, retriever: Path) -> None:
    with pytest.raises(KitError, match="has no card yet; first: python -m model_cards --retrievers"):
        push(hub, replace(arguments, matrix=None))
    carded(retriever)
    push(hub, replace(arguments, matrix=None))
    assert "**It was not evaluated**" in hub.repo("model", REPO).read("README.md").decode()


def test_what_does_not_belong_together_is_refused(
    hub: HubServer, arguments: ReleaseArguments, retriever: Path, tmp_path: Path
) -> None:
    def refusal(**changes: object) -> str:
        with pytest.raises(KitError) as caught:
            push(hub, replace(arguments, **changes))
        assert not hub.store.repos
        return str(caught.value)

    other = triplets(tmp_path / "other", [triplet_row(number) for number in range(5)])
    told = refusal(datasets=[f"{other}=fruit-triplets"])
    assert "retriever: was trained on other triplets than are in the release (other)" in told
    record = json.loads((retriever / "training.json").read_text())
    next_one = shutil.copytree(retriever, tmp_path / "next")
    (next_one / "training.json").write_text(json.dumps({**record, "parent": "retriever@sha256:0123456789abcdef"}))
    told = refusal(retrievers=[f"{next_one}=next"])
    assert "next: goes on with retriever@sha256:0123456789abcdef, which is not in the release: add its folder" in told
    assert "is a retriever" in refusal(retrievers=[], adapters=[f"{carded(retriever)}=fruit-retriever"])
    assert "is a dataset" in refusal(datasets=[], retrievers=[f"{other}=fruit-retriever"], matrix=None)
