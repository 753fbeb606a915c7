"""Qwen3 as a student: its real chat template without thinking, and its recipes."""

import json

import pytest

from builders.artifacts.files import file_hash
from builders.artifacts.schema import TEMPLATE_KWARGS
from builders.expanders.checkpoint import resolve_checkpoint
from builders.expanders.expander import Request
from builders.expanders.local import LocalExpander
from tests.support.small_training import RECIPES, make_world, train, use_qwen3_template
from tests.support.tiny_student import base_model
from train.students.conversation import render


# What their config.json says, but for the layers.
COMMON = {"num_key_value_heads": 8, "head_dim": 128, "vocab_size": 151936, "tie_word_embeddings": True}
SHAPES = {
    "0.6b": {**COMMON, "hidden_size": 1024, "intermediate_size": 3072, "num_attention_heads": 16},
    "4b": {**COMMON, "hidden_size": 2560, "intermediate_size": 9728, "num_attention_heads": 32},
}


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    return make_world(tmp_path_factory.mktemp("qwen3"), "qwen3")


def trainers(world, tmp_path):
    """TRL's own preparation of the kit's rows, for both stages."""
    from datasets import load_dataset
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM
    from trl import DPOConfig, DPOTrainer, SFTConfig, SFTTrainer

    from train.students.student import load_tokenizer

    words = load_tokenizer(resolve_checkpoint(str(world.base)))
    common = {"output_dir": str(tmp_path), "use_cpu": True, "bf16": False, "activation_checkpointing": False}
    lora = LoraConfig(r=2, target_modules="all-linear", task_type="CAUSAL_LM")
    for folder, config, answers, make, settings in (
        (world.expansions, "distillation", ("completion",), SFTTrainer, SFTConfig),
        (world.preferences, "preference", ("chosen", "rejected"), DPOTrainer, DPOConfig),
    ):
        rows = load_dataset(str(folder), config, split="train")
        rendered = rows.map(
            render, fn_kwargs={"tokenizer": words, "answers": answers}, remove_columns=rows.column_names
        )
        model = get_peft_model(AutoModelForCausalLM.from_pretrained(world.base), lora)
        trainer = make(
            model=model, args=settings(**common, report_to="none"), train_dataset=rendered, processing_class=words
        )
        yield words, rows, answers, trainer


def test_trained_tokens_hold_no_thinking_and_end_the_turn(world, tmp_path, recwarn):
    """Prompt and answers of every row, as a training step of each stage gets them."""
    seen = 0
    for words, rows, answers, trainer in trainers(world, tmp_path):
        for row, prepared in zip(rows, trainer.train_dataset, strict=True):
            prompt = words.apply_chat_template(
                row["prompt"], tokenize=False, add_generation_prompt=True, **row["chat_template_kwargs"]
            )
            assert prompt.endswith("<think>\n\n</think>\n\n"), "thinking is switched off in the prompt"
            ids = words(prompt, add_special_tokens=False)["input_ids"]
            for answer in answers:
                text = row[answer][0]["content"]
                if answer == "completion":
                    whole = prepared["input_ids"]
                    trained = [label for label in prepared["labels"] if label != -100]
                    assert whole == ids + trained, "the prompt is no prefix of what is trained on"
                else:
                    assert prepared["prompt_ids"] == ids
                    trained = prepared[f"{answer}_ids"]
                assert words.decode(trained) == f"{text}<|im_end|>" and "think" not in words.decode(trained)
                assert trained[-1] == words.eos_token_id != words.pad_token_id
                # The template itself would write the same, and a line break after it.
                full = words.apply_chat_template(row["prompt"] + row[answer], tokenize=False, **TEMPLATE_KWARGS)
                assert full == prompt + f"{text}<|im_end|>\n"
                seen += 1
    assert seen == 24 * 3
    assert not [str(w.message) for w in recwarn if "not a prefix" in str(w.message)]


def test_the_student_is_asked_as_it_was_trained(world):
    """Evaluation and Space generate with LocalExpander; it renders the very prompt of the training rows."""
    from datasets import load_dataset

    from train.students.student import load_tokenizer

    row = load_dataset(str(world.expansions), "distillation", split="train")[0]
    words = load_tokenizer(resolve_checkpoint(str(world.base)))
    rendered = render(row, words, ("completion",))
    expander = LocalExpander(str(world.base), dtype="float32")
    asked = []
    call = type(expander.tokenizer).__call__

    def listen(self, text, *args, **kwargs):
        asked.extend(text if isinstance(text, list) else [text])
        return call(self, text, *args, **kwargs)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(type(expander.tokenizer), "__call__", listen)
        from builders.expanders.expander import greedy

        list(expander.expand([Request("one", tuple(row["prompt"]), 1)], greedy(2)))
    assert asked == [rendered["prompt"]]


@pytest.mark.slow
def test_a_qwen3_student_learns_and_is_aligned(world, tmp_path):
    import math

    learned = world.sft(tmp_path / "sft", max_steps=8)
    assert learned["log"][-1]["loss"] < learned["log"][0]["loss"] / 4
    aligned = world.dpo(tmp_path / "dpo", tmp_path / "sft", max_steps=2)
    assert aligned["log"][0]["loss"] == pytest.approx(math.log(2), abs=1e-6)


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("size", ["0.6b", "4b"])
def test_the_qwen3_recipes_train_a_model_of_that_shape(size, tmp_path):
    """A random model of the real shape, its layers cut to two: one step of SFT and of DPO in NF4, by the very YAML."""
    import math
    import shutil

    world = make_world(tmp_path / "world", "qwen3", rows=2)
    shutil.rmtree(world.base)
    shape = {**SHAPES[size], "num_hidden_layers": 2}
    base_model(world.base, "qwen3", **shape, dtype="bfloat16", initializer_range=0.02)
    use_qwen3_template(world.base)
    cut = {"max_steps": 1, "use_cpu": True, "report_to": "none", "logging_steps": 1, "validation_steps": 0}
    # Two rows a step, which counts at once: the recipes' own numbers are for a GPU and thousands of rows.
    cut |= {
        "warmup_steps": 0,
        "per_device_train_batch_size": 2,
        "gradient_accumulation_steps": 1,
        "load_in_4bit": True,
    }
    folder = RECIPES / f"qwen3-{size}"
    learned = train(
        "sft",
        world.base,
        tmp_path / "sft",
        {"config": folder / "sft.yaml", "expansions": world.expansions, **cut},
    )
    aligned = train(
        "dpo",
        world.base,
        tmp_path / "dpo",
        {"config": folder / "dpo.yaml", "preferences": world.preferences, "adapter": tmp_path / "sft", **cut},
    )
    assert learned["steps"] == aligned["steps"] == 1
    assert math.isfinite(learned["log"][0]["loss"])
    assert aligned["log"][0]["loss"] == pytest.approx(math.log(2), abs=2e-3)
    assert learned["quantization"] == aligned["quantization"] == "NF4 with double quantization"
    config = json.loads((tmp_path / "dpo/adapter_config.json").read_text())
    assert config["r"] == 32 and len({name.split(".")[-1] for name in config["target_modules"]}) == 7
    weights = "adapter_model.safetensors"
    assert file_hash(tmp_path / "sft" / weights) != file_hash(tmp_path / "dpo" / weights)
