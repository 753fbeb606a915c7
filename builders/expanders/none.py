"""Empty expansions: the baseline that every expander is measured against."""

from collections.abc import Collection, Generator, Sequence

from builders.expanders.expander import Expander, ExpanderInputs, Expansion, Identity, Request, Sampling
from builders.prompts.prompt import Prompt


class NoExpander(Expander):
    """Answers with one empty expansion, so that the plain query is searched."""

    name = "none"
    help = "empty expansions: the plain query is searched"
    identity = Identity("none", "none", "no model", "none")
    free = True

    @classmethod
    def make(cls, inputs: ExpanderInputs) -> list[tuple[Prompt, Expander]]:
        """See [`Expander.make`]."""
        return [(inputs.student, cls())]

    def sampled(self, sampling: Sampling) -> None:
        """There is nothing to sample."""

    def expand(
        self, requests: Sequence[Request], sampling: Sampling, done: Collection[str] = ()
    ) -> Generator[tuple[str, list[Expansion]], None, None]:
        """Answer with nothing; see [`Expander.expand`]."""
        for request in requests:
            if request.key not in done:
                yield request.key, [Expansion("", 0, 0, "stop")]
