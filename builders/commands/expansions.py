"""Stage 1: queries → candidates graded by retrieval, published as configs `raw` and `distillation`.

    python -m builders expansions --output_dir out/expansions --num_train 48 --samples 4

Answers are kept one by one in `<output_dir>.work`; an interrupted command continues there. Several processes share the
generation: accelerate launch --config_file … -m builders expansions …
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from builders.artifacts.dataset_folder import Tables
from builders.artifacts.locks import locked
from builders.artifacts.ownership import paths
from builders.cli import say
from builders.collections.collection import Query, Split
from builders.collections.load import collection_help, load_collection
from builders.collections.sampling import sample_queries
from builders.commands.build import DatasetBuild
from builders.commands.generated import NOT_GENERATION_SETTINGS, GenerationOptions, GenerationRun
from builders.errors import KitError
from builders.expanders.generations import stripped_counts
from builders.expanders.load import parse_with_expanders
from builders.grading.candidates import graded_candidates, grading_record, grading_report
from builders.grading.grader import Grader
from builders.grading.selection import distillation_rows, require_selection
from builders.prompts.context.load import shown_texts
from builders.prompts.exemplars import draw_exemplars
from builders.prompts.load import load_prompt, require_language
from builders.retrievers.formulation import formulation_help, load_formulation
from builders.retrievers.load import encoder_folders, folder_revisions, load_retriever, retriever_help


@dataclass
class ExpansionsArguments(GenerationOptions):
    """Settings of `python -m builders expansions`."""

    collection: str = field(default="pydocs", metadata={"help": collection_help()})
    language: str | None = field(default=None, metadata={"help": "Where the collection does not say its own."})
    num_train: int = field(default=48, metadata={"help": "Train queries to sample; -1 takes all."})
    num_validation: int = field(default=0, metadata={"help": "Validation queries to sample; -1 takes all."})
    prompts: list[str] = field(
        default_factory=lambda: ["api-docs-zero-shot", "api-docs-few-shot"],
        metadata={"help": "Prompt ids, YAML files or `querygym:ID`; the first zero-shot one is the student's."},
    )
    samples: int = field(default=4, metadata={"help": "Candidates per query, prompt and temperature."})
    temperature: list[float] = field(
        default_factory=lambda: [0.9], metadata={"help": "Sampling temperature, or several, each sampled by itself."}
    )
    retriever: str = field(default="bm25s", metadata={"help": retriever_help("What grades")})
    formation: str = field(default="q*5+e", metadata={"help": formulation_help()})
    select: str = field(
        default="best",
        metadata={
            "help": "Candidates to imitate: `all` valid, `better` than plain, `harmless` ones, `best` per query."
        },
    )

    def __post_init__(self) -> None:
        # A recipe may say `temperature: 0.9`.
        if not isinstance(self.temperature, list):
            self.temperature = [self.temperature]


def main(argv: Sequence[str] | None = None) -> None:
    """Run stage 1 from the command line."""
    description = (__doc__ or "").splitlines()[0]
    args = parse_with_expanders(ExpansionsArguments, argv, "python -m builders expansions", description)
    ExpansionsBuild(args).run()


class ExpansionsBuild(DatasetBuild[ExpansionsArguments]):
    """Samples queries, has candidates written to them, and grades each by the search that it leads to."""

    kind = "expansions"
    not_settings = NOT_GENERATION_SETTINGS

    def _prepare(self) -> None:
        args = self.args
        require_selection(args.select)
        if args.samples < 1 or args.max_new_tokens < 1 or args.num_train == 0:
            raise KitError("--samples, --num_train and --max_new_tokens must be at least 1")
        work = args.require_own(*paths(args.collection, *args.prompts), *encoder_folders(args.retriever))
        self.held.enter_context(locked(work, self.processes))
        prompts = [load_prompt(name) for name in args.prompts]
        student = next((prompt for prompt in prompts if prompt.condition == "zero-shot"), None)
        if student is None:
            raise KitError("--prompts: give at least one zero-shot prompt; it is the one that the student will see")
        self.student = student
        self.collection = load_collection(args.collection, args.language)
        for remark in self.collection.remarks if self.processes.is_main else ():
            say(remark)
        require_language(prompts, self.collection.language, self.collection.name)
        self.generation = GenerationRun(
            args, args.temperature, self.collection, prompts, student, work, args.retriever
        )

    def _settings(self) -> dict[str, Any]:
        revisions, generation = folder_revisions(self.args.retriever), self.generation
        return {
            **super()._settings(),
            **({"retriever_revisions": revisions} if revisions else {}),
            **generation.settings(),
            **({"temperature": self.args.temperature} if len(generation.samplings) > 1 else {}),
            "collection_fingerprint": self.collection.fingerprint,
            "expander_settings": [dict(one.settings) for _, one in generation.expanders],
            "prompt_sha256": [prompt.sha256 for prompt in generation.prompts],
        }

    def _tables(self) -> Tables:
        args, collection, student, generation = self.args, self.collection, self.student, self.generation
        queries = self._sampled()
        # Before anything is generated: a retriever that cannot be had, or asked so, must cost no answers.
        formulation = load_formulation(args.formation)
        if self.processes.is_main:
            self.grader = Grader(collection, load_retriever(args.retriever, collection), formulation)
        exemplars = {one.id: draw_exemplars(collection, one.exemplars, args.seed) for one in generation.prompts}
        self.exemplar_queries = sorted({e.query_id for drawn in exemplars.values() for e in drawn})
        shown = shown_texts([*generation.prompts, student], collection, args.retriever, queries)
        answers = generation.write(queries, exemplars, shown, args.samples, self.processes)
        if not self.processes.is_main:
            return {}
        say(f"grading: {sum(map(len, answers.values()))} candidates with {args.retriever}")
        self.stripped = stripped_counts(one.expansion for some in answers.values() for one in some)
        rows = graded_candidates(
            queries, generation.prompts, answers, self.grader, generation.identities, shown[student.id]
        )
        split_of = {query.id: query.split for query in queries}
        self.queries = dict(Counter(split_of.values()))
        splits = ("train", "validation")
        raw = {split: [row for row in rows if split_of[row["query_id"]] == split] for split in splits}
        self.distillation = distillation_rows(raw, args.select, student, collection)
        return {"raw": raw} | ({"distillation": self.distillation} if args.expander != "none" else {})

    def _record(self, tables: Tables) -> dict[str, Any]:
        return {
            **self.generation.record(),
            **grading_record(self.grader, self.args.select, tables["raw"], self.distillation, self.stripped),
            "student_prompt": self.student.id,
            "exemplar_queries": self.exemplar_queries,
            "queries": self.queries,
        }

    def _timing(self) -> dict[str, Any]:
        return self.generation.timing(self.started)

    def _report(self, tables: Tables, build: dict[str, Any]) -> list[str]:
        lines = [*grading_report(self.folder, build["yield"]), *self.generation.bill()]
        if "distillation" in tables and not any(self.distillation.values()):
            relaxed = "" if self.args.select == "all" else ", or give --select all"
            lines.append(f"  --select {self.args.select} finds none to imitate: ask more queries{relaxed}")
        return lines

    def _sampled(self) -> list[Query]:
        """Train and validation queries, of those that can be asked."""
        args, collection = self.args, self.collection
        known = [one.query_ids for _, one in self.generation.expanders if one.query_ids is not None]
        if known:
            recorded = set().union(*known)
            queries = {name: query for name, query in collection.queries.items() if name in recorded}
            collection = replace(collection, name=f"{collection.name} (as far as it is recorded)", queries=queries)
        wanted: dict[Split, int] = {"train": args.num_train, "validation": args.num_validation}
        return [q for split, number in wanted.items() for q in sample_queries(collection, split, number, args.seed)]
