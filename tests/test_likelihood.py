"""The likelihood of an expansion is that of one more reading of what was written, and costs no answer its words."""

import copy

import pytest

from builders.expanders.expander import Request, Sampling, greedy
from builders.expanders.local import LocalExpander
from tests.tiny_student import LINES, base_model


SAMPLED = Sampling(temperature=0.7, top_p=0.95, top_k=20, max_new_tokens=40, seed=3)


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    # Less certain than the other tests' model, so that it comes upon its end token.
    return base_model(tmp_path_factory.mktemp("base") / "tiny", initializer_range=0.05)


class Overheard(LocalExpander):
    """Keeps what `generate` was given and gave, and generates again without anyone listening."""

    def load(self):
        generate = self.model.generate
        self.heard = []

        def listening(**given):
            import torch

            state, cache = torch.get_rng_state(), copy.deepcopy(given["past_key_values"])
            output = generate(**given)
            torch.set_rng_state(state)
            unheard = generate(**{**given, "past_key_values": cache, "logits_processor": None})
            self.heard.append((given, output, unheard))
            return output

        self.model.generate = listening


@pytest.mark.parametrize(("sampling", "samples"), [(greedy(12), 1), (SAMPLED, 3)], ids=["greedy", "sampled"])
def test_it_is_the_mean_over_a_reading_of_the_whole_text(base, sampling, samples):
    import torch

    expander = Overheard(str(base), block=6)
    expander.load()
    requests = [Request(line, ({"role": "user", "content": line},), samples) for line in LINES]
    answers = dict(expander.expand(requests, sampling))
    reasons = set()
    for block, (given, output, unheard) in zip(expander.blocks(requests), expander.heard, strict=True):
        assert torch.equal(output, unheard)
        expected = []
        prompt = given["input_ids"].shape[1]
        mask = torch.cat([given["attention_mask"], torch.ones_like(output[:, prompt:])], dim=1)
        positions = (mask.cumsum(-1) - 1).clamp(min=0)
        with torch.inference_mode():
            logits = expander.model(input_ids=output, attention_mask=mask, position_ids=positions).logits
        said = logits[:, prompt - 1 : -1].double().log_softmax(-1).gather(2, output[:, prompt:, None]).squeeze(2)
        written = [answer for request in block for answer in answers[request.key]]
        for row, answer in zip(said, written, strict=True):
            reasons.add(answer.finish_reason)
            expected.append(float(row[: answer.completion_tokens].mean()))
        assert [answer.mean_logprob for answer in written] == pytest.approx(expected, abs=1e-4)
        assert all(answer.mean_logprob < 0 for answer in written)
    if samples > 1:
        assert reasons == {"stop", "length"}  # Both kinds of end were seen.


def test_only_one_steps_scores_are_held():
    """Three sequences, of which the second ends early: its padding does not count."""
    import torch

    from builders.expanders.likelihood import ChosenTokens

    chosen = ChosenTokens()
    tokens = torch.tensor([[1, 2, 0], [2, 0, 0], [0, 0, 1]])
    scores = torch.tensor([[0.0, 1.0, 2.0]]).repeat(3, 1)
    prompt = torch.tensor([[5, 6]] * 3)
    for step in range(3):
        given = scores * (step + 1)
        assert chosen(torch.cat([prompt, tokens[:, :step]], dim=1), given) is given
    held = [value for value in vars(chosen).values() if isinstance(value, torch.Tensor)]
    assert [value.shape for value in held] == [(3, 3)]
    logs = [(scores[0] * (step + 1)).double().log_softmax(0).tolist() for step in range(3)]
    assert chosen.means(tokens, [3, 2, 3]) == pytest.approx(
        [
            (logs[0][1] + logs[1][2] + logs[2][0]) / 3,
            (logs[0][2] + logs[1][0]) / 2,
            (logs[0][0] + logs[1][0] + logs[2][1]) / 3,
        ],
        abs=1e-6,
    )
