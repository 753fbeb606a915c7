"""Compute InfoNCE whose queries are the mean of a query's and its expansion's vector, as ExpandR trains.

Source: Yao et al. 2025, "ExpandR" (arXiv 2502.17057): query vector (f(q) + f(e)) / 2 of parts of length 1, which is
not brought to length 1 again; documents of length 1; scalar products over τ; in-batch and hard negatives.
"""

from typing import Any

import torch
from sentence_transformers import SentenceTransformer
from sentence_transformers.sentence_transformer.losses import (
    CachedMultipleNegativesRankingLoss,
    MultipleNegativesRankingLoss,
)
from torch import Tensor
from torch.nn.functional import normalize


def expanded_similarity(queries: Tensor, documents: Tensor) -> Tensor:
    """Scalar products of expanded queries and documents.

    Args:
        queries (`Tensor`):
            n × (2 d + 1): vector of the query, vector of the expansion, and 1 where there is one or 0 where the query
            stands alone. Vectors of any length.
        documents (`Tensor`):
            m × d, of any length.

    Returns:
        n × m, from −1 to 1.
    """
    width = documents.shape[1]
    query, expansion, is_expanded = queries.split([width, width, 1], dim=1)
    query, expansion = normalize(query), normalize(torch.where(is_expanded > 0, expansion, query))
    return (query + expansion) / 2 @ normalize(documents).T


def joined(queries: Tensor, expansions: Tensor, is_expanded: Tensor) -> Tensor:
    """The three parts side by side, as [`expanded_similarity`] takes them."""
    return torch.cat([queries, expansions, is_expanded.to(queries)[:, None]], dim=1)


class ExpandedQueryLoss(MultipleNegativesRankingLoss):
    """Columns query, expansion, positive and any number of negatives; labels 1, or 0 where a query has no expansion.

    Args:
        model (`SentenceTransformer`):
            What is trained.
        tau (`float`):
            Temperature of the softmax.
        gather (`bool`):
            Whether the documents of all processes are negatives, and not only those of this one.
    """

    def __init__(self, model: SentenceTransformer, tau: float, gather: bool = False) -> None:
        super().__init__(model, scale=1 / tau, similarity_fct=expanded_similarity, gather_across_devices=gather)

    def compute_loss_from_embeddings(self, embeddings: list[Tensor], labels: Tensor) -> Tensor:
        """See the library's: the first two columns become one."""
        queries, expansions, *documents = embeddings
        return super().compute_loss_from_embeddings([joined(queries, expansions, labels), *documents], labels)


class CachedExpandedQueryLoss(CachedMultipleNegativesRankingLoss):
    """The same with gradient caching (Gao et al. 2021, "GradCache"): memory for `mini_batch_size` texts at a time."""

    def __init__(self, model: SentenceTransformer, tau: float, mini_batch_size: int, gather: bool = False) -> None:
        super().__init__(
            model,
            scale=1 / tau,
            similarity_fct=expanded_similarity,
            mini_batch_size=mini_batch_size,
            gather_across_devices=gather,
        )

    def calculate_loss(
        self, reps: list[list[Tensor]], labels: Tensor | None = None, *, with_backward: bool = False
    ) -> Tensor:
        """See the library's: the first two columns become one."""
        queries, expansions, *documents = reps
        assert labels is not None
        # Only joined here: the library goes backward through it once for each mini-batch, so it must keep no values.
        queries = [joined(torch.cat(queries), torch.cat(expansions), labels)]
        return super().calculate_loss([queries, *documents], labels, with_backward=with_backward)


def contrastive_loss(
    model: SentenceTransformer, tau: float, mini_batch_size: int, gather: bool, is_expanded: bool
) -> Any:
    """The loss of a recipe.

    Args:
        model (`SentenceTransformer`):
            What is trained.
        tau (`float`):
            Temperature.
        mini_batch_size (`int`):
            Texts embedded at a time; 0 embeds the whole batch and keeps all that its gradient needs.
        gather (`bool`):
            Negatives across processes.
        is_expanded (`bool`):
            Whether there is a column of expansions. Without one this is the library's own loss, by the cosine.
    """
    if is_expanded:
        if mini_batch_size:
            return CachedExpandedQueryLoss(model, tau, mini_batch_size, gather)
        return ExpandedQueryLoss(model, tau, gather)
    if mini_batch_size:
        return CachedMultipleNegativesRankingLoss(
            model, scale=1 / tau, mini_batch_size=mini_batch_size, gather_across_devices=gather
        )
    return MultipleNegativesRankingLoss(model, scale=1 / tau, gather_across_devices=gather)
