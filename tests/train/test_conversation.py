"""What a student is trained on, token by token, for the embedded model and for a template that thinks."""

import importlib.resources

import pytest

from builders.artifacts.schema import TEMPLATE_KWARGS
from builders.expanders.checkpoint import resolve_checkpoint
from builders.prompts.load import load_prompt
from train.students.conversation import render
from train.students.student import load_tokenizer


@pytest.fixture(scope="module")
def tokenizer(embedded_model):
    return load_tokenizer(resolve_checkpoint(embedded_model))


def row():
    return {
        "prompt": load_prompt("api-docs-zero-shot").messages("Sort an array."),
        "completion": [{"role": "assistant", "content": "axis kind order"}],
        "chat_template_kwargs": TEMPLATE_KWARGS,
    }


def test_the_last_trained_token_is_the_end_of_turn(tokenizer):
    """Through TRL's own preparation and collator, as a training step sees it."""
    from datasets import Dataset
    from transformers import LlamaConfig, LlamaForCausalLM
    from trl import SFTConfig, SFTTrainer

    rendered = render(row(), tokenizer, ("completion",))
    model = LlamaForCausalLM(
        LlamaConfig(
            vocab_size=len(tokenizer), hidden_size=16, intermediate_size=16, num_hidden_layers=1, num_attention_heads=2
        )
    )
    config = SFTConfig(
        output_dir="unused", use_cpu=True, bf16=False, activation_checkpointing=False, report_to="none", max_length=256
    )
    trainer = SFTTrainer(
        model=model, args=config, train_dataset=Dataset.from_list([rendered] * 2), processing_class=tokenizer
    )
    batch = next(iter(trainer.get_train_dataloader()))
    trained = [token for token in batch["labels"][0].tolist() if token != -100]
    assert tokenizer.decode(trained) == "axis kind order<|im_end|>"
    assert trained[-1] == tokenizer.eos_token_id != tokenizer.pad_token_id


@pytest.mark.parametrize("template", ["smollm2", "qwen3"])
def test_prompt_and_answer_are_what_the_chat_template_writes(tokenizer, template):
    """The prompt is a prefix of the whole conversation; no thinking stands in the answer."""
    import copy

    tokenizer = copy.deepcopy(tokenizer)
    if template == "qwen3":
        tokenizer.chat_template = (importlib.resources.files("trl") / "chat_templates/qwen3.jinja").read_text()
    rendered = render(row(), tokenizer, ("completion",))
    whole = tokenizer.apply_chat_template(row()["prompt"] + row()["completion"], tokenize=False, **TEMPLATE_KWARGS)
    assert whole.startswith(rendered["prompt"] + rendered["completion"])
    assert whole.removeprefix(rendered["prompt"] + rendered["completion"]).strip() == ""
    assert "think" not in rendered["completion"]
    assert rendered["completion"] == "axis kind order<|im_end|>"


def test_padding_is_not_the_end_token(tokenizer):
    assert tokenizer.pad_token == "<|endoftext|>" and tokenizer.eos_token == "<|im_end|>"
