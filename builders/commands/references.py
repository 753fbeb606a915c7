"""Self-reference answers: what a model answers to each query with its judged document in view (ExpandR).

    python -m builders references --expansions out/expansions --prompt P-self-reference --output_dir out/references

`python -m builders preferences --rule reward` measures candidates by them. Answers are kept one by one in
`<output_dir>.work`; an interrupted command continues there.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from builders.artifacts.dataset_folder import Tables
from builders.artifacts.locks import locked
from builders.artifacts.ownership import paths
from builders.collections.collection import Query
from builders.collections.recorded_collection import load_recorded_collection
from builders.commands.build import DerivedBuild, DerivedOptions
from builders.commands.generated import NOT_GENERATION_SETTINGS, GenerationOptions, GenerationRun
from builders.errors import KitError
from builders.expanders.expander import Identity
from builders.expanders.generations import Answer, answer_columns
from builders.expanders.load import find_expander, parse_with_expanders
from builders.prompts.context.gold_document import GoldDocument
from builders.prompts.load import load_prompt, require_language
from builders.prompts.prompt import Prompt


@dataclass(kw_only=True)
class ReferencesArguments(DerivedOptions, GenerationOptions):
    """Settings of `python -m builders references`."""

    prompt: str = field(metadata={"help": "Prompt id or YAML file that shows the judged document (grounding: gold)."})
    collection: str | None = field(
        default=None, metadata={"help": "Where the expansions' collection lies now, if not where it lay then."}
    )
    temperature: float = field(default=0.9, metadata={"help": "Sampling temperature."})
    max_new_tokens: int = field(default=64, metadata={"help": "Token limit of one answer."})


def main(argv: Sequence[str] | None = None) -> None:
    """Write the references from the command line."""
    description = (__doc__ or "").splitlines()[0]
    args = parse_with_expanders(ReferencesArguments, argv, "python -m builders references", description)
    ReferencesBuild(args).run()


class ReferencesBuild(DerivedBuild[ReferencesArguments]):
    """Has a model answer the queries of the expansions, each with its judged document in view."""

    kind = "references"
    not_settings = DerivedBuild.not_settings | NOT_GENERATION_SETTINGS

    def _prepare(self) -> None:
        args = self.args
        self.asked = _asked_prompt(args)
        reads = paths(args.collection, args.prompt)
        work = args.require_own(args.expansions, *reads)
        self.held.enter_context(locked(work, self.processes))
        self.open_expansions(*reads)
        self.collection = load_recorded_collection(self.expansions, args.expansions, args.collection)
        require_language([self.asked], self.collection.language, self.collection.name)
        self.generation = GenerationRun(args, [args.temperature], self.collection, [self.asked], self.asked, work)
        if len(self.generation.prompts) > 1:
            names = ", ".join(prompt.id for prompt in self.generation.prompts)
            raise KitError(
                f"--expander {args.expander}: answers to several prompts ({names}): choose one with --where"
            )

    def _settings(self) -> dict[str, Any]:
        return {
            **super()._settings(),
            **self.generation.settings(),
            "expander_settings": dict(self.generation.expander.settings),
            "prompt_sha256": self.asked.sha256,
        }

    def _tables(self) -> Tables:
        self.queries = self._queries()
        flat = [query for some in self.queries.values() for query in some]
        gold = GoldDocument(self.collection)
        (prompt,) = self.generation.prompts
        identity = self.generation.expander.identity
        shown = {prompt.id: dict(zip((query.id for query in flat), gold.texts(flat), strict=True))}
        answers = self.generation.write(flat, {prompt.id: []}, shown, 1, self.processes)
        return {
            "reference": {
                split: [
                    _reference_row(query, gold.document_id(query), prompt, identity, answer)
                    for query in some
                    for answer in answers[prompt.id, query.id]
                ]
                for split, some in self.queries.items()
            }
        }

    def _record(self, tables: Tables) -> dict[str, Any]:
        rows = [row for some in tables["reference"].values() for row in some]
        return {
            **super()._record(tables),
            **self.generation.record(),
            "queries": {split: len(some) for split, some in self.queries.items()},
            "yield": {
                "queries": sum(map(len, self.queries.values())),
                "answers": len(rows),
                "checks": dict(sorted(Counter(row["check"] for row in rows).items())),
            },
        }

    def _timing(self) -> dict[str, Any]:
        return self.generation.timing(self.started)

    def _report(self, tables: Tables, build: dict[str, Any]) -> list[str]:
        counts = build["yield"]
        line = f"{self.folder}: {counts['answers']} answers to {counts['queries']} queries, checks {counts['checks']}"
        return [line, *self.generation.bill()]

    def _queries(self) -> dict[str, list[Query]]:
        """The queries that the expansions are about, by the split they stand in."""
        known, queries = self.collection.queries, {}
        for split in self.expansions["rows"].get("raw", {}):
            ids = list(self.candidates(split))
            if unknown := [name for name in ids if name not in known]:
                raise KitError(f"{self.source}: query {unknown[0]!r} is not in collection {self.collection.name!r}")
            queries[split] = [known[name] for name in ids]
        if not any(queries.values()):
            raise KitError(f"{self.source}: has no candidates, so there are no queries to answer")
        return queries


def _asked_prompt(args: ReferencesArguments) -> Prompt:
    """The prompt, once nothing speaks against the settings."""
    find_expander(args.expander, reads_prompt=True)
    if args.max_new_tokens < 1:
        raise KitError("--max_new_tokens must be at least 1")
    prompt = load_prompt(args.prompt)
    if prompt.grounding != "gold":
        raise KitError(f"--prompt {args.prompt}: does not show the judged document; give one with grounding: gold")
    return prompt


def _reference_row(
    query: Query, document_id: str, prompt: Prompt, identity: Identity, answer: Answer
) -> dict[str, Any]:
    # Recorded answers come as they were recorded; what is checked, saved and later encoded is one text.
    text = " ".join(answer.expansion.text.split())
    return {
        "query_id": query.id,
        "query": query.text,
        "document_id": document_id,
        "reference": text,
        **answer_columns(prompt, identity, answer),
        "check": prompt.check.reason(text, query.text, answer.expansion.finish_reason) or "ok",
    }
