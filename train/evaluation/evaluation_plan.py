"""Plans an evaluation or a matrix: looks up its settings and refuses what it can before anything is generated."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from builders.collections.collection import SPLITS, Collection, Query
from builders.collections.load import load_collection
from builders.collections.sampling import sample_queries
from builders.errors import KitError
from builders.expanders.expander import Request, Sampling, greedy, searched_together
from builders.expanders.local import LocalExpander
from builders.filtering.cross_encoder import CrossEncoderFilter
from builders.grading.comparison import PLAIN
from builders.grading.results_form import NONE
from builders.masking import masked
from builders.prompts.context.load import load_context
from builders.prompts.load import load_prompt, require_language
from builders.prompts.prompt import Prompt
from train.evaluation.baselines import available, missing_pyserini
from train.evaluation.evaluation_arguments import EvaluationArguments, GenerationArguments, MatrixArguments
from train.evaluation.retriever_specs import Searcher, load_searchers
from train.evaluation.teachers import Teacher, load_teacher
from train.evaluation.word_parts import PARTS, part_name


BASE, CHOSEN, ORACLE = "base", "generate-then-filter", "oracle"
ALONE = " alone"
# Among what is missing: pyserini's matcher decides which passages hold an answer.
ANSWERS = "top-k accuracy"


@dataclass(frozen=True)
class CandidatePool:
    """Many candidates a query, of which the filter and the oracle each pick one.

    Args:
        adapter (`str`, *optional*), samples (`int`), sampling ([`Sampling`]):
            Who writes how many candidates, and how they are drawn.
        chooser ([`CrossEncoderFilter`], *optional*):
            What picks one, beside the oracle.
    """

    adapter: str | None
    samples: int
    sampling: Sampling
    chooser: CrossEncoderFilter | None


@dataclass
class Plan:
    """What is asked, and whom.

    Args:
        args ([`GenerationArguments`]):
            The settings as they were given.
        collection ([`Collection`]), prompt ([`Prompt`]), queries (`Sequence[Query]`):
            What is searched, what students are told, and what is measured.
        students (`Mapping`):
            Name → adapter, `base` first, which has none.
        searchers (`Sequence[Searcher]`):
            In table order; the first also finds what a prompt shows.
        missing (`dict`):
            What cannot be measured here → how to install it.
        teachers (`Sequence[Teacher]`), baselines (`Sequence[str]`), pool ([`CandidatePool`], *optional*):
            Whom students are held against, and where candidates are drawn.
        parts (`Sequence[str]`):
            Students whose own words and whose shown words are searched by themselves, too.
        reference (`str`), against (`Sequence[str]`), not_against (`Sequence[str]`):
            The system that all are compared with; further ones, and which systems are not compared with those.
        settings (`Mapping`):
            All that decides the results: a folder with equal settings need not be made again.
    """

    args: GenerationArguments
    collection: Collection
    prompt: Prompt
    queries: Sequence[Query]
    students: Mapping[str, str | None]
    searchers: Sequence[Searcher]
    missing: dict[str, str]
    teachers: Sequence[Teacher] = ()
    baselines: Sequence[str] = ()
    pool: CandidatePool | None = None
    parts: Sequence[str] = ()
    reference: str = PLAIN
    against: Sequence[str] = ()
    not_against: Sequence[str] = ()
    settings: Mapping[str, Any] = field(default_factory=dict)

    @property
    def has_answers(self) -> bool:
        """Whether to look for accepted answers in what was found."""
        return ANSWERS not in self.missing and _have_answers(self.collection, self.queries)

    @cached_property
    def retrievers(self) -> dict[str, dict[str, Any]]:
        """What each retriever is, by its name.

        Raises:
            KitError: a retriever cannot be had, or cannot be asked so.
        """
        return {searcher.name: searcher.described(self.collection) for searcher in self.searchers}

    @property
    def shown(self) -> str | None:
        """Name of the system that searches with what the prompt shows of the collection, if it shows anything."""
        return f"{self.prompt.grounding}{ALONE}" if self.prompt.grounding else None

    def system_name(self, expander: str, retriever: str) -> str:
        """How tables name a system: a matrix's with its retriever."""
        if isinstance(self.args, MatrixArguments):
            return f"{expander}/{retriever}"
        return PLAIN if expander == NONE else expander

    def expander(self, adapter: str | None) -> LocalExpander:
        """The base model with an adapter; it takes memory only once it has been asked, and until it is forgotten."""
        args = self.args
        return LocalExpander(args.model, adapter, args.dtype, args.load_in_4bit, args.block, args.model_revision)

    @property
    def sampling(self) -> Sampling:
        """How students write."""
        args = self.args
        if args.samples == 1:
            return greedy(args.max_new_tokens)
        return searched_together(args.max_new_tokens, args.temperature, args.top_k)

    def identities(self) -> dict[str, dict[str, Any]]:
        """Student → who it is.

        Raises:
            KitError: the model or an adapter is unknown, or they do not belong together.
        """
        return {name: asdict(self.expander(adapter).identity) for name, adapter in self.students.items()}

    def requests(self, samples: int = 1) -> list[Request]:
        """What students are asked; the keys are query ids."""
        return [
            Request(query.id, tuple(self.prompt.messages(query.text, (), text)), samples)
            for query, text in zip(self.queries, self._context, strict=True)
        ]

    def shown_texts(self) -> list[str]:
        """What the prompt shows of the collection beside each query."""
        return [" ".join(text.split()) for text in self._context]

    @cached_property
    def _context(self) -> Sequence[str]:
        return load_context(self.prompt, self.collection, self.searchers[0].spec).texts(self.queries)


