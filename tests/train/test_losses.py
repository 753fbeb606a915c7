"""The losses of the DPO recipes: what TRL computes from each YAML, against the papers' formulas done by hand."""

import math
import sys

import pytest
import yaml

from tests.support.small_training import HARM, HELP, RECIPES, arguments, make_world


LOSSES = sorted((RECIPES / "smollm2-135m").glob("dpo-*.yaml"))
VARIANTS = {"qlora", "ipo", "length-normalised", "length-desensitised", "sft-regularised"}


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    return make_world(tmp_path_factory.mktemp("world"))


@pytest.fixture(scope="module")
def sft(world):
    folder = world.folder / "sft"
    world.sft(folder, max_steps=3)
    return folder


def rows():
    """The chosen answer is longer than the rejected one, the other way round, and as long."""
    answers = ((f"{HELP} and {HELP} again", HARM), (HELP, f"{HARM} or {HARM} instead of it"), (HELP, HARM))
    return [{"prompt": "which pear", "chosen": f"{c}<|im_end|>", "rejected": f"{r}<|im_end|>"} for c, r in answers]


def trainer_of(recipe, world, sft, monkeypatch, tmp_path):
    """TRL's trainer with the recipe's very settings; its student has moved away from its reference."""
    import torch
    from datasets import Dataset
    from trl import DPOConfig, DPOTrainer, ModelConfig

    from builders.cli import parse
    from builders.expanders.checkpoint import resolve_checkpoint
    from train.students.methods.direct_preference import DPOData
    from train.students.student import continued, load_tokenizer, score_answers_only

    monkeypatch.setattr(sys, "argv", ["train/dpo.py"])
    score_answers_only()
    own = {"config": recipe, "preferences": world.preferences, "adapter": sft}
    given = arguments("dpo", world.base, tmp_path / "out", own)
    _, config, model_args = parse((DPOData, DPOConfig, ModelConfig), given, "train/dpo.py", "")
    checkpoint = resolve_checkpoint(str(world.base))
    student = continued(checkpoint, model_args, sft)
    trainer = DPOTrainer(
        model=student,
        args=config,
        train_dataset=Dataset.from_list(rows()),
        processing_class=load_tokenizer(checkpoint),
    )
    torch.manual_seed(0)
    for name, weight in student.named_parameters():
        if ".default." in name:
            weight.data += 0.05 * torch.randn_like(weight)
    return trainer


def log_probabilities(trainer, inputs, adapter):
    """Of every token of every answer, by a plain forward pass with the whole vocabulary: one list a sequence."""
    import torch

    model = trainer.model.eval()
    model.set_adapter(adapter)
    with torch.no_grad():
        logits = model(input_ids=inputs["input_ids"], attention_mask=inputs["attention_mask"]).logits[:, :-1]
    model.set_adapter("default")
    targets = inputs["input_ids"][:, 1:]
    chosen = torch.log_softmax(logits.float(), -1).gather(-1, targets[..., None])[..., 0]
    masks = inputs["completion_mask"][:, 1:].bool()
    return [values[mask].tolist() for values, mask in zip(chosen, masks, strict=True)]


def expected(kind, settings, policy, reference):
    """The mean loss over the pairs, from log-probabilities a token."""
    beta, pairs = settings["beta"], len(policy) // 2
    losses, nll = [], [p for tokens in policy[:pairs] for p in tokens]
    for number in range(pairs):
        (chosen, rejected) = (
            [p - r for p, r in zip(policy[i], reference[i], strict=True)] for i in (number, number + pairs)
        )
        if kind == "length-desensitised":
            shared = min(len(chosen), len(rejected))
            chosen, rejected = (
                r[:shared] + [settings["ld_alpha"] * x for x in r[shared:]] for r in (chosen, rejected)
            )
        if kind in ("ipo", "length-normalised"):
            chosen, rejected = ([sum(ratios) / len(ratios)] for ratios in (chosen, rejected))
        margin = sum(chosen) - sum(rejected)
        losses.append((margin - 1 / (2 * beta)) ** 2 if kind == "ipo" else math.log1p(math.exp(-beta * margin)))
    regular = -sum(nll) / len(nll) if kind == "sft-regularised" else 0.0
    return sum(losses) / pairs + regular


def test_there_is_a_recipe_for_every_loss():
    assert {path.stem.removeprefix("dpo-") for path in LOSSES} >= VARIANTS


@pytest.mark.parametrize("kind", sorted(VARIANTS))
def test_the_loss_is_the_papers(kind, world, sft, monkeypatch, tmp_path):
    recipe = RECIPES / f"smollm2-135m/dpo-{kind}.yaml"
    settings = yaml.safe_load(recipe.read_text())
    trainer = trainer_of(recipe, world, sft, monkeypatch, tmp_path)
    inputs = trainer.data_collator([trainer.train_dataset[number] for number in range(3)])
    policy, reference = (log_probabilities(trainer, inputs, adapter) for adapter in ("default", "ref"))
    assert len({len(tokens) for tokens in policy}) > 2 and policy != reference
    trainer.model.eval()
    loss = trainer.compute_loss(trainer.model, dict(inputs)).item()
    assert loss == pytest.approx(expected(kind, settings, policy, reference), rel=1e-3)
    # Each is a loss of its own.
    for other in VARIANTS - {kind}:
        apart = yaml.safe_load((RECIPES / f"smollm2-135m/dpo-{other}.yaml").read_text())
        assert loss != pytest.approx(expected(other, apart, policy, reference), rel=1e-3)


@pytest.mark.parametrize("kind", sorted(VARIANTS - {"qlora"}))
def test_a_variant_differs_from_the_plain_recipe_in_its_loss_alone(kind):
    own, plain = (yaml.safe_load((RECIPES / f"smollm2-135m/dpo-{name}.yaml").read_text()) for name in (kind, "qlora"))
    differing = {name for name in own.keys() | plain.keys() if own.get(name) != plain.get(name)}
    assert differing <= {"beta", "loss_type", "loss_weights", "ld_alpha"} and differing & {"loss_type", "ld_alpha"}
