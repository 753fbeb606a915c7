"""The plan of an evaluation: its settings looked up, what can be refused refused, nothing loaded or written yet."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from builders.collections.collection import SPLITS, Collection, Query, Split
from builders.collections.load import load_collection
from builders.collections.sampling import sample_queries
from builders.errors import KitError
from builders.expanders.expander import Request, Sampling, greedy
from builders.expanders.local import LocalExpander
from builders.filtering.cross_encoder import CrossEncoderFilter
from builders.grading.comparison import PLAIN
from builders.grading.grader import Grader
from builders.prompts.context.context import PromptContext
from builders.prompts.context.load import load_context
from builders.prompts.load import load_prompt, require_language
from builders.prompts.prompt import Prompt
from builders.retrievers.formulation import load_formation
from builders.retrievers.load import load_retriever
from train.evaluation.baselines import available, missing_pyserini
from train.evaluation.results import ANSWERS
from train.evaluation.teachers import Teacher, load_teacher


if TYPE_CHECKING:
    from train.evaluate import EvaluationArguments

BASE, CHOSEN, ORACLE = "base", "generate-then-filter", "oracle"
ALONE = " alone"


@dataclass(frozen=True)
class Plan:
    """What an evaluation asks, and whom.

    Args:
        args (`EvaluationArguments`):
            The settings as they were given.
        collection ([`Collection`]), prompt ([`Prompt`]):
            What is searched, and what students are told.
        queries (`Sequence[Query]`):
            What is measured.
        students (`Mapping`):
            Name → adapter, `base` first, which has none.
        chooser ([`CrossEncoderFilter`], *optional*):
            What picks one candidate of the pool.
        teachers (`Sequence[Teacher]`), baselines (`Sequence[str]`):
            In table order.
        missing (`dict`):
            What cannot be measured here → how to install it.
    """

    args: "EvaluationArguments"
    collection: Collection
    prompt: Prompt
    queries: Sequence[Query]
    students: Mapping[str, str | None]
    chooser: CrossEncoderFilter | None
    teachers: Sequence[Teacher]
    baselines: Sequence[str]
    missing: dict[str, str]

    @property
    def sampling(self) -> Sampling:
        """How students answer."""
        return greedy(self.args.max_new_tokens)

    @property
    def pool_sampling(self) -> Sampling:
        """How the pool's candidates are drawn."""
        args = self.args
        return Sampling(args.pool_temperature, 1.0, args.pool_top_k, args.max_new_tokens, args.seed)

    def settings(self) -> dict[str, Any]:
        """All that decides the results: a folder with equal settings need not be made again.

        Raises:
            KitError: the model or an adapter is unknown, or they do not belong together.
        """
        args = self.args
        writers = {name: self.expander(adapter) for name, adapter in self.students.items()}
        pool = self.expander(args.pool_adapter) if args.pool_samples else None
        return {
            **{name: value for name, value in asdict(args).items() if name != "output_dir"},
            "collection_fingerprint": self.collection.fingerprint,
            "systems": {name: asdict(expander.identity) for name, expander in writers.items()},
            "pool_identity": None if pool is None else asdict(pool.identity),
            "filter_identity": None if self.chooser is None else self.chooser.identity,
            "teacher_settings": {teacher.name: dict(teacher.settings) for teacher in self.teachers},
            "prompt_sha256": self.prompt.sha256,
            "missing": sorted(self.missing),
        }

    def expander(self, adapter: str | None) -> LocalExpander:
        """The base model with an adapter; it takes memory only once it has been asked, and until it is forgotten."""
        args = self.args
        return LocalExpander(args.model, adapter, args.dtype, args.load_in_4bit, args.block, args.model_revision)

    def grader(self) -> Grader:
        """What searches and judges."""
        retriever = load_retriever(self.args.retriever, self.collection)
        return Grader(self.collection, retriever, load_formation(self.args.formation))

    def requests(self, queries: Sequence[Query], samples: int = 1) -> list[Request]:
        """What students are asked; the keys are query ids."""
        return [
            Request(query.id, tuple(self.prompt.messages(query.text, (), text)), samples)
            for query, text in zip(queries, self._grounding.texts(queries), strict=True)
        ]

    @property
    def shown(self) -> str | None:
        """Name of the system that searches with what the prompt shows of the collection, if it shows anything."""
        return f"{self.prompt.grounding}{ALONE}" if self.prompt.grounding else None

    def shown_texts(self, queries: Sequence[Query]) -> list[str]:
        """What the prompt shows of the collection beside each query."""
        return [" ".join(text.split()) for text in self._grounding.texts(queries)]

    @cached_property
    def _grounding(self) -> PromptContext:
        return load_context(self.prompt, self.collection, self.args.retriever)


def make_plan(args: "EvaluationArguments") -> Plan:
    """Look everything up.

    Raises:
        KitError: an argument names nothing known, or contradicts another.
    """
    _refuse_contradictions(args)
    split = _split(args.split)
    collection = load_collection(args.collection, args.language)
    prompt = load_prompt(args.prompt)
    require_language([prompt], collection.language, collection.name)
    queries = sample_queries(collection, split, args.num_queries or -1, args.seed)
    baselines, missing = available(args.baselines)
    if any(collection.answers.get(query.id) for query in queries) and (remedy := missing_pyserini()):
        missing[ANSWERS] = remedy
    teachers = [load_teacher(text, collection, queries, args.max_new_tokens) for text in args.teachers]
    students: dict[str, str | None] = {BASE: None, **{Path(name).name: name for name in args.adapters}}
    names = [PLAIN, *args.baselines, *(teacher.name for teacher in teachers), BASE]
    names += [*(Path(name).name for name in args.adapters), CHOSEN, ORACLE]
    if twice := sorted({name for name in names if names.count(name) > 1 or name.endswith(ALONE)}):
        raise KitError(
            f"systems need names of their own, and {', '.join(twice)} is taken: rename a folder or a teacher"
        )
    return Plan(
        args,
        collection,
        prompt,
        queries,
        students,
        CrossEncoderFilter(Path(args.filter)) if args.filter else None,
        teachers,
        baselines,
        missing,
    )


def _split(name: str) -> Split:
    split = next((split for split in SPLITS if split == name), None)
    if split is None:
        raise KitError(f"unknown --split {name!r}: give one of {', '.join(SPLITS)}")
    return split


def _refuse_contradictions(args: "EvaluationArguments") -> None:
    if args.pool_samples < 0 or args.pool_samples == 1:
        raise KitError(
            f"--pool_samples {args.pool_samples}: give 2 or more candidates to choose from, or 0 for no pool"
        )
    if args.pool_samples and args.pool_temperature <= 0:
        raise KitError("--pool_temperature must be above 0: greedy candidates are all the same")
    if not args.pool_samples and (args.filter or args.pool_adapter):
        raise KitError("--filter and --pool_adapter need candidates to choose from: give --pool_samples, e.g. 50")
