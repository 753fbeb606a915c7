"""Self-reference answers: what is shown to whom, what is kept, and what is refused."""

import json

import pytest

from builders.artifacts.dataset_folder import read_build, read_rows
from builders.artifacts.render import render_dataset
from builders.commands.expansions import main as make_expansions
from builders.commands.references import main as make_references
from builders.errors import KitError
from builders.publishing.staging.staged_dataset import open_staged_dataset
from tests.support.inference_server import Fault, InferenceServer, answer_to, name_of
from tests.support.rendered_folders import VERSION
from tests.support.word_collection import word_collection


QUERIES = 4
SERVER = "an OpenAI-compatible server"


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """Expansions of four train queries, one of which stands in the validation split; a fifth query is for tests."""
    folder = tmp_path_factory.mktemp("references")
    collection = word_collection(folder / "words", QUERIES + 1)
    lines = (collection / "qrels/train.tsv").read_text().splitlines()
    for split, judged in {"train": lines[1:4], "dev": lines[4:5], "test": lines[5:]}.items():
        (collection / f"qrels/{split}.tsv").write_text("\n".join([lines[0], *judged]) + "\n")
    rows = [
        {"query_id": f"q{query}", "expansion": f"the {word} of all things", "model": "m/big"}
        for query in range(QUERIES)
        for word in ("array", "matrix")
    ]
    (folder / "teacher.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    with pytest.MonkeyPatch.context() as patch:
        # As if made by committed code: other folders are not published.
        patch.setattr("builders.artifacts.provenance.code_version", lambda: VERSION)
        make_expansions(
            [
                *("--collection", str(collection), "--prompts", "web-passage-zero-shot", "--samples", "2"),
                *("--expander", "recorded", "--recorded", str(folder / "teacher.jsonl"), "--select", "all"),
                *("--num_train", "-1", "--num_validation", "-1", "--output_dir", str(folder / "expansions")),
            ]
        )
    return folder


@pytest.fixture
def server():
    with InferenceServer() as running:
        yield running


def build(world, server, folder, **changes):
    settings = {
        "expansions": world / "expansions",
        "prompt": "web-passage-self-reference",
        "expander": "inference",
        "base_url": server.url if server else None,
        "model": "acme/teacher",
        "concurrency": 1,
        "max_new_tokens": 16,
        "output_dir": folder,
    } | changes
    given = {name: value for name, value in settings.items() if value is not None}
    make_references([str(part) for name, value in given.items() for part in (f"--{name}", value)])
    return {split: read_rows(folder, "reference", split) for split in ("train", "validation")}


def test_every_query_is_answered_with_its_document_in_view(world, server, tmp_path):
    rows = build(world, server, tmp_path / "out", temperature=0.6)
    assert [row["query_id"] for row in rows["validation"]] == ["q3"], "the split is the expansions' own"
    assert sorted(row["query_id"] for row in rows["train"]) == ["q0", "q1", "q2"] and len(server.seen) == QUERIES
    pages = [json.loads(line) for line in (world / "words/corpus.jsonl").read_text().splitlines()]
    text_of = {page["_id"]: page["text"] for page in pages}
    asked = {name_of(seen.body): seen.body for seen in server.seen}
    for row in [*rows["train"], *rows["validation"]]:
        body = asked[row["reference"].split()[0]]
        assert row["reference"] == answer_to(body), "what was answered is what is kept"
        assert row["document_id"] == row["query_id"].replace("q", "d")
        shown = body["messages"][-1]["content"]
        assert text_of[row["document_id"]] in shown and row["query"] in shown
        assert not any(text in shown for name, text in text_of.items() if name != row["document_id"])
        assert (row["temperature"], row["seed"], row["check"], row["provider"]) == (0.6, 0, "ok", SERVER)
        assert (row["prompt_id"], row["model_id"]) == ("web-passage-self-reference", "acme/teacher")


def test_what_was_answered_is_not_asked_for_again(world, server, tmp_path, capsys):
    whole = build(world, server, tmp_path / "whole")
    server.seen.clear()
    server.on_answer = lambda number: server.faults.append(Fault(status=401)) if number == 2 else None
    with pytest.raises(KitError, match="answers so far are kept"):
        build(world, server, tmp_path / "out")
    server.on_answer = lambda number: None
    assert build(world, server, tmp_path / "out") == whole
    assert len(server.answered) == len(set(server.answered)) == QUERIES
    build(world, server, tmp_path / "out")
    assert len(server.answered) == QUERIES and "up to date" in capsys.readouterr().err
    for name in ("train", "validation"):
        one, two = (next((tmp_path / f / "data/reference").glob(f"{name}-*")) for f in ("whole", "out"))
        assert one.read_bytes() == two.read_bytes()


def test_every_flag_reaches_the_model(world, server, tmp_path):
    build(world, server, tmp_path / "out")
    before = server.seen[0].body
    for flag, field, value in (
        ("temperature", "temperature", 0.3),
        ("top_p", "top_p", 0.8),
        ("max_new_tokens", "max_tokens", 12),
        ("seed", "seed", 5),
        ("prompt", "messages", "claim-evidence-self-reference"),
    ):
        server.seen.clear()
        rows = build(world, server, tmp_path / "out", **{flag: value})
        assert len(server.seen) == QUERIES, flag
        assert all(seen.body[field] != before.get(field) for seen in server.seen), flag
        row = rows["train"][0]
        assert row["prompt_id" if flag == "prompt" else flag] == value


def test_a_references_folder_is_published_like_the_others(world, server, tmp_path, monkeypatch):
    monkeypatch.setattr("builders.artifacts.provenance.code_version", lambda: VERSION)
    build(world, server, tmp_path / "out")
    rendered = open_staged_dataset(tmp_path / "out")
    assert (rendered.kind, rendered.repo_type, dict(rendered.rows)) == (
        "references",
        "dataset",
        {"reference": QUERIES},
    )
    made = read_build(tmp_path / "out")
    assert made["yield"] == {"queries": QUERIES, "answers": QUERIES, "checks": {"ok": QUERIES}}
    assert made["queries"] == {"train": 3, "validation": 1}
    card = str(rendered.card)
    assert "Self-reference answers for words" in card and "the student sees" not in card
    assert "graded by" not in card and "would be told the answer" in card


def rendered(world, folder, change):
    """The expansions with their raw rows changed."""
    rows = change(read_rows(world / "expansions", "raw", "train"))
    render_dataset(folder, {"raw": {"train": rows}}, read_build(world / "expansions"), {})
    return folder


def test_a_test_query_is_refused(world, server, tmp_path):
    folder = rendered(world, tmp_path / "e", lambda rows: [*rows, {**rows[0], "query_id": "q4"}])
    with pytest.raises(KitError, match="query 'q4' is a test query: its judged document must not be shown"):
        build(world, server, tmp_path / "out", expansions=folder)
    assert not server.seen and not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"prompt": "web-passage-zero-shot"}, "does not show the judged document; give one with grounding: gold"),
        ({"prompt": "haiku"}, "unknown prompt 'haiku'"),
        ({"expander": "none"}, "cannot answer from a page; give one of local, inference, recorded"),
        ({"expander": "term-regression"}, "cannot answer from a page"),
        ({"max_new_tokens": 0}, "must be at least 1"),
        ({"temperature": -1}, "--temperature -1"),
        ({"collection": "pydocs"}, "fingerprint"),
        ({"expansions": "no/such/folder"}, "no such dataset folder"),
    ],
    ids=lambda value: str(value)[:40],
)
def test_what_cannot_be_is_refused(world, server, tmp_path, changes, message):
    with pytest.raises(KitError, match=message):
        build(world, server, tmp_path / "out", **changes)
    assert not server.seen and not (tmp_path / "out").exists()


