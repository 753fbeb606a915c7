"""What makes training fast changes no loss: beginnings computed once, the dtype decided by measuring."""

import math

import pytest

from builders.artifacts.files import file_hash
from tests.support.small_training import interrupted, make_world
from tests.support.tiny_student import base_model


ROWS = [[5, 6, 7, 8, 9], [5, 6, 7, 11], [5, 6, 7, 8, 12, 13, 14], [5, 6, 7, 8, 9, 10, 11, 12]]


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    return make_world(tmp_path_factory.mktemp("world"))


def padded(rows, left=False):
    import torch

    longest = max(map(len, rows))
    ids, mask = torch.zeros((2, len(rows), longest), dtype=torch.long)
    for number, row in enumerate(rows):
        where = slice(longest - len(row), None) if left else slice(len(row))
        ids[number, where], mask[number, where] = torch.tensor(row), 1
    return ids, mask


def test_every_beginning_is_computed_once():
    from train.students.shared_prefixes import trees_of

    ids, mask = padded(ROWS)
    trees = trees_of(ids, mask)
    # 5 6 7, then 11, or 8 with 9 10 11 12, or 8 with 12 13 14: of 24 tokens, and 8 of padding.
    assert trees.input_ids.shape == (1, 12)
    assert (trees.input_ids.flatten()[trees.node_of][mask.bool()] == ids[mask.bool()]).all()
    depths = trees.position_ids.flatten()[trees.node_of]
    assert [depths[n, : len(row)].tolist() for n, row in enumerate(ROWS)] == [list(range(len(row))) for row in ROWS]
    assert trees.sees[0].sum(1).tolist() == (trees.position_ids[0] + 1).tolist()
    # Rows of different lengths stand one after the other without padding; there is nothing to win of equal ones.
    assert trees_of(*padded([[1, 2, 3], [4, 5], [6, 7, 8, 9]])).input_ids.shape == (1, 9)
    assert trees_of(*padded([[1, 2, 3], [4, 5, 6], [7, 8, 9]])) is None


def test_far_apart_rows_are_not_made_to_see_each_other():
    """Two long pairs, which have nothing in common: two trees, no row of which another tree's nodes stand beside."""
    from train.students.shared_prefixes import trees_of

    pairs = [[*range(first, first + 400), last] for first in (1, 1000) for last in (2000, 2001)]
    trees = trees_of(*padded(pairs))
    assert trees.input_ids.shape == (2, 402)


@pytest.mark.parametrize("attention", ["eager", "sdpa"])
@pytest.mark.parametrize("left", [False, True])
def test_hidden_states_and_gradients_are_those_of_the_rows_one_by_one(attention, left, tmp_path):
    import torch
    from transformers import AutoModelForCausalLM

    from train.students.shared_prefixes import share_prefixes

    folder = base_model(tmp_path / "base")
    ids, mask = padded(ROWS, left)
    found = []
    for shared in (False, True):
        model = AutoModelForCausalLM.from_pretrained(folder, dtype="float32", attn_implementation=attention)
        seen = []
        model.get_input_embeddings().register_forward_hook(lambda *given, seen=seen: seen.append(given[1][0].shape))
        if shared:
            share_prefixes(model)
        states = model.base_model(input_ids=ids, attention_mask=mask, use_cache=False).last_hidden_state
        states[mask.bool()].square().sum().backward()
        weight = model.get_parameter("model.layers.0.self_attn.q_proj.weight").grad
        found.append((states[mask.bool()].detach(), weight))
        assert seen == [(1, 12) if shared else (4, 8)]
    for plain, other in zip(*found, strict=True):
        torch.testing.assert_close(other, plain, rtol=1e-4, atol=1e-4)


