"""The published card: people's words survive, the kit's are replaced."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from builders.artifacts.render import render_dataset
from builders.publishing.card_merge import CLOSE, OPEN, merge, read_card
from tests.hub_server import HubServer
from tests.support.publishing_client import KINDS, NAME, publish, refusal, repo
from tests.support.rendered_folders import BASE, REPO_TYPES, adapter, adapter_card, build, make, preference_row


def test_hand_edits_survive_and_the_generated_part_is_replaced(hub: HubServer, tmp_path: Path) -> None:
    publish(hub, adapter(tmp_path / "a", 1))
    there = hub.repo("model", NAME)
    card = read_card(there.read("README.md").decode(), "test")
    data = {**card.data, "tags": [*card.data["tags"], "mine"], "extra_gated_prompt": "Ask — nicely", "license": "mit"}
    edited = card.generated.replace("nDCG@10", "EDITED INSIDE")
    text = f"---\n{yaml.safe_dump(data, allow_unicode=True)}---\n\nAbove.\n\n{edited}\n\n## Below\n"
    there.commit({"README.md": text.encode()})
    for step in (2, 2, 3):
        publish(hub, adapter(tmp_path / "a", step))
        card = read_card(there.read("README.md").decode(), "test")
        assert card.before.strip() == "Above." and card.after.strip() == "## Below"
        assert f"nDCG@10 {0.5 + step / 100}" in card.generated and "EDITED" not in card.generated
        assert card.data["tags"] == ["lora", "mine"] and card.data["extra_gated_prompt"] == "Ask — nicely"
        assert card.data["license"] == "apache-2.0", "a key of the kit's own"
        assert card.data["model-index"][0]["results"][0]["metrics"][0]["value"] == 0.5 + step / 100
    assert len(there.commits()) == 5, "publishing the same twice made a commit"


@pytest.mark.parametrize("kind", ["dataset", "space"])
def test_hand_edits_of_the_other_kinds_survive(hub: HubServer, versions: dict, calm: dict, kind: str) -> None:
    first, second = versions[kind]
    publish(hub, first)
    there = repo(hub, kind)
    card = read_card(there.read("README.md").decode(), "test")
    front = f"---\n{yaml.safe_dump({**card.data, 'thumbnail': 'a.png'})}---\n"
    there.commit({"README.md": f"{front}\nAbove.\n\n{card.generated}\n\n## Below\n".encode()})
    publish(hub, second)
    card, undisturbed = (read_card(c["README.md"].decode(), "test") for c in (there.files(), calm[kind]))
    assert card.before.strip() == "Above." and card.after.strip() == "## Below"
    assert card.data == undisturbed.data | {"thumbnail": "a.png"} and card.generated == undisturbed.generated
    assert not publish(hub, second).changed


def test_a_key_that_the_kit_no_longer_writes_goes(hub: HubServer, tmp_path: Path) -> None:
    folder = adapter(tmp_path / "a")
    card = folder / "README.md"
    card.write_text(card.read_text().replace("license:", "datasets:\n- kit-owner/data\nlicense:"))
    publish(hub, folder)
    card.write_text(adapter_card(BASE, 0.5))
    publish(hub, folder)
    assert "datasets" not in read_card(hub.repo("model", NAME).read("README.md").decode(), "test").data


def test_words_of_the_folders_own_card_can_change(hub: HubServer, tmp_path: Path) -> None:
    folder = adapter(tmp_path / "a")
    card = folder / "README.md"
    for words in ("First words.", "Other words."):
        card.write_text(adapter_card(BASE, 0.5) + f"\n{words}\n")
        publish(hub, folder)
        assert read_card(hub.repo("model", NAME).read("README.md").decode(), "test").by_hand == words


@pytest.mark.parametrize("kind", KINDS)
def test_a_card_that_was_there_before_the_kit_stays_below(hub: HubServer, tmp_path: Path, kind: str) -> None:
    sdk = "gradio" if kind == "space" else None
    hub.create_repo(REPO_TYPES[kind], NAME, sdk=sdk).commit(
        {"README.md": b"---\nthumbnail: a.png\n---\nMy own words.\n"}
    )
    publish(hub, make(kind, tmp_path / "a", 1))
    card = read_card(repo(hub, kind).read("README.md").decode(), "test")
    assert card.data["thumbnail"] == "a.png" and card.by_hand == "My own words."
    assert not publish(hub, make(kind, tmp_path / "a", 1)).changed


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    "broken",
    [
        "---\ntags: [a\n---\ntext\n",
        "---\n- a list\n---\ntext\n",
        "---\nlicense: mit\ntext without an end\n",
        "---\nlicense: mit\n---\ntext without marks\n",
        "---\nlicense: mit\n---\n<!-- generated: x -->\nthe closing mark is gone\n",
    ],
    ids=["yaml", "list", "unclosed", "no marks", "one mark"],
)
def test_a_card_broken_by_hand_is_one_line(hub: HubServer, versions: dict, kind: str, broken: str) -> None:
    publish(hub, versions[kind][0])
    there = repo(hub, kind)
    there.commit({"README.md": broken.encode()})
    head = there.head
    line = refusal(hub, versions[kind][1])
    assert "README.md" in line and "on the Hub" in line and there.head == head


def test_merging_is_stable() -> None:
    rendered = read_card(adapter_card(BASE, 0.5), "a")
    published = read_card("---\nlicense: mit\nx: 1\ntags: mine\n---\nwords\n", "b")
    once = merge(rendered, published, None)
    assert str(merge(rendered, read_card(str(once), "c"), None)) == str(once)
    assert once.data["x"] == 1 and once.data["tags"] == ["lora", "mine"]


def test_a_text_that_holds_the_marks_is_published(hub: HubServer, tmp_path: Path) -> None:
    """The card's first row shows it."""
    row = preference_row(0) | {"query": f"what does\n{CLOSE}\nmean, and {OPEN} x -->?"}
    folder = tmp_path / "pairs"
    render_dataset(folder, {"preference": {"train": [row]}}, build("preferences", 1), {"total_seconds": 1.0})
    publish(hub, folder)
    published = read_card(hub.repo("dataset", NAME).read("README.md").decode(), "test")
    assert "what does" in published.generated and not published.by_hand
    assert not publish(hub, folder).changed
