"""nDCG@10, MRR@10 and Recall@100 as a module for the library `evaluate`: `evaluate.load("<this folder>")`."""

import datasets
import evaluate

# A relative import, since evaluate copies this file and ranking.py side by side into its module cache.
from .ranking import mean, measure


_DESCRIPTION = """\
Retrieval measures of rankings against graded relevance judgments, computed by trec_eval (pytrec_eval): nDCG@10 with
linear gains, MRR@10 and Recall@100 (both with relevance 1 or more), averaged over queries.
"""

_CITATION = """\
@article{jarvelin2002cumulated,
  title = {Cumulated gain-based evaluation of IR techniques},
  author = {J{\\"a}rvelin, Kalervo and Kek{\\"a}l{\\"a}inen, Jaana},
  journal = {ACM Transactions on Information Systems},
  volume = {20}, number = {4}, pages = {422--446}, year = {2002},
  doi = {10.1145/582415.582418}
}
@inproceedings{vangysel2018pytreceval,
  title = {Pytrec\\_eval: An Extremely Fast Python Interface to trec\\_eval},
  author = {Van Gysel, Christophe and de Rijke, Maarten},
  booktitle = {SIGIR}, year = {2018},
  doi = {10.1145/3209978.3210065}
}
"""

_INPUTS = """\
Args:
    predictions (`list[list[str]]`): per query, the ids of the ranked documents, best first, none twice.
    references (`list[list[dict]]`): per query, its judgments as `{"document_id": str, "relevance": int}`.

Returns:
    `dict[str, float]`: the means `ndcg_at_10`, `mrr_at_10` and `recall_at_100`. A query with an empty ranking or
    without a relevant document counts as 0.

Examples:
    >>> measures = evaluate.load("builders/measures/retrieval_measures")
    >>> measures.compute(predictions=[["b", "a"]], references=[[{"document_id": "a", "relevance": 1}]])
    {'ndcg_at_10': 0.6309297535714575, 'mrr_at_10': 0.5, 'recall_at_100': 1.0}
"""


@evaluate.utils.file_utils.add_start_docstrings(_DESCRIPTION, _INPUTS)
class RetrievalMeasures(evaluate.Metric):
    """Means of the measures in `ranking.measure` over queries."""

    def _info(self) -> evaluate.MetricInfo:
        judgment = {"document_id": datasets.Value("string"), "relevance": datasets.Value("int64")}
        return evaluate.MetricInfo(
            description=_DESCRIPTION,
            citation=_CITATION,
            inputs_description=_INPUTS,
            features=datasets.Features(
                {
                    "predictions": datasets.List(datasets.Value("string")),
                    "references": datasets.List(judgment),
                }
            ),
            reference_urls=["https://github.com/usnistgov/trec_eval", "https://github.com/cvangysel/pytrec_eval"],
        )

    def _compute(self, predictions: list[list[str]], references: list[list[dict]]) -> dict[str, float]:
        qrels = {}
        runs = {}
        for number, (ranking, judgments) in enumerate(zip(predictions, references, strict=True)):
            qrels[str(number)] = {judgment["document_id"]: judgment["relevance"] for judgment in judgments}
            runs[str(number)] = ranking
        return mean(measure(qrels, runs))
