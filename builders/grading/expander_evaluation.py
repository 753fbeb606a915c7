"""Measures an expander on a collection with one retriever: gain, harm and significance, as a table."""

from dataclasses import dataclass
from typing import Any

from builders.artifacts.markdown import code, text
from builders.collections.collection import Collection, Split
from builders.errors import KitError
from builders.expanders.trained import QueryExpander
from builders.grading.comparison import (
    PLAIN,
    Row,
    left_out,
    legend,
    query_row,
    silence_row,
    system_row,
    table_lines,
)
from builders.grading.grader import Grader
from builders.retrievers.formulation import load_formulation
from builders.retrievers.retriever import Retriever


@dataclass(frozen=True)
class EvaluationTable:
    """What an expander gains and whom it hurts; prints as a table, in a notebook too.

    Args:
        rows (`list[dict]`):
            One for the query without expansion (`plain`), one for the expander: means of nDCG@10, MRR@10 and
            Recall@100, shares of queries helped and hurt, the difference with its 95 % interval, and its p-value.
        per_query (`list[dict]`):
            Every query under both, with its expansion.
        subject (`str`):
            What was measured.
    """

    rows: list[Row]
    per_query: list[Row]
    subject: str

    def __str__(self) -> str:
        systems = {row["system"]: row for row in self.rows}
        return "\n".join([f"{self.subject}.", "", *table_lines(systems), "", legend()])

    def _repr_markdown_(self) -> str:
        return str(self)

    def to_pandas(self) -> Any:
        """The rows as a data frame.

        Raises:
            KitError: pandas is not installed.
        """
        try:
            import pandas
        except ImportError as error:
            raise KitError("pandas is missing: pip install pandas") from error
        return pandas.DataFrame(self.rows)


def evaluate(
    expander: QueryExpander,
    collection: Collection,
    retriever: Retriever,
    split: Split = "test",
    formulation: str | None = None,
    seed: int = 0,
) -> EvaluationTable:
    """Expand a collection's judged queries, search with and without the expansions, and compare.

    Args:
        expander ([`QueryExpander`]):
            See `load_expander`.
        collection ([`Collection`]):
            See `load_collection`.
        retriever ([`Retriever`]):
            What searches: see `load_retriever`.
        split (`str`, *optional*, defaults to `"test"`):
            Which queries: `train`, `validation` or `test`.
        formulation (`str`, *optional*):
            How query and expansion are searched together: `q*5+e`, `q*adaptive+e`, `mean` for vectors, …; by default
            what the expander was measured with.
        seed (`int`, *optional*, defaults to 0):
            Of the paired randomisation test.

    Raises:
        KitError: there are no such queries, the retriever cannot be asked so, or the model cannot be loaded.

    Example:

        >>> from builders import evaluate, load_collection, load_expander, load_retriever
        >>> collection = load_collection("my-collection")  # doctest: +SKIP
        >>> retriever = load_retriever("bm25s", collection)  # doctest: +SKIP
        >>> print(evaluate(load_expander("you/my-expander"), collection, retriever))  # doctest: +SKIP
    """
    grader = Grader(collection, retriever, load_formulation(formulation or expander.formulation))
    queries = collection.split(split)
    if not queries:
        raise KitError(f"collection {collection.name!r} has no judged {split} queries: give another split")
    expansions = expander.expand_queries(queries, collection)
    searched = {PLAIN: [""] * len(queries), expander.name: expansions}
    grades = {
        name: grader.expanded([(query.id, text) for query, text in zip(queries, texts, strict=True)])
        for name, texts in searched.items()
    }
    return EvaluationTable(
        [
            {
                "system": name,
                **system_row(found, grades[PLAIN], seed),
                **(silence_row(queries, searched[name]) if name != PLAIN else {}),
            }
            for name, found in grades.items()
        ],
        [
            query_row(name, query, text, grade, plain)
            for name, texts in searched.items()
            for query, text, grade, plain in zip(queries, texts, grades[name], grades[PLAIN], strict=True)
        ],
        f"{len(queries)} {split} queries of {text(collection.name)}"
        f"{left_out({'without_relevant': collection.without_relevant}, split)}, {text(retriever.name)}, "
        f"query formed as {code(grader.formation.name)}",
    )
