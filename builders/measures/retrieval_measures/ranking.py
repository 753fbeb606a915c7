"""Measures of one ranking against its judgments, computed by trec_eval (pytrec_eval)."""

from collections.abc import Iterable, Mapping, Sequence


NDCG_CUT = 10
MRR_CUT = 10
RECALL_CUT = 100
# Scores of the first documents, above 0.
FALLING = tuple(map(float, range(max(NDCG_CUT, MRR_CUT), 0, -1)))
MEASURES = ("ndcg_at_10", "mrr_at_10", "recall_at_100")


def measure(
    qrels: Mapping[str, Mapping[str, int]],
    runs: Mapping[str, Sequence[str]],
    relevance_level: int = 1,
) -> dict[str, dict[str, float]]:
    """nDCG@10, MRR@10 and Recall@100 of every judged query.

    * `ndcg_at_10`: discounted cumulative gain of the first ten, over that of the best possible ten (Järvelin &
      Kekäläinen 2002, https://doi.org/10.1145/582415.582418); gain = relevance, discount = 1 / log2(rank + 1), as
      trec_eval's `ndcg_cut_10` has it.
    * `mrr_at_10`: 1 / rank of the first relevant document, 0 when none is among the first ten.
    * `recall_at_100`: share of the relevant documents that are among the first hundred.

    Args:
        qrels (`Mapping[str, Mapping[str, int]]`):
            Query id → document id → relevance.
        runs (`Mapping[str, Sequence[str]]`):
            Query id → document ids, best first. The order given is the order measured, ties included.
        relevance_level (`int`, *optional*, defaults to 1):
            The lowest relevance that counts as relevant for MRR and recall; nDCG takes every grade as it is.

    Returns:
        Query id → measure → value between 0 and 1, for the queries of `qrels` in their order. A query without a
        ranking, with an empty one, or without a relevant document has 0 everywhere.

    Raises:
        ValueError: a document stands twice in one ranking.
    """
    import pytrec_eval

    judged = {query_id: {doc: int(relevance) for doc, relevance in found.items()} for query_id, found in qrels.items()}
    scored = {name: _scored(name, run, judged[name]) for name, run in runs.items() if name in judged}
    wanted = {f"ndcg_cut.{NDCG_CUT}", "recip_rank", f"recall.{RECALL_CUT}"}
    evaluator = pytrec_eval.RelevanceEvaluator(judged, wanted, relevance_level=relevance_level)
    found: dict[str, dict[str, float]] = evaluator.evaluate(scored)
    measured = {}
    for query_id in judged:
        values = found.get(query_id, {})
        reciprocal = values.get("recip_rank", 0.0)
        measured[query_id] = {
            "ndcg_at_10": values.get(f"ndcg_cut_{NDCG_CUT}", 0.0),
            # trec_eval's reciprocal rank has no cut of its own.
            "mrr_at_10": reciprocal if reciprocal > 1 / (MRR_CUT + 1) else 0.0,
            "recall_at_100": values.get(f"recall_{RECALL_CUT}", 0.0),
        }
    return measured


def mean(measured: Mapping[str, Mapping[str, float]]) -> dict[str, float]:
    """The mean of each measure over all queries.

    Raises:
        ValueError: there is no query.
    """
    if not measured:
        raise ValueError("no queries to average over: give at least one query with judgments")
    return {name: sum(values[name] for values in measured.values()) / len(measured) for name in MEASURES}


def gold_rank(ranking: Iterable[str], gold: Iterable[str], depth: int) -> int:
    """The 1-based rank of the first gold document among the first `depth`; `depth + 1` when it is not there.

    EAR (Chuang et al. 2023, https://aclanthology.org/2023.findings-acl.768/) grades expansions by this rank.
    """
    wanted = set(gold)
    for rank, document in enumerate(ranking, start=1):
        if rank > depth:
            break
        if document in wanted:
            return rank
    return depth + 1


def _scored(query_id: str, ranking: Sequence[str], judged: Mapping[str, int]) -> dict[str, float]:
    """A ranking as trec_eval takes it, which sorts by score and breaks ties by document id: falling scores keep it."""
    distinct = set(ranking)
    if len(distinct) != len(ranking):
        raise ValueError(f"the ranking of query {query_id!r} names a document twice: keep its first place only")
    if len(ranking) > RECALL_CUT:
        distinct = set(ranking[:RECALL_CUT])
    # Past the cuts by rank only recall is measured, to which order and documents without judgment are nothing.
    scored = dict.fromkeys(judged.keys() & distinct, 0.0)
    scored.update(zip(ranking, FALLING, strict=False))
    return scored
