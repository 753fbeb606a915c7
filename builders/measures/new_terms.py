"""Measures what an expansion says that the query does not."""

from collections.abc import Sequence


def new_terms(query: Sequence[str], expansion: Sequence[str]) -> tuple[float, int]:
    """The share of an expansion's terms that the query lacks, and how many different ones there are.

    An expansion that echoes its query has a share of 0, and so has one without a term.

    Args:
        query (`Sequence[str]`), expansion (`Sequence[str]`):
            Terms of the retriever's analyzer, as often as they occur.
    """
    own = set(query)
    new = [term for term in expansion if term not in own]
    return (len(new) / len(expansion) if expansion else 0.0), len(set(new))
