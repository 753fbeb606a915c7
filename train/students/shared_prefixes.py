"""Compute what the rows of a batch have in common once: everybody's system prompt, the prompt of a pair's answers."""

import types
from collections.abc import Sequence
from functools import wraps
from itertools import pairwise
from typing import Any, NamedTuple

import torch


# So many tokens that attend to each other cost a CPU twice what as many alone do (measured on SmolLM2-135M).
ATTENDED = 1000
Rows = Sequence[Sequence[int]]


class Trees(NamedTuple):
    """A batch as prefix trees, each of some of its rows: every node is a token, and computed once.

    Args:
        input_ids (`Tensor`), position_ids (`Tensor`):
            Of shape (trees, nodes).
        sees (`Tensor`):
            Of shape (trees, nodes, nodes), boolean: a node attends to itself and to what its row begins with.
        node_of (`Tensor`):
            Of shape (rows, tokens): each token's node, counted through all trees; 0 where padding is.
    """

    input_ids: torch.Tensor
    position_ids: torch.Tensor
    sees: torch.Tensor
    node_of: torch.Tensor


def trees_of(input_ids: torch.Tensor, attention_mask: torch.Tensor) -> Trees | None:
    """Merge what rows begin with and leave out padding, or `None` where that would save nothing.

    Args:
        input_ids (`Tensor`), attention_mask (`Tensor`):
            Of shape (rows, tokens), padded on either side.
    """
    kept = [mask.nonzero()[:, 0] for mask in attention_mask]
    rows = [ids[where].tolist() for ids, where in zip(input_ids, kept, strict=True)]
    order = sorted(range(len(rows)), key=rows.__getitem__)  # Neighbours have the most in common.
    groups, size = _groups([rows[number] for number in order])
    if groups == len(rows):
        return None
    node_of, each = torch.zeros_like(input_ids), len(rows) // groups
    trees: list[_Tree] = []
    for start in range(0, len(rows), each):
        tree = _Tree(size)
        for number in order[start : start + each]:
            node_of[number, kept[number]] = torch.tensor(tree.add(rows[number])) + len(trees) * size
        trees.append(tree)
    tokens, depths, sees = (
        torch.stack([getattr(tree, name) for tree in trees]) for name in ("tokens", "depths", "sees")
    )
    return Trees(tokens, depths, sees, node_of)


def share_prefixes(model: Any) -> None:
    """Have a causal language model compute common beginnings of a batch's rows once, in training and scoring.

    Hidden states and gradients are those of the rows one by one, up to rounding. Generation, which keeps a cache, goes
    its own way; so does a model whose layers do not all attend to the whole row.

    Args:
        model (`PreTrainedModel`):
            Not yet wrapped by PEFT, or `PeftModel.get_base_model()`.
    """
    kinds = set(getattr(model.config, "layer_types", None) or ("full_attention",))
    if kinds != {"full_attention"} or getattr(model.config, "sliding_window", None):
        return
    backbone = model.base_model
    plain = backbone.forward

    @wraps(plain)
    def forward(self: Any, input_ids: Any = None, attention_mask: Any = None, **given: Any) -> Any:
        given = {name: value for name, value in given.items() if value is not None}
        whole = input_ids is not None and attention_mask is not None and attention_mask.shape == input_ids.shape
        trees = trees_of(input_ids, attention_mask) if whole and given == {"use_cache": False} else None
        if trees is None:
            return plain(input_ids=input_ids, attention_mask=attention_mask, **given)
        dtype = next(self.parameters()).dtype
        mask = torch.zeros(trees.sees.shape, dtype=dtype).masked_fill_(~trees.sees, torch.finfo(dtype).min)
        ids = {"input_ids": trees.input_ids, "position_ids": trees.position_ids}
        output = plain(**ids, attention_mask=mask[:, None], **given)
        output.last_hidden_state = output.last_hidden_state.flatten(0, 1)[trees.node_of]
        return output

    backbone.forward = types.MethodType(forward, backbone)


def _groups(rows: Rows) -> tuple[int, int]:
    """Into how many groups of neighbours sorted rows are best split, and the nodes of the largest group's tree."""
    common = [0, *(_common(first, second) for first, second in pairwise(rows))]
    costs = []
    for groups in (number for number in range(1, len(rows) + 1) if len(rows) % number == 0):
        each = len(rows) // groups
        starts = range(0, len(rows), each)
        # The nodes of sorted rows: their tokens, less what each has in common with the one before it.
        size = max(sum(map(len, rows[s : s + each])) - sum(common[s + 1 : s + each]) for s in starts)
        costs.append((groups * size * (1 + size / ATTENDED), groups, size))
    _, groups, size = min(costs)
    return groups, size


def _common(first: Sequence[int], second: Sequence[int]) -> int:
    shorter = min(len(first), len(second))
    return next((at for at in range(shorter) if first[at] != second[at]), shorter)


class _Tree:
    """A prefix tree of at most `size` nodes; nodes not yet added see themselves alone."""

    def __init__(self, size: int) -> None:
        self.tokens, self.depths = torch.zeros((2, size), dtype=torch.long)
        self.sees = torch.eye(size, dtype=torch.bool)
        self._children: dict[tuple[int, int], int] = {}

    def add(self, row: Sequence[int]) -> list[int]:
        """The nodes of a row's tokens, after those that it lacked were added."""
        path: list[int] = []
        for depth, token in enumerate(row):
            key = (path[-1] if path else -1, token)
            node = self._children.setdefault(key, len(self._children))
            path.append(node)
            self.tokens[node], self.depths[node] = token, depth
            self.sees[node, path] = True
        return path
