"""No expansion: the baseline that every expander is measured against."""

from collections.abc import Collection, Generator, Sequence

from builders.expanders.expander import Expander, Expansion, Identity, Request, Sampling


class NoExpander(Expander):
    """Answers with one empty expansion, so that the plain query is searched."""

    identity = Identity("none", "none", "no model", "none")
    free = True

    def sampled(self, sampling: Sampling) -> None:
        """There is nothing to sample."""

    def expand(
        self, requests: Sequence[Request], sampling: Sampling, done: Collection[str] = ()
    ) -> Generator[tuple[str, list[Expansion]], None, None]:
        """Answer with nothing; see [`Expander.expand`]."""
        for request in requests:
            if request.key not in done:
                yield request.key, [Expansion("", 0, 0, "stop")]
