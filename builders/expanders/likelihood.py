"""The likelihood: how probable a model found the tokens that it chose."""

from typing import Any


class ChosenTokens:
    """Records the log-probability of every token that `generate` chooses; a logits processor that changes nothing.

    It stands before temperature, top-k and top-p, so that it sees the model's own distribution (and behind penalties,
    where a model's generation config asks for any). Of the vocabulary's scores only one step's are held: batch ×
    vocabulary × 4 bytes.
    """

    def __init__(self) -> None:
        self._scores: Any = None
        self._chosen: list[Any] = []

    def __call__(self, input_ids: Any, scores: Any) -> Any:
        """What transformers calls at each step, with all tokens so far and the logits of the next ones."""
        self._take(input_ids[:, -1])
        self._scores = scores.log_softmax(dim=-1)
        return scores

    def means(self, written: Any, lengths: list[int]) -> list[float]:
        """The mean log-probability (natural logarithm) of the first tokens of each sequence.

        Args:
            written (`torch.Tensor`):
                Token ids of shape (sequences, steps), without the prompt.
            lengths (`list[int]`):
                How many tokens of each sequence count, at least one: the end token does, the padding after it not.
        """
        import torch

        # Nobody asked for a token after the last one. Steps that `generate` took and undid are beyond all lengths.
        self._take(written[:, -1])
        chosen = torch.stack(self._chosen, dim=1).double()
        return [float(row[:length].mean()) for row, length in zip(chosen.cpu(), lengths, strict=True)]

    def _take(self, tokens: Any) -> None:
        if self._scores is not None:
            self._chosen.append(self._scores.gather(1, tokens[:, None]).squeeze(1))