def make_plan(args: EvaluationArguments) -> Plan:
    """Look up everything of an evaluation: one retriever, students beside baselines, teachers and candidates.

    Raises:
        KitError: an argument names nothing known, or contradicts another.
    """
    _refuse_contradictions(args)
    adapters = {Path(name).name: name for name in args.adapters}
    plan = _asked(args, {BASE: None, **adapters}, [Searcher(args.retriever, args.retriever, args.formation)])
    plan.baselines, missing = available(args.baselines)
    plan.missing = {**missing, **plan.missing}
    plan.teachers = [load_teacher(text, plan.collection, plan.queries, args.max_new_tokens) for text in args.teachers]
    names = [PLAIN, *args.baselines, *(teacher.name for teacher in plan.teachers), BASE]
    names += [*(Path(name).name for name in args.adapters), CHOSEN, ORACLE]
    plan.parts = tuple(adapters) if args.parts else ()
    names += [part_name(name, part) for name in plan.parts for part in PARTS]
    if twice := sorted({name for name in names if names.count(name) > 1 or name.endswith(ALONE) or name == NONE}):
        raise KitError(
            f"systems need names of their own, and {', '.join(twice)} is taken: rename a folder or a teacher"
        )
    if args.pool_samples:
        sampling = Sampling(args.pool_temperature, 1.0, args.pool_top_k, args.max_new_tokens, args.seed)
        chooser = CrossEncoderFilter(Path(args.filter)) if args.filter else None
        plan.pool = CandidatePool(args.pool_adapter, args.pool_samples, sampling, chooser)
    plan.against = [*plan.baselines, *([plan.shown] if plan.shown else []), BASE]
    plan.not_against = [PLAIN]
    pool = plan.pool
    settings = {
        **_told(args, "output_dir"),
        **plan.expander(None).settings,
        "collection_fingerprint": plan.collection.fingerprint,
        "systems": plan.identities(),
        "pool_identity": asdict(plan.expander(pool.adapter).identity) if pool else None,
        "filter_identity": pool.chooser.identity if pool and pool.chooser else None,
        "teacher_settings": {teacher.name: dict(teacher.settings) for teacher in plan.teachers},
        "prompt_sha256": plan.prompt.sha256,
        "missing": sorted(plan.missing),
    }
    plan.settings = masked(settings)
    return plan


