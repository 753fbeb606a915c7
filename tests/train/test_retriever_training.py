"""The trained retriever: its loss against plain PyTorch, and a training from the recipe to the folder."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from builders.artifacts.render import render_dataset
from builders.collections.collection import Collection, Document
from builders.errors import KitError
from builders.retrievers.encoder import Encoder
from builders.retrievers.load import load_retriever
from tests.support.commands import command, launch, refused
from tests.support.rendered_folders import build, raw_row
from tests.support.tiny_encoder import tiny_encoder, triplet_row, triplets


pytest.importorskip("sentence_transformers", reason="the extra dense is not installed")


@pytest.fixture(scope="module")
def encoder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_encoder(tmp_path_factory.mktemp("encoder") / "tiny")


@pytest.fixture
def train(monkeypatch: pytest.MonkeyPatch):
    """The command in this process; the library takes seconds to import."""
    import train.retriever

    def run(*given: Any) -> None:
        monkeypatch.setattr(sys, "argv", ["train/retriever.py", *map(str, given)])
        train.retriever.main()

    return run


def arguments(data: Path, model: Path, output: Path, **settings: Any) -> list[str]:
    given = {
        "triplets": data,
        "model": model,
        "output_dir": output,
        "max_seq_length": 16,
        "num_train_epochs": 2,
        "learning_rate": 0.01,
        "per_device_train_batch_size": 4,
        "mini_batch_size": 2,
        "disable_tqdm": True,
        "report_to": "none",
        "use_cpu": True,
        **settings,
    }
    return [str(word) for name, value in given.items() for word in (f"--{name}", value)]


def record(folder: Path) -> dict[str, Any]:
    return json.loads((folder / "training.json").read_text())


def losses(folder: Path) -> list[float]:
    return [entry["loss"] for entry in record(folder)["log"]]


def weights(folder: Path) -> dict[str, np.ndarray]:
    from safetensors.numpy import load_file

    return load_file(folder / "model.safetensors")


# The loss.


class Looked:
    """An encoder whose vectors are its parameters: texts are their numbers, so that every gradient can be seen."""

    def __new__(cls, vectors: Any) -> Any:
        import torch

        class Model(torch.nn.Module):
            def __init__(self) -> None:
                super().__init__()
                self.vectors = torch.nn.Parameter(vectors.clone())

            def __getitem__(self, number: int) -> Any:
                return torch.nn.Identity()  # The library looks at a model's first module.

            def forward(self, features: dict[str, Any]) -> dict[str, Any]:
                return {"sentence_embedding": self.vectors[features["input_ids"][:, 0]]}

        return Model()


ROWS, WIDTH, TAU = 5, 7, 0.02


def case(negatives: int = 2, seed: int = 0) -> tuple[Any, list[dict[str, Any]], Any]:
    """Vectors of very different lengths, the columns as a trainer passes them, and labels: one has no expansion."""
    import torch

    generator = torch.Generator().manual_seed(seed)
    columns = 3 + negatives
    vectors = torch.randn(columns * ROWS, WIDTH, generator=generator, dtype=torch.float64)
    vectors *= 10 ** torch.linspace(-1, 1, columns * ROWS, dtype=torch.float64)[:, None]
    numbers = torch.arange(columns * ROWS).reshape(columns, ROWS, 1)
    features = [{"input_ids": part, "attention_mask": torch.ones_like(part)} for part in numbers]
    return vectors, features, torch.tensor([1, 1, 0, 1, 1])


def plain(vectors: Any, labels: Any, columns: int) -> tuple[float, Any]:
    """The formula, spelled out: loss and gradient."""
    import torch

    vectors = vectors.clone().requires_grad_()
    query, expansion, *documents = vectors.reshape(columns, ROWS, WIDTH)
    unit = [part / part.norm(dim=1, keepdim=True) for part in (query, expansion, *documents)]
    rows = []
    for number in range(ROWS):
        other = unit[1][number] if labels[number] else unit[0][number]
        mean = (unit[0][number] + other) / 2
        scores = torch.stack([mean @ one for part in unit[2:] for one in part]) / TAU
        rows.append(torch.logsumexp(scores, 0) - scores[number])
    loss = torch.stack(rows).mean()
    loss.backward()
    return float(loss.detach()), vectors.grad


@pytest.mark.parametrize("mini_batch_size", [0, 2, 64])
@pytest.mark.parametrize("negatives", [0, 2])
def test_the_loss_and_its_gradient_are_those_of_the_formula(mini_batch_size: int, negatives: int) -> None:
    import torch

    from train.encoders.expanded_query_loss import contrastive_loss

    vectors, features, labels = case(negatives)
    expected, gradient = plain(vectors, labels, 3 + negatives)
    model = Looked(vectors)
    loss = contrastive_loss(model, TAU, mini_batch_size, gather=False, is_expanded=True)(features, labels)
    loss.backward()
    assert float(loss.detach()) == pytest.approx(expected, abs=1e-5)
    assert torch.allclose(model.vectors.grad, gradient, atol=1e-5)
    assert gradient.abs().max() > 0.01 and not gradient[ROWS + 2].any(), "the row without expansion"


def test_parts_are_brought_to_length_1_before_they_are_averaged_and_the_mean_is_not() -> None:
    import torch

    from train.encoders.expanded_query_loss import expanded_similarity, joined

    query, expansion = torch.tensor([[10.0, 0.0]]), torch.tensor([[0.0, 0.1]])
    document = torch.tensor([[3.0, 3.0]])

    def score(is_expanded: int) -> float:
        return float(expanded_similarity(joined(query, expansion, torch.tensor([is_expanded])), document))

    half = 0.5**0.5
    assert score(1) == pytest.approx((1 + 1) / 2 * half)  # not 1, its cosine, and not that of (10, 0.1)
    assert score(0) == pytest.approx(half)


@pytest.mark.parametrize("mini_batch_size", [0, 2])
def test_where_no_row_has_an_expansion_it_is_the_librarys_own_loss(mini_batch_size: int) -> None:
    import torch

    from train.encoders.expanded_query_loss import contrastive_loss

    vectors, features, _ = case()
    models = Looked(vectors), Looked(vectors)
    without = contrastive_loss(models[0], TAU, mini_batch_size, gather=False, is_expanded=False)
    expanded = contrastive_loss(models[1], TAU, mini_batch_size, gather=False, is_expanded=True)
    ours, theirs = (
        without([features[0], *features[2:]], None),
        expanded(features, torch.zeros(ROWS, dtype=torch.long)),
    )
    for loss in (ours, theirs):
        loss.backward()
    assert float(ours.detach()) == pytest.approx(float(theirs.detach()), abs=1e-5)
    assert torch.allclose(models[0].vectors.grad, models[1].vectors.grad, atol=1e-5)


# The training.


def rows(number: int = 16, expansion: str | None = None) -> list[dict[str, Any]]:
    return [triplet_row(n, expansion) for n in range(number)]


def vectors(folder: Path, texts: list[str]) -> np.ndarray:
    from sentence_transformers import SentenceTransformer

    return SentenceTransformer(str(folder), device="cpu").encode_query(texts)


def test_a_training_from_the_triplets_to_the_folder(
    encoder: Path, train: Any, tmp_path: Path, capsys: pytest.CaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("QUERY_EXPANSION_KIT_CACHE", str(tmp_path / "cache"))
    mixed = rows(15) + [triplet_row(15, "")]
    data, output = triplets(tmp_path / "data", mixed), tmp_path / "retriever"
    given = arguments(data, encoder, output, num_train_epochs=6)
    train(*given)
    made = record(output)
    assert made["kind"] == "retriever" and made["base"]["model_id"] == "tiny" and made["parent"] is None
    assert (made["steps"], made["rows"], made["negatives"]) == (24, {"triplets": 16}, 1)
    assert made["data"]["triplets"]["kind"] == "triplets" and made["dimension"] == 32
    assert set(made["example"]) == {"query", "expansion", "relevant", "negative_1", "label"}
    curve = losses(output)
    assert len(curve) == 24 and np.mean(curve[-4:]) < 0.5 * np.mean(curve[:4])
    timing = json.loads((output / "timing.json").read_text())
    assert timing["seconds"] > 0 and timing["peak_memory_mib"] > 0 and timing["hardware"]
    assert (output / "curves.png").read_bytes().startswith(b"\x89PNG")
    assert not any(str(tmp_path) in path.read_text() for path in output.rglob("*config*.json"))
    assert not (tmp_path / "retriever.work").exists()

    # sentence-transformers alone loads it, and it reads as many tokens as before.
    from sentence_transformers import SentenceTransformer

    assert SentenceTransformer(str(output), device="cpu").max_seq_length == 32
    queries = ["which pear", "which lime"]
    documents = [row["positive"] for row in mixed]
    collection = Collection(
        *("fruit", "en", [Document(f"d{n}", "", text) for n, text in enumerate(documents)], {}, {}),
        *("made up", "CC0", "made up"),
    )
    retriever = load_retriever(f"dense:{output}", collection)
    alone = vectors(output, queries)
    assert np.allclose(retriever.encode_queries(queries), alone / np.linalg.norm(alone, axis=1, keepdims=True))
    # The records of its training are none of what it answers.
    name = Encoder(str(output)).revision
    (output / "timing.json").write_text("{}")
    assert Encoder(str(output)).revision == name and retriever.name.startswith(f"dense(retriever,{name}")

    weight = (output / "model.safetensors").read_bytes()
    capsys.readouterr()
    train(*given)
    assert "up to date" in capsys.readouterr().err
    again = tmp_path / "again"
    train(*arguments(data, encoder, again, num_train_epochs=6))
    assert (again / "model.safetensors").read_bytes() == weight
    assert (again / "training.json").read_text() == (output / "training.json").read_text().replace(
        f"--output_dir {output}", f"--output_dir {again}"
    )
    # It goes on from its own result, and still knows what it goes back to.
    train(*arguments(data, again, tmp_path / "second", max_steps=1))
    second = record(tmp_path / "second")
    assert second["parent"] == f"again@{name}" and second["base"] == made["base"]


FLAGS = {
    "without_expansion": {"without_expansion": True},
    "tau": {"tau": 0.1},
    "max_seq_length": {"max_seq_length": 8},
    "learning_rate": {"learning_rate": 0.02},
    "per_device_train_batch_size": {"per_device_train_batch_size": 8},
    "batch_sampler": {"batch_sampler": "batch_sampler", "seed": 3},
    "prompts": {"prompts": '{"query": "query :", "document": "passage :"}'},
    "seed": {"seed": 7},
    "lora_r": {"lora_r": 4},
    "lora_alpha": {"lora_r": 4, "lora_alpha": 64},
    "lora_dropout": {"lora_r": 4, "lora_dropout": 0.5},
}


@pytest.mark.slow
def test_every_flag_has_an_effect(encoder: Path, train: Any, tmp_path: Path) -> None:
    """Two steps each; all results differ, and differ from what they began with."""
    data = triplets(tmp_path / "data", rows())
    seen = {"base": weights(encoder)}
    for name, settings in {"none": {}, **FLAGS}.items():
        output = tmp_path / name
        train(*arguments(data, encoder, output, max_steps=2, **settings))
        found = weights(output)
        assert found.keys() == seen["base"].keys(), name
        for other, known in seen.items():
            assert any(not np.array_equal(found[key], known[key]) for key in found), (name, other)
        seen[name] = found
        # LoRA leaves no adapter behind, and what is loaded is what was trained.
        assert not list(output.glob("adapter*"))
    from sentence_transformers import SentenceTransformer

    model = SentenceTransformer(str(tmp_path / "prompts"), device="cpu")
    assert model.prompts["query"] == "query :" and model.prompts["document"] == "passage :"


@pytest.mark.slow
def test_prompts_of_the_model_are_those_of_the_training(train: Any, tmp_path: Path) -> None:
    """A model that has prompts is trained as if they stood before the texts."""
    data = triplets(tmp_path / "data", rows(8))
    own = tiny_encoder(tmp_path / "own", prompts={"query": "query : ", "document": "passage : "})
    given = {"max_steps": 2, "batch_sampler": "batch_sampler"}
    train(*arguments(data, own, tmp_path / "a", **given))
    written = [
        {
            **row,
            "query": f"query : {row['query']}",
            "expansion": f"passage : {row['expansion']}",
            "positive": f"passage : {row['positive']}",
            "negatives": [f"passage : {text}" for text in row["negatives"]],
        }
        for row in rows(8)
    ]
    bare = tiny_encoder(tmp_path / "bare")
    train(*arguments(triplets(tmp_path / "written", written), bare, tmp_path / "b", **given))
    assert losses(tmp_path / "a") == losses(tmp_path / "b")


@pytest.mark.parametrize("lora", [0, pytest.param(4, marks=pytest.mark.slow)])
def test_a_resumed_training_ends_as_an_undisturbed_one(
    encoder: Path, train: Any, tmp_path: Path, lora: int, capsys: pytest.CaptureFixture
) -> None:
    """Cut short in the middle of the second epoch."""
    from train.callbacks import LossGuard

    class PowerCut(BaseException):
        """Nothing catches it."""

    def cut(self: Any, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        if state.global_step == 7:
            raise PowerCut

    data, whole, output = triplets(tmp_path / "data", rows()), tmp_path / "whole", tmp_path / "cut"
    settings = {"num_train_epochs": 3, "save_steps": 2, "save_total_limit": 2, "lora_r": lora}
    train(*arguments(data, encoder, whole, **settings))
    with pytest.MonkeyPatch.context() as patch, pytest.raises(PowerCut):
        patch.setattr(LossGuard, "on_log", cut)
        train(*arguments(data, encoder, output, **settings))
    assert not output.exists() and (tmp_path / "cut.work/checkpoint-6").is_dir()
    train(*arguments(data, encoder, output, **settings))
    assert "going on from" in capsys.readouterr().err
    assert (whole / "model.safetensors").read_bytes() == (output / "model.safetensors").read_bytes()
    assert losses(whole) == losses(output)
    assert [json.loads((one / "timing.json").read_text())["resumed"] for one in (whole, output)] == [False, True]


def test_a_sampler_of_several_processes_learns_its_epoch() -> None:
    from types import SimpleNamespace

    from accelerate.data_loader import BatchSamplerShard, SkipBatchSampler
    from datasets import Dataset
    from sentence_transformers.base.sampler import NoDuplicatesBatchSampler

    from train.encoders.retriever_trainer import Reshuffle

    sampler = NoDuplicatesBatchSampler(Dataset.from_dict({"a": ["x", "y"]}), 1, False)
    loader = SimpleNamespace(batch_sampler=SkipBatchSampler(BatchSamplerShard(sampler, 2, 0), 1))
    Reshuffle().on_epoch_begin(None, SimpleNamespace(epoch=1.5), None, train_dataloader=loader)
    assert sampler.epoch == 1


def broken(row: dict[str, Any], **changes: Any) -> dict[str, Any]:
    return {**row, **changes}


def test_what_cannot_be_trained_on_is_said(encoder: Path, train: Any, tmp_path: Path) -> None:
    output, good = tmp_path / "retriever", triplets(tmp_path / "good", rows(8))
    same = broken(triplet_row(2), negatives=[f"  {triplet_row(2)['positive']} "])
    itself = broken(triplet_row(2), negative_ids=["d2"])
    several = broken(triplet_row(2), negatives=["a", "b"])
    other = tmp_path / "other"
    render_dataset(other, {"raw": {"train": [raw_row(0)]}}, build("expansions", 1), {"seconds": 1.0})
    cases = [
        ("every expansion is empty", triplets(tmp_path / "empty", rows(8, " ")), {}),
        (r"row 1 of split 'train' \(query 'q2'\): the relevant", triplets(tmp_path / "a", [triplet_row(1), same]), {}),
        ("the relevant document 'd2' is also a negative", triplets(tmp_path / "b", [itself]), {}),
        ("rows with 1 and 2 negatives", triplets(tmp_path / "c", [triplet_row(1), several]), {}),
        ("holds 'expansions', not 'triplets'", other, {}),
        ("no such dataset folder", tmp_path / "absent", {}),
        ("no split 'validation'", good, {"train_split": "validation"}),
        ("--tau must be above 0", good, {"tau": 0}),
        ("prompts: give a mapping", good, {"prompts": '{"title": "x"}'}),
        ("loss is not a number", good, {"learning_rate": "1e30"}),
    ]
    for message, data, settings in cases:
        with pytest.raises(KitError, match=message):
            train(*arguments(data, encoder, output, **settings))
    # Without expansions nothing is missing.
    train(*arguments(tmp_path / "empty", encoder, tmp_path / "plain", without_expansion=True, max_steps=1))
    assert not output.exists()


def test_a_checkpoint_or_vectors_of_another_encoder_are_refused(
    encoder: Path, train: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("QUERY_EXPANSION_KIT_CACHE", str(tmp_path / "cache"))
    data = triplets(tmp_path / "data", rows(8))
    wide = tiny_encoder(tmp_path / "wide", width=48)
    from train.encoders.retriever_trainer import RetrieverTrainer

    trainer = object.__new__(RetrieverTrainer)
    trainer.model = Encoder(str(encoder)).load("cpu")
    checkpoint = shutil.copytree(wide, tmp_path / "run.work/checkpoint-2")
    with pytest.raises(KitError, match=r"checkpoint-2: its weights do not fit this encoder.*delete .*run.work"):
        trainer._load_from_checkpoint(str(checkpoint))
    collection = Collection("t", "en", [Document("d", "", "pear")], {}, {}, "made up", "CC0", "made up")
    retriever = load_retriever(f"dense:{encoder}", collection)
    with pytest.raises(KitError, match="vectors of 32 numbers, and these queries of 48"):
        retriever.search_vectors(Encoder(str(wide)).encode_queries(["pear"]), 1)
    assert data.is_dir()


@pytest.mark.slow
def test_bad_input_ends_the_command_with_one_line(encoder: Path, tmp_path: Path) -> None:
    data = triplets(tmp_path / "empty", rows(4, ""))
    line = refused(command("train/retriever.py", *arguments(data, encoder, tmp_path / "out")))
    assert "every expansion is empty" in line


ONE_THREAD = {"OMP_NUM_THREADS": "1"}


@pytest.mark.slow
@pytest.mark.parametrize("gather", [False, True])
@pytest.mark.parametrize("mini_batch_size", [0, 2])
def test_two_processes_train_what_one_trains(tmp_path: Path, gather: bool, mini_batch_size: int) -> None:
    """Without negatives across processes as one process with twice the accumulation, with them at double batch."""
    model, data = tiny_encoder(tmp_path / "still", dropout=0.0), triplets(tmp_path / "data", rows())
    one = {"per_device_train_batch_size": 8} if gather else {"gradient_accumulation_steps": 2}
    two = {"gather_across_processes": gather}
    common = {"mini_batch_size": mini_batch_size, "num_train_epochs": 2}
    done = command("train/retriever.py", *arguments(data, model, tmp_path / "one", **common, **one), **ONE_THREAD)
    assert done.returncode == 0, done.stderr
    done = launch(
        *("train/retriever.py", *arguments(data, model, tmp_path / "two", **common, **two)),
        config="cpu_two_processes.yaml",
        **ONE_THREAD,
    )
    assert done.returncode == 0, done.stderr
    records = [record(tmp_path / name) for name in ("one", "two")]
    assert [made["processes"] for made in records] == [1, 2], "the world was not of size 2"
    assert {made["effective_batch_size"] for made in records} == {8} and {made["steps"] for made in records} == {4}
    assert {made["compared_batch_size"] for made in records} == ({8} if gather else {4})
    curves = [[entry["loss"] for entry in made["log"]] for made in records]
    assert curves[0] == pytest.approx(curves[1], rel=1e-3, abs=1e-5)
    norms = [[entry["grad_norm"] for entry in made["log"]] for made in records]
    assert norms[0] == pytest.approx(norms[1], rel=1e-3, abs=1e-5)