def test_generation_and_models_with_a_window_go_their_own_way(tmp_path):
    from transformers import AutoModelForCausalLM

    from train.students.shared_prefixes import share_prefixes

    model = AutoModelForCausalLM.from_pretrained(base_model(tmp_path / "base"))
    ids, mask = padded(ROWS, left=True)
    told = {"attention_mask": mask, "max_new_tokens": 4, "do_sample": False}
    before = model.generate(ids, **told)
    share_prefixes(model)
    assert (model.generate(ids, **told) == before).all()
    window = {"max_position_embeddings": 64, "sliding_window": 4}
    other = AutoModelForCausalLM.from_pretrained(base_model(tmp_path / "window", "mistral", **window))
    plain = other.base_model.forward
    share_prefixes(other)
    assert other.base_model.forward == plain


def test_a_recipe_that_names_no_dtype_trains_in_the_faster_one(in_bfloat16):
    from trl import ModelConfig

    import train.students.arithmetic as arithmetic

    told = [arithmetic.settled(ModelConfig(dtype="auto", attn_implementation=named)) for named in (None, "sdpa")]
    assert [(one.dtype, one.attn_implementation) for one in told] == [("bfloat16", "eager"), ("bfloat16", "sdpa")]
    # A recipe that names its dtype trains as it did before: nothing is decided that its record would not tell.
    assert arithmetic.settled(ModelConfig(dtype="float32")) == ModelConfig(dtype="float32")


def losses(record):
    return [entry["loss"] for entry in record["log"]]


@pytest.mark.slow
def test_shared_beginnings_change_no_loss(world, tmp_path, monkeypatch):
    import train.students.student

    shared = [world.sft(tmp_path / "sft", max_steps=4, lora_dropout=0)]
    shared.append(world.dpo(tmp_path / "dpo", tmp_path / "sft", max_steps=4))
    monkeypatch.setattr(train.students.student, "share_prefixes", lambda model: None)
    plain = [world.sft(tmp_path / "plain-sft", max_steps=4, lora_dropout=0)]
    plain.append(world.dpo(tmp_path / "plain-dpo", tmp_path / "sft", max_steps=4))
    for one, other in zip(shared, plain, strict=True):
        assert losses(one) == pytest.approx(losses(other), rel=1e-4)


@pytest.fixture
def in_bfloat16(monkeypatch):
    """On every machine."""
    import train.students.arithmetic as arithmetic

    monkeypatch.setattr(arithmetic, "fastest_dtype", lambda: "bfloat16")
    return {"dtype": "auto", "lora_dropout": 0}


def test_an_adapter_trained_in_bfloat16_has_weights_in_float32(world, tmp_path, in_bfloat16):
    from safetensors.numpy import load_file

    learned = world.sft(tmp_path / "sft", max_steps=4, **in_bfloat16, **world.validation(2))
    exact = world.sft(tmp_path / "exact", max_steps=4, lora_dropout=0)
    assert losses(learned) == pytest.approx(losses(exact), rel=0.15) and losses(learned) != losses(exact)
    assert learned["arithmetic"] == {"dtype": "bfloat16", "attn_implementation": "eager"} and "arithmetic" not in exact
    weights = load_file(tmp_path / "sft/adapter_model.safetensors")
    assert {str(weight.dtype) for weight in weights.values()} == {"float32"}
    aligned = world.dpo(tmp_path / "dpo", tmp_path / "sft", max_steps=2, dtype="auto")
    assert aligned["log"][0]["loss"] == pytest.approx(math.log(2), abs=1e-3)


@pytest.mark.slow
def test_an_interrupted_training_in_bfloat16_ends_as_an_undisturbed_one(world, tmp_path, in_bfloat16):
    given = {"save_steps": 2, **in_bfloat16, **world.validation(3)}
    whole = world.sft(tmp_path / "whole", **given)
    interrupted(world.sft, tmp_path / "again", at_step=5, **given)
    again = world.sft(tmp_path / "again", **given)
    assert again["log"] == whole["log"] and again["validation"] == whole["validation"]
    name = "adapter_model.safetensors"
    assert file_hash(tmp_path / "again" / name) == file_hash(tmp_path / "whole" / name)