def make_matrix_plan(args: MatrixArguments) -> Plan:
    """Look up everything of a matrix.

    Raises:
        KitError: an argument names nothing known, or contradicts another.
    """
    searchers = load_searchers(args.retrievers)
    plan = _asked(args, named_students(args.adapters), searchers)
    if plan.shown in plan.students:
        raise KitError(f"--adapters: the name {plan.shown!r} is that of what the prompt shows; give NAME=ADAPTER")
    expanders = [NONE, *([plan.shown] if plan.shown else []), *plan.students]
    systems = [plan.system_name(expander, searcher.name) for searcher in searchers for expander in expanders]
    for option, name in (("reference", args.reference), *(("against", name) for name in args.against)):
        if name is not None and name not in systems:
            raise KitError(f"--{option} {name!r} is no cell of the matrix; there are {', '.join(systems)}")
    plan.reference, plan.against = args.reference or systems[0], args.against
    plan.settings = {
        **_told(args, "output_dir", "adapters"),
        **plan.expander(None).settings,
        "collection_fingerprint": plan.collection.fingerprint,
        "expanders": plan.identities(),
        "retrievers": plan.retrievers,
        "prompt_sha256": plan.prompt.sha256,
    }
    return plan


def named_students(texts: Sequence[str]) -> Mapping[str, str | None]:
    """Name → adapter of `ADAPTER` or `NAME=ADAPTER`; `base` first, which has none.

    Raises:
        KitError: two have one name, or one has a name that is taken.
    """
    found: dict[str, str | None] = {BASE: None}
    for text in texts:
        name, is_named, adapter = text.partition("=")
        if not (is_named and name) or "/" in name or Path(text).is_dir():
            name, adapter = Path(text).name, text
        if name in (NONE, *found):
            raise KitError(f"--adapters: the name {name!r} is taken; give NAME=ADAPTER")
        found[name] = adapter
    return found


def _asked(args: GenerationArguments, students: Mapping[str, str | None], searchers: Sequence[Searcher]) -> Plan:
    """What every plan begins with: the queries, and how models are asked."""
    if args.samples < 1 or (args.samples > 1 and args.temperature <= 0):
        raise KitError(
            f"--samples {args.samples} --temperature {args.temperature}: give 1 or more expansions, and several a "
            "temperature above 0, since greedy ones are all the same"
        )
    split = next((split for split in SPLITS if split == args.split), None)
    if split is None:
        raise KitError(f"unknown --split {args.split!r}: give one of {', '.join(SPLITS)}")
    collection = load_collection(args.collection, args.language)
    prompt = load_prompt(args.prompt)
    require_language([prompt], collection.language, collection.name)
    queries = sample_queries(collection, split, args.num_queries or -1, args.seed)
    remedy = missing_pyserini() if _have_answers(collection, queries) else None
    return Plan(args, collection, prompt, queries, students, searchers, {ANSWERS: remedy} if remedy else {})


def _told(args: GenerationArguments, *without: str) -> dict[str, Any]:
    """The settings as they were given; how several expansions are drawn only where there are several."""
    unused: tuple[str, ...] = ("samples", "temperature", "top_k") if args.samples == 1 else ()
    unused += () if getattr(args, "parts", False) else ("parts",)
    return {name: value for name, value in asdict(args).items() if name not in (*without, *unused)}


def _have_answers(collection: Collection, queries: Sequence[Query]) -> bool:
    return any(collection.answers.get(query.id) for query in queries)


def _refuse_contradictions(args: EvaluationArguments) -> None:
    if args.pool_samples < 0 or args.pool_samples == 1:
        raise KitError(
            f"--pool_samples {args.pool_samples}: give 2 or more candidates to choose from, or 0 for no pool"
        )
    if args.pool_samples and args.pool_temperature <= 0:
        raise KitError("--pool_temperature must be above 0: greedy candidates are all the same")
    if not args.pool_samples and (args.filter or args.pool_adapter):
        raise KitError("--filter and --pool_adapter need candidates to choose from: give --pool_samples, e.g. 50")
