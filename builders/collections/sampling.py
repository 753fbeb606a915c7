"""Samples the queries of a split that a build takes, the same for the same seed."""

import hashlib

from builders.collections.collection import Collection, Query, Split
from builders.errors import KitError


def sample_queries(collection: Collection, split: Split, number: int, seed: int) -> list[Query]:
    """Draw `number` judged queries of a split, ordered by a seeded hash of their ids.

    A larger number keeps the smaller sample as its beginning, so that a build can grow. 0 draws none, −1 all.

    Raises:
        KitError: the split has fewer judged queries.
    """
    queries = collection.split(split)
    if not queries and number:
        raise KitError(
            f"collection {collection.name!r} has no judged {split} queries; where another split holds all, "
            "`split: divide` in its collection.yaml parts them 70/10/20"
        )
    if len(queries) < number:
        raise KitError(f"collection {collection.name!r} has {len(queries)} judged {split} queries, not {number}")
    drawn = sorted(queries, key=lambda query: hashlib.sha256(f"{seed}:{query.id}".encode()).digest())
    return drawn if number < 0 else drawn[:number]