def test_a_query_that_the_collection_lacks_is_refused(world, server, tmp_path):
    folder = rendered(world, tmp_path / "e", lambda rows: [{**rows[0], "query_id": "q99"}])
    with pytest.raises(KitError, match="query 'q99' is not in collection 'words'"):
        build(world, server, tmp_path / "out", expansions=folder)


def test_recorded_answers_are_of_one_prompt(world, tmp_path):
    rows = [
        {"query_id": f"q{n}", "expansion": "  so it \n is said there ", "model": "m/big", "prompt_id": prompt}
        for n in range(2)
        for prompt in ("one", "two")
    ]
    (tmp_path / "said.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    recorded = {"expander": "recorded", "recorded": tmp_path / "said.jsonl", "model": None}
    with pytest.raises(KitError, match=r"answers to several prompts \(one, two\): choose one with --where"):
        build(world, None, tmp_path / "out", **recorded)
    rows = build(world, None, tmp_path / "out", **recorded, where="prompt_id=two")
    assert [row["reference"] for row in rows["train"]] == ["so it is said there"] * 2, "as it is checked and encoded"
    assert {row["temperature"] for row in rows["train"]} == {None} and not rows["validation"]
    assert read_build(tmp_path / "out")["yield"] == {"queries": QUERIES, "answers": 2, "checks": {"ok": 2}}
