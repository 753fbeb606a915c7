"""A student small enough for every test: a model of a few thousand weights, its tokenizer, and a trained adapter."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tests.support.evaluated_folders import WEIGHTS, evaluated, trained
from tests.support.rendered_folders import VERSION


TEMPLATE = (
    "{% for message in messages %}<|im_start|>{{ message['role'] }}\n{{ message['content'] }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
LINES = [
    "sort an array of 12 numbers",
    "merge two frames on a key",
    "it's the mean, not the median: 3.5",
    "fit a line",
]


def tokenizer() -> Any:
    """Byte-level BPE that splits digits one by one, as SmolLM2's does; padding token ≠ end token."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    made = Tokenizer(models.BPE())
    made.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)]
    )
    made.decoder = decoders.ByteLevel()
    special = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    made.train_from_iterator(
        LINES, trainers.BpeTrainer(vocab_size=320, special_tokens=special, initial_alphabet=alphabet)
    )
    fast = PreTrainedTokenizerFast(
        tokenizer_object=made, bos_token=special[1], eos_token=special[2], pad_token=special[0], unk_token=special[0]
    )
    fast.add_tokens(["<think>"])
    fast.chat_template = TEMPLATE
    return fast


def base_model(folder: Path, architecture: str = "llama", **settings: Any) -> Path:
    """A base model's folder, which names a Hub id."""
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM

    words = tokenizer()
    config = AutoConfig.for_model(
        architecture,
        **{
            # Some ids have no token, as in models whose vocabulary is padded to a round number.
            "vocab_size": len(words) + 5,
            "hidden_size": 64,
            "intermediate_size": 96,
            "num_hidden_layers": 2,
            "num_attention_heads": 4,
            "num_key_value_heads": 2,
            # What readers of GGUF files take for granted with Qwen3.
            "head_dim": 128 if architecture == "qwen3" else 16,
            "max_position_embeddings": 512,
            "bos_token_id": words.bos_token_id,
            "eos_token_id": words.eos_token_id,
            "initializer_range": 0.3,
            "tie_word_embeddings": architecture == "llama",
            **settings,
        },
    )
    torch.manual_seed(5)
    AutoModelForCausalLM.from_config(config).save_pretrained(folder)
    words.save_pretrained(folder)
    path = folder / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "_name_or_path": WEIGHTS["model_id"]}))
    return folder


def student(folder: Path, base: Path, version: str = VERSION) -> Path:
    """An adapter of that base model with weights that matter, evaluated and carded."""
    import torch
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM

    from model_cards.adapter_card import model_card

    adapter = trained(folder / "sft", "sft", version=version)
    torch.manual_seed(6)
    lora = LoraConfig(r=4, lora_alpha=16, target_modules="all-linear", init_lora_weights=False, task_type="CAUSAL_LM")
    get_peft_model(AutoModelForCausalLM.from_pretrained(base), lora).save_pretrained(adapter)
    tokenizer().save_pretrained(adapter)
    config = json.loads((adapter / "adapter_config.json").read_text())
    config["base_model_name_or_path"] = WEIGHTS["model_id"]
    (adapter / "adapter_config.json").write_text(json.dumps(config))
    training = json.loads((adapter / "training.json").read_text())
    training["settings"]["model"]["model_name_or_path"] = str(base)
    (adapter / "training.json").write_text(json.dumps(training))
    results = evaluated(folder / "results", [adapter], version=version)
    (adapter / "README.md").write_text(model_card(adapter, results, None, [], "apache-2.0"))
    return adapter


def answers(model: Any, words: Any) -> list[list[int]]:
    """What a model writes to two conversations, greedily, as token ids."""
    import torch

    written = []
    for line in LINES[:2]:
        text = words.apply_chat_template(
            [{"role": "user", "content": line}], tokenize=False, add_generation_prompt=True
        )
        inputs = words(text, return_tensors="pt", add_special_tokens=False)
        with torch.inference_mode():
            output = model.generate(
                **inputs,
                do_sample=False,
                max_new_tokens=16,
                eos_token_id=words.eos_token_id,
                pad_token_id=words.pad_token_id,
            )
        written.append(output[0, inputs["input_ids"].shape[1] :].tolist())
    return written
