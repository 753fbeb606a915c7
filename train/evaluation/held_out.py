"""Held-out queries: what expanders write for validation queries during training and between rounds, and its gain."""

from collections.abc import Mapping, Sequence

from builders.collections.collection import Collection, Query
from builders.collections.sampling import sample_queries
from builders.expanders.expander import Request, greedy
from builders.grading.comparison import SAME, differences, silence_row
from builders.grading.grader import Grade, Grader
from builders.prompts.context.load import shown_texts
from builders.prompts.load import load_prompt, require_language


class HeldOutQueries:
    """Validation queries as expanders are asked them; the answers are greedy.

    Args:
        collection ([`Collection`]):
            Whose validation queries.
        number (`int`), seed (`int`):
            How many of them, −1 for all, and the seed of the sample.
        prompt (`str`), max_new_tokens (`int`):
            How they are asked.
        retriever (`str`):
            What finds what a prompt shows of the collection.

    Attributes:
        requests (`list[Request]`): what expanders are asked; the keys are query ids.

    Raises:
        KitError: the prompt is unknown or of another language, or the collection has too few queries.
    """

    def __init__(
        self, collection: Collection, number: int, seed: int, prompt: str, max_new_tokens: int, retriever: str
    ) -> None:
        asked = load_prompt(prompt)
        require_language([asked], collection.language, collection.name)
        self.queries: Sequence[Query] = sample_queries(collection, "validation", number, seed)
        (shown,) = shown_texts([asked], collection, retriever, self.queries).values()
        self.requests = [
            Request(query.id, tuple(asked.messages(query.text, (), shown[query.id])), 1) for query in self.queries
        ]
        self.sampling = greedy(max_new_tokens)

    def plain(self, grader: Grader) -> list[Grade]:
        """Grades of the queries without expansion."""
        return grader.plain([query.id for query in self.queries])

    def figures(
        self, grader: Grader, texts: Mapping[str, str], plain: Sequence[Grade] | None = None
    ) -> dict[str, float]:
        """Mean nDCG@10 of the expanded and of the plain queries; shares of the queries helped, hurt, told nothing new.

        Args:
            grader ([`Grader`]):
                What searches and judges.
            texts (`Mapping[str, str]`):
                Query id → its expansion.
            plain (`Sequence[Grade]`, *optional*):
                Of [`plain`], where it is known already.
        """
        own = grader.expanded([(query.id, texts[query.id]) for query in self.queries])
        plain = self.plain(grader) if plain is None else plain
        deltas, count = differences(own, plain), len(self.queries)
        return {
            "queries": count,
            "ndcg_at_10": sum(grade.ndcg_at_10 for grade in own) / count,
            "plain_ndcg_at_10": sum(grade.ndcg_at_10 for grade in plain) / count,
            "helped": sum(delta > SAME for delta in deltas) / count,
            "hurt": sum(delta < -SAME for delta in deltas) / count,
            **silence_row(self.queries, [texts[query.id] for query in self.queries]),
        }
