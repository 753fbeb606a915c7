"""What a student is trained on, token by token, for the embedded model and for a template that thinks."""

import importlib.resources
from types import SimpleNamespace

import pytest

from builders.artifacts.schema import TEMPLATE_KWARGS
from builders.errors import KitError
from builders.expanders.checkpoint import resolve_checkpoint
from builders.prompts.chat import conversation_text
from builders.prompts.load import load_prompt
from tests.support.tiny_student import tokenizer as tiny_tokenizer
from train.students.conversation import render, render_rows
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


def rows_of(lengths):
    """Rows whose question and answer have so many letters, each a token or less."""
    from datasets import Dataset

    def turn(role, number):
        return [{"role": role, "content": "xyz"[number % 3] * number}]

    return Dataset.from_list(
        [
            {
                "prompt": turn("user", asked),
                "completion": turn("assistant", said),
                "chat_template_kwargs": TEMPLATE_KWARGS,
            }
            for asked, said in lengths
        ]
    )


def test_rows_that_are_too_long_are_counted(capsys):
    """By hand, in the tiny student's tokens: a template around the question, an end token after the answer."""
    words, lengths = tiny_tokenizer(), [(4, 4), (4, 60), (90, 4)]
    rows = rows_of(lengths)
    around = len(words(render(rows[0], words, ("completion",))["prompt"])["input_ids"]) - 4
    room = SimpleNamespace(max_length=around + 4 + 4 + 1)
    found = render_rows(rows, words, ("completion",), room, "out/expansions")
    assert (len(found.rows), found.dropped, found.cut) == (2, 1, 1)
    assert found.record() == {"max_length": room.max_length, "dropped": 1, "cut": 1}
    assert found.said("out/expansions") == (
        "out/expansions: of 3 rows, 1 are left out and 1 cut: they are longer than max_length, "
        f"{room.max_length} tokens"
    )
    fits = render_rows(rows, words, ("completion",), SimpleNamespace(max_length=None))
    assert (len(fits.rows), fits.record(), fits.said("")) == (3, {}, "")
    with pytest.raises(KitError, match="raise max_length"):
        render_rows(rows, words, ("completion",), SimpleNamespace(max_length=3), "out/expansions")


NO_SYSTEM = "{% for m in messages %}{% if m.role == 'system' %}{{ raise_exception('no system role') }}{% endif %}"
STRICT = "{% for m in messages %}"
STRICT += "{% if m.role != ('user', 'assistant')[loop.index0 % 2] %}{{ raise_exception('!') }}{% endif %}"
SILENT = "{% for m in messages %}"
SAID = "<{{ m.role }}>{{ m.content }}{% endfor %}<assistant>"


@pytest.mark.parametrize("start", [NO_SYSTEM, STRICT, SILENT.replace("messages", "messages if m.role != 'system'")])
def test_what_a_template_refuses_stands_in_front_of_the_users_words(start):
    words = tiny_tokenizer()
    words.chat_template = start + SAID
    told = [("system", "Be brief."), ("user", "a"), ("assistant", "b"), ("user", "c")]
    messages = [{"role": role, "content": text} for role, text in told]
    assert conversation_text(words, messages) == "<user>Be brief.\n\na<assistant>b<user>c<assistant>"


def test_a_model_without_a_template_is_given_the_texts():
    words = tiny_tokenizer()
    words.chat_template = None
    told = [("system", "Be brief."), ("user", "a"), ("assistant", "b"), ("user", "c")]
    messages = [{"role": role, "content": text} for role, text in told]
    assert conversation_text(words, messages) == "Be brief.\n\na\nb\n\nc\n"


@pytest.mark.parametrize("change", [{"pad_token": None}, {"chat_template": None, "pad_token": None}])
def test_a_model_without_padding_token_or_template_writes(tmp_path, change):
    from builders.expanders.expander import Request, greedy
    from builders.expanders.local import LocalExpander
    from tests.support.tiny_student import base_model

    base = base_model(tmp_path / "base")
    local = LocalExpander(str(base), dtype="float32")
    words = tiny_tokenizer()
    for name, value in change.items():
        setattr(words, name, value)
    words.save_pretrained(base)
    if change.get("chat_template", "") is None:
        (base / "chat_template.jinja").unlink(missing_ok=True)
    asked = [Request(str(n), ({"role": "user", "content": "sort" * (n + 1)},), 1) for n in range(2)]
    assert len(dict(local.expand(asked, greedy(4)))) == 2
