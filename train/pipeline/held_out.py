"""The held-out queries: what expanders write for the validation queries between rounds, asked once and graded."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from builders.collections.collection import Collection, Query
from builders.collections.sampling import sample_queries
from builders.expanders.expander import Request, greedy
from builders.expanders.local import LocalExpander
from builders.grading.comparison import SAME, differences
from builders.grading.grader import Grader
from builders.processes import Processes
from builders.prompts.context.load import shown_texts
from builders.prompts.load import load_prompt, require_language
from train.evaluation.generation import generate


class HeldOut:
    """Validation queries as expanders are asked them.

    Args:
        collection ([`Collection`]):
            Whose validation queries.
        number (`int`), seed (`int`):
            How many of them, −1 for all, and the seed of the sample.
        prompt (`str`), max_new_tokens (`int`):
            How they are asked; the answers are greedy.
        retriever (`str`):
            What finds what a grounded prompt shows.
        folder (`Path`):
            Where answers are kept.

    Raises:
        KitError: the prompt is unknown or of another language, or the collection has too few queries.
    """

    def __init__(
        self,
        collection: Collection,
        number: int,
        seed: int,
        prompt: str,
        max_new_tokens: int,
        retriever: str,
        folder: Path,
    ) -> None:
        asked = load_prompt(prompt)
        require_language([asked], collection.language, collection.name)
        self.queries: Sequence[Query] = sample_queries(collection, "validation", number, seed)
        (shown,) = shown_texts([asked], collection, retriever, self.queries).values()
        self._requests = [
            Request(query.id, tuple(asked.messages(query.text, (), shown[query.id])), 1) for query in self.queries
        ]
        self._sampling, self._folder = greedy(max_new_tokens), folder

    def answers(self, name: str, expander: LocalExpander) -> dict[str, str]:
        """Query id → what an expander writes, and wrote if it was asked before."""
        label = f"validation of {name}"
        generation = generate(label, expander, self._requests, self._sampling, self._folder, Processes(0, 1))
        return {query.id: generation.answers[query.id][0].text for query in self.queries}

    def figures(self, grader: Grader, answers: Mapping[str, str]) -> dict[str, Any]:
        """Mean nDCG@10 of the expanded and of the plain queries; shares of the queries helped and hurt."""
        ids = [query.id for query in self.queries]
        plain, own = grader.plain(ids), grader.expanded([(query_id, answers[query_id]) for query_id in ids])
        deltas = differences(own, plain)
        return {
            "queries": len(ids),
            "ndcg_at_10": sum(grade.ndcg_at_10 for grade in own) / len(ids),
            "plain_ndcg_at_10": sum(grade.ndcg_at_10 for grade in plain) / len(ids),
            "helped": sum(delta > SAME for delta in deltas) / len(ids),
            "hurt": sum(delta < -SAME for delta in deltas) / len(ids),
        }
